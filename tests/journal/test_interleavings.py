"""Any interleaving of attach, leave, say, stop and the end: every follower sees the one stream."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steer_llm_sdk.journal import Attached, Journal, MemoryJournal, RedisJournal, SQLiteJournal
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent
from support.journals import STREAM, Producing, said
from support.valkey import Valkey

_WHO = st.integers(0, 3)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 5)),
        st.tuples(st.just("attach"), _WHO),
        st.tuples(st.just("read"), _WHO),
        st.tuples(st.just("give up"), _WHO),
        st.tuples(st.just("leave"), _WHO),
        st.tuples(st.just("turn"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.just(0)),
    ),
    max_size=25,
)


@dataclass
class Reader:
    """A follower that comes and goes, always on from where it was."""

    journal: Journal
    seen: list[StreamEvent] = field(default_factory=list)
    attached: Attached | None = None
    waiting: asyncio.Task[StreamEvent] | None = None

    def attach(self) -> None:
        if self.attached is None:
            after = self.seen[-1].sequence if self.seen else -1
            self.attached = self.journal.attach(STREAM, after)

    async def read(self) -> None:
        if self.attached is not None:
            with suppress(TimeoutError, StopAsyncIteration):
                self.seen.append(await asyncio.wait_for(anext(self.attached), 0.05))

    async def give_up(self) -> None:
        if self.attached is not None:
            waiting = asyncio.ensure_future(anext(self.attached, None))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait((waiting,))
            if not waiting.cancelled() and (event := waiting.result()) is not None:
                self.seen.append(event)

    async def leave(self) -> None:
        if self.attached is not None:
            await self.attached.aclose()
            self.attached = None

    async def read_on(self) -> None:
        await self.leave()
        self.attach()
        assert self.attached is not None
        self.seen += [event async for event in self.attached]


async def play(steps: list[tuple[str, int]], journals: list[Journal], *, stops: bool) -> None:
    readers = [Reader(journals[at % len(journals)]) for at in range(4)]
    said = 0
    async with Producing(journals[0]) as producing:
        producing.source.say()
        for step, number in steps:
            if step == "say":
                producing.source.say(*(f"{said + at} " for at in range(number)))
                said += number
            elif step == "turn":
                for _ in range(number):
                    await asyncio.sleep(0)
            elif step == "wait":
                await asyncio.sleep(0.03)
            elif step == "attach":
                readers[number].attach()
            else:
                await getattr(readers[number], step.replace(" ", "_"))()
        if stops:
            assert await journals[-1].stop(STREAM, "enough")
        else:
            producing.source.complete()
        await asyncio.gather(*(reader.read_on() for reader in readers))
        await producing.finished()
    whole = readers[0].seen
    assert "".join(event.delta for event in whole if event.type == "delta") == "".join(  # type: ignore[attr-defined]
        f"{at} " for at in range(said)
    )
    assert isinstance(whole[-1], StreamErrorEvent) is stops
    for reader in readers:
        assert reader.seen == whole
        assert [event.sequence for event in reader.seen] == list(range(said + 2))
    for journal in journals:
        assert not journal.here()._tails
        await journal.close()


@settings(max_examples=60)
@given(steps=STEPS, stops=st.booleans())
def test_in_memory(steps: list[tuple[str, int]], stops: bool) -> None:
    async def run() -> None:
        await play(steps, [MemoryJournal()], stops=stops)

    asyncio.run(run())


@settings(max_examples=15)
@given(steps=STEPS, stops=st.booleans())
def test_in_a_file(steps: list[tuple[str, int]], stops: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"

        async def run() -> None:
            await play(steps, [SQLiteJournal(path), SQLiteJournal(path)], stops=stops)

        asyncio.run(run())


@settings(max_examples=15)
@given(steps=STEPS, stops=st.booleans())
def test_in_redis(redis_server: Valkey, steps: list[tuple[str, int]], stops: bool) -> None:
    redis_server.flush()

    async def run() -> None:
        url = redis_server.url
        await play(steps, [RedisJournal(url), RedisJournal(url)], stops=stops)

    asyncio.run(run())


@pytest.mark.parametrize("turns", range(12))
async def test_a_stop_at_every_moment_of_the_beginning(turns: int) -> None:
    steps = [("attach", 0), ("turn", turns), ("say", 2), ("give up", 0), ("turn", turns)]

    await play(steps, [MemoryJournal()], stops=True)


async def test_who_follows_in_another_loop_is_told_as_it_comes() -> None:
    journal, here = MemoryJournal(), asyncio.get_running_loop()
    told: asyncio.Queue[StreamEvent] = asyncio.Queue()

    async def follow() -> None:
        async for event in journal.attach(STREAM):
            here.call_soon_threadsafe(told.put_nowait, event)

    async with Producing(journal) as producing:
        producing.source.say("0")
        following = asyncio.create_task(asyncio.to_thread(asyncio.run, follow()))
        seen = [await asyncio.wait_for(told.get(), 10) for _ in range(2)]
        for number in range(1, 4):
            producing.source.say(str(number))
            seen.append(await asyncio.wait_for(told.get(), 10))
        producing.source.complete()
        await following

    assert said(seen) == "0123"
