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
Outside of ``async with``, an observer belongs to the task that iterates it, as a stream does. When
the last observer has left, and the consumer does not read either, the stream ends.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from copy import copy
from typing import Any, Literal, Self, TypeAlias, get_args

from steer_llm_sdk.errors import ConfigurationError, StreamCancelledError, StreamInUseError
from steer_llm_sdk.models.events import AnyEvent, StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.stored import Live
from steer_llm_sdk.streaming.ownership import Owner
from steer_llm_sdk.tasks import check_loop

Overflow: TypeAlias = Literal["block", "drop_oldest", "drop_newest", "coalesce"]

DEFAULT_MAXSIZE = 256


class Observer(Live):
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
        is_closed: Whether it reads no more.
        is_waiting: Whether somebody waits for its next event.
        on_close: Called when it reads no more; from any thread.
        on_wait: Called when somebody waits for its next event.

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
        self._changed = asyncio.Event()  # something was put in, or nothing more will be
        self.on_close: Callable[[], object] | None = None
        if maxsize < 1:
            raise ConfigurationError(f"maxsize: expected at least 1, found {maxsize!r}")
        if overflow not in get_args(Overflow):
            known = ", ".join(get_args(Overflow))
            raise ConfigurationError(f"overflow: expected one of {known}, found {overflow!r}")
        self.delivered = 0
        self.dropped = 0
        self.joined = 0
        self.max_lag = 0
        self.on_wait: Callable[[], object] | None = None
        self.is_closed = False
        self.is_waiting = False
        self._error: Exception | None = None
        self._owner = Owner(self)
        self._is_entered = False
        self._begin = begin
        self._loop: asyncio.AbstractEventLoop | None = None
        self._maxsize = maxsize
        self._overflow = overflow
        self._queue: deque[StreamEvent] = deque()
        self._is_ending = False  # only the few last events follow
        self._has_last = False  # no event follows those in the queue
        self._growing: _Joined | None = None  # stands for the queue's last event

    @property
    def lag(self) -> int:
        """How many events wait to be read."""
        return len(self._queue)

    def close(self) -> None:
        """Read no more. The stream goes on for its other readers, and ends without any."""
        if self.is_closed:
            return
        self.is_closed = True
        self._begin = None
        self._owner.release()
        self._queue.clear()
        self._leave()

    async def aclose(self) -> None:
        """As `close`: an observer is left as a stream is."""
        self.close()

    def disown(self, task: asyncio.Task[Any]) -> None:
        """The task that iterated this observer has ended."""
        if self._owner.is_(task) and not self.is_waiting:
            self.close()

    def _leave(self) -> None:
        self.has_room.set()
        self._changed.set()
        if self.on_close is not None:
            self.on_close()

    def __del__(self) -> None:
        self._leave()  # nobody reads any more: the stream must not wait

    def __aiter__(self) -> Self:
        if not self._is_entered and not self.is_closed:
            self._owner.take()
        return self

    async def __anext__(self) -> AnyEvent:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            self._loop = asyncio.get_running_loop()
            begin()
        while not self._queue:
            if self._has_last or self.is_closed:
                self._owner.release()
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            await self._wait()
        event: Any = self._queue.popleft()  # one of the five: nobody makes another
        if not self._queue:
            self._settle()
        self.delivered += 1
        self.has_room.set()
        return event  # type: ignore[no-any-return]

    async def _wait(self) -> None:
        """Wait until something was put in, or nothing more will be."""
        check_loop(self._loop, "the observer's stream")
        if self.is_waiting:
            raise StreamInUseError(
                "another task waits for this observer's next event; one task reads an observer at "
                "a time: subscribe() gives each further reader a queue of its own"
            )
        self._changed.clear()
        self.is_waiting = True
        if self.on_wait is not None:
            self.on_wait()
        try:
            await self._changed.wait()
        finally:
            self.is_waiting = False

    async def __aenter__(self) -> Self:
        self._is_entered = True
        self._owner.release()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    # --- the stream's side --------------------------------------------------------------------

    def offer(self, event: StreamEvent) -> bool:
        """Put an event into the queue; False when it has to wait for room."""
        if self.is_closed:
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

    def end(self, error: Exception | None = None) -> None:
        """No event follows; `error` is raised to the reader after those that wait."""
        self._has_last = True
        self._begin = None  # there is nothing to pull: what waits can be read in any loop
        self._error = error
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
    if one.get("type") == "notice":
        return False
    return one.get("type") == other.get("type") and one.get("index") == other.get("index")


