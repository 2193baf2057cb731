"""Token counts under one set of keys."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.models.usage import USAGE_KEYS, added, count_at, joined, usage_counts, with_total


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (5, 5),
        (0, 0),
        (12.0, 12),
        (12.5, None),
        (-1, None),
        (True, None),
        (None, None),
        ("5", 5),
        ("", None),
        ("-5", None),
        ("5.5", None),
        (" 5", None),
        ("٥", None),
        ("9" * 19, None),
        ("9" * 5_000, None),
    ],
)
def test_a_count_is_a_whole_number_that_is_not_negative(value: Any, count: int | None) -> None:
    assert count_at({"n": value}, "n") == count


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_number_of_tokens_is_no_count(value: float) -> None:
    assert count_at({"n": value}, "n") is None


@pytest.mark.parametrize(
    ("usage", "count"),
    [
        ({"details": {"cached": 3}}, 3),
        ({"details": {}}, None),
        ({"details": None}, None),
        ({"details": 5}, None),
        ({}, None),
    ],
)
def test_a_count_may_stand_deeper(usage: dict[str, Any], count: int | None) -> None:
    assert count_at(usage, "details", "cached") == count


def test_only_counts_that_are_known_are_kept() -> None:
    assert usage_counts(prompt=0, reasoning=5) == {"prompt_tokens": 0, "reasoning_tokens": 5}
    assert usage_counts() == {}


def test_every_count_has_its_key() -> None:
    counts = usage_counts(prompt=1, completion=2, total=3, cached=4, cache_write=5, reasoning=6)

    assert list(counts) == list(USAGE_KEYS)
    assert counts == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "cached_tokens": 4,
        "cache_write_tokens": 5,
        "reasoning_tokens": 6,
    }


@pytest.mark.parametrize(
    ("counts", "whole"),
    [
        (
            {"completion_tokens": 2, "prompt_tokens": 1},
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        ),
        (
            {"total_tokens": 9, "prompt_tokens": 1, "completion_tokens": 2},
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9},
        ),
        ({"prompt_tokens": 1}, {"prompt_tokens": 1}),
        ({"completion_tokens": 1}, {"completion_tokens": 1}),
        ({}, {}),
    ],
)
def test_a_total_that_is_missing_is_the_sum(counts: dict[str, int], whole: dict[str, int]) -> None:
    assert list(with_total(counts).items()) == list(whole.items())


@pytest.mark.parametrize(
    ("later", "whole"),
    [
        ((4, 5, 9), (4, 5, 9)),
        ((0, 5, 5), (1, 5, 6)),
        ((0, 0, 0), (1, 2, 3)),
        ((4, 0, 4), (4, 2, 6)),
        ((0, 5, None), (1, 5, 6)),
        ((None, 5, 5), (1, 5, 6)),
        ((None, None, 7), (1, 2, 7)),
        ((4, 5, 10), (4, 5, 10)),
    ],
)
def test_a_zero_replaces_no_tokens_and_a_total_leaves_none_out(
    later: tuple[int | None, ...], whole: tuple[int, ...]
) -> None:
    names = ("prompt", "completion", "total")
    earlier = usage_counts(prompt=1, completion=2, total=3)

    counts = joined(earlier, usage_counts(**dict(zip(names, later, strict=True))))

    assert counts == usage_counts(**dict(zip(names, whole, strict=True)))


def test_a_first_report_stands_as_it_is() -> None:
    zeros = usage_counts(prompt=0, completion=0, cached=0)

    assert joined({}, zeros) == zeros
    assert joined({"cached_tokens": 3}, zeros) == zeros


def test_the_counts_of_several_requests_are_added_up() -> None:
    first = {"completion_tokens": 2, "prompt_tokens": 1}

    assert added([first, {"prompt_tokens": 4, "cached_tokens": 3}]) == {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "cached_tokens": 3,
    }
    assert added([]) == {}


@pytest.mark.parametrize("value", [2**63, 10**400, 1e300])
def test_a_number_that_no_counter_holds_is_no_count(value: Any) -> None:
    assert count_at({"n": value}, "n") is None
    assert count_at({"n": 2**63 - 1}, "n") == 2**63 - 1
