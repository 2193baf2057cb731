from __future__ import annotations

import asyncio
import threading

import pytest

from steer_llm_sdk.clock import Clock, SystemClock
from steer_llm_sdk.testing import ManualClock


async def test_a_sleeper_wakes_when_its_time_has_come_and_not_before() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(10))

    await clock.advance(9.5)
    assert not task.done()
    await clock.advance(0.5)
    assert task.done()


async def test_one_that_sleeps_again_is_woken_again_within_one_move() -> None:
    clock = ManualClock()
    woken_at = []

    async def work() -> None:
        for _ in range(3):
            await clock.sleep(2)
            woken_at.append(clock.monotonic())

    task = asyncio.create_task(work())
    await clock.advance(6)

    assert task.done()
    assert woken_at == [1_002, 1_004, 1_006]


async def test_callbacks_run_in_the_order_of_their_times_then_of_their_making() -> None:
    clock = ManualClock()
    ran: list[str] = []
    clock.call_later(2, lambda: ran.append("late"))
    clock.call_later(1, lambda: ran.append("first"))
    clock.call_later(1, lambda: ran.append("second"))

    await clock.advance(3)

    assert ran == ["first", "second", "late"]


async def test_a_cancelled_timer_never_runs() -> None:
    clock = ManualClock()
    ran: list[str] = []
    timer = clock.call_later(1, lambda: ran.append("no"))
    timer.cancel()

    await clock.advance(2)

    assert ran == []
    assert clock.timers == 0
    assert clock.next_in is None


async def test_a_cancelled_sleeper_leaves_nothing_behind() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(10))
    await clock.until_sleeping()

    task.cancel()
    await asyncio.wait([task])

    assert clock.sleepers == 0


async def test_it_tells_how_long_until_the_next_timer() -> None:
    clock = ManualClock()
    clock.call_later(7, lambda: None)
    clock.jump(3)

    assert clock.next_in == 4


def test_it_can_be_moved_without_an_event_loop() -> None:
    clock = ManualClock()
    ran: list[float] = []
    clock.call_later(5, lambda: ran.append(clock.monotonic()))

    clock.jump(60)

    assert ran == [1_005]
    assert clock.monotonic() == 1_060


def test_a_callback_runs_in_the_thread_of_its_loop() -> None:
    clock = ManualClock()
    ready = threading.Event()
    ran_in: list[str] = []

    async def work() -> None:
        done = asyncio.Event()

        def ring() -> None:
            ran_in.append(threading.current_thread().name)
            done.set()

        clock.call_later(5, ring)
        ready.set()
        await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(work(),), name="another")
    thread.start()
    ready.wait()
    clock.jump(5)
    thread.join()

    assert ran_in == ["another"]


def test_the_wall_clock_moves_along_and_can_be_set() -> None:
    clock = ManualClock(time=100.0)
    clock.jump(5)
    assert clock.time() == 105

    clock.set_time(50)
    clock.jump(1)
    assert clock.time() == 51
    assert clock.monotonic() == 1_006


def test_it_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().jump(-1)


async def test_waiting_for_a_sleeper_who_never_comes_ends_in_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        await ManualClock().until_sleeping(timeout=0.001)


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
async def test_sleeping_for_no_time_lets_others_run(clock: Clock) -> None:
    ran: list[str] = []
    task = asyncio.create_task(clock.sleep(0))
    asyncio.get_running_loop().call_soon(lambda: ran.append("other"))

    await task

    assert ran == ["other"]


async def test_the_system_clock_is_the_loops() -> None:
    clock = SystemClock()
    rang = asyncio.Event()

    before = clock.monotonic()
    clock.call_later(0.001, rang.set)
    await rang.wait()

    assert clock.monotonic() - before >= 0.001
    assert clock.time() > 1_700_000_000
