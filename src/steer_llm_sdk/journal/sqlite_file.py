"""The file of a `SQLiteJournal`, in the one thread that uses it: `File`."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from steer_llm_sdk.journal import sqlite_events as events_table
from steer_llm_sdk.journal import sqlite_reading
from steer_llm_sdk.journal.sqlite_connection import Connection
from steer_llm_sdk.journal.sqlite_events import (
    LAST_POSITION,
    Extent,
    Statement,
    by_statement,
    places,
)
from steer_llm_sdk.journal.sqlite_reading import Following
from steer_llm_sdk.journal.sqlite_writing import (
    Added,
    Known,
    Lines,
    Prepared,
    go_on,
    is_to_trim,
    prepare,
)
from steer_llm_sdk.journal.store import (
    Append,
    Claim,
    Keeping,
    News,
    Page,
)

_CLAIM = f"""
INSERT INTO streams (stream_id, key, request, writer, start_position, lost_at, expires_at)
VALUES (?, ?, ?, ?, {LAST_POSITION}, ?, ?)
"""  # noqa: S608 - none of it is given by anybody

# The same, where nobody has the key: perhaps one who has expired.
_CLAIM_FREE = _CLAIM.replace("INSERT", "INSERT OR IGNORE")

# How many of these streams go on, and were written last by one writer.
_HELD = "SELECT count(*) FROM streams WHERE writer = ? AND NOT is_ended AND number IN {}"

_FINISH = f"""
UPDATE streams SET is_ended = TRUE, expires_at = ?, end_position = {LAST_POSITION}
WHERE number = ?
"""  # noqa: S608

_BEAT = """
UPDATE streams SET lost_at = ?, expires_at = ? WHERE NOT is_ended AND stream_id IN {}
"""

_NOT_SILENT = """
SELECT stream_id FROM streams
WHERE expires_at > ? AND (is_ended OR lost_at >= ?) AND stream_id IN {}
"""

# Those that are asked to stop, by the index of them.
_STOPS = "SELECT stream_id, stop_reason FROM streams WHERE stop_reason IS NOT NULL AND NOT is_ended"

# How many streams are remembered that have not ended, at most.
_MOST_KNOWN = 10_000


class File:
    """The file, in the one thread that uses it.

    Args:
        path: Where it is.
        keeping: How long and how much is kept.

    Attributes:
        is_stirred: Whether another connection has written since `news` was asked.
        stops: Why streams are to be stopped that have not ended, whosever they are: as `news` has
            found them last.
    """

    def __init__(self, path: str, keeping: Keeping) -> None:
        self.is_stirred = False
        self.stops: Mapping[str, str] = {}
        self._keeping = keeping
        self._quarter = keeping.max_events // 4 + 1  # of a stream: not one by one is trimmed
        self._name = os.urandom(8).hex()  # by which others see that they have not written
        self._connection = Connection(path)
        # Of streams that have not ended. Another one is put in its place where it may be wrong.
        self._known: dict[str, Known] = {}
        self._following = Following()
        self._swept_at = -math.inf  # by the clock that is never set

    # --- writing ------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> Claim:
        """Begin a stream, unless its key is held: see `Store`; so the others."""
        if time.monotonic() < self._swept_at + self._keeping.lost_after:
            with self._alone() as db:
                if self._begin(db, claim, _CLAIM_FREE):
                    return claim
        with self._writing() as db:
            self._sweep(db)
            row = db.execute(
                "SELECT stream_id, key, request FROM streams WHERE key = ?", (claim.key,)
            ).fetchone()
            if row is not None:
                return Claim(*row)
            self._begin(db, claim, _CLAIM)
        return claim

    def _begin(self, db: sqlite3.Connection, claim: Claim, statement: str) -> bool:
        """Write that a stream begins; False where it was not, for its key is held."""
        asked = (claim.stream_id, claim.key, claim.request, self._name, *self._lives_until())
        begun = db.execute(statement, asked)
        number = begun.lastrowid
        if begun.rowcount == 0 or number is None:
            return False
        self._remember(claim.stream_id, Extent(number, self._following.read_to), 0)
        return True

    def release(self, claim: Claim) -> None:
        """Free a key."""
        with self._writing() as db:
            _free(db, claim.stream_id)

    def prepare(self, appends: Sequence[Append]) -> Prepared:
        """Make appends ready to be written. Called in the event loop's thread."""
        return prepare(appends, self._known, self._quarter, self._name)

    def doubt(self) -> None:
        """Forget what is known of streams. Called in the event loop's thread, too."""
        self._known = {}

    def write(self, prepared: Prepared) -> list[bool]:
        """Write events in one transaction: where that is all there is to do, by one statement."""
        lines, added, statement = prepared
        for append in lines if self._following else ():
            self._following.forget(append.stream_id)  # `news` has not told these
        if added is not None and added.known is self._known and self._add(added, statement):
            return [True] * len(lines)
        self._known = {**self._known}  # what was made ready by the other one is looked at anew
        with self._writing() as db:
            return [self._write_one(db, append) for append in lines]

    def _add(self, added: Added, statement: Statement | None) -> bool:
        """Write events; False where somebody else has written in one of the streams."""
        if statement is None:
            with self._writing() as db:
                is_held = self._holds(db, added.numbers)
                if is_held:
                    self._add_all(db, added)
            return is_held
        with self._alone() as db:
            done = db.execute(*statement)
            self._look(db)
        if done.rowcount == 0 or done.lastrowid is None:
            return False
        self._note_position(done.lastrowid)
        return True

    def _add_all(self, db: sqlite3.Connection, added: Added) -> None:
        """Write events, and do what is done after some of them."""
        self._note_position(events_table.insert(db, added.values))
        for append in added.finishing:
            self._finish(db, append, added.known)

    def _note_position(self, position: int) -> None:
        if not self.is_stirred:  # then all that is new is told here already
            self._following.read_to = position

    def _holds(self, db: sqlite3.Connection, numbers: Collection[int]) -> bool:
        """Whether nobody else has written in these streams, and all are there."""
        return all(
            db.execute(_HELD.format(places(1, len(some))), (self._name, *some)).fetchone()[0]
            == len(some)
            for some in by_statement(numbers)
        )

    def _write_one(self, db: sqlite3.Connection, append: Lines) -> bool:
        """Write events in a stream of which this may know nothing."""
        stream_id = append.stream_id
        self._known.pop(stream_id, None)
        row = db.execute(
            "SELECT number, start_position, end_position, is_ended FROM streams"
            " WHERE stream_id = ?",
            (stream_id,),
        ).fetchone()
        if row is None:
            return False
        extent, is_ended = Extent(*row[:3]), bool(row[3])
        following = events_table.find_next(db, extent)
        if is_ended or following != append.first:
            return is_ended == append.ends and _is_there(db, extent, append)
        db.execute("UPDATE streams SET writer = ? WHERE number = ?", (self._name, extent.stream))
        self._remember(stream_id, extent, following)
        added = go_on((append,), self._known, self._quarter)
        assert added is not None  # noqa: S101 - it is known now
        self._add_all(db, added)
        return True

    def _finish(self, db: sqlite3.Connection, append: Lines, known: dict[str, Known]) -> None:
        """Do what is done after some events only."""
        stream_id, first, events, ends, frees_key = append
        following = first + len(events)
        if is_to_trim(first, following, self._quarter):
            _trim(db, known[stream_id], following - self._keeping.max_events)
        if frees_key:
            _free(db, stream_id)
        if ends:
            number = known.pop(stream_id).extent.stream
            db.execute(_FINISH, (time.time() + self._keeping.ttl, number))

    def beat(self, stream_ids: Collection[str]) -> None:
        """Note that producers live."""
        until = self._lives_until()
        with self._writing() as db:
            for some in by_statement(stream_ids):
                db.execute(_BEAT.format(places(1, len(some))), (*until, *some))

    def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer of a stream to stop."""
        with self._writing() as db:
            found = db.execute(
                "UPDATE streams SET stop_reason = coalesce(stop_reason, ?)"
                " WHERE stream_id = ? AND NOT is_ended AND expires_at > ?",
                (reason, stream_id, time.time()),
            )
            is_asked = found.rowcount > 0
        if is_asked:
            self.stops = {stream_id: reason, **self.stops}
        return is_asked

    def _sweep(self, db: sqlite3.Connection) -> None:
        """Forget what has expired."""
        self._swept_at = time.monotonic()
        expired = db.execute(
            "SELECT number, start_position, end_position FROM streams WHERE expires_at <= ?",
            (time.time(),),
        ).fetchall()
        for row in expired:
            events_table.delete_all(db, Extent(*row))
            db.execute("DELETE FROM streams WHERE number = ?", row[:1])
        if expired:
            self._known = {}

    def _remember(self, stream_id: str, extent: Extent, following: int) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        self._known[stream_id] = Known(extent, following)

    # --- reading ------------------------------------------------------------------------------

    def silent(self, stream_ids: Collection[str]) -> list[str]:
        """Return those whose producers are lost."""
        now = time.time()
        alive: set[str] = set()
        with self._connection.open() as db:
            for some in by_statement(stream_ids):
                rows = db.execute(_NOT_SILENT.format(places(1, len(some))), (now, now, *some))
                alive.update(row[0] for row in rows)
        return [stream_id for stream_id in stream_ids if stream_id not in alive]

    def read(self, stream_id: str, after: int) -> Page:
        """Read what is there after a sequence."""
        with self._connection.transaction("DEFERRED") as db:
            return sqlite_reading.read(db, stream_id, after)

    def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        """Tell what has come."""
        try:
            return self._read_news(followed, produced)
        except BaseException:
            self._forget()
            raise

    def _read_news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        news = News()
        with self._connection.transaction("DEFERRED") as db:
            self._look(db)
            is_cut = self._following.read(db, followed, news)
            self.stops = stops = dict(db.execute(_STOPS))
            news.stops = {stream_id: stops[stream_id] for stream_id in stops.keys() & produced}
        self.is_stirred = is_cut
        return news

    def follows(self, followed: Mapping[str, int]) -> bool:
        """Whether `news` was asked about these before, and has told all of them up to there."""
        return self._following.is_told(followed)

    def has_changed(self) -> bool:
        """Whether another connection has written since `news` was asked."""
        with self._connection.open() as db:
            self._look(db)
        return self.is_stirred

    # --- the connection -----------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._connection.transaction("IMMEDIATE") as db:
                self._look(db)
                yield db
        except BaseException:
            self._forget()
            raise

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one statement that writes: a transaction of its own."""
        try:
            with self._connection.open() as db:
                yield db
        except BaseException:
            self._forget()
            raise

    def _look(self, db: sqlite3.Connection) -> None:
        self.is_stirred |= self._connection.look(db)

    def _forget(self) -> None:
        """Forget what may have been taken back, or was read and not told."""
        self._known = {}
        self._following.forget_all()

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        self._connection.close()
        self._following.read_to = 0
        self._forget()

    def _lives_until(self) -> tuple[float, float]:
        """When a producer that is heard of now is lost, and when its stream is kept no longer.

        Both are written down: whoever asks may have other settings than the producer's process.
        """
        lost_at = time.time() + self._keeping.lost_after
        return lost_at, lost_at + self._keeping.ttl


def _is_there(db: sqlite3.Connection, extent: Extent, append: Lines) -> bool:
    """Whether it is written already: it is asked again when the answer was lost."""
    most = len(append.events) + 1
    return events_table.read(db, extent, append.first - 1, most) == append.events


def _trim(db: sqlite3.Connection, known: Known, first: int) -> None:
    """Forget what is older than the first event that is to be kept."""
    if first <= 0:
        return
    start = events_table.delete_before(db, known.extent, first)
    known.extent = known.extent._replace(start=start)
    db.execute(
        "UPDATE streams SET first = ?, start_position = ? WHERE number = ?",
        (first, start, known.extent.stream),
    )


def _free(db: sqlite3.Connection, stream_id: str) -> None:
    db.execute("UPDATE streams SET key = NULL WHERE stream_id = ?", (stream_id,))
