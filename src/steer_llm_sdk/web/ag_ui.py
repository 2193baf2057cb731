"""The Agent User Interaction Protocol, version 1.0.

https://docs.ag-ui.com/concepts/events
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.models.events import StreamCompleteEvent, StreamEvent, StreamStartEvent
from steer_llm_sdk.models.usage import (
    CACHE_WRITE,
    CACHED,
    COMPLETION,
    PROMPT,
    REASONING,
    TOTAL,
)
from steer_llm_sdk.web.base import Call, ErrorText, Open, PartEncoder, Spent, file_url
from steer_llm_sdk.web.frames import COMMENT, data_frame

_VERSION = "1.0"

# What of reasoning is no payload: its words, what it is called, and how it is written.
_READABLE = frozenset({"type", "text", "id", "format"})

_COUNTS: Mapping[str, str] = {
    PROMPT: "inputTokens",
    COMPLETION: "outputTokens",
    TOTAL: "totalTokens",
    REASONING: "reasoningTokens",
    CACHED: "cachedInputTokens",
    CACHE_WRITE: "cacheWriteInputTokens",
}


class AGUIEncoder(PartEncoder):
    """Writes the events of a run of an agent.

    Args:
        error_text: What is said of an error.
        thread_id: The conversation; the stream's identifier, where there is none.
        run_id: The run; the stream's identifier, where there is none.
    """

    heartbeat = COMMENT

    def __init__(
        self, error_text: ErrorText, thread_id: str | None = None, run_id: str | None = None
    ) -> None:
        super().__init__(error_text)
        self._thread_id = thread_id
        self._run_id = run_id
        self._message_id: str | None = None  # of the turn, which its calls belong to
        self._pending: list[str] = []  # calls that nobody has answered

    @property
    def _run(self) -> dict[str, str]:
        return {
            "threadId": self._thread_id or self._stream_id or "stream",
            "runId": self._run_id or self._stream_id or "stream",
        }

    def write_beginning(self, event: StreamStartEvent) -> bytes:
        """Write that the run begins."""
        at = {"timestamp": int(event.timestamp * 1000)}
        started = {"type": "RUN_STARTED", **at, **self._run, "protocolVersion": _VERSION}
        return data_frame(started)

    def write_turn(self, event: StreamStartEvent) -> bytes:  # noqa: ARG002
        """Write nothing: turns are told by their messages."""
        self._message_id = None
        return b""

    def write_completion(self, event: StreamEvent | None) -> bytes:
        """Write that the run has ended well."""
        outcome: dict[str, Any] = {"type": "success"}
        if self._pending:
            outcome["pendingToolCallIds"] = self._pending
        reason = event.finish_reason if isinstance(event, StreamCompleteEvent) else None
        result = {} if reason is None else {"result": {"finishReason": reason}}
        return self._finish(outcome, result)

    def write_failure(self, error: Exception) -> bytes:
        """Write that the run has failed, or was stopped."""
        if isinstance(error, StreamCancelledError):
            return self._finish({"type": "cancelled"}, {})
        told = {"message": self._error_text(error), "code": type(error).__name__}
        return data_frame({"type": "RUN_ERROR", **told, **self._usage()})

    def _finish(self, outcome: Mapping[str, Any], result: Mapping[str, Any]) -> bytes:
        finished = {"type": "RUN_FINISHED", **self._run, **result, "outcome": outcome}
        return data_frame(finished | self._usage())

    def _usage(self) -> dict[str, Any]:
        return {"usage": [_usage(spent) for spent in self._spent]} if self._spent else {}

    def open_words(self, opened: Open) -> bytes:
        """Write that a message of words or of reasoning begins."""
        named = {"messageId": opened.id}
        if opened.kind == "reasoning":
            role = {"role": "reasoning"}
            return data_frame({"type": "REASONING_START", **named}) + data_frame(
                {"type": "REASONING_MESSAGE_START", **named, **role}
            )
        self._message_id = opened.id
        kind = {} if opened.kind == "text" else {"metadata": {"kind": opened.kind}}
        return data_frame({"type": "TEXT_MESSAGE_START", **named, "role": "assistant", **kind})

    def write_words(self, opened: Open, text: str) -> bytes:
        """Write words."""
        return data_frame(
            {
                "type": "REASONING_MESSAGE_CONTENT"
                if opened.kind == "reasoning"
                else "TEXT_MESSAGE_CONTENT",
                "messageId": opened.id,
                "delta": text,
            }
        )

    def close_words(self, opened: Open) -> bytes:
        """Write that a message ends."""
        named = {"messageId": opened.id}
        if opened.kind != "reasoning":
            return data_frame({"type": "TEXT_MESSAGE_END", **named})
        return data_frame({"type": "REASONING_MESSAGE_END", **named}) + data_frame(
            {"type": "REASONING_END", **named}
        )

    def write_attached(self, opened: Open | None, delta: Mapping[str, Any]) -> bytes:
        """Write what a provider wants back with its reasoning, and nobody can read."""
        if opened is None or opened.kind != "reasoning":
            return b""
        values = [
            value
            for name, value in delta.items()
            if name not in _READABLE and isinstance(value, str) and value
        ]
        named = {"type": "REASONING_ENCRYPTED_VALUE", "subtype": "message", "entityId": opened.id}
        return b"".join(data_frame({**named, "encryptedValue": value}) for value in values)

    def open_call(self, call: Call) -> bytes:
        """Write that a call begins."""
        self._pending.append(call.id)
        if self._message_id is None:  # parallel calls are of one message, also without words
            self._message_id = self._next_id()
        named = {"toolCallId": call.id, "toolCallName": call.name}
        parent = {"parentMessageId": self._message_id}
        return data_frame({"type": "TOOL_CALL_START", **named, **parent})

    def write_arguments(self, call: Call, piece: str) -> bytes:
        """Write a piece of a call's arguments."""
        return data_frame({"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": piece})

    def close_call(self, call: Call, *, is_whole: bool) -> bytes:
        """Write that a call ends; one that was cut is nobody's to answer."""
        if not is_whole:
            self._pending.remove(call.id)
        return data_frame({"type": "TOOL_CALL_END", "toolCallId": call.id})

    def write_result(self, result: Mapping[str, Any]) -> bytes:
        """Write what a tool has answered."""
        if result["id"] in self._pending:
            self._pending.remove(result["id"])
        content = result["content"]
        named = {"messageId": self._next_id(), "toolCallId": result["id"], "role": "tool"}
        text = content if isinstance(content, str) else json.dumps(content)
        return data_frame({"type": "TOOL_CALL_RESULT", **named, "content": text})

    def write_earlier_result(self, result: Mapping[str, Any]) -> bytes:
        """Write what a tool has answered: the conversation has its call already."""
        return self.write_result(result)

    def write_file(self, delta: Mapping[str, Any]) -> bytes:
        """Write a file that the model has made: the protocol has no event of its own for it."""
        value = {"url": file_url(delta), "mediaType": delta.get("media_type", "")}
        return data_frame({"type": "CUSTOM", "name": "file", "value": value})

    def write_source(
        self,
        source: Mapping[str, Any],
        address: tuple[str, str | None] | None,  # noqa: ARG002
    ) -> bytes:
        """Write what words rest on."""
        return data_frame({"type": "CUSTOM", "name": "citation", "value": dict(source)})

    def write_other(self, kind: str, delta: Mapping[str, Any]) -> bytes:
        """Write a delta of another kind, such as a notice."""
        return data_frame({"type": "CUSTOM", "name": kind, "value": dict(delta)})


def _usage(spent: Spent) -> dict[str, Any]:
    counts = {
        theirs: spent.usage[ours] for ours, theirs in _COUNTS.items() if spent.usage.get(ours)
    }
    return {"provider": spent.provider, "model": spent.model, **counts}
