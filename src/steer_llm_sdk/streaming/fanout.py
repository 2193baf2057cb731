"""Several readers of one stream, each with a queue of its own: `EventStream.subscribe`.

A stream is pulled by its one consumer, and needs no queue. Once there are observers, a task pulls
it instead and hands every event to all readers: the observers, and the consumer when it iterates.
It begins when the first of them asks for an event, so that none misses the start.
What happens when a reader's queue is full is its own affair:

=================  ==============================================================================
``"block"``        the stream waits: nothing is lost, and this reader sets the pace for all
``"drop_oldest"``  the oldest delta in the queue is dropped
``"drop_newest"``  the delta that has just come is dropped
``"coalesce"``     neighbouring deltas of one kind are joined: nothing is lost, nobody waits
=================  ==============================================================================

Start, usage and terminal events are never dropped. Readers share the events: change none.
A reader that stops before the end has to be closed, best by ``async with stream.subscribe() as …``:
with ``"block"``, one that is neither read nor closed nor forgotten holds up the stream for good.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any, Literal, Self, TypeAlias, get_args

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.text import TextPieces

Overflow: TypeAlias = Literal["block", "drop_oldest", "drop_newest", "coalesce"]

DEFAULT_MAXSIZE = 256


class Observer:
    """One more async iterator of a stream's events. It ends after the terminal event.

    Args:
        maxsize: How many events may wait.
        overflow: What happens when as many wait.
        begin: Called when it is read for the first time.

    Attributes:
        delivered: Events that were read.
        dropped: Deltas that were dropped.
        joined: Deltas that were joined to the one before them.
        max_lag: The most events that have waited at once.
        has_room: Set when a reader has taken an event, or is gone.

    Raises:
        ConfigurationError: `maxsize` is below 1, or `overflow` is none of the four.
    """

    def __init__(
        self,
        maxsize: int = DEFAULT_MAXSIZE,
        overflow: Overflow = "block",
        begin: Callable[[], object] | None = None,
    ) -> None:
        self.has_room = asyncio.Event()
        if maxsize < 1:
            raise ConfigurationError(f"maxsize: expected at least 1, found {maxsize!r}")
        if overflow not in get_args(Overflow):
            known = ", ".join(get_args(Overflow))
            raise ConfigurationError(f"overflow: expected one of {known}, found {overflow!r}")
        self.delivered = 0
        self.dropped = 0
        self.joined = 0
        self.max_lag = 0
        self._begin = begin
        self._maxsize = maxsize
        self._overflow = overflow
        self._queue: deque[StreamEvent] = deque()
        self._is_ending = False  # only the few last events follow
        self._has_last = False  # no event follows those in the queue
        self._is_closed = False
        self._changed = asyncio.Event()  # something was put in, or nothing more will be
        self._growing: _Joined | None = None  # stands for the queue's last event

    @property
    def lag(self) -> int:
        """How many events wait to be read."""
        return len(self._queue)

    def close(self) -> None:
        """Read no more. The stream goes on without this reader."""
        self._is_closed = True
        self._queue.clear()
        self.has_room.set()
        self._changed.set()

    def __del__(self) -> None:
        self.has_room.set()  # nobody reads any more: the stream must not wait

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            begin()
        while not self._queue:
            if self._has_last or self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        event = self._queue.popleft()
        if not self._queue:
            self._settle()
        self.delivered += 1
        self.has_room.set()
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    # --- the stream's side --------------------------------------------------------------------

    def offer(self, event: StreamEvent) -> bool:
        """Put an event into the queue; False when it has to wait for room."""
        if self._is_closed:
            return True
        if len(self._queue) >= self._maxsize and not self._make_room(event):
            return self._overflow != "block"
        self._settle()
        self._queue.append(event)
        self.max_lag = max(self.max_lag, len(self._queue))
        self._changed.set()
        return True

    def hurry(self) -> None:
        """The stream was stopped: its last events do not wait for room."""
        self._is_ending = True
        self.has_room.set()

    def end(self) -> None:
        """No event follows."""
        self._has_last = True
        self._changed.set()

    def _make_room(self, event: StreamEvent) -> bool:
        """What is done about a full queue: whether `event` is still to be put in."""
        if self._overflow == "block":
            if not self._is_ending:
                self.has_room.clear()
            return self._is_ending
        if not isinstance(event, StreamDeltaEvent):
            return True  # these few are never dropped
        if self._overflow == "coalesce":
            return not self._join(event)
        self.dropped += 1
        if self._overflow == "drop_newest":
            return False
        deltas = (i for i, old in enumerate(self._queue) if isinstance(old, StreamDeltaEvent))
        oldest = next(deltas, None)
        if oldest is None:  # only what is never dropped waits
            return False
        del self._queue[oldest]
        return True

    def _join(self, event: StreamDeltaEvent) -> bool:
        """Join a delta to the last one in the queue, when they are of one kind."""
        last = self._queue[-1]
        if not isinstance(last, StreamDeltaEvent) or not _belong_together(last, event):
            return False
        if self._growing is None:
            self._growing = _Joined(last)
            self._queue[-1] = self._growing.event
        self._growing.add(event)
        self.joined += 1
        return True

    def _settle(self) -> None:
        """The last event in the queue grows no more."""
        if self._growing is not None:
            self._growing.settle()
            self._growing = None


class _Joined:
    """Neighbouring deltas as one, which grows: its words are put together when it is settled.

    Attributes:
        event: A copy of the first of them, since events are shared.
    """

    def __init__(self, first: StreamDeltaEvent) -> None:
        self.event = copy(first)
        self.event.metadata = dict(first.metadata)
        self._words: dict[str, TextPieces] = {}
        self._rest: dict[str, Any] = {}
        self._take(first.delta)

    def add(self, event: StreamDeltaEvent) -> None:
        """One more."""
        self._take(event.delta)
        self.event.metadata.update(event.metadata)

    def settle(self) -> None:
        """Write what they say together into the event."""
        words = {key: str(pieces) for key, pieces in self._words.items()}
        is_text = isinstance(self.event.delta, str)
        self.event.delta = words[_PLAIN] if is_text else self._rest | words

    def _take(self, delta: str | dict[str, Any]) -> None:
        for key, value in delta.items() if isinstance(delta, dict) else ((_PLAIN, delta),):
            if key in _WORDS and isinstance(value, str):
                if key not in self._words:
                    self._words[key] = TextPieces()
                self._words[key].append(value)
            else:
                self._rest[key] = value


# Where the words of a delta stand; of a plain one, nowhere.
_PLAIN = ""
_WORDS = frozenset({_PLAIN, "text", "arguments"})


def _belong_together(last: StreamDeltaEvent, event: StreamDeltaEvent) -> bool:
    """Whether two deltas are pieces of one thing: text, reasoning, or one tool call."""
    one, other = last.delta, event.delta
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str)
    return one.get("type") == other.get("type") and one.get("index") == other.get("index")


class Fanout:
    """Pulls a stream in a task, and hands its events to all readers.

    Args:
        pull: Gives the next event; None after the last.
    """

    def __init__(self, pull: Callable[[], Awaitable[StreamEvent | None]]) -> None:
        self._pull = pull
        # An observer that nobody holds any more reads no more: it must not hold up the others.
        self._readers: list[weakref.ref[Observer]] = []
        self._is_over = False

    def add(self, observer: Observer) -> Observer:
        """Hand the events to one more reader, from now on."""
        if self._is_over:
            observer.end()
        self._readers.append(weakref.ref(observer))
        return observer

    def hurry(self) -> None:
        """The stream was stopped: no reader may hold up its last events."""
        for reader in self._readers:
            if (observer := reader()) is not None:
                observer.hurry()

    async def run(self) -> None:
        """Pull the stream to its end."""
        try:
            while (event := await self._pull()) is not None:
                await self._hand_out(event)
        finally:
            self._is_over = True
            for reader in self._readers:
                if (observer := reader()) is not None:
                    observer.end()

    async def _hand_out(self, event: StreamEvent) -> None:
        for reader in tuple(self._readers):
            while (observer := reader()) is not None and not observer.offer(event):
                room = observer.has_room
                del observer  # while it is waited for, only its reader holds it
                await room.wait()
        if any(reader() is None for reader in self._readers):
            self._readers = [reader for reader in self._readers if reader() is not None]
