"""The words for errors that OpenAI's wire formats share."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.providers.openai_codes import OPENAI_CODES, code_of, status_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, "insufficient_quota"),
        ({"code": "rate_limit_exceeded", "type": "tokens"}, "rate_limit_exceeded"),
        ({"code": "1302", "type": "overloaded_error"}, "overloaded_error"),
        ({"code": 400, "type": "invalid_request_error"}, "invalid_request_error"),
        ({"code": "odd", "type": "odder"}, "odd"),
        ({"code": None, "type": "odder"}, "odder"),
        ({"code": "", "type": None}, None),
        ({}, None),
    ],
)
def test_the_most_precise_known_word_is_the_code(error: dict[str, Any], code: str | None) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (429, 429),
        ("503", 503),
        (200, None),
        ("12345678901234567890", None),
        (True, None),
        ("rate_limit_exceeded", None),
        (None, None),
    ],
)
def test_a_status_may_stand_where_the_code_does(code: object, status: int | None) -> None:
    assert status_of({"code": code}) == status


def test_a_word_that_means_to_wait_is_retryable_and_an_empty_account_is_not() -> None:
    retryable = {code for code, kind in OPENAI_CODES.items() if kind.is_retryable}

    assert {"rate_limit_exceeded", "server_error", "overloaded_error"} <= retryable
    assert not {"insufficient_quota", "invalid_prompt", "content_filter"} & retryable
