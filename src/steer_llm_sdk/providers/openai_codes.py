"""OpenAI's words for errors, shared by its two wire formats and by the servers that copy them.

``error.code`` is the precise word and ``error.type`` the coarse one; some servers fill in only the
latter, and some put the HTTP status into ``code``, as a number or as text.
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

OPENAI_CODES: Mapping[str, type[ProviderError]] = {
    "account_deactivated": AuthenticationError,
    "authentication_error": AuthenticationError,
    "AuthenticationError": AuthenticationError,
    "BadRequestError": InvalidRequestError,
    "billing_hard_limit_reached": QuotaExceededError,
    "billing_not_active": QuotaExceededError,
    "bio_policy": ContentFilterError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "context_length_exceeded": ContextLengthError,
    "cyber_policy": ContentFilterError,
    "deployment_not_found": NotFoundError,
    "DeploymentNotFound": NotFoundError,
    "engine_overloaded": OverloadedError,
    "engine_overloaded_error": OverloadedError,
    "exceed_context_size_error": ContextLengthError,
    "exceeded_current_quota_error": QuotaExceededError,
    "generation": ServerError,
    "image_content_policy_violation": ContentFilterError,
    "insufficient_balance": QuotaExceededError,
    "insufficient_quota": QuotaExceededError,
    "internal_error": ServerError,
    "internal_server_error": ServerError,
    "InternalServerError": ServerError,
    "invalid_api_key": AuthenticationError,
    "invalid_authentication": AuthenticationError,
    "invalid_authentication_error": AuthenticationError,
    "invalid_prompt": InvalidRequestError,
    "invalid_request_error": InvalidRequestError,
    "json_validate_failed": InvalidRequestError,
    "model_not_found": NotFoundError,
    "not_found_error": NotFoundError,
    "NotFoundError": NotFoundError,
    "overloaded": OverloadedError,
    "overloaded_error": OverloadedError,
    "permission_denied": PermissionDeniedError,
    "permission_error": PermissionDeniedError,
    "PermissionDeniedError": PermissionDeniedError,
    "previous_response_not_found": NotFoundError,
    "rate_limit_error": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "rate_limit_reached_error": RateLimitError,
    "RateLimitError": RateLimitError,
    "requests": RateLimitError,
    "ResponsibleAIPolicyViolation": ContentFilterError,
    "server_error": ServerError,
    "server_is_overloaded": OverloadedError,
    "service_unavailable": OverloadedError,
    "service_unavailable_error": OverloadedError,
    "ServiceUnavailableError": OverloadedError,
    "slow_down": OverloadedError,
    "string_above_max_length": InvalidRequestError,
    "tokens": RateLimitError,
    "too_many_requests_error": RateLimitError,
    "tool_use_failed": InvalidRequestError,
    "unavailable_error": OverloadedError,
    "unsupported_country_region_territory": PermissionDeniedError,
    "usage_limit_reached": QuotaExceededError,
    "validation": InvalidRequestError,
    "vector_store_timeout": ServerError,
    "wrong_api_key": AuthenticationError,
}


def code_of(error: Mapping[str, Any]) -> str | None:
    """The most precise word of an error object that is in the table, else the first that is there.

    ``code`` is looked at before ``type``. A number is no word: see `status_of`.
    """
    words = [w for w in (error.get("code"), error.get("type")) if isinstance(w, str) and w]
    known = (word for word in words if word in OPENAI_CODES)
    return next(known, words[0] if words else None)


def status_of(error: Mapping[str, Any]) -> int | None:
    """The HTTP status that some servers put into ``code``, as a number or as text; else None."""
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code[:4])
    if isinstance(code, bool) or not isinstance(code, int):
        return None
    return code if 400 <= code < 600 else None
