"""The same bytes to the official SDK over HTTP and to our decoder: the same answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic.types import Message

from steer_llm_sdk.errors import OverloadedError
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from support.corpus import Folded, fold


def sse(*payloads: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode()
        for payload in payloads
    )


def start(**usage: Any) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 1} | usage,
    }
    return {"type": "message_start", "message": message}


def block(index: int, opened: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[dict[str, Any]]:
    deltas = ({"type": "text_delta", "text": piece} for piece in pieces)
    return block(index, {"type": "text", "text": ""}, *deltas)


def call(index: int, number: int, *pieces: str) -> list[dict[str, Any]]:
    opened = {"type": "tool_use", "id": f"toolu_{number}", "name": f"tool_{number}", "input": {}}
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, opened, *deltas)


def end(reason: str, **usage: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 15} | usage},
        {"type": "message_stop"},
    ]


PLAIN = sse(
    start(),
    *text(0, "Hello", "!")[:1],
    {"type": "ping"},
    *text(0, "Hello", "!")[1:],
    *end("end_turn"),
)

THINKING = sse(
    start(),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "27 * 453:\n"},
        {"type": "thinking_delta", "thinking": "12231"},
        {"type": "signature_delta", "signature": "EqQBCgIYAhIM"},
    ),
    *block(1, {"type": "redacted_thinking", "data": "EmwKAhgB"}),
    *text(2, "It is ", "12231. ✓ 🎉"),
    *end("end_turn", output_tokens_details={"thinking_tokens": 9}),
)

CALLS = sse(
    start(cache_read_input_tokens=0, cache_creation_input_tokens=0),
    *text(0, "Let me look."),
    *call(1, 1, "", '{"location":', ' "San', ' Francisco, é"', "}"),
    *call(2, 2, '{"a": [1, 2.5, null], "b": {"c": true}}'),
    *call(3, 3, ""),
    *end("tool_use", input_tokens=30, cache_read_input_tokens=400),
)

SEARCH = sse(
    start(),
    *block(
        0,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query": "weather"}'},
    ),
    *block(1, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
    *block(
        2,
        {"type": "text", "text": "", "citations": []},
        {
            "type": "citations_delta",
            "citation": {
                "type": "web_search_result_location",
                "cited_text": "Sunny",
                "url": "https://example.com",
                "title": "Weather",
                "encrypted_index": "Eo8B",
            },
        },
        {"type": "text_delta", "text": "It is sunny."},
    ),
    *end("pause_turn", server_tool_use={"web_search_requests": 1, "web_fetch_requests": 0}),
)

CUT = sse(start(), *text(0, "It was a"), *end("max_tokens"))

CRLF = PLAIN.replace(b"\n", b"\r\n")

BODIES = {
    "plain": PLAIN,
    "thinking": THINKING,
    "calls": CALLS,
    "search": SEARCH,
    "cut": CUT,
    "crlf": CRLF,
}


@contextlib.asynccontextmanager
async def serving(body: bytes) -> AsyncIterator[str]:
    """One loopback server that gives every request the same body, in pieces of 7 bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        for at in range(0, len(body), 7):
            writer.write(body[at : at + 7])
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def ask_the_sdk(body: bytes) -> Message:
    async with (
        serving(body) as base_url,
        anthropic.AsyncAnthropic(base_url=base_url, api_key="test", max_retries=0) as client,
        client.messages.stream(
            model="claude-x", max_tokens=10, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
    ):
        return await stream.get_final_message()


def decoded(body: bytes) -> Folded:
    return fold(AnthropicMessages(), [body[at : at + 7] for at in range(0, len(body), 7)])


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_the_answer_is_the_official_sdks(body: bytes) -> None:
    message = await ask_the_sdk(body)
    folded = decoded(body)

    content = message.content
    assert folded.text == "".join(b.text for b in content if b.type == "text")
    assert folded.reasoning == "".join(b.thinking for b in content if b.type == "thinking")
    assert [(call["id"], call["name"], json.loads(call["arguments"])) for call in folded.calls] == [
        (b.id, b.name, b.input) for b in content if b.type == "tool_use"
    ]
    assert folded.finish is not None
    assert folded.finish.provider_reason == message.stop_reason
    assert (folded.identity.response_id, folded.identity.model) == (message.id, message.model)
    assert folded.usage is not None
    assert folded.usage.raw == message.usage.to_dict(exclude_none=True)
    assert folded.ended


async def test_an_error_inside_the_stream_is_one_for_both() -> None:
    error = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "req_1",
    }
    body = sse(start(), *text(0, "It was a")[:2], error)

    with pytest.raises(anthropic.APIStatusError) as raised:
        await ask_the_sdk(body)
    folded = decoded(body)

    assert isinstance(folded.error, OverloadedError)
    assert "Overloaded" in str(folded.error)
    assert "Overloaded" in str(raised.value)
    assert folded.text == "It was a"
