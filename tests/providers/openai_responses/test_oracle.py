"""The same bytes to the official SDK, by a real HTTP server on loopback, and to our decoder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat, Tool, ToolChoice
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from support.corpus import Folded, fold

WIRE = OpenAIResponses()

Event = dict[str, Any]

USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}


def response(status: str, *output: Event, **more: Any) -> Event:
    about = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5"}
    settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**about, **settings, "status": status, "output": list(output), **more}


def message(*parts: Event) -> Event:
    about = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return {**about, "content": list(parts)}


def answer(text: str) -> Event:
    return message({"type": "output_text", "text": text, "annotations": []})


def call(identifier: str, name: str, arguments: str) -> Event:
    about = {"type": "function_call", "id": f"fc_{identifier}", "call_id": identifier}
    return {**about, "name": name, "arguments": arguments, "status": "completed"}


def opened(index: int, item: Event) -> Event:
    emptied: Event = {
        key: [] if key in {"content", "summary"} else "" if key in {"arguments", "input"} else value
        for key, value in item.items()
    }
    return {"type": "response.output_item.added", "output_index": index, "item": emptied}


def closed(index: int, item: Event) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def deltas(kind: str, index: int, *pieces: str, **place: int) -> list[Event]:
    about = {"type": f"response.{kind}.delta", "output_index": index, "item_id": "x", **place}
    extra: Event = {"logprobs": []} if kind == "output_text" else {}
    return [{**about, "delta": piece, **extra} for piece in pieces]


def part_added(index: int, kind: str, content_index: int = 0) -> Event:
    words = {"refusal": ""} if kind == "refusal" else {"text": "", "annotations": []}
    place = {"output_index": index, "content_index": content_index, "item_id": "x"}
    return {"type": "response.content_part.added", **place, "part": {"type": kind, **words}}


def stream(*events: Event, line: str = "\n", done: bool = False) -> bytes:
    begun = {"type": "response.created", "response": response("in_progress")}
    blocks = []
    for number, event in enumerate([begun, *events]):
        data = json.dumps({**event, "sequence_number": number}, ensure_ascii=False)
        blocks.append(f"event: {event['type']}{line}data: {data}{line}{line}")
    return "".join([*blocks, f"data: [DONE]{line}{line}" if done else ""]).encode()


def final(status: str, *output: Event, **more: Any) -> Event:
    whole = response(status, *output, usage=USAGE, **more)
    return {"type": f"response.{status}", "response": whole}


def summary(text: str) -> Event:
    return {"type": "summary_text", "text": text}


def summary_added(index: int, summary_index: int) -> Event:
    place = {"output_index": index, "summary_index": summary_index, "item_id": "x"}
    return {"type": "response.reasoning_summary_part.added", **place, "part": summary("")}


ANSWER_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"

HELLO = "Hello, wörld 🌍\u2028!"
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [summary("First."), summary("Then.")]}
ADD, SUB = call("call_1", "add", '{"x": 1, "y": "é"}'), call("call_2", "sub", "{}")
RUN = {
    "type": "custom_tool_call",
    "id": "ct_1",
    "call_id": "call_3",
    "name": "run",
    "input": "a\nb",
}
REFUSED = message({"type": "refusal", "refusal": "I will not."})

HELLO_EVENTS = [
    opened(0, answer(HELLO)),
    part_added(0, "output_text"),
    *deltas("output_text", 0, *HELLO, content_index=0),
    closed(0, answer(HELLO)),
    final("completed", answer(HELLO)),
]

BODIES = {
    "text": stream(*HELLO_EVENTS),
    "text with CRLF and a done marker": stream(*HELLO_EVENTS, line="\r\n", done=True),
    "text after a summary in two parts": stream(
        opened(0, THOUGHT),
        summary_added(0, 0),
        *deltas("reasoning_summary_text", 0, "Fir", "st.", summary_index=0),
        summary_added(0, 1),
        *deltas("reasoning_summary_text", 0, "Then.", summary_index=1),
        closed(0, THOUGHT),
        opened(1, answer("So.")),
        part_added(1, "output_text"),
        *deltas("output_text", 1, "So", ".", content_index=0),
        closed(1, answer("So.")),
        final("completed", THOUGHT, answer("So.")),
    ),
    "parallel calls": stream(
        opened(0, ADD),
        opened(1, SUB),
        *deltas("function_call_arguments", 1, "{}"),
        *deltas("function_call_arguments", 0, '{"x": 1', ', "y": "é"}'),
        closed(0, ADD),
        closed(1, SUB),
        final("completed", ADD, SUB),
    ),
    "a custom tool": stream(
        opened(0, RUN),
        *deltas("custom_tool_call_input", 0, "a\n", "b"),
        closed(0, RUN),
        final("completed", RUN),
    ),
    "a refusal": stream(
        opened(0, REFUSED),
        part_added(0, "refusal"),
        *deltas("refusal", 0, "I will", " not.", content_index=0),
        closed(0, REFUSED),
        final("completed", REFUSED),
    ),
    "a limit": stream(
        opened(0, answer("So")),
        part_added(0, "output_text"),
        *deltas("output_text", 0, "So", content_index=0),
        closed(0, answer("So")),
        final("incomplete", answer("So"), incomplete_details={"reason": "max_output_tokens"}),
    ),
}


@asynccontextmanager
async def serving(body: bytes, asked: list[Event] | None = None) -> AsyncIterator[str]:
    """A server that gives `body` to everyone, and notes in `asked` what it was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        request = json.loads(await reader.readexactly(length))
        if asked is not None:
            asked.append({"path": head.split()[1].decode(), "body": request})
        head_out = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        writer.write(head_out + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"http://{host}:{port}/v1"


@asynccontextmanager
async def official_client(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="test", max_retries=0) as client:
        yield client


async def official_answer(body: bytes) -> dict[str, Any]:
    """What the official SDK ends with."""
    async with serving(body) as base_url, official_client(base_url) as client:
        whole = None
        async for event in await client.responses.create(model="gpt-5", input="Hi", stream=True):
            if event.type in {"response.completed", "response.incomplete"}:
                whole = event.response
        assert whole is not None
        return _read_official(whole)


def _read_official(whole: Any) -> dict[str, Any]:
    parts = [part for item in whole.output if item.type == "message" for part in item.content]
    thoughts = [s.text for item in whole.output if item.type == "reasoning" for s in item.summary]
    details = whole.incomplete_details
    return {
        "text": whole.output_text,
        "refusal": "".join(part.refusal for part in parts if part.type == "refusal"),
        "reasoning": "\n\n".join(thoughts),
        "calls": [
            {
                "id": item.call_id,
                "name": item.name,
                "arguments": item.arguments if item.type == "function_call" else item.input,
            }
            for item in whole.output
            if item.type in {"function_call", "custom_tool_call"}
        ],
        "finish": f"{whole.status}:{details.reason}" if details else whole.status,
        "usage": whole.usage.model_dump(exclude_unset=True),
        "identity": (whole.id, whole.model),
    }


def our_answer(streamed: Folded) -> dict[str, Any]:
    assert streamed.finish is not None
    assert streamed.usage is not None
    return {
        "text": streamed.text,
        "refusal": streamed.refusal,
        "reasoning": streamed.reasoning,
        "calls": streamed.calls,
        "finish": streamed.finish.provider_reason,
        "usage": streamed.usage.raw,
        "identity": (streamed.identity.response_id, streamed.identity.model),
    }


@pytest.mark.parametrize("name", BODIES)
async def test_our_decoder_and_the_official_sdk_read_the_same(name: str) -> None:
    body = BODIES[name]

    assert our_answer(fold(WIRE, [body])) == await official_answer(body)


@pytest.mark.parametrize("name", BODIES)
async def test_the_deltas_are_the_official_sdks_deltas(name: str) -> None:
    kinds: Mapping[str, str] = {
        "text": "response.output_text.delta",
        "refusal": "response.refusal.delta",
        "reasoning": "response.reasoning_summary_text.delta",
    }
    seen: dict[str, list[str]] = {kind: [] for kind in kinds.values()}
    async with serving(BODIES[name]) as base_url, official_client(base_url) as client:
        async for event in await client.responses.create(model="gpt-5", input="Hi", stream=True):
            seen.get(event.type, []).append(getattr(event, "delta", ""))

    ours = fold(WIRE, [BODIES[name]])
    assert "".join(seen[kinds["text"]]) == ours.text
    assert "".join(seen[kinds["refusal"]]) == ours.refusal
    assert "".join(seen[kinds["reasoning"]]) == ours.reasoning.replace("\n\n", "")


async def test_an_error_inside_the_stream_fails_for_both() -> None:
    error = {"type": "server_error", "code": "server_error", "message": "It broke.", "param": None}
    body = stream({"type": "error", "error": error})

    with pytest.raises(openai.APIError, match="It broke"):
        await official_answer(body)
    assert "It broke." in str(fold(WIRE, [body]).error)


async def test_our_request_is_the_official_sdks_request() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    format_ = {"type": "json_schema", "name": "point", "schema": schema, "strict": True}
    tool = {"type": "function", "name": "add", "parameters": schema, "strict": True}
    asked: list[Event] = []
    async with serving(BODIES["text"], asked) as base_url, official_client(base_url) as client:
        create: Any = client.responses.create
        await create(
            model="gpt-5",
            instructions="Be brief.",
            input=[{"type": "message", "role": "user", "content": "Hi"}],
            temperature=0.5,
            top_p=0.9,
            max_output_tokens=9,
            text={"format": format_},
            tools=[tool],
            tool_choice={"type": "function", "name": "add"},
            stream=True,
        )
        ours = WIRE.request(
            ChatRequest(
                "gpt-5",
                read_messages("Hi"),
                system="Be brief.",
                temperature=0.5,
                top_p=0.9,
                max_tokens=9,
                response_format=JSONFormat(schema, "point", strict=True),
                tools=(Tool("add", None, schema, strict=True),),
                tool_choice=ToolChoice("tool", "add"),
            ),
            Endpoint("openai-responses", base_url, "test"),
        )

    (official,) = asked
    assert ours.url == base_url.removesuffix("/v1") + official["path"]
    assert json.loads(ours.body) == official["body"]
