"""Errors in the form of OpenAI, and in the forms that its copies give them.

==================================================  =========================================
``{"error": {"message", "type", "code", …}}``       OpenAI, and most others
``{"error": "…", "code" or "error_type": "…"}``     xAI, Hugging Face
``{"object": "error", "message", "type", "code"}``  vLLM, Mistral
``{"message", "type", "code"}``                     Cerebras, Mistral
``{"detail": "…"}``, ``{"detail": [{"msg": …}]}``   servers made with FastAPI
==================================================  =========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.failures import describe_body, make_error, read_json_body
from steer_llm_sdk.providers.openai_codes import OPENAI_CODES, code_of, status_of


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
        request_id=_text(value.get("request_id")),
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


def message_of(error: Mapping[str, Any]) -> str:
    """What the error says in words, with what stands behind it where a gateway tells."""
    message = _text(error.get("message")) or _detail_of(error.get("detail"))
    metadata = error.get("metadata")
    # OpenRouter says "Provider returned error" and keeps the provider's words apart.
    raw = _text(metadata.get("raw")) if isinstance(metadata, dict) else None
    return f"{message}: {raw}" if raw and raw not in message else message


def _detail_of(detail: object) -> str:
    if isinstance(detail, str) or not detail:
        return detail if isinstance(detail, str) else ""
    return msgspec.json.encode(detail).decode()


def _status_in(error: Mapping[str, Any]) -> int | None:
    status = error.get("status_code", error.get("status"))
    return status_of(error) or status_of({"code": status})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
