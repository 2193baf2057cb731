from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types as genai_types

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import Failure, Usage
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.gemini.decoder import FINISH_REASONS, Gemini
from steer_llm_sdk.providers.gemini.errors import FAILED_FINISHES
from steer_llm_sdk.wire.frame import Frame

PLAN = "You exceeded your current quota, please check your plan and billing details."


def read(status: int, body: bytes | object, **headers: str) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Gemini().read_error(ErrorAnswer("gemini", status, headers, raw))


def error(status: str, message: str = "No.", *details: Any, code: object = None) -> dict[str, Any]:
    said = {"status": status, "message": message, "details": list(details), "code": code}
    return {"error": {key: value for key, value in said.items() if value is not None}}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("INVALID_ARGUMENT", InvalidRequestError),
        ("FAILED_PRECONDITION", InvalidRequestError),
        ("UNAUTHENTICATED", AuthenticationError),
        ("PERMISSION_DENIED", PermissionDeniedError),
        ("NOT_FOUND", NotFoundError),
        ("RESOURCE_EXHAUSTED", RateLimitError),
        ("UNAVAILABLE", OverloadedError),
        ("INTERNAL", ServerError),
        ("DEADLINE_EXCEEDED", ServerError),
    ],
)
def test_the_word_in_the_body_decides(word: str, expected: type[ProviderError]) -> None:
    found = read(418, error(word))

    assert type(found) is expected
    assert (found.code, found.status) == (word, 418)


def test_an_error_may_stand_in_a_list() -> None:
    assert type(read(503, [error("UNAVAILABLE")])) is OverloadedError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("API key not valid. Please pass a valid API key.", AuthenticationError),
        ("The input token count (99) exceeds the maximum number (9).", ContextLengthError),
    ],
)
def test_prose_narrows_an_invalid_argument(message: str, expected: type[ProviderError]) -> None:
    assert type(read(400, error("INVALID_ARGUMENT", message))) is expected


def test_a_known_reason_among_the_details_is_more_precise_than_the_status() -> None:
    found = read(400, error("INVALID_ARGUMENT", "No.", {"reason": "API_KEY_INVALID"}))

    assert type(found) is AuthenticationError
    assert found.code == "API_KEY_INVALID"


def test_a_limit_that_says_when_to_come_back_is_a_rate_limit() -> None:
    found = read(429, error("RESOURCE_EXHAUSTED", PLAN, "?", {"retryDelay": "34.07s"}))

    assert type(found) is RateLimitError
    assert found.retry_after == 34.07
    assert found.is_retryable


def test_a_limit_a_day_is_a_quota() -> None:
    violations = [None, {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]

    found = read(
        429, error("RESOURCE_EXHAUSTED", PLAN, {"violations": violations}, {"retryDelay": "3s"})
    )

    assert type(found) is QuotaExceededError
    assert not found.is_retryable


def test_a_limit_without_details_is_what_its_prose_says() -> None:
    assert type(read(429, error("RESOURCE_EXHAUSTED", PLAN))) is QuotaExceededError
    assert type(read(429, error("RESOURCE_EXHAUSTED", "Slow."))) is RateLimitError


@pytest.mark.parametrize("delay", ["soon", "-1s", None, 5, "99999999999s"])
def test_a_delay_that_is_none_is_passed_over(delay: object) -> None:
    found = read(429, error("RESOURCE_EXHAUSTED", "Slow.", {"retryDelay": delay}))

    assert found.retry_after is None


def test_the_code_in_the_body_decides_where_there_is_no_word() -> None:
    assert type(read(500, {"error": {"code": 404, "message": "No."}})) is NotFoundError


@pytest.mark.parametrize("code", ["429", 429])
def test_a_status_may_have_become_a_text(code: object) -> None:
    assert type(read(500, {"error": {"code": code, "message": "No."}})) is RateLimitError


@pytest.mark.parametrize("code", [True, 200, 999, "200", "4e2", None])
def test_a_code_that_is_no_status_of_an_error_leaves_it_to_the_response(code: object) -> None:
    assert type(read(404, {"error": {"code": code, "message": "No."}})) is NotFoundError


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "an empty body"),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        (b"upstream error", "upstream error"),
        (b"[]", "[]"),
        (b'{"error": {}}', "{"),
        (b"{", "{"),
    ],
)
def test_a_body_that_is_not_googles_is_described(body: bytes, said: str) -> None:
    found = read(502, body)

    assert type(found) is ServerError
    assert said in str(found)


