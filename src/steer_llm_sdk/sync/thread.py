"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class LoopThread:
    """An event loop in a thread of its own, started on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
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

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run `work` in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop()).result()

    def stop(self) -> None:
        """End the loop and its thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join()


def _run_loop(ready: queue.SimpleQueue[asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.call_soon(ready.put, loop)
        loop.run_forever()
