"""How Claude is told to think: by a budget in tokens, or adaptively, with a word of effort.

https://platform.claude.com/docs/en/build-with-claude/extended-thinking and
https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking. Models before 4.6 know
budgets alone, those from 4.7 on words alone, and 4.6 knows both. A word is a budget for the older
ones, since the word alone would not make them think.
"""

from __future__ import annotations

import re
from typing import Any

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.reasoning import Effort

# The least that the API takes.
_LEAST_BUDGET = 1024

# What a word means in tokens, for models that know no words, and what it means of `max_tokens`,
# where the caller sets that: the answer has to have room beside the thinking.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 24576}
_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8}

# The words of ``output_config.effort``.
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d)(?:[-.](\d)(?!\d))?")
# The name of no version, and as new as those of 5.
_PREVIEW = re.compile(r"claude-mythos")

_FIRST_ADAPTIVE = (4, 6)
_FIRST_WITHOUT_BUDGETS = (4, 7)


def build_thinking(chat: ChatRequest, provider: str) -> dict[str, Any]:
    """Build the fields of the body that say how much to think; none where nothing was asked for.

    Raises:
        ConfigurationError: The model takes no budget, or there is no room for it.
    """
    wanted = chat.reasoning
    if wanted is None:
        return {}
    if wanted == "none":
        return {"thinking": {"type": "disabled"}}
    version = _version(chat.model)
    if isinstance(wanted, str) and version >= _FIRST_ADAPTIVE:
        # Newer models think in silence, unless they are asked to show it.
        return {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": _EFFORTS[wanted]},
        }
    if version >= _FIRST_WITHOUT_BUDGETS:
        raise ConfigurationError(
            f"{provider}: reasoning={wanted!r}: {chat.model!r} takes no budget in tokens: expected "
            "'none', 'minimal', 'low', 'medium' or 'high'"
        )
    budget = _budget(wanted, chat.max_tokens)
    _check_budget(budget, chat.max_tokens, wanted, provider)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def tokens_to_think(thinking: object, wanted: Effort | None) -> int:
    """How many tokens the model may spend on thinking, beside the answer.

    Args:
        thinking: The ``thinking`` of the body.
        wanted: The caller's word, for models that are told no number.
    """
    if not isinstance(thinking, dict):
        return 0
    if isinstance(budget := thinking.get("budget_tokens"), int):
        return budget
    is_adaptive = thinking.get("type") == "adaptive"
    return _BUDGETS.get(wanted, 0) if is_adaptive and isinstance(wanted, str) else 0


def _version(model: str) -> tuple[int, int]:
    """The version that a model's name says; ``(0, 0)`` where it says none."""
    if found := _VERSION.search(model):
        return int(found[1]), int(found[2] or 0)
    return (5, 0) if _PREVIEW.search(model) else (0, 0)


def _budget(wanted: Effort, max_tokens: int | None) -> int:
    if isinstance(wanted, int):
        return wanted
    if max_tokens is None:
        return _BUDGETS[wanted]
    return max(_LEAST_BUDGET, min(_BUDGETS[wanted], int(max_tokens * _SHARES[wanted])))


def _check_budget(budget: int, max_tokens: int | None, wanted: Effort, provider: str) -> None:
    if budget < _LEAST_BUDGET:
        raise ConfigurationError(
            f"{provider}: reasoning={wanted!r}: expected at least {_LEAST_BUDGET} tokens"
        )
    if max_tokens is not None and max_tokens <= budget:
        raise ConfigurationError(
            f"{provider}: reasoning={wanted!r}: expected max_tokens to be above the {budget} "
            f"tokens to think with, which are a part of them, found {max_tokens}"
        )
