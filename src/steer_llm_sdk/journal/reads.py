"""Reads of a store: `Reads` asks once for what several want to know at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from steer_llm_sdk.journal.store import Page
from steer_llm_sdk.tasks import start_task

# How many are under way at once, in one event loop.
_MOST_AT_ONCE = 8

_Read: TypeAlias = Callable[[str, int], Awaitable[Page]]


class Reads:
    """Reads pages of a store; equal reads that have not begun are one.

    After a restart thousands of browsers may come back within a second, and many of them for the
    same streams. A read that has begun is not joined: what was written since may not be in it.

    Args:
        read: Reads a page of a stream after a sequence.
    """

    def __init__(self, read: _Read) -> None:
        self._read = read
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._waiting: dict[tuple[str, int], asyncio.Task[Page]] = {}

    async def read(self, stream_id: str, after: int) -> Page:
        """Read what is there after a sequence, when it is its turn."""
        asked = (stream_id, after)
        task = self._waiting.get(asked)
        if task is None:
            task = self._waiting[asked] = start_task(self._read_in_turn(asked))
            task.add_done_callback(_look_at_error)
        return await asyncio.shield(task)

    async def _read_in_turn(self, asked: tuple[str, int]) -> Page:
        try:
            await self._turns.acquire()
        finally:
            del self._waiting[asked]
        try:
            return await self._read(*asked)
        finally:
            self._turns.release()


def _look_at_error(task: asyncio.Task[Page]) -> None:
    """Whoever asked may have left: then nobody else looks at the error."""
    if not task.cancelled():
        task.exception()
