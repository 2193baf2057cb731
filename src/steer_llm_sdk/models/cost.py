"""What a request cost, by the list prices that ``genai-prices`` keeps (the extra ``cost``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from steer_llm_sdk.models.usage import CACHE_WRITE, CACHED, COMPLETION, PROMPT, count_at

# The library's provider names, where the price list has others.
_PRICE_LIST_NAMES: Mapping[str, str] = {
    "azure-responses": "azure",
    "bedrock": "aws",
    "bedrock-anthropic": "aws",
    "bedrock-mantle": "aws",
    "bedrock-mantle-anthropic": "aws",
    "bedrock-mantle-responses": "aws",
    "gemini": "google",
    "gemini-interactions": "google",
    "vertex": "google",
    "vertex-anthropic": "google",
    "vertex-openai": "google",
    "moonshot": "moonshotai",
    "openai-responses": "openai",
    "xai": "x-ai",
}

# What a provider's usage says of how it served a request, as the price list names it.
_TIERS = ("speed", "service_tier")


# xAI counts in these: https://docs.x.ai/docs/models
_TICKS_PER_USD = 1e10


def stated_usd(provider_usage: object) -> float | None:
    """Return what the provider itself says that the request cost; None where it does not say.

    ``cost`` is a number (OpenRouter) or an object with a ``total_cost`` (Perplexity).
    """
    if not isinstance(provider_usage, Mapping):
        return None
    cost = provider_usage.get("cost")
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost")
    if _is_amount(cost):
        return float(cost)
    ticks = provider_usage.get("cost_in_usd_ticks")
    return float(ticks) / _TICKS_PER_USD if _is_amount(ticks) else None


def _is_amount(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def price_usd(
    provider: str,
    response_model: str | None,
    model: str,
    usage: Mapping[str, Any] | None,
    provider_usage: object = None,
) -> float | None:
    """The price in US dollars, or None where it is not known.

    The model that answered counts, then the one that was asked for. What the provider's own usage
    says of tiers counts too: what it wrote into an hour's cache, and how fast it was to answer.
    """
    if not usage or PROMPT not in usage or COMPLETION not in usage:
        return None
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    tokens = Usage(
        input_tokens=usage[PROMPT],
        output_tokens=usage[COMPLETION],
        cache_read_tokens=usage.get(CACHED),
        cache_write_tokens=usage.get(CACHE_WRITE),
        **_hour_of_cache(provider_usage),
    )
    tier = _tier(provider_usage)
    provider_id = _PRICE_LIST_NAMES.get(provider, provider)
    for name in (response_model, model):
        if not name:
            continue
        try:
            price = calc_price(
                tokens, model_ref=name, provider_id=provider_id, price_context=tier or None
            )
        except (LookupError, ValueError):
            continue
        return float(price.total_price)
    return None


def _hour_of_cache(provider_usage: object) -> dict[str, int]:
    """The tokens that were written for an hour: dearer than those for five minutes (Anthropic)."""
    passes = _passes(provider_usage)
    counts = [count_at(each, "cache_creation", "ephemeral_1h_input_tokens") for each in passes]
    tokens = sum(count for count in counts if count)
    return {"cache_write_1h_tokens": tokens} if tokens else {}


def _passes(provider_usage: object) -> list[Mapping[str, Any]]:
    """The passes that an answer took, each with counts of its own; or the usage as the only one."""
    if not isinstance(provider_usage, Mapping):
        return []
    passes = provider_usage.get("iterations")
    listed = passes if isinstance(passes, list) else []
    found = [each for each in listed if isinstance(each, Mapping)]
    return found if len(found) > 1 else [provider_usage]


def _tier(provider_usage: object) -> dict[str, str]:
    if not isinstance(provider_usage, Mapping):
        return {}
    named = {key: provider_usage.get(key) for key in _TIERS}
    return {key: value for key, value in named.items() if isinstance(value, str)}
