"""Streams for a plain ``for`` loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from steer_llm_sdk.errors import InvalidJSONError, SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.structured import ItemStream
from steer_llm_sdk.structured.parser import JSONEvent
from steer_llm_sdk.sync.feed import Feed
from steer_llm_sdk.sync.thread import LoopThread


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
        self._feed = Feed(stream, thread)

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
        if self._feed.has_begun:
            self._thread.call(self._stream.cancel, reason)
        else:
            self._stream.cancel(reason)

    def close(self) -> None:
        """Leave the stream; its last events are dropped when it had not ended."""
        self._feed.is_left = True
        if self._feed.is_running:
            self._thread.run(self._feed.leave())

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
        feed = self._feed
        if not feed.has_begun:
            if feed.is_left:
                raise StopIteration
            feed.begin()
        event = feed.take()
        if event is not None:
            return event
        error, feed.error = feed.error, None
        if error is not None:
            raise error
        raise StopIteration

    def fail(self, error: SteerError) -> None:
        """End the stream in this error, which its consumer has found in the answer; leave it."""
        if self._thread.is_running:
            self._thread.run(self._fail(error))
        self._feed.drop()  # it is not to be seen: nothing follows the error

    async def _fail(self, error: SteerError) -> None:
        self._stream.fail(error)
        await self._feed.leave()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        feed = getattr(self, "_feed", None)
        if feed is None or feed.is_left or not feed.is_running:
            return
        _warn(
            "a stream was abandoned before its end: iterate it to the end, or use 'with'",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )
        self._thread.call(feed.stop, "the stream was abandoned")


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
