"""How each wire format says whether several calls may be made in one answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, RawTool, Tool, ToolChoice
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.registry import provider_row, wire_format

FLAG = "disable_parallel_tool_use"


def body(provider: str, parallel: bool | None, **said: Any) -> dict[str, Any]:
    said.setdefault("tools", (Tool("get_weather"),))
    chat = ChatRequest("m", read_messages("Hi"), parallel_tool_calls=parallel, **said)
    endpoint = Endpoint(provider, "https://example.test/v1", "key")
    found: dict[str, Any] = json.loads(
        wire_format(provider_row(provider)).request(chat, endpoint).body
    )
    return found


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "mistral", "groq"])
@pytest.mark.parametrize("parallel", [True, False])
def test_openai_and_those_like_it_have_a_field_for_it(provider: str, parallel: bool) -> None:
    assert body(provider, parallel)["parallel_tool_calls"] is parallel
    assert "parallel_tool_calls" not in body(provider, None)
    assert "parallel_tool_calls" not in body(provider, parallel, tools=())


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"type": "auto", FLAG: True}),
        (ToolChoice("auto"), {"type": "auto", FLAG: True}),
        (ToolChoice("required"), {"type": "any", FLAG: True}),
        (ToolChoice("tool", "get_weather"), {"type": "tool", "name": "get_weather", FLAG: True}),
        (ToolChoice("none"), {"type": "none"}),
        (RawTool({"type": "auto"}), {"type": "auto"}),
    ],
)
def test_anthropic_says_it_in_the_choice_of_a_tool(choice: object, expected: object) -> None:
    assert body("anthropic", False, tool_choice=choice)["tool_choice"] == expected


def test_anthropic_says_nothing_where_there_is_nothing_to_forbid() -> None:
    assert "tool_choice" not in body("anthropic", True)
    assert "tool_choice" not in body("anthropic", False, tools=())
    assert body("anthropic", True, tool_choice=ToolChoice("auto"))["tool_choice"] == {
        "type": "auto"
    }


@pytest.mark.parametrize("provider", ["gemini", "ollama"])
def test_where_it_cannot_be_forbidden_that_is_refused(provider: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{provider}: parallel_tool_calls=False"):
        body(provider, False)

    assert body(provider, True) == body(provider, None)
