"""What all of Google's APIs say of errors, its copy of chat completions too.

https://cloud.google.com/apis/design/errors: a word in ``status``, and ``details`` that say which
limit ran out, and until when.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
from steer_llm_sdk.providers.reading import objects_at

ERROR_CODES: Mapping[str, type[ProviderError]] = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "FAILED_PRECONDITION": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    "ALREADY_EXISTS": InvalidRequestError,
    "UNIMPLEMENTED": InvalidRequestError,
    "UNAUTHENTICATED": AuthenticationError,
    "API_KEY_INVALID": AuthenticationError,
    "API_KEY_EXPIRED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "UNAVAILABLE": OverloadedError,
    "INTERNAL": ServerError,
    "UNKNOWN": ServerError,
    "DATA_LOSS": ServerError,
    "ABORTED": ServerError,
    "CANCELLED": ServerError,
    "DEADLINE_EXCEEDED": ServerError,
}

_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def kind_of_limit(details: list[dict[str, Any]]) -> type[ProviderError] | None:
    """Which limit ran out, as the details say; the prose is the same for each ("check your plan").

    A limit a day does not come back while anyone waits, whatever delay is proposed with it.
    """
    if any("PerDay" in str(violation.get("quotaId")) for violation in _violations(details)):
        return QuotaExceededError
    return RateLimitError if delay_in(details) is not None else None


def _violations(details: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for detail in details:
        yield from objects_at(detail, "violations")


def delay_in(details: list[dict[str, Any]]) -> float | None:
    """What a ``RetryInfo`` proposes, in seconds: ``{"retryDelay": "34.07s"}``."""
    for detail in details:
        if match := _SECONDS.fullmatch(str(detail.get("retryDelay"))):
            return float(match[1])
    return None
