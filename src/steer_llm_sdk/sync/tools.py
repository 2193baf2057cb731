"""Functions that a model calls, for code without an event loop."""

from __future__ import annotations

from typing import Generic, Protocol, Unpack, overload
from weakref import WeakSet

from steer_llm_sdk.calls import read_options
from steer_llm_sdk.client import SteerLLMClient
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.journal.base import Journal, check_journal
from steer_llm_sdk.models.callbacks import (
    CompleteCallback,
    DeltaCallback,
    ErrorCallback,
    StartCallback,
    UsageCallback,
)
from steer_llm_sdk.models.events import AnyEvent
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sync.callbacks import BlockingManager, call_back
from steer_llm_sdk.sync.streams import SyncStream
from steer_llm_sdk.sync.thread import LoopThread
from steer_llm_sdk.tools import RunResult, RunStream
from steer_llm_sdk.tools.client import RunKeywords, TypedRunKeywords


class Wired(Protocol):
    """A blocking client, as its own methods see it."""

    _client: SteerLLMClient
    _thread: LoopThread
    _journals: WeakSet[Journal]


class ToolRuns:
    """The methods of a blocking client that run tools."""

    @overload
    def run(
        self: Wired,
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
        **arguments: Unpack[TypedRunKeywords],
    ) -> RunResult[Answer]: ...

    @overload
    def run(
        self: Wired,
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
        **arguments: Unpack[RunKeywords],
    ) -> RunResult: ...

    def run(
        self: Wired,
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
        **arguments: Unpack[RunKeywords],
    ) -> RunResult:
        """Ask, run the functions that the model calls, and ask again: see `SteerLLMClient.run`.

        Plain functions run in threads of their own, asynchronous ones in the client's loop.
        """
        options = read_options(streaming_options)
        is_strict = options.raise_callback_errors
        run = self._client.run_events(
            messages, model, temperature, max_tokens, options, **arguments
        )
        manager = BlockingManager(
            on_start,
            on_delta,
            on_usage,
            on_complete,
            on_error,
            run_in_loop=self._thread.run,
            raise_errors=is_strict,
        )
        raises = on_error is None if options.raise_on_error is None else options.raise_on_error
        with SyncRunStream(run, self._thread, self, reads_ahead=not is_strict) as events:
            error = call_back(manager, events) or events.result.error
            result = events.result
        if error is not None:
            error.run = result
            if raises:
                raise error
        return result

    @overload
    def run_events(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[TypedRunKeywords],
    ) -> SyncRunStream[Answer]: ...

    @overload
    def run_events(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> SyncRunStream: ...

    def run_events(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> SyncRunStream:
        """Run as `run`, and give the events of all turns: see `SteerLLMClient.run_events`."""
        run = self._client.run_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        return SyncRunStream(run, self._thread, self)

    def start_run(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        journal: Journal,
        key: str | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> str:
        """Begin a run apart from the caller: see `SteerLLMClient.start_run`."""
        self._journals.add(check_journal(journal))
        return self._thread.run(
            self._client.start_run(
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


class SyncRunStream(SyncStream[AnyEvent], Generic[Answer]):
    """The events of a run, for a plain ``for`` loop. Use it in a ``with``."""

    def __init__(
        self,
        run: RunStream[Answer],
        thread: LoopThread,
        owner: object = None,
        *,
        reads_ahead: bool = True,
    ) -> None:
        super().__init__(run, thread, owner, reads_ahead=reads_ahead)
        self._run = run

    @property
    def result(self) -> RunResult[Answer]:
        """What the run has come to so far; whole when it has ended."""
        return self._run.result

    def fail(self, error: SteerError) -> None:
        """End the turn in this error, and the run with it."""
        self._feed.call(self._run.fail, error)
