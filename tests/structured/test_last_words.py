"""The JSON that was asked for is the text of the final answer, whatever was said before it."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.errors import InvalidJSONError, RefusalError, TruncatedJSONError
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    Part,
    ProviderPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.models.responses import StreamingResponse, set_parts
from steer_llm_sdk.structured import StructuredOutput, read_response_format

SEARCH = ProviderPart({"type": "web_search_call"})
VALUE = {"a": 1}


def item(number: int, text: str) -> TextPart:
    return TextPart(text, provider_data={"wire": "openai-responses", "item": number})


def checked(*parts: Part, **fields: Any) -> StreamingResponse:
    said = "".join(part.text for part in parts if isinstance(part, TextPart))
    response = StreamingResponse(text=said, **{"finish_reason": "stop"} | fields)
    set_parts(response, parts)
    StructuredOutput(read_response_format({"type": "json_object"})).finish(response)
    response.is_finished = True
    return response


@pytest.mark.parametrize(
    "parts",
    [
        [TextPart('{"a"'), TextPart(": 1}")],
        [CommentaryPart("I look."), TextPart('{"a": 1}')],
        [ReasoningPart("Hm"), CommentaryPart("I look."), SEARCH, TextPart('{"a": 1}')],
        [TextPart("I look."), SEARCH, TextPart('{"a"'), TextPart(": 1}")],
        [TextPart("I look."), ReasoningPart("Hm"), TextPart('{"a": 1}'), SEARCH],
        [TextPart("I look."), ToolCallPart("c", "f", "{}", True), TextPart('{"a": 1}')],
        [item(0, "I look."), item(1, '{"a": 1}')],
        [item(0, "I look."), item(1, '{"a"'), item(1, ": 1}")],
        [item(0, '{"a"'), item(1, ": 1}")],
    ],
)
def test_the_value_is_that_of_the_final_answer(parts: list[Part]) -> None:
    assert checked(*parts).get_json() == VALUE


def test_the_text_stays_as_it_came() -> None:
    assert checked(TextPart("I look."), SEARCH, TextPart('{"a": 1}')).text == 'I look.{"a": 1}'


@pytest.mark.parametrize(
    "parts",
    [[TextPart("no")], [TextPart("I look."), SEARCH, TextPart("no")], [item(0, "no"), SEARCH]],
)
def test_an_answer_that_is_none_says_so_of_the_whole_text(parts: list[Part]) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        checked(*parts)

    assert caught.value.text == "".join(p.text for p in parts if isinstance(p, TextPart))


def test_a_cut_or_refused_answer_stays_one() -> None:
    with pytest.raises(TruncatedJSONError):
        checked(TextPart("I look."), SEARCH, TextPart('{"a'), finish_reason="length")
    with pytest.raises(RefusalError):
        checked(TextPart("I look."), SEARCH, TextPart("{}"), finish_reason="refusal")
