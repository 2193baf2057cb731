"""A journal in a file of SQLite: `SQLiteStore`, for several processes of one machine.

One thread has the connection, so that the event loop never waits for the disk. What others have
written is found by ``PRAGMA data_version``, looked at every 20 ms: it changes when another
connection has committed, and costs some microseconds.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import islice
from typing import Any, Literal, TypeVar

from steer_llm_sdk.journal.codec import decode_event, encode_event
from steer_llm_sdk.journal.store import (
    PAGE_EVENTS,
    Append,
    Claim,
    Keeping,
    News,
    Page,
    StoreUnreachableError,
    trimmed,
    unknown_stream,
)

_Result = TypeVar("_Result")

# How often the file is looked at, in seconds.
_LOOK = 0.02

# The pause between two transactions, in seconds: each costs as much as writing many events.
_WRITE_PAUSE = 0.01

# How long SQLite waits for another process that writes, in seconds.
_BUSY_TIMEOUT = 5.0

# What is written by this version of the library; a file of a newer one is refused, and what an
# older one holds is given up: it would have expired soon.
_SCHEMA_VERSION = 2

# Events stand in the order in which they come, whosever they are: then those that are written
# together share a page of the file. An index of small numbers finds those of one stream.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    number INTEGER PRIMARY KEY,
    stream_id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    request TEXT NOT NULL,
    first INTEGER NOT NULL DEFAULT 0,
    is_ended INTEGER NOT NULL DEFAULT 0,
    stop_reason TEXT,
    heard REAL NOT NULL,
    expires_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS streams_by_expiry ON streams (expires_at);
CREATE INDEX IF NOT EXISTS streams_to_stop ON streams (stream_id)
    WHERE stop_reason IS NOT NULL AND NOT is_ended;
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL,
    UNIQUE (stream, sequence)
);
"""

_DROP = "DROP TABLE IF EXISTS events; DROP TABLE IF EXISTS streams;"

# Streams that have not ended, and where the event before the first new one is there.
_OPEN = """
WITH asked (stream_id, start) AS (VALUES {})
SELECT stream_id, number FROM asked CROSS JOIN streams USING (stream_id)
WHERE NOT is_ended AND (
    start = 0 OR EXISTS (SELECT 1 FROM events WHERE stream = number AND sequence = start - 1)
)
"""

_INSERT = "INSERT OR IGNORE INTO events (stream, sequence, event) VALUES {}"

# How many rows one statement has at most: SQLite's older builds take 999 values.
_TOGETHER = 100

# The end of a stream, where no other events have come.
_END = """
UPDATE streams SET is_ended = TRUE, expires_at = ? WHERE stream_id = ? AND NOT is_ended
    AND ? = coalesce((SELECT max(sequence) + 1 FROM events WHERE stream = number), 0)
"""

# Those that are asked to stop, by the index of them.
_STOPS = "SELECT stream_id, stop_reason FROM streams WHERE stop_reason IS NOT NULL AND NOT is_ended"


