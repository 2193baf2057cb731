"""What a journal has in one event loop: its store, what is written, and what is followed there.

Three tasks run while there is something to do, each for all streams of the loop: one writes what
has come meanwhile in one round trip, one waits for news of the store, one sends heartbeats and
finds those who do not any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from steer_llm_sdk.errors import (
    ConfigurationError,
    ConnectionLostError,
    JournalGapError,
    ProducerLostError,
)
from steer_llm_sdk.journal.pauses import LONGEST_PAUSE, Pauses
from steer_llm_sdk.journal.reads import Reads
from steer_llm_sdk.journal.store import (
    Append,
    Claim,
    Immediate,
    Page,
    Store,
    StoreUnreachableError,
    WriteNext,
    fallen_back,
    given_up,
)
from steer_llm_sdk.journal.tail import Tail
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent
from steer_llm_sdk.tasks import start_task

_log = logging.getLogger("steer_llm_sdk.journal")

_Result = TypeVar("_Result")

# Gets what was to be written, and whether it is, or why not.
Tell: TypeAlias = Callable[[Append, bool | Exception], object]

# How many events are held of a stream that has begun here, until somebody follows it: whoever began
# it comes for it at once, and need not ask the store.
_BEGINNING = 64

# How many appends are written in one round trip, at most.
_BATCH = 512

# Streams that begin within so many seconds are told to the store together.
_GATHERING = 0.05


class Producer(Protocol):
    """What writes a stream.

    Attributes:
        written: The sequence of the next event that it will write.
    """

    written: int

    def cancel(self, reason: str) -> object:
        """End it."""
        ...


class Desk:
    """What a journal has in one event loop.

    Args:
        store: The store, for this loop.
        heartbeat: Seconds between heartbeats.
        patience: For how many seconds a store is asked again that cannot be reached.
    """

    def __init__(self, store: Store, heartbeat: float, patience: float) -> None:
        self._store = store
        self._immediate = store if isinstance(store, Immediate) else None
        self._heartbeat = heartbeat
        self._patience = patience
        self._tails: dict[str, Tail] = {}
        self._beginnings: dict[str, Tail] = {}  # of streams that nobody follows here yet
        self._producers: dict[str, Producer] = {}
        self._pending: list[tuple[Append, Tell]] = []
        self._underway: list[tuple[Append, Tell]] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reads = Reads(self._read_now)
        self._telling: asyncio.TimerHandle | None = None  # asks about what has begun meanwhile
        self._is_closed = False

    # --- producing ----------------------------------------------------------------------------

    async def claim(self, claim: Claim) -> Claim:
        """Begin a stream, unless its key is held by one that runs or has ended well."""
        while True:
            holder = await self.ask(lambda: self._store.claim(claim))
            if holder.stream_id == claim.stream_id or not await self._is_lost(holder):
                return holder

    async def _is_lost(self, holder: Claim) -> bool:
        """Whether the producer is lost who holds a key; then it is written, which frees the key."""
        if not await self.ask(lambda: self._store.silent({holder.stream_id: 0})):
            return False
        try:
            await self._note_lost(holder.stream_id, Tail(Page(0, ())))
        except JournalGapError:  # it has expired, or its beginning was trimmed
            await self.ask(lambda: self._store.release(holder))
        return True

    def produce(self, stream_id: str, producer: Producer) -> None:
        """Send heartbeats for a stream, and cancel its producer when it is to end."""
        self._producers[stream_id] = producer
        if producer.written == 0 and stream_id not in self._tails:
            self._beginnings[stream_id] = Tail(Page(0, ()))
        self._begin()
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_GATHERING, self._ask_again)

    def end_producing(self, stream_id: str) -> None:
        """Send no more heartbeats."""
        self._producers.pop(stream_id, None)
        self._beginnings.pop(stream_id, None)
        tail = self._tails.get(stream_id)
        if not self._producers or (tail is not None and not tail.is_over):
            self._store.interrupt()
        self._rest()

    async def write(self, append: Append) -> bool:
        """Write events; False where others have been written in their place.

        Raises:
            ConnectionLostError: The store could not be reached for too long.
        """
        is_written = self.write_at_once(append)
        if is_written is None:
            written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self.write_soon(append, lambda _, outcome: _settle(written, outcome))
            is_written = await written
        return is_written

    def write_at_once(self, append: Append) -> bool | None:
        """Write events as `write` does; None where the store has to be waited for."""
        self._check_open()
        if self._immediate is None:
            return None
        if not self._immediate.write_at_once(append):
            return False
        self._hand_on(append)
        return True

    def writer(self, stream_id: str) -> WriteNext | None:
        """How a stream goes on at once; None where the store has to be waited for."""
        if self._immediate is None:
            return None
        write, tails = self._immediate.writer(stream_id), self._tails

        def write_next(first: int, events: Sequence[StreamEvent]) -> bool:
            self._check_open()
            if not write(first, events):
                return False
            tail = tails.get(stream_id)
            if tail is not None and tail.next == first:  # nearly always, where it is followed
                tail.add(events)
            else:
                self._hand_on(Append(stream_id, first, events))
            return True

        return write_next

    def write_soon(self, append: Append, tell: Tell) -> None:
        """Write events as `write` does, after those of earlier calls, and wait for nothing.

        Args:
            append: The events.
            tell: Gets them again with what `write` would have returned, or raised.
        """
        self._check_open()
        self._pending.append((append, tell))
        if "write" not in self._tasks:
            self._start("write", self._write_pending)

    def _hand_on(self, append: Append) -> None:
        """Hand what was written to those who follow it here: they need not ask the store."""
        stream_id, first, events, ends, _ = append
        tail = self._tails.get(stream_id)
        if tail is None:
            self._hold_beginning(append)
        elif tail.next >= first:
            tail.grow(Page(first, events, ends))
        else:  # the news bring it, after what is missing
            self._store.interrupt()

    def _hold_beginning(self, append: Append) -> None:
        tail = self._beginnings.get(append.stream_id)
        if tail is None:
            return
        tail.grow(Page(append.first, append.events, append.ends))
        if tail.next > _BEGINNING:
            del self._beginnings[append.stream_id]

    async def _write_pending(self) -> None:
        try:
            while self._pending:
                batch = self._underway = self._pending[:_BATCH]
                del self._pending[:_BATCH]
                outcomes = await self._write_now([append for append, _ in batch])
                self._underway = []  # not before: `close` tells those who wait for it
                for (append, tell), written in zip(batch, outcomes, strict=True):
                    self._tell(append, tell, written)
                await asyncio.sleep(self._store.write_pause)
        finally:
            del self._tasks["write"]  # in this moment: what comes now begins another one

    async def _write_now(self, appends: list[Append]) -> Sequence[bool | Exception]:
        """Write events; of each append, whether it is written, or why not."""
        joined, places = _joined(appends)
        try:
            written = await self.ask(lambda: self._store.write(joined))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            return [error] * len(appends)
        return [written[place] for place in places]

    def _tell(self, append: Append, tell: Tell, written: bool | Exception) -> None:
        try:
            if written is True:
                self._hand_on(append)
            tell(append, written)
        except Exception:  # noqa: BLE001 - the others are to be told
            _log.exception("what has become of a write cannot be told")

    # --- following ----------------------------------------------------------------------------

    def join(self, stream_id: str, after: int) -> Tail | None:
        """Follow a stream that is followed here already, if what comes after `after` is held."""
        tail = self._tails.get(stream_id) or self._beginnings.get(stream_id)
        if tail is None or tail.error is not None or tail.events_after(after) is None:
            return None
        return self._add_follower(stream_id, tail)

    def follow(self, stream_id: str, page: Page) -> Tail:
        """Follow a stream from the last page that was read of it on."""
        return self._add_follower(stream_id, self._tails.get(stream_id) or Tail(page))

    def _add_follower(self, stream_id: str, tail: Tail) -> Tail:
        tail.followers += 1
        if stream_id not in self._tails:
            self._tails[stream_id] = tail
            self._beginnings.pop(stream_id, None)
            if self._is_told_by_store(stream_id, tail):
                self._begin()
                self._store.interrupt()
        return tail

    def leave(self, stream_id: str, tail: Tail) -> None:
        """Follow a stream no more."""
        tail.followers -= 1
        if tail.followers == 0 and self._tails.get(stream_id) is tail:
            del self._tails[stream_id]
            if self._is_told_by_store(stream_id, tail) or not self._producers:
                self._store.interrupt()
            self._rest()

    async def read(self, stream_id: str, after: int) -> Page:
        """Read what the store has."""
        if self._immediate is not None:  # it need not be waited for
            return await self._read_now(stream_id, after)
        return await self._reads.read(stream_id, after)

    async def _read_now(self, stream_id: str, after: int) -> Page:
        return await self.ask(lambda: self._store.read(stream_id, after))

    async def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer of a stream to stop, wherever it runs."""
        is_asked = await self.ask(lambda: self._store.ask_to_stop(stream_id, reason))
        if is_asked and (producer := self._producers.get(stream_id)) is not None:
            producer.cancel(reason)  # a store need not tell here what was said here
        return is_asked

    def give_up(self) -> None:
        """Let go of everything: the loop has ended."""
        self._store.give_up()

    async def close(self) -> None:
        """End the tasks, and close the store."""
        self._is_closed = True
        if self._telling is not None:
            self._telling.cancel()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for tail in self._tails.values():
            tail.fail(_closed())
        for append, tell in [*self._underway, *self._pending]:
            self._tell(append, tell, _closed())
        await self._store.close()

    # --- what runs ----------------------------------------------------------------------------

    def _ask_again(self) -> None:
        self._telling = None
        self._store.interrupt()

    def _begin(self) -> None:
        self._start("news", self._read_news)
        self._start("beats", self._send_beats)

    def _start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._check_open()
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = task = start_task(work())
            task.add_done_callback(self._note_crash)

    def _note_crash(self, task: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a task that has failed."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("a journal cannot go on", exc_info=error)
        for tail in self._tails.values():
            tail.fail(JournalGapError(f"the journal cannot be read: {type(error).__name__}"))

    def _rest(self) -> None:
        if not self._tails and not self._producers and (beats := self._tasks.get("beats")):
            beats.cancel()

    async def _read_news(self) -> None:
        pause: Pauses | None = None  # since when it cannot be reached
        # What a store raises can stand in the place of a cancellation: so it is asked, too.
        while not self._is_closed and ((followed := self._find_followed()) or self._producers):
            try:
                news = await self._store.news(followed, tuple(self._producers))
            except StoreUnreachableError as error:
                pause = pause or Pauses(self._patience)
                await self._wait_or_fail(pause, error)
                continue
            pause = None
            for stream_id, page in news.pages.items():
                if (tail := self._tails.get(stream_id)) is not None:
                    tail.grow(page)
            for stream_id, reason in news.stops.items():
                if (producer := self._producers.get(stream_id)) is not None:
                    producer.cancel(reason)

    def _find_followed(self) -> dict[str, int]:
        """The streams of which the store has to tell, and after which sequence."""
        return {
            stream_id: tail.next - 1
            for stream_id, tail in self._tails.items()
            if self._is_told_by_store(stream_id, tail)
        }

    def _is_told_by_store(self, stream_id: str, tail: Tail) -> bool:
        """Whether the store has to tell of a stream: what is written here is handed on at once."""
        if tail.is_over:
            return False
        producer = self._producers.get(stream_id)
        return producer is None or tail.next != producer.written

    async def _wait_or_fail(self, pause: Pauses, error: StoreUnreachableError) -> None:
        if await pause.wait():
            return
        for stream_id, tail in tuple(self._tails.items()):
            if stream_id not in self._producers:
                tail.fail(given_up(error))
                del self._tails[stream_id]
        await asyncio.sleep(LONGEST_PAUSE)  # what is produced here goes on

    async def _send_beats(self) -> None:
        while not self._is_closed:
            quiet = self._find_quiet()
            await asyncio.sleep(self._heartbeat)
            try:
                if self._producers:
                    await self._store.beat(tuple(self._producers))
                for stream_id in await self._store.silent(quiet) if quiet else ():
                    if (tail := self._tails.get(stream_id)) is not None and tail.is_quiet:
                        await self._end_lost(stream_id, tail)
            except ConnectionLostError as error:
                _log.warning("heartbeats are not heard: %s", error)

    async def _end_lost(self, stream_id: str, tail: Tail) -> None:
        try:
            await self._note_lost(stream_id, tail)
        except JournalGapError as error:
            tail.fail(error)

    def _find_quiet(self) -> dict[str, int]:
        """The followed streams, which may be quiet until the next beat, and what comes next."""
        quiet = {
            stream_id: tail.next
            for stream_id, tail in self._tails.items()
            if stream_id not in self._producers and not tail.is_over
        }
        for stream_id in quiet:
            self._tails[stream_id].is_quiet = True
        return quiet

    async def _note_lost(self, stream_id: str, tail: Tail) -> None:
        """Write the end that a lost producer did not write; another may have been quicker."""
        last, after = tail.last, tail.next - 1
        if last is None:  # it names whose stream it is
            after = max(after - 1, -1)
        while (page := await self.read(stream_id, after)).events:
            last, after = page.events[-1], after + len(page.events)
        if page.first <= after:
            raise fallen_back(stream_id, page.first, after)
        if page.is_last:
            return
        event = _lost_event(stream_id, last, after + 1)
        await self.write(Append(stream_id, after + 1, (event,), ends=True, frees_key=True))

    async def ask(self, question: Callable[[], Awaitable[_Result]]) -> _Result:
        """Ask the store, and again while it cannot be reached.

        Raises:
            ConnectionLostError: It could not be reached for too long.
            ConfigurationError: The journal was closed.
        """
        pause = Pauses(self._patience)
        while True:
            self._check_open()
            try:
                return await question()
            except StoreUnreachableError as error:
                self._check_open()  # what was under way is told now
                if not await pause.wait():
                    raise given_up(error) from None

    def _check_open(self) -> None:
        if self._is_closed:
            raise _closed()


def _joined(appends: Sequence[Append]) -> tuple[Sequence[Append], Sequence[int]]:
    """Join what follows one another in a stream; and which of these each has become.

    A store that is asked again, for its answer was lost, would else find the second of two where
    the first one ends.
    """
    if len({append.stream_id for append in appends}) == len(appends):
        return appends, range(len(appends))
    joined: list[Append] = []
    places: list[int] = []
    last: dict[str, int] = {}
    for append in appends:
        place = last.get(append.stream_id)
        if place is not None and joined[place].is_followed_by(append):
            before = joined[place]
            events = [*before.events, *append.events]
            joined[place] = append._replace(first=before.first, events=events)
        else:
            place = last[append.stream_id] = len(joined)
            joined.append(append)
        places.append(place)
    return joined, places


def _settle(future: asyncio.Future[bool], outcome: bool | Exception) -> None:
    if future.done():  # who has given up is told nothing
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _closed() -> ConfigurationError:
    return ConfigurationError("the journal was closed in this event loop: attach anew")


def _lost_event(stream_id: str, last: StreamEvent | None, sequence: int) -> StreamErrorEvent:
    """The end of a stream whose producer is not heard of any more."""
    error = ProducerLostError(
        "the process that generated this stream is not heard of any more: it has died, or was held "
        "up for too long"
    )
    known = last or StreamEvent(stream_id=stream_id)
    return StreamErrorEvent(
        provider=known.provider,
        model=known.model,
        request_id=known.request_id,
        stream_id=known.stream_id,
        timestamp=time.time(),
        sequence=sequence,
        error=error,
        is_retryable=error.is_retryable,
    )
