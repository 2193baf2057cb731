"""The words of Ollama's chat, from the types of `ollama`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.ollama.decoder import Ollama
from support.sdk_words.measuring import UNKNOWN, Road, Row, line
from support.sdk_words.samples import Sample, fields_of

_PADDING = "passes by: padding"


def _line(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": ""} | message, "done": False} | fields


_END = _line({}, done=True, done_reason="stop")
_ROAD = Road(Ollama(), [_line({"content": "a"}, model="m")], [_END], write=line)
_FIRST = Road(Ollama(), [], [_END], write=line)


def ollama() -> Iterator[Row]:
    """Fields of a line, a message and a call."""
    from ollama import ChatResponse, Message

    for field in fields_of(ChatResponse):
        yield "line", field, _field(field, ChatResponse)
    for field in fields_of(Message):
        yield "message", field, _said(field, Message)
    for field in fields_of(Message.ToolCall.Function):
        yield "function", field, _called(Sample(Message.ToolCall.Function).only(field))


def _field(field: str, model: type[BaseModel]) -> str:
    if field in {"message", "done", "done_reason"}:
        return "read"
    sample = Sample(model, field)
    nothing = _PADDING if field == "created_at" else UNKNOWN
    if field in {"model", "logprobs"}:
        return _FIRST.outcome(sample, _line({"content": "a"}) | sample.value)
    whole = Sample(model, message={}, done=True, done_reason="stop", logprobs=None).only(field)
    return _ROAD.outcome(whole, whole.value, is_last=True, nothing=nothing)


def _said(field: str, model: type[BaseModel]) -> str:
    sample = Sample(model, field)
    nothing = _PADDING if field == "role" else UNKNOWN
    return _ROAD.outcome(sample, _line(sample.value), nothing=nothing)


def _called(sample: Sample) -> str:
    return _ROAD.outcome(sample, _line({"tool_calls": [{"function": sample.value}]}))
