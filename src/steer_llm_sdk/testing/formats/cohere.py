"""Cohere's chat, version 2: https://docs.cohere.com/v2/docs/streaming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from steer_llm_sdk.testing.formats.base import Format, id_of, sse, texts_of
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import Report
from steer_llm_sdk.testing.scripts import Script, ScriptedToolCall


class Cohere(Format):
    """``POST …/v2/chat``."""

    name = "cohere"
    content_type = "text/event-stream"
    keep_alive = b": keep-alive\n\n"
    finish_words: ClassVar = {
        "stop": "COMPLETE",
        "length": "MAX_TOKENS",
        "tool_calls": "TOOL_CALL",
        "content_filter": "COMPLETE",
        "refusal": "COMPLETE",
    }

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """``message-start``, blocks and calls, ``message-end``, ``[DONE]``."""
        empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        begin: dict[str, Any] = {
            "id": id_of(script, request, "message-"),
            "delta": {"message": empty},
        }
        pieces = [_event("message-start", **begin), *_blocks(script), *_calls(script)]
        if script.has_end:
            end = {"finish_reason": self.finish_of(script), "usage": _usage(script)}
            delta = {name: value for name, value in end.items() if value is not None}
            pieces += [_event("message-end", delta=delta), Piece(b"data: [DONE]\n\n")]
        return pieces

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build a whole answer: the message, why it stopped, and the usage."""
        content = [{"type": kind, kind: "".join(words)} for kind, words in _spoken(script) if words]
        calls = [_call(number, call) for number, call in enumerate(script.tool_calls, 1)]
        message: dict[str, Any] = {"role": "assistant", "content": content}
        return {
            "id": id_of(script, request, "message-"),
            "message": message | ({"tool_calls": calls} if calls else {}),
            "finish_reason": self.finish_of(script),
        } | ({"usage": _usage(script)} if script.usage else {})

    def frame(self, value: Any) -> bytes:
        """Write an event, named as its type."""
        return sse(value, value["type"])

    def error_body(self, report: Report) -> Any:
        """``{"id", "message"}``: there are no codes."""
        return {"id": "error-scripted", "message": report.message}

    def error_in_stream(self, report: Report) -> list[Piece]:
        """A ``message-end`` with an error in it."""
        delta = {"finish_reason": "ERROR", "error": report.message, "usage": {}}
        return [_event("message-end", delta=delta)]


def _event(kind: str, *, is_delta: bool = False, **fields: Any) -> Piece:
    return Piece(sse({"type": kind} | fields, kind), is_delta=is_delta)


def _spoken(script: Script) -> Iterator[tuple[str, list[str]]]:
    yield "thinking", list(script.reasoning)
    yield "text", list(texts_of(script))


def _blocks(script: Script) -> Iterator[Piece]:
    blocks = [(kind, words) for kind, words in _spoken(script) if words]
    for index, (kind, words) in enumerate(blocks):
        opened = {"message": {"content": {"type": kind, kind: ""}}}
        yield _event("content-start", index=index, delta=opened)
        for text in words:
            delta = {"message": {"content": {kind: text}}}
            yield _event("content-delta", is_delta=True, index=index, delta=delta)
        yield _event("content-end", index=index)


def _calls(script: Script) -> Iterator[Piece]:
    for index, call in enumerate(script.tool_calls):
        opened = _call(index + 1, call)
        opened["function"] |= {"arguments": ""}
        message = {"message": {"tool_calls": opened}}
        yield _event("tool-call-start", is_delta=True, index=index, delta=message)
        for piece in call.pieces:
            grown = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            yield _event("tool-call-delta", is_delta=True, index=index, delta=grown)
        yield _event("tool-call-end", index=index)


def _call(number: int, call: ScriptedToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": "".join(call.pieces)}
    return {"id": call.id or f"call_{number}", "type": "function", "function": function}


def _usage(script: Script) -> dict[str, Any] | None:
    if script.usage is None:
        return None
    prompt, completion = script.usage
    tokens = {"input_tokens": prompt, "output_tokens": completion}
    thought = {"reasoning_tokens": script.reasoning_tokens} if script.reasoning_tokens else {}
    cached = {"cached_tokens": script.cached_tokens} if script.cached_tokens else {}
    return {"billed_units": tokens, "tokens": tokens | thought} | cached
