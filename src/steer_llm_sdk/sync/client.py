"""`SyncSteerLLMClient`: the same methods, blocking."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack, overload

from steer_llm_sdk.calls import METHODS, CallKeywords, ItemKeywords, place_in_client
from steer_llm_sdk.checks import NUMBER, with_advice, with_hints
from steer_llm_sdk.client import SteerLLMClient
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.journal.base import Journal, check_journal
from steer_llm_sdk.models.callbacks import (
    CompleteCallback,
    DeltaCallback,
    ErrorCallback,
    StartCallback,
    UsageCallback,
)
from steer_llm_sdk.models.listing import ModelInfo
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import Answer, Item
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pools import DEFAULT_MAX_GENERATIONS
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.stored import Shared
from steer_llm_sdk.sync.bulk import ManyPrompts
from steer_llm_sdk.sync.callbacks import BlockingManager, call_back
from steer_llm_sdk.sync.streams import (
    SyncAttached,
    SyncEventStream,
    SyncItemsStream,
    SyncTextStream,
)
from steer_llm_sdk.sync.thread import LoopThread
from steer_llm_sdk.sync.tools import ToolRuns
from steer_llm_sdk.transport.base import Transport


@with_advice(place_in_client)
@with_hints(METHODS)
class SyncSteerLLMClient(Shared, ManyPrompts, ToolRuns):
    """`SteerLLMClient` for code without an event loop: the same methods, blocking.

    It may be used from several threads at once, and after a ``fork``. Its streams run in the event
    loop of a thread of its own. Plain callbacks run in the caller's thread, asynchronous ones in
    that loop; each is finished before the next event.

    A blocking method that is called in that loop's thread (in an asynchronous callback, a filter, a
    transformer or a batch handler) raises a `ConfigurationError`: it would wait for itself.

    Args:
        openai_api_key: As in `SteerLLMClient`.
        anthropic_api_key: As in `SteerLLMClient`.
        xai_api_key: As in `SteerLLMClient`.
        providers: As in `SteerLLMClient`.
        transport: As in `SteerLLMClient`.
        clock: As in `SteerLLMClient`.
        sinks: As in `SteerLLMClient`.
        max_generations: As in `SteerLLMClient`.
        max_streams: As in `SteerLLMClient`.
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
        sinks: Sequence[Sink] = (),
        max_generations: int = DEFAULT_MAX_GENERATIONS,
        max_streams: int | None = None,
    ) -> None:
        self._client = SteerLLMClient(
            openai_api_key,
            anthropic_api_key,
            xai_api_key,
            providers=providers,
            transport=transport,
            clock=clock,
            sinks=sinks,
            max_generations=max_generations,
            max_streams=max_streams,
        )
        self._thread = LoopThread()
        self._journals: weakref.WeakSet[Journal] = weakref.WeakSet()
        # A client that nobody closes ends with the process, or when it is collected.
        ending = partial(_close_all, self._client, self._journals)
        weakref.finalize(self, self._thread.shut_down, ending)

    @property
    def stats(self) -> ClientStats:
        """What became of its streams, in numbers."""
        return self._client.stats

    @overload
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
        *,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> StreamingResponse[Answer]: ...

    @overload
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
    ) -> StreamingResponse: ...

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
        stream = self._client.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        options = streaming_options or StreamingOptions()
        is_strict = options.raise_callback_errors
        manager = BlockingManager(
            on_start,
            on_delta,
            on_usage,
            on_complete,
            on_error,
            run_in_loop=self._thread.run,
            raise_errors=is_strict,
        )
        # What comes after an event whose callback ends the stream must not have been read.
        with SyncEventStream(stream, self._thread, self, reads_ahead=not is_strict) as events:
            try:
                error = call_back(manager, events) or events.response.error
            finally:
                self._note_callback_errors(events.response, manager.faults.count)
        raises = on_error is None if options.raise_on_error is None else options.raise_on_error
        if error is not None and raises:
            raise error
        return events.response

    @overload
    def stream_events(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> SyncEventStream[Answer]: ...

    @overload
    def stream_events(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> SyncEventStream: ...

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
        return SyncEventStream(events, self._thread, self)

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
        texts = self._client.stream(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        return SyncTextStream(texts, self._thread, self)

    @overload
    def stream_items(
        self,
        messages: object,
        item_type: type[Item],
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[ItemKeywords],
    ) -> SyncItemsStream[Item]: ...

    @overload
    def stream_items(
        self,
        messages: object,
        item_type: Any,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[ItemKeywords],
    ) -> SyncItemsStream: ...

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
        items = self._client.stream_items(
            messages, item_type, model, temperature, max_tokens, streaming_options, **arguments
        )
        return SyncItemsStream(items, self._thread, self)

    @overload
    def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> StreamingResponse[Answer]: ...

    @overload
    def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> StreamingResponse: ...

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

    def start(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        journal: Journal,
        key: str | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> str:
        """Begin an answer apart from the caller: see `SteerLLMClient`.

        It runs in the client's own thread; `attach` and `stop` are for code without an event loop.
        """
        self._journals.add(check_journal(journal))
        return self._thread.run(
            self._client.start(
                messages,
                model,
                temperature,
                max_tokens,
                streaming_options,
                journal=journal,
                key=key,
                **arguments,
            )
        )

    def attach(self, stream_id: str, *, journal: Journal, after: int = -1) -> SyncAttached:
        """Follow a stream that a journal holds, as an iterator of events: see `Journal.attach`."""
        self._journals.add(check_journal(journal))
        return SyncAttached(journal.attach(stream_id, after), self._thread, self)

    def stop(
        self, stream_id: str, *, journal: Journal, reason: str = "the stream was stopped"
    ) -> bool:
        """Stop the generation of a stream, wherever it runs: see `Journal.stop`."""
        self._journals.add(check_journal(journal))
        return self._thread.run(journal.stop(stream_id, reason))

    def models(
        self,
        provider: str,
        streaming_options: StreamingOptions | None = None,
        *,
        api_key: str | Callable[[], Any] | None = None,
    ) -> list[ModelInfo]:
        """List the models that a provider offers: see `SteerLLMClient.models`."""
        return self._thread.run(self._client.models(provider, streaming_options, api_key=api_key))

    def close(self, grace: float = 0.0) -> None:
        """End the streams that still run, close the connections, and end the thread.

        What journals have open for this client is closed, too. It may be used again after.

        Args:
            grace: As in `SteerLLMClient`.
        """
        NUMBER.check("grace", grace)
        self._thread.shut_down(partial(_close_all, self._client, self._journals, grace))

    def _note_callback_errors(self, response: StreamingResponse, count: int) -> None:
        async def note() -> None:
            self.stats.note_callback_errors(response, count)

        if count:  # in the loop, where all else is counted
            self._thread.run(note())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


async def _close_all(
    client: SteerLLMClient, journals: weakref.WeakSet[Journal], grace: float = 0.0
) -> None:
    """Close a client, and what journals have in its loop, which then ends."""
    await client.close(grace)
    for journal in tuple(journals):
        await journal.close()
