"""Whose a stream is: the task that began to iterate it, whose end is the stream's end.

``async for`` leaves a stream in the middle when its task is cancelled, fails or returns; whoever
still holds the task or its frames (a stop button's dict, a framework) then holds the stream, too,
and no finalizer runs. So the end of the task is watched.

A bare ``anext`` owns nothing: `asyncio.wait_for` makes a task for each one on Python 3.11.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from functools import partial
from typing import Any, Protocol

_log = logging.getLogger("steer_llm_sdk.streaming")

# How long after its owner's end another task may be found reading, in seconds: one that reads by a
# task for each event has none in between.
GRACE = 0.03


def tell_exhausted() -> None:
    """Log that a stream is iterated once more after its end: the loop will be given nothing."""
    _log.warning(
        "a stream is iterated after its end: it gives each event once, and has no more; what came "
        "is in its response"
    )


class Owned(Protocol):
    """What belongs to a task."""

    def disown(self, task: asyncio.Task[Any]) -> None:
        """Its owner ended a moment ago."""
        ...


class Owner:
    """The task that something belongs to, by weak references only.

    Args:
        owned: What belongs to it; told when the task has ended.
    """

    __slots__ = ("_callback", "_owned", "_task")

    def __init__(self, owned: Owned) -> None:
        self._owned = weakref.ref(owned)
        self._task: weakref.ref[asyncio.Task[Any]] | None = None
        self._callback = partial(_note_end, self._owned)

    def take(self) -> None:
        """Make the running task the owner, if it reads for more than one event."""
        task = asyncio.current_task()
        if task is None or _reads_once(task) or self.is_(task):
            return
        self.release()
        self._task = weakref.ref(task)
        task.add_done_callback(self._callback)

    def is_(self, task: asyncio.Task[Any]) -> bool:
        """Whether this task is the owner."""
        return self._task is not None and self._task() is task

    def release(self) -> None:
        """Forget the owner: its end means nothing any more."""
        task = self._task() if self._task is not None else None
        self._task = None
        if task is not None:
            task.remove_done_callback(self._callback)


def _note_end(owned: weakref.ref[Owned], task: asyncio.Task[Any]) -> None:
    if owned() is not None:
        task.get_loop().call_later(GRACE, _disown, owned, task)


def _disown(owned: weakref.ref[Owned], task: asyncio.Task[Any]) -> None:
    if (still := owned()) is not None:
        still.disown(task)


def _reads_once(task: asyncio.Task[Any]) -> bool:
    """Whether the task was made for one awaitable, as `asyncio.ensure_future` makes them."""
    return getattr(task.get_coro(), "__name__", "") == "_wrap_awaitable"
