"""Threads for what the loop of a blocking client must not wait for: looking up names, loading code.

asyncio's own executor takes no work once the main thread has ended. A script that starts threads
and has nothing left to do ends its main thread at once, and its threads call the client all the
same: so a client's loop has an executor that works as long as any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.thread import ThreadPoolExecutor  # by its place: it cannot be loaded late
from functools import partial
from typing import Any, ParamSpec, TypeVar

from steer_llm_sdk.engine.threads import ProcessThreads

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")

# As many as asyncio has at most; others wait for their turn.
_MOST_THREADS = 32


class _Call:
    """A call, and the future of what it gives."""

    is_left = False
    is_told = False

    def __init__(self, function: Callable[[], Any]) -> None:
        self.done: Future[Any] = Future()
        self._function = function

    def run(self) -> None:
        """Call the function, unless nobody waits for it any more."""
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            given = self._function()
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            self.done.set_exception(error)
        else:
            self.done.set_result(given)


class LoopExecutor(ThreadPoolExecutor):
    """The default executor of a loop. Its threads are daemons, and end with their work.

    Of its base it has the name alone, which asyncio asks for.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self._threads_of_loop = ProcessThreads(_MOST_THREADS)

    def submit(
        self,
        fn: Callable[_Arguments, _Result],
        /,
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> Future[_Result]:
        """Call a function in a thread: see `concurrent.futures.Executor`."""
        call = _Call(partial(fn, *args, **kwargs))
        self._threads_of_loop.begin(call)
        return call.done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing is waited for: what a thread still does is of no use any more."""
