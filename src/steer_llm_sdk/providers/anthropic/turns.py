"""Spells an earlier answer as the content blocks of Anthropic's messages API.

What this API has said itself comes back as it was, in its order: thinking with its signature (the
API checks it: https://platform.claude.com/docs/en/build-with-claude/extended-thinking), what the
server's own tools did, citations. Other models behind this API sign nothing, and want their
thinking back all the same. Of an answer that came by another wire format, words and calls.
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

WIRE = "anthropic"

# The models that sign what they think, and refuse what is not signed.
_SIGNING = "claude"

_Block = dict[str, Any]


def answer_blocks(parts: Sequence[Part], model: str, provider: str) -> list[_Block]:
    """Build the blocks of an earlier answer, for a model.

    Raises:
        ConfigurationError: The arguments of a call are no JSON object.
    """
    blocks = [block for part in parts for block in _blocks_of(part, provider)]
    if _SIGNING not in model:
        return blocks
    return [block for block in blocks if block.get("signature") != ""]


def call_block(call: ToolCall, provider: str) -> _Block:
    """Build the block of a call.

    Raises:
        ConfigurationError: Its arguments are no JSON object.
    """
    arguments = arguments_object(call, provider)
    block = {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}
    return {**(call.extra or {}), **block}


def _blocks_of(part: Part, provider: str) -> Iterator[_Block]:
    data = part.data_for(WIRE)
    if isinstance(part, ReasoningPart):
        yield from _thinking(part, data or {})
    elif isinstance(part, ToolCallPart):
        yield call_block(
            ToolCall(part.id, part.name, part.arguments, part.call_type, data), provider
        )
    elif isinstance(part, ProviderPart):
        if data is not None:
            yield dict(part.item)
    elif isinstance(part, TextPart | CommentaryPart | RefusalPart):
        yield from _text(part, has_citations=data is not None)


def _thinking(part: ReasoningPart, data: Mapping[str, Any]) -> Iterator[_Block]:
    """Reasoning of which nothing is known was cut; where it is whole, a signature may be empty."""
    if "signature" in data:
        yield {"type": "thinking", "thinking": part.text, "signature": data["signature"]}
    elif redacted := data.get("data"):
        yield {"type": "redacted_thinking", "data": redacted}


def _text(
    part: TextPart | CommentaryPart | RefusalPart, *, has_citations: bool
) -> Iterator[_Block]:
    """Words; the API refuses blocks of white space alone, which models do write."""
    if part.text.strip():
        block: _Block = {"type": "text", "text": part.text}
        citations = getattr(part, "citations", None) if has_citations else None
        yield block | {"citations": citations} if citations else block
