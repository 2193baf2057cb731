from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import (
    AuthenticationError,
    ConnectionLostError,
    OverloadedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    SteerError,
    StreamCancelledError,
)
from steer_llm_sdk.retry import RetryPolicy

POLICY = RetryPolicy(max_retries=3, max_retry_wait=60, budget=120, base=1, factor=2, cap=8)


def wait(
    attempt: int = 0,
    error: SteerError | None = None,
    *,
    retry_after: float | None = None,
    spent: float = 0.0,
    random: float = 0.5,
    policy: RetryPolicy = POLICY,
) -> float | None:
    return policy.wait_before(
        attempt,
        error or OverloadedError("busy"),
        retry_after=retry_after,
        spent=spent,
        random=random,
    )


@pytest.mark.parametrize(
    ("attempt", "random", "expected"),
    [(0, 0.0, 0.5), (0, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, 2.0), (2, 0.5, 3.0)],
)
def test_the_wait_lies_between_half_the_step_and_the_step_which_doubles(
    attempt: int, random: float, expected: float
) -> None:
    assert wait(attempt, random=random) == expected


def test_the_step_stops_growing_at_its_cap() -> None:
    patient = RetryPolicy(max_retries=10_000, base=1, cap=8)

    assert wait(9_999, random=1.0, policy=patient) == 8


def test_no_wait_is_longer_than_the_longest() -> None:
    hasty = RetryPolicy(max_retries=3, max_retry_wait=0.1, base=1)

    assert wait(2, random=1.0, policy=hasty) == 0.1


def test_after_the_last_retry_it_gives_up() -> None:
    assert wait(2) is not None
    assert wait(3) is None


def test_no_retries_means_none() -> None:
    assert wait(policy=RetryPolicy(max_retries=0)) is None


@pytest.mark.parametrize(
    "error", [AuthenticationError("key"), QuotaExceededError("money"), StreamCancelledError("gone")]
)
def test_what_trying_again_does_not_help_is_not_tried_again(error: SteerError) -> None:
    assert wait(error=error) is None


@pytest.mark.parametrize("error", [RateLimitError("slow"), ConnectionLostError("cut")])
def test_what_may_help_is_tried_again(error: SteerError) -> None:
    assert wait(error=error) is not None


def test_an_error_may_know_better_than_its_class() -> None:
    assert wait(error=ProviderError("try me", is_retryable=True)) is not None
    assert wait(error=RateLimitError("never", is_retryable=False)) is None


def test_what_the_provider_asks_for_is_obeyed_with_the_jitter_on_top() -> None:
    assert wait(retry_after=20, random=0.0) == 20
    assert wait(retry_after=20, random=1.0) == 20.5


def test_zero_seconds_asked_for_still_spreads_the_clients() -> None:
    assert wait(retry_after=0, random=0.4) == pytest.approx(0.2)


def test_more_than_the_longest_wait_is_not_waited_for() -> None:
    assert wait(retry_after=60, random=1.0) == 60
    assert wait(retry_after=60.1) is None


def test_the_budget_covers_all_waits_together() -> None:
    assert wait(spent=119.0, random=1.0) == 1.0
    assert wait(spent=119.1, random=1.0) is None
    assert wait(retry_after=30, spent=100) is None


def test_without_a_budget_only_the_number_of_retries_ends_it() -> None:
    assert wait(spent=1e9, policy=RetryPolicy(budget=None)) is not None


@given(
    attempt=st.integers(0, 100),
    random=st.floats(0, 1),
    spent=st.floats(0, 1_000),
    retry_after=st.none() | st.floats(0, 1_000),
)
def test_a_wait_is_never_negative_too_long_or_over_the_budget(
    attempt: int, random: float, spent: float, retry_after: float | None
) -> None:
    policy = RetryPolicy(max_retries=101)

    found = wait(attempt, retry_after=retry_after, spent=spent, random=random, policy=policy)

    if found is not None:
        assert (retry_after or 0.0) <= found <= 60
        assert spent + found <= 120


def test_a_provider_that_asks_for_no_wait_gets_the_jitter_alone() -> None:
    assert wait(retry_after=0.0, random=0.0) == 0.0
    assert wait(retry_after=0.0, random=1.0) == 0.5
