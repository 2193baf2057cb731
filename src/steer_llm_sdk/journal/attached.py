"""A stream as a journal gives it: `Attached`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from steer_llm_sdk.errors import ConfigurationError, StreamInUseError
from steer_llm_sdk.journal.desk import Desk
from steer_llm_sdk.journal.store import PAGE_EVENTS
from steer_llm_sdk.journal.tail import Tail
from steer_llm_sdk.models.events import AnyEvent, StreamEvent
from steer_llm_sdk.stored import Live
from steer_llm_sdk.tasks import check_loop


class Desks(Protocol):
    """A journal: what it has in the running loop."""

    def here(self) -> Desk:
        """What there is in the running loop."""
        ...

    async def stop(self, stream_id: str, reason: str = ...) -> bool:
        """Stop the generation of a stream."""
        ...


class Attached(Live):
    """The events of a stream that a journal holds: those that were, then those that come.

    ::

        async with journal.attach(stream_id, after=41) as events:
            async for event in events:
                ...

    It ends after the last event of the generation; a failed one ends in a `StreamErrorEvent`, and
    nothing is raised for it. Leaving it stops nothing: see `stop`. Whoever follows the same stream
    in the same process gets the same objects: change none.

    One task reads it at a time. An ``anext`` that is given up loses nothing.

    Args:
        journal: Where the stream is.
        stream_id: Which it is.
        after: The sequence of the last event that is known already; -1 for none.

    Attributes:
        stream_id: The stream.
    """

    def __init__(self, journal: Desks, stream_id: str, after: int) -> None:
        self.stream_id = stream_id
        self._journal = journal
        self._ready: deque[StreamEvent] = deque()
        self._read_to = after  # what is in `_ready` goes up to here
        self._desk: Desk | None = None
        self._tail: Tail | None = None
        self._is_over = False
        self._is_read = False  # somebody waits for the next event, in `__anext__`
        self._coming: asyncio.Future[Sequence[StreamEvent]] | None = None  # … or for this
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def after(self) -> int:
        """The sequence of the last event that was given, or is known."""
        return self._read_to - len(self._ready)

    def resume_after(self, sequence: int) -> None:
        """Begin after this event: whoever asks has it already.

        Raises:
            ConfigurationError: It has begun already.
        """
        if self._desk is not None:
            raise ConfigurationError("resume_after: the stream is being read already")
        self._read_to = sequence

    async def stop(self, reason: str = "the stream was stopped by a follower") -> bool:
        """Stop the generation, wherever it runs: see `Journal.stop`."""
        return await self._journal.stop(self.stream_id, reason)

    async def has_ended(self) -> bool:
        """Whether there is nothing to come; nothing that could be read is taken.

        Raises:
            JournalGapError: The stream is not there, or does not have what is asked for any more.
            ConnectionLostError: The journal cannot be reached.
            ConfigurationError: It was left before anything was read of it.
        """
        if self._is_over and self._desk is None:
            raise ConfigurationError(
                "the stream was left before it was read: an `async with` around it leaves it when "
                "the endpoint returns; leave that out"
            )
        if self._tail is None and not self._ready and not self._is_over:
            await self._begin(self._desk or self._open())
        if self._ready or self._is_over or self._tail is None:
            return self._is_over and not self._ready
        return self._tail.is_over and self._tail.next <= self._read_to + 1

    def take_ready(self) -> StreamEvent | None:
        """Take the next event if that needs no waiting; None otherwise."""
        return self._ready.popleft() if self._ready else None

    def coming(self) -> asyncio.Future[Sequence[StreamEvent]] | None:
        """What gives the next events when they have come, for `accept`: without a coroutine.

        None where there is something else to do than to wait: `anext` does it, or says what is
        wrong. Whoever waits may cancel it; nothing is lost then.
        """
        tail, coming = self._tail, self._coming
        if (
            tail is None
            or tail.next != self._read_to + 1
            or not tail.goes_on
            or self._ready
            or self._is_read
            or (coming is not None and not coming.done())
            or self._loop is not asyncio.get_running_loop()
        ):
            return None
        self._coming = coming = tail.grown()
        return coming

    def accept(self, events: Sequence[StreamEvent]) -> AnyEvent | None:
        """Take what `coming` gave: the first of it, or None where `anext` is to look."""
        first: Any = None  # or one of the five events: nobody writes another
        if len(events) == 1:  # as they come while a model writes
            self._read_to += 1
            first = events[0]
        elif events:
            self._take(events)
            first = self._ready.popleft()
        return first  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Follow the stream no more."""
        self.leave()

    def leave(self) -> None:
        """Follow the stream no more; as `aclose`, for code that cannot wait."""
        self._is_over = True
        self._read_to = self.after
        self._ready.clear()
        tail, self._tail = self._tail, None
        if tail is not None and self._desk is not None:
            tail.wake()  # whoever waits for the next event
            self._desk.leave(self.stream_id, tail)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyEvent:
        ready: deque[Any] = self._ready  # of the five events: nobody writes another
        if ready:
            return ready.popleft()  # type: ignore[no-any-return]
        check_loop(self._loop, "the stream of the journal")
        if self._is_read or (self._coming is not None and not self._coming.done()):
            raise StreamInUseError(
                "another task waits for the next event: attach once more for each further reader"
            )
        self._is_read = True
        try:
            while not self._is_over:
                tail = self._tail
                if tail is None or tail.next != self._read_to + 1 or not tail.goes_on:
                    await self._fill()
                elif (event := self.accept(await tail.grown())) is not None:
                    return event
                if ready:
                    return ready.popleft()  # type: ignore[no-any-return]
        finally:
            self._is_read = False
        self.leave()
        raise StopAsyncIteration

    async def _fill(self) -> None:
        """Get more events: from those that this process holds, else from the store."""
        desk = self._desk or self._open()
        tail = self._tail
        if tail is None:
            await self._begin(desk)
            return
        held = tail.events_after(self._read_to)
        if held is None:
            await self._read(desk)
        elif held:
            self._take(held)
        elif tail.error is not None:
            raise tail.error
        elif tail.is_over:
            self._is_over = True
        else:
            await tail.grown()
            if held := tail.events_after(self._read_to):
                self._take(held)

    def _open(self) -> Desk:
        self._loop = asyncio.get_running_loop()
        self._desk = desk = self._journal.here()
        return desk

    async def _begin(self, desk: Desk) -> None:
        """Join those who follow the stream here, or read the store."""
        self._tail = desk.join(self.stream_id, self._read_to)
        if self._tail is None:
            await self._read(desk)

    async def _read(self, desk: Desk) -> None:
        page = await desk.read(self.stream_id, self._read_to)
        if self._is_over:  # it was left meanwhile
            return
        self._take(page.events)
        self._is_over = page.is_last
        if self._tail is None and not page.is_last and len(page.events) < PAGE_EVENTS:
            self._tail = desk.follow(self.stream_id, page)

    def _take(self, events: Sequence[StreamEvent]) -> None:
        self._ready.extend(events)
        self._read_to += len(events)

    def __del__(self) -> None:
        if self._tail is None or self._desk is None or self._loop is None:
            return
        with suppress(RuntimeError):  # the loop has ended, and with it what follows the stream
            self._loop.call_soon_threadsafe(self._desk.leave, self.stream_id, self._tail)
