"""`encode` over what a journal attaches: a follower is waited for with no coroutine of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk import ConfigurationError
from steer_llm_sdk.errors import StreamInUseError
from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.journal.attached import Attached
from steer_llm_sdk.web import encode
from support.encoded import parse
from support.journals import STREAM, Fed, Producing, until


@asynccontextmanager
async def followed() -> AsyncIterator[tuple[Fed, Attached]]:
    """A generation that has begun, and a follower of it."""
    journal = MemoryJournal()
    async with Producing(journal) as producing:
        producing.source.say()
        yield producing.source, journal.attach(STREAM)
    await journal.close()


@given(gaps=st.lists(st.integers(0, 4), max_size=12), heartbeat=st.sampled_from([0.002, 0.004]))
def test_heartbeats_lose_no_event_whenever_they_come(gaps: list[int], heartbeat: float) -> None:
    async def run() -> bytes:
        async with followed() as (source, following):

            async def feed() -> None:
                for number, gap in enumerate(gaps):
                    await asyncio.sleep(gap / 1000)
                    source.say(*(f"<{number}.{part}>" for part in range(1 + number % 3)))
                source.complete()

            feeding = asyncio.create_task(feed())
            raw = b"".join([piece async for piece in encode(following, "sse", heartbeat=heartbeat)])
            await feeding
        return raw

    values = parse(asyncio.run(run()), "sse")

    said = sum(1 + number % 3 for number in range(len(gaps)))
    assert [value["sequence"] for value in values] == list(range(said + 2))


async def test_a_silence_is_filled_while_a_follower_waits() -> None:
    async with followed() as (source, following):
        pieces: list[bytes] = []
        async for piece in encode(following, "sse", heartbeat=0.02):
            pieces.append(piece)
            if pieces.count(b": \n\n") == 2:
                source.complete()

    assert pieces.count(b": \n\n") >= 2
    assert [value["type"] for value in parse(b"".join(pieces), "sse")] == ["start", "complete"]


async def _waiting(following: Attached) -> tuple[asyncio.Task[bytes], list[bytes]]:
    """A task that has got the first event of a follower, and waits for the next one."""
    written: list[bytes] = []

    async def write() -> bytes:
        async for piece in encode(following, "ndjson", heartbeat=None):
            written.append(piece)  # noqa: PERF401 - looked at while it grows
        return b"".join(written)

    writing = asyncio.create_task(write())
    await until(lambda: following._coming is not None)
    return writing, written


async def _next_written(following: Attached) -> object:
    return await anext(encode(following, "ndjson"))


async def _next(following: Attached) -> object:
    return await anext(following)


@pytest.mark.parametrize("read", [_next, _next_written])
async def test_who_reads_beside_a_writer_is_refused(
    read: Callable[[Attached], Awaitable[object]],
) -> None:
    async with followed() as (_, following):
        writing, _written = await _waiting(following)

        with pytest.raises(StreamInUseError, match="attach once more"):
            await read(following)

        writing.cancel()


async def test_a_writer_beside_a_reader_is_refused() -> None:
    async with followed() as (_, following):
        await anext(following)
        reading = asyncio.create_task(_next(following))
        await asyncio.sleep(0)

        with pytest.raises(StreamInUseError, match="attach once more"):
            await anext(encode(following, "ndjson"))

        reading.cancel()


async def test_a_writer_that_is_cancelled_as_an_event_comes_is_cancelled() -> None:
    async with followed() as (source, following):
        writing, written = await _waiting(following)
        before = following.after

        source.say("Hello")
        await until(lambda: following._coming is not None and following._coming.done())
        writing.cancel()  # before it is woken
        await asyncio.wait((writing,))

        assert writing.cancelled()
        assert len(parse(b"".join(written), "ndjson")) == 1
        assert following.after == before == 0  # nothing is taken that is not written


async def test_what_comes_at_once_is_written_at_once() -> None:
    async with followed() as (source, following):
        writing, written = await _waiting(following)

        source.say(*"Hello")
        await until(lambda: len(written) > 1)
        source.complete()
        await writing

    assert len(parse(written[1], "ndjson")) == 5


async def test_what_one_write_does_not_take_is_not_waited_for() -> None:
    async with followed() as (source, following):
        writing, written = await _waiting(following)

        source.say(*(letter * 10_000 for letter in "abc"))
        await until(lambda: len(parse(b"".join(written), "ndjson")) == 4)
        source.complete()
        await writing

    assert len(written) >= 4


async def test_who_is_cancelled_as_a_silence_is_filled_is_cancelled() -> None:
    async with followed() as (_, following):

        async def write() -> None:
            async for _ in encode(following, "ndjson", heartbeat=0.04):
                pass

        writing = asyncio.create_task(write())
        await until(lambda: following._coming is not None)
        await asyncio.sleep(0.03)  # one look has found it quiet, and the next one gives up
        asyncio.get_running_loop().call_later(0.025, writing.cancel)
        time.sleep(0.03)  # noqa: ASYNC251 - both are due in the same round
        await asyncio.wait((writing,), timeout=1)

        assert writing.cancelled()


async def test_who_leaves_a_follower_ends_its_writer() -> None:
    async with followed() as (_, following):
        writing, _ = await _waiting(following)

        await following.aclose()

        assert len(parse(await asyncio.wait_for(writing, 5), "ndjson")) >= 1


def test_a_writer_in_another_loop_is_told_so() -> None:
    journal = MemoryJournal()

    async def read_one(following: Attached) -> None:
        await anext(following)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        producing = Producing(journal)

        async def begin() -> Attached:
            await producing.__aenter__()
            producing.source.say()
            return journal.attach(STREAM)

        following = first.run(begin())
        first.run(read_one(following))

        with pytest.raises(ConfigurationError, match="another event loop"):
            second.run(_next_written(following))

        first.run(producing.__aexit__())
        first.run(journal.close())
