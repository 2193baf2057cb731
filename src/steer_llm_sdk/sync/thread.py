"""An event loop in a thread of its own.

What belongs together is one object, a `Runtime`: a process, a loop, its thread, and the streams in
it. It is begun and ended as a whole. Whoever ends it first takes it away, so that those who call
meanwhile get another; and a child process begins one of its own, since a fork copies no thread.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from steer_llm_sdk.errors import ConfigurationError, StreamCancelledError
from steer_llm_sdk.sync.executor import LoopExecutor

_Result = TypeVar("_Result")
Work = Coroutine[Any, Any, _Result]

# How long the end waits for streams to deliver their last events, in seconds.
_GRACE = 2.0

CLOSED = "the client was closed while the stream ran"

_submit = asyncio.run_coroutine_threadsafe

# Which client's loop runs in this thread, and in which process it was begun.
_here = threading.local()


class Endable(Protocol):
    """A stream that runs in the loop."""

    async def end(self) -> None:
        """End it, and wait until it has given its last events."""
        ...


class Runtime:
    """A loop, its thread and its streams, from the beginning to the end. Begins at once.

    Args:
        owner: Whose loop it is.
    """

    def __init__(self, owner: LoopThread) -> None:
        self._streams: weakref.WeakSet[Endable] = weakref.WeakSet()
        self._owner = weakref.ref(owner)
        self._process_id = os.getpid()
        self._lock = threading.Lock()  # of what follows
        self._takes_work = True
        # The loop is made here, so that whoever cannot have one is told of it.
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        self._loop.set_default_executor(LoopExecutor())
        self._thread = threading.Thread(
            target=self._run, args=(runner,), name="steer-llm-sdk", daemon=True
        )
        try:
            self._thread.start()
        except BaseException:
            runner.close()
            raise

    @property
    def takes_work(self) -> bool:
        """Whether work can be submitted: in this process, before the end."""
        return self._takes_work and self._process_id == os.getpid()

    def submit(self, work: Work[_Result], stream: Endable | None = None) -> Future[_Result] | None:
        """Run `work` in the loop; None when the loop has ended. Nothing submitted is lost.

        Args:
            work: What to run.
            stream: The stream that it pulls, to be ended before the loop.
        """
        with self._lock:
            if self.takes_work:
                if stream is not None:
                    self._streams.add(stream)
                return _submit(work, self._loop)
        return None

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function` in the loop, and do not wait; nothing happens when it has ended.

        Takes no lock: the garbage collector may call it, whatever this thread is doing then.
        """
        if self.takes_work:
            with suppress(RuntimeError):  # it is closed in this moment
                self._loop.call_soon_threadsafe(function, *arguments)

    def end(self, close: Callable[[], Work[None]]) -> None:
        """End the streams, then what `close` closes, then the loop; wait for its thread."""
        try:
            future = self.submit(ending := self._end(close))
            if future is None:
                ending.close()
            else:
                wait_for(future)
        finally:
            self.stop()
            self.join()

    def stop(self) -> None:
        """Have the loop end: it cancels what is left in it."""
        with self._lock:
            takes_work, self._takes_work = self._takes_work, False
            if takes_work:
                self._loop.call_soon_threadsafe(self._loop.stop)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    async def _end(self, close: Callable[[], Work[None]]) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end_streams(), _GRACE)
        await close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_GRACE)

    async def _end_streams(self) -> None:
        with self._lock:
            streams = tuple(self._streams)
        await asyncio.gather(*(stream.end() for stream in streams))

    def _run(self, runner: asyncio.Runner) -> None:
        _here.client = (self._process_id, self._owner)
        # An exit that is raised in the loop ends it, and is raised again in the caller's thread.
        with suppress(SystemExit, KeyboardInterrupt):
            try:
                self._loop.run_forever()
            finally:
                with self._lock:
                    self._takes_work = False
                _close(runner)


@dataclass(slots=True)
class _ProcessState:
    """What there is in one process.

    Attributes:
        current: Where new work goes.
        ending: Those that were taken away, and have not ended yet.
    """

    # Again from within it: a client that is collected ends its loop, whatever the thread is doing.
    lock: threading.RLock = field(default_factory=threading.RLock)
    current: Runtime | None = None
    ending: set[Runtime] = field(default_factory=set)


