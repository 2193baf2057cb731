"""Turns of other libraries' histories, as the mappings that messages are read from.

The items of OpenAI's Responses and the contents of Gemini are no messages with ``role`` and
``content``; as dictionaries, or as the official SDKs' objects, they may stand among messages.
Several items are one turn of the assistant: its reasoning, its words, its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_Fields = dict[str, Any]

# Items that say what a tool of the caller's answered.
_ANSWERS = frozenset({"function_call_output", "custom_tool_call_output"})

# Items of the caller's that stand for themselves.
_OWN = ("_output", "_approval_response")

# What else stands beside the words of an assistant's turn.
_BESIDE = frozenset({"compaction", "item_reference", "mcp_approval_request", "mcp_list_tools"})

# The keys of Gemini's parts, as its SDK calls them in Python.
_CAMEL: Mapping[str, str] = {
    "function_call": "functionCall",
    "function_response": "functionResponse",
    "inline_data": "inlineData",
    "file_data": "fileData",
    "thought_signature": "thoughtSignature",
    "mime_type": "mimeType",
    "file_uri": "fileUri",
}


def is_item_type(kind: object) -> bool:
    """Whether a part is an item of the Responses API, which only that API wants back."""
    return isinstance(kind, str) and (
        kind.endswith(("_call", "_call_output", *_OWN)) or kind in _BESIDE or kind == "reasoning"
    )


@dataclass(slots=True)
class _Turn:
    """A turn of the assistant that is being gathered from items."""

    content: list[Any] = field(default_factory=list)
    calls: list[_Fields] = field(default_factory=list)
    extra: _Fields = field(default_factory=dict)
    has_words: bool = False

    def fields(self) -> _Fields:
        """The turn as a message."""
        calls = {"tool_calls": self.calls} if self.calls else {}
        return {"role": "assistant", "content": self.content, **calls, **self.extra}


def as_messages(found: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Give messages for items and contents, each with its place; messages pass as they are.

    Args:
        found: What the caller passed, as plain JSON where it is, each with its place.
    """
    turn: _Turn | None = None
    for where, item in found:
        if _is_of_assistant(item):
            if turn is not None and turn.has_words and item["type"] == "message":
                yield where, turn.fields()
                turn = None
            turn = turn or _Turn()
            _gather(turn, item)
            continue
        if turn is not None:
            yield where, turn.fields()
            turn = None
        yield where, _as_message(item)
    if turn is not None:
        yield where, turn.fields()


def _is_of_assistant(item: object) -> bool:
    if not isinstance(item, Mapping):
        return False
    kind = item.get("type")
    if kind == "message":
        return item.get("role") == "assistant"
    is_other = isinstance(kind, str) and kind.endswith(_OWN)
    return "role" not in item and is_item_type(kind) and not is_other


def _gather(turn: _Turn, item: Mapping[str, Any]) -> None:
    kind = item["type"]
    if kind == "message":
        content = item.get("content")
        turn.content += [content] if isinstance(content, str) else list(content or ())
        turn.has_words = True
        if item.get("phase") is not None:
            turn.extra["phase"] = item["phase"]
    elif kind == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments", "")}
        turn.calls.append({"id": item.get("call_id"), "type": "function", "function": function})
    elif kind == "custom_tool_call":
        custom = {"name": item.get("name"), "input": item.get("input", "")}
        turn.calls.append({"id": item.get("call_id"), "type": "custom", "custom": custom})
    else:
        turn.content.append(dict(item))


def _as_message(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    if "parts" in item and "content" not in item:
        return _of_gemini(item)
    kind = item.get("type")
    if "role" in item or not isinstance(kind, str):
        return item
    if kind in _ANSWERS:
        return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
    return {"role": "user", "content": [dict(item)]} if kind.endswith(_OWN) else item


# --- Gemini -------------------------------------------------------------------------------------


def _of_gemini(content: Mapping[str, Any]) -> _Fields:
    """A content of Gemini as a message; the thoughts that it shows are not sent back."""
    role = content.get("role") or "user"
    blocks: list[Any] = []
    extra: _Fields = {}
    for part in content["parts"] or ():
        plain = _with_camel(part)
        if isinstance(plain, dict) and plain.get("thought"):
            continue
        if isinstance(plain, dict) and "text" in plain and "thoughtSignature" in plain:
            extra["thoughtSignature"] = plain.pop("thoughtSignature")
        blocks.append(_gemini_block(plain))
    return {"role": {"model": "assistant"}.get(role, role), "content": blocks, **extra}


def _with_camel(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    return {
        _CAMEL.get(key, key): _with_camel(value) if key in _NESTED else value
        for key, value in part.items()
    }


_NESTED = frozenset({"inline_data", "inlineData", "file_data", "fileData"})


def _gemini_block(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if call := part.get("functionCall"):
        rest = {key: value for key, value in part.items() if key != "functionCall"}
        about = {"id": call.get("id") or call.get("name"), "name": call.get("name")}
        return {"type": "tool_use", **about, "input": call.get("args") or {}, **rest}
    if answer := part.get("functionResponse"):
        return {
            "type": "tool_result",
            "tool_use_id": answer.get("id") or answer.get("name"),
            "content": _text(answer.get("response")),
        }
    if data := part.get("inlineData"):
        # The SDK's objects write base64 for URLs.
        words = str(data.get("data")).translate(_FROM_URL_ALPHABET)
        return {"type": "file", "data": words, "media_type": data.get("mimeType")}
    if file := part.get("fileData"):
        return {"type": "file", "url": file.get("fileUri"), "media_type": file.get("mimeType")}
    return part


_FROM_URL_ALPHABET = str.maketrans("-_", "+/")


def _text(response: object) -> str:
    import msgspec

    return response if isinstance(response, str) else msgspec.json.encode(response).decode()
