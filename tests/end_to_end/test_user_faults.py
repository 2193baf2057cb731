"""User code that raises, blocks or is cancelled: the stream is what it would have been without."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from steer_llm_sdk import CallbackError, ProviderSettings, SteerLLMClient
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    EventFilter,
    EventProcessor,
    EventTransformer,
)
from steer_llm_sdk.testing import (
    ErrorInStream,
    LoopbackServer,
    Pace,
    Script,
    ScriptedProvider,
    Stall,
)

WORDS = ("Hello", " wide", " world")
SCRIPT = Script(WORDS, usage=(12, 7))
LOGGER = "steer_llm_sdk"


# --- what user code does ----------------------------------------------------------------------


def raises() -> None:
    raise ValueError("the user's own fault")


def raises_cancelled() -> None:
    raise asyncio.CancelledError("not a cancellation of this stream")


async def raises_later() -> None:
    await asyncio.sleep(0)
    raise ValueError("the user's own fault")


async def awaits_something_cancelled() -> None:
    other = asyncio.ensure_future(asyncio.sleep(60))
    other.cancel()
    await other


async def raises_cancelled_later() -> None:
    raise asyncio.CancelledError


FAULTS = [raises, raises_cancelled, raises_later, awaits_something_cancelled]
FAULTS += [raises_cancelled_later]
PLAIN_FAULTS = [raises, raises_cancelled]


def blocks() -> None:
    time.sleep(0.06)


async def takes_long() -> None:
    await asyncio.sleep(0.06)


# --- where it does it -------------------------------------------------------------------------

Deed = Callable[[], Any]


class Filters(EventFilter):
    """Does it once it has seen the event; a fault drops the event."""

    def __init__(self, deed: Deed) -> None:
        self._deed = deed

    def should_process(self, event: StreamEvent) -> bool:
        self._deed()
        return True


class Transforms(EventTransformer):
    def __init__(self, deed: Deed) -> None:
        self._deed = deed

    def transform(self, event: StreamEvent) -> Any:
        result = self._deed()
        return event if result is None else _then(result, event)


class Closed(Transforms):
    fails_closed: ClassVar[bool] = True


class Finishes(EventTransformer):
    def __init__(self, deed: Deed) -> None:
        self._deed = deed

    def transform(self, event: StreamEvent) -> StreamEvent:
        return event

    def finish(self) -> Any:
        return self._deed()


async def _then(result: Any, event: StreamEvent) -> StreamEvent:
    await result
    return event


@dataclass
class Ran:
    """What came of one stream."""

    response: StreamingResponse
    client: SteerLLMClient
    events: list[StreamEvent] = field(default_factory=list)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


async def run(options: StreamingOptions | None = None, **callbacks: Any) -> Ran:
    """One stream, with all callbacks that are not given collecting."""
    events: list[StreamEvent] = []
    kinds = ("on_start", "on_delta", "on_usage", "on_complete")

    def collect(event: StreamEvent) -> None:
        events.append(event)

    async with SteerLLMClient(openai_api_key="x", transport=ScriptedProvider(SCRIPT)) as client:
        response = await client.stream_with_usage(
            "Hi",
            "gpt-4o",
            streaming_options=options,
            **(dict.fromkeys(kinds, collect) | callbacks),
        )
        return Ran(response, client, events)


def assert_untouched(ran: Ran) -> None:
    response = ran.response
    assert response.ok
    assert response.get_text() == "Hello wide world"
    assert response.usage is not None
    assert response.usage["total_tokens"] == 19
    assert response.finish_reason == "stop"
    assert ran.client.stats.completed == 1


def assert_logged_once(caplog: pytest.LogCaptureFixture, kind: str) -> None:
    (record,) = [one for one in caplog.records if one.exc_info]
    assert record.getMessage().startswith(kind)
    assert record.levelno == logging.ERROR
    assert "Traceback" in caplog.text


# --- raises, or is cancelled ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["on_start", "on_delta", "on_usage", "on_complete"])
@pytest.mark.parametrize("deed", FAULTS)
async def test_a_callback(kind: str, deed: Deed, caplog: pytest.LogCaptureFixture) -> None:
    def callback(_event: StreamEvent) -> Any:
        return deed()

    callbacks: dict[str, Any] = {kind: callback}
    ran = await run(**callbacks)

    assert_untouched(ran)
    assert_logged_once(caplog, "callback")
    times = 3 if kind == "on_delta" else 1
    assert ran.client.stats.callback_errors == times
    assert ran.response.metadata["callback_errors"] == times
    assert len(ran.events) == 6 - times


@pytest.mark.parametrize("deed", PLAIN_FAULTS)
async def test_a_filter(deed: Deed, caplog: pytest.LogCaptureFixture) -> None:
    processor = EventProcessor([Filters(deed)])
    ran = await run(StreamingOptions(event_processor=processor))

    assert_untouched(ran)
    assert_logged_once(caplog, "filter")
    assert processor.metrics.filter_errors == processor.metrics.events_filtered == 6
    assert ran.events == []


@pytest.mark.parametrize("deed", FAULTS)
async def test_a_transformer(deed: Deed, caplog: pytest.LogCaptureFixture) -> None:
    processor = EventProcessor(transformers=[Transforms(deed)])
    ran = await run(StreamingOptions(event_processor=processor))

    assert_untouched(ran)
    assert_logged_once(caplog, "transformer")
    assert processor.metrics.transformer_errors == 6
    assert ran.types == ["start", "delta", "delta", "delta", "usage", "complete"]


@pytest.mark.parametrize("deed", FAULTS)
async def test_a_transformer_at_the_end(deed: Deed, caplog: pytest.LogCaptureFixture) -> None:
    processor = EventProcessor(transformers=[Finishes(deed)])
    ran = await run(StreamingOptions(event_processor=processor))

    assert_untouched(ran)
    assert_logged_once(caplog, "transformer")
    assert processor.metrics.transformer_errors == 1
    assert len(ran.events) == 6


@pytest.mark.parametrize("deed", FAULTS)
async def test_a_text_transformer(deed: Deed, caplog: pytest.LogCaptureFixture) -> None:
    ran = await run(StreamingOptions(text_transformers=[Transforms(deed), Finishes(deed)]))

    assert_untouched(ran)
    assert len([one for one in caplog.records if one.exc_info]) == 2
    assert ran.client.stats.transformer_errors == 4
    assert ran.response.metadata["transformer_errors"] == 4
    assert ran.events[-1].metadata["transformer_errors"] == 4
    assert len(ran.events) == 6


@pytest.mark.parametrize("deed", FAULTS)
async def test_a_text_transformer_that_fails_closed(deed: Deed) -> None:
    ran = await run(StreamingOptions(text_transformers=[Closed(deed)]))

    assert ran.response.ok
    assert ran.response.get_text() == ""
    assert ran.types == ["start", "usage", "complete"]


@pytest.mark.parametrize("deed", FAULTS)
async def test_a_batch_handler(deed: Deed, caplog: pytest.LogCaptureFixture) -> None:
    batches: list[list[StreamEvent]] = []

    def handle(batch: list[StreamEvent]) -> Any:
        batches.append(batch)
        return deed()

    processor = BatchedEventProcessor(batch_size=2, batch_handler=handle)
    ran = await run(StreamingOptions(event_processor=processor))

    assert_untouched(ran)
    assert_logged_once(caplog, "handler")
    assert processor.metrics.handler_errors == 3
    assert [len(batch) for batch in batches] == [2, 2, 2]
    assert len(ran.events) == 6


class Bursts(EventTransformer):
    """Raises when a stream begins."""

    def __init__(self, deed: Deed) -> None:
        self._deed = deed

    def transform(self, event: StreamEvent) -> StreamEvent:
        return event

    def observe_start(self, event: StreamEvent) -> None:
        self._deed()


@pytest.mark.parametrize("deed", PLAIN_FAULTS)
async def test_a_transformer_that_cannot_look_at_the_start(
    deed: Deed, caplog: pytest.LogCaptureFixture
) -> None:
    processor = EventProcessor(transformers=[Bursts(deed)])
    ran = await run(StreamingOptions(event_processor=processor))

    assert_untouched(ran)
    assert_logged_once(caplog, "transformer")
    assert processor.metrics.transformer_errors == 1


class Unavailable(Transforms):
    """Has no instance for a stream, by raising or by giving something else."""

    def for_stream(self) -> Any:
        return self._deed()


class UnavailableAndClosed(Unavailable):
    fails_closed: ClassVar[bool] = True


@pytest.mark.parametrize("deed", PLAIN_FAULTS)
async def test_a_transformer_that_cannot_serve_a_stream(
    deed: Deed, caplog: pytest.LogCaptureFixture
) -> None:
    processor = EventProcessor(transformers=[Unavailable(deed)])
    ran = await run(StreamingOptions(event_processor=processor))

    assert_untouched(ran)
    assert_logged_once(caplog, "transformer")
    assert processor.metrics.transformer_errors == 1
    assert len(ran.events) == 6


@pytest.mark.parametrize("deed", [*PLAIN_FAULTS, lambda: None])
async def test_a_text_transformer_that_cannot_serve_a_stream(deed: Deed) -> None:
    passed = await run(StreamingOptions(text_transformers=[Unavailable(deed)]))
    dropped = await run(StreamingOptions(text_transformers=[UnavailableAndClosed(deed)]))

    assert_untouched(passed)
    assert passed.client.stats.transformer_errors == 1
    assert dropped.response.ok
    assert dropped.response.get_text() == ""


@pytest.mark.parametrize("deed", FAULTS)
async def test_an_observer(deed: Deed) -> None:
    """Its exception is its own task's; what it no longer reads holds up nobody."""

    async def observe(stream: Any) -> None:
        async with stream.subscribe(maxsize=1) as events:
            async for _ in events:
                result = deed()
                if result is not None:
                    await result

    async with SteerLLMClient(openai_api_key="x", transport=ScriptedProvider(SCRIPT)) as client:
        async with client.stream_events("Hi", "gpt-4o") as stream:
            observer = asyncio.create_task(observe(stream))
            await asyncio.sleep(0)
            events = [event async for event in stream]
            outcome = (await asyncio.gather(observer, return_exceptions=True))[0]

        assert isinstance(outcome, ValueError | asyncio.CancelledError)
        assert_untouched(Ran(stream.response, client))
        assert [event.type for event in events][-2:] == ["usage", "complete"]
        assert len(events) == 6


