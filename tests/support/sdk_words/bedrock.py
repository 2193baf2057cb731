"""The words of Bedrock's ``ConverseStream``, from the service model in `botocore`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.bedrock.decoder import FINISH_REASONS, Converse, ConverseDecoder
from steer_llm_sdk.providers.bedrock.errors import ERROR_CODES, MALFORMED
from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from support.sdk_words.measuring import UNKNOWN, Payload, Road, Row
from support.sdk_words.samples import Sample, fields_of, words_of
from support.sdk_words.service_models import models_of

_PADDING = "passes by: padding"


def _write(payload: Payload) -> bytes:
    """A message of Amazon's: what the payload holds, under the name of its event."""
    ((name, value),) = payload.items()
    kind = "exception" if name.endswith("Exception") else "event"
    headers = string_headers(**{"message_type": kind, f"{kind}_type": name})
    return event_message(json.dumps(value).encode(), headers)


def _stop(word: str, **fields: Any) -> Payload:
    return {"messageStop": {"stopReason": word, **fields}}


_END: list[Payload] = [_stop("end_turn"), {"metadata": {"metrics": {"latencyMs": 1}}}]
_ROAD = Road(Converse(), [{"messageStart": {"role": "assistant"}}], _END, write=_write)
_CLOSED: Payload = {"contentBlockStop": {"contentBlockIndex": 0}}
_CALL = {"toolUse": {"toolUseId": "t", "name": "f"}}


def bedrock() -> Iterator[Row]:
    """Events, blocks, deltas, what is told at the end, and how an answer ends."""
    events = models_of("bedrock-runtime", "ConverseStream", "stream")
    for word, (_, is_error) in events.items():
        if not is_error:
            yield "event", word, "read" if word in ConverseDecoder._readers else UNKNOWN
    for kind in ("start", "delta"):
        (union,) = _models_in(events, kind)
        for field in fields_of(union):
            yield f"block {kind}", field, _block(kind, field, union)
    for field in fields_of(events["messageStop"][0]):
        if field != "stopReason":
            sample = Sample(events["messageStop"][0], field)
            yield "end", field, _ROAD.outcome(sample, _stop("end_turn", **sample.value))
    metadata = events["metadata"][0]
    for field in fields_of(metadata):
        sample = Sample(metadata, field)
        yield "metadata", field, _told(sample, sample.value)
    (usage,) = (model for field, model in _inner(metadata) if field == "usage")
    for field in fields_of(usage):
        sample = Sample(usage).only(field)
        yield "usage", field, _told(sample, {"usage": sample.value})
    for word in words_of(fields_of(events["messageStop"][0])["stopReason"]):
        ending = _ROAD.ending(_stop(word), _END[1], is_last=True)
        yield "stop reason", word, ending if word in {*FINISH_REASONS, *MALFORMED} else UNKNOWN
    for word, (_, is_error) in events.items():
        if is_error:
            code = word[:1].upper() + word[1:]
            ending = _ROAD.ending({word: {"message": "words"}}, is_last=True)
            yield "error", word, ending if code in ERROR_CODES else UNKNOWN


def _models_in(events: dict[str, Any], field: str) -> Iterator[type[BaseModel]]:
    for model, _ in events.values():
        yield from (inner for name, inner in _inner(model) if name == field)


def _inner(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The fields of a model that hold a model."""
    for name, annotation in fields_of(model).items():
        for each in getattr(annotation, "__args__", ()):
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield name, each


def _block(kind: str, field: str, union: type[BaseModel]) -> str:
    """A block that begins with this, or grows by it."""
    sample = Sample(union, field)
    if kind == "start":
        started = {"contentBlockStart": {"contentBlockIndex": 0, "start": sample.value}}
        return _ROAD.outcome(sample, started, _CLOSED)
    value = sample.value
    before: list[Payload] = []
    if field == "toolUse":  # its input is JSON in pieces
        before = [{"contentBlockStart": {"contentBlockIndex": 0, "start": _CALL}}]
        value = {"toolUse": {"input": json.dumps({"a": value["toolUse"]["input"]})}}
    changed = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": value}}
    return _ROAD.outcome(sample, *before, changed, _CLOSED)


def _told(sample: Sample, value: dict[str, Any]) -> str:
    return _ROAD.outcome(sample, _stop("end_turn"), {"metadata": value}, is_last=True)
