"""What Google calls its errors, in a response and inside a stream.

https://ai.google.dev/gemini-api/docs/troubleshooting, https://cloud.google.com/apis/design/errors:
``{"error": {"code": 429, "message": …, "status": "RESOURCE_EXHAUSTED", "details": […]}}``, alone or
as the one element of a list. The word in ``status`` decides; a ``reason`` among the details is more
precise where it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    InvalidRequestError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import Failure
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.failures import (
    describe_body,
    kind_of_ending,
    make_error,
    read_json_body,
)
from steer_llm_sdk.providers.google_errors import ERROR_CODES, delay_in, kind_of_limit
from steer_llm_sdk.providers.reading import as_int, as_object, as_string, objects_at, unpacked

# What Google's APIs give as ``reason`` among the details, of an account or a key:
# https://cloud.google.com/apis/design/errors#error_info.
REASONS: Mapping[str, type[ProviderError]] = {
    "ACCESS_TOKEN_EXPIRED": AuthenticationError,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": PermissionDeniedError,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": AuthenticationError,
    "ACCOUNT_STATE_INVALID": AuthenticationError,
    "API_KEY_HTTP_REFERRER_BLOCKED": PermissionDeniedError,
    "API_KEY_IP_ADDRESS_BLOCKED": PermissionDeniedError,
    "API_KEY_SERVICE_BLOCKED": PermissionDeniedError,
    "BILLING_DISABLED": QuotaExceededError,
    "CONSUMER_INVALID": PermissionDeniedError,
    "CONSUMER_SUSPENDED": PermissionDeniedError,
    "CREDENTIALS_MISSING": AuthenticationError,
    "RATE_LIMIT_EXCEEDED": RateLimitError,
    "SERVICE_DISABLED": PermissionDeniedError,
}

# Reasons to stop that are no end of an answer: what the model wrote cannot be read, and asking
# again helps; or the request and the account are at fault, and it does not.
FAILED_FINISHES: Mapping[str, tuple[type[ProviderError], str]] = {
    "MALFORMED_FUNCTION_CALL": (ServerError, "the model wrote a function call that is malformed"),
    "MALFORMED_RESPONSE": (ServerError, "the model's answer is malformed"),
    "UNEXPECTED_TOOL_CALL": (ServerError, "the model called a function that it was not given"),
    "MISSING_THOUGHT_SIGNATURE": (
        InvalidRequestError,
        "a thought signature of an earlier turn is missing in the messages",
    ),
    "PUP_LIMITED_DISABLED": (
        PermissionDeniedError,
        "the account is limited for a breach of the prohibited use policy",
    ),
}

_LIMITS = frozenset({"RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"})
_CODES = {**ERROR_CODES, **REASONS}


def read_gemini_error(answer: ErrorAnswer) -> ProviderError:
    """The error of a response that is not a stream: Google's JSON, or what came instead."""
    found = read_json_body(answer)
    payload = found[0] if isinstance(found, list) and found else found
    return _make(
        answer.provider,
        as_object(payload).get("error"),
        status=answer.status,
        otherwise=describe_body(answer),
        body=answer.body.decode("utf-8", "replace"),
        headers=answer.headers,
    )


def failure_in_stream(provider: str, error: object) -> Failure:
    """The ``error`` of a frame: it comes inside a 200, at any place."""
    return Failure(_make(provider, error, status=200))


def blocked_prompt(provider: str, feedback: Mapping[str, Any]) -> Failure | None:
    """The failure that a ``promptFeedback`` with a reason is; None where it has none."""
    reason = feedback.get("blockReason")
    if not reason or reason == "BLOCKED_REASON_UNSPECIFIED":
        return None
    word = str(reason)
    message = feedback.get("blockReasonMessage") or "the prompt was blocked"
    error = make_error(provider, word, str(message), status=200, codes={word: ContentFilterError})
    return Failure(error)


def failed_finish(provider: str, word: str, message: object) -> Failure | None:
    """The failure that a finish reason is; None where it is the end of an answer."""
    if word in FAILED_FINISHES:
        kind, said = FAILED_FINISHES[word]
    elif (meant := kind_of_ending(word)) is not None:  # of a server behind a gateway
        kind, said = meant, "the answer broke off"
    else:
        return None
    text = f"{said}: {message}" if isinstance(message, str) and message else said
    return Failure(make_error(provider, word, text, status=200, codes={}, kind=kind))


def _make(
    provider: str,
    error: object,
    *,
    status: int,
    otherwise: str = "",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProviderError:
    error = unpacked(error)
    found: Mapping[str, Any] = error if isinstance(error, dict) else {"message": error}
    details = objects_at(found, "details")
    code = _code(found, details)
    return make_error(
        provider,
        code,
        as_string(found.get("message")) or otherwise,
        status=status,
        codes=_CODES,
        body=body,
        headers=headers,
        body_status=_status(found.get("code")),
        kind=kind_of_limit(details) if code in _LIMITS else None,
        retry_after=delay_in(details),
    )


def _code(error: Mapping[str, Any], details: list[dict[str, Any]]) -> str | None:
    reasons = (as_string(detail.get("reason")) for detail in details)
    known = (reason for reason in reasons if reason in _CODES)
    words = (error.get("status"), error.get("code"), error.get("type"))
    return next(known, next(filter(None, map(as_string, words)), None))


def _status(code: object) -> int | None:
    number = as_int(code)
    return number if number is not None and 400 <= number < 600 else None
