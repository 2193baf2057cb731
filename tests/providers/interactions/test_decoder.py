"""Interactions, event by event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import (
    OverloadedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    File,
    Finish,
    Fragment,
    Identity,
    PartData,
    ProviderItem,
    Reasoning,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.interactions.decoder import (
    FINISH_REASONS,
    Interactions,
    InteractionsDecoder,
)
from steer_llm_sdk.wire.frame import Frame
from support.strangers import STRANGE, with_strangers


def event(kind: str, **fields: Any) -> Frame:
    return Frame(json.dumps({"event_type": kind, **fields}).encode(), kind)


def start(index: int = 0, **step: Any) -> Frame:
    return event("step.start", index=index, step=step)


def delta(index: int = 0, **fields: Any) -> Frame:
    return event("step.delta", index=index, delta=fields)


def stop(index: int = 0) -> Frame:
    return event("step.stop", index=index)


def end(status: str = "completed", **fields: Any) -> Frame:
    return event("interaction.completed", interaction={"status": status, **fields})


def read(*frames: Frame) -> list[Fragment]:
    decoder = InteractionsDecoder("gemini-interactions")
    found = [fragment for frame in frames for fragment in decoder.decode(frame)]
    found += decoder.decode_eof()
    return [fragment for fragment in found if not isinstance(fragment, PartData | ProviderItem)]


CALL = start(1, type="function_call", id="c1", name="find", arguments={}, signature="")
BEGUN = ToolCallPiece(0, "c1", "find")
WHOLE = ToolCallPiece(0, arguments="{}", is_whole=True)


def test_words_and_thoughts_are_given_as_they_are() -> None:
    found = read(
        event("interaction.created", interaction={"id": "i1", "model": "gemini-3"}),
        event("interaction.status_update", status="in_progress"),
        start(0, type="thought"),
        delta(0, type="thought_summary", content={"type": "text", "text": "Hm"}),
        delta(0, type="thought_signature", signature="c2ln"),
        stop(0),
        start(1, type="model_output"),
        delta(1, type="text", text="Hel"),
        delta(1, type="text", text=""),
        delta(1, type="text", text="lo"),
        stop(1),
    )

    assert found == [
        Identity("i1", "gemini-3"),
        Reasoning("Hm", 0),
        Reasoning(part=0, extra={"signature": "c2ln"}),
        "Hel",
        "lo",
    ]


def test_steps_that_come_whole_are_read() -> None:
    image = {"type": "image", "data": "aGk="}
    found = read(
        start(0, type="thought", summary=[{"text": "Hm"}], signature="c2ln"),
        start(1, type="model_output", content=[{"type": "text", "text": "Hi"}, image]),
        start(2, type="function_call", id="c", name="f", arguments={"a": 1}, signature="s"),
        stop(2),
    )

    assert found == [
        Reasoning("Hm", 0),
        Reasoning(part=0, extra={"signature": "c2ln"}),
        "Hi",
        File("", "aGk="),
        Extras({"steps": [image]}),
        ToolCallPiece(0, "c", "f", extra={"signature": "s"}),
        ToolCallPiece(0, arguments='{"a": 1}', is_whole=True),
    ]


def test_a_call_is_opened_grown_and_closed() -> None:
    found = read(
        CALL,
        delta(1, type="arguments_delta", arguments='{"a":'),
        delta(1, type="arguments_delta", arguments=""),
        delta(1, type="arguments_delta", arguments="1}"),
        delta(7, type="arguments_delta", arguments="nobody's"),
        stop(1),
        stop(1),
    )

    assert found == [
        BEGUN,
        ToolCallPiece(0, arguments='{"a":'),
        ToolCallPiece(0, arguments="1}"),
        ToolCallPiece(0, is_whole=True),
    ]


def test_a_call_without_arguments_is_whole_when_something_follows() -> None:
    assert read(CALL, stop(1), start(2, type="model_output")) == [BEGUN, WHOLE]
    assert read(CALL, stop(1), end("requires_action"))[:2] == [BEGUN, WHOLE]


@pytest.mark.parametrize("status", ["incomplete", "budget_exceeded", "requires_continuation"])
def test_a_call_without_arguments_is_not_whole_where_the_answer_was_cut(status: str) -> None:
    assert WHOLE not in read(CALL, stop(1), end(status))


def test_what_the_provider_did_itself_is_kept_whole() -> None:
    search = {"type": "google_search_call", "id": "s1"}
    grown = {"type": "google_search_call", "arguments": {"queries": ["x"]}}
    found = read(start(0, **search), delta(0, **grown), stop(0), delta(5, type="image", data="a"))

    assert found == [
        Extras({"steps": [{**search, "deltas": [grown]}]}),
        File("", "a"),
        Extras({"steps": [{"type": "image", "data": "a"}]}),
    ]


def test_annotations_are_citations() -> None:
    annotation = {"type": "url_citation", "url": "https://a.example"}

    assert read(
        delta(1, type="text_annotation_delta", annotations=[annotation]),
        delta(1, type="text_annotation_delta"),
    ) == [Extras({"citations": [annotation]})]


@pytest.mark.parametrize(("status", "reason"), [*FINISH_REASONS.items(), ("idle", "other")])
def test_each_status_has_its_reason(status: str, reason: str) -> None:
    found = read(end(status), Frame(b"[DONE]"))

    assert found == [Identity(), Finish(reason, status), End()]  # type: ignore[arg-type]


def test_a_completed_answer_with_calls_is_for_them() -> None:
    assert Finish("tool_calls", "completed") in read(CALL, end())


def test_an_end_without_a_status_is_an_end() -> None:
    assert read(event("interaction.completed")) == [Identity(), End()]


def test_usage_counts_thoughts_and_tools() -> None:
    usage = {
        "total_input_tokens": 50,
        "total_tool_use_tokens": 3,
        "total_output_tokens": 15,
        "total_thought_tokens": 65,
        "total_cached_tokens": 7,
    }
    found = read(end(usage=usage, service_tier="standard"))

    assert found[:3] == [
        Extras({"service_tier": "standard"}),
        Identity(),
        Usage(
            {
                "prompt_tokens": 53,
                "completion_tokens": 80,
                "total_tokens": 133,
                "cached_tokens": 7,
                "reasoning_tokens": 65,
            },
            usage,
        ),
    ]
    (empty,) = [each for each in read(end(usage={"odd": 1})) if isinstance(each, Usage)]
    assert empty.counts == {}


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (
            event("error", error={"code": "rate_limited", "message": "too many requests"}),
            RateLimitError,
        ),
        (
            Frame(b'{"error": {"code": 503, "message": "later", "status": "UNAVAILABLE"}}'),
            OverloadedError,
        ),
        (end("failed", errors=[{"code": "x", "message": "overloaded"}]), OverloadedError),
        (end("failed"), ServerError),
        (event("error"), ProviderError),
    ],
)
def test_an_error_inside_the_stream_is_told(frame: Frame, kind: type[ProviderError]) -> None:
    found = read(frame)[-1]

    assert isinstance(found, Failure)
    assert type(found.error) is kind


def test_events_of_unknown_types_and_keep_alives_pass_by() -> None:
    assert read(event("ping"), Frame(b"ping"), Frame(b"{}")) == []


@pytest.mark.parametrize("data", [b"no JSON", b"[1]", b"[" * 5000])
def test_what_is_no_object_is_told(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(Frame(data))


FRAMES = {
    "text": delta(0, type="text", text="Hi"),
    "a summary": delta(0, type="thought_signature", signature="s"),
    "arguments": delta(1, type="arguments_delta", arguments="{"),
    "a call": start(4, type="function_call", id="c", name="f"),
    "the start": event("interaction.created", interaction={"id": "i"}),
    "the end": end(usage={"total_input_tokens": 1}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_strange_field_is_kept_wherever_it_stands(name: str) -> None:
    for place, payload in with_strangers(json.loads(FRAMES[name].data)):
        decoder = InteractionsDecoder("x")
        decoder.decode(CALL)
        found = decoder.decode(Frame(json.dumps(payload).encode()))
        assert str(STRANGE) in repr(found), place


def test_a_response_is_read_as_geminis() -> None:
    body = b'{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}'

    error = Interactions().read_error(ErrorAnswer("gemini-interactions", 429, {}, body))
    assert type(error) is RateLimitError


def test_a_summary_without_words_is_kept_and_is_no_file() -> None:
    image = {"type": "image", "data": "aGk="}

    assert read(delta(0, type="thought_summary", content=image)) == [Extras({"steps": [image]})]
