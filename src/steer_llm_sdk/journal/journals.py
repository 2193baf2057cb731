"""The journals that there are, by where they hold their streams."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from steer_llm_sdk.checks import PATH, SECRET, TEXT, Kind
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.journal.base import (
    DEFAULT_HEARTBEAT,
    DEFAULT_MAX_EVENTS,
    DEFAULT_PATIENCE,
    DEFAULT_TTL,
    Journal,
)
from steer_llm_sdk.journal.memory import MemoryShelf, MemoryStore
from steer_llm_sdk.journal.store import Store
from steer_llm_sdk.stored import Shared

_CONNECT = Kind("a function that makes a client of redis.asyncio", callable, hides_value=True)


class MemoryJournal(Shared, Journal):
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


class RedisJournal(Journal):
    """Holds streams in Redis or Valkey (7 or newer), for processes on any machines.

    Needs the extra ``redis``. Keys begin with `prefix`, expire, and those of one stream are in one
    slot of a Cluster.

    Args:
        url: Where it is: ``redis://``, ``rediss://`` or ``unix://``.
        connect: In place of a URL, a function that makes a client of ``redis.asyncio``: for
            Sentinel, a Cluster, or settings of your own. It is called for each event loop.
        prefix: Stands before all keys.
        ttl: As in `Journal`; so the others.
        max_events: The same.
        heartbeat: The same.
        patience: The same.

    Raises:
        ConfigurationError: redis-py is not installed, or the URL is none of Redis.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        connect: Callable[[], Any] | None = None,
        prefix: str = "steer:",
        ttl: float = DEFAULT_TTL,
        max_events: int = DEFAULT_MAX_EVENTS,
        heartbeat: float = DEFAULT_HEARTBEAT,
        patience: float = DEFAULT_PATIENCE,
    ) -> None:
        super().__init__(ttl=ttl, max_events=max_events, heartbeat=heartbeat, patience=patience)
        TEXT.check("prefix", prefix)
        if (url is None) == (connect is None):
            raise ConfigurationError("RedisJournal: expected a url or connect, and not both")
        SECRET.check_given("url", url)  # it may hold a password
        _CONNECT.check_given("connect", connect)
        if url is not None:
            from steer_llm_sdk.journal.reaching import make_connect

            connect = make_connect(url)
        self._connect = connect
        self._prefix = prefix

    def _open_store(self) -> Store:
        from steer_llm_sdk.journal.redis import RedisStore

        assert self._connect is not None  # noqa: S101 - one of the two was given
        return RedisStore(self._connect, self._prefix, self._keeping)
