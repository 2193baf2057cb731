"""Journals for tests: each place by one name, and sources that a test feeds by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from steer_llm_sdk import SteerError, StreamCancelledError
from steer_llm_sdk.journal import Journal
from steer_llm_sdk.journal.generation import Generation
from steer_llm_sdk.journal.store import Claim
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
)

# A heartbeat for tests that wait for one that does not come: long beside a turn of the loop on a
# busy machine, short beside a test.
QUICK = 0.1

STREAM = "stream-1"


@dataclass(frozen=True)
class Place:
    """Where journals hold their streams.

    Attributes:
        name: Its name in the tests.
        open: Makes one more journal of the same place, as another process would.
    """

    name: str
    open: Callable[..., Journal]


class Fed:
    """A source whose events are given by the test, as a provider would: an ordinary `Producer`."""

    def __init__(self, stream_id: str = STREAM) -> None:
        self.cancelled: str | None = None
        self.was_left = False
        self._stream_id = stream_id
        self._count = 0
        self._waiting: deque[StreamEvent] = deque()
        self._more = asyncio.Event()
        self._is_over = False

    def say(self, *texts: str) -> None:
        """Give deltas; the start event before the first."""
        if self._count == 0:
            self._put(StreamStartEvent)
        for text in texts:
            self._put(StreamDeltaEvent, delta=text)

    def complete(self) -> None:
        """End well."""
        self._put(StreamCompleteEvent, finish_reason="stop")
        self._is_over = True

    def fail(self, error: SteerError) -> None:
        """End in an error."""
        self._put(StreamErrorEvent, error=error, is_retryable=error.is_retryable)
        self._is_over = True

    def cancel(self, reason: str = "") -> None:
        if not self._is_over:
            self.cancelled = reason
            self.fail(StreamCancelledError(reason))

    def _put(self, kind: type[StreamEvent], **values: Any) -> None:
        made = kind(
            provider="openai",
            model="gpt-4o",
            stream_id=self._stream_id,
            sequence=self._count,
            **values,
        )
        self._waiting.append(made)
        self._count += 1
        self._more.set()

    def take_ready(self) -> StreamEvent | None:
        return self._waiting.popleft() if self._waiting else None

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        while not self._waiting:
            if self._is_over or self.was_left:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        self.was_left = True


class Producing:
    """A generation of a `Fed` source, which runs until the block is left."""

    def __init__(self, journal: Journal, stream_id: str = STREAM, key: str | None = None) -> None:
        self.source = Fed(stream_id)
        self._journal = journal
        self._claim = Claim(stream_id, key, "request")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        desk = self._journal.here()
        assert await desk.claim(self._claim) == self._claim
        named = StreamEvent(stream_id=self._claim.stream_id)
        self._generation = Generation(desk, self.source, named)
        self._task = asyncio.create_task(self._generation.run())
        return self

    @property
    def written(self) -> int:
        """How many events are written."""
        return self._generation.written

    async def finished(self) -> None:
        """Wait until all is written."""
        assert self._task is not None
        await self._task

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))


async def read(journal: Journal, stream_id: str = STREAM, after: int = -1) -> list[StreamEvent]:
    """Follow a stream to its end."""
    return [event async for event in journal.attach(stream_id, after)]


def said(events: Sequence[StreamEvent]) -> str:
    """The words of some events."""
    return "".join(event.get_text() for event in events if isinstance(event, StreamDeltaEvent))


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
