"""A clock that stands still until the test moves it."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

# How often the event loop may go round after a timer, so that whoever it woke gets to its next
# wait: more than any chain of tasks here needs, and less than a millisecond.
_SETTLING_ROUNDS = 50


@dataclass(slots=True, order=True)
class _Timer:
    due: float
    number: int
    callback: Callable[[], object] = field(compare=False)
    loop: asyncio.AbstractEventLoop | None = field(compare=False)
    is_sleep: bool = field(compare=False, default=False)
    is_over: bool = field(compare=False, default=False)

    def cancel(self) -> None:
        self.is_over = True


class ManualClock:
    """A `Clock` for tests: hours pass in no time, and only when the test says so.

    ::

        clock = ManualClock()
        task = asyncio.create_task(client.generate(…))    # a client made with clock=clock
        await clock.until_sleeping()                      # it waits before its first retry
        await clock.advance(10)

    Args:
        monotonic: Where the monotonic time starts.
        time: The Unix time at that moment.
    """

    def __init__(self, *, monotonic: float = 1_000.0, time: float = 1_760_000_000.0) -> None:
        self._now = monotonic
        self._wall_offset = time - monotonic
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        # The sync client's loop runs in a thread of its own, and the test in another.
        self._lock = threading.RLock()
        self._watchers: set[asyncio.Future[None]] = set()

    # --- as the library uses it -----------------------------------------------------------------

    def monotonic(self) -> float:
        """The time in seconds; it moves by `advance` and `jump` only."""
        return self._now

    def time(self) -> float:
        """The Unix time; it moves with the monotonic time."""
        return self._now + self._wall_offset

    def call_later(self, delay: float, callback: Callable[[], object]) -> _Timer:
        """Run `callback` when the clock has been moved by `delay` seconds."""
        return self._add(delay, callback)

    async def sleep(self, delay: float) -> None:
        """Wait until the clock has been moved by `delay` seconds; 0 lets other tasks run."""
        if delay <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        timer = self._add(delay, _wake(woken), is_sleep=True)
        try:
            await woken
        finally:
            timer.cancel()

    # --- for the test ---------------------------------------------------------------------------

    @property
    def next_in(self) -> float | None:
        """Seconds until the next timer is due; None where there is none."""
        with self._lock:
            self._drop_cancelled()
            return max(0.0, self._timers[0].due - self._now) if self._timers else None

    @property
    def timers(self) -> int:
        """How many timers are pending, sleepers included."""
        return sum(not timer.is_over for timer in tuple(self._timers))

    @property
    def sleepers(self) -> int:
        """How many wait in `sleep`."""
        return sum(timer.is_sleep and not timer.is_over for timer in tuple(self._timers))

    async def advance(self, seconds: float) -> None:
        """Move the clock, stopping at each timer on the way; after each, the loop settles.

        So a task that sleeps again, once woken, is woken again when that falls within `seconds`.

        Args:
            seconds: By how much.
        """
        until = self._until(seconds)
        await self._settle()
        while (timer := self._take(until)) is not None:
            self._fire(timer)
            await self._settle()
        self._now = max(self._now, until)
        await self._settle()

    def jump(self, seconds: float) -> None:
        """Move the clock at once, and run the callbacks that are due, in order of time.

        For tests without an event loop; tasks that this wakes run when their loop does.

        Args:
            seconds: By how much.
        """
        until = self._until(seconds)
        while (timer := self._take(until)) is not None:
            self._fire(timer)
        self._now = max(self._now, until)

    def set_time(self, time: float) -> None:
        """Set the wall clock, as an administrator does; the monotonic time does not move.

        Args:
            time: The Unix time that it is to be.
        """
        self._wall_offset = time - self._now

    async def until_sleeping(self, count: int = 1, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Wait until so many wait in `sleep`: before that, moving the clock would be too early.

        Args:
            count: How many.
            timeout: Real seconds after which the wait is given up.

        Raises:
            TimeoutError: There were not so many in time.
        """
        async with asyncio.timeout(timeout):
            while self.sleepers < count:
                watcher = asyncio.get_running_loop().create_future()
                self._watchers.add(watcher)
                try:
                    await watcher
                finally:
                    self._watchers.discard(watcher)

    # --- within ---------------------------------------------------------------------------------

    def _add(
        self, delay: float, callback: Callable[[], object], *, is_sleep: bool = False
    ) -> _Timer:
        due = self._now + max(0.0, delay)
        timer = _Timer(due, next(self._numbers), callback, _running_loop(), is_sleep)
        with self._lock:
            heapq.heappush(self._timers, timer)
        for watcher in tuple(self._watchers):
            _call_in(watcher.get_loop(), _wake(watcher))
        return timer

    def _until(self, seconds: float) -> float:
        if seconds < 0:
            raise ValueError(f"a clock does not go back: expected at least 0 s, found {seconds!r}")
        return self._now + seconds

    def _take(self, until: float) -> _Timer | None:
        with self._lock:
            self._drop_cancelled()
            if not self._timers or self._timers[0].due > until:
                return None
            timer = heapq.heappop(self._timers)
            self._now = max(self._now, timer.due)
            timer.is_over = True
            return timer

    def _drop_cancelled(self) -> None:
        while self._timers and self._timers[0].is_over:
            heapq.heappop(self._timers)

    def _fire(self, timer: _Timer) -> None:
        if timer.loop is None:
            timer.callback()
        else:
            _call_in(timer.loop, timer.callback)

    async def _settle(self) -> None:
        for _ in range(_SETTLING_ROUNDS):
            await asyncio.sleep(0)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _call_in(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    if loop is _running_loop():
        callback()
        return
    # Refused where that loop is closed: then nobody waits any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


def _wake(waiter: asyncio.Future[None]) -> Callable[[], None]:
    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    return wake
