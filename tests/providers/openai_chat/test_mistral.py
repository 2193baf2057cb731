from __future__ import annotations

import json
from typing import Any

from steer_llm_sdk.errors import InvalidRequestError
from steer_llm_sdk.models.fragments import Finish, Reasoning, ToolCallPiece, Usage
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, ToolChoice
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_chat.mistral import Mistral
from steer_llm_sdk.wire.frame import Frame
from support.part_fragments import without_parts


def chunk(delta: dict[str, Any], **more: Any) -> Frame:
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish_reason", None)}
    return Frame(json.dumps({"id": "r", "model": "m", "choices": [choice], **more}).encode())


def test_the_request_speaks_mistrals_words() -> None:
    chat = ChatRequest(
        "mistral-small-latest",
        read_messages([{"role": "developer", "content": "Be brief."}]),
        max_tokens=5,
        seed=7,
        tool_choice=ToolChoice("required"),
    )

    request = Mistral().request(chat, Endpoint("mistral", "https://api.mistral.ai/v1", "k"))

    assert request.url == "https://api.mistral.ai/v1/chat/completions"
    assert json.loads(request.body) == {
        "model": "mistral-small-latest",
        "messages": [{"role": "system", "content": "Be brief."}],
        "stream": True,
        "max_tokens": 5,
        "random_seed": 7,
        "tool_choice": "any",
    }


def test_there_is_no_usage_option_to_take_back() -> None:
    chat = ChatRequest("m", read_messages("Hi"))
    error = InvalidRequestError("stream_options: extra_forbidden", status=422)

    assert Mistral().without_usage_option(chat, error) is None


def test_thinking_is_reasoning() -> None:
    decoder = Mistral().decoder("mistral")
    decoder.decode(chunk({"role": "assistant", "content": ""}))

    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True}
    found = [
        *decoder.decode(chunk({"content": [thinking]})),
        *decoder.decode(chunk({"content": [{"type": "text", "text": "4"}]})),
        *decoder.decode(chunk({"content": "."}, finish_reason="stop")),
    ]

    assert without_parts(found) == [Reasoning("Hm"), "4", ".", Finish("stop", "stop")]


def test_whole_calls_without_an_index_come_with_the_finish_and_the_usage() -> None:
    decoder = Mistral().decoder("mistral")
    decoder.decode(chunk({"role": "assistant", "content": ""}))
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "function": {"name": "f", "arguments": "{}"}},
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}

    found = decoder.decode(chunk({"tool_calls": calls}, finish_reason="tool_calls", usage=usage))

    assert found == [
        ToolCallPiece(0, "a", "f", "{}"),
        ToolCallPiece(1, "b", "f", "{}"),
        Finish("tool_calls", "tool_calls"),
        Usage(usage, usage),
    ]
