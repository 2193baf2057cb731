"""The time limits of one stream, and the waiting that a limit or a call can interrupt.

`Deadlines` is arithmetic only, in monotonic seconds. Only the time spent waiting for the provider
counts. Whoever drives the stream says when a wait begins and ends; one timer for the whole stream
asks `expired` now and then, so that a chunk costs two additions and no timer.

Four limits watch a body, because one cannot serve: a dead peer sends nothing (idle); a proxy's
heartbeat keeps a dead answer's socket alive (stall); a reasoning model is silent for minutes before
its first event, and heartbeats then must not kill it (first event).

`Supervisor` interrupts. A stream waits for three things: its connection, the pause between
attempts, and the bytes of its body. The first two are cancelled, as `asyncio.timeout` cancels; the
third is woken by aborting the body, which closes the socket at once. One timer serves all limits of
a stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from steer_llm_sdk.clock import Clock, Timer
from steer_llm_sdk.errors import RequestTimeoutError, SteerError, StreamStalledError
from steer_llm_sdk.models.streaming import StreamingOptions

_NEVER = float("inf")


class Deadlines:
    """Which limit of a stream runs out first, and when.

    Args:
        options: The limits.

    Attributes:
        waiting_since: When the wait that is under way began; None while nothing is awaited. To be
            set when nothing is left to do but to wait for the provider; `end_wait` clears it.
    """

    def __init__(self, options: StreamingOptions) -> None:
        self._limits = {
            "total_timeout": options.total_timeout or _NEVER,
            "first_event_timeout": options.first_event_timeout or _NEVER,
            "idle_timeout": options.idle_timeout or _NEVER,
            "stall_timeout": options.stall_timeout or _NEVER,
        }
        self.waiting_since: float | None = None
        self._waited = 0.0  # in all, by waits that are over
        self._waited_before_bytes = 0.0  # of that, until bytes came last
        self._waited_before_progress = 0.0
        self._has_begun = False  # the provider's first event has come
        self._in_body = False

    def begin_attempt(self) -> None:
        """A request is about to be sent."""
        self._waited_before_progress = self._waited
        self._has_begun = False
        self._in_body = False

    def begin_pause(self) -> None:
        """Nothing is asked of the provider until the next attempt: only the total still runs."""
        self._has_begun = True
        self._in_body = False

    def begin_body(self) -> None:
        """The response's headers have come."""
        self._in_body = True

    def end_wait(self, now: float) -> None:
        """The wait is over: something came, or failed."""
        since = self.waiting_since
        if since is not None:  # as `give_up_wait`, without the call: once a read
            self._waited += now - since
            self.waiting_since = None
        self._waited_before_bytes = self._waited

    def give_up_wait(self, now: float) -> None:
        """Nobody waits any more, though nothing has come: the next wait goes on with this one."""
        since = self.waiting_since
        if since is not None:
            self._waited += now - since
            self.waiting_since = None

    def note_progress(self) -> None:
        """The answer went on: more than a keep-alive came."""
        self._has_begun = True
        self._waited_before_progress = self._waited

    def remaining(self, now: float) -> float:
        """Seconds until the first limit runs out, if nothing comes; not above 0 when one has."""
        return min(self._left(now).values())

    def expired(self, now: float) -> RequestTimeoutError | None:
        """The error of the limit that has run out; None while all hold, or nothing is awaited."""
        if self.waiting_since is None:
            return None
        left = self._left(now)
        name = min(left, key=left.__getitem__)
        if left[name] > 0:
            return None
        limit = self._limits[name]
        kind = StreamStalledError if name == "stall_timeout" else RequestTimeoutError
        return kind(f"{_WHAT[name]} within {limit:g} s ({name})", limit=name, seconds=limit)

    def _left(self, now: float) -> dict[str, float]:
        """The seconds that are left of each limit that applies now."""
        limits = self._limits
        current = 0.0 if self.waiting_since is None else now - self.waiting_since
        waited = self._waited + current
        silent = waited - self._waited_before_progress
        left = {"total_timeout": limits["total_timeout"] - waited}
        if not self._has_begun:
            left["first_event_timeout"] = limits["first_event_timeout"] - silent
        if self._in_body:
            left["idle_timeout"] = limits["idle_timeout"] - (waited - self._waited_before_bytes)
            if self._has_begun:
                left["stall_timeout"] = limits["stall_timeout"] - silent
        return left


