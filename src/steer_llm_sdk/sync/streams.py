"""Streams for a plain ``for`` loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.sync.thread import LoopThread

# Events on their way from the loop's thread to the caller's; beyond this the reading pauses.
_QUEUE_EVENTS = 256


class SyncEventStream:
    """The events of one stream, for a plain ``for`` loop. Use it in a ``with``."""

    def __init__(self, stream: EventStream, thread: LoopThread) -> None:
        self._stream = stream
        self._thread = thread
        self._events: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self._waiting = 0  # events in the queue; changed in either thread, under the lock
        self._lock = threading.Lock()
        self._room: asyncio.Event | None = None
        self._task: asyncio.Future[None] | None = None
        self._error: BaseException | None = None

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far; whole when the stream has ended well."""
        return self._stream.response

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once. From any thread."""
        self._thread.loop().call_soon_threadsafe(self._stream.cancel, reason)

    def close(self) -> None:
        """Leave the stream; its last events are dropped when it had not ended."""
        if self._task is None:
            return
        self._thread.run(self._finish())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        if self._task is None:
            self._thread.run(self._begin())
        event = self._events.get()
        if event is None:
            self._events.put(None)
            error, self._error = self._error, None
            if error is not None:
                raise error
            raise StopIteration
        self._make_room()
        return event

    async def _begin(self) -> None:
        self._room = asyncio.Event()
        self._task = asyncio.ensure_future(self._pull(self._room))

    async def _pull(self, room: asyncio.Event) -> None:
        try:
            async for event in self._stream:
                with self._lock:
                    self._waiting += 1
                    is_full = self._waiting >= _QUEUE_EVENTS
                    if is_full:
                        room.clear()
                self._events.put(event)
                if is_full:
                    await room.wait()
        except (SteerError, asyncio.CancelledError) as error:
            self._error = error
        finally:
            self._events.put(None)

    def _make_room(self) -> None:
        with self._lock:
            self._waiting -= 1
            is_drained = self._waiting == _QUEUE_EVENTS // 2
        if is_drained and self._room is not None:
            self._thread.loop().call_soon_threadsafe(self._room.set)

    async def _finish(self) -> None:
        self._stream.cancel("the stream was left before its end")
        if self._room is not None:
            self._room.set()
        if self._task is not None:
            await asyncio.wait((self._task,))
        await self._stream.aclose()


class SyncTextStream:
    """The words of one stream, for a plain ``for`` loop. Use it in a ``with``."""

    def __init__(self, events: SyncEventStream) -> None:
        self._events = events

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far; whole when the stream has ended well."""
        return self._events.response

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once. From any thread."""
        self._events.cancel(reason)

    def close(self) -> None:
        """Leave the stream."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            event = next(self._events)
            if isinstance(event, StreamDeltaEvent) and (text := event.get_text()):
                return text
