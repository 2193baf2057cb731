"""The words of Cohere's chat, version 2, from the types of `cohere`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.cohere.decoder import FINISH_REASONS, Cohere, CohereDecoder
from steer_llm_sdk.providers.cohere.errors import FAILURES
from support.sdk_words.measuring import UNKNOWN, Road, Row
from support.sdk_words.samples import Sample, fields_of, tagged, words_of

_PADDING = "passes by: padding"
_ASKED_FOR = "passes by: it repeats the request"


def _end(word: str = "COMPLETE", **delta: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": word, **delta}}


_ROAD = Road(Cohere(), [{"type": "message-start", "id": "r", "delta": {"message": {}}}], [_end()])
_FIRST = Road(Cohere(), [], [_end()])


def cohere() -> Iterator[Row]:
    """Events, what stands in them, and how an answer ends."""
    from cohere import types
    from cohere.v2 import types as v2

    for word, model in tagged(v2.V2ChatStreamResponse):
        yield "event", word, _event(word, model)
    for field in fields_of(types.ChatContentDeltaEventDeltaMessageContent):
        sample = Sample(types.ChatContentDeltaEventDeltaMessageContent, field)
        yield "content", field, _said("content-delta", sample, {"content": sample.value})
    for field in fields_of(types.ToolCallV2):
        sample = Sample(types.ToolCallV2, type="function").only(field)
        nothing = _PADDING if field == "type" else UNKNOWN
        outcome = _said("tool-call-start", sample, {"tool_calls": sample.value}, nothing=nothing)
        yield "call", field, outcome
    for field in fields_of(types.Citation):
        sample = Sample(types.Citation).only(field)
        yield "citation", field, _said("citation-start", sample, {"citations": sample.value})
    for field in fields_of(types.ChatMessageEndEventDelta):
        if field != "finish_reason":
            sample = Sample(types.ChatMessageEndEventDelta, field)
            yield "end", field, _ROAD.outcome(sample, _end(**sample.value), is_last=True)
    for field in fields_of(types.Usage):
        sample = Sample(types.Usage).only(field)
        yield "usage", field, _ROAD.outcome(sample, _end(usage=sample.value), is_last=True)
    for word in words_of(types.ChatFinishReason):
        ending = _ROAD.ending(_end(word), is_last=True)
        yield "finish reason", word, ending if word in {*FINISH_REASONS, *FAILURES} else UNKNOWN


def _event(word: str, model: type[BaseModel]) -> str:
    """An event with all that it may have."""
    if word not in CohereDecoder._readers:
        return _ASKED_FOR if word == "debug" else UNKNOWN
    sample = Sample(model)
    if word == "message-end":
        return "the end of the stream"
    road = _FIRST if word == "message-start" else _ROAD
    return road.outcome(sample, {**sample.value, "type": word}, nothing="read")


def _said(word: str, sample: Sample, message: dict[str, Any], *, nothing: str = UNKNOWN) -> str:
    event = {"type": word, "index": 0, "delta": {"message": message}}
    closed = {"type": "tool-call-end", "index": 0}
    return _ROAD.outcome(sample, event, closed, nothing=nothing)
