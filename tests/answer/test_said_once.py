"""Arguments that a server said more than once, as gateways send them, are said once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.answer.said_once import said_once
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from support.pure_road import travel

WHOLE = '{"city": "Berlin", "days": [{"city": 1}, {"city": 2}]}'


@pytest.mark.parametrize(
    "text",
    [
        WHOLE * 2,
        WHOLE * 3,
        f"{WHOLE}\n{WHOLE} ",
        WHOLE + json.dumps(json.loads(WHOLE)),
        WHOLE + json.dumps(WHOLE),
        '{"' + '{"city' + WHOLE,
        "".join(WHOLE[: end + 1] for end in range(len(WHOLE))),
        "{" + '{"city": "Ber' + WHOLE + WHOLE,
    ],
)
def test_what_is_repeated_is_dropped(text: str) -> None:
    found = said_once(text)

    assert found is not None
    assert json.loads(found) == json.loads(WHOLE)


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Ber',
        WHOLE + '{"city": "Paris"}',
        WHOLE + '"something else"',
        WHOLE + "Berlin",
        '["a"]["a"]',
        '{"b": 1, {"a": {"a": 2}}',
        '{"a": 1}' * 2 + '{"a": 2',
        '{"a": NaN}' * 2,
        "{" * 100_000,
        '{"a": "' + "b" * 1_000_000 + '{"a": "b"}',
        '{"a":' * 100_000,
    ],
)
def test_what_is_not_whole_stays_so(text: str) -> None:
    assert said_once(text) is None


objects = st.dictionaries(
    st.text(max_size=3), st.integers() | st.text(max_size=3) | st.lists(st.booleans()), min_size=1
)


@given(objects, st.lists(st.integers(1, 40), max_size=5))
def test_arguments_that_grow_are_those_of_the_last_piece(
    value: dict[str, object], ends: list[int]
) -> None:
    whole = json.dumps(value)
    text = "".join(whole[:end] for end in sorted(ends)) + whole

    found = whole if text == whole else said_once(text)

    assert found is None or json.loads(found) == value
    assert found is not None or False


def call(arguments: str) -> bytes:
    piece = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": arguments}}
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"tool_calls": [piece]}}]}).encode()


@pytest.mark.parametrize(
    "pieces",
    [['{"a"', ": 1}", '{"a": 1}'], ["{", '{"a"', '{"a": 1}'], ['{"a": 1}', r'"{\"a\": 1}"']],
)
def test_a_call_whose_arguments_are_repeated_can_be_run(pieces: list[str]) -> None:
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}\n\ndata: [DONE]\n\n'

    travelled = travel(OpenAIChat(), [*map(call, pieces), end])

    assert travelled.outcome == "complete"
    assert travelled.response.tool_calls == [
        {"id": "call_1", "name": "weather", "arguments": '{"a": 1}'}
    ]


def test_a_repetition_that_was_cut_is_not_run_before_the_answer_has_finished() -> None:
    travelled = travel(OpenAIChat(), [call('{"a": 1}'), call('{"a": 1}')])

    assert travelled.outcome == "IncompleteStreamError"
    assert travelled.response.tool_calls == []
