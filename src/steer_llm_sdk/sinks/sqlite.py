"""The ledger: `SQLiteSink`, a database with a row for each stream."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache
from itertools import chain, compress, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

from steer_llm_sdk.checks import FLAG, PATH, Kind
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.models.usage import USAGE_KEYS
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.forking import ForkSafe
from steer_llm_sdk.stored import plain_json

# Of the ledger's table; written into the database as its `user_version`.
VERSION = 1

_DAY = 86_400.0

# How long a write waits for another process's, in seconds.
_PATIENCE = 10.0

# How often rows that are too old are looked for, in seconds.
_CLEANING_INTERVAL = 3_600.0

_METRICS = (
    "ttft_ms", "time_to_first_text_ms", "duration_ms", "tpot_ms", "itl_ms", "tokens_per_second",
    "decode_tokens_per_second", "gap_p50_ms", "gap_p99_ms", "gap_max_ms", "stalls", "stall_ms",
    "chunks",
)  # fmt: skip


# The first columns, which a record has by the same names.
_OWN: Mapping[str, str] = {
    "stream_id": "TEXT PRIMARY KEY",
    "request_id": "TEXT",
    "provider": "TEXT",
    "model": "TEXT",
    "response_model": "TEXT",
    "provider_request_id": "TEXT",
    "server_address": "TEXT",
    "server_port": "INTEGER",
    "started_at": "REAL",
    "ended_at": "REAL",
    "outcome": "TEXT",
    "finish_reason": "TEXT",
    "error_type": "TEXT",
    "error_message": "TEXT",
    "error_status": "INTEGER",
    "is_retryable": "INTEGER",
    "attempts": "INTEGER",
}

# Each column with its type, in the order of `_row`. New ones are only ever added at the end.
COLUMNS: Mapping[str, str] = {
    **_OWN,
    "retries": "INTEGER",
    "recoveries": "INTEGER",
    **dict.fromkeys(USAGE_KEYS, "INTEGER"),
    "usage_is_estimated": "INTEGER",
    "cost_usd": "REAL",
    **dict.fromkeys(_METRICS, "REAL"),
    "metadata": "TEXT",
    "content": "TEXT",
    "run_id": "TEXT",
    "turn": "INTEGER",
}

_read_own = attrgetter(*_OWN)


# Which columns a stream has a value for, and these values. The others are left out: to hand a None
# to SQLite takes Python as long as ten numbers.
_Shape: TypeAlias = tuple[bool, ...]
_Row: TypeAlias = list[Any]


def _row(record: StreamRecord) -> tuple[_Shape, _Row]:
    usage = record.usage or {}
    values = (
        *_read_own(record),
        len(record.retries),
        record.recoveries,
        *map(usage.get, USAGE_KEYS),
        int(record.usage_is_estimated),
        record.cost_usd,
        *map(record.metrics.get, _METRICS),
        plain_json(record.metadata),
        plain_json(record.content),
        record.run_id,
        record.turn,
    )
    return tuple([v is not None for v in values]), [v for v in values if v is not None]


_TABLE = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
_CREATE = f"CREATE TABLE IF NOT EXISTS streams ({_TABLE})"
_INDEX = "CREATE INDEX IF NOT EXISTS streams_by_time ON streams (started_at)"
_CLEAN = "DELETE FROM streams WHERE started_at < ?"


class SQLiteSink(ForkSafe, Sink):
    """Keeps the ledger: a SQLite database with a table ``streams``, and a row for each stream.

    Several processes may write to it at once. ``steer stats`` reports on it, and any other program
    may read it. Rows that cannot be written (a full disk) are lost, and counted.

    Args:
        path: The database; it is made when the first stream has ended.
        keep_days: Rows older than that are removed; None keeps all.
        content: Whether prompts and answers are written, too.

    Attributes:
        lost: How many rows could not be written.

    Raises:
        ConfigurationError: An argument is not what it has to be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        keep_days: float | None = None,
        *,
        content: bool = False,
    ) -> None:
        PATH.check("path", path)
        _DAYS.check("keep_days", keep_days)
        FLAG.check("content", content)
        self.path = Path(path)
        self.keep_days = keep_days
        self.content = content
        self.lost = 0
        self._rows: dict[_Shape, list[_Row]] = {}
        self._connection: sqlite3.Connection | None = None
        self._cleaned_at: float | None = None
        super().__init__()

    def stream_ended(self, record: StreamRecord) -> None:
        """Note a stream."""
        shape, row = _row(record)
        with self.lock:
            self._rows.setdefault(shape, []).append(row)

    def flush(self) -> None:
        """Write what was noted, in one transaction.

        Raises:
            sqlite3.Error: It cannot be written; it is lost.
            ValueError, OverflowError: A row has what no database holds; it alone is lost.
        """
        with self.lock:
            refused: Exception | None = None
            while self._rows:
                try:
                    refused = self._write_some() or refused
                except (sqlite3.Error, OSError):
                    self.lost += sum(map(len, self._rows.values()))
                    self._rows = {}
                    self.let_go()
                    raise
            if refused is not None:
                raise refused

    def close(self) -> None:
        """Close the connection; the next stream opens another."""
        with self.lock:
            self.let_go()

    def let_go(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """Forget what the parent still has to write.

        A connection that is left here, because the fork could not wait, is the parent's: closing it
        in this process would be seen by that one.
        """
        self._rows = {}
        if self._connection is not None:
            _of_parents.append(self._connection)
            self._connection = None

    def _write_some(self) -> Exception | None:
        """Write what one statement takes: rows that have the same columns.

        Returns why one of them was refused.

        One statement is a transaction of its own. In each, the interpreter is given away a few
        times, and has to be taken back from an event loop that is busy.
        """
        if self._connection is None:
            self._connection = connect(self.path)
        connection = self._connection
        shape, waiting = next(iter(self._rows.items()))
        rows = waiting[: _most_rows(connection, sum(shape))]
        refused: Exception | None = None
        try:
            _insert(connection, shape, rows)
        except _UNFIT:
            refused = self._insert_singly(connection, shape, rows)
        del waiting[: len(rows)]
        if not waiting:
            del self._rows[shape]
        self._clean(connection)
        return refused

    def _insert_singly(
        self, connection: sqlite3.Connection, shape: _Shape, rows: list[_Row]
    ) -> Exception | None:
        """Insert all rows but those that no database holds; returns why the last was refused."""
        refused: Exception | None = None
        for row in rows:
            try:
                _insert(connection, shape, [row])
            except _UNFIT as error:
                self.lost += 1
                refused = error
        return refused

    def _clean(self, connection: sqlite3.Connection) -> None:
        now = time.monotonic()
        is_due = self._cleaned_at is None or now - self._cleaned_at > _CLEANING_INTERVAL
        if self.keep_days is not None and is_due:
            self._cleaned_at = now
            connection.execute(_CLEAN, (time.time() - self.keep_days * _DAY,))


# The most rows of a statement.
_AT_ONCE = 256

# What stands for a row that is not there: no key is a number.
_NO_ROW = 0


def _insert(connection: sqlite3.Connection, shape: _Shape, rows: list[_Row]) -> None:
    """Insert some rows in one statement: one of few sizes, so that SQLite keeps it prepared."""
    size = _next_power_of_two(len(rows))
    values = list(chain.from_iterable(rows))
    values.extend(repeat(_NO_ROW, (size - len(rows)) * sum(shape)))
    connection.execute(_insert_of(shape, size), values)


def _most_rows(connection: sqlite3.Connection, columns: int) -> int:
    values = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    return max(min(_AT_ONCE, _next_power_of_two(values // columns + 1) // 2), 1)


def _next_power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


@lru_cache(maxsize=64)
def _insert_of(shape: _Shape, rows: int) -> str:
    """The statement that inserts so many rows of a shape."""
    names = list(compress(COLUMNS, shape))
    row = f"({', '.join('?' * len(names))})"
    chosen = f"(VALUES {', '.join([row] * rows)}) WHERE column1 IS NOT {_NO_ROW}"
    return f"INSERT OR REPLACE INTO streams ({', '.join(names)}) SELECT * FROM {chosen}"  # noqa: S608 - question marks


_of_parents: list[sqlite3.Connection] = []

# Half a character in a name, or a count that is too large.
_UNFIT = (ValueError, OverflowError)

_DAYS = Kind(
    "a number of days above 0, or None",
    lambda value: (
        value is None
        or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)
    ),
)


def connect(path: Path) -> sqlite3.Connection:
    """Open a ledger for writing; make it, where there is none.

    Raises:
        sqlite3.Error: It cannot be opened, or was made by a newer version of this library.
    """
    connection = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    version = _version(connection)
    if version > VERSION:
        raise sqlite3.DatabaseError(
            f"the ledger is of version {version}; this library knows those up to {VERSION}"
        )
    if version < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_CREATE)
        connection.execute(_INDEX)
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Have readers and a writer not wait for each other.

    Where several processes ask for it at once, SQLite refuses some of them without waiting.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as found:
        return int(found.fetchone()[0])
