"""Results of calls that show an image or a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.turns import tool_result
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format

IMAGE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
OTHER = {"type": "image_url", "image_url": {"url": "https://x.example/b.png"}}
WORDS_ALONE = ("openai", "azure", "github-copilot")


def call(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def asked(*call_ids: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(map(call, call_ids))}


def sent(provider: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What stands behind the call."""
    row = PROVIDERS[provider]
    endpoint = Endpoint(provider, row.base_url or "https://a.openai.azure.com/openai/v1", "k")
    chat = ChatRequest("m", read_messages([{"role": "user", "content": "Hi"}, *messages]))
    body = json.loads(wire_format(row).request(chat, endpoint).body)
    found: list[dict[str, Any]] = body["messages"][2:]
    return found


def of(call_id: str) -> dict[str, Any]:
    return {"type": "text", "text": f"The result of the call {call_id}:"}


@pytest.mark.parametrize("provider", WORDS_ALONE)
def test_what_a_result_shows_stands_behind_it(provider: str) -> None:
    result = tool_result("c", [{"type": "text", "text": "See."}, IMAGE])

    assert sent(provider, asked("c"), result) == [
        {"role": "tool", "tool_call_id": "c", "content": "See."},
        {"role": "user", "content": [of("c"), IMAGE]},
    ]


def test_it_stands_behind_all_results_of_the_turn() -> None:
    results = [tool_result("c", [IMAGE]), tool_result("d", "4"), tool_result("e", [OTHER])]

    assert sent("openai", asked("c", "d", "e"), *results, {"role": "user", "content": "So?"}) == [
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "tool", "tool_call_id": "d", "content": "4"},
        {"role": "tool", "tool_call_id": "e", "content": ""},
        {"role": "user", "content": [of("c"), IMAGE, of("e"), OTHER]},
        {"role": "user", "content": "So?"},
    ]


def test_words_with_marks_of_their_own_stay_in_the_result() -> None:
    marked = {"type": "text", "text": "4", "cache_control": {"type": "ephemeral"}}

    assert sent("openai", asked("c"), tool_result("c", [marked])) == [
        {"role": "tool", "tool_call_id": "c", "content": [marked]}
    ]


@pytest.mark.parametrize("provider", ["mistral", "openrouter", "vllm"])
def test_others_get_it_in_the_result(provider: str) -> None:
    assert sent(provider, asked("callcallc"), tool_result("callcallc", [IMAGE])) == [
        {"role": "tool", "tool_call_id": "callcallc", "content": [IMAGE]}
    ]
