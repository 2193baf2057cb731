"""The events of one stream on their way from the loop's thread to the caller's.

A feed knows nothing of the iterator that the caller holds: so that is collected when the caller
drops it, and can then end the stream.
"""

from __future__ import annotations

import asyncio
import queue
import threading

from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.sync.thread import LoopThread

# Beyond so many events the reading pauses.
_QUEUE_EVENTS = 256


class Feed:
    """Pulls a stream in the loop's thread, and queues its events.

    Args:
        stream: The stream.
        thread: Where it runs.

    Attributes:
        error: What the stream failed in; raised to the caller, once.
        is_left: Nobody wants more events.
    """

    def __init__(self, stream: EventStream, thread: LoopThread) -> None:
        self.error: BaseException | None = None
        self.is_left = False
        self._stream = stream
        self._thread = thread
        self._events: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self._waiting = 0  # events in the queue; changed in either thread, under the lock
        self._lock = threading.Lock()
        self._room = asyncio.Event()
        self._task: asyncio.Future[None] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the stream is pulled, or was."""
        return self._task is not None

    @property
    def is_running(self) -> bool:
        """Whether there is anything to end."""
        return self._task is not None and not self._task.done() and self._thread.is_running

    def begin(self) -> None:
        """Begin to pull."""
        self._thread.run(self._begin())

    def take(self) -> StreamEvent | None:
        """Wait for the next event; None after the last."""
        event = self._events.get()
        if event is None:
            self._events.put(None)
            return None
        with self._lock:
            self._waiting -= 1
            is_drained = self._waiting == _QUEUE_EVENTS // 2
        if is_drained:
            self._thread.call(self._room.set)
        return event

    def drop(self) -> None:
        """Forget what is queued, and the error: the stream has ended, and nothing is to follow."""
        while self._events.get() is not None:
            pass
        self.error = None
        self._events.put(None)

    def stop(self, reason: str) -> None:
        """End the stream, in the loop."""
        self.is_left = True
        self._stream.cancel(reason)
        self._room.set()

    async def leave(self) -> None:
        """End the stream, in the loop: whoever still takes events gets the last ones."""
        self.stop("the stream was left before its end")
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._pull())
        self._thread.streams.add(self)

    async def _pull(self) -> None:
        try:
            async for event in self._stream:
                with self._lock:
                    self._waiting += 1
                    is_full = self._waiting >= _QUEUE_EVENTS
                    if is_full:
                        self._room.clear()
                self._events.put(event)
                if is_full and not self.is_left:
                    await self._room.wait()
        except asyncio.CancelledError:
            self.error = StreamCancelledError("the client was closed while the stream ran")
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again, in the caller's thread
            self.error = error
        finally:
            self._events.put(None)
