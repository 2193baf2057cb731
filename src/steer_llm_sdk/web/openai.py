"""Chunks of OpenAI's chat completions, for whatever reads those.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.errors import ProviderError, SteerError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.usage import CACHED, COMPLETION, PROMPT, REASONING, TOTAL
from steer_llm_sdk.web.base import ErrorText, file_url, start_before
from steer_llm_sdk.web.frames import COMMENT, DONE, data_frame

# Theirs has no word for any other.
_FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})


class OpenAIEncoder:
    """Writes chunks. The turns of a run are one answer.

    Args:
        error_text: What is said of an error.
    """

    heartbeat = COMMENT

    def __init__(self, error_text: ErrorText) -> None:
        self._error_text = error_text
        self._chunk: dict[str, Any] = {}
        self._usage: dict[str, int] = {}
        self._ending: StreamEvent | None = None
        self._calls = 0  # of earlier turns
        self._indices: dict[Any, int] = {}
        self._names: dict[Any, str] = {}  # as far as they have been written
        self._has_words = False
        self._is_joined = False  # the words of this turn to those of the turns before

    def feed(self, event: StreamEvent) -> bytes:
        """Write an event: see `Encoder`."""
        if not self._chunk and not isinstance(event, StreamStartEvent):
            return self._begin(start_before(event)) + self.feed(event)
        if isinstance(event, StreamDeltaEvent):
            delta = self._delta(event)
            return b"" if delta is None else self._write(delta)
        if isinstance(event, StreamStartEvent):
            return self._begin(event)
        if isinstance(event, StreamUsageEvent):
            for name, count in event.usage.items():
                if isinstance(count, int):
                    self._usage[name] = self._usage.get(name, 0) + count
        elif isinstance(event, StreamCompleteEvent | StreamErrorEvent):
            self._ending = event
        return b""

    def end(self) -> bytes:
        """Write the ending: see `Encoder`."""
        if isinstance(self._ending, StreamErrorEvent):
            return self.fail(self._ending.error)
        begun = b"" if self._chunk else self._begin(StreamStartEvent())
        reason = getattr(self._ending, "finish_reason", None)
        known = reason if reason in _FINISH_REASONS else "stop"
        last = begun + self._write({}, finish_reason=known)
        counted = {**self._chunk, "choices": [], "usage": _usage(self._usage)}
        return last + (data_frame(counted) if self._usage else b"") + DONE

    def fail(self, error: Exception) -> bytes:
        """Write an error in the place of a chunk, as OpenAI does; then nothing more."""
        code = error.code if isinstance(error, ProviderError) else None
        told = {"message": self._error_text(error), "type": type(error).__name__, "code": code}
        if isinstance(error, SteerError):
            told["is_retryable"] = error.is_retryable  # type: ignore[assignment]
        return data_frame({"error": told})

    def _begin(self, event: StreamStartEvent) -> bytes:
        self._ending = None
        self._calls += len(self._indices)
        self._indices, self._names = {}, {}
        if self._chunk:
            self._is_joined = not self._has_words
            return b""
        self._chunk = {
            "id": f"chatcmpl-{event.stream_id}",
            "object": "chat.completion.chunk",
            "created": int(event.timestamp),
            "model": event.model,
        }
        return self._write({"role": "assistant", "content": ""})

    def _write(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return data_frame({**self._chunk, "choices": [choice]})

    def _delta(self, event: StreamDeltaEvent) -> dict[str, Any] | None:
        delta: Any = event.delta
        if isinstance(delta, str):
            return {"content": delta if self._is_joined else self._join(delta)}
        kind = event.kind
        if kind == "text":
            return {"content": self._join(event.get_text())}
        if kind == "reasoning":
            return {"reasoning_content": delta.get("text", "")}
        if kind == "refusal":
            return {"refusal": delta.get("text", "")}
        if kind == "tool_call":
            return {"tool_calls": [self._call(delta)]}
        if kind == "file":
            image = {"type": "image_url", "image_url": {"url": file_url(delta)}}
            return {"images": [image]}
        return None  # theirs has no word for it

    def _join(self, text: str) -> str:
        """The words of a turn, after a blank line where an earlier turn had some."""
        joined = text if self._is_joined or not self._has_words else f"\n\n{text}"
        self._is_joined = self._has_words = True
        return joined

    def _call(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        index = delta.get("index")
        is_new = index not in self._indices
        at = self._indices.setdefault(index, self._calls + len(self._indices))
        function = {key: delta[key] for key in ("name", "arguments") if delta.get(key) is not None}
        name, earlier = delta.get("name") or "", self._names.get(index, "")
        self._names[index] = name or earlier
        if not is_new:
            function.pop("name", None)
            if name != earlier and name.startswith(earlier):  # readers put the pieces together
                function["name"] = name[len(earlier) :]
            return {"index": at, "function": function}
        made = delta.get("id") or f"call_{self._chunk.get('id', '')}_{at}"
        return {"index": at, "id": made, "type": "function", "function": function}


def _usage(counts: Mapping[str, int]) -> dict[str, Any]:
    prompt, completion = counts.get(PROMPT, 0), counts.get(COMPLETION, 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": counts.get(TOTAL, prompt + completion),
        "prompt_tokens_details": {"cached_tokens": counts.get(CACHED, 0)},
        "completion_tokens_details": {"reasoning_tokens": counts.get(REASONING, 0)},
    }
