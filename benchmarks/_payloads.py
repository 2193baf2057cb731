"""What the load server sends: the frames of one answer, as each provider spells them.

A payload is a kind of answer: ``text`` (words), ``json`` (rows of a JSON array, cut into small
pieces), ``tool`` (one tool call, its arguments cut so) and ``bare`` (words, but no usage at the
end). Each has exactly as many delta frames as were asked for; `pieces` says what is in them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

PAYLOADS = ("text", "json", "tool", "bare")

_WORDS = (" the", " quick", " brown", " fox", " jumps", " over", " a", " lazy", " dog", ",")
_CREATED = 1_760_000_000


def pieces(payload: str, count: int) -> list[str]:
    """The deltas of an answer: `count` short strings."""
    if payload in {"text", "bare"}:
        return [_WORDS[at % len(_WORDS)] for at in range(count)]
    return _pieces_of_json(count)


def _pieces_of_json(count: int) -> list[str]:
    """``{"rows": [ … ]}`` in `count` pieces of four or five characters."""
    rows = ",".join(
        json.dumps({"id": at, "name": f"Item number {at}", "price": 1.25, "tags": ["a", "b"]})
        for at in range(max(1, count * 4 // 64))
    )
    text = f'{{"rows":[{rows}]}}'
    size, longer = divmod(len(text), count)
    cuts = [size + (at < longer) for at in range(count)]
    ends = itertools.accumulate(cuts)
    return [text[end - cut : end] for cut, end in zip(cuts, ends, strict=True)]


def frames(wire: str, payload: str, count: int) -> list[bytes]:
    """The whole body, frame by frame."""
    return list(_WIRES[wire](payload, pieces(payload, count)))


def stamped(wire: str) -> tuple[bytes, bytes, bytes]:
    """A text delta around a place for a time, the frames before the deltas, and those after."""
    mark = "@@@@"
    body = list(_WIRES[wire]("text", [mark]))
    at = next(i for i, frame in enumerate(body) if mark.encode() in frame)
    before, _, after = body[at].partition(mark.encode())
    return b"".join(body[:at]), before + b"|" + after, b"".join(body[at + 1 :])


def _data(value: Any, event: str | None = None) -> bytes:
    text = json.dumps(value, separators=(",", ":"))
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def _openai(payload: str, deltas: list[str]) -> Iterator[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data(_chat([choice]))

    yield chunk({"role": "assistant", "content": None if payload == "tool" else ""})
    if payload == "tool":
        call = {"index": 0, "id": "call_1", "type": "function"}
        yield chunk({"tool_calls": [call | {"function": {"name": "store", "arguments": ""}}]})
    for piece in deltas:
        if payload == "tool":
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            yield chunk({"content": piece})
    yield chunk({}, "tool_calls" if payload == "tool" else "stop")
    if payload != "bare":
        yield _data(_chat([]) | {"usage": _usage("prompt_tokens", "completion_tokens", deltas)})
    yield b"data: [DONE]\n\n"


def _chat(choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-BenchBenchBenchBenchBench",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_50cad350e4",
        "choices": choices,
        "usage": None,
    }


def _usage(prompt: str, completion: str, deltas: list[str]) -> dict[str, int]:
    return {prompt: 10, completion: len(deltas), "total_tokens": 10 + len(deltas)}


def _responses(_payload: str, deltas: list[str]) -> Iterator[bytes]:
    sequence = itertools.count()

    def event(kind: str, **fields: Any) -> bytes:
        return _data({"type": kind, "sequence_number": next(sequence)} | fields, kind)

    response: dict[str, Any] = {
        "id": "resp_bench",
        "object": "response",
        "created_at": _CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "gpt-4o-2024-08-06",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "metadata": {},
        "usage": None,
    }
    text = "".join(deltas)
    item = {"id": "msg_bench", "type": "message", "status": "in_progress", "role": "assistant"}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    at = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    yield event("response.created", response=response)
    yield event("response.in_progress", response=response)
    yield event("response.output_item.added", output_index=0, item=item | {"content": []})
    yield event("response.content_part.added", **at, part=part)
    for piece in deltas:
        yield event(
            "response.output_text.delta", **at, delta=piece, logprobs=[], obfuscation="a1B2c3D4e5F"
        )
    yield event("response.output_text.done", **at, text=text, logprobs=[])
    yield event("response.content_part.done", **at, part=part | {"text": text})
    whole = item | {"status": "completed", "content": [part | {"text": text}]}
    yield event("response.output_item.done", output_index=0, item=whole)
    usage = _usage("input_tokens", "output_tokens", deltas) | {
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    done = {"status": "completed", "output": [whole], "usage": usage}
    yield event("response.completed", response=response | done)


def _anthropic(_payload: str, deltas: list[str]) -> Iterator[bytes]:
    def event(kind: str, **fields: Any) -> bytes:
        return _data({"type": kind} | fields, kind)

    message = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    yield event("message_start", message=message)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for piece in deltas:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    yield event("content_block_stop", index=0)
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=ending, usage={"output_tokens": len(deltas)})
    yield event("message_stop")


def _gemini(_payload: str, deltas: list[str]) -> Iterator[bytes]:
    def response(text: str, **last: Any) -> bytes:
        usage = {"promptTokenCount": 10, "totalTokenCount": 10}
        if last:
            usage |= {"candidatesTokenCount": len(deltas), "totalTokenCount": 10 + len(deltas)}
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0} | last
        value = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "BenchBenchBenchBench",
        }
        return _data(value).replace(b"\n", b"\r\n")  # Google ends its lines so

    for piece in deltas:
        yield response(piece)
    yield response("", finishReason="STOP")


_WIRES = {
    "openai": _openai,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