class Fanout:
    """Pulls a stream in a task, and hands its events to all readers.

    Readers are held weakly: one that nobody holds any more reads no more, and must not hold up the
    others. The stream is held while there is an observer to read it. Without one, it is pulled only
    as far as the consumer itself asks, and held by nobody but its consumer.

    Args:
        pull: Gives the next event of the stream; None after the last. A method of the stream.
        on_unread: Called with the reason when the last observer has left a stream that its consumer
            does not read. A method of the stream.
    """

    def __init__(
        self,
        pull: Callable[[], Coroutine[Any, Any, StreamEvent | None]],
        on_unread: Callable[[str], object],
    ) -> None:
        self._pull = weakref.WeakMethod(pull)
        self._on_unread = weakref.WeakMethod(on_unread)
        self._observers: list[weakref.ref[Observer]] = []
        self._own: Observer | None = None  # the consumer's
        self._loop: asyncio.AbstractEventLoop | None = None
        self._demand = asyncio.Event()  # set when there is somebody to pull the stream for
        self._is_hurried = False
        self._is_over = False
        self._error: Exception | None = None  # to be told to every reader
        self._task: asyncio.Task[Any] | None = None  # pulls the stream
        self._is_pulling = False
        self._gives_up = False  # what it pulls, since nobody reads any more

    def add(self, observer: Observer) -> Observer:
        """Hand the events to one more reader, from now on."""
        if self._is_over:
            observer.end(self._error)
        else:
            observer.on_close = self._note_left
            self._observers.append(weakref.ref(observer))
            self._demand.set()
        return observer

    def add_own(self, observer: Observer) -> Observer:
        """Hand the events to the consumer of the stream too, from now on."""
        if self._is_over:
            observer.end(self._error)
        self._own = observer
        observer.on_wait = self._demand.set
        return observer

    def hurry(self) -> None:
        """The stream was stopped: no reader may hold up its last events."""
        self._is_hurried = True
        self._demand.set()
        for reader in self._readers():
            reader.hurry()

    def end(self, error: Exception | None = None) -> bool:
        """No event follows; gives whether there is a reader who is told of the error."""
        self._is_over = True
        self._error = error
        readers = self._readers()
        for reader in readers:
            reader.end(error)
        return bool(readers)

    async def run(self) -> None:
        """Pull the stream to its end."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        error: Exception | None = None
        try:
            while await self._deliver():
                pass
        except asyncio.CancelledError:
            error = StreamCancelledError("the task that read the stream was cancelled")
            raise
        except Exception as failed:  # noqa: BLE001 - raised again, where there is nobody to tell
            error = failed
        finally:
            has_told = self.end(error)
        if error is not None and not has_told:
            raise error

    async def _deliver(self) -> bool:
        """Hand out events while they are read; False after the last, or when the stream is gone."""
        if not self._has_readers():
            self._demand.clear()
            if not (self._own is not None and self._own.is_waiting):
                await self._demand.wait()
        pull = self._pull()  # until it returns, the stream is held
        if pull is None:
            return False
        while True:
            try:
                self._is_pulling = True
                event = await pull()
            except asyncio.CancelledError:
                if not self._gives_up or self._task is None or self._task.uncancel():
                    raise
                return True  # what was pulled is asked for again when somebody reads
            finally:
                self._is_pulling = self._gives_up = False
            if event is None:
                return False
            await self._hand_out(event)
            if not self._has_readers():
                return True

    def _has_readers(self) -> bool:
        """Whether the next event is asked for, without anybody who waits for it."""
        return self._is_hurried or self._has_observers()

    async def _hand_out(self, event: StreamEvent) -> None:
        for reader in [*self._observers, None]:
            while (observer := self._own if reader is None else reader()) is not None:
                if observer.offer(event):
                    break
                room = observer.has_room
                del observer  # while it is waited for, only its reader holds it
                await room.wait()

    def _readers(self) -> list[Observer]:
        found = [observer for reader in self._observers if (observer := reader()) is not None]
        return found if self._own is None else [*found, self._own]

    def _has_observers(self) -> bool:
        self._observers = [
            reader
            for reader in self._observers
            if (observer := reader()) is not None and not observer.is_closed
        ]
        return bool(self._observers)

    def _note_left(self) -> None:
        """An observer has left: called in any thread, by the garbage collector too."""
        if self._loop is not None and not self._is_over and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._check_observers)

    def _check_observers(self) -> None:
        if self._is_over or self._is_hurried or self._has_observers():
            return
        if self._own is not None:
            if self._is_pulling and not self._own.is_waiting and self._task is not None:
                self._gives_up = self._task.cancel()
        elif (on_unread := self._on_unread()) is not None:
            on_unread("all who read the stream have left it")
