"""Errors in the form of OpenAI, and in the forms that its copies give them.

==================================================  =========================================
``{"error": {"message", "type", "code", …}}``       OpenAI, and most others
``{"error": "…", "code" or "error_type": "…"}``     xAI, Hugging Face
``{"object": "error", "message", "type", "code"}``  vLLM, Mistral
``{"message", "type", "code"}``                     Cerebras, Mistral
``{"detail": "…"}``, ``{"detail": [{"msg": …}]}``   servers made with FastAPI
==================================================  =========================================

``error.code`` is the precise word and ``error.type`` the coarse one; some servers fill in only the
latter, and some put the HTTP status into ``code``, as a number or as text.
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

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
from steer_llm_sdk.providers.failures import describe_body, make_error, read_json_body
from steer_llm_sdk.providers.reading import as_string, object_at, objects_at, text_at


def read_answer(answer: ErrorAnswer) -> ProviderError:
    """The error of a response whose status is not 200."""
    found = read_json_body(answer)
    # Gemini's copy of this format wraps the object in a list.
    first = found[0] if isinstance(found, list) and found else found
    value = (error_object(first) or {}) if isinstance(first, dict) else {}
    return make_error(
        answer.provider,
        code_of(value),
        message_of(value) or describe_body(answer),
        status=answer.status,
        body_status=_status_in(value) if answer.status < 400 else None,
        codes=OPENAI_CODES,
        body=answer.body.decode("utf-8", "replace"),
        headers=answer.headers,
        request_id=as_string(value.get("request_id")),
    )


def read_failure(provider: str, value: Mapping[str, Any], request_id: str | None) -> ProviderError:
    """The error that a stream carries; `value` is what `error_object` found."""
    return make_error(
        provider,
        code_of(value),
        message_of(value),
        status=200,
        body_status=_status_in(value),
        codes=OPENAI_CODES,
        body=msgspec.json.encode(value).decode(),
        request_id=request_id,
    )


def error_object(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error in a body, as one mapping with ``message``, ``code`` and ``type``; or None."""
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if error:
        message = error if isinstance(error, str) else message_of(body)
        return {**body, "message": message, "type": body.get("type") or body.get("error_type")}
    if body.get("object") == "error" or "detail" in body or isinstance(body.get("message"), str):
        return dict(body)
    return None


def error_in_chunk(chunk: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the error in a chunk of a stream: wherever it stands, and beside choices too."""
    if chunk.get("error") or chunk.get("object") == "error":
        return error_object(chunk)
    if (error := error_object({"error": object_at(chunk, "x_groq").get("error")})) is not None:
        return error
    status = object_at(chunk, "base_resp")
    if status.get("status_code"):
        code = str(status["status_code"])
        return {"code": f"minimax_{code}", "message": text_at(status, "status_msg") or code}
    return None if "choices" in chunk else _bare_error(chunk)


def _bare_error(chunk: Mapping[str, Any]) -> dict[str, Any] | None:
    """An error that stands in a frame by itself, without the key ``error``."""
    if errors := objects_at(chunk, "errors"):
        return errors[0]
    words = next((chunk[key] for key in _BARE if isinstance(chunk.get(key), str)), None)
    if words is not None and not chunk.get("usage"):
        return {**chunk, "message": words}
    return dict(chunk) if chunk.get("detail") else None


def message_of(error: Mapping[str, Any]) -> str:
    """What the error says in words, with what stands behind it where a gateway tells."""
    message = as_string(error.get("message")) or _detail_of(error.get("detail"))
    metadata = error.get("metadata")
    # OpenRouter says "Provider returned error" and keeps the provider's words apart.
    raw = as_string(metadata.get("raw")) if isinstance(metadata, dict) else None
    told = f"{message}: {raw}" if raw and raw not in message else message
    filtered = ", ".join(_filtered_in(error))
    return f"{told}: filtered was {filtered}" if filtered else told


def _filtered_in(error: Mapping[str, Any]) -> Iterator[str]:
    """What Azure's filter found, by its categories.

    https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter: one result, or one
    for each of what was looked at.
    """
    inner = object_at(error, "innererror")
    results = [object_at(inner, key) for key in ("content_filter_result", "content_filter_results")]
    listed = objects_at(error, "content_filters")
    results += [object_at(each, "content_filter_results") for each in listed]
    for result in results:
        for name, found in result.items():
            if isinstance(found, dict) and found.get("filtered") is True:
                severity = as_string(found.get("severity"))
                yield f"{name} ({severity})" if severity else name


def _detail_of(detail: object) -> str:
    if isinstance(detail, str) or not detail:
        return detail if isinstance(detail, str) else ""
    return msgspec.json.encode(detail).decode()


def _status_in(error: Mapping[str, Any]) -> int | None:
    status = error.get("status_code", error.get("status"))
    return status_of(error) or status_of({"code": status})


_BARE = ("message", "detail", "msg", "error_msg", "error_message")

# https://platform.minimax.io/docs/api-reference/errorcode: `base_resp.status_code`, in a 200.
_MINIMAX: Mapping[str, type[ProviderError]] = {
    "minimax_1000": ServerError,
    "minimax_1001": ServerError,
    "minimax_1002": RateLimitError,
    "minimax_1004": AuthenticationError,
    "minimax_1008": QuotaExceededError,
    "minimax_1013": ServerError,
    "minimax_1024": ServerError,
    "minimax_1026": ContentFilterError,
    "minimax_1027": ContentFilterError,
    "minimax_1033": ServerError,
    "minimax_1039": RateLimitError,
    "minimax_1041": RateLimitError,
    "minimax_1042": InvalidRequestError,
    "minimax_2013": InvalidRequestError,
    "minimax_2049": AuthenticationError,
    "minimax_2056": QuotaExceededError,
}

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
    "data_residency_mismatch": InvalidRequestError,
    "deployment_not_found": NotFoundError,
    "DeploymentNotFound": NotFoundError,
    "empty_image_file": InvalidRequestError,
    "engine_overloaded": OverloadedError,
    "engine_overloaded_error": OverloadedError,
    "exceed_context_size_error": ContextLengthError,
    "exceeded_current_quota_error": QuotaExceededError,
    "failed_to_download_image": InvalidRequestError,
    "generation": ServerError,
    "image_content_policy_violation": ContentFilterError,
    "image_file_not_found": InvalidRequestError,
    "image_file_too_large": InvalidRequestError,
    "image_parse_error": InvalidRequestError,
    "image_too_large": InvalidRequestError,
    "image_too_small": InvalidRequestError,
    "insufficient_balance": QuotaExceededError,
    "insufficient_quota": QuotaExceededError,
    "internal_error": ServerError,
    "internal_server_error": ServerError,
    "InternalServerError": ServerError,
    "invalid_api_key": AuthenticationError,
    "invalid_authentication": AuthenticationError,
    "invalid_authentication_error": AuthenticationError,
    "invalid_base64_image": InvalidRequestError,
    "invalid_image": InvalidRequestError,
    "invalid_image_format": InvalidRequestError,
    "invalid_image_mode": InvalidRequestError,
    "invalid_image_url": InvalidRequestError,
    "invalid_prompt": InvalidRequestError,
    "invalid_request_error": InvalidRequestError,
    "json_validate_failed": InvalidRequestError,
    "misalignment_policy_violation": ContentFilterError,
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
    "unsupported_image_media_type": InvalidRequestError,
    "usage_limit_reached": QuotaExceededError,
    "validation": InvalidRequestError,
    "vector_store_timeout": ServerError,
    "wrong_api_key": AuthenticationError,
    **_MINIMAX,
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
