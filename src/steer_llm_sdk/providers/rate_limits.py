"""Reads what providers say of their limits in headers, each in its own spelling.

====================================================== ===========================================
``x-ratelimit-{limit,remaining,reset}-{requests,…}``   OpenAI, Azure, Groq, xAI, Together, Cerebras
                                                       (``-day``, ``-minute``), Mistral (``-req-…``)
                                                       and Fireworks (``-tokens-prompt``, …)
``anthropic-ratelimit-{requests,…}-{limit,…}``         Anthropic
``x-ratelimit-{limit,remaining,reset}``                OpenRouter, GitHub, Together: of requests
``x-tokenlimit-…``, ``ratelimitbysize-…``              Together's and Mistral's tokens
``x-trial-endpoint-call-{limit,remaining}``            Cohere
``ratelimit``, ``ratelimit-policy``, ``ratelimit-…``   the standard's drafts:
                                                       https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
====================================================== ===========================================

A reset is a duration (``6m0s``, ``120ms``, ``7.5``), an instant as RFC 3339 or HTTP writes it, or
one in Unix seconds or milliseconds. What cannot be read is passed over: a header is no reason for
a stream to fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from steer_llm_sdk.providers.failures import retry_after_seconds
from steer_llm_sdk.rates import Quota, RateLimit

_WHAT = r"(?P<what>limit|remaining|reset)"
_WINDOW = r"(?:-(?P<window>\d*-?(?:second|minute|hour|day|month)))?"

_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:x-)?ratelimit-{_WHAT}(?:-(?P<of>[a-z]+(?:-[a-z]+)??))??{_WINDOW}",
        rf"anthropic-ratelimit-(?P<of>[a-z]+(?:-[a-z]+)?)-{_WHAT}",
        rf"x-(?P<of>token)limit-{_WHAT}",
        rf"(?:x-)?ratelimit(?P<of>bysize)-{_WHAT}{_WINDOW}",
        rf"x-trial-endpoint-(?P<of>call)-{_WHAT}",
    )
)

# What a quota is of, by the words for it.
_FIELDS: Mapping[str | None, str] = {
    None: "requests",
    "requests": "requests",
    "req": "requests",
    "call": "requests",
    "tokens": "tokens",
    "token": "tokens",
    "bysize": "tokens",
    "input-tokens": "input_tokens",
    "tokens-prompt": "input_tokens",
    "output-tokens": "output_tokens",
    "tokens-generated": "output_tokens",
}

# Whole numbers that a float holds; more digits are no count of anything.
_NUMBER = re.compile(r"\s*(-?\d{1,15})(?![\d.])")
_DECIMAL = re.compile(r"\d{1,15}(?:\.\d{1,15})?|\.\d{1,15}")
_DURATION = re.compile(r"(?:\d{1,15}(?:\.\d{1,15})?(?:ns|us|µs|ms|s|m|h|d))+")
_PIECE = re.compile(r"([\d.]+)([a-zµ]+)")
_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
# A number above this is an instant: in seconds it would be a duration of thirty years.
_LEAST_INSTANT = 1e9
_LEAST_MILLISECONDS = 1e11

# https://www.rfc-editor.org/rfc/rfc9651: the parameters of an item, ``"default";r=50;t=30``; an
# earlier draft wrote ``limit=100, remaining=50, reset=5``.
_PARAMETER = re.compile(r"(?:^|[;,\s])(limit|remaining|reset|r|t|q)=(\d{1,15})(?![\d.])")
_DRAFT = {"r": "remaining", "t": "reset", "q": "limit"}
_DRAFT_UNIT = re.compile(r';\s*qu="([^"]*)"')


class _Said(NamedTuple):
    """What one header says."""

    field: str
    window: str
    what: str
    value: str


def read_rate_limit(headers: Mapping[str, str], now: float) -> RateLimit | None:
    """Read what an answer says of its provider's limits; None where it says nothing.

    Args:
        headers: The answer's headers, their names in lower case.
        now: When they came, in Unix time: durations count from it.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    for said in _all_said(headers):
        windows = found.setdefault(said.field, {})
        windows.setdefault(said.window, {}).setdefault(said.what, said.value)
    quotas = {field: _tightest(windows, now) for field, windows in found.items()}
    asked = retry_after_seconds(headers, now)
    limit = RateLimit(**quotas, retry_after=asked)
    return None if limit == _NOTHING else limit


_NOTHING = RateLimit()


def _all_said(headers: Mapping[str, str]) -> Iterator[_Said]:
    for name, value in headers.items():
        if "limit" not in name and "-call-" not in name:
            continue
        for pattern in _NAMES:
            match = pattern.fullmatch(name)
            if match is not None and (said := _said(match, value)) is not None:
                yield said
    for name in ("ratelimit-policy", "ratelimit"):
        for piece in headers.get(name, "").split(","):
            yield from _said_by_draft(piece)


def _said_by_draft(piece: str) -> Iterator[_Said]:
    """What one policy of the standard's drafts says; it is the window of its quota."""
    name = piece.partition(";")[0].strip() if ";" in piece else ""
    unit = _DRAFT_UNIT.search(piece)
    if unit is None or unit[1] == "requests":
        field = "tokens" if "token" in name else "requests"
        for key, value in _PARAMETER.findall(piece):
            yield _Said(field, name, _DRAFT.get(key, key), value)


def _said(match: re.Match[str], value: str) -> _Said | None:
    named = match.groupdict()
    field = _FIELDS.get(named["of"])
    return None if field is None else _Said(field, named.get("window") or "", named["what"], value)


def _tightest(windows: Mapping[str, Mapping[str, str]], now: float) -> Quota:
    """The quota of the window of which the least is left, where there are several."""
    quotas = [_quota(values, now) for values in windows.values()]
    return min(quotas, key=_share_left)


def _share_left(quota: Quota) -> float:
    if quota.remaining is None:
        return float("inf")
    return quota.remaining / max(quota.limit or quota.remaining, 1)


def _quota(values: Mapping[str, str], now: float) -> Quota:
    limit, remaining = (_count(values.get(name)) for name in ("limit", "remaining"))
    return Quota(limit, remaining, read_reset(values.get("reset", ""), now))


def _count(value: str | None) -> int | None:
    """A whole number, which a draft writes before its policy (``100, 100;w=60``)."""
    match = None if value is None else _NUMBER.match(value)
    return None if match is None else max(0, int(match[1]))


def read_reset(value: str, now: float) -> float | None:
    """Read when a limit is reset, in Unix seconds; None where that cannot be read.

    Args:
        value: A duration, or an instant, in any of the spellings of this module.
        now: The Unix time from which a duration counts.
    """
    text = value.strip()
    if _DECIMAL.fullmatch(text):
        return _number_as_instant(float(text), now)
    if _DURATION.fullmatch(text):
        return now + sum(float(n) * _UNITS[unit] for n, unit in _PIECE.findall(text))
    return _instant(text)


def _number_as_instant(number: float, now: float) -> float:
    if number < _LEAST_INSTANT:
        return now + number
    return number / 1000 if number >= _LEAST_MILLISECONDS else number


def _instant(text: str) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text)
            aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            return aware.timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
