"""The thread that has the file of a `SQLiteStore`: `FileThread`.

An executor of `concurrent.futures` is three times as dear: each call has a lock and a condition
there, and two futures. What is handed over fifty times a second is worth the few lines.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

_Result = TypeVar("_Result")

# What is to be called, with what, and who waits for it; None ends the thread.
_Job: TypeAlias = "tuple[Callable[..., Any], tuple[Any, ...], asyncio.Future[Any] | None] | None"


class FileThread:
    """Calls functions in one thread, one after another, for one event loop.

    The thread begins with the first call, and ends when it is told to, or when nobody has this any
    more. It is a daemon: what nobody waits for does not hold up the end of the process.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] | None = None
        self._is_over = False

    async def run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Call a function, after those of earlier calls. One that has not begun is given up."""
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._put((work, arguments, future))
        return await future

    def end(self, work: Callable[[], object] | None = None) -> None:
        """End the thread, when it has done what it was asked, and this."""
        if work is not None:
            self._put((work, (), None))
        self._is_over = True
        if self._jobs is not None:
            self._jobs.put(None)

    def _put(self, job: _Job) -> None:
        if self._is_over:
            raise RuntimeError("the file of the journal was closed")
        if self._jobs is None:
            jobs: SimpleQueue[_Job] = SimpleQueue()
            threading.Thread(target=_work, args=(jobs,), name="steer-journal", daemon=True).start()
            self._jobs = jobs
        self._jobs.put(job)

    def __del__(self) -> None:
        if self._jobs is not None:
            self._jobs.put(None)


def _work(jobs: SimpleQueue[_Job]) -> None:
    while (job := jobs.get()) is not None:
        _do(*job)
        del job  # nothing is kept that it was about


def _do(
    work: Callable[..., Any], arguments: tuple[Any, ...], future: asyncio.Future[Any] | None
) -> None:
    if future is not None and future.cancelled():
        return
    result: Any = None
    error: BaseException | None = None
    try:
        result = work(*arguments)
    except BaseException as raised:  # noqa: BLE001 - whatever it is, it is of who waits for it
        error = raised
    if future is not None:
        with suppress(RuntimeError):  # the loop is closed
            future.get_loop().call_soon_threadsafe(_settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # who has given up is told nothing
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
