from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.pipeline.batching import Batcher, BatchOptions
from steer_llm_sdk.pipeline.stream_pipeline import StreamPipeline
from steer_llm_sdk.streaming.processor import BatchedEventProcessor, TypeFilter
from support.events import Hold, delta, failure, start, usage


class Handler:
    """An asynchronous handler that waits for its gate, and keeps what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[StreamEvent]] = []
        self.gate = asyncio.Event()
        self.done = 0

    @property
    def indexes(self) -> list[list[int]]:
        return [[e.chunk_index for e in b if isinstance(e, StreamDeltaEvent)] for b in self.batches]

    async def __call__(self, events: list[StreamEvent]) -> None:
        self.batches.append(events)
        await self.gate.wait()
        self.done += 1


async def feed(stream: StreamPipeline, *events: StreamEvent) -> list[StreamEvent]:
    passed: list[StreamEvent] = []
    for event in events:
        result = stream.process(event)
        passed += result if isinstance(result, list) else await result
    return passed


async def turns(count: int = 5) -> None:
    """Let the other tasks have some turns."""
    for _ in range(count):
        await asyncio.sleep(0)


def batcher_of(stream: StreamPipeline) -> Batcher:
    assert stream._batcher is not None
    return stream._batcher


def let_time_pass(batcher: Batcher) -> None:
    """As if the timer, when there is one, had run out."""
    if batcher._timer is not None:
        batcher._timer.cancel()
        batcher._on_timer()


# --- the usual --------------------------------------------------------------------------------


async def test_an_event_goes_on_at_once_and_is_in_the_batch_too() -> None:
    handler = Handler()
    processor = BatchedEventProcessor([TypeFilter("delta")], batch_size=2, batch_handler=handler)
    stream = processor.open_stream()
    events = [delta(index=number) for number in range(3)]

    assert stream.process(events[0]) == [events[0]]
    assert await feed(stream, *events[1:], usage()) == events[1:]
    await turns()
    assert handler.indexes == [[0, 1]]
    handler.gate.set()
    await stream.close()
    assert handler.indexes == [[0, 1], [2]]
    assert handler.done == 2
    assert processor.metrics.events_batched == 3


async def test_a_batch_is_handed_over_when_its_time_is_up() -> None:
    handed = asyncio.Event()
    processor = BatchedEventProcessor(batch_timeout_ms=1, batch_handler=lambda _: handed.set())
    await feed(processor.open_stream(), delta())

    (batcher,) = processor._pending
    await asyncio.wait_for(handed.wait(), 5)
    assert batcher._task is not None
    await asyncio.wait((batcher._task,))

    assert processor._pending == set()


async def test_without_a_timeout_a_batch_waits_until_it_is_full() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(batch_size=2, batch_timeout_ms=None, batch_handler=handler)
    stream = processor.open_stream()
    await feed(stream, delta())

    assert batcher_of(stream)._timer is None
    handler.gate.set()
    await processor.flush()
    assert len(handler.batches) == 1


async def test_what_finish_releases_is_batched_too() -> None:
    batches: list[list[StreamEvent]] = []

    class HoldLater(Hold):
        def for_stream(self) -> HoldLater:
            return HoldLater()

        async def finish(self) -> list[StreamEvent]:  # type: ignore[override]  # or awaitable
            return Hold.finish(self)

    for hold in (Hold(), HoldLater()):
        processor = BatchedEventProcessor(transformers=[hold], batch_handler=batches.append)
        stream = processor.open_stream()
        await feed(stream, delta())
        released = stream.finish()
        assert len(released if isinstance(released, list) else await released) == 1
        await stream.close()

    assert [len(batch) for batch in batches] == [1, 1]


async def test_streams_do_not_share_a_batch() -> None:
    batches: list[list[StreamEvent]] = []
    processor = BatchedEventProcessor(batch_size=2, batch_handler=batches.append)
    one, other = processor.open_stream(), processor.open_stream()
    await feed(one, delta(index=1))
    await feed(other, delta(index=2))
    assert batches == []

    await processor.stop()

    assert sorted(len(batch) for batch in batches) == [1, 1]


async def test_hand_made_events_are_handed_over_at_the_end_of_their_stream() -> None:
    batches: list[list[StreamEvent]] = []
    processor = BatchedEventProcessor(batch_handler=batches.append, background=True)
    for event in (start(), delta(), failure()):
        await processor.submit_event(event)
    await processor.stop()

    assert [[event.type for event in batch] for batch in batches] == [["start", "delta", "error"]]


# --- handlers that misbehave ------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_handler_that_raises_is_logged_once_and_later_batches_still_come(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def fails(events: list[StreamEvent]) -> None:
        seen.append(len(events))
        raise ValueError("no")

    async def fails_later(events: list[StreamEvent]) -> None:
        fails(events)

    processor = BatchedEventProcessor(
        batch_size=1, batch_handler=fails_later if is_async else fails
    )
    stream = processor.open_stream()
    await feed(stream, delta(), delta(), delta())
    await stream.close()

    assert seen == [1, 1, 1]
    assert processor.metrics.handler_errors == 3
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info


async def test_a_handler_that_is_cancelled_loses_no_other_batch() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(batch_size=1, batch_handler=handler)
    stream = processor.open_stream()
    await feed(stream, delta(index=0), delta(index=1), delta(index=2))
    await turns()
    task = batcher_of(stream)._task
    assert task is not None
    task.cancel()
    await turns()
    handler.gate.set()
    await stream.close()

    assert handler.indexes == [[0], [1], [2]]
    assert handler.done == 2


async def test_a_timer_never_touches_the_handler_in_flight() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(batch_size=10, batch_handler=handler)
    stream = processor.open_stream()
    for number in range(3):
        await feed(stream, delta(index=number))
        let_time_pass(batcher_of(stream))
        await turns()
    assert handler.indexes == [[0]]

    handler.gate.set()
    await stream.close()

    assert handler.indexes == [[0], [1], [2]]
    assert handler.done == 3


async def test_a_cancelled_close_does_not_cancel_the_delivery() -> None:
    handler = Handler()
    stream = BatchedEventProcessor(batch_handler=handler).open_stream()
    await feed(stream, delta())
    closing = asyncio.create_task(stream.close())
    await turns()
    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing

    handler.gate.set()
    await stream.close()

    assert handler.done == 1


async def test_a_handler_may_flush_its_own_processor() -> None:
    sizes: list[int] = []

    async def handle(events: list[StreamEvent]) -> None:
        sizes.append(len(events))
        await processor.flush()

    processor = BatchedEventProcessor(batch_size=2, batch_handler=handle)
    stream = processor.open_stream()
    await feed(stream, delta(), delta(), delta())
    await stream.close()

    assert sizes == [2, 1]


# --- too many batches -------------------------------------------------------------------------


async def test_block_holds_up_the_stream_until_there_is_room() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(batch_size=1, batch_handler=handler, max_waiting_batches=1)
    stream = processor.open_stream()
    await feed(stream, delta(index=0))
    await turns()
    await feed(stream, delta(index=1))
    waiting = asyncio.create_task(feed(stream, delta(index=2)))
    await turns()

    assert not waiting.done()
    handler.gate.set()
    await waiting
    await stream.close()
    assert handler.indexes == [[0], [1], [2]]
    assert processor.metrics.events_dropped == 0


async def test_a_delivery_that_was_cancelled_before_it_began_holds_up_nobody() -> None:
    handler = Handler()
    handler.gate.set()
    processor = BatchedEventProcessor(
        batch_size=1, batch_timeout_ms=None, batch_handler=handler, max_waiting_batches=1
    )
    stream = processor.open_stream()
    await feed(stream, delta(index=0))
    task = batcher_of(stream)._task
    assert task is not None
    task.cancel()

    async with asyncio.timeout(5):  # in this task: another would begin after the cancellation
        await feed(stream, delta(index=1))
    await stream.close()
    assert handler.indexes == [[0], [1]]


async def test_a_batch_that_found_no_room_in_time_follows_when_there_is_some() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(batch_size=2, batch_handler=handler, max_waiting_batches=1)
    stream = processor.open_stream()
    for number in range(3):
        await feed(stream, delta(index=number))
        let_time_pass(batcher_of(stream))
        await turns()
    handler.gate.set()
    await turns(10)

    assert handler.indexes == [[0], [1], [2]]


async def test_drop_oldest_drops_what_waited_longest_and_counts_it() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(
        batch_size=2, batch_handler=handler, max_waiting_batches=1, overflow="drop_oldest"
    )
    stream = processor.open_stream()
    await feed(stream, delta(index=0), delta(index=1))
    await turns()
    await feed(stream, *(delta(index=number) for number in range(2, 7)))
    handler.gate.set()
    await stream.close()

    assert handler.indexes == [[0, 1], [4, 5], [6]]
    assert processor.metrics.events_dropped == 2


async def test_of_several_that_wait_the_oldest_is_dropped() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(
        batch_size=1, batch_handler=handler, max_waiting_batches=2, overflow="drop_oldest"
    )
    stream = processor.open_stream()
    await feed(stream, delta(index=0))
    await turns()
    await feed(stream, *(delta(index=number) for number in range(1, 5)))
    handler.gate.set()
    await stream.close()

    assert handler.indexes == [[0], [3], [4]]


async def test_what_is_left_of_a_batch_that_was_too_large_has_a_timer_too() -> None:
    handler = Handler()
    options = BatchOptions(handler=handler, size=2, max_waiting=1)
    processor = BatchedEventProcessor(batch_handler=handler)
    batcher = Batcher(options, processor.open_stream()._errors, lambda _: None, set())
    waits = batcher.add([delta(index=number) for number in range(7)])
    assert waits is not None
    handler.gate.set()
    await waits
    await turns()
    let_time_pass(batcher)
    await turns()

    assert handler.indexes == [[0, 1], [2, 3], [4, 5], [6]]


async def test_a_batch_that_began_while_another_was_handed_over_is_flushed_too() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(batch_size=2, batch_timeout_ms=None, batch_handler=handler)
    stream = processor.open_stream()
    await feed(stream, delta(index=0), delta(index=1))
    await turns()
    await feed(stream, delta(index=2))
    handler.gate.set()
    await turns()

    await processor.flush()

    assert handler.indexes == [[0, 1], [2]]


async def test_many_events_at_once_make_batches_of_the_right_size() -> None:
    handler = Handler()
    options = BatchOptions(handler=handler, size=2, max_waiting=1)
    processor = BatchedEventProcessor(batch_handler=handler)
    batcher = Batcher(options, processor.open_stream()._errors, lambda _: None, set())
    waits = batcher.add([delta(index=number) for number in range(9)])
    assert waits is not None
    handler.gate.set()
    await waits
    await batcher.flush()

    assert [len(batch) for batch in handler.batches] == [2, 2, 2, 2, 1]


async def test_flush_leaves_the_streams_of_other_loops_alone() -> None:
    handler = Handler()
    processor = BatchedEventProcessor(batch_timeout_ms=None, batch_handler=handler)

    async def elsewhere() -> None:
        await feed(processor.open_stream(), delta())

    await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
    await processor.flush()

    assert handler.batches == []
    assert len(processor._pending) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_handler": 3},
        {"batch_size": 0},
        {"max_waiting_batches": 0},
        {"batch_timeout_ms": 0},
        {"overflow": "explode"},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        BatchedEventProcessor(**{"batch_handler": print, **wrong})


# --- any sequence, any handler, any way out ---------------------------------------------------

Behaviour = Literal["returns", "waits", "raises", "raises later", "cancels"]
_BEHAVIOURS: list[Behaviour] = ["returns", "waits", "raises", "raises later", "cancels"]
_STEPS = st.one_of(
    st.integers(1, 4),  # so many events
    st.sampled_from(["time", "turns", "flush", "cancel handler", "cancel flush"]),
)


class Scripted:
    """A handler that behaves differently for each batch."""

    def __init__(self, behaviours: list[Behaviour]) -> None:
        self.behaviours = behaviours
        self.handed: list[list[StreamEvent]] = []
        self.in_flight = 0
        self.most_in_flight = 0

    def __call__(self, events: list[StreamEvent]) -> Any:
        behaviour = self.behaviours[len(self.handed) % len(self.behaviours)]
        self.handed.append(events)
        if behaviour == "raises":
            raise ValueError("no")
        return None if behaviour == "returns" else self._later(behaviour)

    async def _later(self, behaviour: Behaviour) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await turns(3)
            if behaviour == "raises later":
                raise ValueError("no")
            if behaviour == "cancels":
                raise asyncio.CancelledError
        finally:
            self.in_flight -= 1


async def _cancelled(flush: Callable[[], Any]) -> None:
    task = asyncio.create_task(flush())
    await turns(2)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _take(step: int | str, stream: StreamPipeline, count: int) -> int:
    batcher = batcher_of(stream)
    if isinstance(step, int):
        await feed(stream, *(delta(index=count + number) for number in range(step)))
        return count + step
    if step == "time":
        let_time_pass(batcher)
    elif step == "turns":
        await turns()
    elif step == "flush":
        await batcher.flush()
    elif step == "cancel flush":
        await _cancelled(batcher.flush)
    elif batcher._task is not None:
        batcher._task.cancel()
    return count


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_STEPS, max_size=20),
    st.lists(st.sampled_from(_BEHAVIOURS), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["block", "drop_oldest"]),
)
def test_every_event_is_handed_over_once_and_in_order_or_counted_as_dropped(
    steps: list[int | str],
    behaviours: list[Behaviour],
    size: int,
    max_waiting: int,
    overflow: Any,
) -> None:
    handler = Scripted(behaviours)
    processor = BatchedEventProcessor(
        batch_size=size,
        batch_handler=handler,
        max_waiting_batches=max_waiting,
        overflow=overflow,
    )

    async def scenario() -> int:
        stream = processor.open_stream()
        count = 0
        for step in steps:
            count = await _take(step, stream, count)
        await stream.close()
        return count

    count = asyncio.run(asyncio.wait_for(scenario(), 20))

    handed = [event for batch in handler.handed for event in batch]
    indexes = [event.chunk_index for event in handed if isinstance(event, StreamDeltaEvent)]
    assert indexes == sorted(set(indexes))
    assert len(indexes) + processor.metrics.events_dropped == count
    assert overflow == "drop_oldest" or processor.metrics.events_dropped == 0
    assert all(0 < len(batch) <= size for batch in handler.handed)
    assert handler.most_in_flight <= 1
    assert processor._pending == set()
