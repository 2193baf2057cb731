"""How long, and how often, a store is asked again that cannot be reached: `Pauses`."""

from __future__ import annotations

import asyncio
import time

# Between two attempts, in seconds: doubled from the first on.
_FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0


class Pauses:
    """The pauses between attempts to reach a store.

    Args:
        patience: For how many seconds it is asked again.
    """

    def __init__(self, patience: float) -> None:
        self._until = time.monotonic() + patience
        self._next = _FIRST_PAUSE

    async def wait(self) -> bool:
        """Wait before the next attempt; False where there is to be none."""
        left = self._until - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(self._next, left))
        self._next = min(2 * self._next, LONGEST_PAUSE)
        return True
