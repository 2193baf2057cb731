"""OpenAI's chat completions, and what the many servers that copy them send.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.testing.formats.base import CREATED, id_of, model_of, sse
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import ErrorKind, Report
from steer_llm_sdk.testing.scripts import Script

# The library's words are OpenAI's own, but for two.
FINISH: Mapping[str, str] = {"refusal": "stop", "other": "function_call"}

# The type and the code of each error.
ERRORS: Mapping[ErrorKind, tuple[str, str | None]] = {
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("invalid_request_error", "insufficient_permissions"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "invalid_request": ("invalid_request_error", None),
    "context_length": ("invalid_request_error", "context_length_exceeded"),
    "rate_limit": ("requests", "rate_limit_exceeded"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "overloaded": ("server_error", None),
    "server": ("server_error", None),
    "content_filter": ("invalid_request_error", "content_filter"),
}


class OpenAIChat:
    """``POST …/chat/completions``."""

    name = "openai"
    content_type = "text/event-stream; charset=utf-8"
    keep_alive = b": keep-alive\n\n"

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """A role chunk, the deltas, the finish reason, usage without choices, ``[DONE]``."""
        head = {
            "id": id_of(script, request, "chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model_of(script, request),
        }
        has_usage = script.usage is not None and (request.asks_for_usage or script.usage_unasked)
        more = {"usage": None} if has_usage else {}

        def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return sse(head | {"choices": [choice]} | more)

        pieces = [Piece(chunk({"role": "assistant", "content": "", "refusal": None}))]
        pieces += [Piece(chunk(delta), is_delta=True) for delta in _deltas(script)]
        finish = script.finish_reason
        if finish is not None:
            pieces.append(Piece(chunk({}, FINISH.get(finish, finish))))
        if has_usage:
            pieces.append(Piece(sse(head | {"choices": [], "usage": usage_of(script)})))
        if script.has_end:
            pieces.append(Piece(b"data: [DONE]\n\n"))
        return pieces

    def error_in_stream(self, report: Report) -> list[Piece]:
        """An ``error`` object in place of a chunk."""
        return [Piece(sse(self.error_body(report)))]

    def error_body(self, report: Report) -> Any:
        """``{"error": {"message", "type", "param", "code"}}``."""
        kind, code = ERRORS[report.kind]
        return {"error": {"message": report.message, "type": kind, "param": None, "code": code}}


def _deltas(script: Script) -> Iterator[Mapping[str, Any]]:
    # `reasoning_content` is the spelling of DeepSeek and most others; OpenAI itself sends none.
    yield from ({"reasoning_content": text} for text in script.reasoning)
    yield from ({"refusal": text} for text in script.refusal)
    yield from ({"content": text} for text in script.deltas)
    for index, call in enumerate(script.tool_calls):
        function = {"name": call.name, "arguments": ""}
        yield _tool_delta(index, function, id=call.id or f"call_{index + 1}", type="function")
        for piece in call.pieces:
            yield _tool_delta(index, {"arguments": piece})


def _tool_delta(index: int, function: Mapping[str, str], **more: str) -> Mapping[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": function}]}


def usage_of(script: Script) -> Mapping[str, Any]:
    """Usage under OpenAI's names."""
    prompt, completion = script.usage or (0, 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": script.cached_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens or 0},
    }
