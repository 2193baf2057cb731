"""What a request cost, by the list prices that ``genai-prices`` keeps (the extra ``cost``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from steer_llm_sdk.models.price_list import Counts, price_of
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
_TIERS: Mapping[str, tuple[str, ...]] = {
    "speed": ("speed",),
    "service_tier": ("service_tier", "serviceTier"),
}
# https://cloud.google.com/vertex-ai/generative-ai/docs/priority-paygo: Vertex says it so.
_TRAFFIC: Mapping[object, str] = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}

_SERVED = frozenset({"speed", "service_tier", "serviceTier", "trafficType"})

# Where a provider's usage says what the request cost.
_STATED = frozenset({"cost", "estimated_cost", "cost_in_usd_ticks"})

# xAI counts in these: https://docs.x.ai/docs/models
_TICKS_PER_USD = 1e10


def stated_usd(provider_usage: object) -> float | None:
    """Return what the provider itself says that the request cost; None where it does not say.

    ``cost`` is a number (OpenRouter) or an object with a ``total_cost`` (Perplexity);
    ``estimated_cost`` is DeepInfra's. Where OpenRouter asks with a key of the caller's, ``cost`` is
    its own fee, and what the provider behind it takes stands in ``cost_details``.
    """
    if not isinstance(provider_usage, Mapping) or _STATED.isdisjoint(provider_usage):
        return None
    cost = provider_usage.get("cost", provider_usage.get("estimated_cost"))
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost")
    if _is_amount(cost):
        return float(cost) + _upstream_usd(provider_usage)
    ticks = provider_usage.get("cost_in_usd_ticks")
    return float(ticks) / _TICKS_PER_USD if _is_amount(ticks) else None


def _upstream_usd(provider_usage: Mapping[str, Any]) -> float:
    """What the caller's own account at the provider behind a router is charged."""
    details = provider_usage.get("cost_details")
    if provider_usage.get("is_byok") is not True or not isinstance(details, Mapping):
        return 0.0
    cost = details.get("upstream_inference_cost")
    return float(cost) if _is_amount(cost) else 0.0


def _is_amount(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def cost_usd(
    provider: str,
    response_model: str | None,
    model: str,
    usage: Mapping[str, Any] | None,
    provider_usage: object = None,
) -> float | None:
    """What a request cost in US dollars: as the provider says, where it does, or by its price."""
    stated = stated_usd(provider_usage)
    if stated is not None:
        return stated
    return price_usd(provider, response_model, model, usage, provider_usage)


def price_usd(
    provider: str,
    response_model: str | None,
    model: str,
    usage: Mapping[str, Any] | None,
    provider_usage: object = None,
) -> float | None:
    """The price in US dollars, or None where it is not known.

    The model that answered counts, then the one that was asked for; of several passes each by its
    own model. What the provider's own usage says of tiers counts too: what it wrote into an hour's
    cache, and how fast it was to answer.
    """
    if not usage or PROMPT not in usage or COMPLETION not in usage:
        return None
    told = provider_usage if isinstance(provider_usage, Mapping) else {}
    names, passes, tier = (response_model, model), _passes(told), _tier(told)
    if len(passes) > 1 and len({each.get("model") for each in passes}) > 1:
        prices = [_price_of_pass(provider, each, names, tier) for each in passes]
        known = [price for price in prices if price is not None]
        return sum(known) if len(known) == len(prices) else None
    counts = Counts(
        usage[PROMPT],
        usage[COMPLETION],
        usage.get(CACHED) or 0,
        usage.get(CACHE_WRITE) or 0,
        _hour_of_cache(passes),
    )
    return _price(provider, names, counts, tier)


def _price_of_pass(
    provider: str, each: Mapping[str, Any], names: tuple[str | None, ...], tier: dict[str, str]
) -> float | None:
    """The price of one of several passes (Anthropic), such as that of a model which declined."""
    cached = count_at(each, "cache_read_input_tokens") or 0
    written = count_at(each, "cache_creation_input_tokens") or 0
    counts = Counts(
        (count_at(each, "input_tokens") or 0) + cached + written,
        count_at(each, "output_tokens") or 0,
        cached,
        written,
        _hour_of_cache([each]),
    )
    own = each.get("model")
    return _price(provider, (own if isinstance(own, str) else None, *names), counts, tier)


def _price(
    provider: str, names: tuple[str | None, ...], counts: Counts, tier: dict[str, str]
) -> float | None:
    """The price of these counts, by the first model whose prices are known."""
    provider_id = _PRICE_LIST_NAMES.get(provider, provider)
    for name in names:
        price = price_of(provider_id, name, counts, tier) if name else None
        if price is not None:
            return price
    return None


def _hour_of_cache(passes: Sequence[Mapping[str, Any]]) -> int:
    """The tokens that were written for an hour: dearer than those for five minutes (Anthropic)."""
    tokens = 0
    for each in passes:
        if "cache_creation" in each:
            tokens += count_at(each, "cache_creation", "ephemeral_1h_input_tokens") or 0
    return tokens


def _passes(told: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The passes that an answer took, each with counts of its own; or the usage as the only one."""
    passes = told.get("iterations")
    if not isinstance(passes, list):
        return [told]
    found = [each for each in passes if isinstance(each, Mapping)]
    return found if len(found) > 1 else [told]


def _tier(told: Mapping[str, Any]) -> dict[str, str]:
    """How the request was served, as the price list names it."""
    if _SERVED.isdisjoint(told):
        return {}
    found = {name: told.get(key) for name, keys in _TIERS.items() for key in keys if key in told}
    traffic = told.get("trafficType")
    if isinstance(traffic, str) and traffic in _TRAFFIC:
        found["service_tier"] = _TRAFFIC[traffic]
    return {name: word for name, word in found.items() if isinstance(word, str)}
