"""The places that hold journals; every test of the contract is made at each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.journal import Journal, MemoryJournal, SQLiteJournal
from support.journals import Place


@pytest.fixture(params=["memory", "sqlite"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """One place; the journals that were opened there are closed."""
    opened: list[Journal] = []
    one = MemoryJournal

    def open_sqlite(**options: Any) -> Journal:
        opened.append(SQLiteJournal(tmp_path / "journal.db", **options))
        return opened[-1]

    def open_memory(**options: Any) -> Journal:
        opened.append(opened[0] if opened and not options else one(**options))
        return opened[-1]

    yield Place(request.param, {"sqlite": open_sqlite, "memory": open_memory}[request.param])
    for journal in opened:
        await journal.close()


@pytest.fixture
def journal(place: Place) -> Journal:
    return place.open()
