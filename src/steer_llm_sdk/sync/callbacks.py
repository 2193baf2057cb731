"""Callbacks in the caller's own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Self

from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.streaming.manager import EventManager, Listener


class BlockingManager(EventManager):
    """Calls listeners and waits for them, without an event loop unless one of them needs it.

    Used in a ``with``; takes the arguments of `EventManager`.
    """

    def __enter__(self) -> Self:
        self._runner: asyncio.Runner | None = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            self._runner.close()

    def call(self, event: StreamEvent) -> None:
        """Call the listeners of an event, one after another, each finished before the next.

        Raises:
            CallbackError: A listener raised, and `raise_errors` is set.
        """
        # What an asynchronous listener returns is run to its end inside of `_Finished`, so nothing
        # in this coroutine waits: one step is all of it.
        try:
            self.deliver((event,)).send(None)
        except StopIteration:
            return

    def _refresh(self, kind: str) -> None:
        super()._refresh(kind)
        self._listeners[kind] = tuple(
            (_Finished(listener, self), False) for listener, _ in self._listeners[kind]
        )

    def finish(self, result: Awaitable[Any]) -> None:
        """Wait for what a listener returned."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(_wait_for(result))


class _Finished:
    """A listener that has finished when its call returns."""

    def __init__(self, listener: Listener, manager: BlockingManager) -> None:
        self._listener = listener
        self._manager = manager
        self.__qualname__ = getattr(listener, "__qualname__", type(listener).__qualname__)

    def __call__(self, event: StreamEvent) -> None:
        result = self._listener(event)
        if result is not None and hasattr(result, "__await__"):
            self._manager.finish(result)


async def _wait_for(result: Awaitable[Any]) -> None:
    await result
