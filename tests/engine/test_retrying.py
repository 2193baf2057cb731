"""After a failed attempt: again, another model, or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.engine.retrying import Attempts
from steer_llm_sdk.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    OverloadedError,
    RateLimitError,
    RequestTimeoutError,
    SteerError,
)
from steer_llm_sdk.models.messages import InputText, Message
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat

BUSY = OverloadedError("busy")
WRONG_KEY = AuthenticationError("no")
USAGE_REFUSED = InvalidRequestError("stream_options is not permitted", status=400)


def target(model: str = "first", base_url: str = "https://a.example/v1") -> Target:
    endpoint = Endpoint("test", base_url)

    async def find() -> Endpoint:
        return endpoint

    chat = ChatRequest(model, (Message("user", (InputText("Hi"),)),))
    return Target("test", chat, OpenAIChat(), find, endpoint=endpoint)


def attempts_at(
    *targets: Target,
    options: StreamingOptions | None = None,
    without_usage: set[str] | None = None,
) -> Attempts:
    plan = Plan(
        targets=list(targets or (target(),)),
        options=options or StreamingOptions(max_retries=2),
        request_id="request-1",
        stream_id="stream-1",
    )
    known = set() if without_usage is None else without_usage
    return Attempts(plan, random=lambda: 0.0, without_usage=known)


def waits_of(attempts: Attempts, *errors: SteerError) -> list[float | None]:
    waits = []
    for error in errors:
        attempts.begin()
        waits.append(attempts.after(error))
    return waits


# --- the same model again ---------------------------------------------------------------------


def test_a_retryable_error_is_tried_again_as_often_as_the_options_say() -> None:
    attempts = attempts_at()

    assert waits_of(attempts, BUSY, BUSY, BUSY) == [0.25, 0.5, None]
    assert attempts.number == 3


def test_another_error_is_not_tried_again() -> None:
    assert waits_of(attempts_at(), WRONG_KEY) == [None]


def test_the_time_that_the_provider_asks_for_is_waited() -> None:
    assert waits_of(attempts_at(), RateLimitError("slow", retry_after=7.0)) == [7.0]


def test_the_waits_of_one_stream_share_a_budget() -> None:
    attempts = attempts_at(options=StreamingOptions(max_retries=9, retry_budget=0.7))

    assert waits_of(attempts, BUSY, BUSY) == [0.25, None]


def test_each_retry_is_noted_and_the_last_failure_is_not() -> None:
    attempts = attempts_at(options=StreamingOptions(max_retries=1))

    waits_of(attempts, BUSY, BUSY)

    assert attempts.retries == [
        {
            "provider": "test",
            "model": "first",
            "error_type": "OverloadedError",
            "message": "busy",
            "wait": 0.25,
        }
    ]


# --- another model ----------------------------------------------------------------------------


def test_the_fallbacks_are_asked_in_their_order_each_with_its_own_retries() -> None:
    options = StreamingOptions(max_retries=1)
    attempts = attempts_at(target("first"), target("second"), target("third"), options=options)

    asked, wait = [], None
    for _ in range(6):
        asked.append(attempts.begin().chat.model)
        wait = attempts.after(BUSY)

    assert asked == ["first", "first", "second", "second", "third", "third"]
    assert wait is None
    assert [retry["wait"] for retry in attempts.retries] == [0.25, None, 0.25, None, 0.25]


def test_a_fallback_is_asked_at_once_whatever_the_error() -> None:
    attempts = attempts_at(target("first"), target("second"))

    assert waits_of(attempts, WRONG_KEY) == [0.0]
    assert attempts.begin().chat.model == "second"


# --- an answer that was cut -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "waits"), [("total_timeout", [None]), ("first_event_timeout", [0.0])]
)
def test_nothing_is_asked_after_the_total_limit(limit: str, waits: list[float | None]) -> None:
    attempts = attempts_at(target(), target("second"), options=StreamingOptions(max_retries=0))
    late = RequestTimeoutError("late", limit=limit, seconds=1)

    assert waits_of(attempts, late) == waits


def test_a_cut_answer_is_taken_up_within_the_same_limits_and_never_by_another_model() -> None:
    options = StreamingOptions(max_retries=1)
    attempts = attempts_at(target("first"), target("second"), options=options)

    attempts.begin()
    assert attempts.after_cut(BUSY) == 0.25
    attempts.begin()
    assert attempts.after_cut(BUSY) is None

    assert attempts.target.chat.model == "first"
    assert len(attempts.retries) == 1


def test_the_waits_before_a_cut_answer_is_taken_up_share_the_budget() -> None:
    attempts = attempts_at(options=StreamingOptions(max_retries=9, retry_budget=0.7))

    waits = []
    for _ in range(2):
        attempts.begin()
        waits.append(attempts.after_cut(BUSY))

    assert waits == [0.25, None]


# --- servers that refuse to be asked for usage ------------------------------------------------


def test_a_server_that_refuses_to_be_asked_for_usage_is_asked_without_and_not_counted() -> None:
    known: set[str] = set()
    attempts = attempts_at(without_usage=known)

    assert attempts.begin().chat.include_usage
    assert attempts.after(USAGE_REFUSED) == 0.0
    assert not attempts.begin().chat.include_usage

    assert attempts.number == 1
    assert attempts.retries == []
    assert known == {target().name}


def test_a_refusal_that_does_not_go_away_ends_the_attempts() -> None:
    attempts = attempts_at()

    assert waits_of(attempts, USAGE_REFUSED, USAGE_REFUSED) == [0.0, None]


def test_that_it_was_refused_costs_no_retry() -> None:
    attempts = attempts_at()

    assert waits_of(attempts, USAGE_REFUSED, BUSY, BUSY, BUSY) == [0.0, 0.25, 0.5, None]


def test_another_stream_of_the_client_does_not_ask_again() -> None:
    known = {target().name}

    assert not attempts_at(without_usage=known).begin().chat.include_usage
    elsewhere = target(base_url="https://b.example/v1")
    assert attempts_at(elsewhere, without_usage=known).begin().chat.include_usage


@pytest.mark.parametrize(
    "error", [InvalidRequestError("bad temperature", status=400), ConfigurationError("no")]
)
def test_another_refusal_has_nothing_to_do_with_usage(error: SteerError) -> None:
    known: set[str] = set()

    assert waits_of(attempts_at(without_usage=known), error) == [None]
    assert known == set()


# --- the plan's target ------------------------------------------------------------------------


async def test_a_target_is_prepared_by_finding_its_endpoint_and_spelling_its_request() -> None:
    unprepared = replace(target(), endpoint=None, proxy="http://proxy.example", verify=False)

    await unprepared.prepare()

    request = unprepared.request()
    assert request.url == "https://a.example/v1/chat/completions"
    assert (request.proxy, request.verify) == ("http://proxy.example", False)


async def test_an_impossible_request_is_refused_before_anything_is_sent() -> None:
    impossible = target()
    impossible.chat = replace(impossible.chat, extra_body={"when": object()})

    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        await impossible.prepare()


def test_a_target_without_an_endpoint_has_a_name_too() -> None:
    assert replace(target(), endpoint=None).name == "test  first"


def test_a_proxys_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(replace(target(), proxy="http://me:secret@proxy.example"))
