"""How messages end, what they cost and who answered: gateways, fallbacks, several passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import (
    InvalidRequestError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import End, Extras, Failure, Finish, Fragment, Identity, Usage
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.anthropic.errors import CAUSES
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.endings import FAILED_REASONS
from steer_llm_sdk.providers.failures import kind_of_ending
from steer_llm_sdk.wire.frame import Frame
from support.part_fragments import without_parts

WIRE = AnthropicMessages()


def frames(*found: dict[str, Any] | bytes | tuple[str, bytes]) -> list[Fragment]:
    decoder = WIRE.decoder("anthropic")
    fragments: list[Fragment] = []
    for each in found:
        if isinstance(each, tuple):
            fragments += decoder.decode(Frame(each[1], each[0]))
        else:
            data = each if isinstance(each, bytes) else json.dumps(each).encode()
            fragments += decoder.decode(Frame(data))
    return without_parts(fragments)


def started(**usage: int) -> dict[str, Any]:
    message = {"id": "m", "model": "claude-a", "content": [], "usage": usage}
    return {"type": "message_start", "message": message}


def stopped(reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def last_usage(fragments: list[Fragment]) -> dict[str, int]:
    return [fragment for fragment in fragments if isinstance(fragment, Usage)][-1].counts


CALL = opened(0, type="tool_use", id="t", name="now", input={})


# --- why it stopped ---------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["end_turn", "stop_sequence"])
def test_where_there_are_calls_to_run_a_stop_is_for_them(word: str) -> None:
    assert Finish("tool_calls", word) in frames(CALL, closed(0), stopped(word))


@pytest.mark.parametrize(
    ("word", "reason"),
    [("max_tokens", "length"), ("refusal", "refusal"), ("pause_turn", "length")],
)
def test_calls_change_no_other_reason(word: str, reason: Any) -> None:
    goes_on = word == "pause_turn"

    assert Finish(reason, word, goes_on) in frames(CALL, closed(0), stopped(word))


def test_a_paused_turn_keeps_a_call_without_arguments_and_a_cut_one_does_not() -> None:
    paused, cut = (frames(CALL, closed(0), stopped(word)) for word in ("pause_turn", "max_tokens"))

    assert len(paused) == len(cut) + 1


@pytest.mark.parametrize("word", sorted(FAILED_REASONS))
def test_a_stop_reason_that_is_a_failure_is_one(word: str) -> None:
    failure = frames(stopped(word))[-1]

    assert isinstance(failure, Failure)
    assert type(failure.error) is kind_of_ending(word)
    assert word in str(failure.error)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ],
)
def test_an_error_beside_anything_else_is_a_failure(frame: dict[str, Any]) -> None:
    (failure,) = frames(frame | {"error": {"type": "overloaded_error", "message": "Full"}})

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, OverloadedError)


# --- the end of the stream, and signs of life -------------------------------------------------


def test_done_in_place_of_the_last_event_ends_an_answer_that_has_stopped() -> None:
    assert frames(stopped("end_turn"), b"[DONE]")[-1] == End()


def test_done_ends_nothing_before_a_stop_reason() -> None:
    assert frames(started(), b"[DONE]")[-1] != End()


@pytest.mark.parametrize(
    "data", [b"", b" ", b"ping", b"PING", b"[PING]", b"keep-alive", b": keepalive", b"heartbeat"]
)
def test_a_sign_of_life_that_is_no_json_passes_by(data: bytes) -> None:
    assert frames(data) == []


def test_whatever_an_event_named_ping_says_passes_by() -> None:
    assert frames(("ping", b"still here"), ("ping", b"{}")) == []


def test_a_sentence_is_no_sign_of_life() -> None:
    with pytest.raises(ProtocolError, match="upstream gone"):
        frames(b"upstream gone")


def test_a_second_start_with_another_identifier_loses_nothing() -> None:
    text = {"type": "content_block_delta", "index": 0}
    hello, world = (text | {"delta": {"type": "text_delta", "text": t}} for t in ("Hello ", "you"))
    again = {"type": "message_start", "message": {"id": "n", "model": "claude-b", "content": []}}

    found = frames(started(input_tokens=5), hello, again, world, stopped("end_turn"))

    assert [each for each in found if isinstance(each, str)] == ["Hello ", "you"]
    assert [each for each in found if isinstance(each, Identity)] == [
        Identity("m", "claude-a"),
        Identity("n", "claude-b"),
    ]
    assert last_usage(found)["prompt_tokens"] == 5


# --- who answered -----------------------------------------------------------------------------


def test_the_model_that_took_over_is_the_one_that_answered() -> None:
    block = {"type": "fallback", "from": {"model": "claude-a"}, "to": {"model": "claude-b"}}

    found = frames(started(), opened(1, **block), closed(1))

    assert Identity(model="claude-b") in found
    assert found[-1] == Extras({"content_blocks": [block]})


def test_a_fallback_without_a_name_changes_no_name() -> None:
    block = {"type": "fallback", "to": None}

    assert frames(opened(1, **block), closed(1)) == [Extras({"content_blocks": [block]})]


# --- what it cost -----------------------------------------------------------------------------


def test_a_prompt_of_nothing_replaces_no_larger_one() -> None:
    start = started(input_tokens=34, cache_read_input_tokens=100)

    found = frames(start, stopped("end_turn", input_tokens=0, output_tokens=16))

    assert last_usage(found) == {
        "prompt_tokens": 134,
        "completion_tokens": 16,
        "total_tokens": 150,
        "cached_tokens": 100,
    }


def test_a_prompt_that_came_from_the_cache_alone_is_one() -> None:
    end = stopped("end_turn", input_tokens=0, cache_read_input_tokens=90, output_tokens=1)

    assert last_usage(frames(started(input_tokens=34), end))["prompt_tokens"] == 90


def test_the_passes_of_an_answer_are_added_up() -> None:
    passes = [
        {
            "type": "compaction",
            "input_tokens": 100,
            "cache_read_input_tokens": 7,
            "output_tokens": 5,
        },
        {
            "type": "message",
            "input_tokens": 10,
            "cache_creation_input_tokens": 3,
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 1},
        },
    ]

    found = frames(stopped("end_turn", input_tokens=10, output_tokens=2, iterations=passes))

    assert last_usage(found) == {
        "prompt_tokens": 120,
        "completion_tokens": 7,
        "total_tokens": 127,
        "cached_tokens": 7,
        "cache_write_tokens": 3,
        "reasoning_tokens": 1,
    }


@pytest.mark.parametrize("passes", [None, [], [{"input_tokens": 1, "output_tokens": 1}], ["x", {}]])
def test_one_pass_is_the_usage_itself(passes: Any) -> None:
    end = stopped("end_turn", input_tokens=10, output_tokens=2, iterations=passes)

    assert last_usage(frames(end))["prompt_tokens"] == 10


# --- errors by their causes -------------------------------------------------------------------

KINDS: dict[str, type[ProviderError]] = {
    "contract_spend_limit_reached": QuotaExceededError,
    "enforced_spend_limit_reached": QuotaExceededError,
    "linked_organization_spend_limit_reached": QuotaExceededError,
    "linked_organization_billing_unavailable": QuotaExceededError,
    "ramp_limit_exceeded": RateLimitError,
    "organization_on_hold": PermissionDeniedError,
    "cmek_key_unreachable": ServerError,
    "cmek_context_unavailable": ServerError,
    "request_body_encoding_invalid": InvalidRequestError,
}


def refused(status: int, kind: str, message: str, cause: str | None = None) -> ProviderError:
    error: dict[str, Any] = {"type": kind, "message": message}
    if cause:
        error["details"] = {"error_code": cause}
    body = json.dumps({"type": "error", "error": error}).encode()
    return WIRE.read_error(ErrorAnswer("anthropic", status, {}, body))


@pytest.mark.parametrize(("cause", "kind"), KINDS.items())
def test_the_cause_decides_before_the_category_and_the_words(
    cause: str, kind: type[ProviderError]
) -> None:
    error = refused(429, "rate_limit_error", "billing: context window, overloaded", cause)

    assert type(error) is kind
    assert error.code == cause


def test_a_cause_inside_a_stream_decides_too() -> None:
    details = {"error_code": "enforced_spend_limit_reached"}
    error = {"type": "rate_limit_error", "message": "Wait", "details": details}

    (failure,) = frames({"type": "error", "error": error})

    assert isinstance(failure, Failure)
    assert type(failure.error) is QuotaExceededError
    assert not failure.error.is_retryable


def test_a_cause_of_the_future_leaves_the_category() -> None:
    error = refused(429, "rate_limit_error", "Wait", "something_new")

    assert type(error) is RateLimitError
    assert error.code == "rate_limit_error"


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (429, "rate_limit_error", "This would exceed your account's monthly spend limit."),
        (400, "invalid_request_error", "You have reached your specified API usage limits."),
        (403, "permission_error", "The workspace's spending limit is reached."),
    ],
)
def test_limits_of_money_in_words_only_are_no_rate_limits(
    status: int, kind: str, message: str
) -> None:
    error = refused(status, kind, message)

    assert type(error) is QuotaExceededError
    assert not error.is_retryable


def test_words_about_money_change_no_precise_type() -> None:
    assert type(refused(529, "overloaded_error", "spend limit")) is OverloadedError


def test_every_cause_of_the_official_sdk_is_known() -> None:
    from anthropic.types import shared

    named = {
        error_type.model_fields["error_code"].annotation.__args__[0]
        for name, error_type in vars(shared).items()
        if name.endswith("ErrorDetails") and "error_code" in getattr(error_type, "model_fields", {})
    }

    assert named - CAUSES.keys() == set()
