"""The floor: what the parts cost that everyone needs. aiohttp, msgspec, one event object a chunk.

It reads the fields that carry the words and nothing else; it has no limits, no errors, no usage, no
response, and would lose or break on much of what real servers send. See `_worker` for how it runs.
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
import msgspec
from _worker import Job, Seen, Way, main

from steer_llm_sdk.models.events import StreamDeltaEvent


class _OpenAIDelta(msgspec.Struct):
    content: str | None = None


class _OpenAIChoice(msgspec.Struct):
    delta: _OpenAIDelta


class _OpenAI(msgspec.Struct):
    choices: list[_OpenAIChoice]


class _Responses(msgspec.Struct):
    type: str
    delta: str | None = None


class _AnthropicDelta(msgspec.Struct):
    text: str | None = None


class _Anthropic(msgspec.Struct):
    type: str
    delta: _AnthropicDelta | None = None


class _GeminiPart(msgspec.Struct):
    text: str | None = None


class _GeminiContent(msgspec.Struct):
    parts: list[_GeminiPart]


class _GeminiCandidate(msgspec.Struct):
    content: _GeminiContent


class _Gemini(msgspec.Struct):
    candidates: list[_GeminiCandidate]


def _openai_words(chunk: _OpenAI) -> str | None:
    return chunk.choices[0].delta.content if chunk.choices else None


def _responses_words(event: _Responses) -> str | None:
    return event.delta if event.type == "response.output_text.delta" else None


def _anthropic_words(event: _Anthropic) -> str | None:
    return event.delta.text if event.delta is not None else None


def _gemini_words(response: _Gemini) -> str | None:
    return response.candidates[0].content.parts[0].text


# By wire format: the path, what ends a frame, what to decode, and where its words are.
_WIRES: dict[str, tuple[str, bytes, Any, Any]] = {
    "openai": ("/v1/chat/completions", b"\n\n", _OpenAI, _openai_words),
    "responses": ("/v1/responses", b"\n\n", _Responses, _responses_words),
    "anthropic": ("/v1/messages", b"\n\n", _Anthropic, _anthropic_words),
    "gemini": ("/v1beta/models/g:streamGenerateContent", b"\r\n\r\n", _Gemini, _gemini_words),
}

_READ_BYTES = 64 * 1024

_sessions: list[aiohttp.ClientSession] = []


def _session() -> aiohttp.ClientSession:
    if not _sessions:
        _sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return _sessions[0]


async def read(job: Job, seen: Seen | None) -> int:
    """Read one answer."""
    path, end, kind, words = _WIRES[job.wire]
    decode = msgspec.json.Decoder(kind).decode
    found = 0
    async with _session().post(job.base + path, data=b"{}") as response:
        # As our transport does: with asyncio's own 256 kB the C library may map and unmap memory at
        # each read, which doubles the cost of a chunk in one process and not in another.
        transport: Any = response.connection and response.connection.transport
        if hasattr(transport, "max_size"):
            transport.max_size = _READ_BYTES
        waiting = b""
        async for chunk in response.content.iter_any():
            blocks = (waiting + chunk).split(end)
            waiting = blocks.pop()
            for block in blocks:
                data = block.rpartition(b"data: ")[2]
                if data == b"[DONE]":
                    continue
                text = words(decode(data))
                if text:
                    event = StreamDeltaEvent(delta=text)
                    found += len(text)
                    if seen is not None:
                        seen(event.delta)  # type: ignore[arg-type]
    return found


def load(way: str) -> Way:
    """There is one way."""
    return read


async def _close() -> None:
    for session in _sessions:
        await session.close()


if __name__ == "__main__":
    main(load, uvloop="--uvloop" in sys.argv, close=_close)
