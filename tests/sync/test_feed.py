"""How far a blocking stream reads ahead, and that leaving it never waits for room."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from steer_llm_sdk import (
    InvalidJSONError,
    StreamCancelledError,
    SyncSteerLLMClient,
)
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import EventProcessor, PredicateFilter
from steer_llm_sdk.sync.streams import SyncEventStream
from steer_llm_sdk.testing import ScriptedProvider

MODEL = "gpt-4o"
MOST_AHEAD = 256


class Watch:
    """Counts events before they are queued, and tells when there were so many."""

    def __init__(self, count: int) -> None:
        self.seen = 0
        self.is_reached = threading.Event()
        self._count = count

    def options(self) -> StreamingOptions:
        return StreamingOptions(event_processor=EventProcessor([PredicateFilter(self._note)]))

    def _note(self, _: StreamEvent) -> bool:
        self.seen += 1
        if self.seen == self._count:
            self.is_reached.set()
        return True


@pytest.fixture
def client() -> Iterator[SyncSteerLLMClient]:
    pieces = [f"{at} " for at in range(5000)]
    with SyncSteerLLMClient("test", transport=ScriptedProvider(*pieces)) as running:
        yield running


def begin_and_wait(client: SyncSteerLLMClient, watch: Watch) -> SyncEventStream:
    """A stream with as many events in its queue as there is room for."""
    stream = client.stream_events("Hi", MODEL, streaming_options=watch.options())
    next(stream)
    assert watch.is_reached.wait(30)
    client._thread.run(_nothing())  # what the loop was at is done: it waits for room
    return stream


async def _nothing() -> None:
    pass


def test_so_much_is_read_ahead_and_no_more(client: SyncSteerLLMClient) -> None:
    watch = Watch(MOST_AHEAD)
    with begin_and_wait(client, watch) as stream:
        assert watch.seen == MOST_AHEAD
        for taken in range(2, 1000):
            next(stream)
            client._thread.run(_nothing())
            assert watch.seen - taken <= MOST_AHEAD


def test_leaving_with_a_full_queue_does_not_wait_for_room(client: SyncSteerLLMClient) -> None:
    stream = begin_and_wait(client, Watch(MOST_AHEAD))

    stream.close()

    assert isinstance(stream.response.error, StreamCancelledError)


def test_so_does_closing_the_client(client: SyncSteerLLMClient) -> None:
    stream = begin_and_wait(client, Watch(MOST_AHEAD))

    client.close()

    kinds = [event.type for event in stream]
    assert kinds[-2:] == ["usage", "error"]
    assert len(kinds) == MOST_AHEAD + 1


def test_cancelling_with_a_full_queue_gives_what_is_in_it_and_the_end(
    client: SyncSteerLLMClient,
) -> None:
    stream = begin_and_wait(client, Watch(MOST_AHEAD))

    stream.cancel("enough")

    events = list(stream)
    assert [event.type for event in events[-2:]] == ["usage", "error"]
    assert len(events) == MOST_AHEAD + 1
    assert [event.sequence for event in events] == list(range(1, MOST_AHEAD + 2))


def test_where_a_callback_error_ends_the_stream_nothing_is_read_ahead(
    client: SyncSteerLLMClient,
) -> None:
    watch, ahead = Watch(1), []

    def compare(event: StreamEvent) -> None:
        client._thread.run(_nothing())
        ahead.append(watch.seen - event.sequence)

    options = watch.options().replace(raise_callback_errors=True)
    response = client.stream_with_usage("Hi", MODEL, streaming_options=options, on_delta=compare)

    assert response.ok
    assert set(ahead) == {1}


def test_threads_may_share_a_stream_and_each_event_goes_to_one(client: SyncSteerLLMClient) -> None:
    stream = client.stream_events("Hi", MODEL)
    taken: list[list[int]] = [[] for _ in range(4)]

    def take(into: list[int]) -> None:
        into.extend(event.sequence for event in stream)

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    together = sorted(number for one in taken for number in one)
    assert together == list(range(len(together)))
    assert len(together) == 5003


def test_an_item_may_be_null() -> None:
    network = ScriptedProvider("[1, null, ", "2]")
    with SyncSteerLLMClient("test", transport=network) as client:
        items = client.stream_items("Hi", int | None, MODEL)
        assert list(items) == [1, None, 2]
        assert list(items) == []


def test_an_item_that_does_not_fit_is_the_stream_s_error_though_all_has_been_read() -> None:
    network = ScriptedProvider('[1, "two", 3]')
    with SyncSteerLLMClient("test", transport=network) as client:
        items, seen = client.stream_items("Hi", int, MODEL), list[int]()
        with pytest.raises(InvalidJSONError) as caught:
            seen.extend(items)

    assert seen == [1]
    assert items.response.error is caught.value
