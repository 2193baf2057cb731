"""The ledger: `SQLiteSink`, a database with a row for each stream."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from operator import attrgetter
from pathlib import Path
from typing import Any

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


def _row(record: StreamRecord) -> tuple[Any, ...]:
    usage = record.usage or {}
    return (
        *_read_own(record),
        len(record.retries),
        record.recoveries,
        *map(usage.get, USAGE_KEYS),
        record.usage_is_estimated,
        record.cost_usd,
        *map(record.metrics.get, _METRICS),
        plain_json(record.metadata),
        plain_json(record.content),
        record.run_id,
        record.turn,
    )


_TABLE = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
_CREATE = f"CREATE TABLE IF NOT EXISTS streams ({_TABLE})"
_INDEX = "CREATE INDEX IF NOT EXISTS streams_by_time ON streams (started_at)"
_VALUES = ", ".join("?" * len(COLUMNS))
_INSERT = f"INSERT OR REPLACE INTO streams VALUES ({_VALUES})"  # noqa: S608 - question marks
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
        self._rows: list[tuple[Any, ...]] = []
        self._connection: sqlite3.Connection | None = None
        self._cleaned_at: float | None = None
        super().__init__()

    def stream_ended(self, record: StreamRecord) -> None:
        """Note a stream."""
        row = _row(record)
        with self.lock:
            self._rows.append(row)

    def flush(self) -> None:
        """Write what was noted, in one transaction.

        Raises:
            sqlite3.Error: It cannot be written; it is lost.
            ValueError, OverflowError: A row has what no database holds; it alone is lost.
        """
        with self.lock:
            rows, self._rows = self._rows, []
            if not rows:
                return
            try:
                refused = self._write(rows)
            except (sqlite3.Error, OSError):
                self.lost += len(rows)
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
        self._rows = []
        if self._connection is not None:
            _of_parents.append(self._connection)
            self._connection = None

    def _write(self, rows: list[tuple[Any, ...]]) -> Exception | None:
        if self._connection is None:
            self._connection = connect(self.path)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            refused = self._insert(connection, rows)
            self._clean(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return refused

    def _insert(
        self, connection: sqlite3.Connection, rows: list[tuple[Any, ...]]
    ) -> Exception | None:
        """Insert all rows but those that no database holds; returns why one was refused."""
        refused: Exception | None = None
        try:
            connection.executemany(_INSERT, rows)
        except _UNFIT:
            for row in rows:
                try:
                    connection.execute(_INSERT, row)
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
