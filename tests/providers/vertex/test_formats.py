"""Gemini and Claude on Vertex AI: their addresses, beside what the official SDKs send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from anthropic import AnthropicVertex
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import NotFoundError, OverloadedError, PermissionDeniedError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer
from steer_llm_sdk.providers.vertex.formats import VertexAnthropic, VertexGemini
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedToolCall

BASE = "https://aiplatform.googleapis.com/v1/projects/p/locations/global"
SCRIPT = Script(
    ["Grüße, ", "🌍"],
    reasoning=["Hm"],
    tool_calls=[ScriptedToolCall("look_up", {"place": "Köln"}, "t1")],
)
TOOLS = [
    {
        "name": "look_up",
        "description": "Looks a place up.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    }
]


def chat(model: str) -> ChatRequest:
    return ChatRequest(model, read_messages("Hi"))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/publishers/google/models/gemini-2.5-flash"),
        ("publishers/meta/models/llama-4", "/publishers/meta/models/llama-4"),
        ("endpoints/123", "/endpoints/123"),
    ],
)
def test_a_model_has_its_address(model: str, path: str) -> None:
    request = VertexGemini().request(chat(model), Endpoint("vertex", BASE))

    assert request.url == f"{BASE}{path}:streamGenerateContent?alt=sse"


def test_a_whole_path_stands_for_itself() -> None:
    model = "projects/other/locations/eu/endpoints/9"
    request = VertexGemini().request(chat(model), Endpoint("vertex", BASE))

    assert request.url.startswith(f"https://aiplatform.googleapis.com/v1/{model}:stream")


def test_calls_and_their_answers_have_no_identifiers() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = read_messages(
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Wait.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "4"},
        ]
    )
    request = VertexGemini().request(ChatRequest("gemini-3-pro", messages), Endpoint("v", BASE))

    _, asked, answered = (turn["parts"] for turn in json.loads(request.body)["contents"])
    assert asked == [{"text": "Wait."}, {"functionCall": {"name": "f", "args": {}}}]
    assert answered == [{"functionResponse": {"name": "f", "response": {"result": "4"}}}]


def test_turns_that_the_caller_spells_are_sent_as_they_are() -> None:
    given = [{"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f"}}]}]
    asked = ChatRequest("gemini-3-pro", read_messages("Hi"), extra_body={"contents": given})

    assert json.loads(VertexGemini().request(asked, Endpoint("v", BASE)).body)["contents"] == given


def test_a_version_of_claude_stands_in_its_name() -> None:
    request = VertexAnthropic().request(
        chat("claude-sonnet-4-5@20250929"), Endpoint("vertex-anthropic", BASE)
    )

    assert request.url == (
        f"{BASE}/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    )
    body = json.loads(request.body)
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert body["stream"] is True
    assert "model" not in body


def test_a_key_of_the_express_mode_has_a_header_of_its_own() -> None:
    request = VertexGemini().request(chat("m"), Endpoint("vertex", BASE, "AIza-k"))

    assert request.headers["x-goog-api-key"] == "AIza-k"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            403,
            b'{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}',
            PermissionDeniedError,
        ),
        (404, b'[{"error": {"code": 404, "message": "no", "status": "NOT_FOUND"}}]', NotFoundError),
        (
            529,
            b'{"type": "error", "error": {"type": "overloaded_error", "message": "later"}}',
            OverloadedError,
        ),
    ],
)
def test_errors_are_googles_or_anthropics(status: int, body: bytes, kind: type[Exception]) -> None:
    answer = ErrorAnswer("vertex-anthropic", status, {}, body)

    assert type(VertexAnthropic().read_error(answer)) is kind


# --- beside the official SDKs ---------------------------------------------------------------------


def by_google(url: str) -> Mapping[str, Any]:
    client = genai.Client(
        vertexai=True,
        api_key=None,
        http_options=types.HttpOptions(base_url=f"{url}/v1beta1/projects/p/locations/l"),
        credentials=Credentials("the-token"),  # type: ignore[no-untyped-call]
        project="p",
        location="l",
    )
    tool = types.Tool(function_declarations=[_declared(TOOLS[0])])
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", temperature=0.5, max_output_tokens=300, tools=[tool]
    )
    said: dict[str, Any] = {"text": "", "calls": []}
    stream = client.models.generate_content_stream(
        model="gemini-2.5-flash", contents="Hi", config=config
    )
    for chunk in stream:
        for part in chunk.parts or ():
            said["text"] += part.text if part.text and not part.thought else ""
            if part.function_call:
                said["calls"].append((part.function_call.name, part.function_call.args))
    client.close()
    return said


def _declared(tool: Mapping[str, Any]) -> types.FunctionDeclaration:
    return types.FunctionDeclaration(
        name=tool["name"],
        description=tool["description"],
        parameters_json_schema=tool["parameters"],
    )


async def test_gemini_is_asked_and_read_as_googles_sdk_does_it() -> None:
    async with LoopbackServer(SCRIPT) as server:
        base_url = f"{server.url}/v1beta1/projects/p/locations/l"
        settings = {"vertex": ProviderSettings(base_url=base_url, api_key="the-token")}
        said = await asyncio.to_thread(by_google, server.url)
        async with SteerLLMClient(providers=settings) as client:
            response = await client.generate(
                "Hi",
                "vertex:gemini-2.5-flash",
                temperature=0.5,
                max_tokens=300,
                system="Be brief.",
                tools=TOOLS,
            )

    theirs, ours = server.requests
    assert response.get_text() == said["text"] == "Grüße, 🌍"
    calls = [(call["name"], json.loads(call["arguments"])) for call in response.tool_calls]
    assert calls == said["calls"]
    place = "/v1beta1/projects/p/locations/l"
    path = "/publishers/google/models/gemini-2.5-flash:streamGenerateContent"
    assert ours.path == f"{place}{path}"
    assert theirs.path.endswith(path)
    assert ours.query == theirs.query == "alt=sse"
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    # The role of the system prompt means nothing; Google reads names with underscores, too.
    theirs.json["systemInstruction"].pop("role")
    (declared,) = theirs.json["tools"][0]["functionDeclarations"]
    declared["parametersJsonSchema"] = declared.pop("parameters_json_schema")
    assert ours.json == theirs.json


def by_anthropic(url: str) -> Mapping[str, Any]:
    client = AnthropicVertex(
        base_url=f"{url}/v1", region="l", project_id="p", access_token="the-token"
    )
    with client.messages.stream(
        model="claude-opus-5",
        max_tokens=300,
        system="Be brief.",
        messages=[{"role": "user", "content": "Hi"}],
    ) as stream:
        message = stream.get_final_message()
    client.close()
    words = [block.text for block in message.content if block.type == "text"]
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    return {"text": "".join(words), "calls": calls}


async def test_claude_is_asked_and_read_as_anthropics_sdk_does_it() -> None:
    async with LoopbackServer(SCRIPT) as server:
        base_url = f"{server.url}/v1/projects/p/locations/l"
        settings = {"vertex-anthropic": ProviderSettings(base_url=base_url, api_key="the-token")}
        said = await asyncio.to_thread(by_anthropic, server.url)
        async with SteerLLMClient(providers=settings) as client:
            response = await client.generate(
                "Hi",
                "vertex-anthropic:claude-opus-5",
                max_tokens=300,
                system="Be brief.",
            )

    theirs, ours = server.requests
    assert response.get_text() == said["text"] == "Grüße, 🌍"
    calls = [(call["name"], json.loads(call["arguments"])) for call in response.tool_calls]
    assert calls == said["calls"]
    assert ours.path == theirs.path
    # The SDK asks for the version of its own release; the documented one is what we read.
    version = {"anthropic_version": "vertex-2023-10-16"}
    assert ours.json == theirs.json | version
    assert ours.headers["authorization"] == theirs.headers["authorization"]
