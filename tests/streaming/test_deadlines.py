"""Which of a stream's time limits runs out first: arithmetic, in seconds that the test makes up."""

from __future__ import annotations

import pytest

from steer_llm_sdk.errors import RequestTimeoutError, StreamStalledError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.deadlines import Deadlines

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
    assert deadlines.waited == 10.0


def test_a_wait_that_never_began_has_no_length() -> None:
    deadlines = limited(total_timeout=30.0)

    deadlines.end_wait(10.0)

    assert deadlines.waited == 0.0


def test_idleness_is_counted_from_the_last_bytes() -> None:
    deadlines = reading(limited(idle_timeout=30.0))
    for begin in (0.0, 20.0, 40.0):
        deadlines.waiting_since = begin
        deadlines.end_wait(begin + 20.0)
    deadlines.waiting_since = 60.0

    assert names_at(deadlines, 89.0) is None
    assert names_at(deadlines, 90.0) == "idle_timeout"


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
    assert deadlines.waited == 25.0


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
