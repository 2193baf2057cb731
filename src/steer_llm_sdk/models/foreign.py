"""Turns of other libraries' histories, as the mappings that messages are read from.

The items of OpenAI's Responses and the contents of Gemini are no messages with ``role`` and
``content``; as dictionaries, or as the official SDKs' objects, they may stand among messages.
Several items are one turn of the assistant: its reasoning, its words, its calls.
"""

from __future__ import annotations

import itertools
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
    "video_metadata": "videoMetadata",
    "media_resolution": "mediaResolution",
    "mime_type": "mimeType",
    "file_uri": "fileUri",
}


def is_item_type(kind: object) -> bool:
    """Whether a part is an item of the Responses API, which only that API wants back."""
    return isinstance(kind, str) and (
        kind.endswith(("_call", "_call_output", *_OWN)) or kind in _BESIDE or kind == "reasoning"
    )


# Whose turn a content of Gemini is; its answers to calls go by any of three names.
_ROLES: Mapping[str, str] = {"model": "assistant", "tool": "user", "function": "user"}

# What is known of a part of Gemini's that holds a file; one that says more stays as it is.
_OF_FILES = frozenset({"inlineData", "fileData", "thoughtSignature"})

# By which a part without a type is known as one of Gemini's.
_OF_GEMINI = frozenset({*_CAMEL, *_CAMEL.values()}) - {"mime_type", "mimeType"}


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
    calls = _GeminiCalls()
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
        yield where, _as_message(item, calls)
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
        turn.content += _listed(content)
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


def _listed(content: Any) -> list[Any]:
    """What may be one thing or a list of them; whether it is of a message is told later."""
    if content is None:
        return []
    return content if isinstance(content, list) else [content]


def _as_message(item: Any, calls: _GeminiCalls) -> Any:
    if not isinstance(item, Mapping):
        return item
    if "parts" in item and "content" not in item:
        role = item.get("role") or "user"
        known = _ROLES.get(role, role) if isinstance(role, str) else role
        return {"role": known, **_of_gemini(_listed(item["parts"]), calls)}
    content = item.get("content")
    if isinstance(content, list) and any(map(_is_gemini_part, content)):
        return {**item, **_of_gemini(content, calls)}
    kind = item.get("type")
    if "role" in item or not isinstance(kind, str):
        return item
    if kind in _ANSWERS:
        return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
    return {"role": "user", "content": [dict(item)]} if kind.endswith(_OWN) else item


# --- Gemini -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _GeminiCalls:
    """The calls in Gemini's contents: which answer belongs to which of them.

    Neither need have an identifier: an answer without one belongs to the first call of its function
    that waits for one, and a call without one is named after its function.

    Attributes:
        waiting: The functions that were called and have not answered, each with its identifier.
        taken: All identifiers.
    """

    waiting: list[tuple[object, object]] = field(default_factory=list)
    taken: list[object] = field(default_factory=list)

    def begin(self, call: Mapping[str, Any]) -> object:
        """The identifier of a call."""
        name = call.get("name")
        identifier = call.get("id") or self._free(name)
        self.taken.append(identifier)
        self.waiting.append((name, identifier))
        return identifier

    def end(self, answer: Mapping[str, Any]) -> object:
        """The identifier of the call that is answered."""
        name, given = answer.get("name"), answer.get("id")
        for called, identifier in self.waiting:
            if identifier == given if given else called == name:
                self.waiting.remove((called, identifier))
                return identifier
        return given or name

    def _free(self, name: object) -> object:
        names = (name if count == 1 else f"{name}-{count}" for count in itertools.count(1))
        return next(each for each in names if each not in self.taken)


def _is_gemini_part(part: object) -> bool:
    return isinstance(part, Mapping) and "type" not in part and not _OF_GEMINI.isdisjoint(part)


def _of_gemini(parts: Iterable[Any], calls: _GeminiCalls) -> _Fields:
    """What a message of Gemini's parts holds; the thoughts that they show are not sent back."""
    blocks: list[Any] = []
    extra: _Fields = {}
    for part in parts:
        plain = _with_camel(part)
        if isinstance(plain, dict) and plain.get("thought"):
            continue
        if isinstance(plain, dict) and "text" in plain and "thoughtSignature" in plain:
            extra["thoughtSignature"] = plain.pop("thoughtSignature")
        blocks.append(_gemini_block(plain, calls))
    return {"content": blocks, **extra}


def _with_camel(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    return {
        _CAMEL.get(key, key): _with_camel(value) if key in _NESTED else value
        for key, value in part.items()
    }


_NESTED = frozenset({"inline_data", "inlineData", "file_data", "fileData"})


def _gemini_block(part: Any, calls: _GeminiCalls) -> Any:
    if not isinstance(part, dict):
        return part
    if isinstance(call := part.get("functionCall"), Mapping):
        rest = {key: value for key, value in part.items() if key != "functionCall"}
        about = {"id": calls.begin(call), "name": call.get("name")}
        return {"type": "tool_use", **about, "input": call.get("args") or {}, **rest}
    if isinstance(answer := part.get("functionResponse"), Mapping):
        shown = [_gemini_block(_with_camel(each), calls) for each in _listed(answer.get("parts"))]
        return {
            "type": "tool_result",
            "tool_use_id": calls.end(answer),
            "content": [_text(answer.get("response")), *shown],
        }
    return _gemini_file(part) if part.keys() <= _OF_FILES else part


def _gemini_file(part: _Fields) -> _Fields:
    if isinstance(data := part.get("inlineData"), Mapping):
        held = data.get("data")
        if isinstance(held, str):  # the SDK's objects write base64 for URLs
            held = held.translate(_FROM_URL_ALPHABET)
        return {"type": "file", "data": held, "media_type": data.get("mimeType")}
    if isinstance(file := part.get("fileData"), Mapping):
        return {"type": "file", "url": file.get("fileUri"), "media_type": file.get("mimeType")}
    return part


_FROM_URL_ALPHABET = str.maketrans("-_", "+/")


def _text(response: object) -> str:
    import msgspec

    return response if isinstance(response, str) else msgspec.json.encode(response).decode()
