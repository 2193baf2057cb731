"""Converse answers, message by message."""

from __future__ import annotations

import base64
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
    PartEnd,
    ProviderItem,
    Reasoning,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.messages import InputText, Message
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.bedrock.decoder import FINISH_REASONS, Converse, ConverseDecoder
from steer_llm_sdk.wire.aws_events import EventMessage
from support.strangers import STRANGE, with_strangers

DONE = Finish("stop", "end_turn")


def event(kind: str, **fields: Any) -> EventMessage:
    return EventMessage(json.dumps(fields).encode(), kind, {":message-type": "event"})


def delta(index: int = 0, **fields: Any) -> EventMessage:
    return event("contentBlockDelta", contentBlockIndex=index, delta=fields, p="abc")


def start(index: int = 0, **fields: Any) -> EventMessage:
    return event("contentBlockStart", contentBlockIndex=index, start=fields)


def stop(index: int = 0) -> EventMessage:
    return event("contentBlockStop", contentBlockIndex=index, p="ab")


def finish(reason: str = "end_turn", **fields: Any) -> EventMessage:
    return event("messageStop", stopReason=reason, **fields)


# What belongs to the parts alone: tests/answer reads recorded streams as parts.
BESIDE = (PartData, PartEnd, ProviderItem)


def read(*messages: EventMessage) -> list[Fragment]:
    decoder = ConverseDecoder("bedrock")
    found = [fragment for message in messages for fragment in decoder.decode(message)]
    found += decoder.decode_eof()
    return [fragment for fragment in found if not isinstance(fragment, BESIDE)]


USE = start(1, toolUse={"toolUseId": "t1", "name": "find"})


def exception(name: str, payload: bytes = b'{"message":"no"}') -> EventMessage:
    headers = {":message-type": "exception", ":exception-type": name}
    return EventMessage(payload, "", headers)


def failure_of(*messages: EventMessage) -> ProviderError:
    (found,) = read(*messages)
    assert isinstance(found, Failure)
    assert isinstance(found.error, ProviderError)
    return found.error


# --- words and reasoning --------------------------------------------------------------------


def test_words_are_given_as_they_are() -> None:
    opening = event("messageStart", role="assistant", p="x")

    assert read(opening, delta(text="Hel"), delta(text=""), delta(text="lo"), stop()) == [
        "Hel",
        "lo",
    ]


def test_reasoning_carries_the_number_of_its_block_and_its_signature() -> None:
    found = read(
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"text": ""}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        stop(0),
        delta(2, reasoningContent={"redactedContent": "cmVk"}),
    )

    assert found == [
        Reasoning("Hm", 0),
        Reasoning("", 0, {"signature": "c2ln"}),
        Reasoning("", 2, {"redactedContent": "cmVk"}),
    ]


def test_reasoning_that_comes_with_its_signature_is_one_piece() -> None:
    found = read(delta(3, reasoningContent={"text": "Hm", "signature": "c2ln"}))

    assert found == [Reasoning("Hm", 3, {"signature": "c2ln"})]


def test_a_citation_rides_with_the_words_it_belongs_to() -> None:
    citation = {"title": "policy", "location": {"web": {"url": "https://a.example"}}}

    assert read(delta(1, citation=citation), delta(1, citation={}), delta(1, text="20 days")) == [
        Extras({"citations": [citation]}),
        "20 days",
    ]


# --- calls ------------------------------------------------------------------------------------


def test_a_call_is_numbered_among_the_calls_and_closed_with_its_block() -> None:
    found = read(
        delta(0, text="Let me see."),
        USE,
        delta(1, toolUse={"input": '{"a":'}),
        delta(1, toolUse={"input": ""}),
        delta(1, toolUse={"input": "1}"}),
        stop(1),
        start(4, toolUse={"toolUseId": "t2", "name": "other", "type": "tool_use", "more": 1}),
    )

    assert found == [
        "Let me see.",
        ToolCallPiece(0, "t1", "find"),
        ToolCallPiece(0, arguments='{"a":'),
        ToolCallPiece(0, arguments="1}"),
        ToolCallPiece(0, is_whole=True),
        ToolCallPiece(1, "t2", "other", extra={"more": 1}),
    ]


WHOLE = ToolCallPiece(0, arguments="{}", is_whole=True)
BEGUN = ToolCallPiece(0, "t1", "find")


