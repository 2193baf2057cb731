"""OpenAI's chat completions, and what the many servers that copy them send.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from steer_llm_sdk.testing.formats.base import CREATED, Format, id_of, model_of, sse, whole
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import ErrorKind, Report
from steer_llm_sdk.testing.scripts import Script

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


class OpenAIChat(Format):
    """``POST …/chat/completions``."""

    name = "openai"
    content_type = "text/event-stream; charset=utf-8"
    keep_alive = b": keep-alive\n\n"
    # The library's words are OpenAI's own, but for two.
    finish_words: ClassVar = {"refusal": "stop", "other": "function_call"}

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """A role chunk, the deltas, the finish reason, usage without choices, ``[DONE]``."""
        head = _head(script, request, "chat.completion.chunk")
        has_usage = script.usage is not None and (request.asks_for_usage or script.usage_unasked)
        more = {"usage": None} if has_usage else {}

        def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return sse(head | {"choices": [choice]} | more)

        pieces = [Piece(chunk({"role": "assistant", "content": "", "refusal": None}))]
        pieces += [Piece(chunk(delta), is_delta=True) for delta in _deltas(script)]
        finish = self.finish_of(script)
        if finish is not None:
            pieces.append(Piece(chunk({}, finish)))
        if has_usage:
            pieces.append(Piece(sse(head | {"choices": [], "usage": usage_of(script)})))
        if script.has_end:
            pieces.append(Piece(b"data: [DONE]\n\n"))
        return pieces

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build a ``chat.completion``: one choice with a message, and usage, asked for or not."""
        choice = {
            "index": 0,
            "message": _message(script),
            "logprobs": None,
            "finish_reason": self.finish_of(script),
        }
        usage = {"usage": usage_of(script)} if script.usage else {}
        return _head(script, request, "chat.completion") | {"choices": [choice]} | usage

    def error_body(self, report: Report) -> Any:
        """``{"error": {"message", "type", "param", "code"}}``."""
        kind, code = ERRORS[report.kind]
        return {"error": {"message": report.message, "type": kind, "param": None, "code": code}}


def _head(script: Script, request: RecordedRequest, kind: str) -> dict[str, Any]:
    return {
        "id": id_of(script, request, "chatcmpl-"),
        "object": kind,
        "created": CREATED,
        "model": model_of(script, request),
    }


def _message(script: Script) -> Mapping[str, Any]:
    calls = [
        {
            "id": call.id or f"call_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": "".join(call.pieces)},
        }
        for number, call in enumerate(script.tool_calls, 1)
    ]
    # An answer of tool calls or a refusal alone has no content: null, as OpenAI sends it.
    message = {
        "role": "assistant",
        "content": script.text or None,
        "refusal": "".join(script.refusal) or None,
    }
    return message | whole(reasoning_content="".join(script.reasoning), tool_calls=calls)


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
