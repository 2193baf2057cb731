"""The figures of many streams: percentiles, rates, and how many met an objective."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steer_llm_sdk.cli.words import Errors

# The names of `response.metrics`, as load generators print them; in milliseconds.
_TIMES = {"TTFT": "ttft_ms", "ITL": "itl_ms", "TPOT": "tpot_ms", "E2E": "e2e_ms"}
SHARES = (50, 90, 95, 99)


@dataclass(slots=True)
class Load:
    """What came of many requests.

    Attributes:
        metrics: `response.metrics` of each that was answered.
        output_tokens: The tokens of their answers, together.
        prompt_tokens: The tokens of their prompts, together.
        errors: What ended the others.
        seconds: From the first request to the last answer.
    """

    metrics: list[Mapping[str, Any]] = field(default_factory=list)
    output_tokens: int = 0
    prompt_tokens: int = 0
    errors: Errors = field(default_factory=Errors)
    seconds: float = 0.0

    def add(self, metrics: Mapping[str, Any], usage: Mapping[str, Any]) -> None:
        """Count an answer."""
        self.metrics.append(metrics)
        self.output_tokens += usage.get("completion_tokens") or 0
        self.prompt_tokens += usage.get("prompt_tokens") or 0

    def times(self, name: str) -> list[float]:
        """The times of one kind, sorted, in milliseconds: TTFT, ITL, TPOT or E2E."""
        key = _TIMES[name]
        return sorted(each[key] for each in self.metrics if each.get(key) is not None)

    def report(self, objective: Mapping[str, float]) -> dict[str, Any]:
        """Put the figures together.

        Args:
            objective: The longest times that are good, in seconds, by ``ttft``, ``itl``, ``tpot``
                and ``e2e``; goodput is the rate of answers that meet all of them.
        """
        seconds = self.seconds or math.nan
        report: dict[str, Any] = {
            "requests": len(self.metrics) + sum(self.errors.counts.values()),
            "answered": len(self.metrics),
            "errors": dict(self.errors.counts),
            "seconds": round(self.seconds, 4),
            "requests_per_second": len(self.metrics) / seconds,
            "output_tokens": self.output_tokens,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens_per_second": self.output_tokens / seconds,
        }
        for name, key in _TIMES.items():
            report[key] = summary(self.times(name))
        if objective:
            good = sum(1 for each in self.metrics if is_good(each, objective))
            report["objective"] = dict(objective)
            report["goodput"] = good / seconds
            report["good_share"] = good / report["requests"] if report["requests"] else math.nan
        return report


def summary(times: Sequence[float]) -> dict[str, float] | None:
    """The mean and the percentiles of sorted times; None of none."""
    if not times:
        return None
    found = {"mean": sum(times) / len(times)}
    found |= {f"p{share}": nearest_rank(times, share) for share in SHARES}
    return found | {"max": times[-1]}


def nearest_rank(times: Sequence[float], share: int) -> float:
    """The percentile of sorted times: the least that `share` percent of them do not exceed."""
    return times[max(0, math.ceil(len(times) * share / 100) - 1)]


def is_good(metrics: Mapping[str, Any], objective: Mapping[str, float]) -> bool:
    """Whether an answer met every part of an objective (in seconds); a time not known did not."""
    for name, longest in objective.items():
        found = metrics.get(_TIMES[name.upper()])
        if found is None or found > longest * 1000:
            return False
    return True