class SQLiteStore:
    """What one event loop has of the file.

    Args:
        path: The file.
        keeping: How long and how much is kept.
    """

    write_pause = _WRITE_PAUSE

    def __init__(self, path: str, keeping: Keeping) -> None:
        self._file = _File(path, keeping)
        # SQLite's own calls are few and short; one at a time keeps their order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="steer-journal")
        self._interrupted: asyncio.Event = asyncio.Event()

    async def _run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)

    async def claim(self, claim: Claim) -> Claim:
        """Begin a stream, unless its key is held: see `Store`."""
        return await self._run(self._file.claim, claim)

    async def release(self, claim: Claim) -> None:
        """Free a key: see `Store`."""
        await self._run(self._file.release, claim)

    async def write(self, appends: Sequence[Append]) -> list[bool]:
        """Write events in one transaction: see `Store`."""
        return await self._run(self._file.write, appends)

    async def beat(self, stream_ids: Collection[str]) -> None:
        """Note that producers live: see `Store`."""
        await self._run(self._file.beat, stream_ids)

    async def silent(self, stream_ids: Collection[str]) -> list[str]:
        """Return those whose producers are lost: see `Store`."""
        return await self._run(self._file.silent, stream_ids)

    async def read(self, stream_id: str, after: int) -> Page:
        """Read what is there after a sequence: see `Store`."""
        return await self._run(self._file.read, stream_id, after)

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        """Wait until something has come: see `Store`."""
        self._interrupted.clear()
        found = await self._run(self._file.news, followed, produced)
        while not found and not self._interrupted.is_set():
            try:
                async with asyncio.timeout(_LOOK):
                    await self._interrupted.wait()
            except TimeoutError:
                pass
            if await self._run(self._file.has_changed):
                found = await self._run(self._file.news, followed, produced)
        return found

    def interrupt(self) -> None:
        """Have `news` return now: see `Store`."""
        self._interrupted.set()

    async def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer of a stream to stop: see `Store`."""
        return await self._run(self._file.ask_to_stop, stream_id, reason)

    async def close(self) -> None:
        """Close the file, and end the thread."""
        self.interrupt()
        await self._run(self._file.close)
        self._thread.shutdown(wait=False)

    def give_up(self) -> None:
        """Close the file: see `Store`."""
        self._thread.submit(self._file.close)
        self._thread.shutdown(wait=False)


class _File:
    """The file, in the one thread that uses it.

    Args:
        path: Where it is.
        keeping: How long and how much is kept.
    """

    def __init__(self, path: str, keeping: Keeping) -> None:
        self._path = path
        self._keeping = keeping
        self._connection: sqlite3.Connection | None = None
        self._seen = -1  # the version of the data, as of the last look

    # --- writing ------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> Claim:
        now = time.time()
        with self._writing() as db:
            _sweep(db, now)
            row = db.execute(
                "SELECT stream_id, key, request FROM streams WHERE key = ?", (claim.key,)
            ).fetchone()
            if row is not None:
                return Claim(*row)
            db.execute(
                "INSERT INTO streams (stream_id, key, request, heard, expires_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (claim.stream_id, claim.key, claim.request, now, now + self._kept_for),
            )
        return claim

    def release(self, claim: Claim) -> None:
        with self._writing() as db:
            _free(db, claim.stream_id)

    def write(self, appends: Sequence[Append]) -> list[bool]:
        with self._writing() as db:
            if self._try(db, appends):
                return [True] * len(appends)
            return [self._try(db, (append,)) or _is_there(db, append) for append in appends]

    def _try(self, db: sqlite3.Connection, appends: Sequence[Append]) -> bool:
        """Write all of them, or nothing."""
        db.execute("SAVEPOINT attempt")
        is_written = self._write_all(db, appends)
        if not is_written:
            db.execute("ROLLBACK TO attempt")
        return is_written

    def _write_all(self, db: sqlite3.Connection, appends: Sequence[Append]) -> bool:
        """Write events; False, and a part of them written, where others stand in their place."""
        numbers = _find_open(db, appends)
        if len(numbers) != len(appends) or not _insert(db, _rows(appends, numbers)):
            return False
        return all(self._finish(db, append) for append in appends)

    def _finish(self, db: sqlite3.Connection, append: Append) -> bool:
        """Do what is done after some events only; False where the end cannot be written."""
        self._trim(db, append)
        if append.frees_key:
            _free(db, append.stream_id)
        if not append.ends:
            return True
        following = append.first + len(append.events)
        end = (time.time() + self._keeping.ttl, append.stream_id, following)
        return db.execute(_END, end).rowcount > 0

    def _trim(self, db: sqlite3.Connection, append: Append) -> None:
        """Forget what is too old: not one by one, but a quarter of what is kept."""
        most = self._keeping.max_events
        following = append.first + len(append.events)
        quarter = most // 4 + 1
        if following <= most or append.first // quarter == following // quarter:
            return
        first, stream_id = following - most, append.stream_id
        db.execute(
            "DELETE FROM events WHERE sequence < ?"
            " AND stream = (SELECT number FROM streams WHERE stream_id = ?)",
            (first, stream_id),
        )
        db.execute("UPDATE streams SET first = ? WHERE stream_id = ?", (first, stream_id))

    def beat(self, stream_ids: Collection[str]) -> None:
        now = time.time()
        with self._writing() as db:
            db.executemany(
                "UPDATE streams SET heard = ?, expires_at = ? WHERE stream_id = ? AND NOT is_ended",
                [(now, now + self._kept_for, stream_id) for stream_id in stream_ids],
            )

    def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        with self._writing() as db:
            found = db.execute(
                "UPDATE streams SET stop_reason = coalesce(stop_reason, ?)"
                " WHERE stream_id = ? AND NOT is_ended AND expires_at > ?",
                (reason, stream_id, time.time()),
            )
            return found.rowcount > 0

    # --- reading ------------------------------------------------------------------------------

    def silent(self, stream_ids: Collection[str]) -> list[str]:
        then = time.time() - self._keeping.lost_after
        with self._reading() as db:
            rows = [
                (stream_id, _select(db, "is_ended OR heard >= ?", stream_id, then))
                for stream_id in stream_ids
            ]
        return [stream_id for stream_id, row in rows if row is None or not row[0]]

    def read(self, stream_id: str, after: int) -> Page:
        with self._transaction("DEFERRED") as db:
            row = _select(db, "first, number, is_ended", stream_id)
            if row is None:
                raise unknown_stream(stream_id)
            if after + 1 < row[0]:
                raise trimmed(stream_id, row[0], after)
            page = _read_page(db, after, *row[1:])
            return page if page.events else Page(_find_next(db, row[1]), (), page.is_last)

    def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        news = News()
        self.has_changed()
        with self._transaction("DEFERRED") as db:
            for stream_id, after in followed.items():
                if (row := _select(db, "first, number, is_ended", stream_id)) is not None:
                    page = _read_page(db, max(after, row[0] - 1), *row[1:])
                    if page.events or page.is_last:
                        news.pages[stream_id] = page
            for stream_id, reason in db.execute(_STOPS):
                if stream_id in produced:
                    news.stops[stream_id] = reason
        return news

    def has_changed(self) -> bool:
        """Whether another connection has written since this was last asked."""
        with self._reading() as db:
            seen, self._seen = self._seen, db.execute("PRAGMA data_version").fetchone()[0]
        return seen != self._seen

    # --- the connection -----------------------------------------------------------------------

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._transaction("IMMEDIATE")

    @contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[sqlite3.Connection]:
        """Do several things as one; what only reads sees the file of one moment."""
        with self._reading() as db:
            db.execute(f"BEGIN {kind}")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = _connect(self._path)
            yield self._connection
        except sqlite3.Error as error:
            raise StoreUnreachableError(f"the journal in {self._path!r}: {error}") from None

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    __del__ = close

    @property
    def _kept_for(self) -> float:
        """How long a stream is kept that has not ended: its producer may be lost."""
        return self._keeping.ttl + self._keeping.lost_after


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes is the last moments
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found > _SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"it was written by a newer version ({found})")
        emptied = _DROP if 0 < found < _SCHEMA_VERSION else ""
        db.executescript(
            f"BEGIN IMMEDIATE; {emptied} {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
        )
    except BaseException:
        db.close()
        raise
    return db


def _select(
    db: sqlite3.Connection, columns: str, stream_id: str, *values: object
) -> tuple[Any, ...] | None:
    """Columns of a stream that is kept."""
    row: tuple[Any, ...] | None = db.execute(
        f"SELECT {columns} FROM streams WHERE stream_id = ? AND expires_at > ?",  # noqa: S608
        (*values, stream_id, time.time()),
    ).fetchone()
    return row


def _read_page(db: sqlite3.Connection, after: int, stream: int, is_ended: int) -> Page:
    """Read a page of a stream whose row was read before: what ends it comes no sooner."""
    rows = db.execute(
        "SELECT event FROM events WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (stream, after, PAGE_EVENTS),
    ).fetchall()
    is_last = bool(is_ended) and len(rows) < PAGE_EVENTS
    return Page(after + 1, [decode_event(row[0]) for row in rows], is_last)


def _find_next(db: sqlite3.Connection, stream: int) -> int:
    query = "SELECT max(sequence) FROM events WHERE stream = ?"
    (last,) = db.execute(query, (stream,)).fetchone()
    return 0 if last is None else int(last) + 1


def _is_there(db: sqlite3.Connection, append: Append) -> bool:
    """Whether it is written already: it is asked again when the answer was lost."""
    row = db.execute(
        "SELECT number, is_ended FROM streams WHERE stream_id = ?", (append.stream_id,)
    ).fetchone()
    if row is None or row[1] != append.ends:
        return False
    rows = db.execute(
        "SELECT event FROM events WHERE stream = ? AND sequence >= ? ORDER BY sequence",
        (row[0], append.first),
    ).fetchall()
    return [row[0] for row in rows] == [encode_event(e).decode() for e in append.events]


def _find_open(db: sqlite3.Connection, appends: Sequence[Append]) -> dict[str, int]:
    """The numbers of those streams that go on with these events: not ended, and none missing."""
    asked = [(append.stream_id, append.first) for append in appends]
    numbers: dict[str, int] = {}
    for some in _by_statement(asked):
        numbers.update(db.execute(_OPEN.format(_places(len(some), 2)), _flat(some)))
    return numbers


def _insert(db: sqlite3.Connection, rows: Iterable[tuple[object, ...]]) -> bool:
    """Insert events; False where another stands in the place of one.

    Many by one statement: the interpreter is given away at each, and then has to be waited for.
    """
    return all(
        db.execute(_INSERT.format(_places(len(some), 3)), _flat(some)).rowcount == len(some)
        for some in _by_statement(rows)
    )


def _by_statement(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    left = iter(rows)
    while some := list(islice(left, _TOGETHER)):
        yield some


def _flat(rows: Iterable[tuple[object, ...]]) -> list[object]:
    return [value for row in rows for value in row]


@cache
def _places(rows: int, columns: int) -> str:
    """What stands behind VALUES for so many rows."""
    return ",".join([f"({','.join('?' * columns)})"] * rows)


def _rows(appends: Sequence[Append], numbers: Mapping[str, int]) -> Iterator[tuple[int, int, str]]:
    for append in appends:
        number = numbers[append.stream_id]
        for sequence, event in enumerate(append.events, append.first):
            yield number, sequence, encode_event(event).decode()


def _free(db: sqlite3.Connection, stream_id: str) -> None:
    db.execute("UPDATE streams SET key = NULL WHERE stream_id = ?", (stream_id,))


def _sweep(db: sqlite3.Connection, now: float) -> None:
    """Forget what has expired."""
    expired = db.execute("SELECT number FROM streams WHERE expires_at <= ?", (now,)).fetchall()
    if expired:
        db.executemany("DELETE FROM events WHERE stream = ?", expired)
        db.executemany("DELETE FROM streams WHERE number = ?", expired)
