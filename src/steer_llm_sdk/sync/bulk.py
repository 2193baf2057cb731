"""Many prompts, for a plain ``for`` loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, Unpack, overload

from steer_llm_sdk.bulk import DEFAULT_CONCURRENCY, Prompts, ResultStream
from steer_llm_sdk.calls import CallKeywords, ItemKeywords
from steer_llm_sdk.checks import refuse_yielding
from steer_llm_sdk.client import SteerLLMClient
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.bulk import OnProgress, Progress, PromptResult, TokenCount
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.user_errors import USER_ERRORS, UserErrorLog, to_await
from steer_llm_sdk.progress import ProgressBar
from steer_llm_sdk.stored import Live
from steer_llm_sdk.sync.callbacks import outcome
from steer_llm_sdk.sync.feed import Feed
from steer_llm_sdk.sync.thread import LoopThread


class Wired(Protocol):
    """A blocking client, as its own methods see it."""

    _client: SteerLLMClient
    _thread: LoopThread


class ManyPrompts:
    """The methods of a blocking client for many prompts."""

    @overload
    def map(
        self: Wired,
        prompts: Prompts,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        on_progress: OnProgress | None = None,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> SyncResultStream[Answer]: ...

    @overload
    def map(
        self: Wired,
        prompts: Prompts,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        on_progress: OnProgress | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> SyncResultStream: ...

    def map(
        self: Wired,
        prompts: Prompts,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        on_progress: OnProgress | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> SyncResultStream:
        """Answer many prompts, several at a time: ``for result in client.map(…)``.

        See `SteerLLMClient.map`. `on_progress` is called in the caller's thread, as results are
        taken.
        """
        results = self._client.map(
            prompts,
            model,
            temperature,
            max_tokens,
            streaming_options,
            concurrency=concurrency,
            **arguments,
        )
        return SyncResultStream(results, self._thread, on_progress, self)

    @overload
    def gather(
        self: Wired,
        prompts: Prompts,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        on_progress: OnProgress | None = None,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> list[PromptResult[Answer]]: ...

    @overload
    def gather(
        self: Wired,
        prompts: Prompts,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        on_progress: OnProgress | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> list[PromptResult]: ...

    def gather(
        self: Wired,
        prompts: Prompts,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        on_progress: OnProgress | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> list[PromptResult]:
        """Answer many prompts, several at a time, in their order: see `SteerLLMClient.gather`."""
        results = ManyPrompts.map(
            self,
            prompts,
            model,
            temperature,
            max_tokens,
            streaming_options,
            concurrency=concurrency,
            on_progress=on_progress,
            **arguments,
        )
        with results:
            return sorted(results, key=lambda result: result.index)

    def count_tokens(
        self: Wired,
        messages: object,
        model: str,
        streaming_options: StreamingOptions | None = None,
        *,
        exact: bool = False,
        **arguments: Unpack[CallKeywords],
    ) -> TokenCount:
        """Count the tokens that a prompt would take: see `SteerLLMClient.count_tokens`."""
        return self._thread.run(
            self._client.count_tokens(messages, model, streaming_options, exact=exact, **arguments)
        )


class SyncResultStream(Live, Generic[Answer]):
    """The results of many prompts, as they finish, for a plain ``for`` loop. Use it in a ``with``.

    Args:
        results: The results of the asynchronous client.
        thread: Where its prompts are answered.
        on_progress: Called as results are taken.
        owner: Kept as long as this: a client that is collected ends its streams.
    """

    def __init__(
        self,
        results: ResultStream[Answer],
        thread: LoopThread,
        on_progress: OnProgress | None = None,
        owner: object = None,
    ) -> None:
        self.progress = results.progress
        self._owner = owner
        self._thread = thread
        self._is_closed = False
        self._leave = results.leave
        self._feed: Feed[PromptResult[Answer]] = Feed(results, thread, reads_ahead=False)
        self._faults = UserErrorLog()
        self._bar = ProgressBar(self.progress.total) if on_progress == "bar" else None
        self._on_progress: Any = self._bar or on_progress
        if self._on_progress is not None and not callable(self._on_progress):
            raise ConfigurationError(
                f'on_progress: expected a function or "bar", found {on_progress!r:.80}'
            )
        refuse_yielding("on_progress", self._on_progress)

    def cancel(self, reason: str = "the prompts were cancelled") -> None:
        """End all that is being asked. From any thread."""
        self._feed.call(self._feed.source.cancel, reason)

    def close(self) -> None:
        """Leave: what is being asked ends."""
        self._is_closed = True
        self._feed.call(self._leave)
        self._feed.leave("the results were left before their end")
        self._end_bar()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[PromptResult[Answer]]:
        return self

    def __next__(self) -> PromptResult[Answer]:
        if self._is_closed:
            raise StopIteration
        try:
            result = self._feed.take()
        except BaseException:
            self._end_bar()
            raise
        self.progress = self.progress.after(result)
        self._note_progress(self.progress)
        return result

    def _note_progress(self, progress: Progress) -> None:
        if self._on_progress is None:
            return
        error: BaseException | None = None
        try:
            awaited = to_await(self._on_progress(progress))
            if awaited is not None:
                error = self._thread.run(outcome(awaited))
        except USER_ERRORS as raised:
            error = raised
        if error is not None:
            self._faults.report("callback", self._on_progress, "the prompts go on", error)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        feed = getattr(self, "_feed", None)
        if feed is None or feed.is_left or not feed.is_running:
            return
        feed.leave("nobody takes the results any more", waits=False)
