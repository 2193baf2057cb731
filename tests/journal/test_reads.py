"""Those who come to a stream that is read here already ask its store no more than they must."""

from __future__ import annotations

import asyncio

import pytest

from steer_llm_sdk import JournalGapError
from steer_llm_sdk.journal.reads import Reads
from steer_llm_sdk.journal.store import Page
from support.journals import STREAM, Place, Producing, said


class _Store:
    """Reads that end when the test says so, and how many there were."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.answer = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, stream_id: str, after: int) -> Page:
        self.asked.append((stream_id, after))
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return Page(after + 1, ())


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_equal_reads_that_have_not_begun_are_one() -> None:
    store = _Store()
    reads = Reads(store.read)
    busy = [asyncio.create_task(reads.read(f"busy-{number}", -1)) for number in range(8)]
    await _turn()

    equal = [asyncio.create_task(reads.read("s", 3)) for _ in range(20)]
    other = asyncio.create_task(reads.read("s", 4))
    await _turn()
    store.answer.set()
    pages = await asyncio.gather(*busy, *equal, other)

    assert store.asked[8:] == [("s", 3), ("s", 4)]
    assert [page.first for page in pages] == [0] * 8 + [4] * 20 + [5]


async def test_a_read_that_has_begun_is_not_joined() -> None:
    store = _Store()
    reads = Reads(store.read)
    first = asyncio.create_task(reads.read("s", 3))
    await _turn()

    second = asyncio.create_task(reads.read("s", 3))
    await _turn()
    store.answer.set()
    await asyncio.gather(first, second)

    assert store.asked == [("s", 3), ("s", 3)]


async def test_who_gives_up_takes_the_read_from_nobody() -> None:
    store = _Store()
    reads = Reads(store.read)
    busy = [asyncio.create_task(reads.read(f"busy-{number}", -1)) for number in range(8)]
    await _turn()
    first, second = (asyncio.create_task(reads.read("s", 3)) for _ in range(2))
    await _turn()

    first.cancel()
    await _turn()
    store.answer.set()

    assert (await second).first == 4
    assert first.cancelled()
    await asyncio.gather(*busy)


async def test_an_error_is_told_to_all_who_asked_and_hinders_no_later_read() -> None:
    store = _Store()
    reads = Reads(store.read)
    store.answer.set()
    store.error = JournalGapError("gone")
    failed = await asyncio.gather(*(reads.read("s", 3) for _ in range(20)), return_exceptions=True)
    store.error = None

    assert [type(one) for one in failed] == [JournalGapError] * 20
    assert len(store.asked) == 1
    assert (await reads.read("s", 3)).first == 4


# --- joining ------------------------------------------------------------------------------------


async def test_who_comes_to_a_stream_that_is_followed_here_asks_no_store(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, elsewhere = place.open(), place.open()
    async with Producing(journal) as producing:
        producing.source.say("a", "b", "c")
        first = elsewhere.attach(STREAM)
        begun = [await anext(first) for _ in range(4)]

        async def unreachable(stream_id: str, after: int) -> Page:
            raise AssertionError(f"{stream_id} was read after {after}")

        monkeypatch.setattr(elsewhere.here(), "read", unreachable)
        late, later, idle = (elsewhere.attach(STREAM, after) for after in (-1, 1, 1))
        assert not await late.has_ended()
        assert not await idle.has_ended()
        found = [await anext(late) for _ in range(4)]
        found_later = [await anext(later) for _ in range(2)]
        producing.source.say("d")
        producing.source.complete()
        rest = [[event async for event in one] for one in (first, late, later)]

        assert said(begun) == said(found) == "abc"
        assert said(found_later) == "bc"
        assert [said(events) for events in rest] == ["d", "d", "d"]
        assert not await elsewhere.attach(STREAM, after=4).has_ended()
        assert await elsewhere.attach(STREAM, after=5).has_ended()
        assert said([event async for event in idle]) == "bcd"
