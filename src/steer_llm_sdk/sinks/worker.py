"""The thread in which a client's sinks are told: `Worker`.

Calls come through a bounded queue; one that finds it full is dropped and counted. What ends
something that a sink knows of is never dropped: where too many ends wait, nothing more is begun.
They gather for a moment before they are made: each time that the thread wakes up, it takes the
interpreter from the streams, and finds the processor's caches cold.
The thread begins with the first call, and ends when it is told to, or with the process: then what
waits is told first, as long as that takes no more than a few seconds.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeAlias

from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.forking import ForkSafe

_log = logging.getLogger("steer_llm_sdk.sinks")

# One call to the sinks, or to whoever waits for those before it. It does not raise.
Call: TypeAlias = Callable[[], object]

# … and whether it ends something.
_Waiting: TypeAlias = tuple[Call, bool]

# How many calls may wait: events, for those who ask for them, and as many ends.
MAX_WAITING = 10_000

# How long the end of the process waits for the sinks, in seconds.
_GRACE = 5.0

# How long a call may wait for others, to be told and written down with them, in seconds.
_LINGER = 0.25

# Calls between two `flush`es, when more and more wait.
_BATCH = 1_000


class Worker(ForkSafe):
    """Tells sinks, in a thread of its own, until `stop`. For one process.

    A fork waits for the call that is being made.

    Args:
        sinks: Who is told.
        stats: Where drops and errors are counted.
        max_waiting: How many calls may wait, and how many ends.
    """

    comes_first = True

    def __init__(self, sinks: tuple[Sink, ...], stats: ClientStats, max_waiting: int) -> None:
        super().__init__()
        self._sinks = sinks
        self._stats = stats
        self._max_waiting = max_waiting
        self._calls: SimpleQueue[_Waiting | None] = SimpleQueue()  # None ends the thread
        self._ends: SimpleQueue[None] = SimpleQueue()  # one for each end that waits
        self._lock = threading.RLock()  # again: a client may be collected within it
        self._thread: _Thread | None = None
        self._unflushed = 0  # calls since the last flush
        self._hurry = threading.Lock()  # free where what gathers is wanted now
        self._hurry.acquire()

    def submit(self, call: Call) -> None:
        """Have the thread make this call. Never waits; one too many is dropped, and counted."""
        if self._calls.qsize() >= self._max_waiting:
            self._stats.sink_drops += 1
            return
        self._put(call, is_end=False)

    def submit_end(self, call: Call) -> None:
        """Have the thread make this call, which ends what was begun. Never waits, never drops."""
        self._ends.put(None)
        self._put(call, is_end=True)

    def may_begin(self) -> bool:
        """Whether something more may begin; where too many ends wait it may not, and is counted."""
        if self._ends.qsize() < self._max_waiting:
            return True
        self._stats.sink_drops += 1
        return False

    def when_told(self, call: Call) -> None:
        """Make this call once all that waits now was told and flushed, in whichever thread."""

        def settle() -> None:
            self._unflushed -= 1  # this call has told nothing
            self._flush()
            self._call("close")
            call()

        with self._lock:
            if self._thread is not None:
                self._calls.put((settle, False))
                self._tell_now()
                return
        call()

    def stop(self) -> None:
        """Have the thread end, when it has told what waits. Does not wait for it."""
        with self._lock:
            if self._thread is not None:
                self._calls.put(None)
                self._tell_now()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, in seconds."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _put(self, call: Call, *, is_end: bool) -> None:
        self._calls.put((call, is_end))
        if self._thread is None:
            self._begin()
        if self._calls.qsize() == self._max_waiting // 2:
            self._tell_now()

    def _tell_now(self) -> None:
        """Have what waits told without waiting for more. To free a lock takes no other one."""
        with suppress(RuntimeError):  # it is free already
            self._hurry.release()

    def _begin(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = _Thread(target=self._run, name="steer-llm-sdk-sinks", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no thread can be had, or the interpreter ends
                self._thread = None
                self._stats.sink_drops += self._calls.qsize()
                _log.warning("the sinks are not told: no thread can be started")
            else:
                _note_running(self)

    def _run(self) -> None:
        try:
            self._tell_all()
            self._flush()
            with self.lock:
                self._call("close")
        finally:
            self._end()

    def _tell_all(self) -> None:
        """Make the calls until there is to be none. Nothing of one is held after it."""
        waiting = self._gathered()
        while waiting is not None:
            call, is_end = waiting
            if is_end:
                self._ends.get_nowait()
            self._unflushed += 1
            with self.lock:
                call()
            del waiting, call
            if self._unflushed >= _BATCH:
                self._flush()
            waiting = self._next()

    def _end(self) -> None:
        """The thread ends; what came meanwhile begins another."""
        with self._lock:
            self._thread = None
            _running.discard(self)
            if not self._calls.empty():
                self._begin()

    def _next(self) -> _Waiting | None:
        """The next call. Where none waits, what was told is flushed, and more gathers."""
        try:
            return self._calls.get_nowait()
        except Empty:
            self._flush()
        return self._gathered()

    def _gathered(self) -> _Waiting | None:
        """The next call, after a moment in which others may come."""
        first = self._calls.get()
        self._hurry.acquire(timeout=_LINGER)
        return first

    def _flush(self) -> None:
        if self._unflushed:
            self._unflushed = 0
            with self.lock:
                self._call("flush")

    def _call(self, name: str) -> None:
        for sink in self._sinks:
            method = getattr(sink, name, None)
            if callable(method):
                tell(self._stats, sink, name, method)


def tell(
    stats: ClientStats, sink: Sink, what: str, method: Callable[..., object], *args: object
) -> None:
    """Call a method of a sink; what it raises is logged with its traceback, and counted.

    An exit or an interruption in a caller's thread is none of the sink's, and passes.
    """
    try:
        method(*args)
    except BaseException as error:
        if not (_is_workers() or isinstance(error, Exception | CancelledError)):
            raise
        stats.sink_errors += 1
        _log.exception("a sink raised in %s: %r", what, type(sink).__name__)


def _is_workers() -> bool:
    return isinstance(threading.current_thread(), _Thread)


class _Thread(threading.Thread):
    """The thread of a worker."""


# The workers whose threads run, in this process: those of the parent are not among them.
_running: set[Worker] = set()
os.register_at_fork(after_in_child=_running.clear)


def _note_running(worker: Worker) -> None:
    # Anew each time: what sinks write to may have registered meanwhile, and must end after them.
    atexit.unregister(_finish)
    atexit.register(_finish)
    _running.add(worker)


def _finish() -> None:
    """The process ends: what waits is told."""
    workers = tuple(_running)
    for worker in workers:
        worker.stop()
    for worker in workers:
        worker.join(_GRACE)