class LoopThread:
    """The loop of a client, in whatever process the client is used; begun when it is first used."""

    def __init__(self) -> None:
        # To add to a dictionary needs no lock, which a thread of the parent's could have taken.
        self._by_process: dict[int, _ProcessState] = {}

    def submit(
        self, work: Work[_Result], stream: Endable | None = None
    ) -> tuple[Runtime, Future[_Result]]:
        """Run `work` in the loop.

        Args:
            work: What to run.
            stream: The stream that it pulls, to be ended before the loop.

        Returns:
            Where it runs, and what it will come to.

        Raises:
            ConfigurationError: This is the loop's own thread.
        """
        runtime: Runtime | None = None
        try:
            self.check_may_wait()
            state = self._by_process.setdefault(os.getpid(), _ProcessState())
            while True:
                with state.lock:
                    if state.current is None or not state.current.takes_work:
                        state.current = Runtime(self)
                    runtime = state.current
                    future = runtime.submit(work, stream)
                if future is not None:
                    return runtime, future
        except BaseException:
            if runtime is None:
                work.close()
            else:  # an interruption may come when the loop has the work already
                runtime.call(_cancel, work)
            leave_with_process()
            raise

    def run(self, work: Work[_Result]) -> _Result:
        """Run `work` in the loop, and wait for it. A wait that is interrupted cancels it.

        Raises:
            ConfigurationError: This is the loop's own thread.
            StreamCancelledError: The loop was ended meanwhile.
        """
        _, future = self.submit(work)
        return wait_for(future)

    def shut_down(self, close: Callable[[], Work[None]]) -> None:
        """End the streams, then what `close` closes, then the thread. May be called again.

        In the loop's own thread, where a collected client may end up, nothing can be waited for:
        the loop cancels what is left in it.
        """
        state = self._by_process.get(os.getpid())
        if state is None:
            return
        with state.lock:
            runtime, state.current = state.current, None
            others = tuple(state.ending)
            if runtime is not None:
                state.ending.add(runtime)
        if self.is_own_thread:
            for each in (runtime, *others):
                if each is not None:
                    each.stop()
            return
        if runtime is not None:
            try:
                runtime.end(close)
            finally:
                with state.lock:
                    state.ending.discard(runtime)
        for other in others:
            other.join()

    @property
    def is_own_thread(self) -> bool:
        """Whether this is the loop's own thread, where nothing may wait for the loop."""
        process_id, owner = getattr(_here, "client", (0, None))
        return process_id == os.getpid() and owner is not None and owner() is self

    def check_may_wait(self) -> None:
        """Refuse to wait where that would never end.

        Raises:
            ConfigurationError: This is the loop's own thread.
        """
        if self.is_own_thread:
            raise ConfigurationError(
                "a blocking client was called in the thread in which its own streams are read (in "
                "an asynchronous callback, a filter, a transformer or a batch handler): call it in "
                "another thread, or use another client there"
            )


def _close(runner: asyncio.Runner) -> None:
    """Cancel what is left in the loop, and close it.

    From 3.12 on an interpreter that ends starts no thread, not even the one in which asyncio waits
    for its executor's. Those were waited for when the main thread ended.
    """
    try:
        runner.close()
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise


def _cancel(work: Work[Any]) -> None:
    """Cancel the task of `work`, in the loop."""
    tasks = [task for task in asyncio.all_tasks() if task.get_coro() is work]
    for task in tasks:
        task.cancel()
    if not tasks:
        work.close()


def wait_for(future: Future[_Result]) -> _Result:
    """Wait for what runs in a loop. A wait that is interrupted cancels it.

    Raises:
        StreamCancelledError: The loop was ended meanwhile.
    """
    try:
        return future.result()
    except CancelledError:
        leave_with_process()
        raise StreamCancelledError(CLOSED) from None
    except BaseException:
        leave_with_process()
        future.cancel()
        raise


def leave_with_process() -> None:
    """End this thread if it is a daemon's and the interpreter ends, which has closed the client.

    There is nobody to be told of it any more; an exit is what a thread ends in without a word.
    """
    if threading.current_thread().daemon and not threading.main_thread().is_alive():
        raise SystemExit
