"""Streams for a plain ``for`` loop."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from steer_llm_sdk.checks import with_hints
from steer_llm_sdk.errors import SteerError, StreamCancelledError
from steer_llm_sdk.journal.attached import Attached
from steer_llm_sdk.models.events import AnyEvent
from steer_llm_sdk.models.responses import STREAM_HINTS, StreamingResponse
from steer_llm_sdk.models.shapes import Answer, Item
from steer_llm_sdk.stored import Live
from steer_llm_sdk.streaming.ownership import tell_exhausted
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.structured.parser import JSONEvent
from steer_llm_sdk.sync.feed import Feed, Source
from steer_llm_sdk.sync.thread import LoopThread

_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)


class AsyncStream(Source[_Item_co], Protocol[_Item_co]):
    """A stream of the asynchronous client: of events, of words or of items."""

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far."""
        ...


class SyncIterator(Live, Generic[_Item]):
    """What an asynchronous source gives, for a plain ``for`` loop. Use it in a ``with``.

    Args:
        source: The source.
        thread: Where it runs.
        owner: Kept as long as the iterator: a client that is collected closes its streams.
        reads_ahead: Whether anything is read that was not asked for.
    """

    def __init__(
        self, source: Source[_Item], thread: LoopThread, owner: object, *, reads_ahead: bool
    ) -> None:
        self._owner = owner
        self._feed = Feed(source, thread, reads_ahead=reads_ahead)

    def close(self) -> None:
        """Leave the stream: nothing more is taken of it, and what was read ahead is dropped."""
        self._feed.leave("the stream was left before its end")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[_Item]:
        if self._feed.has_ended:
            tell_exhausted()
        return self

    def __next__(self) -> _Item:
        return self._feed.take()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        feed = getattr(self, "_feed", None)
        if feed is None or feed.is_left or not feed.is_running:
            return
        feed.leave("the stream was abandoned", waits=False)
        _warn(  # last: a warning may be made an error
            "a stream was abandoned before its end: iterate it to the end, or use 'with'",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )


@with_hints(STREAM_HINTS)
class SyncStream(SyncIterator[_Item]):
    """A stream of the asynchronous client, for a plain ``for`` loop. Use it in a ``with``.

    Args:
        stream: The stream.
        thread: Where it runs.
        owner: Kept as long as the stream: a client that is collected closes its streams.
        reads_ahead: Whether anything is read that was not asked for.
    """

    def __init__(
        self,
        stream: AsyncStream[_Item],
        thread: LoopThread,
        owner: object = None,
        *,
        reads_ahead: bool = True,
    ) -> None:
        super().__init__(stream, thread, owner, reads_ahead=reads_ahead)
        self._source = stream

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far, taken or not; whole when the stream has ended well."""
        return self._source.response

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once. From any thread."""
        self._feed.call(self._source.cancel, reason)


class SyncEventStream(SyncStream[AnyEvent], Generic[Answer]):
    """The events of one stream, for a plain ``for`` loop. Use it in a ``with``."""

    def __init__(
        self,
        stream: EventStream[Answer],
        thread: LoopThread,
        owner: object = None,
        *,
        reads_ahead: bool = True,
    ) -> None:
        super().__init__(stream, thread, owner, reads_ahead=reads_ahead)
        self._stream = stream

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

    def fail(self, error: SteerError) -> None:
        """End the stream in this error; its last events can still be taken."""
        self._feed.call(self._stream.fail, error)


class SyncTextStream(SyncStream[str]):
    """The words of one stream, for a plain ``for`` loop. Use it in a ``with``."""


class SyncItemsStream(SyncStream[Item]):
    """The elements of a streamed list, each as soon as it is complete and valid.

    Raises the stream's error when it fails, or when an element does not fit; the stream is then
    left.
    """


class SyncAttached(SyncIterator[AnyEvent]):
    """The events of a stream that a journal holds, for a plain ``for`` loop.

    Leaving it stops nothing.

    Args:
        attached: What is followed.
        thread: Where it runs.
        owner: Kept as long as it is followed.
    """

    def __init__(self, attached: Attached, thread: LoopThread, owner: object = None) -> None:
        super().__init__(_Followed(attached), thread, owner, reads_ahead=True)


class _Followed:
    """What is followed, as a source that can be ended: it is left."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached
        self._cut: StreamCancelledError | None = None

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self

    async def __anext__(self) -> AnyEvent:
        try:
            return await anext(self._attached)
        except StopAsyncIteration:
            if self._cut is None:
                raise
            raise self._cut from None

    def cut(self, reason: str) -> None:
        self._cut = StreamCancelledError(reason)
        self._attached.leave()

    def cancel(self, reason: str) -> None:  # noqa: ARG002 - what is left needs no reason
        self._attached.leave()
