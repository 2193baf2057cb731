"""Work of a stream that goes on when whoever waits for it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from steer_llm_sdk.tasks import start_sharing_task, until_ended

_Result = TypeVar("_Result")


class Underway(Generic[_Result]):
    """Holds one piece of work that a stream has begun, and its result until somebody takes it.

    The work runs in a task of its own. Cancelling whoever waits in `settle` (a heartbeat around
    ``anext``, say) leaves it running, and the next one who waits gets its result.

    Attributes:
        is_busy: Whether work was begun whose result nobody has taken. Asked once a network read, so
            it is no property.
    """

    __slots__ = ("_task", "is_busy")

    def __init__(self) -> None:
        self._task: asyncio.Task[_Result] | None = None
        self.is_busy = False

    def begin(self, work: Coroutine[Any, Any, _Result]) -> None:
        """Begin a piece of work; there must be none.

        Raises:
            AssertionError: The result of the last one was not taken.
        """
        if self._task is not None:
            work.close()
            raise AssertionError("the stream is still at the work that it began before")
        self._task = start_sharing_task(work)
        self.is_busy = True

    async def settle(self) -> _Result:
        """Wait for the work, and take its result.

        Raises:
            WorkCancelledError: The work itself was cancelled.
            asyncio.CancelledError: Whoever waits here was cancelled; the work goes on.
        """
        task = self._task
        if task is None:
            raise AssertionError("nothing was begun")
        await until_ended(task)
        self._task = None
        self.is_busy = False
        if task.cancelled():
            raise WorkCancelledError
        return task.result()

    async def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Begin a piece of work and wait for it, as `begin` and `settle`."""
        self.begin(work)
        return await self.settle()

    @property
    def is_within(self) -> bool:
        """Whether this is the task of the work itself."""
        return self._task is not None and asyncio.current_task() is self._task

    async def comes_before(self, other: asyncio.Future[None]) -> bool:
        """Wait for the work or for `other`: whether the work is done. Its result is not taken."""
        task = self._task
        if task is None:
            raise AssertionError("nothing was begun")
        if not task.done():  # or else whoever gives up after a moment would never get its result
            await asyncio.wait((task, other), return_when=asyncio.FIRST_COMPLETED)
        return task.done()

    def cancel(self) -> None:
        """Cancel the work, if there is any."""
        if self._task is not None:
            self._task.cancel()


class WorkCancelledError(Exception):
    """Work of a stream was cancelled, rather than whoever waits for it."""
