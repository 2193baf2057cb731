from __future__ import annotations

from typing import Any

import pytest

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
from steer_llm_sdk.providers.bedrock.turns import answer_blocks

OURS = {"wire": "bedrock"}
CITATION = {"title": "A page"}


@pytest.mark.parametrize(
    ("part", "blocks"),
    [
        (TextPart("words"), [{"text": "words"}]),
        (CommentaryPart("aside"), [{"text": "aside"}]),
        (RefusalPart("no"), [{"text": "no"}]),
        (TextPart(" \n"), []),  # the API refuses white space alone
        (FilePart("image/png", data="aGk="), []),
        (
            ToolCallPart("t1", "rain", '{"city": "Ulm"}', is_complete=True),
            [{"toolUse": {"toolUseId": "t1", "name": "rain", "input": {"city": "Ulm"}}}],
        ),
        (ReasoningPart("cut"), []),
        (
            ReasoningPart("hm", provider_data={**OURS, "signature": "s"}),
            [{"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}],
        ),
        (
            ReasoningPart("", provider_data={**OURS, "redactedContent": "eA=="}),
            [{"reasoningContent": {"redactedContent": "eA=="}}],
        ),
        (ReasoningPart("hm", provider_data={"wire": "anthropic", "signature": "s"}), []),
        (
            TextPart("cited", citations=[CITATION], provider_data=OURS),
            [{"citationsContent": {"content": [{"text": "cited"}], "citations": [CITATION]}}],
        ),
        (TextPart("cited", citations=[CITATION]), [{"text": "cited"}]),
        (ProviderPart({"search": {}}, provider_data=OURS), [{"search": {}}]),
        (ProviderPart({"search": {}}, provider_data={"wire": "gemini"}), []),
    ],
)
def test_a_part_is_spelled_as_it_came_or_as_words(part: Part, blocks: list[dict[str, Any]]) -> None:
    assert answer_blocks([part], "bedrock") == blocks
