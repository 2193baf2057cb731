from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.models.cost import price_usd, stated_usd
from steer_llm_sdk.models.responses import StreamingResponse


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"cost": 0.25}, 0.25),
        ({"cost": 0}, 0.0),
        ({"cost": {"total_cost": 0.5}}, 0.5),
        ({"estimated_cost": 0.125}, 0.125),
        ({"cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 2}}, 2.5),
        ({"cost": 0.5, "is_byok": False, "cost_details": {"upstream_inference_cost": 2}}, 0.5),
        ({"cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, 0.5),
        ({"cost": 0.5, "is_byok": True}, 0.5),
        ({"cost_in_usd_ticks": 20_000_000_000}, 2.0),
        ({"cost": True}, None),
        ({"cost": "0.5"}, None),
        ({"cost": -1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_the_provider_says_that_it_cost_is_believed(
    usage: dict[str, Any] | None, dollars: float | None
) -> None:
    response: StreamingResponse = StreamingResponse(model="m")
    response.metadata = {"provider_usage": usage}

    assert stated_usd(usage) == dollars
    assert dollars is None or response.cost_usd == dollars


MILLION = 1_000_000
COUNTS = {"prompt_tokens": 2 * MILLION, "completion_tokens": 2 * MILLION}


def opus(count: int = MILLION, **more: Any) -> dict[str, Any]:
    return {"input_tokens": count, "output_tokens": count, **more}


def test_each_pass_is_priced_by_its_own_model() -> None:
    declined = opus(model="claude-opus-4-6", type="message")
    answered = opus(model="claude-haiku-4-5", type="fallback_message")
    alone = {"prompt_tokens": MILLION, "completion_tokens": MILLION}

    both = price_usd(
        "anthropic",
        "claude-haiku-4-5",
        "claude-opus-4-6",
        COUNTS,
        {"iterations": [declined, answered]},
    )

    singly = [price_usd("anthropic", None, each["model"], alone) for each in (declined, answered)]
    assert both == pytest.approx(sum(price or 0 for price in singly))


def test_passes_that_took_nothing_cost_nothing() -> None:
    passes = {"iterations": [{"model": "claude-opus-4-6"}, {"model": "claude-haiku-4-5"}]}

    assert price_usd("anthropic", None, "claude-opus-4-6", COUNTS, passes) == 0


def test_passes_of_one_model_are_priced_together() -> None:
    passes = {"iterations": [opus(model="claude-opus-4-6"), opus(model="claude-opus-4-6")]}

    together = price_usd("anthropic", None, "claude-opus-4-6", COUNTS, passes)

    assert together == price_usd("anthropic", None, "claude-opus-4-6", COUNTS)


def test_a_pass_of_no_known_model_leaves_the_price_unknown() -> None:
    unknown = {"iterations": [opus(model="of-the-future"), opus(model=None)]}

    assert price_usd("anthropic", None, "also-of-the-future", COUNTS, unknown) is None


def test_an_hour_of_cache_counts_in_each_pass() -> None:
    written = {"cache_creation_input_tokens": MILLION}
    hour = {"cache_creation": {"ephemeral_1h_input_tokens": MILLION}}
    other = opus(0, model="claude-haiku-4-5")

    def price(**more: Any) -> float:
        first = opus(0, model="claude-opus-4-6", **more)
        found = price_usd("anthropic", None, "m", COUNTS, {"iterations": [first, other]})
        assert found is not None
        return found

    assert price(**written, **hour) > price(**written) > 0


@pytest.mark.parametrize(
    ("provider", "model", "served"),
    [
        ("openai", "gpt-5", {"service_tier": "priority"}),
        ("openai-responses", "gpt-5", {"service_tier": "priority"}),
        ("anthropic", "claude-opus-4-8", {"speed": "fast"}),
    ],
)
def test_what_is_served_sooner_costs_more(
    provider: str, model: str, served: dict[str, str]
) -> None:
    plain = price_usd(provider, None, model, COUNTS, {})
    sooner = price_usd(provider, None, model, COUNTS, served)

    assert plain is not None
    assert sooner is not None
    assert sooner > plain


@pytest.mark.parametrize("served", [{"serviceTier": "flex"}, {"trafficType": "ON_DEMAND_FLEX"}])
def test_google_says_in_its_own_words_how_it_served(served: dict[str, str]) -> None:
    from genai_prices.data import providers

    google = next(each for each in providers if each.id == "google")
    model = next(each.id for each in google.models if "'service_tier': 'flex'" in repr(each))

    plain = price_usd("gemini", None, model, COUNTS, {"trafficType": "ON_DEMAND"})
    flex = price_usd("gemini", None, model, COUNTS, served)

    assert plain is not None
    assert flex is not None
    assert flex < plain
