"""The words for errors that OpenAI's wire formats share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.openai_chat.codes import OPENAI_CODES
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_chat.errors import code_of, read_failure, status_of


def read(status: int, body: object, headers: dict[str, str] | None = None) -> ProviderError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OpenAIChat().read_error(ErrorAnswer("acme", status, headers or {}, data))


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (
            401,
            {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}},
            AuthenticationError,
            "invalid_api_key",
        ),
        (
            429,
            {"error": {"message": "Too fast", "code": "rate_limit_exceeded", "type": "requests"}},
            RateLimitError,
            "rate_limit_exceeded",
        ),
        (
            429,
            {"error": {"message": "No money", "code": "insufficient_quota"}},
            QuotaExceededError,
            "insufficient_quota",
        ),
        (
            400,
            {"error": {"message": "Too long", "code": "context_length_exceeded"}},
            ContextLengthError,
            "context_length_exceeded",
        ),
        (
            400,
            {"error": {"message": "Filtered", "code": "content_filter", "status": 400}},
            ContentFilterError,
            "content_filter",
        ),
        (
            401,
            {"error": {"message": "Authentication Fails", "type": "invalid_request_error"}},
            AuthenticationError,
            "invalid_request_error",
        ),
        (
            404,
            {"object": "error", "message": "No such model", "type": "NotFoundError", "code": 404},
            NotFoundError,
            "NotFoundError",
        ),
        (
            503,
            {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}},
            OverloadedError,
            "unavailable_error",
        ),
        (400, {"code": "bad", "error": "Incorrect API key provided"}, AuthenticationError, "bad"),
        (
            422,
            {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs"}]},
            InvalidRequestError,
            None,
        ),
        (422, {"detail": "Not so"}, InvalidRequestError, None),
        (500, {"error": {"type": 5}}, ServerError, None),
        (500, {"error": True}, ServerError, None),
        (401, {"message": "Unauthorized", "request_id": "q"}, AuthenticationError, None),
        (404, [{"error": {"message": "no such model", "code": 404}}], NotFoundError, None),
        (
            200,
            {"error": {"message": "slow down", "code": "429"}},
            RateLimitError,
            "429",
        ),
    ],
)
def test_an_error_is_classified_by_what_it_says(
    status: int, body: object, kind: type[ProviderError], code: str | None
) -> None:
    error = read(status, body)

    assert type(error) is kind
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "an empty body"),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "page: 502 Bad Gateway"),
        (b"upstream connect error", "upstream connect error"),
        (b'"just text"', "just text"),
        (b"[]", "[]"),
        (b"\xff" * 5, "\ufffd"),
    ],
)
def test_a_body_that_is_no_json_object_is_described(body: bytes, said: str) -> None:
    error = read(502, body)

    assert type(error) is ServerError
    assert said in str(error)


def test_the_identifier_of_the_request_is_kept() -> None:
    assert read(500, {}, {"x-request-id": "h"}).request_id == "h"
    assert read(500, {"message": "?", "request_id": "b"}).request_id == "b"


def test_what_stands_behind_a_gateways_error_is_shown() -> None:
    body = {
        "error": {
            "message": "Provider returned error",
            "code": 429,
            "metadata": {"raw": "model is at capacity", "provider_name": "X"},
        }
    }

    error = read(429, body)

    assert type(error) is OverloadedError
    assert "Provider returned error: model is at capacity" in str(error)


def test_no_key_is_shown() -> None:
    body = {"error": {"message": "Incorrect API key provided: abc123def456ghi."}}

    error = read(401, body)

    assert "abc123" not in str(error)
    assert error.body is not None
    assert "abc123" not in error.body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, "insufficient_quota"),
        ({"code": "rate_limit_exceeded", "type": "tokens"}, "rate_limit_exceeded"),
        ({"code": "7302", "type": "overloaded_error"}, "overloaded_error"),
        ({"code": 400, "type": "invalid_request_error"}, "invalid_request_error"),
        ({"code": "odd", "type": "odder"}, "odd"),
        ({"code": None, "type": "odder"}, "odder"),
        ({"code": "", "type": None}, None),
        ({}, None),
    ],
)
def test_the_most_precise_known_word_is_the_code(error: dict[str, Any], code: str | None) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (429, 429),
        ("503", 503),
        (200, None),
        ("12345678901234567890", None),
        (True, None),
        ("rate_limit_exceeded", None),
        (None, None),
    ],
)
def test_a_status_may_stand_where_the_code_does(code: object, status: int | None) -> None:
    assert status_of({"code": code}) == status


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        # Z.ai tells an empty account, a filter and a long prompt with the status of a rate limit.
        (429, {"code": "1113", "message": "x"}, QuotaExceededError),
        (429, {"code": "1302", "message": "x"}, RateLimitError),
        (429, {"code": "1310", "message": "x"}, QuotaExceededError),
        (400, {"code": "1261", "message": "x"}, ContextLengthError),
        (400, {"code": "1301", "message": "x"}, ContentFilterError),
        # DashScope, Volcengine, Copilot: a detail stands behind the word.
        (403, {"code": "AllocationQuota.FreeTierOnly", "message": "x"}, QuotaExceededError),
        (429, {"code": "Throttling.RateQuota", "message": "x"}, RateLimitError),
        (429, {"code": "RateLimitExceeded.EndpointTPMExceeded", "message": "x"}, RateLimitError),
        (403, {"code": "user_global_rate_limited:pro", "message": "x"}, RateLimitError),
        (
            400,
            {"code": "data_inspection_failed", "type": "data_inspection_failed"},
            ContentFilterError,
        ),
        (400, {"code": "Arrearage", "message": "Access denied"}, QuotaExceededError),
        # Cerebras: tokens a minute, and not of the context.
        (
            200,
            {
                "code": "token_quota_exceeded",
                "type": "too_many_tokens_error",
                "message": "too many tokens processed",
            },
            RateLimitError,
        ),
        # LiteLLM, Bedrock's gateways, Anthropic's words.
        (400, {"type": "ContextWindowExceededError", "code": "400"}, ContextLengthError),
        (400, {"type": "budget_exceeded", "code": "400"}, QuotaExceededError),
        (200, {"type": "ThrottlingException", "message": "x"}, RateLimitError),
        (200, {"type": "billing_error", "message": "x"}, QuotaExceededError),
        (200, {"type": "api_error", "message": "x"}, ServerError),
        (401, {"type": "api_error", "message": "x"}, AuthenticationError),
        # OpenRouter keeps its word apart.
        (
            200,
            {"code": 502, "message": "x", "metadata": {"error_type": "provider_overloaded"}},
            OverloadedError,
        ),
        # SiliconFlow and others, in words alone.
        (
            403,
            {"code": 30001, "message": "Sorry, your account balance is insufficient"},
            QuotaExceededError,
        ),
        (429, {"message": "you have reached your weekly usage limit"}, QuotaExceededError),
        # Google, in this form.
        (200, {"code": 400, "status": "UNAUTHENTICATED", "message": "x"}, AuthenticationError),
    ],
)
def test_the_words_of_gateways_and_clouds_are_known(
    status: int, error: dict[str, Any], expected: type[ProviderError]
) -> None:
    in_stream = status == 200
    found = read_failure("acme", error, None) if in_stream else read(status, {"error": error})

    assert type(found) is expected


def test_the_limits_of_google_are_told_apart_by_their_details() -> None:
    words = "You exceeded your current quota, please check your plan and billing details."
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
    day = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
    error = {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED", "details": [delay]}

    minute = read(429, [{"error": error}])
    assert (type(minute), minute.retry_after) == (RateLimitError, 34)
    assert type(read(429, [{"error": error | {"details": [day, delay]}}])) is QuotaExceededError
    assert type(read_failure("acme", error, None)) is RateLimitError


def test_a_word_that_means_to_wait_is_retryable_and_an_empty_account_is_not() -> None:
    retryable = {code for code, kind in OPENAI_CODES.items() if kind.is_retryable}

    assert {"rate_limit_exceeded", "server_error", "overloaded_error"} <= retryable
    assert not {"insufficient_quota", "invalid_prompt", "content_filter"} & retryable


@pytest.mark.parametrize("key", ["status_code", "status", "statusCode", "http_code", "http_status"])
@pytest.mark.parametrize("status", [429, "429"])
def test_a_status_may_stand_beside_the_code(key: str, status: object) -> None:
    error = read_failure("acme", {"message": "Wait.", "code": "1302", key: status}, None)

    assert isinstance(error, RateLimitError)


@pytest.mark.parametrize("key", ["msg", "error_msg", "error_message"])
def test_the_words_of_an_error_may_have_other_names(key: str) -> None:
    assert "Too big." in str(read(400, {"error": {key: "Too big."}}))
    assert "Too big." in str(read_failure("acme", {key: "Too big."}, None))


def test_the_first_of_several_errors_is_told() -> None:
    errors = [{"message": "used up your daily free allocation", "code": 4006}, {"message": "?"}]

    error = read(429, {"errors": errors, "success": False, "messages": []})

    assert type(error) is QuotaExceededError
    assert str(error).startswith("acme (429): used up your daily free allocation;")
    assert "a; b" in str(read(400, {"message": "a; b", "errors": errors}))
