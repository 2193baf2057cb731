"""One conversation, asked by every official SDK and by us: in what the two requests differ.

Each SDK is given its own words, as its documentation has them. What may differ is named here, with
its reason; every other difference is printed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from typing import Any

import anthropic
import cohere
import ollama
import openai
import pytest
from google.genai import types

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.testing import LoopbackServer
from support.differences import differences
from support.every_format import FORMATS, settings_at
from support.oracles import MODEL, bedrock_client, google_client

PNG = b"\x89PNG\r\n\x1a\n"
KIND = "image/png"
BASE64 = "iVBORw0KGgo="
DATA_URL = f"data:{KIND};base64,{BASE64}"
SCHEMA = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
}
TOOL = {"name": "look_up", "description": "Looks a place up."}
OURS: Mapping[str, Any] = {
    "system": "Be brief.",
    "temperature": 0.5,
    "max_tokens": 300,
    "top_p": 0.9,
    "tools": [TOOL | {"parameters": SCHEMA}],
}
MESSAGES: list[Any] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "data": PNG, "media_type": KIND},
        ],
    },
    {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [
            {"id": "t0", "function": {"name": "look_up", "arguments": '{"place":"Bonn"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "t0", "content": "A city."},
    {"role": "user", "content": "And now?"},
]
# The same in the words of chat completions.
_CALL = {"name": "look_up", "arguments": '{"place":"Bonn"}'}
_IMAGE = {"type": "image_url", "image_url": {"url": DATA_URL}}
CHAT_MESSAGES: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What is this?"}, _IMAGE]},
    {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [{"id": "t0", "type": "function", "function": _CALL}],
    },
    {"role": "tool", "tool_call_id": "t0", "content": "A city."},
    {"role": "user", "content": "And now?"},
]
# What not every format has.
MORE: dict[str, Any] = {"stop": ["END"], "tool_choice": "required"}
LACKING: Mapping[str, frozenset[str]] = {
    "openai-responses": frozenset({"stop"}),
    "ollama": frozenset({"tool_choice"}),
}

Ask = Callable[[LoopbackServer], Awaitable[Any]]


async def ask_openai(server: LoopbackServer) -> None:
    tools: Any = [{"type": "function", "function": TOOL | {"parameters": SCHEMA}}]
    async with openai.AsyncOpenAI(api_key="key", base_url=server.base_url("openai")) as client:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=CHAT_MESSAGES,
            temperature=0.5,
            max_tokens=300,
            top_p=0.9,
            stop=["END"],
            tools=tools,
            tool_choice="required",
            stream=True,
            stream_options={"include_usage": True},
        )
        _ = [chunk async for chunk in stream]


async def ask_responses(server: LoopbackServer) -> None:
    question = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": DATA_URL, "detail": "auto"},
    ]
    call = {"name": "look_up", "arguments": '{"place":"Bonn"}', "call_id": "t0"}
    given: list[Any] = [
        {"type": "message", "role": "user", "content": question},
        {"type": "message", "role": "assistant", "content": "Let me see."},
        {"type": "function_call", **call},
        {"type": "function_call_output", "call_id": "t0", "output": "A city."},
        {"type": "message", "role": "user", "content": "And now?"},
    ]
    tools: Any = [{"type": "function", **TOOL, "parameters": SCHEMA}]
    async with openai.AsyncOpenAI(api_key="key", base_url=server.base_url("openai")) as client:
        stream = await client.responses.create(
            model=MODEL,
            instructions="Be brief.",
            input=given,
            temperature=0.5,
            max_output_tokens=300,
            top_p=0.9,
            tools=tools,
            tool_choice="required",
            stream=True,
        )
        _ = [event async for event in stream]


ANTHROPICS: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 300,
    "system": "Be brief.",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": KIND, "data": BASE64},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "t0", "name": "look_up", "input": {"place": "Bonn"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t0", "content": "A city."},
                {"type": "text", "text": "And now?"},
            ],
        },
    ],
    # Its newest SDK has no arguments for these two, which most models still take.
    "extra_body": {"temperature": 0.5, "top_p": 0.9},
    "stop_sequences": ["END"],
    "tools": [TOOL | {"input_schema": SCHEMA}],
    "tool_choice": {"type": "any"},
}


async def ask_anthropic(server: LoopbackServer) -> None:
    base_url = server.base_url("anthropic")
    async with anthropic.AsyncAnthropic(api_key="key", base_url=base_url) as client:
        _ = [event async for event in await client.messages.create(stream=True, **ANTHROPICS)]


async def ask_bedrock_anthropic(server: LoopbackServer) -> None:
    async with anthropic.AsyncAnthropicBedrock(
        api_key="key", aws_region="us-east-1", base_url=server.url
    ) as client:
        _ = [event async for event in await client.messages.create(stream=True, **ANTHROPICS)]


def _ask_gemini(server: LoopbackServer) -> None:
    call = types.FunctionCall(id="t0", name="look_up", args={"place": "Bonn"})
    answer = types.FunctionResponse(id="t0", name="look_up", response={"result": "A city."})
    contents: list[Any] = [
        types.UserContent(
            [
                types.Part(text="What is this?"),
                types.Part.from_bytes(data=PNG, mime_type="image/png"),
            ]
        ),
        types.ModelContent([types.Part(text="Let me see."), types.Part(function_call=call)]),
        types.UserContent([types.Part(function_response=answer)]),
        types.UserContent("And now?"),
    ]
    declared = types.FunctionDeclaration(
        name=TOOL["name"], description=TOOL["description"], parameters_json_schema=SCHEMA
    )
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        max_output_tokens=300,
        top_p=0.9,
        stop_sequences=["END"],
        tools=[types.Tool(function_declarations=[declared])],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(
                mode=types.FunctionCallingConfigMode.ANY
            )
        ),
    )
    with google_client(server) as client:
        stream = client.models.generate_content_stream(
            model=MODEL, contents=contents, config=config
        )
        _ = list(stream)


def _ask_interactions(server: LoopbackServer) -> None:
    image = {"type": "image", "data": BASE64, "mime_type": KIND}
    given: list[Any] = [
        {"type": "user_input", "content": [{"type": "text", "text": "What is this?"}, image]},
        {"type": "model_output", "content": [{"type": "text", "text": "Let me see."}]},
        {"type": "function_call", "id": "t0", "name": "look_up", "arguments": {"place": "Bonn"}},
        {"type": "function_result", "call_id": "t0", "name": "look_up", "result": "A city."},
        {"type": "user_input", "content": [{"type": "text", "text": "And now?"}]},
    ]
    with google_client(server) as client:
        asked: Any = client.interactions.create(
            model=MODEL,
            input=given,
            stream=True,
            system_instruction="Be brief.",
            tools=[{"type": "function", **TOOL, "parameters": SCHEMA}],
            generation_config={
                "temperature": 0.5,
                "top_p": 0.9,
                "max_output_tokens": 300,
                "stop_sequences": ["END"],
                "tool_choice": "any",
            },
        )
        with asked as stream:
            _ = list(stream)


def _ask_cohere(server: LoopbackServer) -> None:
    asking: Any = cohere.ClientV2(api_key="key", base_url=server.url)
    with asking as client:
        stream = client.chat_stream(
            model=MODEL,
            messages=CHAT_MESSAGES,
            temperature=0.5,
            max_tokens=300,
            p=0.9,
            stop_sequences=["END"],
            tools=[{"type": "function", "function": TOOL | {"parameters": SCHEMA}}],
            tool_choice="REQUIRED",
        )
        _ = list(stream)


def _ask_bedrock(server: LoopbackServer) -> None:
    image = {"format": "png", "source": {"bytes": PNG}}
    use = {"toolUseId": "t0", "name": "look_up", "input": {"place": "Bonn"}}
    result = {"toolUseId": "t0", "content": [{"text": "A city."}]}
    asked: dict[str, Any] = {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "What is this?"}, {"image": image}]},
            {"role": "assistant", "content": [{"text": "Let me see."}, {"toolUse": use}]},
            {"role": "user", "content": [{"toolResult": result}, {"text": "And now?"}]},
        ],
        "inferenceConfig": {
            "temperature": 0.5,
            "maxTokens": 300,
            "topP": 0.9,
            "stopSequences": ["END"],
        },
        "toolConfig": {
            "tools": [{"toolSpec": TOOL | {"inputSchema": {"json": SCHEMA}}}],
            "toolChoice": {"any": {}},
        },
    }
    with (
        closing(bedrock_client(server)) as client,
        closing(client.converse_stream(modelId=MODEL, **asked)["stream"]) as stream,
    ):
        _ = list(stream)


async def ask_ollama(server: LoopbackServer) -> None:
    call = {"function": {"name": "look_up", "arguments": {"place": "Bonn"}}}
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this?", "images": [PNG]},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "content": "A city.", "tool_name": "look_up"},
        {"role": "user", "content": "And now?"},
    ]
    client = ollama.AsyncClient(host=server.url)
    try:
        stream = await client.chat(
            model=MODEL,
            messages=messages,
            tools=[{"type": "function", "function": TOOL | {"parameters": SCHEMA}}],
            options={"temperature": 0.5, "top_p": 0.9, "num_predict": 300, "stop": ["END"]},
            stream=True,
        )
        _ = [part async for part in stream]
    finally:
        await client._client.aclose()


def _in_thread(ask: Callable[[LoopbackServer], None]) -> Ask:
    async def ask_in_thread(server: LoopbackServer) -> None:
        await asyncio.to_thread(ask, server)

    return ask_in_thread


SDKS: Mapping[str, Ask] = {
    "openai": ask_openai,
    "openai-responses": ask_responses,
    "anthropic": ask_anthropic,
    "gemini": _in_thread(_ask_gemini),
    "ollama": ask_ollama,
    "cohere": _in_thread(_ask_cohere),
    "gemini-interactions": _in_thread(_ask_interactions),
    "bedrock": _in_thread(_ask_bedrock),
    "bedrock-anthropic": ask_bedrock_anthropic,
}

# What may differ, by how it is printed, and why it means nothing.
ALLOWED: Mapping[str, tuple[str, ...]] = {
    # The role of a system prompt is not read.
    "gemini": ("$.systemInstruction.role: ours nothing, theirs 'user'",),
    # The SDK has no place for the ids of calls, which newer servers give and take.
    "ollama": (
        "$.messages[2].tool_calls[0].id: ours 't0', theirs nothing",
        "$.messages[3].tool_call_id: ours 't0', theirs nothing",
    ),
    # The SDK names the version of its own release; the documented one is what we read.
    "bedrock-anthropic": ("$.anthropic_version: ours 'bedrock-2023-05-31', theirs ",),
}


def in_camels(value: Any) -> Any:
    """Google reads both spellings of a name, and its SDK sends both."""
    if isinstance(value, list):
        return [in_camels(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {_in_camels(name): in_camels(each) for name, each in value.items()}


def _in_camels(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


async def ask_ours(server: LoopbackServer, provider: str) -> None:
    lacking = LACKING.get(provider, frozenset())
    more = {name: value for name, value in MORE.items() if name not in lacking}
    async with SteerLLMClient(providers=settings_at(server)) as client:
        await client.generate(MESSAGES, MODEL, provider=provider, **OURS, **more)


@pytest.mark.parametrize("provider", FORMATS)
async def test_both_ask_for_the_same(provider: str) -> None:
    async with LoopbackServer() as server:
        await SDKS[provider](server)
        await ask_ours(server, provider)

    theirs, ours = server.requests
    spelled = in_camels(theirs.json) if provider == "gemini" else theirs.json
    found = differences(ours.json, spelled)
    print("\n".join([f"{provider}:", *found]))
    assert [line for line in found if not line.startswith(ALLOWED.get(provider, ()))] == []
    assert ours.query == theirs.query
