"""One budget for all turns of a run: what the turns so far have left of it."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.errors import BudgetExceededError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.models.usage import TOTAL
from steer_llm_sdk.tools.result import RunResult


def what_is_left(options: StreamingOptions, result: RunResult) -> StreamingOptions:
    """The options of the next turn, whose budgets are what is left of the run's.

    Raises:
        BudgetExceededError: Nothing is left.
    """
    if not result.responses:
        return options
    left: dict[str, Any] = {}
    if options.budget_tokens is not None:
        spent = result.usage.get(TOTAL, 0)
        left["budget_tokens"] = _left("budget_tokens", options.budget_tokens, spent)
    if options.budget_usd is not None:
        left["budget_usd"] = _left("budget_usd", options.budget_usd, result.cost_usd or 0.0)
    return options.replace(**left) if left else options


def _left(name: str, limit: float, spent: float) -> float:
    if spent < limit:
        return limit - spent
    raise BudgetExceededError(
        f"{name}: {spent:g} of {limit:g} are spent by the turns so far: nothing more is asked",
        budget=name,
        limit=limit,
        spent=spent,
    )
