"""A stream seen as its words, or as the elements of a list."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Generic, Self

from steer_llm_sdk.checks import with_hints
from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.responses import STREAM_HINTS, StreamingResponse
from steer_llm_sdk.models.shapes import Answer, Item
from steer_llm_sdk.stored import Live
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.structured import ItemStream


@with_hints(STREAM_HINTS)
class _View(Live, Generic[Answer]):
    """What is made of a stream's events for one purpose."""

    def __init__(self, events: EventStream[Answer]) -> None:
        self._events = events

    @property
    def response(self) -> StreamingResponse[Answer]:
        """What has arrived so far; whole when the stream has ended well."""
        return self._events.response

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once."""
        self._events.cancel(reason)

    async def aclose(self) -> None:
        """Leave the stream."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        await self._events.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._events.aclose()

    def __aiter__(self) -> Self:
        aiter(self._events)  # which then belongs to the task that iterates
        return self


class TextStream(_View[Answer]):
    """The words of one stream.

    Raises its error when the stream fails. Use it in an ``async with`` when you may leave it early:
    then the provider's socket is closed at once.
    """

    async def __anext__(self) -> str:
        while True:
            event = await anext(self._events)
            if isinstance(event, StreamDeltaEvent) and (text := event.get_text()):
                return text


class ItemsStream(_View[Any], Generic[Item]):
    """The elements of a streamed list, each as soon as it is complete and valid.

    Raises its error when the stream fails, or when an element does not fit; the stream is then
    left.

    Args:
        events: The stream.
        items: Finds the elements in its text.
    """

    def __init__(self, events: EventStream, items: ItemStream) -> None:
        super().__init__(events)
        self._items = items
        self._ready: Iterator[Item] = iter(())

    async def __anext__(self) -> Item:
        while True:
            try:
                for item in self._ready:
                    return item
            except InvalidJSONError as error:
                error.text = self.response.get_text()
                self._events.fail(error)
                await self._events.aclose()
                raise
            event = await anext(self._events)
            if isinstance(event, StreamDeltaEvent) and (text := event.get_text()):
                self._ready = self._items.feed(text)
