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
class View(Live, Generic[Answer]):
    """What is made of a stream's events for one purpose.

    Its consumer does not see the event that says how the stream ended: where somebody else has
    ended it, that is raised.
    """

    def __init__(self, events: EventStream[Answer]) -> None:
        self._events = events
        self._is_left = False  # by the consumer, who need not be told

    @property
    def response(self) -> StreamingResponse[Answer]:
        """What has arrived so far; whole when the stream has ended well."""
        return self._events.response

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once."""
        self._is_left = True
        self._events.cancel(reason)

    def cut(self, reason: str) -> None:
        """End the stream in spite of its consumer, who is told."""
        self._events.cancel(reason)

    async def aclose(self) -> None:
        """Leave the stream."""
        self._is_left = True
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
        await self.aclose()

    def __aiter__(self) -> Self:
        aiter(self._events)  # which then belongs to the task that iterates
        return self

    async def _next_words(self) -> str:
        """The words of the next event that has any."""
        try:
            while True:
                event = await anext(self._events)
                if isinstance(event, StreamDeltaEvent) and (text := event.get_text()):
                    return text
        except StopAsyncIteration:
            cut = None if self._is_left else self._events.take_error()
            if cut is None:
                raise
            raise cut from None


class TextStream(View[Answer]):
    """The words of one stream.

    Raises its error when the stream fails. Use it in an ``async with`` when you may leave it early:
    then the provider's socket is closed at once.
    """

    __anext__ = View._next_words  # noqa: SLF001 - its own: no coroutine more for each word


class ItemsStream(View[Any], Generic[Item]):
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
                await self.aclose()
                raise
            self._ready = self._items.feed(await self._next_words())
