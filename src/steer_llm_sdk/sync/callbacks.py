"""Callbacks of a blocking call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol, TypeAlias

from steer_llm_sdk.errors import CallbackError, SteerError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.pipeline.user_errors import to_await
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.sync.thread import Work

RunInLoop: TypeAlias = Callable[[Work[BaseException | None]], BaseException | None]


class BlockingManager(EventManager):
    """Calls listeners in the caller's thread; what has to be awaited is, in the client's loop.

    So an asynchronous listener runs in a loop that serves the whole client, whether the caller's
    thread has one or not.

    Args:
        callbacks: As `EventManager` takes them.
        run_in_loop: Runs a coroutine in the client's loop, and waits for it.
        raise_errors: As in `EventManager`.
    """

    def __init__(self, *callbacks: Any, run_in_loop: RunInLoop, raise_errors: bool) -> None:
        super().__init__(*callbacks, raise_errors=raise_errors)
        self._run_in_loop = run_in_loop

    def call(self, event: StreamEvent) -> None:
        """Call the listeners of an event, one after another, each finished before the next.

        Raises:
            CallbackError: A listener raised, and `raise_errors` is set.
        """
        for listener, _ in self._listeners[event.type]:
            try:
                result = listener(event)
                if result is not None and (awaited := to_await(result)) is not None:
                    self._wait_for(awaited)
            # A cancellation too: this thread runs no task that could be meant by it.
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - foreign code
                self._report(listener, event, error)

    def _wait_for(self, result: Awaitable[Any]) -> None:
        error = self._run_in_loop(outcome(result))
        if error is not None:
            raise error


async def outcome(result: Awaitable[Any]) -> BaseException | None:
    """Wait for what a listener returned.

    Returns:
        What it raised; it may be anything, and is raised in the caller's thread. In the loop, an
        exit would end the loop, and a cancellation would look like the end of the wait.
    """
    task = asyncio.current_task()
    try:
        await result
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return error
    return None


class Stream(Protocol):
    """A stream for a plain ``for`` loop."""

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far."""
        ...

    def __iter__(self) -> Iterator[StreamEvent]:
        """Its events."""
        ...

    def fail(self, error: SteerError) -> None:
        """End it in this error; its last events can still be taken."""
        ...


def call_back(manager: BlockingManager, events: Stream) -> CallbackError | None:
    """Call the listeners of all events; what the stream fails in is left to its response.

    Returns:
        The error in which a listener has ended the stream.
    """
    failure: CallbackError | None = None
    try:
        for event in events:
            try:
                manager.call(event)
            except CallbackError as error:
                if failure is None:  # the last events still come
                    failure = error
                    error.partial_response = events.response
                    events.fail(error)
    except SteerError:
        if events.response.error is None:
            raise
    return failure
