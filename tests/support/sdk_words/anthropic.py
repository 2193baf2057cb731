"""The words of Anthropic's messages, from the types of `anthropic`, its beta included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from steer_llm_sdk.providers.anthropic.decoder import (
    FINISH_REASONS,
    AnthropicDecoder,
    AnthropicMessages,
)
from steer_llm_sdk.providers.anthropic.errors import CAUSES, ERROR_CODES
from support.sdk_words.measuring import UNKNOWN, Road, Row
from support.sdk_words.samples import Sample, fields_of, tagged, words_of

_PADDING = "passes by: padding"

_STARTED: dict[str, Any] = {
    "type": "message_start",
    "message": {"id": "m", "model": "c", "content": []},
}
_STOPPED: list[dict[str, Any]] = [
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
_ROAD = Road(AnthropicMessages(), [_STARTED], _STOPPED)
_UNSTARTED = Road(AnthropicMessages(), [], _STOPPED)
_CLOSED = {"type": "content_block_stop", "index": 0}

# The block in which each kind of delta stands.
_BLOCKS: dict[str, dict[str, Any]] = {
    "text_delta": {"type": "text", "text": ""},
    "citations_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "input_json_delta": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    "compaction_delta": {"type": "compaction", "content": None},
}


def anthropic() -> Iterator[Row]:
    """Events, blocks, deltas, citations, what a message says, and how it ends."""
    from anthropic.types import beta as types
    from anthropic.types import shared
    from anthropic.types.beta import beta_citations_delta as citations
    from anthropic.types.beta import beta_raw_message_delta_event as ends

    for word, _ in tagged(types.BetaRawMessageStreamEvent):
        yield "event", word, _event(word)
    for word, model in tagged(types.BetaContentBlock):
        yield "content block", word, _block(Sample(model, input={}, citations=None))
    for word, model in tagged(types.BetaRawContentBlockDelta):
        yield "delta", word, _delta(word, Sample(model))
    for word, model in tagged(citations.Citation):
        yield "citation", word, _citation(Sample(model))
    for field in fields_of(types.BetaMessage):
        yield "message", field, _message(field, types.BetaMessage)
    for field in fields_of(ends.Delta):
        yield "end of the message", field, _end(field, ends.Delta)
    for field in fields_of(types.BetaUsage):
        sample = Sample(types.BetaUsage).only(field)
        stopped = _STOPPED[0] | {"usage": sample.value}
        yield "usage", field, _ROAD.outcome(sample, stopped, _STOPPED[1], is_last=True)
    for word in words_of(types.BetaStopReason):
        delta = {"type": "message_delta", "delta": {"stop_reason": word}}
        ending = _ROAD.ending(delta, _STOPPED[1], is_last=True)
        yield "stop reason", word, ending if word in FINISH_REASONS else UNKNOWN
    for word, _ in tagged(shared.ErrorObject):
        yield (
            "error",
            word,
            _error({"type": word, "message": "words"}, is_known=word in ERROR_CODES),
        )
    for word in sorted(_causes(shared)):
        error = {"type": "api_error", "message": "words", "details": {"error_code": word}}
        yield "cause of an error", word, _error(error, is_known=word in CAUSES)


def _event(word: str) -> str:
    if word not in AnthropicDecoder._readers:
        return UNKNOWN
    ending = _ROAD.ending(_STOPPED[0], {"type": word}, is_last=True)
    return "read" if "Incomplete" in ending else "the end of the stream"


def _block(sample: Sample) -> str:
    opened = {"type": "content_block_start", "index": 0, "content_block": sample.value}
    return _ROAD.outcome(sample, opened, _CLOSED)


def _delta(word: str, sample: Sample) -> str:
    if word not in _BLOCKS:
        return UNKNOWN
    opened = {"type": "content_block_start", "index": 0, "content_block": _BLOCKS[word]}
    changed = {"type": "content_block_delta", "index": 0, "delta": sample.value}
    return _ROAD.outcome(sample, opened, changed, _CLOSED)


def _citation(sample: Sample) -> str:
    delta = {"type": "citations_delta", "citation": sample.value}
    return _ROAD.outcome(sample, {"type": "content_block_delta", "index": 0, "delta": delta})


def _message(field: str, model: type[BaseModel]) -> str:
    if field in {"content", "stop_reason", "usage"}:
        return "read"
    sample = Sample(model, field)
    nothing = _PADDING if field in {"type", "role"} else UNKNOWN
    started = {"type": "message_start", "message": sample.value | {"content": []}}
    return _UNSTARTED.outcome(sample, started, nothing=nothing)


def _end(field: str, model: type[BaseModel]) -> str:
    sample = Sample(model, field)
    if field == "stop_reason":
        return "read"
    return _ROAD.outcome(sample, {"type": "message_delta", "delta": sample.value})


def _error(error: dict[str, Any], *, is_known: bool) -> str:
    ending = _ROAD.ending({"type": "error", "error": error}, is_last=True)
    return ending if is_known else UNKNOWN


def _causes(shared: Any) -> set[str]:
    models = [model for name, model in vars(shared).items() if name.endswith("ErrorDetails")]
    fields = [model.model_fields for model in models if hasattr(model, "model_fields")]
    return {word for each in fields for word in words_of(each["error_code"].annotation)}
