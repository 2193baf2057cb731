"""The journals that there are, by where they hold their streams."""

from __future__ import annotations

import os

from steer_llm_sdk.checks import PATH
from steer_llm_sdk.journal.base import (
    DEFAULT_HEARTBEAT,
    DEFAULT_MAX_EVENTS,
    DEFAULT_PATIENCE,
    DEFAULT_TTL,
    Journal,
)
from steer_llm_sdk.journal.memory import MemoryShelf, MemoryStore
from steer_llm_sdk.journal.store import Store


class MemoryJournal(Journal):
    """Holds streams in the memory of this process, for all of its event loops.

    Args:
        ttl: As in `Journal`; so the others.
        max_events: The same.
        heartbeat: The same.
        patience: The same.
    """

    def __init__(
        self,
        *,
        ttl: float = DEFAULT_TTL,
        max_events: int = DEFAULT_MAX_EVENTS,
        heartbeat: float = DEFAULT_HEARTBEAT,
        patience: float = DEFAULT_PATIENCE,
    ) -> None:
        super().__init__(ttl=ttl, max_events=max_events, heartbeat=heartbeat, patience=patience)
        self._shelf = MemoryShelf(self._keeping)

    def _open_store(self) -> Store:
        return MemoryStore(self._shelf)


class SQLiteJournal(Journal):
    """Holds streams in a file, for several processes of one machine. Nothing is to be installed.

    The file is in SQLite's WAL mode, which does not work on a network's file system.

    Args:
        path: The file; it is made where there is none.
        ttl: As in `Journal`; so the others.
        max_events: The same.
        heartbeat: The same.
        patience: The same.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ttl: float = DEFAULT_TTL,
        max_events: int = DEFAULT_MAX_EVENTS,
        heartbeat: float = DEFAULT_HEARTBEAT,
        patience: float = DEFAULT_PATIENCE,
    ) -> None:
        super().__init__(ttl=ttl, max_events=max_events, heartbeat=heartbeat, patience=patience)
        PATH.check("path", path)
        self._path = os.fspath(path)

    def _open_store(self) -> Store:
        from steer_llm_sdk.journal.sqlite import SQLiteStore

        return SQLiteStore(self._path, self._keeping)
