"""What a journal has in one event loop: its tasks end with it, whatever a store makes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from steer_llm_sdk import ConfigurationError
from steer_llm_sdk.journal import SQLiteJournal, sqlite
from steer_llm_sdk.journal.attached import Attached
from steer_llm_sdk.journal.desk import Desk
from steer_llm_sdk.journal.generation import Generation
from steer_llm_sdk.journal.memory import MemoryShelf, MemoryStore
from steer_llm_sdk.journal.sqlite import SQLiteStore
from steer_llm_sdk.journal.store import Append, Claim, Keeping, News, Page, StoreUnreachableError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from support.journals import Fed, until


def _generation(desk: Desk) -> Generation:
    return Generation(desk, Fed("s"), StreamEvent(stream_id="s"))


class _Deaf(MemoryStore):
    """A store whose connection breaks where it is cancelled, and which tells of that instead."""

    def __init__(self, shelf: MemoryShelf) -> None:
        super().__init__(shelf)
        self.is_waiting = asyncio.Event()
        self.is_beating = asyncio.Event()

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        self.is_waiting.set()
        return await _deafly(asyncio.Event())

    async def beat(self, stream_ids: Collection[str]) -> None:
        self.is_beating.set()
        await _deafly(asyncio.Event())


async def _deafly(never: asyncio.Event) -> News:
    try:
        await never.wait()
    except asyncio.CancelledError:
        raise StoreUnreachableError("the connection was closed") from None
    return News()


async def test_a_journal_is_closed_though_its_store_takes_the_cancellation_for_a_failure() -> None:
    store = _Deaf(MemoryShelf(Keeping(60, 1000, 60)))
    desk = Desk(store, heartbeat=0.001, patience=60)
    await desk.claim(Claim("s", None, ""))
    desk.produce("s", _generation(desk))
    await desk.write(Append("s", 0, (StreamDeltaEvent(delta="Hi"),)))
    tail = desk.follow("s", await desk.read("s", -1))
    waiter = tail.grown()
    await store.is_waiting.wait()
    await store.is_beating.wait()

    async with asyncio.timeout(5):
        await desk.close()
        await waiter

    assert isinstance(tail.error, ConfigurationError)
    with pytest.raises(ConfigurationError, match="was closed"):
        await desk.read("s", 0)


class _Away(MemoryStore):
    """A store that cannot be reached for news."""

    asked = 0

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        self.asked += 1
        await asyncio.sleep(0)
        raise StoreUnreachableError("the connection was refused")


async def test_a_store_that_stays_away_is_not_asked_without_a_pause() -> None:
    """A producer that says nothing goes on; what it waits for is not asked in every turn."""
    store = _Away(MemoryShelf(Keeping(60, 1000, 60)))
    desk = Desk(store, heartbeat=60, patience=0)
    await desk.claim(Claim("s", None, ""))
    desk.produce("s", _generation(desk))

    for _ in range(100):
        await asyncio.sleep(0)

    assert store.asked == 1
    await desk.close()


class _Cut(MemoryStore):
    """A store that waits for long, and then cannot be reached for once."""

    was_cut = False

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        if self.was_cut:
            return await super().news(followed, produced)
        await asyncio.sleep(0.2)
        self.was_cut = True
        raise StoreUnreachableError("the connection was reset")


async def test_patience_begins_when_a_store_cannot_be_reached_and_not_when_it_was_asked() -> None:
    shelf = MemoryShelf(Keeping(60, 1000, 60))
    store, elsewhere = _Cut(shelf), MemoryStore(shelf)
    desk = Desk(store, heartbeat=60, patience=0.15)
    await desk.claim(Claim("s", None, ""))
    tail = desk.follow("s", Page(0, ()))
    waiter = tail.grown()
    await until(lambda: store.was_cut)

    elsewhere.write_at_once(Append("s", 0, (StreamDeltaEvent(delta="Hi"),)))

    async with asyncio.timeout(5):
        assert len(await waiter) == 1
    assert tail.error is None
    await desk.close()


class _Counted(MemoryStore):
    """A store that counts how often it is to look anew of what it has to tell."""

    def __init__(self, shelf: MemoryShelf) -> None:
        super().__init__(shelf)
        self.interruptions = 0

    def interrupt(self) -> None:
        self.interruptions += 1
        super().interrupt()


async def test_a_store_is_interrupted_only_where_it_has_other_streams_to_tell_of() -> None:
    """What is written here is handed on here: following it, and its end, are nothing to a store."""
    store = _Counted(MemoryShelf(Keeping(60, 1000, 60)))
    desk = Desk(store, heartbeat=60, patience=60)
    for stream_id in ("s", "other"):
        await desk.claim(Claim(stream_id, None, ""))
    desk.produce("other", _generation(desk))
    generation = _generation(desk)
    desk.produce("s", generation)
    await until(lambda: store.interruptions > 0)  # so it is told of both
    await desk.write(Append("s", 0, (StreamDeltaEvent(delta="Hi"),)))
    generation.written = 1
    before = store.interruptions

    tail = desk.follow("s", await desk.read("s", -1))
    waiter = tail.grown()
    end = StreamDeltaEvent(delta="!")
    await desk.write(Append("s", 1, (end,), ends=True))
    generation.written = 2
    desk.end_producing("s")
    desk.leave("s", tail)
    assert [*await waiter] == [end]
    assert store.interruptions == before

    desk.end_producing("other")  # the last one: nothing is waited for any more
    assert store.interruptions == before + 1
    await desk.close()


class _Read(MemoryStore):
    """A store that counts how often it is read, and has to be waited for."""

    write_at_once = None  # type: ignore[assignment]

    def __init__(self, shelf: MemoryShelf) -> None:
        super().__init__(shelf)
        self.reads = 0

    async def read(self, stream_id: str, after: int) -> Page:
        self.reads += 1
        return await super().read(stream_id, after)

    async def write(self, appends: Sequence[Append]) -> list[bool]:
        return [MemoryStore.write_at_once(self, append) for append in appends]


@pytest.mark.parametrize(("words", "reads"), [(0, 0), (1, 0), (64, 0), (65, 1)])
async def test_who_comes_for_a_stream_that_has_just_begun_here_asks_no_store(
    words: int, reads: int
) -> None:
    store = _Read(MemoryShelf(Keeping(60, 1000, 60)))
    desk = Desk(store, heartbeat=60, patience=60)
    journal = _OneDesk(desk)
    source = Fed("s")
    await desk.claim(Claim("s", None, ""))
    generation = Generation(desk, source, StreamEvent(stream_id="s"))
    producing = asyncio.create_task(generation.run())
    if words:
        source.say(*["word"] * (words - 1))  # the start event before the first
    await until(lambda: generation.written == words)
    await until(lambda: "s" in desk._producers)

    following = [Attached(journal, "s", -1) for _ in range(2)]
    waiting = [asyncio.create_task(_read_all(each)) for each in following]
    await until(lambda: all(each._tail is not None for each in following))
    assert store.reads == reads
    assert desk._beginnings == {}
    source.say("more")
    source.complete()

    events = await asyncio.gather(*waiting)
    await producing
    assert events[0] == events[1] == [*(await store.read("s", -1)).events]
    await desk.close()


async def test_what_nobody_has_come_for_is_held_no_longer_than_it_is_generated() -> None:
    desk = Desk(_Read(MemoryShelf(Keeping(60, 1000, 60))), heartbeat=60, patience=60)
    source = Fed("s")
    await desk.claim(Claim("s", None, ""))
    source.say("Hi")
    source.complete()

    await Generation(desk, source, StreamEvent(stream_id="s")).run()

    assert desk._beginnings == {}
    assert len((await desk.read("s", -1)).events) == 3
    await desk.close()


class _OneDesk:
    """What a follower sees of a journal."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def here(self) -> Desk:
        return self._desk

    async def stop(self, stream_id: str, reason: str = "") -> bool:
        return await self._desk.ask_to_stop(stream_id, reason)


