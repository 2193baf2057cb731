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
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.streaming.delivery import Delivery

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
        task = _running_task()
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


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs: its ``__aiter__`` is called before one does
        return None


def _reads_once(task: asyncio.Task[Any]) -> bool:
    """Whether the task was made for one awaitable, as `asyncio.ensure_future` makes them."""
    return getattr(task.get_coro(), "__name__", "") == "_wrap_awaitable"


def abandon(
    source: object,
    pump: Pump | None,
    delivery: Delivery | None,
    loop: asyncio.AbstractEventLoop,
    warn: Callable[..., None],
) -> None:
    """Close the socket of a stream that nobody holds any more, and tell somebody.

    Called by the garbage collector, from whichever thread it runs in.

    Args:
        source: The stream.
        pump: What drove it; None where it was never begun.
        delivery: What its events passed.
        loop: Where its socket lives.
        warn: `warnings.warn`, passed since the module may be gone when the interpreter ends.
    """
    if pump is None or (pump.is_over and not pump.is_open):
        return
    is_early = not pump.is_over and not pump.is_stopped
    loop.call_soon_threadsafe(pump.discard, StreamCancelledError("the stream was abandoned"))
    if delivery is not None:
        loop.call_soon_threadsafe(delivery.drop)
    if is_early:  # last: a warning may be made an error
        warn(
            f"a stream was abandoned before its end ({pump.response.stream_id}): iterate it to the "
            "end, call cancel(), or use 'async with'",
            ResourceWarning,
            source=source,
            stacklevel=3,
        )
