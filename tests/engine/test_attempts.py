"""What the pump does between attempts and at the end, and what an attempt leaves to the next."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.errors import (
    ConnectionLostError,
    OverloadedError,
    QuotaExceededError,
    SteerError,
    StreamCancelledError,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent, StreamUsageEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import EventTransformer
from steer_llm_sdk.testing import (
    Delay,
    EndEarly,
    ErrorInStream,
    HTTPError,
    ManualClock,
    Raise,
    Script,
    ScriptedProvider,
    Stall,
)
from support.every_format import FORMATS, settings_of
from support.leaving import rounds, until
from support.opening import pump_under

# They take cut answers up where they stand, and do not repeat their beginning.
RESUMING = ("ollama:m", "anthropic:m")


class Driven:
    """A pump, the network under it, and a clock that the test moves."""

    def __init__(
        self, *answers: Any, model: str = "gpt-4o", clock: ManualClock | None = None, **options: Any
    ) -> None:
        self.clock = clock or QuickPauses()
        self.network = ScriptedProvider(*answers, clock=self.clock)
        self.client = SteerLLMClient(
            providers=settings_of(), transport=self.network, clock=self.clock
        )
        self._model = model
        self._options = StreamingOptions(**options)

    async def pump(self) -> Pump:
        stream = self.client.stream_events("?", self._model, streaming_options=self._options)
        return await pump_under(stream)

    async def end(self) -> Pump:
        """Run a pump to its end."""
        pump = await self.pump()
        await events_of(pump)
        return pump


class QuickPauses(ManualClock):
    """Time stands still, and a pause takes none."""

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(0)


async def events_of(pump: Pump) -> list[StreamEvent]:
    seen: list[StreamEvent] = []
    while (batch := await pump.next_batch()) is not None:
        seen += batch
    return seen


def lost(said: str, after: int) -> Raise:
    return Raise(ConnectionLostError(said), after)


# --- an answer that is taken up -----------------------------------------------------------------


@pytest.mark.parametrize("model", RESUMING)
async def test_the_last_cut_is_told_when_the_answer_had_gone_on_after_the_first(model: str) -> None:
    driven = Driven(
        Script(["a", "b"], faults=[lost("the first", 1)]),
        Script(["b", "c"], faults=[lost("the second", 1)]),
        HTTPError(400),
        model=model,
        recovery="continue",
    )

    pump = await driven.end()

    assert str(pump.response.error) == "the second"
    assert pump.response.get_text() == "ab"
    assert [cut["message"] for cut in pump.response.metadata["recovered"]] == ["the first"]


async def test_the_cut_is_told_when_its_answer_is_refused_to_be_taken_up() -> None:
    driven = Driven(
        Script(["a", "b"], faults=[lost("the cut", 1)]),
        HTTPError(400),
        model=RESUMING[0],
        recovery="continue",
    )

    pump = await driven.end()

    assert str(pump.response.error) == "the cut"
    assert "recovered" not in pump.response.metadata


async def test_an_answer_that_says_nothing_more_has_not_gone_on() -> None:
    """Its beginning names the model and the answer again, which are no part of it."""
    driven = Driven(
        Script(["a", "b"], faults=[lost("the first", 1)]),
        Script(["b"], faults=[lost("the second", 0)]),
        HTTPError(400),
        model="anthropic:m",
        recovery="continue",
    )

    pump = await driven.end()

    assert str(pump.response.error) == "the first"
    assert "recovered" not in pump.response.metadata


# --- what is told -------------------------------------------------------------------------------


async def test_a_connection_that_broke_is_told_rather_than_that_the_answer_is_cut() -> None:
    pump = await Driven(Script(["a"], faults=[lost("the wire", 1)])).end()

    assert str(pump.response.error) == "the wire"


@pytest.mark.parametrize("header", ["x-request-id", "request-id"])
async def test_the_providers_name_of_the_request_is_told(header: str) -> None:
    pump = await Driven(Script(["a"], headers={header: "r9"})).end()

    assert pump.response.metadata["provider_request_id"] == "r9"


async def test_what_was_read_of_the_prompt_is_told_of_an_answer_without_a_word() -> None:
    """Anthropic tells the prompt's tokens first; those of the answer are still to be estimated."""
    pump = await Driven(Script(["a"], faults=[EndEarly(0)]), model="anthropic:m").pump()

    (usage,) = [event for event in await events_of(pump) if isinstance(event, StreamUsageEvent)]

    assert usage.is_estimated
    assert usage.usage["prompt_tokens"] == 12