@pytest.mark.parametrize(
    "following",
    [delta(2, text="!"), delta(2, reasoningContent={"text": "!"}), start(2, image={})],
    ids=["text", "reasoning", "a block"],
)
def test_a_call_without_arguments_is_whole_when_something_follows(following: EventMessage) -> None:
    found = read(USE, stop(1), following)

    assert found[:2] == [BEGUN, WHOLE]


def test_a_call_without_arguments_is_whole_when_the_message_was_not_cut() -> None:
    assert read(USE, stop(1), finish("tool_use")) == [
        BEGUN,
        WHOLE,
        Finish("tool_calls", "tool_use"),
    ]


@pytest.mark.parametrize(
    "reason",
    ["max_tokens", "model_context_window_exceeded", "guardrail_intervened", "content_filtered"],
)
def test_a_call_without_arguments_is_not_whole_where_the_message_was_cut(reason: str) -> None:
    assert WHOLE not in read(USE, stop(1), finish(reason))


def test_a_stop_with_calls_to_run_is_for_them() -> None:
    assert read(USE, delta(1, toolUse={"input": "{}"}), stop(1), finish())[-1] == Finish(
        "tool_calls", "end_turn"
    )


# --- what the provider did itself -----------------------------------------------------------------


def blocks_of(found: list[Fragment]) -> list[Any]:
    extras = [each.metadata for each in found if isinstance(each, Extras)]
    return [block for extra in extras for block in extra.get("content_blocks", ())]


def test_a_tool_of_the_providers_own_is_no_call() -> None:
    use = {"toolUseId": "t1", "name": "nova_grounding", "type": "server_tool_use"}
    found = read(
        start(0, toolUse=use),
        delta(0, toolUse={"input": '{"query":'}),
        delta(0, toolUse={"input": '"Ruby"}'}),
        stop(0),
        start(1, toolResult={"toolUseId": "t1", "status": "success"}),
        delta(1, toolResult=[{"text": "a"}, {"json": {"b": 1}}]),
        delta(1, toolResult=[{"text": "c"}]),
        stop(1),
        finish(),
    )

    assert blocks_of(found) == [
        {"toolUse": {**use, "input": {"query": "Ruby"}}},
        {
            "toolResult": {
                "toolUseId": "t1",
                "status": "success",
                "content": [{"text": "a"}, {"json": {"b": 1}}, {"text": "c"}],
            }
        },
    ]
    assert found[-1] == DONE


@pytest.mark.parametrize(
    ("pieces", "fields"), [([], {}), (["{not"], {"input": "{not"}), (["[" * 5000], None)]
)
def test_input_that_is_no_json_is_kept_as_it_is(pieces: list[str], fields: Any) -> None:
    use = {"type": "server_tool_use"}
    inputs = [delta(0, toolUse={"input": piece}) for piece in pieces]

    fields = {"input": "".join(pieces)} if fields is None else fields
    assert blocks_of(read(start(0, toolUse=use), *inputs, stop(0))) == [{"toolUse": use | fields}]


def test_input_of_a_call_that_was_never_announced_is_kept() -> None:
    assert blocks_of(read(delta(3, toolUse={"input": "{}"}), stop(3))) == [
        {"toolUse": {"input": {}}}
    ]


def test_an_image_whose_bytes_come_in_pieces_is_put_together() -> None:
    first, second = base64.b64encode(b"12345").decode(), base64.b64encode(b"6789").decode()
    found = read(
        start(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": first}}),
        delta(0, image={"source": {"bytes": second}}),
        stop(0),
    )

    whole = base64.b64encode(b"123456789").decode()
    assert blocks_of(found) == [{"image": {"format": "png", "source": {"bytes": whole}}}]
    assert found[0] == File("image/png", whole)


def test_an_image_that_nobody_announced_is_put_together_too() -> None:
    data = base64.b64encode(b"12345").decode()

    found = read(delta(0, image={"source": {"bytes": data}}), stop(0))

    assert blocks_of(found) == [{"image": {"source": {"bytes": data}}}]


@pytest.mark.parametrize(
    "piece",
    [
        {"source": {"s3Location": {"uri": "s3://b/k"}}},
        {"source": {"bytes": "no base64!"}},
        {"error": {"message": "no"}},
    ],
)
def test_an_image_without_bytes_is_kept_as_it_came(piece: dict[str, Any]) -> None:
    found = read(start(0, image={"format": "png"}), delta(0, image=piece), stop(0))

    assert blocks_of(found) == [{"image": {"format": "png", "deltas": [piece]}}]


def test_a_block_of_an_unknown_kind_is_kept_whole() -> None:
    found = read(start(0, song={"key": "C"}), delta(0, song={"note": 1}), stop(0), start(1, odd=3))

    assert blocks_of(found) == [{"song": {"key": "C", "deltas": [{"note": 1}]}}]


def test_an_unknown_block_without_deltas_has_none() -> None:
    assert blocks_of(read(start(0, song={"key": "C"}), stop(0))) == [{"song": {"key": "C"}}]


def test_the_end_of_a_block_that_only_had_words_says_nothing() -> None:
    assert read(start(0), stop(0), stop(7)) == []


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "reason"), FINISH_REASONS.items())
def test_each_reason_has_its_word(word: str, reason: str) -> None:
    (found,) = read(finish(word))

    assert found == Finish(reason, word)  # type: ignore[arg-type]


