"""What a stream takes is counted by characters; a budget allows so much of it, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.answer.budget import (
    RunningCount,
    allow_tokens,
    allow_usd,
    count_prompt,
)
from steer_llm_sdk.answer.usage import CHARACTERS, count_characters, make_estimate
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse


def delta(what: str | dict[str, object]) -> StreamDeltaEvent:
    return StreamDeltaEvent(delta=what)


def call(index: int, name: str | None, arguments: str | None) -> StreamDeltaEvent:
    return delta({"type": "tool_call", "index": index, "name": name, "arguments": arguments})


@given(st.lists(st.text(min_size=1), min_size=1))
def test_words_are_counted_as_their_whole_text_is_estimated(pieces: list[str]) -> None:
    count = RunningCount(prompt=7)
    for piece in pieces:
        count.add(delta(piece))

    whole = count_characters("".join(pieces))
    estimate = make_estimate(CHARACTERS, StreamingResponse(), 7, whole)
    assert count.usage() == estimate.counts | {"total_tokens": 7 + count.completion}


def test_every_kind_of_delta_counts_each_rounded_up_for_itself() -> None:
    count = RunningCount(0)
    for event in (
        delta({"type": "reasoning", "text": "aaaa"}),
        delta({"type": "reasoning", "text": None}),
        delta("bbbb"),
        call(0, "weather", None),
        call(0, "weather", '{"a"'),
        call(1, None, "{}"),
        call(0, "weather", ": 1}"),
    ):
        count.add(event)

    words = ["aaaa", "bbbb", "weather", '{"a": 1}', "{}"]
    expected = sum(map(count_characters, words))
    assert count.completion == expected + CHARACTERS.per_answer + 2 * CHARACTERS.per_call


def test_a_prompt_counts_its_texts_and_messages() -> None:
    chat = ChatRequest("m", read_messages("Hello there"), system="Be brief")

    assert count_prompt(chat) == count_characters("Hello there") + count_characters("Be brief") + 8


@pytest.mark.parametrize(
    ("budget", "prompt", "allowed"), [(100, 30, 70), (30, 30, 0), (29, 30, -1), (1, 30, -1)]
)
def test_tokens_that_the_prompt_leaves_are_the_answers(
    budget: int, prompt: int, allowed: int
) -> None:
    assert allow_tokens(budget, prompt).completion == allowed


def test_the_error_says_what_was_spent() -> None:
    allowance = allow_tokens(100, 30)

    assert allowance.exceeded(70) is None
    error = allowance.exceeded(71)
    assert error is not None
    assert (error.budget, error.limit, error.spent) == ("budget_tokens", 100, 101)
    assert str(error) == "budget_tokens: about 101 tokens of 100 are spent, the answer was cut"
    assert not error.is_retryable


def test_a_prompt_that_is_too_much_is_told_as_that() -> None:
    error = allow_tokens(10, 30).exceeded(0)

    assert str(error) == (
        "budget_tokens: about 30 tokens of 10 are spent, by the prompt alone: nothing was sent"
    )


def per_million(prompt: int, completion: int) -> float:
    return prompt * 2e-6 + completion * 8e-6


@given(st.floats(1e-6, 1e3), st.integers(0, 100_000))
def test_money_buys_as_many_tokens_as_their_price_allows(budget: float, prompt: int) -> None:
    allowed = allow_usd(budget, prompt, per_million).completion

    if allowed < 0:
        assert per_million(prompt, 0) > budget
    else:
        assert per_million(prompt, allowed) <= budget < per_million(prompt, allowed + 1)


def test_money_that_the_prompt_has_spent_buys_nothing() -> None:
    def price(prompt: int, completion: int) -> float:
        return prompt * 0.25 + completion

    assert allow_usd(1.0, 5, price).completion == -1
    assert allow_usd(1.25, 5, price).completion == 0


def test_what_costs_nothing_is_never_exceeded() -> None:
    allowance = allow_usd(1.0, 10, lambda prompt, completion: 0.0)

    assert allowance.exceeded(10**9) is None


def test_money_that_was_spent_is_told_in_dollars() -> None:
    error = allow_usd(0.001, 100, per_million).exceeded(101)

    assert error is not None
    assert error.spent == pytest.approx(0.001008)
    assert str(error) == "budget_usd: about $0.001008 of $0.001 are spent, the answer was cut"
