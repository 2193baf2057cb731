"""The answer: its text, its JSON, its price, and whether it went well."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from steer_llm_sdk.errors import ConnectionLostError, InvalidJSONError
from steer_llm_sdk.models.responses import (
    StreamingResponse,
    growing_text,
    set_json,
    set_measure,
)


def whole(text: str, **fields: Any) -> StreamingResponse:
    return StreamingResponse(text=text, is_finished=True, **fields)


def test_the_text_is_all_that_has_arrived_whenever_it_is_asked_for() -> None:
    response = StreamingResponse()
    assert (response.get_text(), response.text, str(response)) == ("", "", "")

    for piece in ("Hel", "lo"):
        growing_text(response).append(piece)
    assert (response.get_text(), response.text, str(response)) == ("Hello",) * 3

    response.text = "Bye"
    assert response.get_text() == "Bye"


@pytest.mark.parametrize(
    ("is_finished", "error", "ok"),
    [(False, None, False), (True, None, True), (True, ConnectionLostError("gone"), False)],
)
def test_a_response_is_ok_when_it_has_ended_well(
    is_finished: bool, error: ConnectionLostError | None, ok: bool
) -> None:
    assert StreamingResponse(is_finished=is_finished, error=error).ok is ok


def test_a_failed_response_raises_its_error_where_a_value_is_asked_for() -> None:
    error = ConnectionLostError("gone")
    response = whole("{}", error=error)

    with pytest.raises(ConnectionLostError) as by_get:
        response.get_json()
    with pytest.raises(ConnectionLostError) as by_parsed:
        _ = response.parsed
    with pytest.raises(ConnectionLostError) as by_raise:
        response.raise_for_error()
    assert by_get.value is by_parsed.value is by_raise.value is error


def test_a_response_without_an_error_raises_none() -> None:
    whole("x").raise_for_error()


def test_text_is_read_as_json_once() -> None:
    response = whole('{"a": [1, null]}')

    value = response.get_json()
    assert value == {"a": [1, None]}
    assert response.get_json() is value
    assert response.parsed is value


def test_a_value_that_was_read_while_streaming_is_given() -> None:
    response = whole("```json\n{}\n```")
    set_json(response, None, "typed")

    assert response.get_json() is None
    assert response.parsed == "typed"


def test_text_that_is_not_json_is_an_error_with_its_place() -> None:
    text = '{"a": 1, "b": oops, "c": "much more of this than anybody wants to see"}'

    with pytest.raises(InvalidJSONError, match=r"at character 14, near .*oops") as caught:
        whole(text).get_json()

    assert (caught.value.text, caught.value.position) == (text, 14)
    assert "anybody" not in str(caught.value)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[" * 200_000, ""])
def test_what_only_looks_like_json_is_an_error_too(text: str) -> None:
    with pytest.raises(InvalidJSONError, match="the text is not JSON"):
        whole(text).get_json()


def test_metrics_are_measured_when_they_are_read() -> None:
    counts = iter([{"chunks": 1}, {"chunks": 2}])
    response = StreamingResponse()
    set_measure(response, lambda: next(counts))

    assert dict(response.metrics) == {"chunks": 1}
    assert dict(response.metrics) == {"chunks": 2}
    assert not StreamingResponse().metrics


def test_the_repr_does_not_repeat_the_whole_text() -> None:
    found = repr(whole("secret words", provider="openai", reasoning="Hm"))

    assert "secret words" not in found
    assert found.startswith("StreamingResponse(provider='openai', ")
    assert "reasoning='Hm'" in found
    assert found.endswith("text=<12 characters>)")


# --- the price --------------------------------------------------------------------------------

USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000, "total_tokens": 2_000_000}


def priced(provider: str, model: str, **fields: Any) -> float | None:
    return whole("", provider=provider, model=model, **{"usage": USAGE, **fields}).cost_usd


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("openai-responses", "gpt-4o-mini"),
        ("anthropic", "claude-3-5-haiku-latest"),
        ("gemini", "gemini-2.0-flash"),
        ("xai", "grok-3"),
    ],
)
def test_a_known_model_has_a_price(provider: str, model: str) -> None:
    pytest.importorskip("genai_prices")

    price = priced(provider, model)
    assert price is not None
    assert price > 0


def test_the_model_that_answered_counts_before_the_one_that_was_asked_for() -> None:
    pytest.importorskip("genai_prices")

    answered = priced("openai", "an-alias", metadata={"response_model": "gpt-4o-mini"})
    assert answered == priced("openai", "gpt-4o-mini")
    by_request = priced("openai", "gpt-4o-mini", metadata={"response_model": "an-alias"})
    assert by_request == answered


def priced_with(usage: object) -> float:
    counts = USAGE | {"cache_write_tokens": 1_000_000}
    price = priced("anthropic", "claude-opus-4-8", usage=counts, metadata={"provider_usage": usage})
    assert price is not None
    return price


def test_an_hour_of_cache_costs_more_than_five_minutes() -> None:
    pytest.importorskip("genai_prices")
    hour = {"cache_creation": {"ephemeral_1h_input_tokens": 1_000_000}}
    half = {"cache_creation": {"ephemeral_1h_input_tokens": 500_000}}

    dear, plain = priced_with(hour), priced_with({"cache_creation": None})

    assert dear > plain
    assert priced_with({"iterations": [half, half]}) == dear
    assert priced_with({"iterations": [hour]} | hour) == dear
    assert priced_with({"iterations": "none"}) == priced_with(None) == plain


def test_a_fast_answer_costs_more() -> None:
    pytest.importorskip("genai_prices")

    assert priced_with({"speed": "fast"}) > priced_with({"speed": "standard"})
    assert priced_with({"speed": None}) == priced_with({"speed": "standard"})


def test_cached_tokens_cost_less() -> None:
    pytest.importorskip("genai_prices")

    cached = priced("openai", "gpt-4o-mini", usage={**USAGE, "cached_tokens": 900_000})
    full = priced("openai", "gpt-4o-mini")
    assert cached is not None
    assert full is not None
    assert cached < full


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 1}, {"completion_tokens": 1}])
def test_without_counts_there_is_no_price(usage: dict[str, int] | None) -> None:
    assert priced("openai", "gpt-4o-mini", usage=usage) is None


def test_a_model_that_nobody_knows_has_no_price() -> None:
    assert priced("vllm", "my-own-model") is None


def test_without_the_extra_there_is_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)

    assert priced("openai", "gpt-4o-mini") is None


def test_tokens_that_are_written_to_the_cache_have_a_price_of_their_own() -> None:
    pytest.importorskip("genai_prices")
    model = "claude-3-5-haiku-latest"

    written = priced("anthropic", model, usage={**USAGE, "cache_write_tokens": 900_000})
    plain = priced("anthropic", model)

    assert written is not None
    assert plain is not None
    assert written > plain
