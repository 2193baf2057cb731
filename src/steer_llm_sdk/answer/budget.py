"""What a stream takes, counted as it goes; and how much of it a budget allows.

The count is by characters, since it is made at every delta: `steer_llm_sdk.answer.usage` says how
near that comes. Pure: the price of a count comes in as a function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steer_llm_sdk.answer.usage import (
    CHARACTERS,
    CHARACTERS_PER_TOKEN,
    count_characters,
    prompt_overhead,
    prompt_texts,
)
from steer_llm_sdk.errors import BudgetExceededError
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.usage import usage_counts

# Gives the price in US dollars of so many prompt and completion tokens.
Price = Callable[[int, int], float]


def count_prompt(chat: ChatRequest) -> int:
    """The tokens of a request, by its characters."""
    return sum(map(count_characters, prompt_texts(chat))) + prompt_overhead(chat)


class RunningCount:
    """Counts the tokens of one stream, delta by delta.

    Attributes:
        prompt: The tokens of the request.
        completion: Those that have come so far, of whatever kind.
    """

    def __init__(self, prompt: int) -> None:
        self.prompt = prompt
        self.completion = 0
        self._lanes: dict[object, _Lane] = {}  # texts that are rounded up each for itself

    def add(self, event: StreamDeltaEvent) -> None:
        """Count one more delta."""
        if not self._lanes:
            self.completion = CHARACTERS.per_answer
        delta = event.delta
        if isinstance(delta, str):
            self._add("text", delta)
        elif "arguments" in delta:
            self._add_call(delta.get("index"), delta.get("name"), delta.get("arguments"))
        else:
            self._add(delta.get("type"), str(delta.get("text") or ""))

    def usage(self) -> dict[str, int]:
        """The counts under the keys of a usage event."""
        prompt, completion = self.prompt, self.completion
        return usage_counts(prompt=prompt, completion=completion, total=prompt + completion)

    def _add_call(self, index: object, name: str | None, arguments: str | None) -> None:
        if ("name", index) not in self._lanes:
            self.completion += CHARACTERS.per_call
            self._add(("name", index), name or "")
        self._add(("arguments", index), arguments or "")

    def _add(self, key: object, text: str) -> None:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        self.completion += lane.add(text)


class _Lane:
    """One text that grows, counted as `count_characters` counts the whole of it."""

    __slots__ = ("_narrow", "_tokens", "_wide")

    def __init__(self) -> None:
        self._narrow = 0
        self._wide = 0
        self._tokens = 0

    def add(self, text: str) -> int:
        """Add a piece: how many tokens more that makes."""
        wide = 0 if text.isascii() else sum(character > "\u02ff" for character in text)
        self._wide += wide
        self._narrow += len(text) - wide
        before = self._tokens
        self._tokens = self._wide + -int(-self._narrow / CHARACTERS_PER_TOKEN // 1)
        return self._tokens - before


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one budget leaves for the answer.

    Attributes:
        budget: The option: ``"budget_tokens"`` or ``"budget_usd"``.
        limit: Its value.
        prompt: The tokens of the request.
        completion: The tokens that the answer may have; below 0 where the request alone is too
            much.
        price: What tokens cost, where the budget is one of money.
    """

    budget: str
    limit: float
    prompt: int
    completion: int
    price: Price | None = None

    def exceeded(self, completion: int) -> BudgetExceededError | None:
        """The error of an answer of so many tokens; None where the budget allows it."""
        if completion <= self.completion:
            return None
        spent = float(self.prompt + completion)
        if self.price is not None:
            spent = self.price(self.prompt, completion)
            said = f"${spent:.6f} of ${self.limit:g}"
        else:
            said = f"{spent:.0f} tokens of {self.limit:g}"
        where = "by the prompt alone: nothing was sent" if not completion else "the answer was cut"
        return BudgetExceededError(
            f"{self.budget}: about {said} are spent, {where}",
            budget=self.budget,
            limit=self.limit,
            spent=spent,
        )


def allow_tokens(budget: int, prompt: int) -> Allowance:
    """What a budget in tokens leaves for the answer."""
    return Allowance("budget_tokens", budget, prompt, max(budget - prompt, -1))


def allow_usd(budget: float, prompt: int, price: Price) -> Allowance:
    """What a budget in US dollars leaves for the answer."""
    completion = _affordable(lambda tokens: price(prompt, tokens), budget)
    return Allowance("budget_usd", budget, prompt, completion, price)


# More than any answer has.
_MOST = 1 << 32


def _affordable(price: Callable[[int], float], budget: float) -> int:
    """The most tokens that cost no more than the budget; -1 where none at all do."""
    if price(0) > budget:
        return -1
    low, high = 0, 1024
    while high < _MOST and price(high) <= budget:
        low, high = high, high * 16
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if price(middle) <= budget else (low, middle)
    return low if price(high) > budget else high
