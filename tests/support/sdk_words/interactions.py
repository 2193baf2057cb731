"""The words of Gemini's interactions, from the types of `google-genai`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.endings import failure
from steer_llm_sdk.providers.interactions.decoder import (
    FINISH_REASONS,
    Interactions,
    InteractionsDecoder,
)
from support.sdk_words.measuring import UNKNOWN, Road, Row
from support.sdk_words.samples import Sample, fields_of, tagged, words_of

_PADDING = "passes by: padding"
_UNENDED = frozenset({"in_progress", "queued", "idle"})  # words of an interaction that goes on

# Deltas of what the model says, rather than of a step of their own.
_CONTENT = frozenset({"text", "text_annotation_delta", "image", "audio", "video", "document"})

_CREATED = {"event_type": "interaction.created", "interaction": {"id": "i"}}


def _end(status: str = "completed", **fields: Any) -> dict[str, Any]:
    interaction = {"id": "i", "status": status, **fields}
    return {"event_type": "interaction.completed", "interaction": interaction}


_WORDS = {
    "event_type": "step.start",
    "index": 7,
    "step": {"type": "model_output", "content": [{"type": "text", "text": "a"}]},
}
_ROAD = Road(Interactions(), [_CREATED, _WORDS], [_end()])
_FIRST = Road(Interactions(), [], [_end()])
_CLOSED = {"event_type": "step.stop", "index": 0}


def interactions() -> Iterator[Row]:
    """Events, steps, deltas, what an interaction says, and how it ends."""
    from google.genai import interactions as types

    step = fields_of(types.StepStart)["step"]
    delta = fields_of(types.StepDelta)["delta"]
    interaction = fields_of(types.InteractionCompletedEvent)["interaction"]
    for word, _ in tagged(types.InteractionSSEEvent, "event_type"):
        is_known = word in {*InteractionsDecoder._readers, "error"}
        yield "event", word, "read" if is_known else UNKNOWN
    for word, model in tagged(step):
        yield "step", word, _step(Sample(model))
    for word, model in tagged(delta):
        yield "delta", word, _delta(word, Sample(model))
    for field in fields_of(interaction):
        yield "interaction", field, _field(field, interaction)
    for field in fields_of(types.Usage):
        sample = Sample(types.Usage).only(field)
        yield "usage", field, _ROAD.outcome(sample, _end(usage=sample.value), is_last=True)
    for word in words_of(types.InteractionStatus):
        is_known = word in {*FINISH_REASONS, *_UNENDED} or failure(word) is not None
        ending = _ROAD.ending(_end(word), is_last=True)
        yield "status", word, ending if is_known else UNKNOWN


def _step(sample: Sample) -> str:
    started = {"event_type": "step.start", "index": 0, "step": sample.value}
    return _ROAD.outcome(sample, started, _CLOSED)


def _delta(word: str, sample: Sample) -> str:
    """A delta, in a step of the kind that it belongs to."""
    kind = "function_call" if word == "arguments_delta" else word
    kind = "model_output" if word in _CONTENT else kind
    step = {"type": kind, "name": "f", "id": "c"}
    started = {"event_type": "step.start", "index": 0, "step": step}
    changed = {"event_type": "step.delta", "index": 0, "delta": sample.value}
    return _ROAD.outcome(sample, started, changed, _CLOSED)


def _field(field: str, model: type[BaseModel]) -> str:
    if field in {"status", "usage"}:
        return "read"
    sample = Sample(model, field)
    nothing = _PADDING if field in {"object", "created", "updated"} else UNKNOWN
    return _FIRST.outcome(sample, _end(**sample.value), is_last=True, nothing=nothing)
