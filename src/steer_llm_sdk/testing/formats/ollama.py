"""Ollama's own chat: one JSON object a line.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from steer_llm_sdk.testing.formats.base import Format, compact, model_of, texts_of, whole
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import Report
from steer_llm_sdk.testing.scripts import Script

_CREATED = "2025-10-09T08:53:20.000000Z"
_EMPTY: dict[str, Any] = {"role": "assistant", "content": ""}


class Ollama(Format):
    """``POST …/api/chat``."""

    name = "ollama"
    content_type = "application/x-ndjson"
    keep_alive = b"\n"
    # Ollama knows `stop` and `length` (and `load`, `unload`); a tool call ends with `stop`.
    finish_words: ClassVar = {
        "tool_calls": "stop",
        "content_filter": "stop",
        "refusal": "stop",
        "other": "unload",
    }

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """A line for each piece, and a last one with ``done``."""
        head = _head(script, request)
        pieces = [
            Piece(self.frame(head | {"message": _EMPTY | fields, "done": False}), is_delta=True)
            for fields in _deltas(script)
        ]
        if script.has_end:
            last = head | {"message": _EMPTY} | self._totals(script)
            pieces.append(Piece(self.frame(last)))
        return pieces

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build the line of ``done`` with the whole message in it."""
        message = _EMPTY | whole(
            content="".join(texts_of(script)),
            thinking="".join(script.reasoning),
            tool_calls=_calls(script),
        )
        return _head(script, request) | {"message": message} | self._totals(script)

    def frame(self, value: Any) -> bytes:
        """Write a line."""
        return compact(value).encode() + b"\n"

    def is_streamed(self, request: RecordedRequest) -> bool:
        """Return whether the request asks for a stream: Ollama's does unless it says no."""
        return not isinstance(request.json, Mapping) or request.json.get("stream") is not False

    def _totals(self, script: Script) -> dict[str, Any]:
        totals: dict[str, Any] = {
            "done": True,
            "total_duration": 1_000_000_000,
            "load_duration": 1_000_000,
        }
        finish = self.finish_of(script)
        totals |= {} if finish is None else {"done_reason": finish}
        if script.usage is None:
            return totals
        prompt, completion = script.usage
        return totals | {
            "prompt_eval_count": prompt,
            "prompt_eval_duration": 10_000_000,
            "eval_count": completion,
            "eval_duration": 900_000_000,
        }

    def error_body(self, report: Report) -> Any:
        """``{"error": "the words"}``: there are no codes."""
        return {"error": report.message}


def _head(script: Script, request: RecordedRequest) -> dict[str, Any]:
    return {"model": model_of(script, request), "created_at": _CREATED}


def _deltas(script: Script) -> Iterator[dict[str, Any]]:
    yield from ({"thinking": text} for text in script.reasoning)
    yield from ({"content": text} for text in texts_of(script))
    yield from ({"tool_calls": [call]} for call in _calls(script))


def _calls(script: Script) -> list[Any]:
    return [
        ({"id": call.id} if call.id else {})
        | {"function": {"name": call.name, "arguments": call.value}}
        for call in script.tool_calls
    ]
