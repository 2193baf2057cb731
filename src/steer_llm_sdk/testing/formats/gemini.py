"""Gemini's ``streamGenerateContent`` with ``alt=sse``.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from steer_llm_sdk.testing.formats.base import Format, compact, id_of, model_of, texts_of
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import ErrorKind, Report
from steer_llm_sdk.testing.scripts import Script

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


class Gemini(Format):
    """``POST …/models/<model>:streamGenerateContent?alt=sse``, and ``:generateContent``."""

    name = "gemini"
    content_type = "text/event-stream"
    keep_alive = b": keep-alive\r\n\r\n"
    finish_words: ClassVar = {
        "stop": "STOP",
        "length": "MAX_TOKENS",
        "tool_calls": "STOP",
        "content_filter": "SAFETY",
        "refusal": "STOP",
        "other": "OTHER",
    }

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """A whole response after another; the last has the finish reason and the usage."""
        responses = (_response(script, request, [part]) for part in _parts(script))
        pieces = [Piece(self.frame(response), is_delta=True) for response in responses]
        if script.has_end:
            reason = self.finish_of(script)
            last = _response(script, request, [{"text": ""}], reason, is_last=True)
            pieces.append(Piece(self.frame(last)))
        return pieces

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build one response; the parts of a kind that follow one another are one."""
        parts = list(_joined(_parts(script)))
        return _response(script, request, parts, self.finish_of(script), is_last=True)

    def frame(self, value: Any) -> bytes:
        """Write an event; Google ends its lines with CR LF."""
        return f"data: {compact(value)}\r\n\r\n".encode()

    def is_streamed(self, request: RecordedRequest) -> bool:
        """Return whether the path is that of a stream: the body does not say."""
        return not request.path.endswith(":generateContent")

    def error_body(self, report: Report) -> Any:
        """``{"error": {"code", "message", "status"}}``."""
        status = ERRORS[report.kind]
        return {"error": {"code": report.status, "message": report.message, "status": status}}


def _response(
    script: Script,
    request: RecordedRequest,
    parts: Sequence[Mapping[str, Any]],
    finish: str | None = None,
    *,
    is_last: bool = False,
) -> Mapping[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    response = {"candidates": [candidate]}
    usage = {"usageMetadata": _usage(script, is_last=is_last)} if script.usage else {}
    names = {
        "modelVersion": model_of(script, request),
        "responseId": id_of(script, request, "response-"),
    }
    return response | usage | names


def _parts(script: Script) -> Iterator[Mapping[str, Any]]:
    yield from ({"text": text, "thought": True} for text in script.reasoning)
    yield from ({"text": text} for text in texts_of(script))
    for call in script.tool_calls:
        named = {"id": call.id} if call.id else {}
        yield {"functionCall": {"name": call.name, "args": call.value} | named}


def _joined(parts: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for (has_text, _), group in itertools.groupby(parts, lambda p: ("text" in p, "thought" in p)):
        same = list(group)
        if has_text:
            yield {**same[0], "text": "".join(part["text"] for part in same)}
        else:
            yield from same


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
