from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.fragments import Usage
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_chat.usage import read_usage, with_tier
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from steer_llm_sdk.wire.frame import Frame


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "cached_tokens": 4,
                "cache_write_tokens": 2,
                "reasoning_tokens": 3,
            },
        ),
        (
            {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 0}},
            {"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 0},
        ),
        ({"prompt_cache_hit_tokens": 7}, {"cached_tokens": 7}),
        ({"cached_tokens": 7}, {"cached_tokens": 7}),
        (
            {"cache_read_input_tokens": 7, "cache_creation_input_tokens": 1},
            {"cached_tokens": 7, "cache_write_tokens": 1},
        ),
        (
            {"reasoning_tokens": 2, "completion_tokens_details": None},
            {"reasoning_tokens": 2},
        ),
        ({"prompt_tokens": None, "completion_tokens": "many", "total_tokens": -1}, {}),
        (
            {"prompt_tokens": "3", "completion_tokens": "5", "total_tokens": "8"},
            {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
        ),
    ],
)
def test_counts_are_found_in_all_spellings(raw: dict[str, Any], counts: dict[str, int]) -> None:
    assert read_usage(raw) == counts


@pytest.mark.parametrize(
    ("given", "prompt", "total"),
    [
        # Prompt, completion, total, from the cache, into it, reasoning.
        ((5, 1, 126, 100, 20, None), 125, 126),  # the total has them
        ((500, 1, 621, 100, 20, None), 620, 621),
        ((500, 1, 631, 100, 20, 10), 620, 631),  # and the reasoning, too
        ((5, 1, 6, 100, None, None), 105, 106),  # a part is more than the whole
        ((5, None, None, None, 20, None), 25, None),
        ((100, 1, 101, 90, 20, None), 100, 101),  # one of them may be within another
        ((100, 1, 101, 100, None, None), 100, 101),
        ((0, 1, 1, None, None, None), 0, 1),
    ],
)
def test_what_is_counted_beside_the_prompt_is_part_of_it(
    given: tuple[int | None, ...], prompt: int, total: int | None
) -> None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens", "cache_read_input_tokens")
    more = ("cache_creation_input_tokens", "reasoning_tokens")
    pairs = zip((*names, *more), given, strict=True)

    counts = read_usage({name: count for name, count in pairs if count is not None})

    assert (counts["prompt_tokens"], counts.get("total_tokens")) == (prompt, total)


def test_the_tier_that_served_is_part_of_what_was_used() -> None:
    raw = {"prompt_tokens": 1}

    for plain in (None, "", "auto", "default", "provisioned", 7):
        assert with_tier(raw, plain) is raw
    assert with_tier(raw, "priority") == {"service_tier": "priority", **raw}
    assert with_tier({"service_tier": "flex"}, "priority") == {"service_tier": "flex"}


@pytest.mark.parametrize("tier", ["priority", "flex"])
def test_openai_says_the_tier_beside_the_usage(tier: str) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    chunk = {"choices": [], "usage": usage, "service_tier": tier}
    response = {"output": [], "usage": {"input_tokens": 1}, "service_tier": tier}
    completed = {"type": "response.completed", "response": response}

    for wire, payload in ((OpenAIChat(), chunk), (OpenAIResponses(), completed)):
        found = wire.decoder("openai").decode(Frame(json.dumps(payload).encode()))
        (counted,) = (fragment for fragment in found if isinstance(fragment, Usage))
        assert counted.raw["service_tier"] == tier


def test_reasoning_that_is_counted_beside_the_completion_becomes_part_of_it() -> None:
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 35,
        "completion_tokens_details": {"reasoning_tokens": 20},
    }

    assert read_usage(raw)["completion_tokens"] == 25


def test_reasoning_that_is_part_of_the_completion_stays_so() -> None:
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": 25,
        "total_tokens": 35,
        "reasoning_tokens": 20,
    }

    assert read_usage(raw)["completion_tokens"] == 25


@pytest.mark.parametrize("total", [14, 16, 34, 36, 1_000])
def test_a_total_that_counts_something_else_says_nothing_of_reasoning(total: int) -> None:
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": total,  # with what a search has read, say
        "reasoning_tokens": 20,
    }

    assert read_usage(raw)["completion_tokens"] == 5
