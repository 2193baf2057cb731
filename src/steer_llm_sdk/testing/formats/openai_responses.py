"""OpenAI's responses.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.testing.formats.base import CREATED, id_of, model_of, sse
from steer_llm_sdk.testing.formats.openai_chat import OpenAIChat
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import ErrorKind, Report
from steer_llm_sdk.testing.scripts import Script, ScriptedToolCall

# Why a response is `incomplete`; any other finish is a `response.completed`.
INCOMPLETE: Mapping[str, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}

ERRORS: Mapping[ErrorKind, str] = {
    "authentication": "invalid_api_key",
    "permission": "insufficient_permissions",
    "not_found": "model_not_found",
    "invalid_request": "invalid_prompt",
    "context_length": "context_length_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "quota": "insufficient_quota",
    "overloaded": "server_is_overloaded",
    "server": "server_error",
    "content_filter": "content_policy_violation",
}


class OpenAIResponses(OpenAIChat):
    """``POST …/responses``; the body of an error is spelled as in chat completions."""

    name = "openai-responses"

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """``response.created``, the items one after another, ``response.completed``."""
        return list(_Writer(script, request).events())

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build the ``response`` that the last event of the stream has in it."""
        writer = _Writer(script, request)
        for _ in writer.events():
            pass
        return writer.response()

    def error_in_stream(self, report: Report) -> list[Piece]:
        """An ``error`` event, then ``response.failed``, as OpenAI sends both."""
        code = ERRORS[report.kind]
        error = {"type": code, "code": code, "message": report.message, "param": None}
        failed = {
            "id": "resp_failed",
            "object": "response",
            "created_at": CREATED,
            "status": "failed",
            "error": {"code": code, "message": report.message},
            "output": [],
            "usage": None,
        }
        kind = "response.failed"
        return [
            Piece(sse({"type": "error", "sequence_number": 900, "error": error}, "error")),
            Piece(sse({"type": kind, "sequence_number": 901, "response": failed}, kind)),
        ]


class _Writer:
    """Writes one answer; the events are numbered, and the last one repeats all the items."""

    def __init__(self, script: Script, request: RecordedRequest) -> None:
        self._script = script
        self._numbers = itertools.count()
        self._output: list[Mapping[str, Any]] = []
        self._response = {
            "id": id_of(script, request, "resp_"),
            "object": "response",
            "created_at": CREATED,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "model": model_of(script, request),
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        }

    def events(self) -> Iterator[Piece]:
        yield self._event("response.created", response=self._response)
        yield self._event("response.in_progress", response=self._response)
        if self._script.reasoning:
            yield from self._reasoning()
        if self._script.refusal:
            yield from self._message("refusal", "refusal", self._script.refusal)
        if self._script.deltas:
            yield from self._message("output_text", "text", self._script.deltas)
        for call in self._script.tool_calls:
            yield from self._call(call)
        if self._script.has_end:
            yield self._last()

    def _event(self, kind: str, *, is_delta: bool = False, **fields: Any) -> Piece:
        value = {"type": kind, "sequence_number": next(self._numbers)} | fields
        return Piece(sse(value, kind), is_delta=is_delta)

    def _opened(self, item: Mapping[str, Any], *, is_delta: bool = False) -> Piece:
        at = len(self._output)
        kind = "response.output_item.added"
        return self._event(kind, is_delta=is_delta, output_index=at, item=item)

    def _closed(self, item: Mapping[str, Any]) -> Piece:
        at = len(self._output)
        self._output.append(item)
        return self._event("response.output_item.done", output_index=at, item=item)

    def _reasoning(self) -> Iterator[Piece]:
        item: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": []}
        at: dict[str, Any] = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
        kind = "response.reasoning_summary"
        yield self._opened(item)
        yield self._event(f"{kind}_part.added", **at, part={"type": "summary_text", "text": ""})
        for text in self._script.reasoning:
            yield self._event(f"{kind}_text.delta", is_delta=True, **at, delta=text)
        whole = "".join(self._script.reasoning)
        part = {"type": "summary_text", "text": whole}
        yield self._event(f"{kind}_text.done", **at, text=whole)
        yield self._event(f"{kind}_part.done", **at, part=part)
        yield self._closed(item | {"summary": [part]})

    def _message(self, kind: str, key: str, words: Any) -> Iterator[Piece]:
        name = f"msg_{len(self._output) + 1}"
        item = {"id": name, "type": "message", "role": "assistant", "status": "in_progress"}
        at: dict[str, Any] = {
            "item_id": name,
            "output_index": len(self._output),
            "content_index": 0,
        }
        more: dict[str, Any] = {"annotations": []} if kind == "output_text" else {}
        part = {"type": kind, key: ""} | more
        yield self._opened(item | {"content": []})
        yield self._event("response.content_part.added", **at, part=part)
        logprobs: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        for text in words:
            yield self._event(f"response.{kind}.delta", is_delta=True, **at, delta=text, **logprobs)
        whole = part | {key: "".join(words)}
        yield self._event(f"response.{kind}.done", **at, **{key: whole[key]}, **logprobs)
        yield self._event("response.content_part.done", **at, part=whole)
        yield self._closed(item | {"status": "completed", "content": [whole]})

    def _call(self, call: ScriptedToolCall) -> Iterator[Piece]:
        number = len(self._output) + 1
        item: dict[str, Any] = {
            "id": f"fc_{number}",
            "type": "function_call",
            "status": "in_progress",
            "call_id": call.id or f"call_{number}",
            "name": call.name,
            "arguments": "",
        }
        at: dict[str, Any] = {"item_id": item["id"], "output_index": len(self._output)}
        kind = "response.function_call_arguments"
        yield self._opened(item, is_delta=True)
        for piece in call.pieces:
            yield self._event(f"{kind}.delta", is_delta=True, **at, delta=piece)
        whole = "".join(call.pieces)
        yield self._event(f"{kind}.done", **at, name=call.name, arguments=whole)
        yield self._closed(item | {"status": "completed", "arguments": whole})

    def response(self) -> Mapping[str, Any]:
        """Build the response at its end, with all items that were written."""
        reason = INCOMPLETE.get(self._script.finish_reason or "")
        return self._response | {
            "status": "incomplete" if reason else "completed",
            "incomplete_details": {"reason": reason} if reason else None,
            "output": self._output,
            "usage": _usage(self._script),
        }

    def _last(self) -> Piece:
        response = self.response()
        return self._event(f"response.{response['status']}", response=response)


def _usage(script: Script) -> Mapping[str, Any] | None:
    if script.usage is None:
        return None
    prompt, completion = script.usage
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": script.cached_tokens or 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": script.reasoning_tokens or 0},
        "total_tokens": prompt + completion,
    }
