"""Anthropic's messages.

https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from steer_llm_sdk.testing.formats.base import Format, id_of, model_of, sse, texts_of
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import ErrorKind, Report
from steer_llm_sdk.testing.scripts import Script, value_of

ERRORS: Mapping[ErrorKind, str] = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "invalid_request": "invalid_request_error",
    "context_length": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota": "billing_error",
    "overloaded": "overloaded_error",
    "server": "api_error",
    "content_filter": "invalid_request_error",
}

# Blocks are written as: how they open, and their deltas.
_Block = tuple[Mapping[str, Any], list[Mapping[str, Any]]]


class Anthropic(Format):
    """``POST …/v1/messages``."""

    name = "anthropic"
    content_type = "text/event-stream; charset=utf-8"
    keep_alive = sse({"type": "ping"}, "ping")
    finish_words: ClassVar = {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
        "refusal": "refusal",
        "other": "pause_turn",
    }

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """``message_start``, a block after another, ``message_delta``, ``message_stop``."""
        pieces = [_event("message_start", message=_message(script, request))]
        for index, block in enumerate(_blocks(script)):
            pieces += _block(index, block, has_ping=index == 0)
        pieces.append(_event("message_delta", **_last(script, self.finish_of(script))))
        if script.has_end:
            pieces.append(_event("message_stop"))
        return pieces

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build a ``message`` with all its blocks."""
        message = {**_message(script, request), "stop_reason": self.finish_of(script)}
        message["content"] = [_whole_block(block) for block in _blocks(script)]
        return message | ({"usage": _usage(script, script.usage[1])} if script.usage else {})

    def frame(self, value: Any) -> bytes:
        """Write an event, named as its type."""
        return sse(value, value["type"])

    def error_body(self, report: Report) -> Any:
        """``{"type": "error", "error": {"type", "message"}, "request_id"}``."""
        error = {"type": ERRORS[report.kind], "message": report.message}
        return {"type": "error", "error": error, "request_id": "req_scripted"}


def _event(kind: str, *, is_delta: bool = False, **fields: Any) -> Piece:
    return Piece(sse({"type": kind} | fields, kind), is_delta=is_delta)


def _message(script: Script, request: RecordedRequest) -> Mapping[str, Any]:
    message: dict[str, Any] = {
        "id": id_of(script, request, "msg_"),
        "type": "message",
        "role": "assistant",
        "model": model_of(script, request),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    return message | ({"usage": _usage(script, 1)} if script.usage else {})


def _last(script: Script, reason: str | None) -> Mapping[str, Any]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    if script.usage is None:
        return {"delta": delta}
    return {"delta": delta, "usage": _usage(script, script.usage[1])}


def _usage(script: Script, output: int) -> Mapping[str, int]:
    prompt = script.usage[0] if script.usage else 0
    cached = script.cached_tokens or 0
    # Anthropic's `input_tokens` leaves out what came from the cache.
    return {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
    }


def _blocks(script: Script) -> Iterator[_Block]:
    if script.reasoning:
        thoughts = [{"type": "thinking_delta", "thinking": text} for text in script.reasoning]
        yield (
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                *thoughts,
                {"type": "signature_delta", "signature": "c2lnbmF0dXJl"},
            ],
        )
    texts = [{"type": "text_delta", "text": text} for text in texts_of(script)]
    if texts:
        yield {"type": "text", "text": ""}, [*texts]
    for index, call in enumerate(script.tool_calls, 1):
        arguments = [{"type": "input_json_delta", "partial_json": text} for text in call.pieces]
        block = {"type": "tool_use", "id": call.id or f"toolu_{index}", "name": call.name}
        yield block | {"input": {}}, [*arguments]


def _whole_block(block: _Block) -> Mapping[str, Any]:
    """Return a block as it is once all its deltas have been put into it."""
    start, deltas = block
    filled = dict(start)
    for delta in deltas:
        for field, piece in delta.items():
            if field != "type":
                filled[field] = filled.get(field, "") + piece
    if "partial_json" in filled:
        filled["input"] = value_of(filled.pop("partial_json"))
    return filled


def _block(index: int, block: _Block, *, has_ping: bool) -> Iterator[Piece]:
    start, deltas = block
    is_tool = start["type"] == "tool_use"
    yield _event("content_block_start", is_delta=is_tool, index=index, content_block=start)
    if has_ping:
        yield Piece(Anthropic.keep_alive)
    for delta in deltas:
        is_delta = delta["type"] != "signature_delta"
        yield _event("content_block_delta", is_delta=is_delta, index=index, delta=delta)
    yield _event("content_block_stop", index=index)
