r"""Errors in the form of OpenAI, and in the forms that its copies give them.

==================================================  =========================================
``{"error": {"message", "type", "code", …}}``       OpenAI, and most others
``{"error": "…", "code" or "error_type": "…"}``     xAI, Hugging Face
``{"error": "{\"error\": {…}}"}``                    gateways, which pass on a body as a text
``{"object": "error", "message", "type", "code"}``  vLLM, Mistral
``{"message", "type", "code"}``                     Cerebras, Mistral
``{"detail": "…"}``, ``{"detail": [{"msg": …}]}``   servers made with FastAPI
``{"errors": [{"message", "code"}]}``               Cloudflare
==================================================  =========================================

``error.code`` is the precise word and ``error.type`` the coarse one; some servers fill in only the
latter, and some put the HTTP status into ``code``, as a number or as text.
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from steer_llm_sdk.errors import ProviderError, ServerError
from steer_llm_sdk.models.fragments import Failure
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.failures import describe_body, make_error, read_json_body
from steer_llm_sdk.providers.google_errors import ERROR_CODES as GOOGLE_CODES
from steer_llm_sdk.providers.google_errors import delay_in, kind_of_limit
from steer_llm_sdk.providers.openai_chat.codes import OPENAI_CODES
from steer_llm_sdk.providers.reading import as_string, object_at, objects_at, text_at, unpacked


def read_answer(answer: ErrorAnswer) -> ProviderError:
    """The error of a response whose status is not 200."""
    found = read_json_body(answer)
    # Gemini's copy of this format wraps the object in a list.
    first = found[0] if isinstance(found, list) and found else found
    value = (error_object(first) or {}) if isinstance(first, dict) else {}
    details = objects_at(value, "details")
    return make_error(
        answer.provider,
        code_of(value),
        message_of(value) or describe_body(answer),
        status=answer.status,
        body_status=_status_in(value) if answer.status < 400 else None,
        codes=KNOWN_CODES,
        body=answer.body.decode("utf-8", "replace"),
        headers=answer.headers,
        request_id=as_string(value.get("request_id")),
        kind=kind_of_limit(details),  # as Google has them, in this form too
        retry_after=delay_in(details),
    )


def read_failure(provider: str, value: Mapping[str, Any], request_id: str | None) -> ProviderError:
    """The error that a stream carries; `value` is what `error_object` found."""
    details = objects_at(value, "details")
    return make_error(
        provider,
        code_of(value),
        message_of(value),
        status=200,
        body_status=_status_in(value),
        codes=_IN_STREAMS,
        body=msgspec.json.encode(value).decode(),
        request_id=request_id,
        kind=kind_of_limit(details),
        retry_after=delay_in(details),
    )


def error_object(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error in a body, as one mapping with ``message``, ``code`` and ``type``; or None."""
    error = unpacked(body.get("error"))
    if isinstance(error, dict):
        return error
    if error:
        message = error if isinstance(error, str) else message_of(body)
        return {**body, "message": message, "type": body.get("type") or body.get("error_type")}
    if body.get("object") == "error" or "detail" in body or isinstance(body.get("message"), str):
        return dict(body)
    return next(iter(objects_at(body, "errors")), None)


def error_in_chunk(chunk: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the error in a chunk of a stream: wherever it stands, and beside choices too."""
    if chunk.get("error") or chunk.get("object") == "error":
        return error_object(chunk)
    if "x_groq" in chunk:
        error = error_object({"error": object_at(chunk, "x_groq").get("error")})
        if error is not None:
            return error
    if "base_resp" in chunk:
        status = object_at(chunk, "base_resp")
        if status.get("status_code"):
            code = str(status["status_code"])
            return {"code": f"minimax_{code}", "message": text_at(status, "status_msg") or code}
    return None if "choices" in chunk else _bare_error(chunk)


def read_stray_error(
    provider: str, frame: Mapping[str, Any], kind: str = ""
) -> tuple[Failure, ...]:
    """The failure in a frame that is none of its format: an error as gateways and copies write it.

    Args:
        provider: The name that errors carry.
        frame: The frame.
        kind: What it calls itself: an event with a name of its own is none, unless it says so.
    """
    if kind and frame.get("object") != "error":
        return ()
    error = error_in_chunk(frame)
    return () if error is None else (Failure(read_failure(provider, error, None)),)


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
    words = (as_string(error.get(key)) for key in _BARE)
    message = next(filter(None, words), "") or _detail_of(error.get("detail"))
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
    found = (status_of({"code": error.get(key)}) for key in ("code", *_STATUSES))
    return next(filter(None, found), None)


# Where an error says its HTTP status, beside `code`: FastAPI's servers, Vercel's, MiniMax.
_STATUSES = ("status_code", "status", "statusCode", "http_code", "http_status")


KNOWN_CODES: Mapping[str, type[ProviderError]] = {**GOOGLE_CODES, **OPENAI_CODES}

# Words that say nothing beside a status, which knows better.
_IN_STREAMS = {**KNOWN_CODES, "api_error": ServerError}

_BARE = ("message", "detail", "msg", "error_msg", "error_message")


def code_of(error: Mapping[str, Any]) -> str | None:
    """The most precise word of an error object that is in the table, else the first that is there.

    ``code`` is looked at before the ``error_type`` that OpenRouter keeps apart, ``type`` and
    Google's ``status``. A number is no word: see `status_of`.
    """
    kind = object_at(error, "metadata").get("error_type")
    candidates = (error.get("code"), kind, error.get("type"), error.get("status"))
    words = [word for word in candidates if isinstance(word, str) and word]
    known = (found for word in words if (found := _known(word)) is not None)
    return next(known, words[0] if words else None)


def _known(word: str) -> str | None:
    """The word, or what stands before its detail: ``RateLimitExceeded.EndpointTPMExceeded``."""
    beginning = _DETAIL.split(word, maxsplit=1)[0]
    return next((each for each in (word, beginning) if each in KNOWN_CODES), None)


_DETAIL = re.compile(r"[.:]")


def status_of(error: Mapping[str, Any]) -> int | None:
    """The HTTP status that some servers put into ``code``, as a number or as text; else None."""
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code[:4])
    if isinstance(code, bool) or not isinstance(code, int):
        return None
    return code if 400 <= code < 600 else None
