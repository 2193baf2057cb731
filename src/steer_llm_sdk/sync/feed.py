"""What one stream gives, on its way from the loop's thread to the caller's.

A feed knows nothing of the iterator that the caller holds: so that is collected when the caller
drops it, and can then end the stream.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from steer_llm_sdk.errors import ConfigurationError, StreamCancelledError
from steer_llm_sdk.sync.thread import CLOSED, LoopThread, Runtime, leave_with_process
from steer_llm_sdk.tasks import until_ended

_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)

# How many things are read ahead of the caller at most, where that may be.
_MOST_AHEAD = 256

# What comes after the last thing; None may be an item.
_END: Any = object()


class Source(Protocol[_Item_co]):
    """An asynchronous stream: of events, of words or of items.

    One that does not show its consumer how it ended has a method `cut` too: as `cancel`, but the
    consumer is told.
    """

    def __aiter__(self) -> AsyncIterator[_Item_co]:
        """Itself."""
        ...

    def cancel(self, reason: str) -> None:
        """End it."""
        ...


class Feed(Generic[_Item]):
    """Pulls a stream in the loop's thread, and queues what it gives.

    How far it reads ahead is a matter of credit: each thing that is read takes one, and the caller
    gives it back, by the lump.

    Args:
        source: The stream.
        thread: Where it is to run.
        reads_ahead: Whether anything is read that the caller has not asked for.
    """

    def __init__(self, source: Source[_Item], thread: LoopThread, *, reads_ahead: bool) -> None:
        self.source = source
        self._thread = thread
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._error: BaseException | None = None  # what the stream failed in, until it is raised
        self._is_left = False  # nobody wants more
        self.has_ended = False  # everything has been taken
        self._lock = threading.Lock()  # of what follows: several threads may use one stream
        self._process_id = 0
        self._runtime: Runtime | None = None
        self._pulling: Future[None] | None = None
        self._taken = 0  # what was taken and not given back as credit
        self._lump = _MOST_AHEAD // 2 if reads_ahead else 1
        # Touched in the loop alone:
        self._credit = _MOST_AHEAD if reads_ahead else 0
        self._has_credit = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is anything to end: begun in this process, and not over."""
        return (
            self._pulling is not None
            and not self._pulling.done()
            and self._process_id == os.getpid()
        )

    @property
    def is_left(self) -> bool:
        """Whether nobody wants more of it."""
        return self._is_left

    # --- the caller's side --------------------------------------------------------------------

    def take(self) -> _Item:
        """Wait for the next thing.

        Raises:
            StopIteration: There is none any more.
            ConfigurationError: This thread, or this process, would wait for ever.
            BaseException: What the stream has failed in; once.
        """
        if self._pulling is None and not self._begin():
            raise StopIteration
        self._ask()
        if self._items.empty():
            self._check_may_wait()
        item: _Item = self._items.get()
        if item is not _END:
            return item
        self.has_ended = True
        self._items.put(_END)
        leave_with_process()
        error, self._error = self._error, None
        raise StopIteration if error is None else error

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function of the stream in its loop, before anything more is read.

        Where the stream has not begun it is called here; nothing happens when the loop has ended.
        """
        with self._lock:
            if self._runtime is None:
                function(*arguments)
            else:
                self._runtime.call(function, *arguments)

    def leave(self, reason: str, *, waits: bool = True) -> None:
        """End the stream: nobody wants more of it.

        Args:
            reason: Why.
            waits: Until it has ended; never in the loop's own thread.
        """
        self._is_left = True
        if self._pulling is None:
            return
        if self.is_running and self._runtime is not None:
            self._runtime.call(self._stop, reason)
        if waits and not self._thread.is_own_thread:
            if self.is_running:
                wait((self._pulling,))
            self._drop_what_was_read_ahead()

    def _drop_what_was_read_ahead(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._items.get_nowait()
        self._items.put(_END)

    def _begin(self) -> bool:
        with self._lock:
            if self._is_left:
                return False
            if self._pulling is None:
                self._process_id = os.getpid()
                self._runtime, self._pulling = self._thread.submit(self._pull(), self)
                self._pulling.add_done_callback(self._finish)
        return True

    def _ask(self) -> None:
        with self._lock:
            self._taken += 1
            if self._taken < self._lump or self._runtime is None:
                return
            self._taken = 0
        self._runtime.call(self._give_credit)

    def _check_may_wait(self) -> None:
        self._thread.check_may_wait()
        if self._process_id != os.getpid():
            raise ConfigurationError(
                f"the stream was begun in process {self._process_id}, before the fork, and cannot "
                f"be read in process {os.getpid()}: begin another one"
            )

    # --- the loop's side ----------------------------------------------------------------------

    async def end(self) -> None:
        """End the stream, in the loop: whoever still takes of it gets the last events."""
        self._is_left = True
        cut: Callable[[str], object] = getattr(self.source, "cut", self.source.cancel)
        cut(CLOSED)
        self._has_credit.set()
        if self._task is not None:
            await until_ended(self._task)

    def _stop(self, reason: str) -> None:
        self._is_left = True
        self.source.cancel(reason)
        self._has_credit.set()

    def _give_credit(self) -> None:
        self._credit += self._lump
        self._has_credit.set()

    async def _pull(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._pull_all()
        except BaseException:  # the loop ends, or the stream has ended already
            self.source.cancel(CLOSED)
            raise

    async def _pull_all(self) -> None:
        items = aiter(self.source)
        while True:
            if self._credit <= 0 and not self._is_left:
                self._has_credit.clear()
                await self._has_credit.wait()
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            self._credit -= 1
            self._items.put(item)

    def _finish(self, pulling: Future[None]) -> None:
        if pulling.cancelled():
            self._error = StreamCancelledError(CLOSED)
        else:
            self._error = pulling.exception()
        self._items.put(_END)
