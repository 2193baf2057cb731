from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steer_llm_sdk import ConfigurationError, SteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.streaming.fanout import Observer, Overflow
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import Close, Pace, Script, ScriptedProvider, check_stream

WORDS = [f"w{number} " for number in range(50)]


@pytest.fixture
async def client() -> AsyncIterator[SteerLLMClient]:
    async with SteerLLMClient("key", transport=ScriptedProvider(*WORDS)) as made:
        yield made


async def read_all(reader: Observer | EventStream) -> list[StreamEvent]:
    return [event async for event in reader]


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.get_text() for event in events if isinstance(event, StreamDeltaEvent))


async def test_observers_and_the_consumer_each_see_the_whole_stream(client: SteerLLMClient) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        first, second = stream.subscribe(), stream.subscribe(maxsize=3)
        seen = await asyncio.gather(read_all(first), read_all(second), read_all(stream))

    for events in seen:
        check_stream(events)
        assert text_of(events) == "".join(WORDS) == stream.response.get_text()
    assert first.delivered == second.delivered == len(seen[2])


async def test_observers_need_no_consumer(client: SteerLLMClient) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        events = await read_all(stream.subscribe())

    check_stream(events)
    assert stream.response.ok


@pytest.mark.parametrize("readers", [1, 2])
async def test_observers_of_a_stream_that_nobody_else_holds_see_all_of_it(
    readers: int, recwarn: pytest.WarningsRecorder
) -> None:
    provider = ScriptedProvider(Script(WORDS[:5], faults=[Pace(0.001)]))  # each by itself
    client = SteerLLMClient("key", transport=provider)

    def subscribe() -> list[Observer]:
        stream = client.stream_events("Hi", "gpt-4o")
        return [stream.subscribe() for _ in range(readers)]

    for events in await asyncio.gather(*map(read_all, subscribe())):
        check_stream(events)
        assert text_of(events) == "".join(WORDS[:5])
    gc.collect()
    assert not recwarn.list


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "coalesce"])
async def test_an_observer_that_never_reads_does_not_slow_the_stream(
    client: SteerLLMClient, overflow: Overflow
) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        idle = stream.subscribe(maxsize=4, overflow=overflow)
        events = await read_all(stream)
    waiting = await read_all(idle)

    assert text_of(events) == "".join(WORDS)
    assert [e.type for e in waiting if e.type != "delta"] == ["start", "usage", "complete"]
    if overflow == "coalesce":
        assert (text_of(waiting), idle.dropped) == ("".join(WORDS), 0)
        assert idle.joined > 0
    else:
        kept = [event for event in waiting if event.type == "delta"]
        assert idle.dropped == len(WORDS) - len(kept) > 0


async def test_a_blocking_observer_sets_the_pace(client: SteerLLMClient) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        slow = stream.subscribe(maxsize=2)
        assert (await anext(slow)).type == "start"
        for _ in range(200):
            await asyncio.sleep(0)

        assert slow.lag == slow.max_lag == 2
        assert len(await read_all(slow)) == len(WORDS) + 2


async def test_an_observer_that_is_forgotten_holds_nobody_up(client: SteerLLMClient) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        forgotten = stream.subscribe(maxsize=1)
        assert (await anext(forgotten)).type == "start"
        for _ in range(20):
            await asyncio.sleep(0)
        del forgotten
        gc.collect()

        assert text_of(await read_all(stream)) in "".join(WORDS)
    assert stream.response.ok


async def test_an_observer_that_is_closed_holds_nobody_up(client: SteerLLMClient) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        async with stream.subscribe(maxsize=1) as left:
            pass
        assert await read_all(left) == []
        events = await read_all(stream)

    assert stream.response.ok
    assert events[-1].type == "complete"


async def test_leaving_the_stream_ends_its_observers_with_the_cancellation(
    client: SteerLLMClient,
) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        observer = stream.subscribe()
        async for event in stream:
            if event.type == "delta":
                break
    events = await read_all(observer)

    assert events[-1].type == "error"
    assert stream.response.get_text() == text_of(events)


