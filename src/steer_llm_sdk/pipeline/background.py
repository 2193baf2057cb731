"""A bounded queue of events, and the one worker that processes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.tasks import start_task, until_ended


class BackgroundQueue:
    """Events that one worker processes in order.

    Args:
        process: Called with each event; it raises nothing.
        max_size: How many events may wait; `put` waits while there are that many.
    """

    def __init__(
        self, process: Callable[[StreamEvent], Awaitable[Any]], max_size: int = 1000
    ) -> None:
        self._process = process
        self._max_size = max_size
        self._running: tuple[asyncio.Queue[StreamEvent], asyncio.Task[None]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # where the worker runs

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
        if self._running is None or self._loop is not asyncio.get_running_loop():
            return  # what was submitted in a loop that has ended went with it
        if self._running[1] is asyncio.current_task():
            raise RuntimeError("stop: called while processing an event that was submitted")
        await self._running_queue().join()
        (_, worker), self._running = self._running, None
        worker.cancel()
        await until_ended(worker)

    def _running_queue(self) -> asyncio.Queue[StreamEvent]:
        """Give the queue, with a worker at it: a new one where the last was cancelled."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._running = loop, None
        queue, worker = self._running or (asyncio.Queue(self._max_size), None)
        if worker is None or worker.done():
            worker = start_task(self._work(queue), name="steer-processor")
            self._running = (queue, worker)
        return queue

    async def _work(self, queue: asyncio.Queue[StreamEvent]) -> None:
        while True:
            event = await queue.get()
            try:
                await self._process(event)
            finally:
                queue.task_done()
