"""The shapes that type checkers are told of are those that are there."""

from __future__ import annotations

from typing import get_args

from pydantic import TypeAdapter

from steer_llm_sdk.answer.metrics import StreamMetrics
from steer_llm_sdk.models.events import StreamCompleteEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import FinishReason, MetricsDict, TokenUsage
from steer_llm_sdk.models.usage import USAGE_KEYS


def test_the_metrics_have_the_keys_that_are_named() -> None:
    assert list(MetricsDict.__annotations__) == list(StreamMetrics().summary())


def test_usage_has_the_keys_that_are_named() -> None:
    assert tuple(TokenUsage.__annotations__) == USAGE_KEYS


def test_the_finish_reasons_are_those_of_the_contract() -> None:
    assert get_args(FinishReason) == (
        "stop",
        "length",
        "tool_calls",
        "content_filter",
        "refusal",
        "other",
    )


def test_what_was_stored_by_a_newer_version_is_still_read() -> None:
    stored = {"finish_reason": "paused", "usage": {"prompt_tokens": 1, "new_tokens": 2}}

    read = TypeAdapter(StreamingResponse).validate_python(stored)
    event = TypeAdapter(StreamCompleteEvent).validate_python({"finish_reason": "paused"})

    assert (read.finish_reason, read.usage) == ("paused", stored["usage"])
    assert str(event.finish_reason) == "paused"
