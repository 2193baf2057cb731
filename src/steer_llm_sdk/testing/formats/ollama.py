"""Ollama's own chat: one JSON object a line.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.testing.formats.base import compact, model_of
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import Report
from steer_llm_sdk.testing.scripts import Script

# Ollama knows these two (and `load`, `unload`); a tool call ends with `stop`.
FINISH: Mapping[str, str] = {
    "tool_calls": "stop",
    "content_filter": "stop",
    "refusal": "stop",
    "other": "unload",
}

_CREATED = "2025-10-09T08:53:20.000000Z"


class Ollama:
    """``POST …/api/chat``."""

    name = "ollama"
    content_type = "application/x-ndjson"
    keep_alive = b"\n"

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """A line for each piece, and a last one with ``done``."""
        head: dict[str, Any] = {"model": model_of(script, request), "created_at": _CREATED}
        pieces = [
            Piece(_line(head | {"message": message, "done": False}), is_delta=True)
            for message in _messages(script)
        ]
        if script.has_end:
            pieces.append(Piece(_line(head | _last(script))))
        return pieces

    def error_in_stream(self, report: Report) -> list[Piece]:
        """A line with an ``error``."""
        return [Piece(_line(self.error_body(report)))]

    def error_body(self, report: Report) -> Any:
        """``{"error": "the words"}``: there are no codes."""
        return {"error": report.message}


def _line(value: Any) -> bytes:
    return compact(value).encode() + b"\n"


def _messages(script: Script) -> Iterator[dict[str, Any]]:
    empty: dict[str, Any] = {"role": "assistant", "content": ""}
    yield from (empty | {"thinking": text} for text in script.reasoning)
    yield from (empty | {"content": text} for text in (*script.refusal, *script.deltas))
    for call in script.tool_calls:
        function = {"name": call.name, "arguments": call.value}
        named = {"id": call.id} if call.id else {}
        yield empty | {"tool_calls": [named | {"function": function}]}


def _last(script: Script) -> dict[str, Any]:
    finish = script.finish_reason
    last: dict[str, Any] = {
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "total_duration": 1_000_000_000,
        "load_duration": 1_000_000,
    }
    last |= {} if finish is None else {"done_reason": FINISH.get(finish, finish)}
    if script.usage is None:
        return last
    prompt, completion = script.usage
    return last | {
        "prompt_eval_count": prompt,
        "prompt_eval_duration": 10_000_000,
        "eval_count": completion,
        "eval_duration": 900_000_000,
    }
