"""Work that was begun goes on when whoever waits for it gives up; its result is taken once."""

from __future__ import annotations

import asyncio

import pytest

from steer_llm_sdk.engine.underway import Underway, WorkCancelledError


async def after(event: asyncio.Event, result: str) -> str:
    await event.wait()
    return result


async def test_the_next_who_waits_gets_what_was_given_up() -> None:
    opened = asyncio.Event()
    work: Underway[str] = Underway()
    work.begin(after(opened, "done"))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(work.settle(), 0.001)
    assert work.is_busy
    opened.set()

    assert await work.settle() == "done"
    assert not work.is_busy


async def test_what_finished_while_nobody_waited_is_kept() -> None:
    opened = asyncio.Event()
    opened.set()
    work: Underway[str] = Underway()
    work.begin(after(opened, "done"))
    for _ in range(3):
        await asyncio.sleep(0)

    assert await work.settle() == "done"


async def test_what_it_raises_is_raised_to_whoever_waits() -> None:
    async def fail() -> None:
        raise LookupError("it")

    work: Underway[None] = Underway()
    work.begin(fail())

    with pytest.raises(LookupError, match="it"):
        await work.settle()
    assert not work.is_busy


async def test_a_cancellation_of_the_work_is_told_from_one_of_the_waiter() -> None:
    work: Underway[str] = Underway()
    work.cancel()  # of nothing
    work.begin(after(asyncio.Event(), "never"))
    work.cancel()

    with pytest.raises(WorkCancelledError):
        await work.settle()


async def test_there_is_one_piece_of_work_at_a_time() -> None:
    opened = asyncio.Event()
    work: Underway[str] = Underway()

    with pytest.raises(AssertionError, match="nothing was begun"):
        await work.settle()
    work.begin(after(opened, "first"))
    with pytest.raises(AssertionError, match="still at the work"):
        work.begin(after(opened, "second"))

    opened.set()
    assert await work.settle() == "first"