async def _read_all(following: Attached) -> list[StreamEvent]:
    return [event async for event in following]


async def test_streams_that_begin_together_are_told_to_the_store_at_once() -> None:
    """Each time it is told, all of them are gone through."""
    shelf = MemoryShelf(Keeping(60, 1000, 60))
    store = _Counted(shelf)
    desk, elsewhere = Desk(store, heartbeat=60, patience=60), MemoryStore(shelf)
    sources = [Fed(f"s{number}") for number in range(20)]
    for number, source in enumerate(sources):
        await desk.claim(Claim(f"s{number}", None, ""))
        desk.produce(f"s{number}", Generation(desk, source, StreamEvent(stream_id=f"s{number}")))
        await asyncio.sleep(0)  # what tells of news is asked between them
    await until(lambda: store.interruptions > 0)

    await elsewhere.ask_to_stop("s19", "enough")
    await until(lambda: sources[19].cancelled is not None)
    assert store.interruptions == 1
    await desk.close()


async def test_the_end_of_a_producer_that_was_taken_for_lost_is_had_of_the_store() -> None:
    shelf = MemoryShelf(Keeping(60, 1000, 60))
    desk, elsewhere = (Desk(MemoryStore(shelf), heartbeat=60, patience=60) for _ in range(2))
    for stream_id in ("s", "other"):
        await desk.claim(Claim(stream_id, None, ""))
        desk.produce(stream_id, _generation(desk))
    tail = desk.follow("s", Page(0, ()))
    waiter = tail.grown()
    end = StreamDeltaEvent(delta="the end")
    await elsewhere.write(Append("s", 0, (end,), ends=True))

    desk.end_producing("s")
    async with asyncio.timeout(5):
        assert await waiter == [end]
    await desk.close()
    await elsewhere.close()