async def test_a_failure_is_raised_to_the_consumer_and_told_to_observers() -> None:
    scripted = ScriptedProvider(Script(deltas=["Hel", "lo"], faults=(Close(after=1),)))
    async with (
        SteerLLMClient("key", transport=scripted) as client,
        client.stream_events("Hi", "gpt-4o") as stream,
    ):
        observer = stream.subscribe()
        with pytest.raises(Exception, match=r"."):
            await read_all(stream)

        assert (await read_all(observer))[-1].type == "error"


async def test_one_who_subscribes_after_the_end_gets_nothing(client: SteerLLMClient) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        await read_all(stream.subscribe())

        assert await read_all(stream.subscribe()) == []


def test_who_subscribes_after_the_end_gets_nothing_in_another_loop_too() -> None:
    client = SteerLLMClient("key", transport=ScriptedProvider(*WORDS))
    stream = client.stream_events("Hi", "gpt-4o")
    asyncio.run(read_all(stream))

    async def read_late() -> list[StreamEvent]:
        return await read_all(stream.subscribe())

    assert asyncio.run(read_late()) == []


@pytest.mark.parametrize(("maxsize", "overflow"), [(0, "block"), (5, "spill")])
def test_impossible_queues_are_refused(maxsize: int, overflow: Overflow) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        Observer(maxsize, overflow)


DELTAS = st.one_of(
    st.text("abc", min_size=1, max_size=3),
    st.builds(lambda text: {"type": "reasoning", "text": text}, st.text("xyz", max_size=3)),
    st.builds(
        lambda index, text: {"type": "tool_call", "index": index, "arguments": text},
        st.integers(0, 1),
        st.text("{}", max_size=3),
    ),
)


def words_by_thing(events: list[StreamDeltaEvent]) -> dict[tuple[object, ...], str]:
    found: dict[tuple[object, ...], str] = {}
    for event in events:
        delta = event.delta
        if isinstance(delta, str):
            found[("text",)] = found.get(("text",), "") + delta
        else:
            thing = (delta["type"], delta.get("index"))
            found[thing] = found.get(thing, "") + str(delta.get("text", delta.get("arguments")))
    return found


@settings(deadline=None)
@given(st.lists(DELTAS, max_size=40), st.integers(1, 5))
def test_joining_loses_nothing_and_changes_no_shared_event(
    deltas: list[str | dict[str, object]], maxsize: int
) -> None:
    events = [StreamDeltaEvent(delta=delta) for delta in deltas]
    before = words_by_thing(events)
    observer = Observer(maxsize, "coalesce")
    for event in events:
        assert observer.offer(event)
    observer.end()

    waiting = asyncio.run(read_all(observer))

    assert words_by_thing([e for e in waiting if isinstance(e, StreamDeltaEvent)]) == before
    assert words_by_thing(events) == before
    assert observer.dropped == 0


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "coalesce"])
async def test_the_smallest_queue_keeps_what_is_never_dropped(
    client: SteerLLMClient, overflow: Overflow
) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        observer = stream.subscribe(maxsize=1, overflow=overflow)
        seen = [event async for event in stream]
        waiting = [event async for event in observer]

    assert [event.type for event in seen][-1] == "complete"
    kept = ["start", "delta", "usage", "complete"]
    if overflow != "coalesce":
        kept.remove("delta")
    assert [event.type for event in waiting] == kept


def test_what_was_joined_and_read_does_not_grow_any_more() -> None:
    observer = Observer(2, "coalesce")
    for text in "abcd":
        observer.offer(StreamDeltaEvent(delta=text, metadata={text: 1}))
    observer.end()
    first, second = asyncio.run(read_all(observer))

    assert isinstance(first, StreamDeltaEvent)
    assert isinstance(second, StreamDeltaEvent)
    assert (first.delta, second.delta) == ("a", "bcd")
    assert second.metadata == {"b": 1, "c": 1, "d": 1}
    observer.offer(StreamDeltaEvent(delta="e"))
    assert second.delta == "bcd"


def test_what_stands_in_the_place_of_words_is_joined_as_it_is() -> None:
    observer = Observer(1, "coalesce")
    for piece in (5, "a", "b"):
        observer.offer(StreamDeltaEvent(delta={"type": "reasoning", "text": piece}))
    observer.end()
    joined = asyncio.run(read_all(observer))

    assert [event.get_text() for event in joined if isinstance(event, StreamDeltaEvent)] == [""]
    assert [getattr(event, "delta", None) for event in joined] == [
        {"type": "reasoning", "text": "ab"}
    ]
