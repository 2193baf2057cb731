"""Prices are those of the list, to the last digit, and the list is asked once for each model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices import Usage, calc_price, data_snapshot
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from steer_llm_sdk.models import price_list
from steer_llm_sdk.models.price_list import Counts, price_of

MILLION = 1_000_000


def asked(provider_id: str, model: str, counts: Counts, **tier: str) -> float | None:
    """What the list itself says."""
    try:
        usage = Usage(
            input_tokens=counts.prompt,
            output_tokens=counts.completion,
            cache_read_tokens=counts.cached,
            cache_write_tokens=counts.written,
            cache_write_1h_tokens=counts.hour or None,
        )
        found = calc_price(usage, model, provider_id=provider_id, price_context=tier or None)
    except (LookupError, ValueError):
        return None
    return float(found.total_price)


def has_tiers(model: ModelInfo) -> bool:
    if isinstance(model.prices, ModelPrice):
        rows = [model.prices]
    else:
        rows = [each.prices for each in model.prices]
    return any(isinstance(each, TieredPrices) for row in rows for each in vars(row).values())


ALL = [(provider.id, model) for provider in providers for model in provider.models]
SOME = ALL[::80] + [each for each in ALL if has_tiers(each[1])][::10]


def some_counts(chance: random.Random) -> Counts:
    prompt = int(10 ** chance.uniform(0, 6.5))
    cached = chance.randrange(prompt + 1)
    written = chance.randrange(prompt - cached + 1)
    completion = chance.randrange(100_000)
    return Counts(prompt, completion, cached, written, chance.randrange(written + 1))


@pytest.mark.parametrize(("provider", "model"), [(p, m.id) for p, m in SOME])
def test_a_price_is_what_the_list_says(provider: str, model: str) -> None:
    chance = random.Random(model)
    for counts in (Counts(0), Counts(1), *(some_counts(chance) for _ in range(5))):
        assert price_of(provider, model, counts, {}) == asked(provider, model, counts)


@pytest.fixture
def edition(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ModelInfo]]:
    """A list of the application's own: its models, by a provider of the name ``mine``."""
    models: list[ModelInfo] = []
    mine = Provider(id="mine", name="Mine", api_pattern="mine", models=models)
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot([mine], from_auto_update=False))
    yield models
    data_snapshot.set_custom_snapshot(None)


def model(prices: Any, **more: Any) -> ModelInfo:
    return ModelInfo(id="m", match=ClauseEquals("m"), prices=prices, **more)


def dollars(prompt: int) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(prompt), output_mtok=Decimal(0))


def test_a_band_begins_above_its_threshold(edition: list[ModelInfo]) -> None:
    steps = [Tier(start=100, price=Decimal(2)), Tier(start=200, price=Decimal(4))]
    tiers = TieredPrices(base=Decimal(1), tiers=steps)
    edition.append(model(ModelPrice(input_mtok=tiers, output_mtok=Decimal(3))))

    rates = {99: 1, 100: 1, 101: 2, 200: 2, 201: 4, 100_000: 4}
    found = [price_of("mine", "m", Counts(length), {}) for length in rates]

    assert found == [length * rate / MILLION for length, rate in rates.items()]


