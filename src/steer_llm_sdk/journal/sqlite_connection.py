"""The connection to the file of a `SQLiteJournal`: its tables and transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from steer_llm_sdk.errors import ConfigurationError, SteerError
from steer_llm_sdk.journal import sqlite_events
from steer_llm_sdk.journal.store import StoreUnreachableError

# How long SQLite waits for another process that writes, in seconds.
_BUSY_TIMEOUT = 5.0

# What is written by this version of the library; a file of a newer one is refused, and what an
# older one holds is given up: it would have expired soon.
_SCHEMA_VERSION = 4

# No number is given twice: what is remembered of one that has expired is true of no other.
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS streams (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id TEXT NOT NULL UNIQUE,
    key TEXT UNIQUE,
    request TEXT NOT NULL,
    writer TEXT NOT NULL,
    first INTEGER NOT NULL DEFAULT 0,
    start_position INTEGER NOT NULL,
    end_position INTEGER,
    stop_reason TEXT,
    is_ended INTEGER NOT NULL DEFAULT 0,
    lost_at REAL NOT NULL,
    expires_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS streams_by_expiry ON streams (expires_at);
CREATE INDEX IF NOT EXISTS streams_to_stop ON streams (stream_id)
    WHERE stop_reason IS NOT NULL AND NOT is_ended;
{sqlite_events.SCHEMA}
"""

_DROP = "DROP TABLE IF EXISTS events; DROP TABLE IF EXISTS streams;"


class Connection:
    """The connection of one thread.

    Args:
        path: The file.

    Attributes:
        version: Which version of the data is there, as of the last look: another one whenever
            another connection has committed.
    """

    def __init__(self, path: str) -> None:
        self.version = -1
        self._path = path
        self._opened: sqlite3.Connection | None = None

    def look(self, db: sqlite3.Connection) -> bool:
        """Whether another connection has written since this was last asked."""
        seen = self.version
        (self.version,) = db.execute("PRAGMA data_version").fetchone()
        return self.version != seen

    @contextmanager
    def transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[sqlite3.Connection]:
        """Do several things as one; what only reads sees the file of one moment.

        Raises:
            StoreUnreachableError: The file cannot be opened, read or written now.
            ConfigurationError: It cannot be opened, and no waiting mends it.
        """
        try:
            db = self._opened or self._open()
            db.execute(f"BEGIN {kind}")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite may have ended it, as where the disk is full
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._told(error) from None

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, opened where it is not, for what is no transaction.

        Raises:
            StoreUnreachableError: The file cannot be opened or read now.
            ConfigurationError: It cannot be opened, and no waiting mends it.
        """
        try:
            yield self._opened or self._open()
        except sqlite3.Error as error:
            raise self._told(error) from None

    def _open(self) -> sqlite3.Connection:
        self._opened = _connect(self._path)
        return self._opened

    def _told(self, error: sqlite3.Error) -> SteerError:
        is_none = self._opened is None and _is_no_journal(self._path, error)
        kind = ConfigurationError if is_none else StoreUnreachableError
        return kind(f"the journal in {self._path!r}: {error}")

    def close(self) -> None:
        """Close it; the next use opens another one."""
        opened, self._opened, self.version = self._opened, None, -1
        if opened is not None:
            opened.close()

    __del__ = close


# What no waiting mends, where a file is opened: it is another, or broken, or may not be written.
_STRANGE = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY}
)


def _is_no_journal(path: str, error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN:  # for want of a descriptor, too
        return Path(path).is_dir() or not Path(path).absolute().parent.is_dir()
    return code in _STRANGE


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
