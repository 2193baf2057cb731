"""What the library knows of time: a clock that is passed in, so that a test can move it.

Everything that waits or measures (time limits, retries, batches, timestamps) asks the clock it was
given. `SystemClock` is the real one; `steer_llm_sdk.testing.ManualClock` moves only when told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from steer_llm_sdk.checks import having


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """The callback will not run; without effect when it has run, or is cancelled already."""
        ...


class Clock(Protocol):
    """The time, and waiting for it. All times are in seconds."""

    def monotonic(self) -> float:
        """A time that never goes back; only differences mean something."""
        ...

    def time(self) -> float:
        """The Unix time."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Run `callback` in the running loop's thread when `delay` has passed."""
        ...

    async def sleep(self, delay: float) -> None:
        """Wait; 0 lets other tasks run once."""
        ...


CLOCK = having(
    "a clock (methods monotonic, time, call_later and sleep), such as ManualClock()",
    *("monotonic", "time", "call_later", "sleep"),
)


class SystemClock:
    """The real clock; it waits in whichever event loop is running.

    It keeps no loop, so one instance serves several loops, one after another or at once.
    """

    __slots__ = ()

    # By which asyncio's loops measure too. Asked twice a network read: so not through a method.
    monotonic = staticmethod(time.monotonic)

    def time(self) -> float:
        """`time.time`."""
        return time.time()

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """`loop.call_later` of the running loop."""
        return asyncio.get_running_loop().call_later(delay, callback)

    async def sleep(self, delay: float) -> None:
        """`asyncio.sleep`."""
        await asyncio.sleep(delay)
