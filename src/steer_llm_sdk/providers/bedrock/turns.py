"""Spells an earlier answer as the content blocks of a Converse message.

What this API has said itself comes back as it was, in its order: reasoning with its signature,
which the model's provider checks, what its own tools did, citations. Of an answer that came by
another wire format, words and calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steer_llm_sdk.models.messages import ToolCall
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.providers.writing import arguments_object

WIRE = "bedrock"

_Block = dict[str, Any]


def answer_blocks(parts: Sequence[Part], provider: str) -> list[_Block]:
    """Build the blocks of an earlier answer.

    Raises:
        ConfigurationError: The arguments of a call are no JSON object.
    """
    return [block for part in parts for block in _blocks_of(part, provider)]


def call_block(call: ToolCall, provider: str) -> _Block:
    """Build the block of a call.

    Raises:
        ConfigurationError: Its arguments are no JSON object.
    """
    arguments = arguments_object(call, provider)
    use = {"toolUseId": call.id, "name": call.name, "input": arguments}
    return {"toolUse": {**(call.extra or {}), **use}}


def _blocks_of(part: Part, provider: str) -> Iterator[_Block]:
    data = part.data_for(WIRE)
    if isinstance(part, ReasoningPart):
        yield from _reasoning(part, data or {})
    elif isinstance(part, ToolCallPart):
        call = ToolCall(part.id, part.name, part.arguments, part.call_type, data)
        yield call_block(call, provider)
    elif isinstance(part, ProviderPart):
        if data is not None:
            yield dict(part.item)
    elif isinstance(part, TextPart | CommentaryPart | RefusalPart):
        yield from _text(part, has_citations=data is not None)


def _reasoning(part: ReasoningPart, data: Mapping[str, Any]) -> Iterator[_Block]:
    """Reasoning without a signature was cut, or is another's: it would be refused."""
    if signature := data.get("signature"):
        words = {"text": part.text, "signature": signature}
        yield {"reasoningContent": {"reasoningText": words}}
    if redacted := data.get("redactedContent"):
        yield {"reasoningContent": {"redactedContent": redacted}}


def _text(
    part: TextPart | CommentaryPart | RefusalPart, *, has_citations: bool
) -> Iterator[_Block]:
    """Words; the API refuses blocks of white space alone, which models do write."""
    if not part.text.strip():
        return
    citations = getattr(part, "citations", None) if has_citations else None
    if citations:
        content = [{"text": part.text}]
        yield {"citationsContent": {"content": content, "citations": citations}}
    else:
        yield {"text": part.text}
