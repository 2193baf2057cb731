"""The steps of one stream: what may follow what, and what a step leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.engine.steps import FOLLOWS, Step
from steer_llm_sdk.errors import ConnectionLostError, ServerError, StreamCancelledError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import EventTransformer
from steer_llm_sdk.testing import (
    Close,
    HTTPError,
    ManualClock,
    Raise,
    Script,
    ScriptedProvider,
    Stall,
)
from support.leaving import rounds, until
from support.opening import pump_under

Answer = Any


async def pump_of(*answers: Answer, options: StreamingOptions | None = None) -> Pump:
    provider = ScriptedProvider(*answers)
    client = SteerLLMClient("test", "test", transport=provider, clock=QuickRetries())
    stream = client.stream_events("?", "gpt-4o", streaming_options=options)
    return await pump_under(stream)


class QuickRetries(ManualClock):
    """Time stands still, and a pause takes none."""

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(0)


async def events_of(pump: Pump) -> list[StreamEvent]:
    seen: list[StreamEvent] = []
    while (batch := await pump.next_batch()) is not None:
        seen += batch
    return seen


async def test_a_stream_goes_through_its_steps_in_order() -> None:
    pump = await pump_of(Script(["Hello"]))
    steps = [pump.step]

    while (batch := await pump.next_batch()) is not None:
        list(batch)
        if pump.step is not steps[-1]:
            steps.append(pump.step)

    assert steps == [Step.BEGIN, Step.OPEN, Step.READ, Step.JUDGE, Step.CONCLUDE, Step.OVER]
    assert await pump.next_batch() is None


@pytest.mark.parametrize("step", Step, ids=lambda step: step.name)
async def test_what_may_not_follow_is_refused(step: Step) -> None:
    pump = await pump_of("Hello")
    for other in Step:
        pump.step = step
        if other in FOLLOWS[step]:
            pump._go(other)
            assert pump.step is other
        else:
            with pytest.raises(AssertionError, match=f"from {step.name} to {other.name}"):
                pump._go(other)


async def test_the_error_of_an_attempt_is_not_told_of_the_next() -> None:
    """The first body breaks before its first delta; the second lacks its marker, and no more."""
    broken = Script(["Hello"], faults=[Raise(ConnectionLostError("the first"), 0)])
    unfinished = Script(["Hello"], has_end=False, finish=None)

    pump = await pump_of(broken, unfinished, options=StreamingOptions(max_retries=1))
    events = await events_of(pump)

    assert [event.type for event in events] == ["start", "delta", "usage", "error"]
    assert "the first" not in str(pump.response.error)
    assert type(pump.response.error).__name__ == "IncompleteStreamError"


class Held(EventTransformer):
    """Holds all text back, and waits at the end until it is let go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self._held: list[StreamEvent] = []

    def transform(self, event: StreamEvent) -> StreamEvent | None:
        if isinstance(event, StreamDeltaEvent):
            self._held.append(event)
            return None
        return event

    async def finish(self) -> list[StreamEvent]:
        self.reached.set()
        await self.opened.wait()
        return self._held


async def test_a_stream_that_is_stopped_while_held_text_is_finished_ends_in_that() -> None:
    held = Held()
    pump = await pump_of("Hello", options=StreamingOptions(text_transformers=[held]))
    reading = asyncio.create_task(events_of(pump))
    await held.reached.wait()

    pump.stop(StreamCancelledError("stopped"))
    held.opened.set()
    events = await reading

    assert [event.type for event in events] == ["start", "delta", "usage", "error"]
    assert str(pump.response.error) == "stopped"
    assert not pump.is_stopped  # what has come now is delivered, and no listener is passed over


async def _give_up_each(pump: Pump, rounds: int) -> list[StreamEvent]:
    """Ask for each batch in a task that is cancelled after some rounds of the loop."""
    seen: list[StreamEvent] = []
    while True:
        task = asyncio.ensure_future(pump.next_batch())
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            batch = task.result()
            if batch is None:
                return seen
            seen += batch


@pytest.mark.parametrize("rounds", range(2, 9))
@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([HTTPError(500), Script(["Hello", " world"])], id="retried"),
        pytest.param([HTTPError(401)], id="refused"),
        pytest.param([Script(["Hello"], faults=[Close(after=1)])], id="cut"),
    ],
)
async def test_a_step_that_is_given_up_is_gone_on_with(answers: list[Any], rounds: int) -> None:
    undisturbed = await events_of(await pump_of(*answers))

    found = await _give_up_each(await pump_of(*answers), rounds)

    assert [event.type for event in found] == [event.type for event in undisturbed]


Stop = Callable[[Pump], Iterable[StreamEvent]]


async def test_a_stop_tells_its_error_at_once() -> None:
    pump = await pump_of(Script(["Hello", " world"], faults=[Stall(after=1)]))
    while pump.step is not Step.READ:
        list(await pump.next_batch() or ())
    error = StreamCancelledError("stopped")

    pump.stop(error)
    pump.stop(StreamCancelledError("too late"))

    assert pump.response.error is error
    assert not pump.is_open
    assert [event.type for event in await events_of(pump)][-1] == "error"
    assert pump.response.error is error


async def test_a_stream_that_is_stopped_gives_no_notice_any_more() -> None:
    options = StreamingOptions(notices=True)
    pump = await pump_of(HTTPError(503), Script(), options=options)
    while pump.step is not Step.PAUSE:
        await pump.next_batch()  # the notice of the retry waits in it

    pump.stop(StreamCancelledError("stopped"))

    assert [event.type for event in await events_of(pump)] == ["error"]


async def test_cancelling_all_tasks_of_the_loop_ends_the_stream() -> None:
    """As a server that shuts down hard does; the reader itself is spared here."""
    pump = await pump_of(Script(["Hello"], faults=[Stall("request")]))
    reading = asyncio.create_task(events_of(pump))
    await until(lambda: pump._underway.is_busy)
    await rounds(2)

    pump._underway.cancel()
    events = await reading

    assert [event.type for event in events] == ["start", "error"]
    assert isinstance(pump.response.error, StreamCancelledError)


async def test_a_failure_is_counted_once() -> None:
    pump = await pump_of(*[HTTPError(500)] * 3)

    await events_of(pump)

    assert isinstance(pump.response.error, ServerError)
    assert pump._stats.failed == 1
    assert pump._stats.retries == 2


@pytest.mark.parametrize("wait", range(30))
async def test_a_stream_can_be_stopped_after_any_number_of_rounds(wait: int) -> None:
    """Before the task of a step has begun, too."""
    pump = await pump_of(HTTPError(503), Script(["a", "b"]))
    reading = asyncio.create_task(events_of(pump))
    await rounds(wait)
    pump.stop(StreamCancelledError("enough"))

    events = await reading

    assert events[-1].type in {"complete", "error"}
    assert [event.type for event in events].count("error") <= 1
    assert pump.step is Step.OVER
