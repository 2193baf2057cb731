"""The words of Gemini, from the types of `google-genai`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.gemini.decoder import FINISH_REASONS, Gemini
from steer_llm_sdk.providers.gemini.errors import FAILED_FINISHES
from support.sdk_words.measuring import UNKNOWN, Road, Row
from support.sdk_words.samples import Sample, fields_of, words_of

_ABSENT = frozenset(
    {"sdkHttpResponse", "automaticFunctionCallingHistory", "parsed"}
)  # no field of the wire


def _chunk(*parts: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts)}
    return {"candidates": [{"content": content, "index": 0, **candidate}]}


_NAMED = _chunk({"text": "a"})
_END = _chunk({"text": "z"}, finishReason="STOP")
_ROAD = Road(Gemini(), [_NAMED], [_END])


def gemini() -> Iterator[Row]:
    """Fields of a response, a candidate, a part and a call; and how an answer ends."""
    from google.genai import types

    for field in fields_of(types.GenerateContentResponse):
        if field not in _ABSENT:
            yield "response", field, _response(field, types.GenerateContentResponse)
    for field in fields_of(types.Candidate):
        yield "candidate", field, _candidate(field, types.Candidate)
    for field in fields_of(types.Content):
        yield "content", field, "read" if field == "parts" else "passes by: padding"
    for field in fields_of(types.Part):
        yield "part", field, _part(field, types.Part)
    for field in fields_of(types.FunctionCall):
        yield "function call", field, _call(field, types.FunctionCall)
    for field in fields_of(types.GenerateContentResponseUsageMetadata):
        sample = Sample(types.GenerateContentResponseUsageMetadata).only(field)
        yield "usage", field, _ROAD.outcome(sample, _END | {"usageMetadata": sample.value})
    for word in words_of(types.FinishReason):
        yield "finish reason", word, _finish(word)
    for word in words_of(types.BlockedReason):
        yield (
            "block reason",
            word,
            _ROAD.ending({"promptFeedback": {"blockReason": word}}, is_last=True),
        )


def _response(field: str, model: type[BaseModel]) -> str:
    if field == "candidates":
        return "read"
    sample = Sample(model, field)
    if field == "promptFeedback":
        sample.value[field].pop("blockReason")
    return _ROAD.outcome(sample, _chunk({"text": "b"}) | sample.value)


def _candidate(field: str, model: type[BaseModel]) -> str:
    if field in {"content", "finishReason", "index"}:
        return "read"
    sample = Sample(model, field)
    return _ROAD.outcome(sample, _chunk({"text": "b"}, **sample.value))


def _part(field: str, model: type[BaseModel]) -> str:
    """A field alone, or beside words where it says something of them."""
    if field == "thought":
        return "reasoning, where it is true"
    sample = Sample(model, field)
    alone = _ROAD.outcome(sample, _chunk(sample.value))
    beside = _ROAD.outcome(sample, _chunk({"text": "b"} | sample.value))
    return alone if UNKNOWN not in beside else UNKNOWN


def _call(field: str, model: type[BaseModel]) -> str:
    if field == "willContinue":
        return "read"
    sample = Sample(model, field)
    if field == "partialArgs":
        sample.value[field][0] = {
            "jsonPath": "$.a",
            "stringValue": sample.value[field][0]["stringValue"],
        }
    return _ROAD.outcome(sample, _chunk({"functionCall": {"name": "f"} | sample.value}))


def _finish(word: str) -> str:
    is_known = word in {*FINISH_REASONS, *FAILED_FINISHES, "FINISH_REASON_UNSPECIFIED"}
    ending = _ROAD.ending(_chunk({"text": "b"}, finishReason=word), is_last=True)
    return ending if is_known else UNKNOWN
