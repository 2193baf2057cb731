"""What is read of a file of SQLite: pages of a stream, and what comes of many (`Following`)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steer_llm_sdk.journal import sqlite_events as events_table
from steer_llm_sdk.journal.codec import decode_event
from steer_llm_sdk.journal.sqlite_events import END, Extent
from steer_llm_sdk.journal.store import PAGE_EVENTS, News, Page, trimmed, unknown_stream


def read(db: sqlite3.Connection, stream_id: str, after: int) -> Page:
    """Read what there is of a stream after a sequence: see `Store`."""
    row = _select(db, stream_id)
    if row is None:
        raise unknown_stream(stream_id)
    first, is_ended, *where = row
    if after + 1 < first:
        raise trimmed(stream_id, first, after)
    page = _read_page(db, Extent(*where), after, bool(is_ended))
    if page.events:
        return page
    return Page(events_table.find_next(db, Extent(*where)), (), page.is_last)


@dataclass(slots=True)
class _Followed:
    """How far it was told of a stream.

    Attributes:
        stream: Its number.
        next: The sequence of the next event.
    """

    stream: int
    next: int


class Following:
    """The streams that are followed, of which one reading of the file tells together.

    Attributes:
        read_to: The position up to which all has been told of them.
    """

    def __init__(self) -> None:
        self.read_to = 0
        self._streams: dict[str, _Followed] = {}

    def __bool__(self) -> bool:
        return bool(self._streams)

    def is_told(self, followed: Mapping[str, int]) -> bool:
        """Whether these are followed already, and were told of up to these sequences."""
        known = self._streams
        return all(
            stream_id in known and known[stream_id].next == after + 1
            for stream_id, after in followed.items()
        )

    def forget(self, stream_id: str) -> None:
        """Begin anew with a stream, when it is asked for again."""
        self._streams.pop(stream_id, None)

    def forget_all(self) -> None:
        """Begin anew with all."""
        self._streams.clear()

    def read(self, db: sqlite3.Connection, followed: Mapping[str, int], news: News) -> bool:
        """Note what has come of streams after these sequences; whether there is more."""
        self._streams = {
            stream_id: known
            for stream_id, after in followed.items()
            if (known := self._streams.get(stream_id)) is not None and known.next == after + 1
        }
        is_cut = self._read_on(db, news)
        for stream_id, after in followed.items():
            if stream_id not in self._streams and stream_id not in news.pages:
                self._begin(db, stream_id, after, news)
        return is_cut

    def _read_on(self, db: sqlite3.Connection, news: News) -> bool:
        """Read what has come of streams that are followed already; whether there is more."""
        if not self._streams:
            self.read_to = events_table.find_last_position(db)
            return False
        log = events_table.read_log(db, self.read_to)
        self.read_to = log.position
        streams = {known.stream: id for id, known in self._streams.items()}  # noqa: A001
        new: dict[str, list[str]] = {}
        for number, sequence, event in log.rows:
            if (stream_id := streams.get(number)) is None:
                continue
            texts = new.setdefault(stream_id, [])
            following = self._streams[stream_id].next + len(texts)
            if sequence == following:
                texts.append(event)
            elif sequence > following:  # those between were trimmed: it is begun anew
                del streams[number], self._streams[stream_id], new[stream_id]
        for stream_id, texts in new.items():
            self._tell(stream_id, texts, news)
        return log.is_cut

    def _tell(self, stream_id: str, texts: list[str], news: News) -> None:
        known = self._streams[stream_id]
        if is_last := texts[-1:] == [END]:
            del self._streams[stream_id], texts[-1]
        if texts or is_last:
            news.pages[stream_id] = Page(known.next, [*map(decode_event, texts)], is_last)
            known.next += len(texts)

    def _begin(self, db: sqlite3.Connection, stream_id: str, after: int, news: News) -> None:
        """Read what there is of a stream; what comes after is read with that of the others."""
        if (row := _select(db, stream_id)) is None:
            return
        first, is_ended, *where = row
        page = _read_page(db, Extent(*where), max(after, first - 1), bool(is_ended))
        if page.events or page.is_last:
            news.pages[stream_id] = page
        if not page.is_last and len(page.events) < PAGE_EVENTS:
            following = page.first + len(page.events)
            self._streams[stream_id] = _Followed(where[0], following)


def _select(db: sqlite3.Connection, stream_id: str) -> tuple[Any, ...] | None:
    """What is read of a stream that is kept: its first event, whether it has ended, its extent."""
    row: tuple[Any, ...] | None = db.execute(
        "SELECT first, is_ended, number, start_position, end_position FROM streams"
        " WHERE stream_id = ? AND expires_at > ?",
        (stream_id, time.time()),
    ).fetchone()
    return row


def _read_page(db: sqlite3.Connection, extent: Extent, after: int, is_ended: bool) -> Page:
    """Read a page of a stream whose row was read before: what ends it comes no sooner."""
    texts = events_table.read(db, extent, after, PAGE_EVENTS)
    is_last = is_ended and len(texts) < PAGE_EVENTS
    return Page(after + 1, [*map(decode_event, texts)], is_last)