class Broken(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent:
        raise ValueError("no")


async def test_mistakes_of_text_transformers_are_counted_in_the_clients_books() -> None:
    driven = Driven(Script(["a", "b"]), text_transformers=[Broken()])

    pump = await driven.end()

    assert pump.response.metadata["transformer_errors"] == 2
    assert driven.client.stats.transformer_errors == 2


# --- what a stop interrupts ---------------------------------------------------------------------


class Stuck(EventTransformer):
    """Never gives its delta back."""

    redacts = False

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    async def transform(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamDeltaEvent):
            self.reached.set()
            await asyncio.Event().wait()
        return event


async def test_a_stop_ends_what_text_transformers_are_still_at() -> None:
    stuck = Stuck()
    pump = await Driven(Script(["a"]), text_transformers=[stuck]).pump()
    reading = asyncio.create_task(events_of(pump))
    await stuck.reached.wait()

    pump.stop(StreamCancelledError("enough"))
    async with asyncio.timeout(5):
        events = await reading

    assert [event.type for event in events][-1] == "error"


async def test_a_stop_while_an_error_is_read_closes_its_response() -> None:
    driven = Driven(Script(faults=[HTTPError(500), Stall("headers")]))
    pump = await driven.pump()
    reading = asyncio.create_task(events_of(pump))
    await until(lambda: driven.network.responses)
    await rounds(3)

    pump.stop(StreamCancelledError("enough"))
    await reading

    (response,) = driven.network.responses
    assert response.was_aborted
    assert response.was_released


async def test_an_error_that_was_read_leaves_no_timer() -> None:
    driven = Driven(HTTPError(400))

    await driven.end()

    assert driven.clock.next_in is None


# --- which time counts --------------------------------------------------------------------------


async def test_the_time_in_which_a_wait_is_given_up_does_not_count() -> None:
    driven = Driven(Script(["a"], faults=[Stall(1)]), clock=ManualClock(), idle_timeout=30)
    pump = await driven.pump()
    while not pump.response.get_text():
        list(await pump.next_batch() or ())
    waiting = asyncio.ensure_future(pump.next_batch())
    await driven.clock.advance(20)
    waiting.cancel()
    await asyncio.wait((waiting,))

    await driven.clock.advance(1_000)
    waiting = asyncio.ensure_future(pump.next_batch())
    await driven.clock.advance(9)
    assert not waiting.done()
    await driven.clock.advance(1.5)
    await until(waiting.done)

    assert "idle_timeout" in str((await _end_of(pump)).error)


async def _end_of(pump: Pump) -> Any:
    await events_of(pump)
    return pump.response


@pytest.mark.parametrize("limit", ["idle_timeout", "first_event_timeout", "stall_timeout"])
async def test_no_limit_but_the_total_runs_while_a_retry_is_waited_for(limit: str) -> None:
    clock = ManualClock()
    busy = Script(["a"], faults=[ErrorInStream(0)])
    options: dict[str, Any] = {limit: 0.1, "max_retries": 1}
    driven = Driven(busy, Script(["fine"]), clock=clock, **options)
    pump = await driven.pump()
    reading = asyncio.create_task(events_of(pump))

    await clock.advance(10)
    await reading

    assert pump.response.error is None
    assert pump.response.get_text() == "fine"


async def test_the_total_runs_while_a_retry_is_waited_for() -> None:
    clock = ManualClock()
    driven = Driven(
        HTTPError(429, headers={"retry-after": "20"}), clock=clock, total_timeout=5, max_retries=1
    )
    pump = await driven.pump()
    reading = asyncio.create_task(events_of(pump))

    await clock.advance(10)
    await reading

    assert "total_timeout" in str(pump.response.error)


@pytest.mark.parametrize("seconds", [0.5, 8.0])
async def test_a_silence_before_the_first_event_is_no_stall(seconds: float) -> None:
    """A model that thinks for long is waited for by a limit of its own."""
    clock = ManualClock()
    driven = Driven(
        Script(["a"], faults=[Delay(seconds, "headers")]),
        clock=clock,
        stall_timeout=2,
        first_event_timeout=60,
    )
    pump = await driven.pump()
    reading = asyncio.create_task(events_of(pump))

    await clock.advance(10)
    await reading

    assert pump.response.error is None


# --- what is no stream --------------------------------------------------------------------------


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
async def test_a_page_in_place_of_a_stream_is_named_in_every_format(wire: str, end: bytes) -> None:
    page = b"<html>\n<title>Sign in</title>\n\n</html>" + end
    driven = Driven(HTTPError(200, body=page), model=f"{wire}:m")

    error = (await driven.end()).response.error

    assert "expected a stream, found an HTML page: Sign in" in str(error)


async def test_no_more_of_an_errors_body_is_told_than_may_be_read() -> None:
    driven = Driven(HTTPError(500, body=b"x" * 1_000), max_error_body_bytes=100, max_retries=0)

    error: Any = (await driven.end()).response.error

    assert error.body == "x" * 100


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error": {"message": "You exceeded your current quota"}}', QuotaExceededError),
        (b'{"error": {"message": "The engine is overloaded"}}', OverloadedError),
    ],
)
async def test_an_error_without_a_code_under_a_success_is_known_by_its_words(
    body: bytes, kind: type[SteerError]
) -> None:
    pump = await Driven(HTTPError(200, body=body), max_retries=0).end()

    assert type(pump.response.error) is kind
