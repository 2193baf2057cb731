"""Many prompts: their answers as they finish, or in order; and how many tokens a prompt takes.

Strategy. A few workers share the prompts, which are taken one by one as there is room, so that they
may come from a file or a database of any length. Results wait in a bounded queue: a consumer who is
slow slows the workers, and nothing is asked that nobody takes. What works is one object (`_Work`),
and what the consumer holds another (`ResultStream`): when that is dropped, left, or belongs to a
task that ends, the work ends too.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from operator import length_hint
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, Unpack, overload

from steer_llm_sdk.calls import CallKeywords, ItemKeywords
from steer_llm_sdk.checks import POSITIVE, refuse_yielding
from steer_llm_sdk.engine.counting import count_exactly
from steer_llm_sdk.engine.encodings import estimate_prompt
from steer_llm_sdk.errors import ConfigurationError, SteerError, StreamCancelledError
from steer_llm_sdk.models.bulk import OnProgress, Progress, PromptResult, TokenCount
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.user_errors import USER_ERRORS, UserErrorLog, await_user_code, to_await
from steer_llm_sdk.pools import Pool
from steer_llm_sdk.progress import ProgressBar
from steer_llm_sdk.stored import Live
from steer_llm_sdk.streaming.ownership import Owner
from steer_llm_sdk.tasks import check_loop, start_task, until_ended
from steer_llm_sdk.wiring import Wired

Prompts: TypeAlias = Iterable[Any] | AsyncIterable[Any]
Ask: TypeAlias = Callable[[Any], Awaitable[StreamingResponse]]

DEFAULT_CONCURRENCY = 8

# What comes after the last result.
_END: Any = object()


class ManyPrompts:
    """The methods of a client for many prompts."""

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
    ) -> ResultStream[Answer]: ...

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
    ) -> ResultStream: ...

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
    ) -> ResultStream:
        """Answer many prompts, several at a time: ``async for result in client.map(…)``.

        Results come as they finish, each with its `index`, and its `response` or its `error`: one
        prompt that fails ends nothing. Leave it early in an ``async with``: that ends what runs.

        Args:
            prompts: What would be `messages` in a call of its own, for each; a list, or anything
                that gives them one by one, asynchronously too. They are taken as there is room.
            model: As in `stream_with_usage`.
            temperature: As in `stream_with_usage`.
            max_tokens: As in `stream_with_usage`.
            streaming_options: As in `stream_with_usage`.
            concurrency: How many are asked at a time.
            on_progress: Called with a `Progress` after each, plain or asynchronous; ``"bar"`` shows
                a bar on a terminal (extra ``progress``).
            **arguments: As in `stream_with_usage`.

        Raises:
            ConfigurationError: The calls cannot be made as they were asked for.
        """

        async def ask(messages: object) -> StreamingResponse:
            plan = self._plan(
                messages, model, temperature, max_tokens, streaming_options, arguments
            )
            return await self._stream(plan, None, raises=True).run()

        # What is wrong with every call is refused now; what is wrong with one prompt is its result.
        self._plan("any", model, temperature, max_tokens, streaming_options, arguments)
        return ResultStream(_Work(prompts, ask, concurrency, on_progress), self._here)

    @overload
    async def gather(
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
    async def gather(
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

    async def gather(
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
        """Answer many prompts, several at a time, and give the results in the prompts' order.

        The arguments are those of `map`.

        Raises:
            ConfigurationError: The calls cannot be made as they were asked for.
        """
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
        async with results:
            return sorted([each async for each in results], key=lambda result: result.index)

    async def count_tokens(
        self: Wired,
        messages: object,
        model: str,
        streaming_options: StreamingOptions | None = None,
        *,
        exact: bool = False,
        **arguments: Unpack[CallKeywords],
    ) -> TokenCount:
        """Count the tokens that a prompt would take, its tools and its schema included.

        Args:
            messages: As in `stream_with_usage`.
            model: As in `stream_with_usage`.
            streaming_options: Limits and retries of the request, with `exact`.
            exact: Ask the provider, which is a request; else it is estimated here.
            **arguments: As in `stream_with_usage`.

        Raises:
            ConfigurationError: The call cannot be made as it was asked for, or `exact` is asked of
                a provider that has no endpoint for it.
            SteerError: The request failed.
        """
        plan = self._plan(messages, model, None, None, streaming_options, arguments)
        if not exact:
            return await estimate_prompt(plan.targets[0])
        return await count_exactly(plan, await self._here().transport(), self._clock, random.random)


# Where nobody knows how many prompts there are.
_MOST_WORKERS = 10_000


class _Work:
    """The prompts, those who answer them, and the results that nobody has taken yet."""

    def __init__(
        self, prompts: Prompts, ask: Ask, concurrency: int, on_progress: OnProgress | None
    ) -> None:
        POSITIVE.check("concurrency", concurrency)
        self.progress = Progress(total=_count(prompts))
        self._bar = ProgressBar(self.progress.total) if on_progress == "bar" else None
        self._on_progress: Any = self._bar or on_progress
        if self._on_progress is not None and not callable(self._on_progress):
            raise ConfigurationError(
                f'on_progress: expected a function or "bar", found {on_progress!r:.80}'
            )
        refuse_yielding("on_progress", self._on_progress)
        self._prompts = _numbered(prompts)
        self._turn = asyncio.Lock()  # of whoever takes the next prompt
        self._ask = ask
        # No more workers than there are prompts: who wants no limit says a large number.
        most = _MOST_WORKERS if self.progress.total is None else max(self.progress.total, 1)
        self._workers = min(concurrency, most)
        self._results: asyncio.Queue[PromptResult] = asyncio.Queue()
        self._room = asyncio.Semaphore(concurrency)  # for results that nobody has taken
        self._faults = UserErrorLog()
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None  # what ends it all
        self.is_left = False

    async def run(self) -> None:
        """Answer all prompts. Never raises: the consumer is told."""
        try:
            self._tasks = {start_task(self._answer_some()) for _ in range(self._workers)}
            await self._wait_for_all()
        except asyncio.CancelledError:
            self.cancel("the event loop ended while prompts were answered")
        finally:
            if self._bar is not None:
                self._bar.close()
            self._results.put_nowait(_END)
            await self._prompts.aclose()

    async def take(self) -> PromptResult | None:
        """Wait for the next result; None after the last. Given up, may be called again.

        Raises:
            StreamCancelledError: It was ended by others: the client was closed.
            Exception: What the prompts' own iterator has raised.
        """
        result = await self._results.get()
        if result is not _END:
            self._room.release()
            return result
        self._results.put_nowait(_END)
        error, self._error = self._error, None
        if error is not None and not self.is_left:
            raise error
        return None

    def cancel(self, reason: str) -> None:
        """End all that is being asked. May be called more than once, and after the end."""
        if self._error is None:
            self._error = StreamCancelledError(reason)
        for task in self._tasks:
            task.cancel()

    def leave_behind(self, reason: str) -> None:
        """End with the loop: those who answer were cancelled by it."""
        self.cancel(reason)

    def leave(self) -> None:
        """Nobody wants more of it."""
        self.is_left = True
        self.cancel("nobody takes the results any more")

    async def _wait_for_all(self) -> None:
        """Wait for the workers; one that fails ends the others."""
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    self._error = self._error or error
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def _answer_some(self) -> None:
        while (taken := await self._next_prompt()) is not None:
            result = await self._answer(*taken)
            self.progress = self.progress.after(result)
            await self._note_progress()
            await self._room.acquire()
            self._results.put_nowait(result)

    async def _next_prompt(self) -> tuple[int, Any] | None:
        async with self._turn:
            return await anext(self._prompts, None)

    async def _answer(self, index: int, messages: object) -> PromptResult:
        try:
            return PromptResult(index, await self._ask(messages))
        except SteerError as error:
            return PromptResult(index, error=error)

    async def _note_progress(self) -> None:
        if self._on_progress is None:
            return
        try:
            awaited = to_await(self._on_progress(self.progress))
        except USER_ERRORS as error:
            self._faults.report("callback", self._on_progress, "the prompts go on", error)
            return
        if awaited is not None:
            _, raised = await await_user_code(awaited)
            if raised is not None:
                self._faults.report("callback", self._on_progress, "the prompts go on", raised)


class ResultStream(Live, Generic[Answer]):
    """The results of many prompts, as they finish.

    ::

        async with client.map(prompts, "gpt-4o-mini", concurrency=8) as results:
            async for result in results:
                print(result.index, result.response or result.error)

    Nothing is asked before the first result is wanted. Outside of an ``async with`` it belongs to
    the task that iterates it, and ends with it.

    Args:
        work: What answers the prompts.
        here: What the client has in the running loop.
    """

    def __init__(self, work: _Work, here: Callable[[], Pool]) -> None:
        self._work = work
        self._here = here
        self._owner = Owner(self)
        self._is_entered = False
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def progress(self) -> Progress:
        """How far the prompts have come."""
        return self._work.progress

    def cancel(self, reason: str = "the prompts were cancelled") -> None:
        """End all that is being asked; iterating then ends in a `StreamCancelledError`."""
        self._work.cancel(reason)

    def leave(self) -> None:
        """Leave without waiting: nothing more is given, and what is being asked ends."""
        self._work.leave()

    async def aclose(self) -> None:
        """Leave: what is being asked ends, and is waited for."""
        self._work.leave()
        self._owner.release()
        if self._task is not None:
            await until_ended(self._task)

    def disown(self, task: asyncio.Task[Any]) -> None:
        """The task that iterated the results has ended."""
        if self._owner.is_(task):
            self._work.leave()

    async def __aenter__(self) -> Self:
        self._is_entered = True
        self._owner.release()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        if not self._is_entered:
            self._owner.take()
        return self

    async def __anext__(self) -> PromptResult[Answer]:
        if self._task is None:
            if self._work.is_left:
                raise StopAsyncIteration
            here, self._loop = self._here(), asyncio.get_running_loop()
            here.streams.add(self._work)
            self._task = here.keep(self._work.run())
        check_loop(self._loop, "what answers the prompts")
        result = await self._work.take()
        if result is None:
            self._owner.release()
            raise StopAsyncIteration
        return result

    def __del__(self) -> None:
        if self._task is None or self._loop is None or self._task.done():
            return
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._work.leave)


def _count(prompts: Prompts) -> int | None:
    """How many prompts there are, where that can be known without taking them."""
    if isinstance(prompts, str | bytes | Mapping) or not isinstance(
        prompts, Iterable | AsyncIterable
    ):
        raise ConfigurationError(
            f"prompts: expected a list of prompts, found {type(prompts).__name__}"
        )
    known = length_hint(prompts, -1)
    return None if known < 0 else known


async def _numbered(prompts: Prompts) -> AsyncGenerator[tuple[int, Any], None]:
    index = 0
    if isinstance(prompts, AsyncIterable):
        async for prompt in prompts:
            yield index, prompt
            index += 1
        return
    for prompt in prompts:
        yield index, prompt
        index += 1