def test_a_key_in_the_body_is_never_shown() -> None:
    key = "AIza" + "x" * 35
    found = read(400, error("INVALID_ARGUMENT", f"API key {key} not valid"))

    assert key not in str(found)
    assert key not in str(found.body)


# --- finish reasons that are failures, and accounts ---------------------------------------------


def finished(word: str, *parts: dict[str, Any], **more: Any) -> list[Any]:
    candidate = {"content": {"parts": list(parts)}, "finishReason": word, **more}
    usage = {"promptTokenCount": 4, "totalTokenCount": 4}
    payload = {"candidates": [candidate], "usageMetadata": usage}
    return list(Gemini().decoder("gemini").decode(Frame(json.dumps(payload).encode())))


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE"])
def test_an_answer_that_the_model_malformed_is_a_failure_that_can_be_asked_again(word: str) -> None:
    *before, failure = finished(word, finishMessage="print(f(1)")

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ServerError)
    assert failure.error.is_retryable
    assert failure.error.code == word
    assert "print(f(1)" in str(failure.error)
    assert any(isinstance(each, Usage) for each in before)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("UNEXPECTED_TOOL_CALL", ServerError),
        ("MISSING_THOUGHT_SIGNATURE", InvalidRequestError),
        ("PUP_LIMITED_DISABLED", PermissionDeniedError),
    ],
)
def test_a_finish_reason_that_blames_somebody_is_that_error(word: str, kind: type[Any]) -> None:
    failure = finished(word)[-1]

    assert isinstance(failure, Failure)
    assert type(failure.error) is kind


def test_every_finish_reason_of_the_official_sdk_is_known() -> None:
    words = {reason.value for reason in genai_types.FinishReason} - {"FINISH_REASON_UNSPECIFIED"}

    assert words - FINISH_REASONS.keys() - FAILED_FINISHES.keys() == set()


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("BILLING_DISABLED", QuotaExceededError),
        ("ACCESS_TOKEN_EXPIRED", AuthenticationError),
        ("SERVICE_DISABLED", PermissionDeniedError),
        ("RATE_LIMIT_EXCEEDED", RateLimitError),
    ],
)
def test_the_reason_among_the_details_decides(reason: str, kind: type[Any]) -> None:
    error = {"code": 403, "status": "PERMISSION_DENIED", "message": "No."}
    body = json.dumps({"error": error | {"details": [{"reason": reason}]}}).encode()

    assert type(read(403, body)) is kind


def test_a_keep_alive_that_is_no_json_passes_by_and_a_sentence_does_not() -> None:
    decoder = Gemini().decoder("gemini")

    assert list(decoder.decode(Frame(b": keep-alive"))) == []
    with pytest.raises(ProtocolError, match="upstream gone"):
        decoder.decode(Frame(b"upstream gone"))


def test_a_prompt_of_nothing_replaces_no_larger_one() -> None:
    decoder = Gemini().decoder("gemini")
    found: list[Any] = []
    for prompt, output in ((8, 1), (0, 5)):
        usage = {"promptTokenCount": prompt, "candidatesTokenCount": output}
        usage["totalTokenCount"] = prompt + output
        payload = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage}
        found = list(decoder.decode(Frame(json.dumps(payload).encode())))

    (counts,) = [each.counts for each in found if isinstance(each, Usage)]
    assert counts == {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}
