"""Spells an earlier answer as the parts of a turn of Gemini's.

A thought signature goes back on the part on which it came, and parts with one are never joined with
others: https://ai.google.dev/gemini-api/docs/thought-signatures. Of an answer that came by another
wire format, words and calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from steer_llm_sdk.models.messages import ToolCall
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.providers.writing import arguments_object, without_none

WIRE = "gemini"
SIGNATURE = "thoughtSignature"
# What stands beside the parts of a candidate: it is no part, and is not sent back.
BESIDE = "beside"

# What the documentation above gives for calls that another model made: Gemini refuses the first
# call of a turn without a signature, from this generation on.
_UNSIGNED = "skip_thought_signature_validator"
_WANTS_SIGNATURES = re.compile(r"(?:.*/)?gemini-(?:[3-9]|\d\d)")

_Object: TypeAlias = dict[str, Any]
_Spoken: TypeAlias = TextPart | CommentaryPart | RefusalPart


def answer_parts(parts: Sequence[Part], model: str, provider: str) -> list[_Object]:
    """Build the parts of an earlier answer.

    Raises:
        ConfigurationError: The arguments of a call are no JSON object.
    """
    built = [block for part in parts for block in _blocks_of(part, provider)]
    calls = [block for block in built if "functionCall" in block]
    if calls and _WANTS_SIGNATURES.match(model) and not any(SIGNATURE in call for call in calls):
        calls[0][SIGNATURE] = _UNSIGNED
    return built


def build_call(call: ToolCall, provider: str) -> _Object:
    """Build the part of a call.

    Raises:
        ConfigurationError: Its arguments are no JSON object.
    """
    fields = {"id": call.id or None, "name": call.name, "args": arguments_object(call, provider)}
    return _signed({"functionCall": without_none(fields)}, call.extra)


def _blocks_of(part: Part, provider: str) -> Iterator[_Object]:
    data = part.data_for(WIRE)
    if isinstance(part, ToolCallPart):
        yield build_call(
            ToolCall(part.id, part.name, part.arguments, part.call_type, data), provider
        )
    elif isinstance(part, _Spoken):
        if part.text or (data and SIGNATURE in data):
            yield _signed({"text": part.text}, data)
    elif data is not None:
        yield from _own_block(part, data)


def _own_block(part: ReasoningPart | FilePart | ProviderPart, data: _Object) -> Iterator[_Object]:
    if isinstance(part, ReasoningPart):
        yield _signed({"text": part.text, "thought": True}, data)
    elif isinstance(part, FilePart):
        yield _signed(_file(part), data)
    elif BESIDE not in data:
        yield dict(part.item)


def _file(part: FilePart) -> _Object:
    if part.url is not None:
        return {"fileData": {"mimeType": part.media_type, "fileUri": part.url}}
    return {"inlineData": {"mimeType": part.media_type, "data": part.data}}


def _signed(block: _Object, data: Any) -> _Object:
    signature = (data or {}).get(SIGNATURE)
    return block if signature is None else {**block, SIGNATURE: signature}
