"""Readers that give up an ``anext`` and ask again, as an endpoint that sends heartbeats does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import cycle
from typing import Any, Literal, TypeVar

from steer_llm_sdk.clock import SystemClock, Timer

_Item = TypeVar("_Item")

# In a task of its own, as `asyncio.wait_for` on Python 3.11, or in the reader's own, as later.
Manner = Literal["own task", "same task"]

_GIVEN_UP: Any = object()


class QuickClock(SystemClock):
    """A clock whose seconds last a millisecond."""

    _SPEED = 1000

    @staticmethod
    def monotonic() -> float:
        return time.monotonic() * QuickClock._SPEED

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        return super().call_later(delay / self._SPEED, callback)

    async def sleep(self, delay: float) -> None:
        await super().sleep(delay / self._SPEED)


async def read_with_heartbeats(
    stream: AsyncIterator[_Item], patience: Iterable[int], manner: Manner
) -> list[_Item]:
    """Read a stream to its end, giving up each ``anext`` after some rounds of the event loop.

    Args:
        stream: What to read.
        patience: After how many rounds each ``anext`` is given up; repeated for ever.
        manner: In which task it waits.
    """
    ask = _in_own_task if manner == "own task" else _in_same_task
    seen: list[_Item] = []
    for rounds in cycle(patience):
        try:
            item = await ask(stream, rounds)
        except StopAsyncIteration:
            return seen
        if item is not _GIVEN_UP:
            seen.append(item)
        await asyncio.sleep(0)  # here the heartbeat goes out
    raise AssertionError("some patience is needed")


async def _in_own_task(stream: AsyncIterator[_Item], rounds: int) -> _Item:
    task = asyncio.ensure_future(anext(stream, _GIVEN_UP_AT_END))
    for _ in range(rounds):
        if task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    try:
        item = await task
    except asyncio.CancelledError:
        return _GIVEN_UP  # type: ignore[no-any-return]
    if item is _GIVEN_UP_AT_END:
        raise StopAsyncIteration
    return item


async def _in_same_task(stream: AsyncIterator[_Item], rounds: int) -> _Item:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    is_over = has_cancelled = False

    def count_down(left: int) -> None:
        nonlocal has_cancelled
        if is_over:
            return
        if left:
            loop.call_soon(count_down, left - 1)
        else:
            has_cancelled = True
            task.cancel()

    loop.call_soon(count_down, rounds)
    try:
        return await anext(stream)
    except asyncio.CancelledError:
        return _GIVEN_UP  # type: ignore[no-any-return]
    finally:
        is_over = True
        if has_cancelled:
            task.uncancel()


_GIVEN_UP_AT_END: Any = object()