class Calls:
    """Counts what the list is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(genai_prices, "calc_price", self._counted(calc_price))
        monkeypatch.setattr(ModelPrice, "calc_price", self._counted(ModelPrice.calc_price))

    def _counted(self, method: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            self.count += 1
            return method(*args, **named)

        return call


@pytest.mark.parametrize("name", ["gpt-4o", "claude-sonnet-4-6", "of-the-future"])
@pytest.mark.parametrize("tier", [{}, {"service_tier": "standard"}])
def test_the_list_is_asked_once_for_each_model(
    name: str, tier: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = "anthropic" if "claude" in name else "openai"
    price_of(provider, name, Counts(1), tier)
    calls = Calls(monkeypatch)

    found = [price_of(provider, name, Counts(100 + n, n), tier) for n in range(50)]

    assert calls.count == 0
    assert (None in found) is (name == "of-the-future")


def test_another_edition_is_read_at_once(edition: list[ModelInfo]) -> None:
    edition.append(model(dollars(7)))
    assert price_of("mine", "m", Counts(MILLION), {}) == 7
    newer = Provider(id="mine", name="Mine", api_pattern="mine", models=[model(dollars(8))])

    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot([newer], from_auto_update=False))

    assert price_of("mine", "m", Counts(MILLION), {}) == 8


@pytest.mark.parametrize(
    ("now", "price"),
    [
        (datetime(2026, 1, 1, 12, tzinfo=UTC), 4),
        (datetime(2026, 1, 2, 12, tzinfo=UTC), 2),
        (datetime(2026, 1, 2, 23, tzinfo=UTC), 1),
        (datetime(2026, 1, 1, 13, tzinfo=UTC), 4),
    ],
)
def test_prices_change_with_the_day_and_the_hour(
    now: datetime, price: int, edition: list[ModelInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    night = TimeOfDateConstraint(start_time=time(22), end_time=time(23, 30))
    rows = [
        ConditionalPrice(prices=dollars(4)),
        ConditionalPrice(StartDateConstraint(date(2026, 1, 2)), prices=dollars(2)),
        ConditionalPrice(night, prices=dollars(1)),
    ]
    edition.append(model(rows))

    class Clock:
        moment = datetime(2026, 1, 1, 12, tzinfo=UTC)

        @classmethod
        def now(cls, _zone: Any) -> datetime:
            return cls.moment

    monkeypatch.setattr(price_list, "datetime", Clock)
    assert price_of("mine", "m", Counts(MILLION), {}) == 4
    Clock.moment = now

    assert price_of("mine", "m", Counts(MILLION), {}) == price


def test_what_is_served_at_a_price_of_its_own_is_asked_each_time(
    edition: list[ModelInfo],
) -> None:
    fast = PriceVariant(when={"speed": "fast"}, prices=ModelPrice(input_mtok=Decimal(9)))
    edition.append(model(dollars(2), price_variants=[fast]))

    assert price_of("mine", "m", Counts(MILLION), {"speed": "fast", "else": "x"}) == 9
    assert price_of("mine", "m", Counts(MILLION), {"speed": "slow"}) == 2
    assert price_of("mine", "m", Counts(MILLION), {}) == 2


class Curved(ModelPrice):
    """A price that is no sum of rates."""

    def calc_price(self, usage: Any) -> Any:
        none = Decimal(0)
        total = Decimal(usage.input_tokens) ** 2
        return {"input_price": total, "output_price": none, "total_price": total}


class Unwilling(ModelPrice):
    """A price that cannot be told of what is written for an hour."""

    def calc_price(self, usage: Any) -> Any:
        if vars(usage).get("cache_write_1h_tokens"):
            raise ValueError("expected no hour")
        return super().calc_price(usage)


@pytest.mark.parametrize(
    ("prices", "two", "three"),
    [(Curved(), 4.0, 9.0), (Unwilling(input_mtok=Decimal(2)), 4 / MILLION, 6 / MILLION)],
)
def test_where_a_price_is_no_sum_of_rates_the_list_is_asked_each_time(
    prices: ModelPrice, two: float, three: float, edition: list[ModelInfo]
) -> None:
    edition.append(model(prices))

    assert price_of("mine", "m", Counts(2), {}) == two
    assert price_of("mine", "m", Counts(3), {}) == three


@pytest.mark.parametrize(
    "counts",
    [
        Counts(10, 1, 20),
        Counts(10, 1, 6, 5),
        Counts(10, 1, 0, 5, 6),
        Counts(-1, 1),
        Counts(1, -1),
        Counts(10, 1, -1),
        Counts(10, 1, 0, -1),
    ],
)
@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4", "claude-sonnet-4-5"])
def test_of_counts_that_do_not_add_up_the_list_says_what_it_can(name: str, counts: Counts) -> None:
    provider = "anthropic" if "claude" in name else "openai"

    assert price_of(provider, name, counts, {}) == asked(provider, name, counts)


def test_names_are_not_remembered_for_ever() -> None:
    for number in range(price_list._MOST_NAMES + 10):
        price_of("nobody", f"m{number}", Counts(1), {})

    find: Any = price_list._list._current[1]
    assert find.cache_info().currsize == price_list._MOST_NAMES
