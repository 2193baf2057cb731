"""The final check: every way in which an answer is not JSON is its own error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import InvalidJSONError, RefusalError, TruncatedJSONError
from steer_llm_sdk.structured import FinalText, read_answer


def _error(answer: FinalText, find: str | None = None) -> InvalidJSONError:
    with pytest.raises(InvalidJSONError) as caught:
        read_answer(answer, find=find)
    return caught.value


@pytest.mark.parametrize("text", ['{"a": [1, 2.5]}', " [] ", '"x"', "12", "null"])
def test_json_is_its_value(text: str) -> None:
    assert read_answer(FinalText(text)) == json.loads(text)


@given(st.text(st.sampled_from('{}[]",:0truenl\\ \n-.eu'), max_size=12))
def test_whatever_json_loads_accepts_is_accepted_and_nothing_else(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        assert _error(FinalText(text)).text == text
    else:
        assert read_answer(FinalText(text)) == wanted


def test_cut_by_length() -> None:
    error = _error(FinalText('{"a": [1, 2', "length"))

    assert type(error) is TruncatedJSONError
    assert error.text == '{"a": [1, 2'
    assert error.position == 11
    assert "length limit after 11 characters" in str(error)


def test_nothing_before_the_length_limit() -> None:
    assert type(_error(FinalText("", "length"))) is TruncatedJSONError


def test_whole_json_that_ends_at_the_limit_is_whole() -> None:
    assert read_answer(FinalText('{"a": 1}', "length")) == {"a": 1}


@pytest.mark.parametrize("text", ["12", "1.5", "-3", "1e5"])
def test_digits_that_end_at_the_limit_may_go_on(text: str) -> None:
    assert type(_error(FinalText(text, "length"))) is TruncatedJSONError


@pytest.mark.parametrize("text", ["12 ", "true", '"1"'])
def test_other_leaves_that_end_at_the_limit_are_whole(text: str) -> None:
    assert read_answer(FinalText(text, "length")) == json.loads(text)


def test_cut_without_a_length_limit_is_not_called_truncated() -> None:
    error = _error(FinalText('{"a": 1'))

    assert type(error) is InvalidJSONError
    assert "the end of the text" in str(error)


@pytest.mark.parametrize(
    "answer",
    [FinalText("", "stop", "I can't."), FinalText("I can't.", "refusal"), FinalText("", "refusal")],
)
def test_a_refusal_carries_its_words(answer: FinalText) -> None:
    error = _error(answer)

    assert type(error) is RefusalError
    assert error.text == (answer.refusal or answer.text)


def test_a_long_refusal_is_shortened_in_the_message_only() -> None:
    error = _error(FinalText("no " * 200, "refusal"))

    assert len(str(error)) < 300
    assert error.text == "no " * 200


@pytest.mark.parametrize("text", ["", " \n"])
def test_no_text(text: str) -> None:
    error = _error(FinalText(text))

    assert type(error) is InvalidJSONError
    assert "no text came" in str(error)


def test_two_objects() -> None:
    error = _error(FinalText('{"a": 1}\n{"b": 2}'))

    assert type(error) is InvalidJSONError
    assert error.position == 9
    assert "nothing after the JSON value" in str(error)
    assert "json_extract" not in str(error)


def test_a_fence_is_named_with_its_remedy() -> None:
    error = _error(FinalText('```json\n{"a": 1}\n```'))

    assert error.position == 0
    assert "```json" in str(error)
    assert "inside a code fence: StreamingOptions(json_extract=True)" in str(error)


def test_prose_around_is_named_with_its_remedy() -> None:
    error = _error(FinalText('Here it is: {"a": 1}'))

    assert "inside other text: StreamingOptions(json_extract=True)" in str(error)


def test_prose_without_json_promises_nothing() -> None:
    message = str(_error(FinalText("I don't know.")))

    assert "json_extract" not in message
    assert "I don't know." in message


def test_nothing_to_be_found_says_so() -> None:
    error = _error(FinalText("I don't know."), find="{")

    assert "found none" in str(error)
    assert error.position is None


def test_the_message_shows_a_short_excerpt() -> None:
    error = _error(FinalText("[" + "1, " * 500 + "oops" + ", 1" * 500 + "]"))

    assert "near ', 1, " in str(error)
    assert "oops" in str(error)
    assert len(str(error)) < 200


def test_a_content_filter_is_mentioned() -> None:
    assert "content filter" in str(_error(FinalText('{"a', "content_filter")))


def test_too_many_digits_are_an_error_of_ours() -> None:
    assert "5000 characters" in str(_error(FinalText("1" * 5000)))


def test_too_deep_is_an_error_of_ours() -> None:
    assert "containers inside one another" in str(_error(FinalText("[" * 100_000)))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_what_only_python_calls_json_is_rejected(text: str) -> None:
    _error(FinalText(text))


@pytest.mark.parametrize("find", [None, "{", "{["])
def test_looking_for_json_changes_nothing_where_the_text_is_json(find: str | None) -> None:
    assert read_answer(FinalText(' {"a": 1} '), find=find) == {"a": 1}


def test_a_truncated_fence_is_truncated() -> None:
    error = _error(FinalText('```json\n{"a": [{"b": 1}', "length"), find="{")

    assert type(error) is TruncatedJSONError
    assert error.position == 23
