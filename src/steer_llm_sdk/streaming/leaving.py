"""The last events of a stream that its consumer has left: `Leaving` delivers them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

from steer_llm_sdk.engine.underway import Underway, WorkCancelledError
from steer_llm_sdk.errors import CallbackError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.streaming.manager import EventManager

_log = logging.getLogger("steer_llm_sdk")

# Gives the next event of the stream; None after the last.
Pull: TypeAlias = Callable[[], Awaitable[StreamEvent | None]]

# Runs work in a task that outlives its caller.
Keep: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Leaving:
    """Delivers the last events, first in the task that leaves, so that callbacks see its context.

    Past the grace, or when the task is cancelled once more, the rest is delivered in a task of the
    client's. Where that happens makes no difference: an event that was taken is delivered once.

    Args:
        manager: The callbacks, where there are any.
        driver: The task that pulls the stream for its observers, where there is one: it delivers.
    """

    def __init__(
        self, manager: EventManager | None, driver: asyncio.Task[None] | None = None
    ) -> None:
        self._manager = manager
        self._task = driver
        self._calls: Iterator[Coroutine[Any, Any, None]] = iter(())  # for the last event taken
        self._call: Underway[None] = Underway()  # an asynchronous callback

    async def within(self, grace: float, pull: Pull, keep: Keep, stream_id: str) -> None:
        """Deliver what is left, or as much of it as `grace` seconds suffice for.

        Args:
            grace: How long the caller waits.
            pull: Gives the next event.
            keep: Runs what has to outlive the caller.
            stream_id: The stream's identifier, for the log.
        """
        if self._task is None:
            try:
                async with asyncio.timeout(grace):
                    await self._deliver(pull)
                return
            except TimeoutError:
                self._task = keep(self._deliver(pull))
            except asyncio.CancelledError:
                self._task = keep(self._deliver(pull))
                raise
        elif (await asyncio.wait((self._task,), timeout=grace))[0]:
            return
        _log.warning(
            "the last events of a stream are still being delivered after %g s (%s): "
            "client.close() waits for them",
            grace,
            stream_id,
        )

    async def _deliver(self, pull: Pull) -> None:
        """Deliver the events that are left. Given up, may be called again."""
        await self._finish_calls()
        while (event := await pull()) is not None:
            if self._manager is not None:
                self._calls = self._manager.call_one_by_one(event)
                await self._finish_calls()

    async def _finish_calls(self) -> None:
        # A `CallbackError` changes nothing: the stream ends in one already, or in something worse.
        while True:
            if self._call.is_busy:
                with suppress(CallbackError, WorkCancelledError):
                    await self._call.settle()
            try:
                work = next(self._calls, None)
            except CallbackError:
                work = None
            if work is None:
                return
            self._call.begin(work)
