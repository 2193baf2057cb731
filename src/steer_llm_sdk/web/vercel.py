"""The UI message stream of Vercel's AI SDK, version 1.

https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol#data-stream-protocol
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.models.events import StreamCompleteEvent, StreamEvent, StreamStartEvent
from steer_llm_sdk.models.strict_json import strict_loads
from steer_llm_sdk.web.base import Call, Open, PartEncoder, file_url
from steer_llm_sdk.web.frames import COMMENT, DONE, data_frame, json_bytes

_FINISH_REASONS: Mapping[str | None, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "content_filter": "content-filter",
    "refusal": "content-filter",
}

# Which of their parts our kinds of words are.
_PARTS: Mapping[str, str] = {"reasoning": "reasoning"}


# Where an object ends, and its frame.
_END = b"}\n\n"


class VercelEncoder(PartEncoder):
    """Writes the parts of a UI message."""

    heartbeat = COMMENT

    def write_beginning(self, event: StreamStartEvent) -> bytes:
        """Write that the stream begins."""
        start = {"type": "start", "messageId": event.stream_id}
        return data_frame(start) + data_frame({"type": "start-step"})

    def write_turn(self, event: StreamStartEvent) -> bytes:  # noqa: ARG002
        """Write that a turn has ended and another begins."""
        return data_frame({"type": "finish-step"}) + data_frame({"type": "start-step"})

    def write_completion(self, event: StreamEvent | None) -> bytes:
        """Write that the answer is whole."""
        reason = event.finish_reason if isinstance(event, StreamCompleteEvent) else None
        finish = {
            "type": "finish",
            "finishReason": _FINISH_REASONS.get(reason, "other"),
            "messageMetadata": self._metadata(),
        }
        return data_frame({"type": "finish-step"}) + data_frame(finish) + DONE

    def write_failure(self, error: Exception) -> bytes:
        """Write that the stream has failed, or was stopped."""
        text = self._error_text(error)
        told = data_frame({"type": "message-metadata", "messageMetadata": self._metadata()})
        if isinstance(error, StreamCancelledError):
            return told + data_frame({"type": "abort", "reason": text}) + DONE
        return told + data_frame({"type": "error", "errorText": text}) + DONE

    def _metadata(self) -> dict[str, Any]:
        """What the turns took; there is no part of the protocol's own for it."""
        total: dict[str, int] = {}
        for spent in self._spent:
            for name, count in spent.usage.items():
                if isinstance(count, int):
                    total[name] = total.get(name, 0) + count
        last = self._spent[-1] if self._spent else None
        named = {} if last is None else {"provider": last.provider, "model": last.model}
        return {**named, "usage": total}

    def open_words(self, opened: Open) -> bytes:
        """Write that a part of words begins."""
        kind = _part(opened)
        words = {"type": f"{kind}-delta", "id": opened.id}
        opened.head = data_frame(words).removesuffix(_END) + b',"delta":'
        part = {"type": f"{kind}-start", "id": opened.id}
        if opened.kind in {"refusal", "commentary"}:
            part["providerMetadata"] = {"steer": {"kind": opened.kind}}  # type: ignore[assignment]
        return data_frame(part)

    def write_words(self, opened: Open, text: str) -> bytes:
        """Write words."""
        return opened.head + json_bytes(text) + _END

    def close_words(self, opened: Open) -> bytes:
        """Write that a part of words ends."""
        return data_frame({"type": f"{_part(opened)}-end", "id": opened.id})

    def open_call(self, call: Call) -> bytes:
        """Write that a call begins."""
        named = {"toolCallId": call.id, "toolName": call.name}
        return data_frame({"type": "tool-input-start", **named})

    def write_arguments(self, call: Call, piece: str) -> bytes:
        """Write a piece of a call's arguments."""
        named = {"type": "tool-input-delta", "toolCallId": call.id}
        return data_frame({**named, "inputTextDelta": piece})

    def close_call(self, call: Call, *, is_whole: bool) -> bytes:
        """Write the whole input of a call, or that it was cut."""
        named = {"toolCallId": call.id, "toolName": call.name}
        text = "".join(call.arguments)
        value: Any = text
        try:
            value = text if call.is_custom else strict_loads(text or "{}")
            if is_whole:
                return data_frame({"type": "tool-input-available", **named, "input": value})
        except (ValueError, RecursionError):
            value = text
        said = "the call was cut, or its arguments are no JSON"
        return data_frame({"type": "tool-input-error", **named, "input": value, "errorText": said})

    def write_result(self, result: Mapping[str, Any]) -> bytes:
        """Write what a tool has answered."""
        named = {"toolCallId": result["id"]}
        content = result["content"]
        if result.get("is_error"):
            said = content if isinstance(content, str) else json.dumps(content)
            return data_frame({"type": "tool-output-error", **named, "errorText": said})
        return data_frame({"type": "tool-output-available", **named, "output": content})

    def write_earlier_result(self, result: Mapping[str, Any]) -> bytes:
        """Write a call again with what its tool has answered: this message may not have it."""
        call = Call(result["id"], result["name"], [result.get("arguments") or ""])
        begun = self.open_call(call) + self.close_call(call, is_whole=True)
        return begun + self.write_result(result)

    def write_file(self, delta: Mapping[str, Any]) -> bytes:
        """Write a file that the model has made."""
        media_type = delta.get("media_type") or "application/octet-stream"
        return data_frame({"type": "file", "url": file_url(delta), "mediaType": media_type})

    def write_source(
        self,
        source: Mapping[str, Any],  # noqa: ARG002
        address: tuple[str, str | None] | None,
    ) -> bytes:
        """Write what words rest on, where that has an address."""
        if address is None:
            return b""
        url, title = address
        said = {"type": "source-url", "sourceId": self._next_id(), "url": url}
        return data_frame(said | ({} if title is None else {"title": title}))

    def write_other(self, kind: str, delta: Mapping[str, Any]) -> bytes:
        """Write a delta of another kind, such as a notice, which is not kept in the message."""
        return data_frame({"type": f"data-{kind}", "data": dict(delta), "transient": True})


def _part(opened: Open) -> str:
    return _PARTS.get(opened.kind, "text")
