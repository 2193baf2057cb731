"""Threads for plain functions: bounded, with the caller's context, and left when nobody waits."""

from __future__ import annotations

import asyncio
import threading

from steer_llm_sdk.engine.threads import ToolThreads
from support.leaving import until


async def test_a_function_gives_its_value_or_what_it_raised() -> None:
    threads = ToolThreads()

    def fail() -> None:
        raise SystemExit(3)

    assert await threads.run(lambda: 7) == (7, None)
    value, error = await threads.run(fail)
    assert (value, type(error)) == (None, SystemExit)


async def test_no_more_run_at_once_than_may_and_the_others_follow() -> None:
    threads, gate = ToolThreads(2), threading.Event()
    lock, running, most = threading.Lock(), [0], [0]

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(5)
        with lock:
            running[0] -= 1
        return number

    futures = [threads.run(lambda number=number: work(number)) for number in range(5)]  # type: ignore[misc]
    await until(lambda: running[0] == 2)
    gate.set()

    assert [value for value, _ in await asyncio.gather(*futures)] == list(range(5))
    assert most[0] == 2


async def test_what_is_left_is_counted_while_it_runs_and_never_begins_if_it_had_not() -> None:
    threads, gate = ToolThreads(1), threading.Event()
    ran: list[str] = []

    def block() -> None:
        ran.append("block")
        gate.wait(5)

    running, waiting = threads.run(block), threads.run(lambda: ran.append("late"))
    await until(lambda: ran)
    assert threads.left == 0
    running.cancel()
    waiting.cancel()
    await asyncio.sleep(0)
    assert threads.left == 1
    assert [threads.tell_left(), threads.tell_left()] == [1, 0]  # each is told of once
    gate.set()
    await until(lambda: threads.left == 0)
    assert await threads.run(lambda: "next") == ("next", None)
    assert ran == ["block"]


def test_a_loop_that_is_closed_is_no_matter() -> None:
    threads, gate, done = ToolThreads(), threading.Event(), threading.Event()

    def block() -> None:
        gate.wait(5)
        done.set()

    async def begin() -> None:
        threads.run(block)

    asyncio.run(begin())
    gate.set()

    assert done.wait(5)
