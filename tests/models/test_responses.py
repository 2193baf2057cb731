"""The answer: its text, its JSON, its price, and whether it went well."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk.errors import ConnectionLostError, InvalidJSONError
from steer_llm_sdk.models.responses import StreamingResponse


def whole(*pieces: str, **fields: Any) -> StreamingResponse:
    return StreamingResponse(text_parts=list(pieces), is_finished=True, **fields)


def test_the_text_is_all_that_has_arrived_whenever_it_is_asked_for() -> None:
    response = StreamingResponse()
    assert response.get_text() == ""

    response.text_parts += ["Hel", "lo"]
    assert response.get_text() == "Hello"
    assert response.get_text() == "Hello"

    response.text_parts += [" there"]
    assert response.get_text() == "Hello there"


def test_text_that_was_joined_meanwhile_is_not_lost() -> None:
    response = StreamingResponse(text_blocks=["x"])
    response.join_text()

    for pieces in (["a", "b"], ["c"]):
        response.text_parts += pieces
        response.join_text()

    assert response.get_text() == "xabc"


@pytest.mark.parametrize("is_joined_between", [True, False])
def test_the_text_can_be_read_from_where_an_earlier_look_ended(is_joined_between: bool) -> None:
    response = StreamingResponse(text_blocks=["x"])
    mark, seen = 0, []
    for pieces in (["a", "b"], [], ["c"], ["de"]):
        response.text_parts += pieces
        text, mark = response.text_since(mark)
        seen.append(text)
        if is_joined_between:
            response.get_text()

    assert seen == ["xab", "", "c", "de"]
    assert response.text_since(0) == ("xabcde", 6)
    assert response.text_since(3) == ("cde", 6)


class Interrupted(list[str]):
    """Pieces at whose reading another thread comes in between, as far as it can."""

    def __init__(self, pieces: list[str], work: Callable[[], object]) -> None:
        super().__init__(pieces)
        self.other: threading.Thread | None = threading.Thread(target=work)

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        other, self.other = self.other, None
        if other is not None:
            self.append("!")
            other.start()
            other.join(0.05)
        return found


@pytest.mark.parametrize("first", ["get_text", "join_text", "text_since"])
@pytest.mark.parametrize("second", ["get_text", "join_text", "text_since"])
def test_text_that_is_read_in_one_thread_while_it_arrives_in_another_is_whole(
    first: str, second: str
) -> None:
    reads: dict[str, Callable[[StreamingResponse], object]] = {
        "get_text": StreamingResponse.get_text,
        "join_text": StreamingResponse.join_text,
        "text_since": lambda response: response.text_since(0),
    }
    response = StreamingResponse(text_blocks=["a"])
    pieces = Interrupted(["b", "c"], lambda: reads[second](response))
    response.text_parts = pieces
    reads[first](response)

    assert pieces.other is None
    assert response.get_text() == "abc!"
    assert response.text_since(0) == ("abc!", 4)


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
    response = whole('{"a": ', "[1, null]}")

    value = response.get_json()
    assert value == {"a": [1, None]}
    assert response.get_json() is value
    assert response.parsed is value


def test_a_value_that_was_read_while_streaming_is_given() -> None:
    response = whole("```json\n{}\n```", json_value=None, parsed_value="typed")

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
    response = StreamingResponse(measure=lambda: next(counts))

    assert response.metrics == {"chunks": 1}
    assert response.metrics == {"chunks": 2}
    assert StreamingResponse().metrics == {}


def test_the_repr_does_not_repeat_the_whole_text() -> None:
    assert "secret words" not in repr(whole("secret words"))


# --- the price --------------------------------------------------------------------------------

USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000, "total_tokens": 2_000_000}


def priced(provider: str, model: str, **fields: Any) -> float | None:
    return whole(provider=provider, model=model, **{"usage": USAGE, **fields}).cost_usd


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


def test_a_text_that_is_read_piece_by_piece_is_kept_in_few_blocks() -> None:
    response = StreamingResponse()
    mark = 0
    for _ in range(20_000):
        response.text_parts.append("words ")
        mark = response.text_since(mark)[1]

    assert len(response.text_blocks) < 400
    assert response.get_text() == "words " * 20_000
