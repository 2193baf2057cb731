"""The words of the Responses API, from the types of `openai`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses, ResponsesDecoder
from steer_llm_sdk.providers.openai_responses.end import INCOMPLETE
from steer_llm_sdk.providers.openai_responses.unknown import PASSING, RESPONSE_FIELDS
from support.sdk_words.measuring import UNKNOWN, Road, Row
from support.sdk_words.samples import Sample, fields_of, tagged, words_in, words_of

# What is said of a word that says nothing by itself.
_PASSES = "passes by: the item is kept when it is closed"
_SAID_AGAIN = "passes by: what closes it says it again"
_PADDING = "passes by: it repeats the request, or is padding"

_CREATED = {"type": "response.created", "response": {"id": "r"}}
_WITHIN = {"item_id": "i", "output_index": 0, "content_index": 0, "summary_index": 0}
_PLACE = _WITHIN | {"sequence_number": 1, "annotation_index": 0}

# A call without arguments of its own: those that came before it are its arguments.
_CALLS = {
    "function_call_arguments": {"type": "function_call", "call_id": "c", "name": "f"},
    "custom_tool_call_input": {"type": "custom_tool_call", "call_id": "c", "name": "f"},
}


def _final(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = {"id": "r", "status": "completed", "output": list(output), **fields}
    return {"type": "response.completed", "response": response}


_KNOWN = {*PASSING, *ResponsesDecoder._EVENTS, *ResponsesDecoder._DELTAS}
_KNOWN |= {"response.output_text.delta"}

_ROAD = Road(OpenAIResponses(), [_CREATED], [_final()])


def responses() -> Iterator[Row]:
    """Events, what they hold, and how a response ends."""
    from openai.types import responses as types
    from openai.types.responses import response_content_part_done_event as parts
    from openai.types.responses import response_output_text as texts

    response = fields_of(types.Response)
    for word, model in tagged(types.ResponseStreamEvent):
        yield "event", word, _event(word, model, types.Response)
    for word, model in tagged(types.ResponseOutputItem):
        yield "output item", word, _item(Sample(model, phase=None))
    for word in words_of(fields_of(types.ResponseOutputMessage)["phase"]):
        yield "phase", word, _item(Sample(types.ResponseOutputMessage, phase=word))
    for word, model in tagged(parts.Part):
        yield "content part", word, _part(word, Sample(model, annotations=None, logprobs=None))
    for word, model in tagged(texts.Annotation):
        yield "annotation", word, _annotation(Sample(model))
    for field in response:
        yield "response", field, _field(field, types.Response)
    for field in fields_of(types.ResponseUsage):
        sample = Sample(types.ResponseUsage).only(field)
        yield "usage", field, _ROAD.outcome(sample, _final(usage=sample.value), is_last=True)
    for word in words_of(response["status"]):
        yield "status", word, _ROAD.ending(_final(status=word), is_last=True)
    for word in words_in(response["incomplete_details"], "reason"):
        yield "incomplete", word, _incomplete(word)
    for word in words_of(fields_of(types.ResponseError)["code"]):
        yield "error code", word, _code(word)


def _event(word: str, model: type[BaseModel], response: type[BaseModel]) -> str:
    """An event with all that it may have; one that holds a response, with who answers."""
    if "response" in model.model_fields:
        sample = Sample(response, "id", "model")
        return _ROAD.outcome(sample, {"type": word, "response": sample.value | {"output": []}})
    sample = Sample(model, **_PLACE)
    if word == "response.function_call_arguments.delta":
        sample.value["delta"] = json.dumps({sample.value["delta"]: 1})
    call = next((call for kind, call in _CALLS.items() if kind in word), None)
    after = () if call is None else (_done(call), _final(call))
    nothing = _PASSES if word in PASSING else _SAID_AGAIN
    outcome = _ROAD.outcome(sample, sample.value, *after, is_last=bool(after), nothing=nothing)
    return outcome if word in _KNOWN else UNKNOWN


def _done(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": 0, "item": item}


def _item(sample: Sample) -> str:
    item = sample.value
    return _ROAD.outcome(sample, _done(item), _final(item), is_last=True)


def _part(word: str, sample: Sample) -> str:
    """A part that is closed; one of the reasoning says its words in an event of its own."""
    if word == "reasoning_text":
        done = {"type": "response.reasoning_text.done", "text": sample.value["text"]}
    else:
        done = {"type": "response.content_part.done", "part": sample.value}
    return _ROAD.outcome(sample, done | _WITHIN)


def _annotation(sample: Sample) -> str:
    kind = "response.output_text.annotation.added"
    return _ROAD.outcome(sample, {"type": kind, "annotation": sample.value} | _PLACE)


def _field(field: str, response: type[BaseModel]) -> str:
    """A field of the final response, without what makes it another ending."""
    if field in {"error", "incomplete_details", "status"}:
        return "how the response ended"
    sample = Sample(response, field)
    nothing = _PADDING if field in RESPONSE_FIELDS else UNKNOWN
    final = _final()
    final["response"] |= sample.value
    return _ROAD.outcome(sample, final, is_last=True, nothing=nothing)


def _incomplete(word: str) -> str:
    details = {"incomplete_details": {"reason": word}}
    ending = _ROAD.ending(_final(status="incomplete", **details), is_last=True)
    return ending if word in INCOMPLETE else UNKNOWN


def _code(word: str) -> str:
    error = {"code": word, "message": "words"}
    ending = _ROAD.ending(_final(status="failed", error=error), is_last=True)
    return UNKNOWN if "`ProviderError`" in ending else ending
