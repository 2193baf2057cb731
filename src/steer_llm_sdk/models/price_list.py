"""What tokens cost by the list of ``genai-prices``: `price_of`, which asks it once for each model.

The list works out every price from the ground up, in some tenths of a millisecond. But a price is a
sum of counts, each times its rate, with other rates from some length of the prompt on. So the rates
are found by asking the list what one token more costs, and one of its prices checks them; where
that is another one, or the request was served at a price of its own, the list is asked each time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from operator import mul
from typing import Any, NamedTuple

# How many names of models are remembered: they come from whoever answers.
_MOST_NAMES = 1024

# More tokens than any request has: there the rates of the longest prompts are checked.
_LONG = 10**9


class Counts(NamedTuple):
    """The tokens of a request, by what has a price of its own.

    Attributes:
        prompt: All that were sent, those of a cache among them.
        completion: Those of the answer.
        cached: Those that were read from a cache.
        written: Those that were written into one.
        hour: Those of them that were written for an hour.
    """

    prompt: int
    completion: int = 0
    cached: int = 0
    written: int = 0
    hour: int = 0


def price_of(provider_id: str, model: str, counts: Counts, tier: Mapping[str, str]) -> float | None:
    """The price in US dollars; None where the list has none, or is not installed.

    Args:
        provider_id: The provider, as the list names it.
        model: The model, as its provider names it.
        counts: What is paid for.
        tier: How the request was served, as the list names it.
    """
    try:
        import genai_prices.data_snapshot
    except ImportError:
        return None
    row = _list.row(genai_prices.data_snapshot.get_snapshot(), provider_id, model)
    price = None if row is None else row.price(counts, tier)
    return None if price is None else float(price)


def _find_row(provider_id: str, model: str) -> _Row | None:
    from genai_prices import Usage, calc_price

    try:
        found = calc_price(Usage(), model_ref=model, provider_id=provider_id)
    except (LookupError, ValueError):
        return None
    return _Row(provider_id, model, found.model)


class _Row:
    """What one model costs: its prices may change with the date, or the time of day.

    Args:
        provider_id: The provider, as the list names it.
        name: The model, as its provider names it.
        model: What the list has of it.
    """

    def __init__(self, provider_id: str, name: str, model: Any) -> None:
        self._asked = (provider_id, name)
        self._model = model
        self._rates: dict[int, tuple[Any, _Rates | None]] = {}  # by the identity of the prices

    def price(self, counts: Counts, tier: Mapping[str, str]) -> Decimal | None:
        """The price of these counts; None where the list cannot tell."""
        if not _is_sound(counts) or (tier and self._has_price_for(tier)):
            return self._ask(counts, tier)
        rates = self._current_rates()
        return self._ask(counts, tier) if rates is None else rates.price(counts)

    def _has_price_for(self, tier: Mapping[str, str]) -> bool:
        variants = self._model.price_variants or ()
        return any(each.when.items() <= tier.items() for each in variants)

    def _current_rates(self) -> _Rates | None:
        prices = self._model.prices
        if isinstance(prices, list):
            prices = self._model.get_prices(datetime.now(UTC))
        known = self._rates.get(id(prices))
        if known is None:
            known = self._rates[id(prices)] = (prices, _find_rates(prices))
        return known[1]

    def _ask(self, counts: Counts, tier: Mapping[str, str]) -> Decimal | None:
        from genai_prices import calc_price

        provider_id, name = self._asked
        try:
            found = calc_price(
                _usage(counts), model_ref=name, provider_id=provider_id, price_context=tier or None
            )
        except (LookupError, ValueError):
            return None
        return found.total_price


def _is_sound(counts: Counts) -> bool:
    """Whether no part is more than its whole: of others the list says whether it can price them."""
    prompt, completion, cached, written, hour = counts
    return completion >= 0 <= cached <= prompt - written and 0 <= hour <= written


def _usage(counts: Counts) -> Any:
    from genai_prices import Usage

    prompt, completion, cached, written, hour = counts
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour or None,
    )


class _Rates:
    """The rates of a model's prices, for each band of lengths of the prompt.

    Args:
        starts: The lengths above which another band begins.
        bands: What each band has: a fixed price, and the rate of each of the `Counts`.
    """

    def __init__(self, starts: list[int], bands: list[tuple[Decimal, ...]]) -> None:
        self._starts = starts
        self._bands = bands

    def price(self, counts: Counts) -> Decimal:
        """The price of counts that are sound."""
        fixed, *rates = self._bands[bisect_left(self._starts, counts.prompt)]
        return sum(map(mul, rates, counts), fixed)


def _find_rates(prices: Any) -> _Rates | None:
    """Find the rates by what single tokens cost; None where a price is no sum of them."""

    def price(counts: Counts) -> Decimal:
        total: Decimal = prices.calc_price(_usage(counts))["total_price"]
        return total

    starts = sorted(set(_starts(prices)))
    lows, highs = [0, *(start + 1 for start in starts)], [*starts, _LONG]
    try:
        rates = _Rates(starts, [_find_band(price, low) for low in lows])
        samples = [_sample(high) for high in highs]
        is_right = all(rates.price(each) == price(each) for each in samples)
    except ValueError:
        return None
    return rates if is_right else None


def _starts(prices: Any) -> Iterator[int]:
    for price in vars(prices).values():
        yield from (tier.start for tier in getattr(price, "tiers", ()))


def _find_band(price: Any, low: int) -> tuple[Decimal, ...]:
    """The fixed price and the rates where a prompt has so many tokens, or some more."""
    none, one = price(Counts(low)), price(Counts(low + 1))
    written = price(Counts(low + 1, written=1))
    prompt = one - none
    return (
        none - low * prompt,
        prompt,
        price(Counts(low, completion=1)) - none,
        price(Counts(low + 1, cached=1)) - one,
        written - one,
        price(Counts(low + 1, written=1, hour=1)) - written,
    )


def _sample(prompt: int) -> Counts:
    """Counts of a request with that long a prompt, with some of everything."""
    return Counts(prompt, 1_000_003, prompt // 3, prompt // 5, prompt // 7)


_Find = Callable[[str, str], _Row | None]


class _PriceList:
    """The rows of the edition of the list that is current: an application may replace it."""

    def __init__(self) -> None:
        self._current: tuple[object, _Find] = (None, lru_cache(_MOST_NAMES)(_find_row))

    def row(self, edition: object, provider_id: str, model: str) -> _Row | None:
        """The row of a model; None where there is none."""
        known, find = self._current
        if edition is not known:
            find = lru_cache(_MOST_NAMES)(_find_row)
            self._current = (edition, find)
        return find(provider_id, model)


_list = _PriceList()
