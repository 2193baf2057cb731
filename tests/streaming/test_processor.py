from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.ports import Processor
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming import processor as module
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    EventFilter,
    EventProcessor,
    EventTransformer,
    MetricsTransformer,
    PredicateFilter,
    ProcessorMetrics,
    TypeFilter,
    create_event_processor,
)
from support.events import (
    AsyncMark,
    Hold,
    Mark,
    complete,
    delta,
    failure,
    start,
    texts,
    usage,
)


class Broken(EventFilter):
    def should_process(self, event: StreamEvent) -> bool:
        raise ValueError("no")


class Twice(EventTransformer):
    def transform(self, event: StreamEvent) -> list[StreamEvent]:
        return [event, event]


async def stream_of(*events: StreamEvent) -> AsyncIterator[StreamEvent]:
    for event in events:
        yield event


def test_every_name_of_the_contract_is_here() -> None:
    assert all(hasattr(module, name) for name in module.__all__)
    assert isinstance(EventProcessor(), Processor)
    StreamingOptions(event_processor=create_event_processor())


# --- one stream -------------------------------------------------------------------------------


def test_filters_come_before_transformers_and_all_must_pass() -> None:
    processor = EventProcessor([TypeFilter("delta"), PredicateFilter(lambda e: e.metadata == {})])
    processor.add_transformer(Mark("m"))
    stream = processor.open_stream()

    kept, dropped = delta(), usage()

    assert stream.process(kept) == [kept]
    assert stream.process(dropped) == []
    assert stream.process(kept) == []
    assert kept.metadata == {"marks": ["m"]}


def test_a_failure_skips_the_filters() -> None:
    error = failure()

    assert EventProcessor([Broken()]).open_stream().process(error) == [error]


def test_a_filter_that_raises_drops_the_event_and_is_logged_once_in_a_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    processor = EventProcessor([Broken()])
    for _ in range(2):
        stream = processor.open_stream()
        assert stream.process(delta()) == stream.process(delta()) == []

    assert len(caplog.records) == 2
    assert processor.metrics.filter_errors == 4
    assert processor.metrics.events_filtered == 4


async def test_many_streams_at_once_keep_their_figures_apart() -> None:
    processor = create_event_processor(
        [StreamDeltaEvent, StreamUsageEvent, "complete"], add_metrics=True
    )
    streams = [processor.open_stream() for _ in range(100)]
    for stream in streams:
        assert stream.process(start()) == []
    for number, stream in enumerate(streams, 1):
        stream.process(delta(at=number / 100))
    lasts: list[StreamEvent] = []
    for number, stream in enumerate(streams, 1):
        lasts += await _list(stream.process(complete(at=number)))
        await stream.close()

    ttfts = [event.metadata["metrics_summary"]["ttft_ms"] for event in lasts]
    assert ttfts == pytest.approx([10 * number for number in range(1, 101)], abs=0.001)
    assert [event.metadata["total_duration"] for event in lasts] == list(range(1, 101))
    assert len({event.metadata["correlation_id"] for event in lasts}) == 100


async def _list(passed: Any) -> list[StreamEvent]:
    return list(passed) if isinstance(passed, list) else list(await passed)


