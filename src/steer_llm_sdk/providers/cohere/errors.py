"""What Cohere calls its errors, in a response and inside a stream."""

from __future__ import annotations

from collections.abc import Mapping

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    InvalidRequestError,
    ProviderError,
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
from steer_llm_sdk.providers.reading import (
    JSONObject,
    as_int,
    as_object,
    as_string,
    text_at,
    unpacked,
)

# Inside a stream: the kind of an error, or the finish reason that is one. A response has only its
# status and words: https://docs.cohere.com/reference/errors.
ERROR_CODES: Mapping[str, type[ProviderError]] = {
    "ERROR": ServerError,
    "ERROR_TOXIC": ContentFilterError,
    "INVALID_TOOL_GENERATION": ServerError,
    "TIMEOUT": ServerError,
}

# Statuses of its own: a token that is blocked, and a request that the client has given up.
_STATUSES: Mapping[int, type[ProviderError]] = {
    498: AuthenticationError,
    499: InvalidRequestError,
}

# With these the answer did not end, it broke.
FAILURES = frozenset({"ERROR", "ERROR_TOXIC", "TIMEOUT"})


def read_cohere_error(answer: ErrorAnswer) -> ProviderError:
    """The error of a response that is not a stream: ``{"id", "message"}``."""
    payload = as_object(read_json_body(answer))
    return make_error(
        answer.provider,
        as_string(payload.get("error_type")),
        text_at(payload, "message") or describe_body(answer),
        status=answer.status,
        codes=ERROR_CODES,
        kind=_STATUSES.get(answer.status),
        body=answer.body.decode("utf-8", "replace"),
        headers=answer.headers,
        request_id=as_string(payload.get("id")),
    )


def failure_in_stream(provider: str, said: JSONObject) -> Failure:
    """The error that a stream ends in: in its last event, or in one of its own."""
    word = as_string(said.get("error_type")) or as_string(said.get("finish_reason"))
    inner = unpacked(said.get("error"))
    if isinstance(inner, dict):
        said = inner
        word = word or as_string(inner.get("code")) or as_string(inner.get("type"))
    message = text_at(said, "error") or text_at(said, "message")
    kind = None if word is None or word in ERROR_CODES else kind_of_ending(word)
    status = as_int(said.get("code")) or as_int(said.get("status_code"))
    error = make_error(
        provider, word, message, status=200, codes=ERROR_CODES, kind=kind, body_status=status
    )
    return Failure(error)
