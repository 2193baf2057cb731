"""A bounded queue and the one worker that empties it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from steer_llm_sdk.models.events import StreamEvent


class BackgroundQueue:
    """Events that one worker processes in order.

    Args:
        process: What is done with each event; it raises nothing.
        max_size: How many events may wait; `put` waits while there are that many.
    """

    def __init__(
        self, process: Callable[[StreamEvent], Awaitable[Any]], max_size: int = 1000
    ) -> None:
        self._process = process
        self._max_size = max_size
        self._queue: asyncio.Queue[StreamEvent] | None = None
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the worker, unless it runs."""
        self._running_queue()

    async def put(self, event: StreamEvent) -> None:
        """Queue an event; the worker is started when it does not run."""
        await self._running_queue().put(event)

    async def stop(self) -> None:
        """Wait until the queue is empty and its last event processed, then end the worker.

        Raises:
            RuntimeError: The worker itself calls this: it would wait for itself.
        """
        if self._queue is None:
            return
        if self._worker is asyncio.current_task():
            raise RuntimeError("stop: called while processing an event that was submitted")
        await self._running_queue().join()
        worker, self._worker, self._queue = self._worker, None, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait([worker])

    def _running_queue(self) -> asyncio.Queue[StreamEvent]:
        if self._queue is None:
            self._queue = asyncio.Queue(self._max_size)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(self._queue), name="steer-processor")
        return self._queue

    async def _work(self, queue: asyncio.Queue[StreamEvent]) -> None:
        while True:
            event = await queue.get()
            try:
                await self._process(event)
            finally:
                queue.task_done()
