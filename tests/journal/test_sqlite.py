"""A journal in a file of SQLite, beside the contract: what its writes cost, its versions."""

from __future__ import annotations

import asyncio
import inspect
import re
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from steer_llm_sdk import ConfigurationError, JournalGapError, SteerError
from steer_llm_sdk.journal import (
    SQLiteJournal,
    sqlite,
    sqlite_events,
    sqlite_file,
)
from steer_llm_sdk.journal.sqlite import SQLiteStore
from steer_llm_sdk.journal.sqlite_file import File
from steer_llm_sdk.journal.store import (
    Append,
    Claim,
    Keeping,
    News,
    Page,
    Store,
    StoreUnreachableError,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.sinks import sqlite as sinks_sqlite
from support.journals import until

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
    file = File(str(tmp_path / "journal.db"), Keeping(60, 1000, 60))
    for number in range(90):
        file.claim(Claim(f"stream-{number}", None, "request"))
    statements: list[str] = []

    def statements_of(streams: range) -> int:
        statements.clear()
        assert all(_write(file, [_word(number, 0) for number in streams]))
        return len(statements)

    with file._connection.open() as db:
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
    reader, writer = File(path, keeping), File(path, keeping)
    writer.claim(Claim("stream-0", None, "request"))
    _write(writer, [_word(0, sequence) for sequence in range(3)])
    statements: list[str] = []

    def write_between(statement: str) -> None:
        statements.append(statement)
        if len(statements) == moment:
            _write(writer, [_word(0, sequence) for sequence in range(3, 9)])

    with reader._connection.open() as db:
        db.set_trace_callback(write_between)
    pages = [_read(reader, after)]
    with reader._connection.open() as db:
        db.set_trace_callback(None)
    if after == 2:
        pages += reader.news({"stream-0": 2}, ()).pages.values()

    for page in filter(None, pages):
        assert [event.sequence for event in page.events] == [*range(page.first, _end(page))]
        assert _end(page) == (9 if page.events and page.events[-1].sequence > 2 else 3)
    reader.close()
    writer.close()


def _read(file: File, after: int) -> Page | None:
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


@pytest.mark.parametrize("before", [1, 400])
def test_words_of_many_streams_share_the_pages_that_are_written(
    file: File, tmp_path: Path, before: int
) -> None:
    streams, words = 50, 20
    _claim(file, *range(streams))
    for number in range(streams):
        assert _write(file, [Append(f"stream-{number}", 0, _words(range(before)))]) == [True]
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    for sequence in range(before, before + words):
        assert all(_write(file, [_word(number, sequence) for number in range(streams)]))

    written = (tmp_path / "journal.db-wal").stat().st_size
    # By stream, each word wrote two pages; with an index by stream, one where it is long.
    assert written / (streams * words) < _PAGE_BYTES / 4


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(str(tmp_path / "journal.db"), Keeping(60, 10_000, 60))
    yield file
    file.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[File]:
    """The same file in another process."""
    other = File(str(tmp_path / "journal.db"), Keeping(60, 10_000, 60))
    yield other
    other.close()


def _words(sequences: range) -> tuple[StreamEvent, ...]:
    return tuple(_word(0, sequence).events[0] for sequence in sequences)


def _claim(file: File, *numbers: int) -> None:
    for number in numbers:
        file.claim(Claim(f"stream-{number}", None, "request"))


def _write(file: File, appends: Sequence[Append]) -> list[bool]:
    return file.write(file.prepare(appends))


def _sequences(page: Page | None) -> list[int]:
    return [] if page is None else [event.sequence for event in page.events]


def _rows(file: File, query: str) -> list[tuple[object, ...]]:
    with file._connection.open() as db:
        return db.execute(query).fetchall()


@pytest.mark.parametrize(("own", "others", "is_lost"), [(60, 0, False), (0, 60, True)])
def test_a_producer_is_lost_by_the_settings_of_its_own_process(
    tmp_path: Path, own: float, others: float, *, is_lost: bool
) -> None:
    path = str(tmp_path / "journal.db")
    producing, following = (File(path, Keeping(60, 1000, lost)) for lost in (own, others))
    _claim(producing, 0)
    producing.beat(["stream-0"])

    assert following.silent(["stream-0"]) == (["stream-0"] if is_lost else [])
    producing.close()
    following.close()


@pytest.mark.parametrize("after", [-1, 0, 498, 499, 1023, 2047, 2998, 2999])
def test_a_stream_is_found_among_others_wherever_it_stands(file: File, after: int) -> None:
    _claim(file, 0, 1, 2)
    for sequence in range(0, 3000, 50):
        events = _words(range(sequence, sequence + 50))
        appends = [Append(f"stream-{number}", sequence, events) for number in (2, 0, 1)]
        assert all(_write(file, appends))

    for number in range(3):
        page = file.read(f"stream-{number}", after)
        assert _sequences(page) == [*range(after + 1, min(after + 501, 3000))]
        assert page.first == after + 1


def test_of_what_is_trimmed_or_has_expired_no_row_stays(tmp_path: Path) -> None:
    file = File(str(tmp_path / "journal.db"), Keeping(-1, 100, 0))
    _claim(file, 0)
    for sequence in range(0, 3000, 50):
        assert _write(file, [Append("stream-0", sequence, _words(range(sequence, sequence + 50)))])
    assert _rows(file, "SELECT min(sequence), max(sequence) FROM events") == [(2900, 2999)]
    assert _write(file, [Append("stream-0", 3000, (), ends=True)]) == [True]

    _claim(file, 1)

    assert _rows(file, "SELECT * FROM events") == []
    assert _rows(file, "SELECT number, stream_id FROM streams") == [(2, "stream-1")]
    file.close()


# --- who begins -----------------------------------------------------------------------------------


def test_a_stream_begins_by_one_statement(file: File, other: File) -> None:
    _claim(file, 0)  # which forgets what has expired, too
    statements: list[str] = []
    with file._connection.open() as db:
        db.set_trace_callback(statements.append)

    for number, key in enumerate([None, "key", None], 1):
        claim = Claim(f"stream-{number}", key, "request")
        assert file.claim(claim) == claim
    assert len(statements) == 3

    assert other.claim(Claim("stream-4", "key", "")) == Claim("stream-2", "key", "request")
    assert file.claim(Claim("stream-5", "key", "")) == Claim("stream-2", "key", "request")
    assert all(_write(file, [_word(number, 0) for number in range(4)]))
    assert _sequences(other.read("stream-3", -1)) == [0]


def test_a_key_whose_stream_has_expired_just_now_is_free(tmp_path: Path) -> None:
    file = File(str(tmp_path / "journal.db"), Keeping(-60, 1000, 60))
    for number in range(3):
        claim = Claim(f"stream-{number}", "key", f"request {number}")

        assert file.claim(claim) == claim

    assert _rows(file, "SELECT stream_id FROM streams") == [("stream-2",)]
    file.close()


def test_what_has_expired_is_forgotten_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    file = File(str(tmp_path / "journal.db"), Keeping(-60, 1000, 60))
    _claim(file, 0, 1)
    assert len(_rows(file, "SELECT * FROM streams")) == 2
    now += 60

    _claim(file, 2)

    assert _rows(file, "SELECT stream_id FROM streams") == [("stream-2",)]
    file.close()


# --- who writes -----------------------------------------------------------------------------------


def test_what_another_process_has_written_is_seen_by_who_wrote_before(
    file: File, other: File
) -> None:
    _claim(file, 0, 1)
    assert _write(file, [_word(0, 0), _word(1, 0)]) == [True, True]
    assert _write(other, [_word(0, 1)]) == [True]
    foreign = Append("stream-0", 1, (StreamDeltaEvent(delta=" mine"),))

    assert _write(file, [foreign, _word(1, 1)]) == [False, True]
    assert _write(file, [_word(0, 2), _word(1, 2)]) == [True, True]
    assert _write(other, [Append("stream-0", 2, foreign.events)]) == [False]
    assert _write(other, [Append("stream-0", 3, (), ends=True)]) == [True]
    assert _write(file, [_word(0, 3), _word(1, 3)]) == [False, True]

    assert _sequences(file.read("stream-0", -1)) == [0, 1, 2]
    assert file.read("stream-0", 2) == Page(3, (), is_last=True)
    assert _sequences(other.read("stream-1", -1)) == [0, 1, 2, 3]


def test_a_stream_that_another_process_has_forgotten_is_written_no_more(
    tmp_path: Path, other: File
) -> None:
    file = File(str(tmp_path / "journal.db"), Keeping(-1, 1000, 0))
    _claim(file, 0)
    assert _write(file, [_word(0, 0)]) == [True]
    _claim(other, 1)  # which sweeps

    assert _write(file, [_word(0, 1)]) == [False]
    assert _rows(file, "SELECT * FROM events") == []
    file.close()


def test_a_stream_that_this_process_has_forgotten_is_written_no_more(tmp_path: Path) -> None:
    file = File(str(tmp_path / "journal.db"), Keeping(-1, 1000, 0))
    _claim(file, 0)
    assert _write(file, [_word(0, 0)]) == [True]
    _claim(file, 1)

    assert _write(file, [_word(0, 1)]) == [False]
    file.close()


def test_what_goes_on_is_one_statement_of_few_sizes(file: File) -> None:
    _claim(file, *range(300))
    statements: list[str] = []
    with file._connection.open() as db:
        db.set_trace_callback(statements.append)

    for sequence, streams in enumerate([1, 7, 16, 17, 100, 239, 240]):
        statements.clear()
        appends = [_word(number, sequence) for number in range(300)]
        assert all(_write(file, appends[:streams]))
        assert statements[1:] == ["PRAGMA data_version"]
        assert all(_write(file, appends[streams:]))

    with file._connection.open() as db:
        db.set_trace_callback(None)
    for number in range(300):
        assert _sequences(file.read(f"stream-{number}", -1)) == [*range(7)]
    assert sqlite_events._insert_held_of.cache_info().currsize <= 240 / 16


@pytest.mark.parametrize("ends", [False, True])
def test_whatever_is_to_be_done_with_it_nothing_is_written_behind_another(
    file: File, other: File, ends: bool
) -> None:
    _claim(file, 0, 1, 2)
    assert all(_write(file, [_word(number, 0) for number in range(3)]))
    assert _write(other, [Append("stream-1", 1, (StreamDeltaEvent(delta=" other"),))]) == [True]
    appends = [_word(number, 1)._replace(ends=ends) for number in range(3)]

    assert _write(file, appends) == [True, False, True]
    assert _write(file, appends) == [True, False, True]  # its answer was lost

    for number in range(3):
        page = file.read(f"stream-{number}", 0)
        assert (_sequences(page), page.is_last) == ([0 if number == 1 else 1], ends and number != 1)


def test_what_was_made_ready_while_another_was_written_goes_on_behind_it(file: File) -> None:
    _claim(file, 0, 1)
    ready = [
        file.prepare([_word(0, 0), _word(1, 0)]),
        file.prepare([_word(0, 1)._replace(ends=True), _word(1, 1)]),
        file.prepare([_word(1, 2)]),
    ]

    assert [file.write(prepared) for prepared in ready] == [[True, True], [True, True], [True]]

    assert _sequences(file.read("stream-1", -1)) == [0, 1, 2]
    assert file.read("stream-0", 0) == Page(1, [*_word(0, 1).events], is_last=True)


def test_what_was_made_ready_behind_something_that_is_not_written_is_not_written(
    file: File,
) -> None:
    _claim(file, 0)
    first, second = file.prepare([_word(0, 0)]), file.prepare([_word(0, 1)])
    file.doubt()

    assert file.write(second) == [False]
    assert file.write(first) == [True]
    assert file.write(second) == [True]
    assert _sequences(file.read("stream-0", -1)) == [0, 1]


async def test_behind_a_write_that_was_given_up_nothing_is_written(journal: SQLiteJournal) -> None:
    await _begin(journal, 1)
    store = journal.here()._store
    assert isinstance(store, SQLiteStore)
    may_go_on = threading.Event()
    held = asyncio.ensure_future(store._thread.run(may_go_on.wait))
    writing = asyncio.ensure_future(store.write([_word(0, 0)]))
    await asyncio.sleep(0)
    writing.cancel()
    may_go_on.set()
    await held

    assert await store.write([_word(0, 1)]) == [False]
    assert await store.write([_word(0, 0)]) == [True]
    assert _sequences(await store.read("stream-0", -1)) == [0]


def test_an_end_without_events_and_what_is_none_are_written(file: File) -> None:
    _claim(file, 0, 1)

    assert _write(file, [Append("stream-0", 0, ())]) == [True]
    assert _write(file, [Append("stream-0", 0, (), ends=True)]) == [True]
    assert file.read("stream-0", -1) == Page(0, (), is_last=True)


def test_a_second_append_of_a_batch_follows_the_first(file: File) -> None:
    _claim(file, 0)
    end = Append("stream-0", 2, (), ends=True)
    appends = [_word(0, 0), _word(0, 2), _word(0, 1), end, _word(0, 2)]

    assert _write(file, appends) == [True, False, True, True, False]
    assert file.read("stream-0", 0) == Page(1, list(_words(range(1, 2))), is_last=True)


def test_who_knows_of_few_streams_at_once_writes_in_many(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_MOST_KNOWN", 2)
    _claim(file, *range(5))

    for sequence in range(3):
        assert all(_write(file, [_word(number, sequence) for number in range(5)]))
        assert len(file._known) <= 2

    assert _sequences(file.read("stream-3", -1)) == [0, 1, 2]


def test_a_full_disk_is_told_and_what_is_written_again_is_there_once(file: File) -> None:
    _claim(file, 0)
    assert _write(file, [_word(0, 0)]) == [True]
    much = Append("stream-0", 1, (StreamDeltaEvent(delta="x" * 200_000, sequence=1),))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
    try:
        for _ in range(2):
            with pytest.raises(StoreUnreachableError, match="the journal in "):
                _write(file, [much])
        assert _sequences(file.read("stream-0", -1)) == [0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    assert _write(file, [_word(0, 2)]) == [False]  # nothing is written behind what is missing
    assert _write(file, [much]) == [True]
    assert _write(file, [much]) == [True]  # its answer was lost
    assert _sequences(file.read("stream-0", -1)) == [0, 1]


# --- who follows ----------------------------------------------------------------------------------


def test_what_has_come_of_many_streams_is_as_few_statements_as_of_one(
    file: File, other: File
) -> None:
    _claim(other, *range(90))
    statements: list[str] = []

    def statements_of(streams: range) -> int:
        followed = {f"stream-{number}": sequence - 1 for number in streams}
        file.news(followed, ())
        assert all(_write(other, [_word(number, sequence) for number in streams]))
        statements.clear()
        assert file.has_changed()
        pages = file.news(followed, ()).pages
        assert {stream_id: _sequences(page) for stream_id, page in pages.items()} == {
            f"stream-{number}": [sequence] for number in streams
        }
        return len(statements)

    with file._connection.open() as db:
        db.set_trace_callback(statements.append)
    sequence = 0
    few = statements_of(range(2))
    sequence = 1
    assert all(_write(other, [_word(number, 0) for number in range(2, 90)]))

    assert statements_of(range(90)) == few


@pytest.mark.parametrize("most", [1, 3, 7, 1000])
def test_of_more_than_is_read_at_once_nothing_is_lost(
    file: File, other: File, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(sqlite_events, "_LOG_EVENTS", most)
    _claim(other, 0, 1, 2)
    followed, read = {"stream-0": -1, "stream-1": -1}, {"stream-0": 0, "stream-1": 0}
    file.news(followed, ())
    for sequence in range(20):
        assert all(_write(other, [_word(number, sequence) for number in range(3)]))
    assert _write(other, [Append("stream-0", 20, (), ends=True)]) == [True]
    assert file.has_changed()

    while file.is_stirred:
        for stream_id, page in file.news(followed, ()).pages.items():
            assert _sequences(page) == [*range(read[stream_id], read[stream_id] + len(page.events))]
            read[stream_id] += len(page.events)
            followed[stream_id] += len(page.events)
            if page.is_last:
                del followed[stream_id]

    assert read == {"stream-0": 20, "stream-1": 20}
    assert followed == {"stream-1": 19}


def test_who_is_told_after_a_trim_goes_on_with_what_is_kept(tmp_path: Path, other: File) -> None:
    file = File(str(tmp_path / "journal.db"), Keeping(60, 4, 60))
    _claim(file, 0)
    followed = {"stream-0": -1}
    other.news(followed, ())
    for sequence in range(20):
        assert _write(file, [_word(0, sequence)])

    page = other.news(followed, ()).pages["stream-0"]

    assert page.first == 16
    assert _sequences(page) == [16, 17, 18, 19]
    assert _write(file, [_word(0, 20)])
    assert _sequences(other.news({"stream-0": 19}, ()).pages["stream-0"]) == [20]
    file.close()


def test_what_is_written_here_is_news_to_who_is_behind(file: File, other: File) -> None:
    _claim(other, 0)
    assert _write(other, [_word(0, 0)]) == [True]
    followed = {"stream-0": 0}
    file.news(followed, ())
    assert file.follows(followed)

    assert _write(file, [_word(0, 1)]) == [True]

    assert not file.follows(followed)
    assert _sequences(file.news(followed, ()).pages["stream-0"]) == [1]


def test_who_comes_to_a_stream_later_than_others_is_not_told_yet(file: File) -> None:
    _claim(file, 0)
    assert all(_write(file, [_word(0, sequence) for sequence in range(3)]))
    file.news({"stream-0": 2}, ())

    assert file.follows({"stream-0": 2})
    assert not file.follows({"stream-0": 0})


def test_what_is_written_here_is_not_read_again_for_who_follows_others(
    file: File, other: File
) -> None:
    _claim(file, 0)
    _claim(other, 1)
    followed = {"stream-1": -1}
    file.news(followed, ())
    assert all(_write(file, [_word(0, sequence) for sequence in range(50)]))

    assert _write(other, [_word(1, 0)]) == [True]
    read_to = file._following.read_to
    pages = file.news(followed, ()).pages

    assert _sequences(pages["stream-1"]) == [0]
    assert (read_to, file._following.read_to) == (50, 51)


async def test_who_writes_has_looked_at_what_others_have_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_LOOK", 1e9)
    journal, other = (SQLiteJournal(tmp_path / "journal.db") for _ in range(2))
    await _begin(journal, 1)
    await other.here().claim(Claim("stream-1", None, "request"))
    assert await other.here().write(_word(1, 0))
    following = journal.attach("stream-1")
    assert (await anext(following)).sequence == 0
    waiting = asyncio.create_task(anext(following))
    await until(lambda: journal.here()._store._file.follows({"stream-1": 0}))  # type: ignore[attr-defined]
    assert await journal.here().write(_word(0, 0))  # it has looked just now

    assert await other.here().write(_word(1, 1))
    assert not waiting.done()
    assert await journal.here().write(_word(0, 1))

    async with asyncio.timeout(5):  # sooner than the other one is taken for lost
        assert (await waiting).sequence == 1
    await journal.close()
    await other.close()


# --- who is stopped -------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the thread was asked: whether there are news, and what they are."""
    asked: list[str] = []
    has_changed, news = File.has_changed, File.news

    def look(file: File) -> bool:
        asked.append("has_changed")
        return has_changed(file)

    def read(file: File, followed: Mapping[str, int], produced: Collection[str]) -> News:
        asked.append("news")
        return news(file, followed, produced)

    monkeypatch.setattr(File, "has_changed", look)
    monkeypatch.setattr(File, "news", read)
    return asked


async def test_a_stream_that_begins_is_no_reason_to_ask_the_file(
    journal: SQLiteJournal, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_LOOK_FOR_STOPS", 1e9)
    store = journal.here()._store
    await _begin(journal, 3)
    await _news_in_time(store, "stream-0")

    for produced in (("stream-0", "stream-1"), ("stream-1", "stream-2")):
        assert await _news_in_time(store, *produced) == News()

    assert asked == ["news"]  # the first time, nothing is known


@pytest.mark.parametrize("is_asked_here", [True, False])
async def test_a_stop_that_was_asked_before_a_stream_is_produced_is_told(
    journal: SQLiteJournal, tmp_path: Path, is_asked_here: bool
) -> None:
    other = SQLiteJournal(tmp_path / "journal.db")
    store = journal.here()._store
    await _begin(journal, 2)
    await _news_in_time(store, "stream-0")

    for reason in ("enough", "more than enough"):
        assert await (journal if is_asked_here else other).stop("stream-1", reason)
    if not is_asked_here:
        assert await _news_in_time(store, "stream-0", seconds=0.5) == News()  # it has looked

    async with asyncio.timeout(5):
        assert await store.news({}, ["stream-0", "stream-1"]) == News(stops={"stream-1": "enough"})
    assert await _news_in_time(store, "stream-0", "stream-1") == News()  # it is told once
    await other.close()


async def test_who_waits_for_stops_only_looks_less_often(
    journal: SQLiteJournal, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_LOOK", 0)
    monkeypatch.setattr(sqlite, "_LOOK_FOR_STOPS", 1e9)
    store = journal.here()._store
    await _begin(journal, 2)
    await _news_in_time(store, "stream-0", seconds=0.2)
    assert "has_changed" not in asked

    waiting = asyncio.create_task(store.news({"stream-1": -1}, ["stream-0"]))
    await until(lambda: "has_changed" in asked)

    waiting.cancel()


async def _news_in_time(store: Store, *produced: str, seconds: float = 0.05) -> News:
    """What is told of streams that are produced, or has not been when it has waited so long."""
    asyncio.get_running_loop().call_later(seconds, store.interrupt)
    return await store.news({}, produced)


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


def _no_database(path: Path) -> Path:
    path.write_bytes(b"no database " * 500)
    return path


def _another(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE streams (a)")
    return path


def _newer(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    return path


@pytest.mark.parametrize(
    "place",
    [_no_database, _another, _newer, lambda path: path.parent, lambda path: path / "missing" / "j"],
    ids=["no database", "another", "a newer one", "a folder", "a folder that is not there"],
)
async def test_what_waiting_does_not_mend_is_told_at_once(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    journal = SQLiteJournal(place(tmp_path / "journal.db"), patience=600)

    async with asyncio.timeout(60):
        with pytest.raises(ConfigurationError, match="the journal in"):
            await _begin(journal, 1)
    await journal.close()


async def test_a_file_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    journal = SQLiteJournal(tmp_path / "journal.db", patience=0.01)

    with pytest.raises(SteerError, match=r"newer version \(99\)"):
        await _begin(journal, 1)
    await journal.close()


@pytest.mark.parametrize(
    "module", [sqlite_events, sqlite_file, sinks_sqlite], ids=lambda it: it.__name__
)
def test_no_value_of_a_statement_has_a_number(module: ModuleType) -> None:
    """Python 3.12.0 to 3.12.3 take `?1` for a name, and warn of values that are no mapping."""
    assert not re.search(r"\?\d", inspect.getsource(module))
