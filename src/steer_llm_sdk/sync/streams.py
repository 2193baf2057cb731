"""Streams for a plain ``for`` loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from steer_llm_sdk.errors import InvalidJSONError, SteerError, StreamCancelledError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.streaming.incremental_json import JSONEvent
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.streaming.structured import ItemStream
from steer_llm_sdk.sync.thread import LoopThread

# Events on their way from the loop's thread to the caller's; beyond this the reading pauses.
_QUEUE_EVENTS = 256


class SyncEventStream:
    """The events of one stream, for a plain ``for`` loop. Use it in a ``with``.

    Args:
        stream: The stream.
        thread: Where it runs.
        owner: Kept as long as the stream: a client that is collected closes its streams.
    """

    def __init__(self, stream: EventStream, thread: LoopThread, owner: object = None) -> None:
        self._stream = stream
        self._thread = thread
        self._owner = owner
        self._events: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self._waiting = 0  # events in the queue; changed in either thread, under the lock
        self._lock = threading.Lock()
        self._room = asyncio.Event()
        self._task: asyncio.Future[None] | None = None
        self._is_left = False
        self._error: BaseException | None = None

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far; whole when the stream has ended well."""
        return self._stream.response

    def partial_json(self) -> Any:
        """The JSON value so far: see `EventStream.partial_json`.

        Of all that has arrived, which may be more than the events that were taken. One thread at a
        time may ask; the value changes only when one does.

        Raises:
            ConfigurationError: No JSON was asked for (``response_format``).
        """
        return self._stream.partial_json()

    def read_json_events(self) -> list[JSONEvent]:
        """What has been completed since the last call: see `EventStream.read_json_events`.

        Raises:
            ConfigurationError: No JSON was asked for (``response_format``).
        """
        return self._stream.read_json_events()

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once. From any thread."""
        if self._task is None:
            self._stream.cancel(reason)
        else:
            self._thread.call(self._stream.cancel, reason)

    def close(self) -> None:
        """Leave the stream; its last events are dropped when it had not ended."""
        task, self._is_left = self._task, True
        if task is not None and not task.done() and self._thread.is_running:
            self._thread.run(self.leave())

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
            if self._is_left:
                raise StopIteration
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

    def fail(self, error: SteerError) -> None:
        """End the stream in this error, which its consumer has found in the answer; leave it."""
        if self._thread.is_running:
            self._thread.run(self._fail(error))
        while self._events.get() is not None:
            pass  # it is not to be seen: nothing follows the error
        self._error = None
        self._events.put(None)

    async def _fail(self, error: SteerError) -> None:
        self._stream.fail(error)
        await self.leave()

    async def leave(self) -> None:
        """End the stream, in the loop: whoever still takes events gets the last ones."""
        self._is_left = True
        self._stream.cancel("the stream was left before its end")
        self._room.set()
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
                if is_full and not self._is_left:
                    await self._room.wait()
        except asyncio.CancelledError:
            self._error = StreamCancelledError("the client was closed while the stream ran")
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again, in the caller's thread
            self._error = error
        finally:
            self._events.put(None)

    def _make_room(self) -> None:
        with self._lock:
            self._waiting -= 1
            is_drained = self._waiting == _QUEUE_EVENTS // 2
        if is_drained:
            self._thread.call(self._room.set)


class _View:
    """What is made of a stream's events for one purpose."""

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

    def _next_text(self) -> str:
        while True:
            event = next(self._events)
            if isinstance(event, StreamDeltaEvent) and (text := event.get_text()):
                return text


class SyncTextStream(_View):
    """The words of one stream, for a plain ``for`` loop. Use it in a ``with``."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._next_text()


class SyncItemsStream(_View):
    """The elements of a streamed list, each as soon as it is complete and valid.

    Raises the stream's error when it fails, or when an element does not fit; the stream is then
    left.

    Args:
        events: The stream.
        items: Finds the elements in its text.
    """

    def __init__(self, events: SyncEventStream, items: ItemStream) -> None:
        super().__init__(events)
        self._items = items
        self._ready: Iterator[Any] = iter(())

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                for item in self._ready:
                    return item
            except InvalidJSONError as error:
                error.text = self.response.get_text()
                self._events.fail(error)
                raise
            self._ready = self._items.feed(self._next_text())