async def test_an_observer_whose_task_is_cancelled_while_it_waits() -> None:
    async with SteerLLMClient(openai_api_key="x", transport=ScriptedProvider(SCRIPT)) as client:
        async with client.stream_events("Hi", "gpt-4o") as stream:
            lost = stream.subscribe(maxsize=2, overflow="drop_oldest")
            waiting = asyncio.ensure_future(anext(lost))
            await asyncio.sleep(0)
            waiting.cancel()
            events = [event async for event in stream]

        assert len(events) == 6
        assert lost.max_lag <= 4
        assert_untouched(Ran(stream.response, client))


# --- blocks, or takes its time ----------------------------------------------------------------


@pytest.mark.parametrize("deed", [blocks, takes_long])
async def test_only_a_callback_that_blocks_is_named_in_a_warning(
    deed: Deed, caplog: pytest.LogCaptureFixture
) -> None:
    def my_slow_callback(_event: StreamDeltaEvent) -> Any:
        return deed()

    ran = await run(on_delta=my_slow_callback)

    assert_untouched(ran)
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == (1 if deed is blocks else 0)
    assert all("my_slow_callback" in warning for warning in warnings)


async def test_the_threshold_of_the_warning_is_an_option(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def quick(_event: StreamDeltaEvent) -> None:
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass

    await run(StreamingOptions(slow_callback_warning_ms=1), on_delta=quick)
    assert len(caplog.records) == 1
    caplog.clear()
    await run(StreamingOptions(slow_callback_warning_ms=0), on_delta=quick)

    assert caplog.records == []


async def test_time_in_user_code_counts_for_no_limit() -> None:
    """More than any limit in every place where user code runs, while the provider goes on."""
    done: set[str] = set()

    def blocks_in(where: str) -> Deed:
        def once() -> None:
            if where not in done:
                done.add(where)
                time.sleep(0.4)

        return once

    def my_callback(_event: StreamEvent) -> None:
        blocks_in("callback")()

    processor = BatchedEventProcessor(
        [Filters(blocks_in("filter"))],
        [Transforms(blocks_in("transformer")), Finishes(blocks_in("finish"))],
        batch_size=2,
        batch_handler=lambda _batch: blocks_in("handler")(),
    )
    options = StreamingOptions(
        idle_timeout=0.3,
        first_event_timeout=0.3,
        stall_timeout=0.3,
        event_processor=processor,
        text_transformers=[Transforms(blocks_in("text"))],
    )
    paced = Script(WORDS, usage=(12, 7), faults=[Pace(0.05)])
    with LoopbackServer(paced).in_thread() as server:
        async with client_of(server) as client:
            response = await client.stream_with_usage(
                "Hi", "gpt-4o", streaming_options=options, on_delta=my_callback
            )

    assert done == {"callback", "filter", "transformer", "finish", "handler", "text"}
    assert_untouched(Ran(response, client))


# --- raise_callback_errors --------------------------------------------------------------------


def client_of(server: LoopbackServer) -> SteerLLMClient:
    return SteerLLMClient(
        providers={"openai": ProviderSettings(api_key="x", base_url=server.base_url("openai"))}
    )


@pytest.mark.parametrize("deed", FAULTS)
@pytest.mark.parametrize("kind", ["on_start", "on_delta", "on_usage", "on_complete"])
async def test_a_callback_error_ends_the_stream_when_that_is_asked_for(
    kind: str, deed: Deed
) -> None:
    called: list[StreamEvent] = []
    failed: list[StreamErrorEvent] = []

    def callback(event: StreamEvent) -> Any:
        called.append(event)
        return deed()

    options = StreamingOptions(raise_callback_errors=True, raise_on_error=True)
    callbacks: dict[str, Any] = {kind: callback, "on_error": failed.append}
    is_early = kind in {"on_start", "on_delta"}
    script = Script(WORDS, faults=[Stall(1)] if is_early else [])
    async with LoopbackServer(script) as server, client_of(server) as client:
        with pytest.raises(CallbackError, match="callback") as caught:
            await client.stream_with_usage("Hi", "gpt-4o", streaming_options=options, **callbacks)
        if kind == "on_delta":
            await server.wait_for(lambda: server.connections.open == 0)

    assert len(called) == 1
    assert isinstance(caught.value.__cause__, ValueError | asyncio.CancelledError)
    # After complete there is no second ending.
    assert len(failed) == (1 if is_early else 0)
    assert all(event.error is caught.value for event in failed)


async def test_an_on_error_that_raises_is_called_once_and_its_error_is_the_streams() -> None:
    called: list[StreamErrorEvent] = []

    def on_error(event: StreamErrorEvent) -> None:
        called.append(event)
        raise ValueError("in on_error")

    options = StreamingOptions(raise_callback_errors=True, raise_on_error=True)
    script = Script(WORDS, faults=[ErrorInStream(1)])
    async with LoopbackServer(script) as server, client_of(server) as client:
        with pytest.raises(CallbackError, match="on_error"):
            await client.stream_with_usage(
                "Hi", "gpt-4o", streaming_options=options, on_error=on_error
            )
        assert len(called) == 1
        assert client.stats.failed == 1


async def test_with_on_error_a_callback_error_is_returned() -> None:
    failed: list[StreamErrorEvent] = []
    ran = await run(
        StreamingOptions(raise_callback_errors=True),
        on_delta=lambda _event: raises(),
        on_error=failed.append,
    )

    assert isinstance(ran.response.error, CallbackError)
    assert ran.response.error.partial_response is ran.response
    assert [event.error for event in failed] == [ran.response.error]
    assert ran.client.stats.errors == {"CallbackError": 1}
    assert [type(event) for event in ran.events[-1:]] == [StreamUsageEvent]
    assert not any(isinstance(event, StreamCompleteEvent) for event in ran.events)
