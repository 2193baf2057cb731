"""The further choices of an answer: what an event's metadata shows, and what they add up to."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.answer.deltas import call_delta, reasoning_delta
from steer_llm_sdk.models.fragments import (
    Extras,
    OtherChoice,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
)


class OtherChoices:
    """Puts further choices together, each as ``{"text", "tool_calls", "finish_reason"}``."""

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = {}
        self._calls: dict[int, dict[int, dict[str, Any]]] = {}
        self._reasons: dict[int, str] = {}
        self._seen: set[int] = set()

    def take(self, other: OtherChoice) -> dict[str, Any]:
        """Add a piece; gives it as an event's ``metadata["choices"]`` shows it."""
        index, fragment = other.index, other.fragment
        self._seen.add(index)
        piece: dict[str, Any] = {"index": index}
        match fragment:
            case str() | Text():
                text = fragment if isinstance(fragment, str) else fragment.text
                self._texts.setdefault(index, []).append(text)
                piece["delta"] = text
                if isinstance(fragment, Text):
                    piece["metadata"] = fragment.metadata
            case Reasoning():
                piece["delta"] = reasoning_delta(fragment)
            case Refusal():
                piece["delta"] = {"type": "refusal", "text": fragment.text}
            case ToolCallPiece():
                piece["delta"] = self._add_call(index, fragment)
            case Extras():
                piece["metadata"] = fragment.metadata
            case _:
                self._reasons[index] = fragment.provider_reason
                piece["finish_reason"] = fragment.reason
        return piece

    def as_dict(self) -> dict[int, dict[str, Any]]:
        """The choices by their index; the finish reason in the provider's word."""
        return {
            index: {
                "text": "".join(self._texts.get(index, ())),
                "tool_calls": [
                    call | {"arguments": "".join(call["arguments"])}
                    for _, call in sorted(self._calls.get(index, {}).items())
                ],
                "finish_reason": self._reasons.get(index),
            }
            for index in sorted(self._seen)
        }

    def _add_call(self, index: int, piece: ToolCallPiece) -> dict[str, Any]:
        calls = self._calls.setdefault(index, {})
        call = calls.setdefault(piece.index, {"id": None, "name": None, "arguments": []})
        call["id"] = piece.id or call["id"]
        call["name"] = piece.name or call["name"]
        call["arguments"].append(piece.arguments)
        return call_delta(piece, call["id"], call["name"])