async def test_what_is_queued_of_a_stream_is_written_once_though_an_answer_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[Append]] = []
    write = SQLiteStore.write

    async def write_and_lose(store: SQLiteStore, appends: Sequence[Append]) -> list[bool]:
        asked.append([*appends])
        written = await write(store, appends)
        if len(asked) == 1:
            raise StoreUnreachableError("the answer was lost")
        return written

    monkeypatch.setattr(SQLiteStore, "write", write_and_lose)
    async with SQLiteJournal(tmp_path / "journal.db") as journal:
        desk = journal.here()
        for stream_id in "ab":
            await desk.claim(Claim(stream_id, None, ""))
        events = [StreamDeltaEvent(delta="Hi", sequence=at) for at in range(4)]
        told: list[tuple[Append, bool | Exception]] = []

        def tell(append: Append, written: bool | Exception) -> None:
            told.append((append, written))

        queued = [
            Append("a", 0, events[:1]),
            Append("b", 0, events[:2]),
            Append("a", 1, events[1:3]),
            Append("a", 1, events[:1]),
            Append("b", 2, (), ends=True),
        ]
        for append in queued:
            desk.write_soon(append, tell)
        await until(lambda: len(told) == len(queued))
        pages = [await desk.read(stream_id, -1) for stream_id in "ab"]

    assert told == [*zip(queued, [True, True, True, False, True], strict=True)]
    assert [len(appends) for appends in asked] == [3, 3]
    assert pages == [Page(0, events[:3]), Page(0, events[:2], is_last=True)]


