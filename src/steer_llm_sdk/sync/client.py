"""`SyncSteerLLMClient`: the same methods, blocking."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from steer_llm_sdk.calls import CallKeywords, ItemKeywords
from steer_llm_sdk.client import SteerLLMClient
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.callbacks import (
    CompleteCallback,
    DeltaCallback,
    ErrorCallback,
    StartCallback,
    UsageCallback,
)
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.structured import ItemStream, read_item_type
from steer_llm_sdk.sync.callbacks import BlockingManager
from steer_llm_sdk.sync.streams import SyncEventStream, SyncItemsStream, SyncTextStream
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
        weakref.finalize(self, self._thread.shut_down, self._client.close)

    @property
    def stats(self) -> ClientStats:
        """What became of its streams, in numbers."""
        return self._client.stats

    def stream_with_usage(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> StreamingResponse:
        """Stream an answer, with a callback for each kind of event: see `SteerLLMClient`."""
        events = self.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        options = streaming_options or StreamingOptions()
        manager = BlockingManager(
            on_start,
            on_delta,
            on_usage,
            on_complete,
            on_error,
            raise_errors=options.raise_callback_errors,
            slow_warning_ms=0,  # the caller's thread has no loop to block
        )
        raises = on_error is None if options.raise_on_error is None else options.raise_on_error
        with events, manager:
            try:
                for event in _without_error(events):
                    manager.call(event)
            finally:
                self.stats.note_callback_errors(events.response, manager.faults.count)
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
        **arguments: Unpack[CallKeywords],
    ) -> SyncEventStream:
        """Stream an answer as an iterator of events: see `SteerLLMClient`."""
        events = self._client.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        return SyncEventStream(events, self._thread, owner=self)

    def stream(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> SyncTextStream:
        """Stream the words of an answer: ``for text in client.stream(…)``."""
        return SyncTextStream(
            self.stream_events(
                messages, model, temperature, max_tokens, streaming_options, **arguments
            )
        )

    def stream_items(
        self,
        messages: object,
        item_type: Any,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[ItemKeywords],
    ) -> SyncItemsStream:
        """Stream a list: ``for row in client.stream_items(…)``; see `SteerLLMClient`."""
        options = streaming_options or StreamingOptions()
        wanted = read_item_type(item_type, validate_schema=options.validate_schema)
        events = self.stream_events(
            messages, model, temperature, max_tokens, options, response_format=wanted, **arguments
        )
        return SyncItemsStream(events, ItemStream(wanted, json_extract=options.json_extract))

    def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> StreamingResponse:
        """Get a whole answer: see `SteerLLMClient`."""
        return self._thread.run(
            self._client.generate(
                messages, model, temperature, max_tokens, streaming_options, **arguments
            )
        )

    def close(self) -> None:
        """End the streams that still run, close the connections, and end the thread.

        The client may be used again after.
        """
        self._thread.shut_down(self._client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _without_error(events: SyncEventStream) -> Iterator[StreamEvent]:
    """The events of a stream; the error that follows its error event is left to the response."""
    try:
        yield from events
    except SteerError:
        if events.response.error is None:
            raise
