"""How interactions are asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputImage, read_messages
from steer_llm_sdk.models.requests import (
    ChatRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
    read_tool_choice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.interactions.request import build_request
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedToolCall

ENDPOINT = Endpoint("gemini-interactions", "https://g.example/", "k")
SCHEMA = {"type": "object"}


def body_of(messages: object = "Hi", **fields: Any) -> dict[str, Any]:
    chat = replace(ChatRequest("gemini-3-flash", read_messages(messages)), **fields)
    body: dict[str, Any] = json.loads(build_request(chat, ENDPOINT).body)
    return body


def test_a_question_is_a_step_of_the_user() -> None:
    request = build_request(ChatRequest("m", read_messages("Hi")), ENDPOINT)

    assert request.url == "https://g.example/v1beta/interactions"
    assert request.headers["x-goog-api-key"] == "k"
    assert json.loads(request.body) == {
        "model": "m",
        "input": [{"type": "user_input", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
    }
    keyless = build_request(ChatRequest("m", ()), replace(ENDPOINT, api_key=None))
    assert "x-goog-api-key" not in keyless.headers


def test_a_conversation_is_a_list_of_steps() -> None:
    thought = {"type": "thought", "signature": "c2ln"}
    call = {"type": "tool_use", "id": "c1", "name": "find", "input": {"a": 1}}
    body = body_of(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": ["What is this?", InputImage(data="aGk=")]},
            {"role": "assistant", "content": [thought, "Let me see.", call, "So."]},
            {"role": "tool", "tool_call_id": "c1", "name": "find", "content": "found"},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c2",
                        "is_error": True,
                        "content": [{"type": "image", "source": {"url": "https://x"}}],
                    }
                ],
            },
        ]
    )

    assert body["system_instruction"] == "Be brief."
    assert body["input"] == [
        {
            "type": "user_input",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "data": "aGk=", "mime_type": "image/png"},
            ],
        },
        thought,
        {"type": "model_output", "content": [{"type": "text", "text": "Let me see."}]},
        {"type": "function_call", "id": "c1", "name": "find", "arguments": {"a": 1}},
        {"type": "model_output", "content": [{"type": "text", "text": "So."}]},
        {"type": "function_result", "call_id": "c1", "name": "find", "result": "found"},
        {
            "type": "function_result",
            "call_id": "c2",
            "result": [{"type": "image", "uri": "https://x"}],
            "is_error": True,
        },
    ]


def test_how_to_generate_is_an_object_that_the_caller_may_add_to() -> None:
    body = body_of(
        temperature=0.5,
        top_p=0.9,
        max_tokens=9,
        stop=("END",),
        seed=7,
        reasoning="low",
        extra_body={"generation_config": {"image_config": {}}, "store": False},
    )

    assert body["store"] is False
    assert body["generation_config"] == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 9,
        "stop_sequences": ["END"],
        "seed": 7,
        "thinking_level": "low",
        "thinking_summaries": "auto",
        "image_config": {},
    }


@pytest.mark.parametrize("wanted", ["none", 500])
def test_what_it_has_no_word_for_is_refused(wanted: str | int) -> None:
    with pytest.raises(ConfigurationError, match=f"reasoning={wanted!r}"):
        body_of(reasoning=wanted)
    with pytest.raises(ConfigurationError, match="parallel_tool_calls=False"):
        body_of(parallel_tool_calls=False)


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("required", "any"),
        ("none", "none"),
        ("auto", "auto"),
        (ToolChoice("tool", "f"), {"allowed_tools": {"mode": "any", "tools": ["f"]}}),
        (RawTool({"odd": 1}), {"odd": 1}),
    ],
)
def test_tools_and_the_choice_of_one(choice: Any, written: object) -> None:
    tools = (Tool("f", "Finds.", SCHEMA), RawTool({"type": "google_search"}))
    body = body_of(tools=tools, tool_choice=read_tool_choice(choice))

    assert body["tools"] == [
        {"type": "function", "name": "f", "description": "Finds.", "parameters": SCHEMA},
        {"type": "google_search"},
    ]
    assert body["generation_config"]["tool_choice"] == written


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (JSONFormat(), {"type": "text", "mime_type": "application/json"}),
        (JSONFormat(SCHEMA), {"type": "text", "mime_type": "application/json", "schema": SCHEMA}),
        (RawTool({"type": "audio"}), {"type": "audio"}),
    ],
)
def test_json_is_a_format_of_text(wanted: Any, written: object) -> None:
    assert body_of(response_format=wanted)["response_format"] == written


async def test_an_interaction_comes_through_the_client() -> None:
    script = Script(
        ["Grüße"], reasoning=["Hm"], tool_calls=[ScriptedToolCall("find", ['{"a":', "1}"], "c1")]
    )
    async with LoopbackServer(script) as server:
        settings = ProviderSettings(base_url=server.base_url("gemini-interactions"), api_key="k")
        async with SteerLLMClient(providers={"gemini": settings}) as client:
            response = await client.generate("Hi", "gemini-interactions:gemini-3-flash")

    assert (response.get_text(), response.reasoning) == ("Grüße", "Hm")
    assert response.tool_calls == [{"id": "c1", "name": "find", "arguments": '{"a":1}'}]
    assert response.usage is not None
    assert response.usage["total_tokens"] == 19
    assert server.requests[0].headers["x-goog-api-key"] == "k"


def test_schemas_are_written_as_gemini_takes_them() -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"const": "a"}, "word": {"type": "string", "maxLength": 3}},
    }
    written = {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["a"]},
            "word": {"type": "string", "description": "{maxLength: 3}"},
        },
    }

    body = body_of(tools=(Tool("f", None, schema),), response_format=JSONFormat(schema))
    of_type = body_of(response_format=JSONFormat(schema, is_of_type=True))

    assert body["tools"][0]["parameters"] == body["response_format"]["schema"] == written
    closed = written | {"additionalProperties": False}
    assert of_type["response_format"]["schema"] == closed


def test_the_answer_to_a_call_names_the_function_that_was_called() -> None:
    body = body_of(
        [
            {"role": "user", "content": "?"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c1", "function": {"name": "find", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "found"},
            {"role": "tool", "tool_call_id": "c2", "content": "of another turn"},
        ]
    )

    assert body["input"][-2]["name"] == "find"
    assert "name" not in body["input"][-1]
