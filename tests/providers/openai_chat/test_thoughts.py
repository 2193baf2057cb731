"""Thoughts in the place of words, as Gemini's copy of chat completions streams them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.testing.formats.base import sse
from support.pure_road import travel

WIRE = OpenAIChat()
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def thought(words: Any, **beside: Any) -> dict[str, Any]:
    return {"content": words, "extra_content": {"google": {"thought": True, **beside}}}


def answer(*deltas: dict[str, Any]) -> StreamingResponse:
    """What comes of these deltas, behind one that says who answers."""
    choices = [{"index": 0, "delta": delta} for delta in ({"role": "assistant"}, *deltas)]
    chunks = [{"id": "r", "model": "m", "choices": [choice]} for choice in choices]
    return travel(WIRE, [*(sse(chunk) for chunk in chunks), b"data: [DONE]\n\n"]).response


def test_what_is_marked_as_a_thought_is_reasoning() -> None:
    response = answer(
        thought("<thought>I "),
        thought("count."),
        {"content": "</thought>It is "},
        {"content": "4."},
    )

    assert response.reasoning == "I count."
    assert response.text == "It is 4."


@pytest.mark.parametrize(
    ("deltas", "reasoning", "text"),
    [
        ([thought("<thought>Hm</thought>4")], "Hm", "4"),
        ([thought("<thought>Hm</thought>"), {"content": "4"}], "Hm", "4"),
        ([thought("<thought>Hm"), {"content": ""}, {"content": "</thought>4"}], "Hm", "4"),
        ([thought("Hm"), {"content": "</thought>"}, {"content": "4"}], "Hm", "4"),
        ([thought("Hm"), {"content": [{"type": "text", "text": "</thought>4"}]}], "Hm", "4"),
        ([thought("<thought>"), thought("Hm"), {"content": "</thought>4"}], "Hm", "4"),
        ([thought(""), {"content": "4"}], "", "4"),
        ([thought([{"type": "thinking", "thinking": "Hm"}]), {"content": "4"}], "Hm", "4"),
        ([thought("Hm"), {"content": [{"type": "thinking", "thinking": "."}]}], "Hm.", ""),
    ],
)
def test_the_tags_around_it_are_no_part_of_it(
    deltas: list[dict[str, Any]], reasoning: str, text: str
) -> None:
    response = answer(*deltas)

    assert (response.reasoning, response.text) == (reasoning, text)


def test_tags_that_nothing_marks_stay_as_they_are() -> None:
    assert answer({"content": "<thought>Hm</thought>4"}).text == "<thought>Hm</thought>4"
    assert answer({"content": "4"}, {"content": "</thought>"}).text == "4</thought>"


def test_a_call_behind_thoughts_is_read() -> None:
    response = answer(thought("<thought>Hm"), {"tool_calls": [CALL]}, {"content": "</thought>4"})

    assert [call["name"] for call in response.tool_calls] == ["f"]
    assert response.text == "4"


def test_thoughts_are_not_sent_back() -> None:
    message = answer(thought("<thought>Hm"), {"content": "</thought>4"}).to_message()
    messages = read_messages([{"role": "user", "content": "Hi"}, message])
    request = WIRE.request(ChatRequest("m", messages), Endpoint("x", "http://127.0.0.1"))

    assert json.loads(request.body)["messages"][1] == {"role": "assistant", "content": "4"}
