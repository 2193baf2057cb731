"""The deltas that are objects and carry fields of the provider's own: reasoning, and tool calls.

What the library says under a name stands: a provider's field of the same name is kept in the part's
``provider_data`` and in no delta, where it would make another thing of it (a ``type`` inside of a
function made a tool call something that nobody knows).
"""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.fragments import Reasoning, ToolCallPiece

# The names of a tool call's delta, those that only some calls have included.
CALL_NAMES = frozenset({"type", "index", "id", "name", "arguments", "call_type"})
_THOUGHT_NAMES = frozenset({"type", "text"})


def reasoning_delta(thought: Reasoning) -> dict[str, Any]:
    """A piece of reasoning, with what seals it."""
    delta: dict[str, Any] = {"type": "reasoning", "text": thought.text}
    return _with_fields(delta, thought.extra, _THOUGHT_NAMES)


def call_delta(piece: ToolCallPiece, identifier: str | None, name: str | None) -> dict[str, Any]:
    """A piece of a tool call, under the identifier and the name that are known of the call."""
    delta: dict[str, Any] = {
        "type": "tool_call",
        "index": piece.index,
        "id": identifier,
        "name": name,
        "arguments": piece.arguments,
    }
    if piece.type != "function":
        delta["call_type"] = piece.type
    return _with_fields(delta, piece.extra, CALL_NAMES)


def _with_fields(
    delta: dict[str, Any], fields: dict[str, Any] | None, taken: frozenset[str]
) -> dict[str, Any]:
    if fields:
        delta.update((key, value) for key, value in fields.items() if key not in taken)
    return delta
