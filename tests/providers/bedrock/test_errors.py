"""Errors of Bedrock, in responses."""

from __future__ import annotations

import json

import pytest

from steer_llm_sdk.errors import (
    AuthenticationError,
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
from steer_llm_sdk.providers.bedrock.decoder import Converse


def read(status: int, body: bytes, **headers: str) -> ProviderError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Converse().read_error(ErrorAnswer("bedrock", status, named, body))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ValidationException", InvalidRequestError),
        (403, "AccessDeniedException", PermissionDeniedError),
        (403, "ExpiredTokenException", AuthenticationError),
        (403, "UnrecognizedClientException", AuthenticationError),
        (403, "InvalidSignatureException", AuthenticationError),
        (404, "ResourceNotFoundException", NotFoundError),
        (408, "ModelTimeoutException", ServerError),
        (424, "ModelErrorException", ServerError),
        (429, "ThrottlingException", RateLimitError),
        (429, "ModelNotReadyException", OverloadedError),
        (400, "ServiceQuotaExceededException", QuotaExceededError),
        (500, "InternalServerException", ServerError),
        (503, "ServiceUnavailableException", OverloadedError),
    ],
)
def test_the_header_names_the_error(status: int, code: str, kind: type[ProviderError]) -> None:
    named = f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    error = read(status, b'{"message": "no"}', x_amzn_errortype=named, x_amzn_requestid="r1")

    assert (type(error), error.code, error.request_id) == (kind, code, "r1")
    assert str(error).startswith(f"bedrock ({status}): no [{code}]")


def test_the_body_names_it_where_no_header_does() -> None:
    error = read(429, b'{"__type": "com.amazon.coral#ThrottlingException", "Message": "slow"}')

    assert type(error) is RateLimitError
    assert "slow" in str(error)


@pytest.mark.parametrize(
    "message",
    [
        "The model returned the following errors: prompt is too long: 250000 tokens",
        "Too many input tokens. Max input tokens: 8192",
    ],
)
def test_a_prompt_that_is_too_long_is_known_by_its_words(message: str) -> None:
    body = json.dumps({"message": message}).encode()

    assert type(read(400, body, x_amzn_errortype="ValidationException")) is ContextLengthError


def test_a_page_is_told_as_one() -> None:
    error = read(502, b"<html><title>Bad gateway</title></html>")

    assert type(error) is ServerError
    assert "an HTML page: Bad gateway" in str(error)
