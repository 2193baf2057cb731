"""The ledger: `SQLiteSink`, a database with a row for each stream."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from steer_llm_sdk.checks import FLAG, PATH, Kind
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.models.usage import USAGE_KEYS
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.forking import ForkSafe

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


def _json(value: Any) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None


_Column = tuple[str, Callable[[StreamRecord], Any]]


def _field(name: str) -> Callable[[StreamRecord], Any]:
    return lambda record: getattr(record, name)


def _in(name: str, key: str) -> Callable[[StreamRecord], Any]:
    return lambda record: (getattr(record, name) or {}).get(key)


# Each column with its type, and how a record fills it. New ones are only ever added at the end.
COLUMNS: Mapping[str, _Column] = {
    "stream_id": ("TEXT PRIMARY KEY", _field("stream_id")),
    "request_id": ("TEXT", _field("request_id")),
    "provider": ("TEXT", _field("provider")),
    "model": ("TEXT", _field("model")),
    "response_model": ("TEXT", _field("response_model")),
    "provider_request_id": ("TEXT", _field("provider_request_id")),
    "server_address": ("TEXT", _field("server_address")),
    "server_port": ("INTEGER", _field("server_port")),
    "started_at": ("REAL", _field("started_at")),
    "ended_at": ("REAL", _field("ended_at")),
    "outcome": ("TEXT", _field("outcome")),
    "finish_reason": ("TEXT", _field("finish_reason")),
    "error_type": ("TEXT", _field("error_type")),
    "error_message": ("TEXT", _field("error_message")),
    "error_status": ("INTEGER", _field("error_status")),
    "is_retryable": ("INTEGER", _field("is_retryable")),
    "attempts": ("INTEGER", _field("attempts")),
    "retries": ("INTEGER", lambda record: len(record.retries)),
    "recoveries": ("INTEGER", _field("recoveries")),
    **{key: ("INTEGER", _in("usage", key)) for key in USAGE_KEYS},
    "usage_is_estimated": ("INTEGER", _field("usage_is_estimated")),
    "cost_usd": ("REAL", _field("cost_usd")),
    **{key: ("REAL", _in("metrics", key)) for key in _METRICS},
    "metadata": ("TEXT", lambda record: _json(record.to_dict()["metadata"])),
    "content": ("TEXT", lambda record: _json(record.content)),
    "run_id": ("TEXT", _field("run_id")),
    "turn": ("INTEGER", _field("turn")),
}

_TABLE = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
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
        row = tuple(read(record) for _, read in COLUMNS.values())
        with self.lock:
            self._rows.append(row)

    def flush(self) -> None:
        """Write what was noted, in one transaction.

        Raises:
            sqlite3.Error: It cannot be written; it is lost.
        """
        with self.lock:
            rows, self._rows = self._rows, []
            if not rows:
                return
            try:
                self._write(rows)
            except (sqlite3.Error, OSError):
                self.lost += len(rows)
                self.let_go()
                raise

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

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        if self._connection is None:
            self._connection = connect(self.path)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_INSERT, rows)
            self._clean(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _clean(self, connection: sqlite3.Connection) -> None:
        now = time.monotonic()
        is_due = self._cleaned_at is None or now - self._cleaned_at > _CLEANING_INTERVAL
        if self.keep_days is not None and is_due:
            self._cleaned_at = now
            connection.execute(_CLEAN, (time.time() - self.keep_days * _DAY,))


_of_parents: list[sqlite3.Connection] = []

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
