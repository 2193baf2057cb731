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
from steer_llm_sdk.providers.openai_chat.errors import KNOWN_CODES, code_of, status_of
from steer_llm_sdk.providers.reading import as_object, as_string, object_at, text_at, unpacked

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
    "conflict_error": InvalidRequestError,
    "memory_precondition_failed_error": InvalidRequestError,
    "memory_path_conflict_error": InvalidRequestError,
}

# ``details.error_code`` names the cause, where ``type`` is only its category, and the same for a
# limit that waiting lifts and one that it does not.
CAUSES: Mapping[str, type[ProviderError]] = {
    "contract_spend_limit_reached": QuotaExceededError,
    "enforced_spend_limit_reached": QuotaExceededError,
    "linked_organization_spend_limit_reached": QuotaExceededError,
    "linked_organization_billing_unavailable": QuotaExceededError,
    "ramp_limit_exceeded": RateLimitError,
    "organization_on_hold": PermissionDeniedError,
    "organization_type_not_supported": PermissionDeniedError,
    "parent_organization_required": PermissionDeniedError,
    "claude_code_key_creator_not_member": PermissionDeniedError,
    "claude_code_version_too_old": InvalidRequestError,
    "sandbox_egress_restricted": PermissionDeniedError,
    "workspace_human_review_disabled": PermissionDeniedError,
    "cmek_context_unavailable": ServerError,
    "cmek_key_disabled": PermissionDeniedError,
    "cmek_key_network_blocked": PermissionDeniedError,
    "cmek_key_unreachable": ServerError,
    "request_body_encoding_invalid": InvalidRequestError,
    "request_body_encoding_unsupported": InvalidRequestError,
    "request_body_too_large_after_decoding": InvalidRequestError,
}

# Gateways pass on the words of others.
_CODES: Mapping[str, type[ProviderError]] = {**KNOWN_CODES, **ERROR_CODES}


def read_anthropic_error(answer: ErrorAnswer) -> ProviderError:
    """The error of a response that is not a stream: Anthropic's JSON, or what came instead."""
    payload = as_object(read_json_body(answer))
    code, message = _code_and_message(payload)
    message = message or describe_body(answer)
    return make_error(
        answer.provider,
        code,
        message,
        status=answer.status,
        codes=_CODES,
        kind=None if code is None else CAUSES.get(code),
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
        codes=_CODES,
        kind=None if code is None else CAUSES.get(code),
        body_status=status_of(object_at(payload, "error")),
        request_id=as_string(payload.get("request_id")),
    )
    return Failure(error)


def failure_by_word(provider: str, word: str, kind: type[ProviderError]) -> Failure:
    """The failure that a stop reason is: the answer did not end, it broke."""
    said = "the answer broke off with this stop reason"
    return Failure(make_error(provider, word, said, status=200, codes={}, kind=kind))


def _code_and_message(payload: Mapping[str, Any]) -> tuple[str | None, str]:
    """From ``{"error": {"type": …, "message": …}}``, ``{"error": …}`` or what stands there flat.

    A cause that is known is the code, rather than the category.
    """
    error = unpacked(payload.get("error"))
    if isinstance(error, str):
        return None, error
    if isinstance(error, dict):
        cause = text_at(object_at(error, "details"), "error_code")
        kind = as_string(error.get("type"))
        code = cause if cause in CAUSES else kind if kind in ERROR_CODES else code_of(error)
        return code, text_at(error, "message")
    kind = as_string(payload.get("type"))
    return kind if kind != "error" else None, text_at(payload, "message")
