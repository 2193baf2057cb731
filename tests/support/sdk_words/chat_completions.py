"""The words of chat completions, from the types of `openai`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.endings import FINISH_REASONS
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from support.sdk_words.measuring import UNKNOWN, Road, Row
from support.sdk_words.samples import Sample, fields_of, words_of

# What says nothing of an answer.
_PADDING = {
    "chunk": {"created", "object", "obfuscation"},
    "delta": {"role"},
    "tool call": {"type"},
}


def _chunk(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]}


_NAMED = _chunk({"role": "assistant"}) | {"id": "r", "model": "m"}
_ROAD = Road(OpenAIChat(), [_NAMED], [_chunk({}, finish_reason="stop")])
_CALL = {"index": 1, "id": "d", "function": {"name": "g", "arguments": "{}"}}
_CALLED = Road(
    OpenAIChat(), [_NAMED, _chunk({"tool_calls": [_CALL]})], [_chunk({}, finish_reason="stop")]
)
_ROADS = {
    "chunk": Road(OpenAIChat(), [], [_chunk({}, finish_reason="stop")]),  # it says who answers
    "tool call": _CALLED,
    "function": _CALLED,
}


def chat_completions() -> Iterator[Row]:
    """The finish reasons and the fields of a chunk."""
    from openai.types import CompletionUsage
    from openai.types.chat import chat_completion_chunk as types

    for word in words_of(fields_of(types.Choice)["finish_reason"]):
        ending = _ROAD.ending(_chunk({}, finish_reason=word), is_last=True)
        yield "finish reason", word, ending if word in FINISH_REASONS else UNKNOWN
    levels: dict[str, type[BaseModel]] = {
        "chunk": types.ChatCompletionChunk,
        "choice": types.Choice,
        "delta": types.ChoiceDelta,
        "tool call": types.ChoiceDeltaToolCall,
        "function": types.ChoiceDeltaToolCallFunction,
    }
    for level, model in levels.items():
        for field in fields_of(model):
            yield level, field, _field(level, field, model)
    for field in fields_of(CompletionUsage):
        sample = Sample(CompletionUsage).only(field)
        yield "usage", field, _ROAD.outcome(sample, {"choices": [], "usage": sample.value})


def _field(level: str, field: str, model: type[BaseModel]) -> str:
    """What becomes of a field that stands in a chunk of words, on the quick road."""
    if field in {"index", "choices", "delta", "function", "finish_reason"}:
        return "read"
    sample = Sample(model, field)
    nothing = "passes by: padding" if field in _PADDING.get(level, ()) else UNKNOWN
    return _ROADS.get(level, _ROAD).outcome(sample, _with(level, sample.value), nothing=nothing)


def _with(level: str, value: dict[str, Any]) -> dict[str, Any]:
    """A chunk with these fields at a level, beside an ordinary answer."""
    if level == "chunk":
        return _chunk({"content": "a"}) | value
    if level == "choice":
        return _chunk({"content": "a"}, **value)
    if level == "delta":
        return _chunk({"content": "a"} | value)
    function = {"name": "f", "arguments": "{}"} | (value if level == "function" else {})
    call = {"index": 0, "id": "c", "function": function}
    return _chunk({"tool_calls": [call | (value if level == "tool call" else {})]})
