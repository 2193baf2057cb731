"""What becomes of every word that the official SDKs know of streams: tables for the documentation.

Each family has a function that reads the words out of the SDK's own types and tries each on the
decoder, so that a new SDK shows what it brings by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from steer_llm_sdk.models.fragments import Extras, Failure, Finish, Fragment
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.wire.frame import Frame

UNKNOWN = "unknown"

# Fields that say nothing of the answer, or that are read into something of another name.
_READ: Mapping[str, str] = {
    "id": "the response's identifier",
    "model": "the response's model",
    "object": "padding",
    "created": "padding",
    "obfuscation": "padding",
    "choices": "read",
    "index": "read",
    "delta": "read",
    "function": "read",
    "type": "read",
    "usage": "the usage event",
    "finish_reason": "the finish reason",
    "role": "padding",
    "content": "text",
    "refusal": "a refusal",
    "tool_calls": "tool calls",
    "function_call": "a tool call",
    "logprobs": "the metadata of its words",
    "name": "the call's name",
    "arguments": "the call's arguments",
}


def words_of(annotation: object) -> Iterator[str]:
    """The words of a `Literal`, however deep it stands in an annotation."""
    if get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
    else:
        for inner in get_args(annotation):
            yield from words_of(inner)


def chat_completions() -> str:
    """The finish reasons and the fields of a chunk of chat completions."""
    from openai.types.chat import chat_completion_chunk as types

    reasons = words_of(types.Choice.model_fields["finish_reason"].annotation)
    rows = [("finish reason", word, _finish(word)) for word in reasons]
    for level, model in _levels(types):
        rows += [(level, name, _field(level, name)) for name in model.model_fields]
    return _table(rows)


def _levels(types: Any) -> Iterator[tuple[str, Any]]:
    yield "chunk", types.ChatCompletionChunk
    yield "choice", types.Choice
    yield "delta", types.ChoiceDelta
    yield "tool call", types.ChoiceDeltaToolCall
    yield "function", types.ChoiceDeltaToolCallFunction


def _decode(chunk: object) -> list[Fragment]:
    """The fragments of a chunk that comes when it is known who answers: on the quick road."""
    decoder = OpenAIChat().decoder("test")
    named = {"id": "r", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    decoder.decode(Frame(json.dumps(named).encode()))
    return list(decoder.decode(Frame(json.dumps(chunk).encode())))


def _finish(word: str) -> str:
    from steer_llm_sdk.providers.openai_chat.choice import FINISH_REASONS

    found = _decode({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]})[-1]
    if isinstance(found, Failure):
        return f"`{type(found.error).__name__}`"
    if not isinstance(found, Finish) or word not in FINISH_REASONS:
        return UNKNOWN
    return f"`finish_reason` is `{found.reason}`"


def _field(level: str, name: str) -> str:
    """What becomes of a field that stands in a chunk of words."""
    if level == "tool call" and name == "id":
        return "the call's identifier"
    if name in _READ:
        return _READ[name]
    sentinel = {"sentinel": 1}
    function: dict[str, Any] = {"name": "f", "arguments": "{}"}
    call: dict[str, Any] = {"index": 0, "id": "a", "function": function}
    chunk: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
    (choice,) = chunk["choices"]
    places: Mapping[str, Callable[[], dict[str, Any]]] = {
        "chunk": lambda: chunk,
        "choice": lambda: choice,
        "delta": lambda: choice["delta"],
        "tool call": lambda: call,
        "function": lambda: function,
    }
    if level in {"tool call", "function"}:
        choice["delta"] = {"tool_calls": [call]}
    places[level]()[name] = sentinel
    found = _decode(chunk)
    if any(isinstance(fragment, Extras) and name in fragment.metadata for fragment in found):
        return "kept in the events' metadata"
    return "kept with the call" if "sentinel" in repr(found) else UNKNOWN


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = [f"| {kind} | `{word}` | {outcome} |" for kind, word, outcome in rows]
    return "\n".join(["| what | word | what becomes of it |", "|---|---|---|", *lines])


FAMILIES: Mapping[str, Callable[[], str]] = {"chat-completions": chat_completions}
