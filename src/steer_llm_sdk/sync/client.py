"""`SyncSteerLLMClient`: the same methods, blocking."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from steer_llm_sdk.client import Callback, SteerLLMClient
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.sync.streams import SyncEventStream, SyncTextStream
from steer_llm_sdk.sync.thread import LoopThread
from steer_llm_sdk.transport.base import Transport


class SyncSteerLLMClient:
    """`SteerLLMClient` for code without an event loop: the same methods, blocking.

    It may be used from several threads at once. Callbacks run in the caller's thread; an
    asynchronous one is run to its end there.

    Args:
        openai_api_key: As in `SteerLLMClient`.
        anthropic_api_key: As in `SteerLLMClient`.
        xai_api_key: As in `SteerLLMClient`.
        providers: As in `SteerLLMClient`.
        transport: As in `SteerLLMClient`.
        clock: As in `SteerLLMClient`.
    """

    def __init__(
        self,
        openai_api_key: str | None = None,
        anthropic_api_key: str | None = None,
        xai_api_key: str | None = None,
        *,
        providers: Mapping[str, ProviderSettings] | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = SteerLLMClient(
            openai_api_key,
            anthropic_api_key,
            xai_api_key,
            providers=providers,
            transport=transport,
            clock=clock,
        )
        self._thread = LoopThread()
        # A client that nobody closes ends with the process, or when it is collected.
        self._finalizer = weakref.finalize(self, _shut_down, self._client, self._thread)

    def stream_with_usage(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: Callback | None = None,
        on_delta: Callback | None = None,
        on_usage: Callback | None = None,
        on_complete: Callback | None = None,
        on_error: Callback | None = None,
        **arguments: Any,
    ) -> StreamingResponse:
        """Stream an answer, with a callback for each kind of event: see `SteerLLMClient`."""
        options = streaming_options or StreamingOptions()
        manager = EventManager(
            on_start,
            on_delta,
            on_usage,
            on_complete,
            on_error,
            raise_errors=options.raise_callback_errors,
            slow_warning_ms=0,  # the caller's thread has no loop to block
        )
        raises = on_error is None if options.raise_on_error is None else options.raise_on_error
        events = self.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        with events, asyncio.Runner() as runner:
            for event in _without_error(events):
                _deliver(manager, event, runner)
        error = events.response.error
        if error is not None and raises:
            raise error
        return events.response

    def stream_events(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Any,
    ) -> SyncEventStream:
        """Stream an answer as an iterator of events: see `SteerLLMClient`."""
        events = self._client.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        return SyncEventStream(events, self._thread)

    def stream(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Any,
    ) -> SyncTextStream:
        """Stream the words of an answer: ``for text in client.stream(…)``."""
        return SyncTextStream(
            self.stream_events(
                messages, model, temperature, max_tokens, streaming_options, **arguments
            )
        )

    def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Any,
    ) -> StreamingResponse:
        """Get a whole answer: see `SteerLLMClient`."""
        return self._thread.run(
            self._client.generate(
                messages, model, temperature, max_tokens, streaming_options, **arguments
            )
        )

    def close(self) -> None:
        """End the streams that still run, close the connections, and end the thread."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _shut_down(client: SteerLLMClient, thread: LoopThread) -> None:
    if thread.is_running:
        thread.run(client.close())
        thread.stop()


def _without_error(events: SyncEventStream) -> Iterator[StreamEvent]:
    """The events of a stream; the error that follows its error event is left to the response."""
    try:
        yield from events
    except SteerError:
        if events.response.error is None:
            raise


def _deliver(manager: EventManager, event: StreamEvent, runner: asyncio.Runner) -> None:
    if manager.is_async(event.type):
        runner.run(manager.deliver((event,)))
        return
    # Nothing in it waits, so it runs through at once, without an event loop.
    try:
        manager.deliver((event,)).send(None)
    except StopIteration:
        return
