"""Token counts of a chat completion, in the spellings of all who copy it."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.usage import (
    CACHE_WRITE,
    CACHED,
    COMPLETION,
    PROMPT,
    REASONING,
    TOTAL,
    count_at,
    usage_counts,
)

_PRICED_TIERS = frozenset({"priority", "flex", "fast"})

# For each count the places where it has been seen; the first that holds a number counts.
_PATHS: dict[str, tuple[tuple[str, ...], ...]] = {
    "prompt": (("prompt_tokens",), ("input_tokens",)),
    "completion": (("completion_tokens",), ("output_tokens",)),
    "total": (("total_tokens",),),
    "cached": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("input_token_details", "cached_tokens"),  # OpenAI's Realtime API
        ("prompt_cache_hit_tokens",),  # DeepSeek
        ("cached_tokens",),  # Moonshot
        ("num_cached_tokens",),  # Mistral
        ("cache_read_input_tokens",),  # gateways to Anthropic
    ),
    "cache_write": (
        ("prompt_tokens_details", "cache_write_tokens"),  # OpenRouter
        ("input_tokens_details", "cache_write_tokens"),
        ("prompt_tokens_details", "cache_creation_tokens"),  # LiteLLM
        ("prompt_tokens_details", "cache_creation_input_tokens"),  # DashScope
        ("cache_creation_input_tokens",),
    ),
    "reasoning": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("reasoning_tokens",),
    ),
}


def read_usage(raw: dict[str, Any]) -> dict[str, int]:
    """The counts under the library's keys; empty where the object has none."""
    counts = usage_counts(**{name: _first(raw, paths) for name, paths in _PATHS.items()})
    return _with_reasoning_inside(_with_cache_inside(counts))


def with_tier(raw: dict[str, Any], tier: object) -> dict[str, Any]:
    """The usage, with the tier that served the request where it has a price of its own.

    OpenAI says it beside the usage: https://platform.openai.com/docs/guides/priority-processing.
    """
    if not isinstance(tier, str) or tier not in _PRICED_TIERS:
        return raw
    return {"service_tier": tier, **raw}


def _first(raw: dict[str, Any], paths: tuple[tuple[str, ...], ...]) -> int | None:
    for path in paths:
        if path[0] in raw and (count := count_at(raw, *path)) is not None:
            return count
    return None


def _with_cache_inside(counts: dict[str, int]) -> dict[str, int]:
    """The prompt with what came from the cache or went into it, where that is counted beside it.

    Gateways to Anthropic pass its counts on (https://github.com/Portkey-AI/gateway/pull/1754): the
    total tells, or that a part would be more than the whole.
    """
    parts = [counts.get(CACHED, 0), counts.get(CACHE_WRITE, 0)]
    beside, prompt = sum(parts), counts.get(PROMPT)
    if not beside or prompt is None:
        return counts
    output, total = counts.get(COMPLETION, 0), counts.get(TOTAL, 0)
    reasoning = counts.get(REASONING, 0)
    if max(parts) > prompt or total - prompt - output in {beside, beside + reasoning}:
        counts[PROMPT] += beside
        if total:
            counts[TOTAL] = max(total, prompt + beside + output)
    return counts


def _with_reasoning_inside(counts: dict[str, int]) -> dict[str, int]:
    """The completion with the reasoning that xAI counts beside it: the total tells that it did."""
    reasoning = counts.get(REASONING, 0)
    if not reasoning or not {PROMPT, COMPLETION, TOTAL} <= counts.keys():
        return counts
    if counts[TOTAL] == counts[PROMPT] + counts[COMPLETION] + reasoning:
        counts[COMPLETION] += reasoning
    return counts
