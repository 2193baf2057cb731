"""What the budgets of a call allow each of the models that it may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from steer_llm_sdk.answer.budget import Allowance, Price, allow_tokens, allow_usd, count_prompt
from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.cost import price_usd
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.models.usage import usage_counts


def has_budget(options: StreamingOptions) -> bool:
    """Whether a call has any budget."""
    return options.budget_tokens is not None or options.budget_usd is not None


async def find_allowances(plan: Plan) -> None:
    """Find out what the budgets leave for an answer, where there are any.

    In a thread: the list of prices takes some tenths of a second to load.

    Raises:
        ConfigurationError: There is a budget in dollars, and a model's price is not known.
    """
    options = plan.options
    if options.budget_usd is not None:
        await asyncio.to_thread(_find_all, plan)
    elif options.budget_tokens is not None:
        _find_all(plan)


def _find_all(plan: Plan) -> None:
    for target in plan.targets:
        target.allowances = tuple(_find(target, plan.options))


def _find(target: Target, options: StreamingOptions) -> Iterator[Allowance]:
    prompt = count_prompt(target.chat)
    if options.budget_tokens is not None:
        yield allow_tokens(options.budget_tokens, prompt)
    if options.budget_usd is not None:
        yield allow_usd(options.budget_usd, prompt, _price_of(target))


def _price_of(target: Target) -> Price:
    provider, model = target.provider, target.chat.model

    def price(prompt: int, completion: int) -> float:
        usage = usage_counts(prompt=prompt, completion=completion)
        found = price_usd(provider, None, model, usage)
        if found is None:
            raise ConfigurationError(
                f"budget_usd: the price of {provider}:{model} is not known (prices need the extra "
                "'cost': pip install 'steer-llm-sdk[cost]'); budget_tokens needs none"
            )
        return found

    price(1, 1)
    return price
