"""A journal in a file of SQLite, beside the contract: what its writes cost, its versions."""

from __future__ import annotations

import asyncio
import inspect
import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from steer_llm_sdk import JournalGapError, SteerError
from steer_llm_sdk.journal import SQLiteJournal
from steer_llm_sdk.journal import sqlite as journal_sqlite
from steer_llm_sdk.journal.sqlite import SQLiteStore, _File
from steer_llm_sdk.journal.store import Append, Claim, Keeping, Page
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.sinks import sqlite as sinks_sqlite

_PAGE_BYTES = 4096


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    journal = SQLiteJournal(tmp_path / "journal.db")
    yield journal
    await journal.close()


def _word(stream: int, sequence: int) -> Append:
    event = StreamDeltaEvent(
        delta=" word", provider="openai", model="gpt-4o", sequence=sequence, chunk_index=sequence
    )
    return Append(f"stream-{stream}", sequence, (event,))


async def _begin(journal: SQLiteJournal, streams: int) -> None:
    for number in range(streams):
        await journal.here().claim(Claim(f"stream-{number}", None, "request"))


async def test_what_comes_in_a_pause_is_one_transaction(
    journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions: list[int] = []
    write = SQLiteStore.write

    async def counted(store: SQLiteStore, appends: Sequence[Append]) -> list[bool]:
        transactions.append(len(appends))
        return await write(store, appends)

    monkeypatch.setattr(SQLiteStore, "write", counted)
    monkeypatch.setattr(SQLiteStore, "write_pause", 0.2)
    await _begin(journal, 10)
    desk = journal.here()

    assert await desk.write(_word(0, 0))  # at once: nothing was written just before
    assert all(await asyncio.gather(*(desk.write(_word(n, 0)) for n in range(1, 10))))

    assert transactions == [1, 9]


async def test_what_is_written_together_is_as_few_statements_however_much_it_is(
    tmp_path: Path,
) -> None:
    file = _File(str(tmp_path / "journal.db"), Keeping(60, 1000, 60))
    for number in range(90):
        file.claim(Claim(f"stream-{number}", None, "request"))
    statements: list[str] = []

    def statements_of(streams: range) -> int:
        statements.clear()
        assert all(file.write([_word(number, 0) for number in streams]))
        return len(statements)

    with file._reading() as db:
        db.set_trace_callback(statements.append)

    assert statements_of(range(2)) == statements_of(range(2, 90))
    file.close()


@pytest.mark.parametrize("after", [-1, 2, 5])
@pytest.mark.parametrize("most_events", [4, 1000])
@pytest.mark.parametrize("moment", range(1, 5))
def test_what_is_read_is_of_one_moment(
    tmp_path: Path, after: int, most_events: int, moment: int
) -> None:
    keeping = Keeping(60, most_events, 60)
    path = str(tmp_path / "journal.db")
    reader, writer = _File(path, keeping), _File(path, keeping)
    writer.claim(Claim("stream-0", None, "request"))
    writer.write([_word(0, sequence) for sequence in range(3)])
    statements: list[str] = []

    def write_between(statement: str) -> None:
        statements.append(statement)
        if len(statements) == moment:
            writer.write([_word(0, sequence) for sequence in range(3, 9)])

    with reader._reading() as db:
        db.set_trace_callback(write_between)
    pages = [_read(reader, after)]
    with reader._reading() as db:
        db.set_trace_callback(None)
    if after == 2:
        pages += reader.news({"stream-0": 2}, ()).pages.values()

    for page in filter(None, pages):
        assert [event.sequence for event in page.events] == [*range(page.first, _end(page))]
        assert _end(page) == (9 if page.events and page.events[-1].sequence > 2 else 3)
    reader.close()
    writer.close()


def _read(file: _File, after: int) -> Page | None:
    try:
        return file.read("stream-0", after)
    except JournalGapError:
        return None


def _end(page: Page) -> int:
    return page.first + len(page.events)


async def test_more_than_a_statement_takes_is_written_whole(journal: SQLiteJournal) -> None:
    streams, words = 150, 250
    await _begin(journal, streams)
    store = journal.here()._store
    long = Append("stream-0", 1, tuple(_word(0, at).events[0] for at in range(1, words)))

    assert all(await store.write([_word(number, 0) for number in range(streams)]))
    assert await store.write([long]) == [True]

    page = await store.read("stream-0", -1)
    assert [event.sequence for event in page.events] == list(range(words))


async def test_one_that_cannot_be_written_holds_nobody_back(journal: SQLiteJournal) -> None:
    await _begin(journal, 4)
    store = journal.here()._store
    ended = Append("stream-2", 0, _word(2, 0).events, ends=True)
    assert all(await store.write([_word(0, 0), ended]))
    foreign = Append("stream-0", 0, (StreamDeltaEvent(delta=" other"),))
    appends = [
        _word(1, 0),
        _word(0, 0),
        foreign,
        _word(0, 2),
        _word(2, 1),
        _word(9, 0),
        _word(3, 0),
    ]

    written = await store.write(appends)

    assert written == [True, True, False, False, False, False, True]


async def test_words_of_many_streams_share_the_pages_that_are_written(
    journal: SQLiteJournal, tmp_path: Path
) -> None:
    streams, words = 50, 12
    await _begin(journal, streams)
    desk = journal.here()
    before = (tmp_path / "journal.db-wal").stat().st_size

    for sequence in range(words):
        await asyncio.gather(*(desk.write(_word(n, sequence)) for n in range(streams)))

    written = (tmp_path / "journal.db-wal").stat().st_size - before
    assert written / (streams * words) < _PAGE_BYTES / 2  # by stream, each word wrote two pages


async def test_what_an_older_version_has_written_is_given_up(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("CREATE TABLE streams (stream_id TEXT, next INTEGER)")
        db.execute("CREATE TABLE events (stream_id TEXT)")
        db.execute("PRAGMA user_version = 1")
    db.close()
    journal = SQLiteJournal(tmp_path / "journal.db")
    await _begin(journal, 1)

    assert await journal.here().write(_word(0, 0))
    await journal.close()


async def test_a_file_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    journal = SQLiteJournal(tmp_path / "journal.db", patience=0.01)

    with pytest.raises(SteerError, match=r"newer version \(99\)"):
        await _begin(journal, 1)
    await journal.close()


@pytest.mark.parametrize("module", [journal_sqlite, sinks_sqlite], ids=lambda it: it.__name__)
def test_no_value_of_a_statement_has_a_number(module: ModuleType) -> None:
    """Python 3.12.0 to 3.12.3 take `?1` for a name, and warn of values that are no mapping."""
    assert not re.search(r"\?\d", inspect.getsource(module))
