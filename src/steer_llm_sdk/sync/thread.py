"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

_Result = TypeVar("_Result")

# How long the end waits for streams to deliver their last events, in seconds.
_GRACE = 2.0


class Leavable(Protocol):
    """A stream that runs in the thread."""

    async def leave(self) -> None:
        """End it."""
        ...


class LoopThread:
    """An event loop in a thread of its own, started on first use.

    Attributes:
        streams: What runs in it, to be ended before it; only touched in the loop.
    """

    def __init__(self) -> None:
        self.streams: weakref.WeakSet[Leavable] = weakref.WeakSet()
        # Again from within it: a collected stream ends itself, whatever this thread is doing then.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._lock:
            if self._loop is None:
                ready: queue.SimpleQueue[asyncio.AbstractEventLoop] = queue.SimpleQueue()
                self._thread = threading.Thread(
                    target=_run_loop, args=(ready,), name="steer-llm-sdk", daemon=True
                )
                self._thread.start()
                self._loop = ready.get()
            return self._loop

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._loop is not None

    @property
    def is_current(self) -> bool:
        """Whether this is called in the loop's own thread, where nothing may wait for the loop."""
        return self._thread is threading.current_thread()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run `work` in the loop, and wait for it. A wait that is interrupted cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function` in the loop, and do not wait; nothing happens when it has stopped."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, *arguments)

    def shut_down(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """End the streams, then what `close` closes, then the thread. May be called again.

        In the loop's own thread, where a collected client may end up, nothing can be waited for:
        the loop cancels what is left in it.
        """
        if self.is_running and not self.is_current:
            self.run(self._end(close))
        self.stop()

    async def _end(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(_leave_all(tuple(self.streams)), _GRACE)
        await close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_GRACE)

    def stop(self) -> None:
        """End the loop and its thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join()


async def _leave_all(streams: Iterable[Leavable]) -> None:
    await asyncio.gather(*(stream.leave() for stream in streams))


def _run_loop(ready: queue.SimpleQueue[asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.call_soon(ready.put, loop)
        loop.run_forever()