def test_an_unknown_reason_is_another() -> None:
    assert read(finish("bored")) == [Finish("other", "bored")]


@pytest.mark.parametrize("word", ["malformed_model_output", "malformed_tool_use"])
def test_output_that_cannot_be_read_is_a_failure_worth_another_try(word: str) -> None:
    error = failure_of(finish(word))

    assert type(error) is ServerError
    assert error.code == word
    assert error.is_retryable


USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}


def test_usage_comes_last_and_ends_the_stream() -> None:
    metrics = {"latencyMs": 7}

    assert read(finish(), event("metadata", usage=USAGE, metrics=metrics, p="ab")) == [
        DONE,
        Extras({"metrics": metrics}),
        Usage({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, USAGE),
        End(),
    ]


def test_metadata_that_comes_before_the_reason_does_not_end_the_stream() -> None:
    found = read(event("metadata", usage=USAGE), finish("tool_use"))

    assert [type(fragment) for fragment in found] == [Usage, Finish, End]


def test_what_came_from_the_cache_and_went_into_it_is_part_of_the_prompt() -> None:
    usage = {**USAGE, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 20}
    (found,) = read(event("metadata", usage=usage))

    assert isinstance(found, Usage)
    assert found.counts == {
        "prompt_tokens": 130,
        "completion_tokens": 5,
        "total_tokens": 135,
        "cached_tokens": 100,
        "cache_write_tokens": 20,
    }


def test_usage_without_a_prompt_has_no_total() -> None:
    (found,) = read(event("metadata", usage={"outputTokens": 3}))

    assert found == Usage({"completion_tokens": 3}, {"outputTokens": 3})


def test_the_model_that_a_router_chose_is_the_one_that_answers() -> None:
    trace = {"promptRouter": {"invokedModelId": "amazon.nova-lite-v1:0"}}

    assert read(event("metadata", trace=trace)) == [
        Extras({"trace": trace}),
        Identity(model="amazon.nova-lite-v1:0"),
    ]


def test_what_a_guardrail_found_and_the_models_own_fields_are_kept() -> None:
    trace: dict[str, Any] = {"guardrail": {"inputAssessment": {"g1": {}}}}
    fields = {"delta": {"stop_sequence": "END"}}

    found = read(
        finish("guardrail_intervened", additionalModelResponseFields=fields),
        event("metadata", trace=trace),
    )

    assert found[0] == Extras({"additionalModelResponseFields": fields})
    assert found[2] == Extras({"trace": trace})


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        ("throttlingException", "ThrottlingException", RateLimitError),
        ("modelStreamErrorException", "ModelStreamErrorException", ServerError),
        ("internalServerException", "InternalServerException", ServerError),
        ("serviceUnavailableException", "ServiceUnavailableException", OverloadedError),
        ("modelTimeoutException", "ModelTimeoutException", ServerError),
    ],
)
def test_an_exception_inside_the_stream_is_its_error(
    name: str, code: str, kind: type[ProviderError]
) -> None:
    error = failure_of(exception(name))

    assert (type(error), error.code, error.status) == (kind, code, 200)
    assert error.is_retryable
    assert str(error).startswith("bedrock: no")


def test_a_validation_exception_is_not_tried_again() -> None:
    assert not failure_of(exception("validationException")).is_retryable


