"""How Cohere's requests are spelled, and what the official SDK sends and reads for the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cohere
import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import (
    ChatRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
    read_tool_choice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.cohere.request import build_request
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedToolCall

ENDPOINT = Endpoint("cohere", "https://api.cohere.com/", "k")
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}}
TOOLS = (Tool("look_up", "Looks up.", SCHEMA), Tool("other"))


def body_of(messages: object = "Hi", **fields: Any) -> dict[str, Any]:
    chat = replace(ChatRequest("command-a-03-2025", read_messages(messages)), **fields)
    body: dict[str, Any] = json.loads(build_request(chat, ENDPOINT).body)
    return body


def test_a_question_goes_to_the_chat_as_a_bearer() -> None:
    request = build_request(ChatRequest("m", read_messages("Hi")), ENDPOINT)

    assert request.url == "https://api.cohere.com/v2/chat"
    assert request.headers["authorization"] == "Bearer k"
    assert json.loads(request.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_all_settings_are_spelled() -> None:
    body = body_of(
        temperature=0.5, max_tokens=9, top_p=0.9, stop=("END",), seed=7, system="Be brief."
    )

    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [body[key] for key in ("temperature", "max_tokens", "p", "stop_sequences", "seed")] == [
        0.5,
        9,
        0.9,
        ["END"],
        7,
    ]


def test_a_conversation_with_calls_is_spelled() -> None:
    call = {"id": "t1", "function": {"name": "look_up", "arguments": ""}, "more": 1}
    body = body_of(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]},
            {"role": "assistant", "tool_calls": [call], "tool_plan": "I will look."},
            {"role": "tool", "tool_call_id": "t1", "content": "found"},
            {"role": "user", "content": ["a", {"type": "document", "document": {"data": "d"}}]},
        ]
    )

    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]},
        {
            "role": "assistant",
            "tool_plan": "I will look.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "look_up", "arguments": "{}"},
                    "more": 1,
                }
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "found"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "document", "document": {"data": "d"}},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("choice", "word", "names"),
    [
        (None, None, ["look_up", "other"]),
        ("auto", None, ["look_up", "other"]),
        ("none", "NONE", ["look_up", "other"]),
        ("required", "REQUIRED", ["look_up", "other"]),
        (ToolChoice("tool", "other"), "REQUIRED", ["other"]),
        (RawTool({"odd": 1}), {"odd": 1}, ["look_up", "other"]),
    ],
)
def test_a_tool_is_chosen_by_a_word_or_by_being_the_only_one(
    choice: Any, word: object, names: list[str]
) -> None:
    body = body_of(tools=TOOLS, tool_choice=read_tool_choice(choice))

    assert body.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in body["tools"]] == names


def test_tools_are_strict_together_and_others_pass() -> None:
    body = body_of(tools=(replace(TOOLS[0], strict=True), RawTool({"type": "odd"})))

    assert body["strict_tools"] is True
    assert body["tools"][1] == {"type": "odd"}


@pytest.mark.parametrize("strict", [True, None])
def test_the_schema_of_a_strict_tool_is_one_that_can_be_followed(strict: bool | None) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    tool = Tool("f", None, schema, strict=strict)

    (told,) = body_of(tools=(tool,))["tools"]

    assert ("minimum" in told["function"]["parameters"]["properties"]["n"]) == (strict is None)


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (JSONFormat(), {"type": "json_object"}),
        (JSONFormat(SCHEMA), {"type": "json_object", "json_schema": SCHEMA}),
        (RawTool({"type": "text"}), {"type": "text"}),
    ],
)
def test_json_is_asked_for_with_a_schema_or_without(wanted: Any, written: object) -> None:
    assert body_of(response_format=wanted)["response_format"] == written


@pytest.mark.parametrize(
    ("wanted", "thinking"),
    [
        ("none", {"type": "disabled"}),
        ("low", {"type": "enabled", "token_budget": 2048}),
        (500, {"type": "enabled", "token_budget": 500}),
    ],
)
def test_how_much_to_think_is_a_budget(wanted: str | int, thinking: object) -> None:
    assert body_of(reasoning=wanted)["thinking"] == thinking


def test_the_callers_fields_come_last() -> None:
    body = body_of(reasoning=500, extra_body={"thinking": {"token_budget": 9}, "k": 3})

    assert body["thinking"] == {"type": "enabled", "token_budget": 9}
    assert body["k"] == 3


def test_calls_cannot_be_asked_for_one_at_a_time() -> None:
    with pytest.raises(ConfigurationError, match="parallel_tool_calls=False"):
        body_of(parallel_tool_calls=False)


# --- beside the official SDK ----------------------------------------------------------------------

SCRIPT = Script(
    ["Grüße, ", "🌍"],
    reasoning=["Hm"],
    tool_calls=[ScriptedToolCall("look_up", ['{"place":', '"Köln"}'], "t1")],
)


def by_cohere(url: str) -> Mapping[str, Any]:
    client: Any = cohere.ClientV2(api_key="k", base_url=url)
    said: dict[str, Any] = {"text": "", "reasoning": "", "arguments": ""}
    tools = [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Looks up.", "parameters": SCHEMA},
        }
    ]
    stream = client.chat_stream(
        model="command-a-03-2025",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        temperature=0.5,
        max_tokens=300,
        p=0.9,
        stop_sequences=["END"],
        tools=tools,
        tool_choice="REQUIRED",
    )
    for event in stream:
        message: Any = getattr(getattr(event, "delta", None), "message", None)
        if event.type == "content-delta":
            said["text"] += message.content.text or ""
            said["reasoning"] += message.content.thinking or ""
        elif event.type == "tool-call-delta":
            said["arguments"] += message.tool_calls.function.arguments
        elif event.type == "message-end":
            said["finish"] = event.delta.finish_reason
    return said


async def test_it_is_asked_and_read_as_coheres_sdk_does_it() -> None:
    async with LoopbackServer(SCRIPT) as server:
        said = await asyncio.to_thread(by_cohere, server.url)
        settings = {"cohere": ProviderSettings(base_url=server.base_url("cohere"), api_key="k")}
        async with SteerLLMClient(providers=settings) as client:
            response = await client.generate(
                "Hi",
                "cohere:command-a-03-2025",
                temperature=0.5,
                max_tokens=300,
                top_p=0.9,
                stop=["END"],
                system="Be brief.",
                tools=[{"name": "look_up", "description": "Looks up.", "parameters": SCHEMA}],
                tool_choice="required",
            )

    theirs, ours = server.requests
    assert response.get_text() == said["text"] == "Grüße, 🌍"
    assert response.reasoning == said["reasoning"] == "Hm"
    assert response.tool_calls[0]["arguments"] == said["arguments"]
    assert response.metadata["provider_finish_reason"] == said["finish"] == "TOOL_CALL"
    assert ours.path == theirs.path
    assert ours.json == theirs.json
    assert ours.headers["authorization"] == theirs.headers["authorization"]
