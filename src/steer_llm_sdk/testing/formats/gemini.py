"""Gemini's ``streamGenerateContent`` with ``alt=sse``.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.testing.formats.base import compact, id_of, model_of
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import ErrorKind, Report
from steer_llm_sdk.testing.scripts import Script

FINISH: Mapping[str, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "STOP",
    "other": "OTHER",
}

ERRORS: Mapping[ErrorKind, str] = {
    "authentication": "UNAUTHENTICATED",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "invalid_request": "INVALID_ARGUMENT",
    "context_length": "INVALID_ARGUMENT",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "overloaded": "UNAVAILABLE",
    "server": "INTERNAL",
    "content_filter": "INVALID_ARGUMENT",
}


class Gemini:
    """``POST …/models/<model>:streamGenerateContent?alt=sse``."""

    name = "gemini"
    content_type = "text/event-stream"
    keep_alive = b": keep-alive\r\n\r\n"

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """A whole response after another; the last has the finish reason and the usage."""
        parts = list(_parts(script))
        pieces = [Piece(_response(script, request, part), is_delta=True) for part in parts]
        finish = script.finish_reason
        if script.has_end:
            reason = finish and FINISH.get(finish, finish)
            last = _response(script, request, {"text": ""}, reason, is_last=True)
            pieces.append(Piece(last))
        return pieces

    def error_in_stream(self, report: Report) -> list[Piece]:
        """An ``error`` object in place of a response."""
        return [Piece(_sse(self.error_body(report)))]

    def error_body(self, report: Report) -> Any:
        """``{"error": {"code", "message", "status"}}``."""
        status = ERRORS[report.kind]
        return {"error": {"code": report.status, "message": report.message, "status": status}}


def _sse(value: Any) -> bytes:
    # Google ends its lines with CR LF.
    return f"data: {compact(value)}\r\n\r\n".encode()


def _response(
    script: Script,
    request: RecordedRequest,
    part: Mapping[str, Any],
    finish: str | None = None,
    *,
    is_last: bool = False,
) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    response = {"candidates": [candidate]}
    usage = {"usageMetadata": _usage(script, is_last=is_last)} if script.usage else {}
    names = {
        "modelVersion": model_of(script, request),
        "responseId": id_of(script, request, "response-"),
    }
    return _sse(response | usage | names)


def _parts(script: Script) -> Iterator[Mapping[str, Any]]:
    yield from ({"text": text, "thought": True} for text in script.reasoning)
    yield from ({"text": text} for text in (*script.refusal, *script.deltas))
    for call in script.tool_calls:
        named = {"id": call.id} if call.id else {}
        yield {"functionCall": {"name": call.name, "args": call.value} | named}


def _usage(script: Script, *, is_last: bool) -> Mapping[str, int]:
    prompt, completion = script.usage or (0, 0)
    if not is_last:
        return {"promptTokenCount": prompt, "totalTokenCount": prompt}
    # Gemini counts its thoughts beside the candidates, not among them.
    thoughts = script.reasoning_tokens or 0
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion - thoughts,
        "totalTokenCount": prompt + completion,
    }
    usage |= {"thoughtsTokenCount": thoughts} if thoughts else {}
    return usage | (
        {"cachedContentTokenCount": script.cached_tokens} if script.cached_tokens else {}
    )
