"""Which of a stream's time limits runs out first: arithmetic, in seconds that the test makes up.

What a stream waits for can be interrupted, and the task that waits is then as it was before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from steer_llm_sdk.engine.timeouts import Deadlines, Supervisor
from steer_llm_sdk.errors import RequestTimeoutError, StreamCancelledError, StreamStalledError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import ManualClock

NEVER = float("inf")

NO_LIMITS = StreamingOptions(
    first_event_timeout=None, idle_timeout=None, stall_timeout=None, total_timeout=None
)


def limited(**limits: float) -> Deadlines:
    return Deadlines(NO_LIMITS.replace(**limits))


def reading(deadlines: Deadlines, *, has_begun: bool = False) -> Deadlines:
    """A stream whose headers came at 0, and its first event too when it `has_begun`."""
    deadlines.begin_attempt()
    deadlines.begin_body()
    if has_begun:
        deadlines.note_progress()
    return deadlines


def names_at(deadlines: Deadlines, now: float) -> str | None:
    error = deadlines.expired(now)
    return error.limit if error is not None else None


def test_without_limits_nothing_ever_runs_out() -> None:
    deadlines = reading(limited(), has_begun=True)
    deadlines.waiting_since = 0.0

    assert deadlines.remaining(1e9) == NEVER
    assert deadlines.expired(1e9) is None


@pytest.mark.parametrize(
    ("limit", "has_begun"),
    [
        ("first_event_timeout", False),
        ("idle_timeout", False),
        ("idle_timeout", True),
        ("stall_timeout", True),
        ("total_timeout", False),
        ("total_timeout", True),
    ],
)
def test_a_limit_runs_out_on_the_second(limit: str, has_begun: bool) -> None:
    deadlines = reading(limited(**{limit: 30.0}), has_begun=has_begun)
    deadlines.waiting_since = 100.0

    assert deadlines.remaining(110.0) == 20.0
    assert names_at(deadlines, 129.9) is None
    assert names_at(deadlines, 130.0) == limit


def test_the_error_names_the_limit_and_its_value() -> None:
    deadlines = reading(limited(idle_timeout=30.0))
    deadlines.waiting_since = 0.0

    error = deadlines.expired(31.0)

    assert type(error) is RequestTimeoutError
    assert (error.limit, error.seconds) == ("idle_timeout", 30.0)
    assert str(error) == "no byte came from the provider within 30 s (idle_timeout)"


def test_a_stall_is_an_error_of_its_own() -> None:
    deadlines = reading(limited(stall_timeout=30.0), has_begun=True)
    deadlines.waiting_since = 0.0

    assert isinstance(deadlines.expired(30.0), StreamStalledError)


def test_the_limit_that_ran_out_first_is_named() -> None:
    deadlines = reading(limited(idle_timeout=30.0, total_timeout=20.0))
    deadlines.waiting_since = 0.0

    assert deadlines.remaining(0.0) == 20.0
    assert names_at(deadlines, 40.0) == "total_timeout"


def test_time_in_which_nobody_waits_for_the_provider_does_not_count() -> None:
    deadlines = reading(limited(total_timeout=30.0, first_event_timeout=30.0, idle_timeout=30.0))
    deadlines.waiting_since = 0.0
    deadlines.end_wait(10.0)

    assert deadlines.expired(1_000.0) is None
    assert deadlines.remaining(1_000.0) == 20.0
    assert deadlines._waited == 10.0


def test_a_wait_that_never_began_has_no_length() -> None:
    deadlines = limited(total_timeout=30.0)

    deadlines.end_wait(10.0)

    assert deadlines._waited == 0.0


def test_idleness_is_counted_from_the_last_bytes() -> None:
    deadlines = reading(limited(idle_timeout=30.0))
    for begin in (0.0, 20.0, 40.0):
        deadlines.waiting_since = begin
        deadlines.end_wait(begin + 20.0)
    deadlines.waiting_since = 60.0

    assert names_at(deadlines, 89.0) is None
    assert names_at(deadlines, 90.0) == "idle_timeout"


@pytest.mark.parametrize(
    ("limit", "has_begun"),
    [
        ("first_event_timeout", False),
        ("idle_timeout", True),
        ("stall_timeout", True),
        ("total_timeout", True),
    ],
)
def test_a_wait_that_is_given_up_and_taken_up_again_uses_up_every_limit(
    limit: str, has_begun: bool
) -> None:
    """A heartbeat around `anext` does so every few seconds, and must not keep a stream alive."""
    deadlines = reading(limited(**{limit: 30.0}), has_begun=has_begun)
    for begin in (0.0, 10.0):
        deadlines.waiting_since = begin
        deadlines.give_up_wait(begin + 10.0)
    deadlines.waiting_since = 20.0

    assert names_at(deadlines, 29.0) is None
    assert names_at(deadlines, 30.0) == limit


def test_before_the_headers_there_is_no_idleness() -> None:
    deadlines = limited(idle_timeout=30.0)
    deadlines.begin_attempt()
    deadlines.waiting_since = 0.0

    assert deadlines.expired(1_000.0) is None


@pytest.mark.parametrize(
    ("limit", "has_begun"), [("first_event_timeout", False), ("stall_timeout", True)]
)
def test_keep_alives_are_no_progress(limit: str, has_begun: bool) -> None:
    deadlines = reading(limited(**{limit: 30.0}), has_begun=has_begun)
    deadlines.waiting_since = 0.0
    deadlines.end_wait(20.0)  # a comment came
    deadlines.waiting_since = 20.0

    assert names_at(deadlines, 30.0) == limit


def test_progress_begins_the_count_anew() -> None:
    deadlines = reading(limited(stall_timeout=30.0), has_begun=True)
    deadlines.waiting_since = 0.0
    deadlines.end_wait(20.0)
    deadlines.note_progress()
    deadlines.waiting_since = 20.0

    assert deadlines.remaining(20.0) == 30.0


def test_after_the_first_event_only_the_other_limits_count() -> None:
    deadlines = reading(limited(first_event_timeout=30.0, stall_timeout=300.0), has_begun=True)
    deadlines.waiting_since = 0.0

    assert names_at(deadlines, 299.0) is None


def test_an_attempt_has_its_own_first_event_and_the_total_goes_on() -> None:
    deadlines = reading(limited(first_event_timeout=30.0, total_timeout=50.0), has_begun=True)
    deadlines.waiting_since = 0.0
    deadlines.end_wait(25.0)

    deadlines.begin_attempt()
    deadlines.waiting_since = 25.0

    assert deadlines.remaining(25.0) == 25.0  # of the total
    assert names_at(deadlines, 55.0) == "total_timeout"
    assert deadlines._waited == 25.0


def test_the_defaults_are_those_of_the_options() -> None:
    deadlines = reading(Deadlines(StreamingOptions()))
    deadlines.waiting_since = 0.0

    assert deadlines.remaining(0.0) == 300.0


def test_between_attempts_only_the_total_runs() -> None:
    deadlines = limited(first_event_timeout=10.0, idle_timeout=10.0, total_timeout=100.0)
    deadlines.begin_attempt()
    deadlines.waiting_since = 0.0
    deadlines.end_wait(10.0)

    deadlines.begin_pause()
    deadlines.waiting_since = 10.0

    assert deadlines.expired(99.9) is None
    assert names_at(deadlines, 100.0) == "total_timeout"


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


async def test_each_time_that_a_limit_runs_out_it_is_looked_at_again() -> None:
    """The loop was held up, again and again, and the bytes that came meanwhile are read late."""
    clock = ManualClock()
    supervisor, deadlines = supervised(clock, idle_timeout=10.0, stall_timeout=None)
    deadlines.begin_body()
    interrupted: list[Exception] = []
    supervisor.watch(interrupted.append)
    supervisor.arm()

    for _ in range(5):
        deadlines.waiting_since = clock.monotonic()
        clock.jump(10.0)  # the limit has run out, and is looked at again
        for _ in range(5):
            await asyncio.sleep(0)
        deadlines.end_wait(clock.monotonic())  # bytes were there all the time
        deadlines.waiting_since = clock.monotonic()
        for _ in range(5):
            await asyncio.sleep(0)

    assert interrupted == []
