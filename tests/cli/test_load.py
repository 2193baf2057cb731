from __future__ import annotations

import math
from typing import Any

import pytest

from steer_llm_sdk.cli.load import Load, is_good, nearest_rank, summary


def metrics(ttft: float, e2e: float, tpot: float | None = 10.0) -> dict[str, Any]:
    return {"ttft_ms": ttft, "e2e_ms": e2e, "tpot_ms": tpot, "itl_ms": None}


def load(*each: dict[str, Any], seconds: float = 2.0) -> Load:
    made = Load(seconds=seconds)
    for one in each:
        made.add(one, {"completion_tokens": 10, "prompt_tokens": 5})
    return made


def test_percentiles_are_by_nearest_rank() -> None:
    times = [float(n) for n in range(1, 101)]

    assert [nearest_rank(times, share) for share in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]
    assert nearest_rank([7.0], 50) == nearest_rank([7.0], 99) == 7.0


def test_a_summary_has_the_mean_and_the_greatest() -> None:
    assert summary([1.0, 3.0]) == {
        "mean": 2.0,
        "p50": 1.0,
        "p90": 3.0,
        "p95": 3.0,
        "p99": 3.0,
        "max": 3.0,
    }
    assert summary([]) is None


def test_rates_are_over_the_whole_time() -> None:
    report = load(metrics(100, 900), metrics(200, 1000)).report({})

    assert report["requests_per_second"] == 1.0
    assert report["output_tokens_per_second"] == 10.0
    assert report["ttft_ms"]["max"] == 200
    assert report["itl_ms"] is None
    assert "goodput" not in report


def test_goodput_counts_what_met_every_part_of_the_objective() -> None:
    made = load(metrics(100, 900), metrics(100, 2000), metrics(900, 900), metrics(100, 900, None))
    made.errors.add(ValueError("no"))

    report = made.report({"ttft": 0.5, "e2e": 1.0, "tpot": 0.05})
    assert report["goodput"] == 0.5
    assert report["good_share"] == pytest.approx(1 / 5)
    assert report["requests"] == 5
    assert report["errors"] == {"ValueError": 1}


def test_a_time_just_at_the_objective_is_good() -> None:
    assert is_good(metrics(500, 900), {"ttft": 0.5})
    assert not is_good(metrics(500.1, 900), {"ttft": 0.5})


def test_nothing_asked_is_no_rate() -> None:
    assert math.isnan(Load().report({})["requests_per_second"])
