from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steer_llm_sdk import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.pipeline.chain import TransformerChain
from steer_llm_sdk.pipeline.transformers import (
    CorrelationTransformer,
    EventTransformer,
    MetricsTransformer,
    TimestampTransformer,
)
from steer_llm_sdk.pipeline.user_errors import UserErrorLog, await_user_code
from support.events import (
    BEGAN,
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


class Returns(EventTransformer):
    """Returns what it is told to."""

    def __init__(self, result: Any, finish: Any = None) -> None:
        self.result = result
        self.last = finish

    def transform(self, event: StreamEvent) -> Any:
        return self.result

    def finish(self) -> Any:
        return self.last


class Raises(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent:
        raise ValueError("no")

    def finish(self) -> None:
        raise ValueError("no end")

    def observe_start(self, event: StreamEvent) -> None:
        raise ValueError("no start")


class RaisesLater(EventTransformer):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def transform(self, event: StreamEvent) -> StreamEvent:
        raise self.error

    async def finish(self) -> None:
        raise self.error


class Closed(Raises):
    fails_closed = True


class Bare:
    """Only what the protocol asks for."""

    def transform(self, event: StreamEvent) -> StreamEvent:
        return event

    def for_stream(self) -> Bare:
        return self


async def settled(passed: list[StreamEvent] | Awaitable[list[StreamEvent]]) -> list[StreamEvent]:
    return passed if isinstance(passed, list) else await passed


# --- correlation ------------------------------------------------------------------------------


def test_each_stream_has_one_correlation_id_of_its_own() -> None:
    shared = CorrelationTransformer()
    one, other = shared.for_stream(), shared.for_stream()

    ids = [t.transform(delta()).metadata["correlation_id"] for t in (one, one, other)]

    assert ids[0] == ids[1] != ids[2]


def test_a_correlation_id_that_was_given_is_kept() -> None:
    given_id = CorrelationTransformer("mine").for_stream()

    assert given_id.transform(delta()).metadata["correlation_id"] == "mine"


def test_a_correlation_id_in_the_start_event_is_the_streams() -> None:
    one = CorrelationTransformer().for_stream()
    first = start()
    first.metadata["correlation_id"] = "theirs"
    one.observe_start(first)

    assert one.transform(delta()).metadata["correlation_id"] == "theirs"


# --- timestamps -------------------------------------------------------------------------------


@given(st.lists(st.floats(0.001, 4e9), min_size=1, max_size=5))
@example([1_700_000_000.9999999, 1_700_000_001.0, 1_700_000_001.5, 1_700_000_001.000002])
@example([1_700_000_000.5, 1_700_000_000.25, 1_700_000_000.000001])
@example([1_700_000_000.5, 1_700_000_000.9999998])
def test_the_datetime_is_what_the_library_writes(timestamps: list[float]) -> None:
    one = TimestampTransformer().for_stream()
    events = [one.transform(StreamEvent(timestamp=at)) for at in timestamps]

    expected = [
        datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds") for at in timestamps
    ]
    assert [event.metadata["datetime"] for event in events] == expected
    assert [event.metadata["timestamp"] for event in events] == timestamps
    json.dumps(events[0].metadata)


def test_a_hand_made_event_without_a_timestamp_gets_the_clocks() -> None:
    event = TimestampTransformer().transform(StreamEvent())

    assert event.metadata["timestamp"] > BEGAN


# --- metrics ----------------------------------------------------------------------------------


def test_ttft_is_on_the_first_delta_only() -> None:
    one = MetricsTransformer().for_stream()
    one.transform(start())
    first, second = one.transform(delta(at=0.25)), one.transform(delta(at=0.5))

    assert first.metadata == {"is_first_token": True, "ttft": 0.25}
    assert second.metadata == {}


def test_ttft_is_left_out_when_the_start_is_not_known() -> None:
    first = MetricsTransformer().transform(delta())

    assert first.metadata == {"is_first_token": True}


def test_the_complete_event_gets_the_summary() -> None:
    one = MetricsTransformer().for_stream()
    one.observe_start(start())
    one.transform(delta(at=0.5))
    one.transform(StreamDeltaEvent(delta={"type": "reasoning", "text": "m"}, timestamp=BEGAN + 0.6))
    one.transform(usage())
    last = one.transform(complete(at=2.0, tokens=10))

    summary = last.metadata["metrics_summary"]
    assert last.metadata["total_duration"] == 2.0
    assert summary["ttft_ms"] == 500
    assert summary["tokens_per_second"] == 5
    assert summary["chunks"] == 2


@pytest.mark.parametrize("wrong", ["1s", None, -1, 10**400])
def test_what_is_no_length_of_a_stall_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="stall_threshold_ms: expected a finite number"):
        MetricsTransformer(stall_threshold_ms=wrong)


def test_a_summary_without_a_start_goes_by_the_complete_events_duration() -> None:
    last = MetricsTransformer().transform(complete(at=2.0))

    assert last.metadata["total_duration"] == pytest.approx(2.0)


# --- the chain --------------------------------------------------------------------------------


def test_synchronous_transformers_give_a_plain_list_in_order() -> None:
    event = delta()

    passed = TransformerChain([Mark("a"), Bare(), Mark("b")]).process(event)

    assert passed == [event]
    assert event.metadata["marks"] == ["a", "b"]


async def test_async_transformers_are_awaited_in_order() -> None:
    event = delta()
    chain = TransformerChain([Mark("a"), AsyncMark("b"), Mark("c"), AsyncMark("d")])

    assert await settled(chain.process(event)) == [event]
    assert event.metadata["marks"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("later", [Mark("l"), AsyncMark("l")])
async def test_an_event_may_become_several_or_none(later: EventTransformer) -> None:
    pair: list[StreamEvent] = [delta("1"), delta("2")]

    assert await settled(TransformerChain([Returns(pair), later]).process(delta())) == pair
    assert await settled(TransformerChain([Returns(tuple(pair)), later]).process(delta())) == pair
    assert await settled(TransformerChain([Returns(None), later]).process(delta())) == []
    assert all(event.metadata["marks"] == ["l", "l"] for event in pair)


async def test_a_failure_cannot_be_dropped() -> None:
    error = failure()

    assert await settled(TransformerChain([Returns(None)]).process(error)) == [error]
    other = delta()
    assert await settled(TransformerChain([Returns(other)]).process(error)) == [other, error]


@pytest.mark.parametrize("broken", [Raises(), RaisesLater(KeyError("k")), Returns(7), Returns([7])])
async def test_a_broken_transformer_is_logged_once_and_the_event_goes_on(
    broken: EventTransformer, caplog: pytest.LogCaptureFixture
) -> None:
    faults = UserErrorLog()
    chain = TransformerChain([broken, Mark("after")], faults)
    events = [delta("1"), delta("2")]

    passed = [one for event in events for one in await settled(chain.process(event))]

    assert passed == events
    assert events[0].metadata["marks"] == ["after"]
    assert faults.count == 2
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info


async def test_one_that_fails_closed_drops_deltas_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chain = TransformerChain([Closed()])

    assert chain.process(delta()) == []
    assert chain.process(usage()) == [usage()]
    assert isinstance((await settled(chain.process(failure())))[0], StreamErrorEvent)


async def test_a_cancelled_wait_inside_a_transformer_is_a_fault_and_not_our_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = delta()
    chain = TransformerChain([RaisesLater(asyncio.CancelledError())])

    assert await settled(chain.process(event)) == [event]
    assert await settled(chain.finish()) == []
    assert len(caplog.records) == 1


async def test_our_own_cancellation_passes_through_a_transformer() -> None:
    begun = asyncio.Event()

    class Waits(EventTransformer):
        async def transform(self, event: StreamEvent) -> StreamEvent:
            begun.set()
            await asyncio.Event().wait()
            return event

    task = asyncio.ensure_future(settled(TransformerChain([Waits()]).process(delta())))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_finish_passes_what_was_held_through_the_transformers_after_it_once() -> None:
    chain = TransformerChain([Mark("before"), Hold(), Mark("after"), Hold(), Mark("last")])
    for text in "ab":
        assert chain.process(delta(text)) == []

    released = chain.finish()

    assert isinstance(released, list)
    assert texts(released) == ["a", "b"]
    assert released[0].metadata["marks"] == ["before", "after", "last"]
    assert chain.finish() == []


async def test_finish_may_be_asynchronous_anywhere() -> None:
    class HoldLater(Hold):
        def for_stream(self) -> HoldLater:
            return HoldLater()

        async def finish(self) -> list[StreamEvent]:  # type: ignore[override]  # or awaitable
            return Hold.finish(self)

    chain = TransformerChain([Hold(), AsyncMark("m"), HoldLater(), Bare(), AsyncMark("n")])
    chain.process(delta("a"))

    released = await settled(chain.finish())

    assert texts(released) == ["a"]
    assert released[0].metadata["marks"] == ["m", "n"]


@pytest.mark.parametrize(
    "broken", [Raises(), RaisesLater(KeyError("k")), Returns(None, finish="text")]
)
async def test_a_finish_that_fails_releases_nothing_and_is_logged(
    broken: EventTransformer, caplog: pytest.LogCaptureFixture
) -> None:
    faults = UserErrorLog()

    assert await settled(TransformerChain([broken], faults).finish()) == []
    assert faults.count == 1


def test_a_start_that_cannot_be_observed_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    faults = UserErrorLog()

    TransformerChain([Bare(), Raises(), Mark("m")], faults).observe_start(start())

    assert faults.count == 1


def test_the_base_class_asks_for_a_transform() -> None:
    with pytest.raises(NotImplementedError):
        EventTransformer().transform(delta())


# --- faults -----------------------------------------------------------------------------------


def test_a_fault_is_logged_once_for_each_source(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[str] = []
    faults = UserErrorLog(counted.append)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            faults.report("filter", test_the_base_class_asks_for_a_transform, "gone", ValueError())
            faults.report("handler", faults, "gone", ValueError())

    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "test_the_base_class" in caplog.text
    assert faults.count == len(counted) == 6


async def test_what_an_awaitable_gives_comes_without_a_fault() -> None:
    assert await await_user_code(asyncio.sleep(0, "done")) == ("done", None)
