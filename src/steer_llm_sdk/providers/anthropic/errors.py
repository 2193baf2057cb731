"""What Anthropic calls its errors, in a response and inside a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import Failure
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.failures import describe_body, make_error, read_json_body
from steer_llm_sdk.providers.reading import as_object, as_string, text_at

# https://platform.claude.com/docs/en/api/errors. The prose of an `invalid_request_error` tells a
# prompt that is too long and an empty account from the rest: see `failures`.
ERROR_CODES: Mapping[str, type[ProviderError]] = {
    "invalid_request_error": InvalidRequestError,
    "authentication_error": AuthenticationError,
    "billing_error": QuotaExceededError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "request_too_large": InvalidRequestError,
    "rate_limit_error": RateLimitError,
    "timeout_error": ServerError,
    "api_error": ServerError,
    "overloaded_error": OverloadedError,
}


def read_anthropic_error(answer: ErrorAnswer) -> ProviderError:
    """The error of a response that is not a stream: Anthropic's JSON, or what came instead."""
    payload = as_object(read_json_body(answer))
    code, message = _code_and_message(payload)
    return make_error(
        answer.provider,
        code,
        message or describe_body(answer),
        status=answer.status,
        codes=ERROR_CODES,
        body=answer.body.decode("utf-8", "replace"),
        headers=answer.headers,
        request_id=as_string(payload.get("request_id")),
    )


def failure_in_stream(provider: str, payload: Mapping[str, Any]) -> Failure:
    """The ``error`` event: it comes inside a 200, at any place."""
    code, message = _code_and_message(payload)
    error = make_error(
        provider,
        code,
        message,
        status=200,
        codes=ERROR_CODES,
        request_id=as_string(payload.get("request_id")),
    )
    return Failure(error)


def _code_and_message(payload: Mapping[str, Any]) -> tuple[str | None, str]:
    """From ``{"error": {"type": …, "message": …}}``, ``{"error": …}`` or what stands there flat."""
    error = payload.get("error")
    if isinstance(error, str):
        return None, error
    if isinstance(error, dict):
        return as_string(error.get("type")), text_at(error, "message")
    kind = as_string(payload.get("type"))
    return kind if kind != "error" else None, text_at(payload, "message")
