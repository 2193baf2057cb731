"""What a stream waits for can be interrupted, and the task that waits is then as it was before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from steer_llm_sdk.errors import RequestTimeoutError, StreamCancelledError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.deadlines import Deadlines
from steer_llm_sdk.streaming.supervisor import Supervisor
from steer_llm_sdk.testing import ManualClock

STOP = StreamCancelledError("enough")


def supervised(
    clock: ManualClock | None = None, **limits: float | None
) -> tuple[Supervisor, Deadlines]:
    clock = clock or ManualClock()
    deadlines = Deadlines(StreamingOptions(**limits))  # type: ignore[arg-type]
    return Supervisor(clock, deadlines), deadlines


async def forever() -> str:
    await asyncio.Event().wait()
    return "never"


async def soon(call: Callable[[], object]) -> None:
    """Call it once the test waits."""
    await asyncio.sleep(0)
    call()


def cancels_left() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_what_was_awaited_is_given() -> None:
    supervisor, _ = supervised()

    assert await supervisor.run(asyncio.sleep(0, "done")) == "done"


async def test_an_interruption_is_raised_and_leaves_no_cancellation_behind() -> None:
    supervisor, deadlines = supervised()
    other = asyncio.create_task(soon(lambda: supervisor.interrupt(STOP)))

    with pytest.raises(StreamCancelledError, match="enough") as caught:
        await supervisor.run(forever())

    assert caught.value.__context__ is None
    assert cancels_left() == 0
    assert deadlines.waiting_since is None
    await asyncio.sleep(0)  # would raise if a cancellation were still to come
    await other


async def test_a_limit_that_runs_out_interrupts_the_work() -> None:
    clock = ManualClock()
    supervisor, _ = supervised(clock, first_event_timeout=30.0)
    waiting = asyncio.create_task(supervisor.run(forever()))
    await asyncio.sleep(0)

    await clock.advance(31.0)

    with pytest.raises(RequestTimeoutError, match="first_event_timeout"):
        await waiting


async def test_the_callers_own_cancellation_passes() -> None:
    supervisor, _ = supervised()
    waiting = asyncio.create_task(supervisor.run(forever()))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_callers_cancellation_goes_before_an_interruption_of_the_same_moment() -> None:
    supervisor, _ = supervised()
    waiting = asyncio.create_task(supervisor.run(forever()))
    await asyncio.sleep(0)

    supervisor.interrupt(STOP)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_timeout_around_it_is_told_apart_from_an_interruption() -> None:
    supervisor, _ = supervised()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await supervisor.run(forever())

    assert cancels_left() == 0


async def test_a_failure_of_the_work_passes() -> None:
    async def failing() -> None:
        raise ConnectionError("refused")

    supervisor, _ = supervised()

    with pytest.raises(ConnectionError, match="refused"):
        await supervisor.run(failing())


async def test_a_result_that_comes_too_late_is_discarded() -> None:
    async def stubborn() -> str:
        try:
            return await forever()
        except asyncio.CancelledError:
            return "late"

    supervisor, _ = supervised()
    discarded: list[str] = []
    other = asyncio.create_task(soon(lambda: supervisor.interrupt(STOP)))

    with pytest.raises(StreamCancelledError):
        await supervisor.run(stubborn(), discarded.append)

    assert discarded == ["late"]
    assert cancels_left() == 0
    await other


@pytest.mark.parametrize("waits", [False, True])
async def test_work_that_interrupts_itself_is_not_cancelled(*, waits: bool) -> None:
    supervisor, _ = supervised()
    discarded: list[str] = []

    async def interrupting() -> str:
        supervisor.interrupt(STOP)
        if waits:
            await asyncio.sleep(0)
        return "whole"

    with pytest.raises(StreamCancelledError):
        await supervisor.run(interrupting(), discarded.append)

    assert discarded == ["whole"]
    await asyncio.sleep(0)
    assert cancels_left() == 0


async def test_one_timer_serves_limits_that_come_later() -> None:
    clock = ManualClock()
    supervisor, deadlines = supervised(
        clock, first_event_timeout=30.0, idle_timeout=60.0, stall_timeout=90.0, total_timeout=None
    )
    deadlines.begin_attempt()
    supervisor.arm()
    first = clock.next_in

    deadlines.begin_body()
    supervisor.arm()
    deadlines.note_progress()
    supervisor.arm()

    assert (clock.timers, first, clock.next_in) == (1, 30.0, 30.0)
    clock.jump(30.0)  # it looks, finds nothing, and is set to the next
    assert (clock.timers, clock.next_in) == (1, 60.0)


async def test_a_limit_that_comes_sooner_replaces_the_timer() -> None:
    clock = ManualClock()
    supervisor, deadlines = supervised(
        clock, first_event_timeout=30.0, idle_timeout=10.0, stall_timeout=None, total_timeout=None
    )
    deadlines.begin_attempt()
    supervisor.arm()
    deadlines.begin_body()

    supervisor.arm()

    assert (clock.timers, clock.next_in) == (1, 10.0)