def test_the_words_of_the_models_own_server_are_told() -> None:
    said = {"message": "failed", "originalMessage": "out of memory", "originalStatusCode": 500}
    error = failure_of(exception("modelStreamErrorException", json.dumps(said).encode()))

    assert "failed: out of memory" in str(error)


@pytest.mark.parametrize("payload", [b"", b"no JSON", b"[]"])
def test_an_exception_without_words_is_known_by_its_name(payload: bytes) -> None:
    error = failure_of(exception("throttlingException", payload))

    assert type(error) is RateLimitError


def test_an_error_that_the_service_does_not_model_stands_in_the_headers() -> None:
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oops"}
    error = failure_of(EventMessage(b"", "", headers))

    assert type(error) is ServerError
    assert "oops" in str(error)


def test_an_error_without_a_code_is_one_all_the_same() -> None:
    error = failure_of(EventMessage(b"", "", {":message-type": "error"}))

    assert type(error) is ProviderError


# --- surprises ------------------------------------------------------------------------------------


def test_events_of_unknown_types_pass_by() -> None:
    assert read(event("ping"), EventMessage(b"no JSON", "initial-response")) == []


@pytest.mark.parametrize("payload", [b"", b"no JSON", b"[]", b"[" * 5000])
def test_an_event_that_is_no_object_is_told(payload: bytes) -> None:
    for kind in ("contentBlockDelta", "messageStop", "metadata"):
        with pytest.raises(ProtocolError):
            ConverseDecoder("bedrock").decode(EventMessage(payload, kind))


@pytest.mark.parametrize(
    "fields",
    [
        {"text": None},
        {"text": 3},
        {"reasoningContent": None},
        {"reasoningContent": []},
        {"toolUse": 5},
        {"toolUse": {"input": 3}},
        {"citation": None},
        {},
    ],
)
def test_a_value_of_another_type_says_nothing(fields: dict[str, Any]) -> None:
    assert read(delta(**fields)) == []


def test_an_index_of_another_type_is_the_first() -> None:
    message = event("contentBlockStart", contentBlockIndex="x", start={"toolUse": {"name": "f"}})

    assert read(message, delta(0, toolUse={"input": "{}"}))[1] == ToolCallPiece(0, arguments="{}")


FRAMES = {
    "text": delta(text="Hi"),
    "reasoning": delta(reasoningContent={"text": "Hm"}),
    "signature": delta(reasoningContent={"signature": "c2ln"}),
    "input": delta(1, toolUse={"input": "{"}),
    "a call": start(2, toolUse={"toolUseId": "t", "name": "f"}),
    "a result": start(2, toolResult={"toolUseId": "t"}),
    "the end": finish(),
    "metadata": event("metadata", usage=USAGE, metrics={"latencyMs": 1}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_strange_field_is_kept_wherever_it_stands(name: str) -> None:
    frame = FRAMES[name]
    for place, payload in with_strangers(json.loads(frame.data)):
        decoder = ConverseDecoder("bedrock")
        decoder.decode(USE)
        changed = EventMessage(json.dumps(payload).encode(), frame.event, frame.headers)
        found = [*decoder.decode(changed), *decoder.decode(stop(2))]
        assert str(STRANGE) in repr(found), place


def test_two_kinds_in_one_delta_are_both_read() -> None:
    found = read(USE, delta(1, text="a", toolUse={"input": "{"}, reasoningContent={"text": "b"}))

    assert found[1:] == ["a", ToolCallPiece(0, arguments="{"), Reasoning("b", 1)]


# --- the wire format ------------------------------------------------------------------------------


def test_a_cut_answer_is_taken_up_without_the_blanks_at_its_end() -> None:
    chat = ChatRequest("m", (Message("user", (InputText("Hi"),)),))
    endpoint = Endpoint("bedrock", "https://bedrock.example")

    resumption = Converse().resume(chat, endpoint, "Once upon \n", ConverseDecoder("bedrock"))

    assert resumption is not None
    assert json.loads(resumption.request.body)["messages"][-1] == {
        "role": "assistant",
        "content": [{"text": "Once upon"}],
    }
    assert resumption.trimmed == " \n"


@pytest.mark.parametrize("written", [None, "", " \n"])
def test_an_answer_that_cannot_be_sent_along_is_not_taken_up(written: str | None) -> None:
    chat, endpoint = ChatRequest("m", ()), Endpoint("bedrock", "https://bedrock.example")

    assert Converse().resume(chat, endpoint, written, ConverseDecoder("bedrock")) is None
