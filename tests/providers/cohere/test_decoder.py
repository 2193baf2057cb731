"""Cohere's answers, event by event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import (
    Commentary,
    End,
    Extras,
    Failure,
    Finish,
    Fragment,
    Identity,
    PartData,
    Reasoning,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.cohere.decoder import FINISH_REASONS, Cohere, CohereDecoder
from steer_llm_sdk.wire.frame import Frame
from support.strangers import STRANGE, with_strangers


def event(kind: str, **fields: Any) -> Frame:
    return Frame(json.dumps({"type": kind, **fields}).encode(), kind)


def content(index: int = 0, **words: Any) -> Frame:
    return event("content-delta", index=index, delta={"message": {"content": words}})


def call(kind: str, index: int = 0, **fields: Any) -> Frame:
    return event(f"tool-call-{kind}", index=index, delta={"message": {"tool_calls": fields}})


def end(reason: str = "COMPLETE", **fields: Any) -> Frame:
    return event("message-end", delta={"finish_reason": reason, **fields})


def read(*frames: Frame) -> list[Fragment]:
    decoder = CohereDecoder("cohere")
    found = [fragment for frame in frames for fragment in decoder.decode(frame)]
    found += decoder.decode_eof()
    return [fragment for fragment in found if not isinstance(fragment, PartData)]


OPEN = call("start", id="t1", type="function", function={"name": "find", "arguments": ""})
DONE = Frame(b"[DONE]")


def test_words_and_thoughts_are_given_as_they_are() -> None:
    found = read(
        event("message-start", id="m1", delta={"message": {"role": "assistant"}}),
        event("content-start", index=0, delta={"message": {"content": {"type": "thinking"}}}),
        content(0, thinking="Hm"),
        content(1, text="Hel"),
        content(1, text=""),
        content(1, text="lo"),
        event("content-end", index=1),
        content(2, thinking="both", text="!"),
    )

    assert found == [
        Identity(response_id="m1"),
        Reasoning("Hm", 0),
        "Hel",
        "lo",
        Reasoning("both", 2),
        "!",
    ]


def test_words_with_log_probabilities_carry_them() -> None:
    logprobs = {"text": "Hi", "logprobs": [-0.1]}
    frame = event(
        "content-delta", delta={"message": {"content": {"text": "Hi"}}}, logprobs=logprobs
    )

    assert read(frame) == [Text("Hi", {"logprobs": logprobs})]


def test_what_a_block_begins_with_is_part_of_it() -> None:
    opened = {"message": {"content": {"type": "text", "text": "Hi"}}}

    assert read(event("content-start", index=0, delta=opened)) == ["Hi"]


def test_the_plan_is_an_aside() -> None:
    frame = event("tool-plan-delta", delta={"message": {"tool_plan": "I will look"}})

    assert read(frame, event("tool-plan-delta", delta={})) == [Commentary("I will look")]


def test_a_call_is_opened_grown_and_closed() -> None:
    found = read(
        OPEN,
        call("delta", function={"arguments": '{"a":'}),
        call("delta", function={"arguments": "1}"}),
        event("tool-call-end", index=0),
        call("start", 4, id="t2", function={"name": "other", "arguments": "{}"}, more=1),
        call("delta", 9, function={"arguments": "nobody's"}),
        event("tool-call-end", index=9),
    )

    assert found == [
        ToolCallPiece(0, "t1", "find"),
        ToolCallPiece(0, arguments='{"a":'),
        ToolCallPiece(0, arguments="1}"),
        ToolCallPiece(0, is_whole=True),
        ToolCallPiece(1, "t2", "other", "{}", extra={"more": 1}),
    ]


@pytest.mark.parametrize("found", [{"text": "20 days"}, [{"text": "20 days"}]])
def test_citations_are_kept(found: Any) -> None:
    frame = event("citation-start", index=0, delta={"message": {"citations": found}})

    assert read(frame, event("citation-end", index=0), event("citation-start")) == [
        Extras({"citations": [{"text": "20 days"}]})
    ]


@pytest.mark.parametrize(("word", "reason"), [*FINISH_REASONS.items(), ("BORED", "other")])
def test_each_reason_has_its_word(word: str, reason: str) -> None:
    assert read(end(word), DONE) == [Finish(reason, word), End()]  # type: ignore[arg-type]


def test_a_stop_with_calls_is_for_them() -> None:
    assert Finish("tool_calls", "COMPLETE") in read(OPEN, end())


def test_an_end_without_a_reason_is_an_end() -> None:
    assert read(event("message-end")) == [End()]


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (
            {
                "tokens": {"input_tokens": 9.0, "output_tokens": 4, "reasoning_tokens": 3},
                "billed_units": {"input_tokens": 2, "output_tokens": 1},
                "cached_tokens": 5,
            },
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 13,
                "cached_tokens": 5,
                "reasoning_tokens": 3,
            },
        ),
        (
            {"billed_units": {"input_tokens": 2, "output_tokens": 1}},
            {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
        ),
    ],
)
def test_usage_counts_the_tokens(usage: dict[str, Any], counts: dict[str, int]) -> None:
    assert read(end(usage=usage)) == [Finish("stop", "COMPLETE"), Usage(counts, usage), End()]


@pytest.mark.parametrize(
    ("frame", "kind", "code"),
    [
        (end("ERROR", error="no"), ServerError, "ERROR"),
        (end("TIMEOUT"), ServerError, "TIMEOUT"),
        (end("ERROR_TOXIC", error="no"), ContentFilterError, "ERROR_TOXIC"),
        (
            end("ERROR", error="no", error_type="INVALID_TOOL_GENERATION"),
            ServerError,
            "INVALID_TOOL_GENERATION",
        ),
        (event("error", message="too many requests"), RateLimitError, None),
        (Frame(b'{"id": "x", "message": "no"}'), ProviderError, None),
    ],
)
def test_an_error_inside_the_stream_is_told(
    frame: Frame, kind: type[ProviderError], code: str | None
) -> None:
    (found,) = read(frame)

    assert isinstance(found, Failure)
    assert type(found.error) is kind
    assert found.error.code == code


def test_what_was_used_before_an_error_is_told() -> None:
    found = read(end("ERROR", usage={"tokens": {"input_tokens": 9, "output_tokens": 4}}))

    assert [type(fragment) for fragment in found] == [Usage, Failure]


def test_events_of_unknown_types_and_keep_alives_pass_by() -> None:
    assert read(event("debug", prompt="x"), Frame(b"ping"), Frame(b"{}")) == []


@pytest.mark.parametrize("data", [b"no JSON", b"[1]", b"[" * 5000])
def test_what_is_no_object_is_told(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(Frame(data))


def test_the_framings_word_stands_in_for_a_type() -> None:
    frame = Frame(b'{"delta": {"message": {"tool_plan": "x"}}}', "tool-plan-delta")

    assert read(frame) == [Commentary("x")]


FRAMES = {
    "text": content(0, text="Hi"),
    "thinking": content(0, thinking="Hm"),
    "a call": call("start", 3, id="t", type="function", function={"name": "f"}),
    "arguments": call("delta", function={"arguments": "{"}),
    "the start": event("message-start", id="m", delta={"message": {"role": "assistant"}}),
    "the end": end(usage={"tokens": {"input_tokens": 1, "output_tokens": 1}}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_strange_field_is_kept_wherever_it_stands(name: str) -> None:
    for place, payload in with_strangers(json.loads(FRAMES[name].data), "function"):
        decoder = CohereDecoder("cohere")
        decoder.decode(OPEN)
        found = decoder.decode(Frame(json.dumps(payload).encode()))
        assert str(STRANGE) in repr(found), place


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "too many tokens: 200000 > 128000", ContextLengthError),
        (401, "invalid api token", AuthenticationError),
        (429, "slow down", RateLimitError),
        (498, "blocked token", AuthenticationError),
        (499, "request cancelled", InvalidRequestError),
        (500, "oops", ServerError),
    ],
)
def test_a_response_is_read_by_its_status_and_words(
    status: int, message: str, kind: type[ProviderError]
) -> None:
    body = json.dumps({"id": "e1", "message": message}).encode()
    error = Cohere().read_error(ErrorAnswer("cohere", status, {}, body))

    assert type(error) is kind
    assert error.request_id == "e1"


def test_an_answer_that_was_cut_is_not_taken_up() -> None:
    from steer_llm_sdk.models.requests import ChatRequest
    from steer_llm_sdk.providers.base import Endpoint

    endpoint = Endpoint("cohere", "https://api.cohere.com")
    assert Cohere().resume(ChatRequest("m", ()), endpoint, "Once", CohereDecoder("cohere")) is None