async def test_after_many_streams_nothing_is_left() -> None:
    batches: list[list[StreamEvent]] = []
    processor = create_event_processor(
        ["delta"], add_metrics=True, batch_size=100, batch_handler=lambda b: batches.clear()
    )

    async def run(count: int) -> None:
        for number in range(count):
            stream = processor.open_stream()
            stream.process(start())
            stream.process(delta())
            stream.process(complete())
            await stream.close()
            name = f"hand-made {number}"
            await processor.process_events(delta(stream_id=name))
            await processor.process_events(complete(stream_id=name))

    await run(100)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await run(2_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 20_000
    assert not processor._hand_made


async def test_hand_made_streams_that_never_end_are_bounded() -> None:
    processor = EventProcessor(transformers=[Hold()])
    for number in range(1100):
        await processor.process_events(delta(stream_id=str(number)))

    assert len(processor._hand_made) == 1024


# --- by hand ----------------------------------------------------------------------------------


async def test_process_event_gives_one_event_or_none() -> None:
    processor = EventProcessor([TypeFilter("delta")], [AsyncMark("m")])
    event = delta()

    assert await processor.process_event(event) is event
    assert await processor.process_event(usage()) is None
    assert event.metadata == {"marks": ["m"]}


async def test_process_event_refuses_to_lose_one_of_several() -> None:
    processor = EventProcessor(transformers=[Twice()])

    with pytest.raises(ValueError, match="process_events"):
        await processor.process_event(delta())


async def test_hand_made_events_find_the_state_of_their_stream() -> None:
    processor = create_event_processor(add_metrics=True)
    for name in ("a", "b"):
        await processor.process_event(start(stream_id=name))
    first = await processor.process_event(delta(at=0.5, stream_id="a"))
    other = await processor.process_event(delta(at=0.75, stream_id="b"))
    again = await processor.process_event(delta(at=0.8, stream_id="a"))
    assert first is not None
    assert other is not None
    assert again is not None

    assert first.metadata["ttft"] == 0.5
    assert other.metadata["ttft"] == 0.75
    assert "ttft" not in again.metadata
    assert first.metadata["correlation_id"] == again.metadata["correlation_id"]
    assert first.metadata["correlation_id"] != other.metadata["correlation_id"]


async def test_what_was_held_comes_before_usage() -> None:
    processor = EventProcessor(transformers=[Hold()])
    await processor.process_events(delta("a"))

    released = await processor.process_events(usage())

    assert [event.type for event in released] == ["delta", "usage"]
    assert [event.type for event in await processor.process_events(complete())] == ["complete"]


async def test_process_stream_takes_any_iterator_and_releases_what_was_held() -> None:
    processor = EventProcessor([TypeFilter(["delta", "usage"])], [Hold()])

    events = [one async for one in processor.process_stream(stream_of(start(), delta("a")))]
    whole = [
        one
        async for one in processor.process_stream(
            stream_of(delta("a"), delta("b"), usage(), complete())
        )
    ]

    assert texts(events) == ["a"]
    assert [event.type for event in whole] == ["delta", "delta", "usage"]


async def test_leaving_process_stream_early_closes_the_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[StreamEvent]:
        try:
            while True:
                yield delta()
        finally:
            closed.append(True)

    batches: list[list[StreamEvent]] = []
    processor = BatchedEventProcessor(batch_handler=batches.append)
    processed = processor.process_stream(source())
    await anext(processed)
    await processed.aclose()  # type: ignore[attr-defined]  # an async generator

    assert closed == [True]
    assert [len(batch) for batch in batches] == [1]


async def test_process_stream_takes_an_iterator_that_cannot_be_closed() -> None:
    class Plain:
        def __init__(self) -> None:
            self.events = iter([delta("a"), delta("b")])

        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self) -> StreamEvent:
            try:
                return next(self.events)
            except StopIteration:
                raise StopAsyncIteration from None

    assert texts([one async for one in EventProcessor().process_stream(Plain())]) == ["a", "b"]


# --- in the background ------------------------------------------------------------------------


class Collect(EventTransformer):
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gate = asyncio.Event()

    async def transform(self, event: StreamEvent) -> None:
        await self.gate.wait()
        self.seen += texts([event])


async def test_stop_drains_what_was_submitted() -> None:
    collect = Collect()
    processor = EventProcessor(transformers=[collect], background=True)
    await processor.start()
    for number in range(50):
        await processor.submit_event(delta(str(number)))
    assert collect.seen == []
    collect.gate.set()
    await processor.stop()

    assert collect.seen == [str(number) for number in range(50)]


async def test_the_queue_is_bounded() -> None:
    collect = Collect()
    processor = EventProcessor(transformers=[collect], background=True)
    for _ in range(1001):  # one is with the worker
        await processor.submit_event(delta())
        await asyncio.sleep(0)
    more = asyncio.create_task(processor.submit_event(delta()))
    await asyncio.sleep(0)

    assert not more.done()
    collect.gate.set()
    await more
    await processor.stop()
    assert len(collect.seen) == 1002


async def test_a_worker_that_was_cancelled_is_replaced_and_only_its_event_is_lost() -> None:
    collect = Collect()
    processor = EventProcessor(transformers=[collect], background=True)
    for number in range(3):
        await processor.submit_event(delta(str(number)))
    await asyncio.sleep(0)
    background = processor._background
    assert background is not None
    assert background._running is not None
    worker = background._running[1]
    worker.cancel()
    await asyncio.wait([worker])
    await processor.start()
    collect.gate.set()
    await processor.stop()

    assert collect.seen == ["1", "2"]


