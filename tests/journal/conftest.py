"""The places that hold journals; every test of the contract is made at each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.journal import Journal, MemoryJournal, RedisJournal, SQLiteJournal
from support.journals import Place
from support.valkey import Valkey


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """One place; the journals that were opened there are closed."""
    opened: list[Journal] = []

    def open_sqlite(**options: Any) -> Journal:
        opened.append(SQLiteJournal(tmp_path / "journal.db", **options))
        return opened[-1]

    def open_memory(**options: Any) -> Journal:
        opened.append(opened[0] if opened and not options else MemoryJournal(**options))
        return opened[-1]

    def open_redis(**options: Any) -> Journal:
        opened.append(RedisJournal(request.getfixturevalue("redis_url"), **options))
        return opened[-1]

    makers = {"sqlite": open_sqlite, "memory": open_memory, "redis": open_redis}
    yield Place(request.param, makers[request.param])
    for journal in opened:
        await journal.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Valkey) -> str:
    """The URL of a real server, which holds nothing yet."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def journal(place: Place) -> Journal:
    return place.open()
