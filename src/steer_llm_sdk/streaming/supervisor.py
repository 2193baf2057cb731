"""Waiting that a limit or a call can interrupt.

A stream waits for three things: its connection, the pause between attempts, and the bytes of its
body. The first two are cancelled, as `asyncio.timeout` cancels; the third is woken by aborting the
body, which closes the socket at once. One timer serves all limits of a stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from steer_llm_sdk.clock import Clock, Timer
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.streaming.deadlines import Deadlines

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
        outer, self._wake = self._wake, self._cancel(task)
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
            self._wake = outer
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

    def _look(self, rounds: int = _ROUNDS) -> None:
        self._timer = None
        error = self._deadlines.expired(self._clock.monotonic())
        if error is None:
            self.arm()
        elif rounds:
            self._timer = asyncio.get_running_loop().call_soon(self._look, rounds - 1)
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
