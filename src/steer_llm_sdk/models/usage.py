"""Token counts under one set of keys, whatever a provider calls them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PROMPT = "prompt_tokens"
COMPLETION = "completion_tokens"
TOTAL = "total_tokens"
CACHED = "cached_tokens"
CACHE_WRITE = "cache_write_tokens"
REASONING = "reasoning_tokens"

# In the order in which a usage dict shows them.
USAGE_KEYS = (PROMPT, COMPLETION, TOTAL, CACHED, CACHE_WRITE, REASONING)
_TOKENS = (PROMPT, COMPLETION, TOTAL)


_BEYOND = 2**63
_DIGITS = re.compile(r"[0-9]{1,19}")


def count_at(usage: Mapping[str, Any], *path: str) -> int | None:
    """Return the number at a path of keys, or None where it is absent, null or not a count.

    A whole number written as a float (``12.0``) or as text (``"12"``) is a count; a `bool`, a
    negative number and one that no counter holds (above 2⁶³) are not.
    """
    value: Any = usage
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    if value.__class__ is int:
        return value if 0 <= value < _BEYOND else None
    is_digits = isinstance(value, str) and _DIGITS.fullmatch(value)
    if is_digits or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _BEYOND else None


def usage_counts(
    *,
    prompt: int | None = None,
    completion: int | None = None,
    total: int | None = None,
    cached: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
) -> dict[str, int]:
    """The counts that are known, under the library's keys."""
    values = (prompt, completion, total, cached, cache_write, reasoning)
    return {key: value for key, value in zip(USAGE_KEYS, values, strict=True) if value is not None}


def with_total(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts in their order, with the total added where the provider gave none."""
    whole = dict(counts)
    if TOTAL not in whole and PROMPT in whole and COMPLETION in whole:
        whole[TOTAL] = whole[PROMPT] + whole[COMPLETION]
    return {key: whole[key] for key in USAGE_KEYS if key in whole}


def joined(earlier: Mapping[str, int], later: Mapping[str, int]) -> dict[str, int]:
    """The counts after another report of them: the last value of each counts.

    But a zero replaces no number of tokens, as gateways close with zeros, and a total that leaves
    out what is known is none.
    """
    zeros = {key for key in _TOKENS if later.get(key) == 0}
    counts = {**earlier, **{key: later[key] for key in later if key not in zeros & earlier.keys()}}
    if TOTAL in counts and not all(map(later.get, _TOKENS)):
        counts[TOTAL] = max(counts[TOTAL], counts.get(PROMPT, 0) + counts.get(COMPLETION, 0))
    return counts


def added(usages: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counts of several requests together."""
    total: dict[str, int] = {}
    for usage in usages:
        for key, count in usage.items():
            total[key] = total.get(key, 0) + count
    return {key: total[key] for key in USAGE_KEYS if key in total}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Token counts that were made here, how, and how far they can be trusted (0 to 1)."""

    counts: dict[str, int]
    method: str
    confidence: float
