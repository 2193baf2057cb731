"""A journal in the memory of one process: `MemoryStore`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from steer_llm_sdk.journal.store import (
    PAGE_EVENTS,
    Append,
    Claim,
    Keeping,
    News,
    Page,
    WriteNext,
    trimmed,
    unknown_stream,
)
from steer_llm_sdk.models.events import StreamEvent


@dataclass(slots=True)
class _Kept:
    """One stream.

    Attributes:
        claim: How it was begun.
        heard: When its producer was heard of last.
        first: The sequence of the first event that is kept.
        events: The events that are kept.
        is_ended: Whether its last event is there.
        stop_reason: Why it is to be stopped.
    """

    claim: Claim
    heard: float
    first: int = 0
    events: list[StreamEvent] = field(default_factory=list)
    is_ended: bool = False
    stop_reason: str | None = None

    @property
    def next(self) -> int:
        return self.first + len(self.events)

    def page(self, after: int) -> Page:
        start = min(after + 1, self.next) - self.first
        if start < 0:
            raise trimmed(self.claim.stream_id, self.first, after)
        events = self.events[start : start + PAGE_EVENTS]
        is_last = self.is_ended and start + len(events) >= len(self.events)
        return Page(self.first + start, events, is_last)


class MemoryShelf:
    """The streams of a `MemoryJournal`, for all event loops of its process.

    Args:
        keeping: How long and how much is kept.
    """

    def __init__(self, keeping: Keeping) -> None:
        self.keeping = keeping
        # How long a stream is kept that has not ended: its producer may be lost.
        self._kept_unended = keeping.ttl + keeping.lost_after
        self.lock = threading.Lock()
        self.streams: dict[str, _Kept] = {}
        self.by_key: dict[str, str] = {}
        self.watchers: set[MemoryStore] = set()
        self.only_watcher: MemoryStore | None = None  # where there is one
        self._swept_at = 0.0

    def find(self, stream_id: str) -> _Kept | None:
        """The stream of that name, if it is kept; one that has expired is forgotten."""
        kept = self.streams.get(stream_id)
        if kept is not None and self.has_expired(kept, time.monotonic()):
            self.forget(kept)
            return None
        return kept

    def has_expired(self, kept: _Kept, now: float) -> bool:
        """Whether a stream is not kept any more."""
        return kept.heard + (self.keeping.ttl if kept.is_ended else self._kept_unended) < now

    def note_watcher(self, store: MemoryStore, *, watches: bool) -> None:
        """Note whether somebody is to be told of what comes."""
        watchers = self.watchers
        (watchers.add if watches else watchers.discard)(store)
        self.only_watcher = next(iter(watchers)) if len(watchers) == 1 else None

    def tell(self, stream_id: str, knows: MemoryStore | None = None) -> None:
        """Something has come of a stream; one that knows need not be woken."""
        for watcher in self.watchers:
            if watcher.note(stream_id) and watcher is not knows:
                watcher.wake_soon()

    def sweep(self) -> None:
        """Forget what has expired."""
        now = time.monotonic()
        if now < self._swept_at + self.keeping.lost_after:
            return
        self._swept_at = now
        for kept in tuple(self.streams.values()):
            if self.has_expired(kept, now):
                self.forget(kept)

    def forget(self, kept: _Kept) -> None:
        """Keep a stream no more; nor does its producer write to it, if that still runs."""
        kept.is_ended = True
        del self.streams[kept.claim.stream_id]
        self.free(kept.claim)

    def free(self, claim: Claim) -> None:
        """Free a key, if this claim holds it."""
        if claim.key is not None and self.by_key.get(claim.key) == claim.stream_id:
            del self.by_key[claim.key]


class MemoryStore:
    """What one event loop has of a `MemoryShelf`.

    Args:
        shelf: Where the streams are.
    """

    write_pause = 0.0

    def __init__(self, shelf: MemoryShelf) -> None:
        self._shelf = shelf
        most = shelf.keeping.max_events
        self._trimmed_at = most + most // 4  # not one by one
        self._loop = asyncio.get_running_loop()
        self._changed: set[str] = set()
        self._watched: frozenset[str] = frozenset()
        self._waiting: asyncio.Future[None] | None = None
        self._is_interrupted = False

    async def claim(self, claim: Claim) -> Claim:
        """Begin a stream, unless its key is held: see `Store`."""
        shelf = self._shelf
        with shelf.lock:
            shelf.sweep()
            holder = shelf.find(shelf.by_key.get(claim.key, "")) if claim.key is not None else None
            if holder is not None:
                return holder.claim
            now = time.monotonic()
            shelf.streams[claim.stream_id] = _Kept(claim, now)
            if claim.key is not None:
                shelf.by_key[claim.key] = claim.stream_id
        return claim

    async def release(self, claim: Claim) -> None:
        """Free a key: see `Store`."""
        with self._shelf.lock:
            self._shelf.free(claim)

    async def write(self, appends: Sequence[Append]) -> list[bool]:
        """Write events: see `Store`."""
        return [self.write_at_once(append) for append in appends]

    def write_at_once(self, append: Append) -> bool:
        """Write events: see `Immediate`."""
        stream_id, first, events, ends, frees_key = append
        kept = self._shelf.streams.get(stream_id)  # that nobody has found to be expired
        return kept is not None and self._add(stream_id, kept, first, events, ends, frees_key)

    def writer(self, stream_id: str) -> WriteNext:
        """How a stream goes on: see `Immediate`."""
        kept = self._shelf.streams.get(stream_id)
        return _refuse if kept is None else partial(self._add, stream_id, kept)

    def _add(
        self,
        stream_id: str,
        kept: _Kept,
        first: int,
        added: Sequence[StreamEvent],
        ends: bool = False,
        frees_key: bool = False,
    ) -> bool:
        shelf = self._shelf
        with shelf.lock:
            events = kept.events
            if kept.is_ended or kept.first + len(events) != first:
                return False
            events += added
            kept.heard = time.monotonic()
            if len(events) > self._trimmed_at:
                self._trim(kept)
            if ends:
                kept.is_ended = True
                if frees_key:
                    shelf.free(kept.claim)
            if stream_id in self._watched:
                self._changed.add(stream_id)
            if shelf.only_watcher is not self:
                shelf.tell(stream_id, knows=self)
        return True

    def _trim(self, kept: _Kept) -> None:
        most = self._shelf.keeping.max_events
        kept.first += len(kept.events) - most
        del kept.events[:-most]

    async def beat(self, stream_ids: Collection[str]) -> None:
        """Note that producers live: see `Store`."""
        now = time.monotonic()
        with self._shelf.lock:
            for stream_id in stream_ids:
                kept = self._shelf.find(stream_id)
                if kept is not None and not kept.is_ended:
                    kept.heard = now

    async def silent(self, stream_ids: Collection[str]) -> list[str]:
        """Return those whose producers are lost: see `Store`."""
        then = time.monotonic() - self._shelf.keeping.lost_after
        with self._shelf.lock:
            found = {stream_id: self._shelf.find(stream_id) for stream_id in stream_ids}
        return [
            stream_id
            for stream_id, kept in found.items()
            if kept is None or (not kept.is_ended and kept.heard < then)
        ]

    async def read(self, stream_id: str, after: int) -> Page:
        """Read what is there after a sequence: see `Store`."""
        with self._shelf.lock:
            kept = self._shelf.find(stream_id)
            if kept is None:
                raise unknown_stream(stream_id)
            return kept.page(after)

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        """Wait until something has come: see `Store`."""
        self._watch(frozenset([*followed, *produced]))
        while True:
            with self._shelf.lock:
                changed, self._changed = self._changed, set()
                found = self._find_news(changed, followed, produced)
            if found or self._is_interrupted:
                return found
            waiting = self._waiting = self._loop.create_future()
            try:
                if not self._changed:  # in this moment, by another thread
                    await waiting
            finally:
                self._waiting = None

    def _watch(self, watched: frozenset[str]) -> None:
        with self._shelf.lock:
            self._changed |= watched - self._watched
            self._watched = watched
            self._shelf.note_watcher(self, watches=bool(watched))
        self._is_interrupted = False

    def _find_news(
        self, changed: set[str], followed: Mapping[str, int], produced: Collection[str]
    ) -> News:
        news = News()
        for stream_id in changed:
            kept = self._shelf.find(stream_id)
            if kept is None:
                continue
            if stream_id in followed and (kept.next > followed[stream_id] + 1 or kept.is_ended):
                news.pages[stream_id] = kept.page(max(followed[stream_id], kept.first - 1))
                self._changed.add(stream_id)  # there may be more than a page
            if stream_id in produced and kept.stop_reason is not None:
                news.stops[stream_id] = kept.stop_reason
        return news

    def note(self, stream_id: str) -> bool:
        """Note that something has come of a stream, if it is watched; called under the lock."""
        if stream_id not in self._watched:
            return False
        self._changed.add(stream_id)
        return True

    def wake_soon(self) -> None:
        """Have `news` look; called in any thread."""
        with suppress(RuntimeError):  # the loop has ended, and the store was not closed
            self._loop.call_soon_threadsafe(self._wake)

    def interrupt(self) -> None:
        """Have `news` return now: see `Store`."""
        self._is_interrupted = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer of a stream to stop: see `Store`."""
        with self._shelf.lock:
            kept = self._shelf.find(stream_id)
            if kept is None or kept.is_ended:
                return False
            kept.stop_reason = kept.stop_reason or reason
            self._shelf.tell(stream_id)
        return True

    async def close(self) -> None:
        """Watch no more."""
        self.give_up()
        self.interrupt()

    def give_up(self) -> None:
        """Watch no more: see `Store`."""
        self._watch(frozenset())


def _refuse(_first: int, _events: Sequence[StreamEvent]) -> bool:
    """Write nothing: the stream has expired already."""
    return False
