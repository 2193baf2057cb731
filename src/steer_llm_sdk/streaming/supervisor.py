"""Waiting that a limit or a call can interrupt.

A stream waits for three things: its connection, the pause between attempts, and the bytes of its
body. The first two run in a task that is cancelled; the third is woken by aborting the body, since
a task for every read would cost more than the read. One timer serves all limits of a stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
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
        self._wake: Callable[[SteerError], object] | None = None
        self._interruption: SteerError | None = None

    async def run(
        self,
        work: Coroutine[Any, Any, _Result],
        discard: Callable[[_Result], object] | None = None,
    ) -> _Result:
        """Wait for `work`, under the limits.

        Args:
            work: What to wait for.
            discard: Called with a result that comes too late to be used.

        Raises:
            SteerError: What `interrupt` was called with, or what `work` raised.
        """
        task = asyncio.ensure_future(work)
        self._interruption = None
        outer, self._wake = self._wake, self._cancel(task)
        self._deadlines.begin_wait(self._clock.monotonic())
        self.arm()
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            await _end(task, discard)
            raise
        finally:
            self._wake = outer
            self._deadlines.end_wait(self._clock.monotonic())
        if self._interruption is not None:
            await _end(task, discard)
            raise self._interruption
        return task.result()

    def watch(self, wake: Callable[[SteerError], object]) -> None:
        """From now on an interruption calls `wake`."""
        self._wake = wake

    def interrupt(self, error: SteerError) -> None:
        """Interrupt whatever is being waited for."""
        if self._wake is not None:
            self._wake(error)

    def arm(self) -> None:
        """Set the timer to the limit that runs out first. Needed whenever a new limit applies."""
        self.close()
        delay = self._deadlines.remaining(self._clock.monotonic())
        if delay != float("inf"):
            self._timer = self._clock.call_later(max(delay, _LEAST_DELAY), self._look)

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

    def _cancel(self, task: asyncio.Future[Any]) -> Callable[[SteerError], object]:
        def wake(error: SteerError) -> None:
            if self._interruption is None:
                self._interruption = error
                task.cancel()

        return wake


async def _end(task: asyncio.Future[_Result], discard: Callable[[_Result], object] | None) -> None:
    """See a task to its end whose result nobody wants. A second cancel may cut this short."""
    task.add_done_callback(partial(_discard, discard))
    task.cancel()
    await asyncio.wait((task,))


def _discard(discard: Callable[[_Result], object] | None, task: asyncio.Future[_Result]) -> None:
    if not task.cancelled() and task.exception() is None and discard is not None:
        discard(task.result())
