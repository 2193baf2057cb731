"""Several processes and one journal; some of them are killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steer_llm_sdk import ProducerLostError, StreamCancelledError
from steer_llm_sdk.journal import Journal
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent
from support.journal_process import kill, open_journal, process, read_line
from support.journals import QUICK, STREAM, Producing, read, said


@pytest.fixture(params=["sqlite", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place that several processes reach."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    return str(tmp_path / "journal.db")


@pytest.fixture
async def journal(where: str) -> AsyncIterator[Journal]:
    async with open_journal(where, heartbeat=QUICK) as opened:
        yield opened


def numbers(count: int) -> str:
    return "".join(f"{number} " for number in range(count))


async def test_a_producer_that_is_killed_loses_nothing_that_was_written(
    where: str, journal: Journal
) -> None:
    with process("produce", where, STREAM, "50", str(QUICK)) as producer:
        for number in range(50):
            assert await asyncio.to_thread(read_line, producer) == str(number)
        following = [asyncio.create_task(read(journal)) for _ in range(3)]
        await asyncio.sleep(0)
        kill(producer)

        all_events = await asyncio.gather(*following)

    for events in all_events:
        assert said(events) == numbers(50)
        assert [event.sequence for event in events] == list(range(52))
        assert isinstance(events[-1], StreamErrorEvent)
        assert isinstance(events[-1].error, ProducerLostError)
    assert await read(journal, after=40) == all_events[0][41:]


async def test_a_follower_that_is_killed_goes_on_elsewhere_where_it_was(
    where: str, journal: Journal
) -> None:
    async with Producing(journal) as producing:
        producing.source.say(*(f"{number} " for number in range(20)))
        with process("follow", where, STREAM, "-1") as follower:
            seen = [int(await asyncio.to_thread(read_line, follower)) for _ in range(11)]
            kill(follower)
        producing.source.say("20 ")
        producing.source.complete()

        rest = await read(journal, after=seen[-1])

    assert seen + [event.sequence for event in rest] == list(range(23))


async def test_a_stream_of_another_process_is_stopped(where: str) -> None:
    with process("produce", where, STREAM, "3", "5") as producer:
        while await asyncio.to_thread(read_line, producer) != "2":
            pass
        # Not one that soon takes producers for lost: this one lives, and is to say its end itself.
        async with open_journal(where) as journal:
            assert await journal.stop(STREAM, "enough")

            events = await read(journal)

    assert said(events) == numbers(3)
    assert isinstance(events[-1], StreamErrorEvent)
    assert events[-1].error == StreamCancelledError("enough")


async def test_a_child_of_a_fork_follows_with_connections_of_its_own(
    where: str, journal: Journal
) -> None:
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        following = journal.attach(STREAM)
        await anext(following)
        reading, writing = os.pipe()

        if (child := os.fork()) == 0:
            try:
                asyncio.events._set_running_loop(None)
                os.write(writing, said(asyncio.run(_take(journal, 2))).encode())
            finally:
                os._exit(0)

        os.close(writing)
        found = await asyncio.to_thread(os.read, reading, 100)
        await asyncio.to_thread(os.waitpid, child, 0)
        os.close(reading)
        producing.source.complete()
        rest = [event.sequence async for event in following]

    assert found == b"Hello"
    assert rest == [1, 2]


async def _take(journal: Journal, count: int) -> list[StreamEvent]:
    following = journal.attach(STREAM)
    return [await anext(following) for _ in range(count)]
