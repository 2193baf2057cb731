"""What providers say of their limits, in each spelling; and nonsense, which never raises."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steer_llm_sdk.providers.rate_limits import read_rate_limit, read_reset
from steer_llm_sdk.rates import QUOTAS, Quota, RateLimit

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z

SPELLINGS: Mapping[str, tuple[dict[str, str], RateLimit]] = {
    "openai": (
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        RateLimit(Quota(60, 59, NOW + 1), Quota(150_000, 149_984, NOW + 360)),
    ),
    "anthropic": (
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:30Z",
            "anthropic-ratelimit-input-tokens-limit": "30000",
            "anthropic-ratelimit-input-tokens-remaining": "29000",
            "anthropic-ratelimit-output-tokens-limit": "8000",
            "anthropic-ratelimit-output-tokens-reset": "2027-01-15T09:01:00+01:00",
            "anthropic-ratelimit-tokens-remaining": "37000",
            "anthropic-ratelimit-unified-status": "allowed",
            "anthropic-ratelimit-unified-reset": "1800009999",
            "retry-after": "30",
        },
        RateLimit(
            Quota(50, 0, NOW + 30),
            Quota(None, 37_000),
            Quota(30_000, 29_000),
            Quota(8000, None, NOW + 60),
            30.0,
        ),
    ),
    "azure": (
        {
            "x-ratelimit-limit-requests": "250",
            "x-ratelimit-remaining-requests": "249",
            "x-ratelimit-reset-requests": "10",
            "x-ratelimit-remaining-tokens": "249950",
        },
        RateLimit(Quota(250, 249, NOW + 10), Quota(None, 249_950)),
    ),
    "groq": (
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.5s",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-tokens": "250ms",
        },
        RateLimit(Quota(14_400, 14_370, NOW + 179.5), Quota(None, 17_997, NOW + 0.25)),
    ),
    "cerebras": (
        {
            "x-ratelimit-limit-requests-day": "14400",
            "x-ratelimit-remaining-requests-day": "0",
            "x-ratelimit-reset-requests-day": "33011.5",
            "x-ratelimit-limit-requests-minute": "30",
            "x-ratelimit-remaining-requests-minute": "29",
            "x-ratelimit-remaining-tokens-minute": "59000",
        },
        RateLimit(Quota(14_400, 0, NOW + 33_011.5), Quota(None, 59_000)),
    ),
    "mistral": (
        {
            "x-ratelimit-limit-req-minute": "50",
            "x-ratelimit-remaining-req-minute": "49",
            "x-ratelimit-limit-tokens-5-minute": "50000",
            "x-ratelimit-remaining-tokens-5-minute": "100",
            "x-ratelimit-limit-tokens-month": "1000000",
            "x-ratelimit-remaining-tokens-month": "900000",
            "x-ratelimit-tokens-query-cost": "1300",
        },
        RateLimit(Quota(50, 49), Quota(50_000, 100)),
    ),
    "mistral, by size": (
        {
            "ratelimitbysize-limit": "500000",
            "ratelimitbysize-remaining": "499969",
            "ratelimitbysize-reset": "35",
            "x-ratelimitbysize-limit-month": "1000000000",
        },
        RateLimit(tokens=Quota(500_000, 499_969, NOW + 35)),
    ),
    "together": (
        {
            "x-ratelimit-limit": "10",
            "x-ratelimit-remaining": "9",
            "x-ratelimit-reset": "0.1",
            "x-tokenlimit-limit": "1000",
            "x-tokenlimit-remaining": "750",
            "x-ratelimit-limit-dynamic": "80",
        },
        RateLimit(Quota(10, 9, NOW + 0.1), Quota(1000, 750)),
    ),
    "fireworks": (
        {
            "x-ratelimit-remaining-requests": "599",
            "x-ratelimit-limit-tokens-prompt": "60000",
            "x-ratelimit-remaining-tokens-generated": "5993",
            "x-ratelimit-remaining-tokens-cache-adjusted-prompt": "0",
        },
        RateLimit(Quota(None, 599), input_tokens=Quota(60_000), output_tokens=Quota(None, 5993)),
    ),
    "cohere": (
        {
            "x-endpoint-monthly-call-limit": "1000",
            "x-trial-endpoint-call-limit": "20",
            "x-trial-endpoint-call-remaining": "19",
        },
        RateLimit(Quota(20, 19)),
    ),
    "openrouter": (
        {
            "x-ratelimit-limit": "20",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": "1800000012500",
        },
        RateLimit(Quota(20, 0, NOW + 12.5)),
    ),
    "an instant in Unix seconds": (
        {"x-ratelimit-reset": "1800000100"},
        RateLimit(Quota(reset_at=NOW + 100)),
    ),
    "a draft with three headers": (
        {
            "ratelimit-limit": "100, 100;w=60",
            "ratelimit-remaining": "50",
            "ratelimit-reset": "30",
        },
        RateLimit(Quota(100, 50, NOW + 30)),
    ),
    "a draft with one": (
        {"ratelimit": "limit=100, remaining=50, reset=5"},
        RateLimit(Quota(100, 50, NOW + 5)),
    ),
    "a draft of policies": (
        {
            "ratelimit-policy": '"burst";q=100;w=60,"daily";q=1000, "size";q=9;qu="bytes"',
            "ratelimit": '"burst";r=50;t=30, "daily";r=10;t=7200, "tokens";r=7;qu="requests"',
        },
        RateLimit(Quota(1000, 10, NOW + 7200), Quota(None, 7)),
    ),
    "Retry-After alone": ({"retry-after-ms": "1500"}, RateLimit(retry_after=1.5)),
}


@pytest.mark.parametrize(("headers", "limit"), SPELLINGS.values(), ids=SPELLINGS)
def test_each_spelling_is_read(headers: dict[str, str], limit: RateLimit) -> None:
    beside = {"content-type": "text/event-stream", "date": "now", "x-limit": "1"}

    assert read_rate_limit(beside | headers, NOW) == limit


def test_headers_that_say_nothing_of_limits_are_none() -> None:
    assert read_rate_limit({"server": "x", "x-ratelimit-limit-requests": "many"}, NOW) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("17µs", 17e-6),
        ("1d", 86_400.0),
        (" 7.66 ", 7.66),
        (".5", 0.5),
        ("0", 0.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("2027-01-15T08:01:00", 60.0),
        ("2027-01-15T08:01:00.123456789Z", 60.123456),
    ],
)
def test_a_reset_is_read_however_it_is_written(value: str, seconds: float) -> None:
    reset = read_reset(value, NOW)

    assert reset is not None
    assert reset - NOW == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-1", "1e400", "nan", "inf", "6m 0s", "1x", "9" * 5000, "0x10", "2027-13-40", "²"],
)
def test_a_reset_that_cannot_be_read_is_none(value: str) -> None:
    assert read_reset(value, NOW) is None


@pytest.mark.parametrize("value", ["", "many", "9" * 5000, "1.5", "²", "null"])
def test_a_count_that_cannot_be_read_is_not_known(value: str) -> None:
    headers = {"x-ratelimit-remaining-requests": value, "x-ratelimit-limit-requests": "7"}

    assert read_rate_limit(headers, NOW) == RateLimit(Quota(7))


def test_less_than_nothing_is_nothing() -> None:
    assert read_rate_limit({"x-ratelimit-remaining": "-3"}, NOW) == RateLimit(Quota(None, 0))


_NAMES = st.sampled_from(
    sorted({name for headers, _ in SPELLINGS.values() for name in headers})
) | st.from_regex(r"x-ratelimit-[a-z]{1,9}(-[a-z0-9]{1,8}){0,3}", fullmatch=True)
_VALUES = (
    st.text(max_size=20)
    | st.from_regex(r"[0-9.:hmsdTZ+-]{0,30}", fullmatch=True)
    | st.sampled_from(sorted({v for headers, _ in SPELLINGS.values() for v in headers.values()}))
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=8))
@example({"x-ratelimit-reset": "0001-01-01T00:00:00+23:59"})
@example({"x-ratelimit-reset": "Mon, 99 Foo 99999 99:99:99 +9999"})
@example({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"})
def test_whatever_stands_in_headers_nothing_raises(headers: dict[str, str]) -> None:
    limit = read_rate_limit(headers, NOW)

    if limit is not None:
        assert limit.seconds_until_free(NOW) >= 0
        for name in QUOTAS:
            quota = getattr(limit, name)
            assert all(n is None or n >= 0 for n in (quota.limit, quota.remaining))


@given(st.floats(0, 1e8).map(lambda seconds: round(seconds, 3)))
def test_a_duration_that_is_written_is_read(seconds: float) -> None:
    minutes, rest = divmod(seconds, 60)
    written = f"{int(minutes)}m{rest:.3f}s"

    reset = read_reset(written, 0.0)
    assert reset == pytest.approx(seconds, abs=1e-3)


def test_what_is_used_up_is_free_when_the_last_of_it_is_there_again() -> None:
    used_up = Quota(10, 0, NOW + 20)
    left = Quota(10, 1, NOW + 500)

    assert RateLimit(used_up, left, Quota(5, 0, NOW + 30)).seconds_until_free(NOW) == 30.0
    assert RateLimit(used_up).seconds_until_free(NOW + 60) == 0.0
    assert RateLimit(left, Quota(10, 0)).seconds_until_free(NOW) == 0.0
    assert Quota().seconds_until_reset(NOW) is None


def test_what_was_stored_is_read_again_whatever_else_it_holds() -> None:
    limit = RateLimit(Quota(1, 2, 3.0), retry_after=4.0)
    stored = {
        "requests": {"limit": 1, "remaining": 2, "reset_at": 3.0, "colour": "red"},
        "retry_after": 4.0,
        "later": 7,
    }

    assert RateLimit.from_dict(stored) == limit
    assert RateLimit.from_dict({}) == RateLimit()