async def test_what_is_queued_is_handed_to_who_follows_it_here_once_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_LOOK", 1e9)  # so nobody else tells of it
    async with SQLiteJournal(tmp_path / "journal.db") as journal:
        desk = journal.here()
        await desk.claim(Claim("s", None, ""))
        tail = desk.follow("s", await desk.read("s", -1))
        waiter = tail.grown()
        event = StreamDeltaEvent(delta="Hi")
        desk.write_soon(Append("s", 0, (event,)), lambda _, written: None)

        async with asyncio.timeout(5):
            assert [*await waiter] == [event]


async def test_who_fails_to_hear_of_a_write_keeps_nobody_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with SQLiteJournal(tmp_path / "journal.db") as journal:
        desk = journal.here()
        for stream_id in "abc":
            await desk.claim(Claim(stream_id, None, ""))
        told: list[tuple[str, bool | Exception]] = []

        def tell(append: Append, written: bool | Exception) -> None:
            if append.stream_id == "a":
                raise ValueError("no")
            told.append((append.stream_id, written))

        for stream_id in "abc":
            desk.write_soon(Append(stream_id, 0, (StreamDeltaEvent(delta="Hi"),)), tell)
        await until(lambda: len(told) == 2)

        assert await desk.write(Append("a", 1, (StreamDeltaEvent(delta="!"),)))

    assert told == [("b", True), ("c", True)]
    assert "what has become of a write cannot be told" in caplog.text


async def test_what_is_queued_when_a_journal_is_closed_is_told_of_it(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "journal.db")
    desk = journal.here()
    for stream_id in "ab":
        await desk.claim(Claim(stream_id, None, ""))
    told: dict[str, bool | Exception] = {}

    def tell(append: Append, written: bool | Exception) -> None:
        told[append.stream_id] = written

    desk.write_soon(Append("a", 0, (StreamDeltaEvent(delta="Hi"),)), tell)
    await asyncio.sleep(0)  # it is under way
    desk.write_soon(Append("b", 0, (StreamDeltaEvent(delta="Hi"),)), tell)
    await journal.close()

    assert set(told) == {"a", "b"}
    assert all(isinstance(written, ConfigurationError) for written in told.values())
    with pytest.raises(ConfigurationError, match="was closed"):
        desk.write_soon(Append("a", 1, ()), tell)


async def test_whoever_is_behind_has_what_is_between_before_what_comes() -> None:
    store = MemoryStore(MemoryShelf(Keeping(60, 1000, 60)))
    desk = Desk(store, heartbeat=60, patience=60)
    await desk.claim(Claim("s", None, ""))
    generation = _generation(desk)
    desk.produce("s", generation)
    events = [StreamDeltaEvent(delta=word, sequence=at) for at, word in enumerate("abc")]
    store.write_at_once(Append("s", 0, events[:2]))
    generation.written = 2
    tail = desk.follow("s", Page(0, ()))  # as it was read before that
    waiter = tail.grown()

    write = desk.writer("s")
    assert write is not None
    assert write(2, events[2:])

    async with asyncio.timeout(5):
        assert await waiter == events
    await desk.close()


class _Slow(MemoryStore):
    """A store that takes long to say whose producer is lost; meanwhile something comes of it."""

    async def silent(self, stream_ids: Collection[str]) -> list[str]:
        if not stream_ids:
            return []
        elsewhere = MemoryStore(self._shelf)
        elsewhere.write_at_once(Append("s", 0, (StreamDeltaEvent(delta="Hi"),)))
        await asyncio.sleep(0.05)
        return [*stream_ids]


async def test_whoever_was_heard_while_it_was_asked_is_not_taken_for_lost() -> None:
    store = _Slow(MemoryShelf(Keeping(60, 1000, 60)))
    desk = Desk(store, heartbeat=0.01, patience=60)
    await store.claim(Claim("s", None, ""))
    tail = desk.follow("s", Page(0, ()))

    events = await tail.grown()
    await asyncio.sleep(0.06)  # until that is answered, and before it is asked again

    assert [event.type for event in events] == ["delta"]
    assert tail.next == 1
    await desk.close()
