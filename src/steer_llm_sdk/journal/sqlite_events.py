"""Where events stand in a file of SQLite, and how those of one stream are found.

All events stand in the order in which they were written, whosever they are: a transaction adds to
the end of one table, and who follows many streams reads on from there. An index finds the events
of one stream. An index by stream alone would write a page for each stream in every transaction: so
it goes by slices of the table first, each of some thousand events, and a transaction writes in the
last one only. Who reads a stream looks into each slice from its beginning on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple, TypeVar

_Row = TypeVar("_Row")

# How many rows one statement has at most: SQLite's older builds take 999 values.
_TOGETHER = 100

# How many events of all streams are read at once.
_LOG_EVENTS = 2000

# What stands in the place of an event where a stream ends.
END = ""

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_stream ON events (position >> 10, stream, sequence);
"""

# The last position that was given to an event: no later one will have it or one before it.
LAST_POSITION = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"

# The events of a stream from a position and a sequence on, up to a position. The join goes from
# slice to slice, and within one by the index: so they come in their order.
_FROM_SLICES = f"""
FROM (
    WITH RECURSIVE slices (slice) AS (
        SELECT ? >> 10
        UNION ALL
        SELECT slice + 1 FROM slices WHERE slice < coalesce(?, {LAST_POSITION}) >> 10
    )
    SELECT slice FROM slices
) CROSS JOIN events INDEXED BY events_of_stream
WHERE position >> 10 = slice AND stream = ? AND sequence
"""  # noqa: S608 - none of it is given by anybody

# One row for all: the interpreter is given away for each row, and has to be waited for then.
_READ = f"""
SELECT group_concat(event, '\n') FROM (
    SELECT event {_FROM_SLICES} > ? AND event != '' LIMIT ?
)
"""  # noqa: S608

_NEXT = f"SELECT coalesce(max(sequence) + 1, 0) {_FROM_SLICES} >= 0 AND event != ''"

_LAST_BEFORE = f"SELECT max(position) {_FROM_SLICES} < ?"

_DELETE = f"DELETE FROM events WHERE position IN (SELECT position {_FROM_SLICES} < ?)"  # noqa: S608

_LOG = """
SELECT max(position), count(*), group_concat(stream), group_concat(sequence),
    group_concat(event, '\n')
FROM (SELECT * FROM events WHERE position > ? ORDER BY position LIMIT ?)
"""

_INSERT = "INSERT INTO events (stream, sequence, event) VALUES {}"

# The same for streams that go on and were written last by one writer: all of them, or none.
_INSERT_HELD = """
INSERT INTO events (stream, sequence, event)
SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL AND ? = (
    SELECT count(*) FROM streams WHERE writer = ? AND NOT is_ended AND number IN {}
)
"""

# How many values it is given at most: 240 rows, with a stream each, are 962 of the 999.
_MOST_HELD = 3 * 240

# So many sizes it has, that SQLite keeps it prepared; what is missing is filled up with NULL.
_STEP = 16

# No sequence is as large: see `Journal.attach`.
_ANY = 2**62

Row = tuple[int, int, str]


class Extent(NamedTuple):
    """Where the events of a stream may stand.

    Attributes:
        stream: The number of the stream.
        start: A position before its first event.
        end: The position of its last one; None while more may come.
    """

    stream: int
    start: int
    end: int | None = None


class Statement(NamedTuple):
    """A statement and its values."""

    text: str
    values: Sequence[int | str | None]


class Log(NamedTuple):
    """What has been written of all streams after a position.

    Attributes:
        rows: Streams, sequences and events, in order.
        position: Up to where it was read.
        is_cut: Whether there is more.
    """

    rows: Sequence[Row]
    position: int
    is_cut: bool


def insert(db: sqlite3.Connection, values: Sequence[int | str]) -> int:
    """Add events at the end: streams, sequences and events; return the position of the last one."""
    position: int | None = None
    for start in range(0, len(values), 3 * _TOGETHER):
        some = values[start : start + 3 * _TOGETHER]
        position = db.execute(_INSERT.format(places(len(some) // 3, 3)), some).lastrowid
    return find_last_position(db) if position is None else position


def insert_held(
    values: Sequence[int | str], numbers: Collection[int], writer: str
) -> Statement | None:
    """The statement that adds events of streams, if nobody else has written in them.

    It is a transaction of its own, if there is none. Else it adds no row.

    Args:
        values: Streams, sequences and events, row by row.
        numbers: The streams.
        writer: Who has written in them.

    Returns:
        None where these are none, or too many for one statement.
    """
    if not 0 < len(values) <= _MOST_HELD:
        return None
    rows = len(values) // 3
    filled = -rows % _STEP
    nobody = [None] * (rows + filled - len(numbers))
    added = [*values, *[None] * (3 * filled), len(numbers), writer, *numbers, *nobody]
    return Statement(_insert_held_of(rows + filled), added)


@cache
def _insert_held_of(rows: int) -> str:
    return _INSERT_HELD.format(places(rows, 3), places(1, rows))


def read(db: sqlite3.Connection, extent: Extent, after: int, most: int) -> list[str]:
    """Read the events of a stream after a sequence."""
    (found,) = db.execute(_READ, _values(extent, after, most)).fetchone()
    return [] if found is None else found.split("\n")


def find_next(db: sqlite3.Connection, extent: Extent) -> int:
    """Find the sequence of the next event to come."""
    return int(db.execute(_NEXT, _values(extent)).fetchone()[0])


def delete_before(db: sqlite3.Connection, extent: Extent, sequence: int) -> int:
    """Delete the first events of a stream; return the position from which on the others stand."""
    (found,) = db.execute(_LAST_BEFORE, _values(extent, sequence)).fetchone()
    db.execute(_DELETE, _values(extent, sequence))
    return extent.start if found is None else int(found)


def delete_all(db: sqlite3.Connection, extent: Extent) -> None:
    """Delete all events of a stream."""
    db.execute(_DELETE, _values(extent, _ANY))


def find_last_position(db: sqlite3.Connection) -> int:
    """Find up to where events were written."""
    return int(db.execute(f"SELECT {LAST_POSITION}").fetchone()[0])


def read_log(db: sqlite3.Connection, after: int) -> Log:
    """Read what was written of all streams after a position."""
    last, count, streams, sequences, events = db.execute(_LOG, (after, _LOG_EVENTS)).fetchone()
    if last is None:
        return Log((), after, is_cut=False)
    numbers = map(int, streams.split(",")), map(int, sequences.split(","))
    rows = [*zip(*numbers, events.split("\n"), strict=True)]
    return Log(rows, last, is_cut=count == _LOG_EVENTS)


def _values(extent: Extent, *rest: int) -> tuple[int | None, ...]:
    return (extent.start, extent.end, extent.stream, *rest)


def by_statement(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Cut what is written or asked into as much as one statement takes."""
    left = iter(rows)
    while some := list(islice(left, _TOGETHER)):
        yield some


@cache
def places(rows: int, columns: int) -> str:
    """What stands behind VALUES for so many rows."""
    return ",".join([f"({','.join('?' * columns)})"] * rows)
