"""The thread that has a file: its calls, and its end."""

from __future__ import annotations

import asyncio
import threading
import weakref
from functools import partial

import pytest

from steer_llm_sdk.journal.sqlite_thread import FileThread


async def test_calls_are_made_in_their_order_in_one_other_thread() -> None:
    thread = FileThread()
    calls: list[tuple[int, int]] = []

    def call(number: int) -> int:
        calls.append((number, threading.get_ident()))
        return -number

    results = await asyncio.gather(*(thread.run(call, number) for number in range(20)))

    assert results == [-number for number in range(20)]
    assert [number for number, _ in calls] == [*range(20)]
    assert len({ident for _, ident in calls} | {threading.get_ident()}) == 2
    thread.end()


async def test_what_a_call_raises_is_raised_and_the_next_one_is_made() -> None:
    thread = FileThread()

    def fail(error: BaseException) -> None:
        raise error

    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            await thread.run(fail, error)
    assert await thread.run(int, "7") == 7
    thread.end()


async def test_a_call_that_is_given_up_before_it_is_made_is_not_made() -> None:
    thread = FileThread()
    may_go_on = threading.Event()
    made: list[str] = []
    first = asyncio.ensure_future(thread.run(may_go_on.wait))
    second, third = (asyncio.ensure_future(thread.run(made.append, at)) for at in ("2", "3"))
    await asyncio.sleep(0)

    first.cancel()  # it is being made: nobody is told of its end
    second.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    await third

    assert made == ["3"]
    thread.end()


async def test_a_thread_ends_with_its_last_call_and_takes_no_more() -> None:
    thread = FileThread()
    thread.end()  # none has begun
    with pytest.raises(RuntimeError, match="was closed"):
        await thread.run(int)

    thread = FileThread()
    running = await thread.run(threading.current_thread)
    made: list[str] = []
    thread.end(partial(made.append, "the last one"))
    await asyncio.to_thread(running.join, 60)

    assert made == ["the last one"]
    assert not running.is_alive()
    with pytest.raises(RuntimeError, match="was closed"):
        await thread.run(int)


async def test_a_thread_ends_when_nobody_has_it_and_keeps_nothing() -> None:
    class File:
        def look(self) -> threading.Thread:
            return threading.current_thread()

    thread, file = FileThread(), File()
    running = await thread.run(file.look)
    known = weakref.ref(file)
    await thread.run(int)  # which comes after

    del file
    assert known() is None
    del thread
    await asyncio.to_thread(running.join, 60)
    assert not running.is_alive()


def test_a_loop_that_has_ended_meanwhile_is_told_nothing() -> None:
    thread = FileThread()
    may_go_on, made = threading.Event(), threading.Event()

    async def leave() -> threading.Thread:
        running = await thread.run(threading.current_thread)
        waiting = asyncio.ensure_future(thread.run(may_go_on.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        return running

    running = asyncio.run(leave())
    may_go_on.set()
    thread.end(made.set)
    running.join(60)

    assert made.is_set()