async def test_without_background_events_are_processed_at_once() -> None:
    collect = Collect()
    collect.gate.set()
    processor = EventProcessor(transformers=[collect])
    await processor.start()
    await processor.submit_event(delta("a"))

    assert collect.seen == ["a"]
    await processor.stop()


async def test_the_worker_cannot_wait_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Stops(EventTransformer):
        async def transform(self, event: StreamEvent) -> StreamEvent:
            await processor.stop()
            return event

    processor = EventProcessor(transformers=[Stops()], background=True)
    await processor.submit_event(delta())
    await processor.stop()

    assert processor.metrics.transformer_errors == 1
    assert "RuntimeError" in caplog.text


async def test_stopping_what_never_ran_is_fine() -> None:
    await EventProcessor(background=True).stop()


# --- figures ----------------------------------------------------------------------------------


def test_the_figures_add_up() -> None:
    processor = EventProcessor([TypeFilter("delta")], [Mark("m")])
    stream = processor.open_stream()
    for event in (start(), delta(), delta(), usage()):
        stream.process(event)
    metrics = processor.metrics

    assert (metrics.events_processed, metrics.events_filtered) == (4, 2)
    assert metrics.events_transformed == 2
    assert metrics.processing_time_ms > 0
    assert metrics.average_processing_time_ms == metrics.processing_time_ms / 4
    assert metrics.events_per_second > 0
    assert metrics.snapshot() == metrics
    assert metrics.snapshot() is not metrics


def test_figures_of_nothing_are_zero() -> None:
    metrics = ProcessorMetrics()

    assert metrics.events_per_second == metrics.average_processing_time_ms == 0.0


def test_of_events_in_one_moment_no_rate_is_known() -> None:
    metrics = ProcessorMetrics(events_processed=2, _began_at=1.0, _ended_at=1.0)

    assert metrics.events_per_second == 0.0


# --- what cannot be ---------------------------------------------------------------------------


def test_what_is_no_filter_or_transformer_is_refused() -> None:
    class Later(EventFilter):
        async def should_process(self, event: StreamEvent) -> bool:  # type: ignore[override]
            return True

    processor = EventProcessor()
    with pytest.raises(ConfigurationError, match="EventFilter"):
        processor.add_filter("delta")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="coroutine"):
        processor.add_filter(Later())
    with pytest.raises(ConfigurationError, match="EventTransformer"):
        processor.add_transformer(print)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="background: expected True or False"):
        EventProcessor(background="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, {"type": "delta"}, "words"])
async def test_what_is_no_event_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="event: expected an event, found"):
        await EventProcessor().process_event(given)


# --- the factory ------------------------------------------------------------------------------


async def test_the_factory_joins_the_filters_by_and() -> None:
    processor = create_event_processor(
        event_types=["delta"], providers=["OpenAI"], predicate=lambda e: e.metadata == {}
    )

    assert await processor.process_event(delta()) is not None
    assert await processor.process_event(StreamDeltaEvent(delta="x")) is None
    assert await processor.process_event(complete()) is None


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ({}, {"correlation_id", "timestamp", "datetime"}),
        ({"add_correlation": False, "add_timestamp": False}, set()),
        (
            {"add_correlation": False, "add_timestamp": False, "add_metrics": True},
            {"is_first_token"},
        ),
    ],
)
async def test_the_factory_adds_what_is_asked_for(wanted: dict[str, bool], keys: set[str]) -> None:
    processor = create_event_processor(**wanted)  # type: ignore[arg-type]  # only the flags

    event = await processor.process_event(delta())

    assert event is not None
    assert set(event.metadata) == keys


def test_the_factory_makes_batches_when_there_is_a_handler() -> None:
    assert type(create_event_processor()) is EventProcessor
    assert isinstance(create_event_processor(batch_handler=print), BatchedEventProcessor)
    with pytest.raises(ConfigurationError, match="batch_handler"):
        create_event_processor(batch_size=10)


async def test_an_event_may_be_a_subclass_or_a_terminal_one_that_a_filter_drops() -> None:
    processor = EventProcessor([TypeFilter("delta")], [MetricsTransformer()])
    await processor.process_events(delta())

    assert await processor.process_events(complete()) == []
    assert not processor._hand_made
    assert isinstance(StreamCompleteEvent(), StreamEvent)
    assert isinstance((await processor.process_events(failure()))[0], StreamErrorEvent)
