from __future__ import annotations

import gzip

import pytest

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.failures import (
    class_of_status,
    classify,
    describe_body,
    make_error,
    read_json_body,
    retry_after_seconds,
    scrub,
    shorten,
)

CODES: dict[str, type[ProviderError]] = {
    "busy": OverloadedError,
    "invalid": InvalidRequestError,
    "slow": RateLimitError,
}


def answer(body: bytes) -> ErrorAnswer:
    return ErrorAnswer("acme", 500, {}, body)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (None, ProviderError),
        (200, ProviderError),
        (400, InvalidRequestError),
        (402, QuotaExceededError),
        (418, InvalidRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (529, OverloadedError),
    ],
)
def test_a_status_gives_a_class(status: int | None, kind: type[ProviderError]) -> None:
    assert class_of_status(status) is kind


@pytest.mark.parametrize(
    ("code", "message", "status", "kind"),
    [
        ("busy", "?", 400, OverloadedError),
        ("insufficient_quota", "?", 400, QuotaExceededError),
        ("rate_limit_exceeded", "?", None, RateLimitError),
        (None, "Input is too long for requested model.", 400, ContextLengthError),
        (None, "the maximum prompt length is 131072", 400, ContextLengthError),
        (None, "Your request exceeded model token limit: 8", 400, ContextLengthError),
        (None, "Range of input length should be [1, 8]", 400, ContextLengthError),
        (None, "`inputs` tokens + `max_new_tokens` must be <= 8", 422, ContextLengthError),
        (None, "litellm.ContextWindowExceededError: no", 400, ContextLengthError),
        (None, "litellm.ContentPolicyViolationError: no", 400, ContentFilterError),
        (None, "your input was flagged", 403, ContentFilterError),
        ("slow", "Too many tokens per day, please wait", 429, QuotaExceededError),
        # As Bedrock says it, and gateways pass it on.
        (None, "Too many tokens, please wait before trying again.", None, RateLimitError),
        (None, "Too many tokens", 400, ContextLengthError),
        ("slow", "Rate limit exceeded: free-models-per-day", 429, QuotaExceededError),
        ("slow", "limited to 1000 API calls / month", 429, QuotaExceededError),
        ("slow", "limit on tokens per day: 9. Please try again in 7s", 429, RateLimitError),
        (None, "too early", 425, ServerError),
        (None, "invalid api token", None, AuthenticationError),
        ("other", "?", 404, NotFoundError),
        (None, "?", 500, ServerError),
        ("invalid", "?", 200, InvalidRequestError),
        ("invalid", "wrong key", 401, AuthenticationError),
        ("invalid", "maximum context length is 5", 400, ContextLengthError),
        ("slow", "You exceeded your current quota", 429, QuotaExceededError),
        ("slow", "Your project has exceeded its monthly spending cap.", 429, QuotaExceededError),
        ("slow", "This would exceed your account's monthly spend limit", 429, QuotaExceededError),
        ("slow", "5-hour usage limit reached for the plan", 429, QuotaExceededError),
        ("slow", "you have hit your daily request limit", 429, QuotaExceededError),
        ("slow", "Monthly token quota exceeded", 429, QuotaExceededError),
        ("slow", "used up your daily free allocation", 429, QuotaExceededError),
        ("slow", "You have exhausted your premium model quota", 429, QuotaExceededError),
        ("invalid", "reached your specified workspace API usage limits", 400, QuotaExceededError),
        (None, "litellm: reached your specified API usage limits", 400, QuotaExceededError),
        ("invalid", "You're out of extra usage.", 400, QuotaExceededError),
        (None, "You have run out of credits", 403, QuotaExceededError),
        (None, "Key limit exceeded (total limit)", 403, QuotaExceededError),
        (None, "该令牌额度已用尽", 403, QuotaExceededError),
        (None, "disabled due to a rate limit of 0", 403, PermissionDeniedError),
        (None, "rate limit of 0.5 a second", 403, RateLimitError),
        (None, "max tokens of 18000 exceeded", 400, ContextLengthError),
        ("slow", "maximum context length", 429, RateLimitError),
        ("slow", "the model is overloaded", 429, OverloadedError),
        (None, "blocked by the content policy", 400, ContentFilterError),
        (None, "Internal server error", 200, ServerError),
        (None, "Rate limit reached", 200, RateLimitError),
        (None, "API key not valid", 400, AuthenticationError),
        (None, "the context length", 404, NotFoundError),
    ],
)
def test_the_code_decides_then_the_prose_then_the_status(
    code: str | None, message: str, status: int, kind: type[ProviderError]
) -> None:
    assert classify(code, message, status, CODES) is kind


def test_an_error_names_the_provider_and_says_what_to_do() -> None:
    error = make_error("acme", "slow", "Not  so\nfast", status=429, codes=CODES)

    assert str(error) == "acme (429): Not so fast [slow]; wait and try again"
    assert error.is_retryable


def test_an_error_inside_a_stream_shows_no_status() -> None:
    error = make_error("acme", None, "", status=200, codes=CODES, body_status=503)

    assert type(error) is OverloadedError
    assert str(error) == "acme: no message; try again later"
    assert error.status == 200


@pytest.mark.parametrize("header", ["x-request-id", "request-id"])
def test_the_identifier_of_the_request_comes_from_the_headers(header: str) -> None:
    error = make_error("acme", None, "?", status=500, codes=CODES, headers={header: "q"})

    assert error.request_id == "q"


def test_long_texts_are_cut() -> None:
    error = make_error("acme", None, "x" * 9999, status=500, codes=CODES, body="y" * 9999)

    assert len(str(error)) < 600
    assert error.body is not None
    assert len(error.body) == 2000
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "ab…"


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijkl",
        "gsk_abcdefghijkl",
        "AIzaSyAbcdefghijkl",
        "Bearer abcdefghijkl",
        "hf_abcdefghijkl",
        "xai-abcdefghijkl",
        "Incorrect API key provided: 0123abcdefghijkl",
        '"api_key": "abcdefghijkl"',
    ],
)
def test_keys_are_scrubbed(key: str) -> None:
    assert "bcdefgh" not in scrub(f"<{key}>")
    assert "[key]" in scrub(key)


def test_words_are_not_scrubbed() -> None:
    text = "The API key is missing; see the risk-free key-value task-list"

    assert scrub(text) == text


def test_a_json_body_is_read_and_another_is_not() -> None:
    assert read_json_body(answer(b'{"a": 1}')) == {"a": 1}
    assert read_json_body(answer(b"<html>")) is None
    assert read_json_body(answer(b'{"a":' * 100_000)) is None
    assert read_json_body(answer(b'{"a": "\xff"}')) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b" \n", "an empty body"),
        (b"<!DOCTYPE html><title> Gone </title>", "an HTML page: Gone"),
        (b"<html><body>x</body></html>", "an HTML page"),
        (b"1 < 2", "1 < 2"),
        (
            gzip.compress(b"{}", mtime=0),
            "a body that gzip has packed, of which its headers do not tell",
        ),
    ],
)
def test_other_bodies_are_described(body: bytes, said: str) -> None:
    assert describe_body(answer(body)) == said


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "0", "retry-after": "9"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 60.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_how_long_to_wait_is_read_from_the_headers(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_seconds(headers, now=40.0) == seconds