_WHAT = {
    "total_timeout": "the answer was not whole",
    "first_event_timeout": "no event came from the provider",
    "idle_timeout": "no byte came from the provider",
    "stall_timeout": "only keep-alives came from the provider, and nothing of the answer",
}


_Result = TypeVar("_Result")

# A limit that has run out is looked at again for so many rounds of the event loop. Where the loop
# was held up (by somebody's callback), its timers and the bytes that came meanwhile are due
# together, and whoever waits for the bytes is only woken in the rounds after.
_ROUNDS = 10

# The timer is not set finer than this, so that rounding cannot make it fire without end.
_LEAST_DELAY = 0.001

_NEVER = float("inf")


class Supervisor:
    """Interrupts what one stream waits for.

    Args:
        clock: What time it is.
        deadlines: The stream's limits.
    """

    def __init__(self, clock: Clock, deadlines: Deadlines) -> None:
        self._clock = clock
        self._deadlines = deadlines
        self._timer: Timer | None = None
        self._due = _NEVER  # when the timer fires
        self._rounds = _ROUNDS  # in which a limit that has run out is still looked at again
        self._wake: Callable[[SteerError], object] | None = None
        self._interruption: SteerError | None = None
        self._has_cancelled = False  # the task, to interrupt what it waits for

    async def run(
        self,
        work: Coroutine[Any, Any, _Result],
        discard: Callable[[_Result], object] | None = None,
    ) -> _Result:
        """Wait for `work`, under the limits.

        Args:
            work: What to wait for. It runs in the task of the caller, which is cancelled to
                interrupt it: a task of its own would cost three rounds of the event loop.
            discard: Called with a result that comes too late to be used.

        Raises:
            SteerError: What `interrupt` was called with, or what `work` raised.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs coroutines in tasks alone
        cancels = task.cancelling()
        self._interruption = None
        self._wake = self._cancel(task)
        self._deadlines.waiting_since = self._clock.monotonic()
        self.arm()
        try:
            result = await work
        except BaseException:
            if self._interruption is None or self._uncancel(task) > cancels:
                raise  # its own failure, or the caller is being cancelled
        else:
            if self._interruption is None:
                return result
            self._uncancel(task)
            if discard is not None:
                discard(result)
        finally:
            self._wake = None
            self._deadlines.end_wait(self._clock.monotonic())
        raise self._interruption

    def watch(self, wake: Callable[[SteerError], object]) -> None:
        """From now on an interruption calls `wake`."""
        self._wake = wake

    def interrupt(self, error: SteerError) -> None:
        """Interrupt whatever is being waited for."""
        if self._wake is not None:
            self._wake(error)

    def arm(self) -> None:
        """Set the timer to the limit that runs out first. Needed whenever a new limit applies."""
        now = self._clock.monotonic()
        delay = max(self._deadlines.remaining(now), _LEAST_DELAY)
        if self._timer is not None:
            if self._due <= now + delay:
                return  # it will look then, and be set anew
            self._timer.cancel()
        self._due = now + delay
        self._timer = self._clock.call_later(delay, self._look) if delay < _NEVER else None

    def close(self) -> None:
        """No limit applies any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        error = self._deadlines.expired(self._clock.monotonic())
        if error is None:
            # While a wait is given up and not yet asked for again, nothing is known to hold.
            if self._deadlines.waiting_since is not None:
                self._rounds = _ROUNDS
            self.arm()
        elif self._rounds:
            self._rounds -= 1
            self._timer = asyncio.get_running_loop().call_soon(self._look)
        else:
            self.interrupt(error)

    def _cancel(self, task: asyncio.Task[Any]) -> Callable[[SteerError], object]:
        def wake(error: SteerError) -> None:
            if self._interruption is None:
                self._interruption = error
                # What stops the stream from within the work will see that it is stopped.
                self._has_cancelled = asyncio.current_task() is not task and task.cancel()

        return wake

    def _uncancel(self, task: asyncio.Task[Any]) -> int:
        """Take back the cancellation that interrupted the work: how many others are left."""
        return task.uncancel() if self._has_cancelled else task.cancelling()
