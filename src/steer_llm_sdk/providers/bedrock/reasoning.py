"""How the models of Bedrock are told to reason: each family by fields of its own.

https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html: the fields stand in
``additionalModelRequestFields``. Those of Claude are Anthropic's.
"""

from __future__ import annotations

import re
from typing import Any

from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.anthropic.thinking import build_thinking
from steer_llm_sdk.providers.reasoning import (
    ReasoningSpelling,
    effort_at,
    spell_reasoning,
    without_word,
)

_CLAUDE = re.compile(r"\bclaude")

_NOVA = ReasoningSpelling(
    {
        "none": {"reasoningConfig": {"type": "disabled"}},
        **{
            word: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
            for word, effort in (
                ("minimal", "low"),
                ("low", "low"),
                ("medium", "medium"),
                ("high", "high"),
            )
        },
    }
)
_GPT_OSS = without_word(effort_at("reasoning_effort", minimal="low"), "none")

# By the model's name; one that says nothing of its family (an ARN) takes no word.
_FAMILIES = ((re.compile(r"\bnova-2"), _NOVA), (re.compile(r"\bgpt-oss"), _GPT_OSS))
_NONE = ReasoningSpelling({})


def build_reasoning(chat: ChatRequest, provider: str) -> dict[str, Any]:
    """Build the model's own fields that say how much to reason; none where nothing is asked for.

    Raises:
        ConfigurationError: The model has no way to say it, or is not known to have one.
    """
    if _CLAUDE.search(chat.model):
        return build_thinking(chat, provider)
    spellings = (spelling for name, spelling in _FAMILIES if name.search(chat.model))
    return spell_reasoning(chat.reasoning, next(spellings, _NONE), provider)
