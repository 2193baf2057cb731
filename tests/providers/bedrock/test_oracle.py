"""The same answer, read by botocore and by us; and the requests that both send for a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import EventStreamError

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import AuthenticationError, OverloadedError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    ErrorInStream,
    HTTPError,
    LoopbackServer,
    Script,
    ScriptedToolCall,
)

MODEL = "us.anthropic.claude-sonnet-4-5-v1:0"
PNG = "iVBORw0KGgo="
SCRIPT = Script(
    ["Grüße, ", "🌍"],
    reasoning=["Hm", "m."],
    tool_calls=[ScriptedToolCall("look_up", ['{"place":"', 'Köln"}'], "t1")],
    usage=(120, 9),
    cached_tokens=100,
)

TOOLS = [
    {
        "name": "look_up",
        "description": "Looks a place up.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    }
]
# What is asked, in our words and in botocore's.
OURS: Mapping[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "data": b"\x89PNG\r\n\x1a\n", "media_type": "image/png"},
            ],
        },
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "t0", "function": {"name": "look_up", "arguments": '{"place": "Bonn"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "t0", "content": "A city."},
    ],
    "temperature": 0.5,
    "max_tokens": 300,
    "stop": ["END"],
    "top_p": 0.9,
    "tools": TOOLS,
    "tool_choice": "required",
    "extra_body": {"additionalModelRequestFields": {"top_k": 5}},
}
THEIRS: Mapping[str, Any] = {
    "system": [{"text": "Be brief."}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "What is this?"},
                {"image": {"format": "png", "source": {"bytes": b"\x89PNG\r\n\x1a\n"}}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "t0", "name": "look_up", "input": {"place": "Bonn"}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "t0", "content": [{"text": "A city."}]}}],
        },
    ],
    "inferenceConfig": {
        "temperature": 0.5,
        "maxTokens": 300,
        "stopSequences": ["END"],
        "topP": 0.9,
    },
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "look_up",
                    "description": "Looks a place up.",
                    "inputSchema": {"json": TOOLS[0]["parameters"]},
                }
            }
        ],
        "toolChoice": {"any": {}},
    },
    "additionalModelRequestFields": {"top_k": 5},
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def by_botocore(url: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ask with botocore, and add up what it yields."""
    client = botocore.session.Session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        config=Config(retries={"max_attempts": 0}),
    )
    said: dict[str, Any] = {"text": "", "reasoning": "", "calls": [], "error": None}
    try:
        with closing(client.converse_stream(modelId=MODEL, **asked)["stream"]) as stream:
            for event in stream:
                _add(said, event)
    except EventStreamError as error:
        said["error"] = error.response["Error"]["Code"]
    finally:
        client.close()
    return said


def _add(said: dict[str, Any], event: Mapping[str, Any]) -> None:
    delta = event.get("contentBlockDelta", {}).get("delta", {})
    said["text"] += delta.get("text", "")
    said["reasoning"] += delta.get("reasoningContent", {}).get("text", "")
    if start := event.get("contentBlockStart", {}).get("start"):
        use = start["toolUse"]
        said["calls"].append({"id": use["toolUseId"], "name": use["name"], "arguments": ""})
    if "toolUse" in delta:
        said["calls"][-1]["arguments"] += delta["toolUse"]["input"]
    if "messageStop" in event:
        said["finish"] = event["messageStop"]["stopReason"]
    if "metadata" in event:
        said["usage"] = event["metadata"]["usage"]


def client_for(server: LoopbackServer, provider: str = "bedrock") -> SteerLLMClient:
    settings = {provider: ProviderSettings(base_url=server.base_url(provider))}
    return SteerLLMClient(providers=settings)


async def test_both_read_the_same_and_send_the_same() -> None:
    async with LoopbackServer(SCRIPT) as server, client_for(server) as client:
        said = await asyncio.to_thread(by_botocore, server.url, THEIRS)
        arguments = dict(OURS)
        response = await client.generate(arguments.pop("messages"), f"bedrock:{MODEL}", **arguments)

    theirs, ours = server.requests
    assert response.get_text() == said["text"] == "Grüße, 🌍"
    assert response.reasoning == said["reasoning"] == "Hmm."
    assert response.tool_calls == said["calls"]
    assert response.metadata["provider_finish_reason"] == said["finish"]
    assert response.metadata["provider_usage"] == said["usage"]
    assert ours.path == theirs.path
    assert ours.json == theirs.json
    assert json.loads(ours.body)["messages"][0]["content"][1]["image"]["source"]["bytes"] == PNG
    scope = "/us-east-1/bedrock/aws4_request"
    assert scope in ours.headers["authorization"]
    assert scope in theirs.headers["authorization"]


async def test_an_exception_inside_the_stream_is_the_same_error() -> None:
    broken = Script(["Hello"], faults=[ErrorInStream(1)])
    async with LoopbackServer(broken) as server, client_for(server) as client:
        said = await asyncio.to_thread(by_botocore, server.url, {"messages": THEIRS["messages"]})
        with pytest.raises(OverloadedError) as caught:
            await client.generate("Hi", f"bedrock:{MODEL}")

    assert caught.value.code is not None
    assert said["error"] == caught.value.code[0].lower() + caught.value.code[1:]
    assert caught.value.partial_response is not None
    assert caught.value.partial_response.get_text() == said["text"] == "Hello"


EXPIRED = HTTPError(403, body=b'{"__type": "ExpiredTokenException", "message": "expired"}')


async def test_keys_that_were_refused_are_looked_for_once_more(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(name: str) -> None:
        file.write_text(f"[default]\naws_access_key_id={name}\naws_secret_access_key=s\n")

    async def answer(request: Any) -> Any:
        write("AKNEW")
        return [EXPIRED] if "AKOLD" in request.headers["authorization"] else SCRIPT

    write("AKOLD")
    async with LoopbackServer(answer) as server, client_for(server) as client:
        response = await client.generate("Hi", f"bedrock:{MODEL}")

    assert response.ok
    assert [r.headers["authorization"].split("=")[1][:5] for r in server.requests] == [
        "AKOLD",
        "AKNEW",
    ]


async def test_keys_of_the_environment_that_are_refused_are_not_tried_again() -> None:
    async with LoopbackServer(EXPIRED) as server, client_for(server) as client:
        with pytest.raises(AuthenticationError, match="expired"):
            await client.generate("Hi", f"bedrock:{MODEL}")

    assert len(server.requests) == 1


async def test_a_fallback_to_bedrock_is_checked_before_and_signed_when_it_is_asked() -> None:
    options = StreamingOptions(max_retries=0, fallback_models=[f"bedrock:{MODEL}"])
    async with LoopbackServer([HTTPError(500), SCRIPT]) as server:
        settings = {
            "openai": ProviderSettings(base_url=server.base_url("openai")),
            "bedrock": ProviderSettings(base_url=server.base_url("bedrock")),
        }
        async with SteerLLMClient(providers=settings) as client:
            response = await client.generate("Hi", "gpt-4o", streaming_options=options)

    assert response.provider == "bedrock"
    assert "aws4_request" in server.requests[1].headers["authorization"]


async def test_anthropics_messages_come_through_invoke() -> None:
    async with (
        LoopbackServer(SCRIPT) as server,
        client_for(server, "bedrock-anthropic") as client,
    ):
        response = await client.generate("Hi", f"bedrock-anthropic:{MODEL}")

    assert response.get_text() == "Grüße, 🌍"
    assert response.usage is not None
    assert response.usage["cached_tokens"] == 100
    assert server.requests[0].path.endswith("/invoke-with-response-stream")
