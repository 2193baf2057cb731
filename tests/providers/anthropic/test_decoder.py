from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    Finish,
    Fragment,
    Identity,
    PartEnd,
    Reasoning,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.anthropic.blocks import ContentBlocks
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer, TerminalMarkers
from steer_llm_sdk.wire.frame import Frame
from support.corpus import Folded, fold
from support.part_fragments import without_parts

WIRE = AnthropicMessages()


def frame(payload: object, event: str = "") -> Frame:
    return Frame(json.dumps(payload).encode(), event)


def decode(*payloads: object) -> list[Fragment]:
    decoder = WIRE.decoder("anthropic")
    found = [fragment for payload in payloads for fragment in decoder.decode(frame(payload))]
    return without_parts(found)


def opened(block: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(delta: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def stopped(reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def started(**message: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": message}


TOOL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
JSON_DELTA = "input_json_delta"


def arguments(*pieces: str, index: int = 0) -> list[dict[str, Any]]:
    return [grown({"type": JSON_DELTA, "partial_json": piece}, index) for piece in pieces]


def sse(*payloads: object) -> bytes:
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


def whole(payloads: Sequence[object]) -> Folded:
    return fold(WIRE, [sse(*payloads)])


# --- text and reasoning -----------------------------------------------------------------------


def test_a_text_delta_is_its_words_and_nothing_else() -> None:
    decoder = WIRE.decoder("anthropic")

    found = decoder.decode(frame(grown({"type": "text_delta", "text": "Hi"})))

    assert found == ("Hi",)


def test_a_block_of_text_ends_when_it_is_closed() -> None:
    decoder = WIRE.decoder("anthropic")
    begun = [opened({"type": "text", "text": ""}), grown({"type": "text_delta", "text": "Hi"})]
    for each in begun:
        decoder.decode(frame(each))

    assert list(decoder.decode(frame(closed()))) == [PartEnd("text")]


def test_an_empty_delta_says_nothing() -> None:
    deltas: list[dict[str, Any]] = [
        {"type": "text_delta", "text": ""},
        {"type": "thinking_delta", "thinking": ""},
        {"type": "signature_delta", "signature": ""},
        {"type": "citations_delta", "citation": None},
        {"type": "text_delta", "text": None},
    ]

    assert decode(*(grown(delta) for delta in deltas)) == []


def test_the_type_of_a_delta_may_stand_last_in_it() -> None:
    found = decode({"delta": {"text": "Hi", "type": "text_delta"}, "type": "content_block_delta"})

    assert found == ["Hi"]


def test_a_delta_with_a_strange_index_is_still_read() -> None:
    found = decode(
        {
            "type": "content_block_delta",
            "index": "first",
            "delta": {"type": "text_delta", "text": "a"},
        },
        {
            "type": "content_block_delta",
            "index": None,
            "delta": {"type": "thinking_delta", "thinking": "b"},
        },
    )

    assert found == ["a", Reasoning("b", 0)]


def test_a_block_of_text_may_come_with_its_text_and_citations() -> None:
    source = {"type": "page_location", "cited_text": "x"}

    found = decode(
        opened({"type": "text", "text": "Hello", "citations": [source]}),
        grown({"type": "text_delta", "text": "!"}),
        closed(),
    )

    assert found == [Extras({"citations": [source]}), "Hello", "!"]


def test_a_citation_is_kept_for_the_metadata() -> None:
    source = {"type": "web_search_result_location", "url": "https://example.com"}

    found = decode(
        opened({"type": "text", "text": "", "citations": []}),
        grown({"type": "citations_delta", "citation": source}),
        grown({"type": "text_delta", "text": "said"}),
    )

    assert found == [Extras({"citations": [source]}), "said"]


def test_each_block_of_thinking_is_a_part_with_its_signature() -> None:
    found = decode(
        opened({"type": "thinking", "thinking": "", "signature": ""}, 0),
        grown({"type": "thinking_delta", "thinking": "Hm"}, 0),
        grown({"type": "signature_delta", "signature": "s1"}, 0),
        closed(0),
        opened({"type": "thinking", "thinking": "So", "signature": "s2"}, 2),
        closed(2),
    )

    assert found == [
        Reasoning("Hm", 0),
        Reasoning(part=0, extra={"signature": "s1"}),
        Reasoning("So", 2),
        Reasoning(part=2, extra={"signature": "s2"}),
    ]


def test_redacted_thinking_keeps_its_payload() -> None:
    found = decode(
        opened({"type": "redacted_thinking", "data": "EmwK"}),
        closed(),
        opened({"type": "redacted_thinking"}, 1),
    )

    assert found == [Reasoning(part=0, extra={"data": "EmwK"})]


# --- tool calls -------------------------------------------------------------------------------


def test_a_tool_call_is_opened_grown_and_closed() -> None:
    found = decode(opened(TOOL), *arguments("", '{"a"', ":1}"), closed())

    assert found == [
        ToolCallPiece(0, "toolu_1", "add"),
        ToolCallPiece(0, arguments='{"a"'),
        ToolCallPiece(0, arguments=":1}"),
        ToolCallPiece(0, is_whole=True),
    ]


def test_calls_are_counted_by_themselves_and_not_by_their_blocks() -> None:
    folded = whole(
        [
            opened({"type": "text", "text": "Let me see."}, 0),
            closed(0),
            opened(TOOL, 1),
            *arguments('{"n":1}', index=1),
            closed(1),
            opened({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, 2),
            closed(2),
            opened(TOOL | {"id": "toolu_2"}, 3),
            *arguments('{"n":2}', index=3),
            closed(3),
        ]
    )

    assert folded.tool_calls == {
        0: {"id": "toolu_1", "name": "add", "arguments": '{"n":1}'},
        1: {"id": "toolu_2", "name": "add", "arguments": '{"n":2}'},
    }


def test_calls_whose_pieces_alternate_are_told_apart() -> None:
    folded = whole(
        [
            opened(TOOL, 0),
            opened(TOOL | {"id": "toolu_2"}, 1),
            *arguments('{"n":', index=0),
            *arguments('{"n":', index=1),
            *arguments("1}", index=0),
            *arguments("2}", index=1),
            closed(1),
            closed(0),
        ]
    )

    assert [call["arguments"] for call in folded.calls] == ['{"n":1}', '{"n":2}']


def test_a_whole_input_at_the_start_counts_when_no_delta_comes() -> None:
    found = decode(opened(TOOL | {"input": {"a": [1, "é"]}}), closed())

    assert found[1:] == [ToolCallPiece(0, arguments='{"a":[1,"é"]}', is_whole=True)]


def test_a_whole_input_at_the_start_yields_to_deltas() -> None:
    folded = whole([opened(TOOL | {"input": {"a": 1}}), *arguments('{"a":1}'), closed()])

    assert folded.calls[0]["arguments"] == '{"a":1}'


def test_an_input_that_is_a_string_is_taken_for_the_json_text() -> None:
    folded = whole([opened(TOOL | {"input": '{"a":1}'}), closed()])

    assert folded.calls[0]["arguments"] == '{"a":1}'


def test_the_fields_of_a_call_that_only_the_provider_knows_are_kept() -> None:
    found = decode(opened({"type": "tool_use", "input": None, "caller": {"type": "direct"}}))

    assert found == [ToolCallPiece(0, extra={"caller": {"type": "direct"}})]


@pytest.mark.parametrize("reason", ["tool_use", "end_turn", "something_new"])
def test_a_closed_call_without_arguments_means_an_empty_object(reason: str) -> None:
    found = decode(opened(TOOL), *arguments(""), closed(), stopped(reason))

    assert found[1] == ToolCallPiece(0, arguments="{}", is_whole=True)
    assert isinstance(found[2], Finish)


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
def test_a_call_that_was_cut_before_its_first_argument_is_never_whole(reason: str) -> None:
    found = decode(opened(TOOL), closed(), stopped(reason), {"type": "message_stop"})

    assert [f for f in found if isinstance(f, ToolCallPiece)] == [
        ToolCallPiece(0, "toolu_1", "add")
    ]


def test_a_call_without_arguments_is_whole_when_another_block_follows() -> None:
    found = decode(opened(TOOL, 0), closed(0), opened(TOOL | {"id": "toolu_2"}, 1))

    assert found[1:] == [
        ToolCallPiece(0, arguments="{}", is_whole=True),
        ToolCallPiece(1, "toolu_2", "add"),
    ]


def test_a_call_without_arguments_is_whole_when_the_message_is() -> None:
    found = decode(opened(TOOL), closed(), {"type": "message_stop"})

    assert found[1:] == [ToolCallPiece(0, arguments="{}", is_whole=True), End()]


def test_a_call_without_arguments_is_not_whole_when_the_body_ends_there() -> None:
    decoder = WIRE.decoder("anthropic")
    for payload in (opened(TOOL), closed()):
        decoder.decode(frame(payload))

    assert list(decoder.decode_eof()) == []


def test_arguments_of_no_open_block_pass_by() -> None:
    assert decode(*arguments('{"a":1}', index=7), closed(7)) == []


def test_an_input_delta_that_is_not_as_it_should_be_is_read_with_patience() -> None:
    decoder = WIRE.decoder("anthropic")
    decoder.decode(frame(opened(TOOL)))
    broken = (
        b'{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"\xff"}}'
    )

    assert list(decoder.decode(Frame(broken))) == [ToolCallPiece(0, arguments="\ufffd")]


# --- other blocks -----------------------------------------------------------------------------


def test_what_the_provider_ran_itself_is_kept_whole_and_is_no_call() -> None:
    search = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"url": "u"}]}

    found = decode(
        opened(search, 0),
        *arguments('{"query":', '"x"}'),
        closed(0),
        opened(result, 1),
        closed(1),
    )

    assert found == [
        Extras({"content_blocks": [search | {"input": {"query": "x"}}]}),
        Extras({"content_blocks": [result]}),
    ]


def test_an_input_of_the_providers_own_call_that_is_no_json_is_kept_as_text() -> None:
    found = decode(opened({"type": "mcp_tool_use", "input": {}}), *arguments('{"que'), closed())

    assert found == [Extras({"content_blocks": [{"type": "mcp_tool_use", "input": '{"que'}]})]


def test_a_compaction_is_kept_with_what_its_delta_brought() -> None:
    found = decode(
        opened({"type": "compaction", "content": None}),
        grown({"type": "compaction_delta", "content": "A summary"}),
        closed(),
    )

    assert found == [Extras({"content_blocks": [{"type": "compaction", "content": "A summary"}]})]


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "ping"},
        {"type": "something_new", "text": "x"},
        {"type": ["a", "list"]},
        {},
        grown({"type": "new_delta", "text": "x"}),
        grown({"type": 7}),
        {"type": "content_block_delta", "index": 0, "delta": "x"},
        {"type": "content_block_stop", "index": 9},
        {"type": "message_delta", "delta": None},
    ],
)
def test_what_is_not_known_passes_in_silence(payload: object) -> None:
    assert decode(payload) == []


def test_a_block_of_no_type_passes_like_an_unknown_one() -> None:
    found = decode({"type": "content_block_start", "index": 0}, opened({"type": 3}, 1), closed(1))

    assert found == [Extras({"content_blocks": [{"type": 3}]})]


# --- the message ------------------------------------------------------------------------------


def test_the_start_tells_who_answers_and_what_the_input_took() -> None:
    found = decode(
        started(
            id="msg_1",
            model="claude-x",
            content=[],
            stop_reason=None,
            usage={"input_tokens": 10, "cache_read_input_tokens": None, "output_tokens": 1},
        )
    )

    assert found == [
        Identity("msg_1", "claude-x"),
        Usage({"prompt_tokens": 10}, {"input_tokens": 10, "output_tokens": 1}),
    ]


def test_a_start_without_anything_is_an_identity_without_anything() -> None:
    assert decode({"type": "message_start"}) == [Identity()]


def test_a_whole_message_at_the_start_is_read_like_its_blocks() -> None:
    folded = whole(
        [
            started(
                id="msg_1",
                content=[
                    {"type": "thinking", "thinking": "Hm"},
                    {"type": "text", "text": "Hello"},
                    TOOL | {"input": {"a": 1}},
                    "not a block",
                ],
                stop_reason="tool_use",
                usage={"input_tokens": 3, "output_tokens": 4},
            ),
            {"type": "message_stop"},
        ]
    )

    assert (folded.text, folded.reasoning) == ("Hello", "Hm")
    assert folded.calls == [{"id": "toolu_1", "name": "add", "arguments": '{"a":1}'}]
    assert folded.finish == Finish("tool_calls", "tool_use")
    assert folded.usage is not None
    assert folded.usage.counts == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
    }
    assert folded.ended


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("pause_turn", "length"),
        ("compaction", "length"),
        ("something_new", "other"),
    ],
)
def test_a_finish_reason_is_told_in_both_words(word: str, reason: Any) -> None:
    goes_on = word in {"pause_turn", "compaction"}

    assert decode(stopped(word)) == [Finish(reason, word, goes_on)]


def test_what_else_the_end_says_is_kept() -> None:
    found = decode(
        {
            "type": "message_delta",
            "delta": {
                "stop_reason": "stop_sequence",
                "stop_sequence": "END",
                "stop_details": None,
                "container": {"id": "c"},
            },
            "context_management": {"applied_edits": []},
        }
    )

    assert found == [
        Extras({"context_management": {"applied_edits": []}}),
        Extras({"stop_sequence": "END", "container": {"id": "c"}}),
        Finish("stop", "stop_sequence"),
    ]


def test_the_end_of_the_message_is_the_terminal_marker() -> None:
    assert decode({"type": "message_stop", "amazon-bedrock-invocationMetrics": {}}) == [End()]
    assert WIRE.markers == TerminalMarkers(end=True, finish=False)


def test_the_done_of_another_format_counts_for_nothing() -> None:
    assert list(WIRE.decoder("openrouter").decode(Frame(b"[DONE]", "data"))) == []


def test_a_frame_without_a_type_is_what_the_framing_calls_it() -> None:
    decoder = WIRE.decoder("anthropic")

    assert list(decoder.decode(frame({}, "message_stop"))) == [End()]


# --- usage ------------------------------------------------------------------------------------


def usage_of(*payloads: object) -> Usage:
    found = [f for f in decode(*payloads) if isinstance(f, Usage)]
    return found[-1]


def test_the_prompt_is_all_of_the_input_cached_part_included() -> None:
    usage = usage_of(
        started(usage={"input_tokens": 1, "output_tokens": 1}),
        stopped(
            "end_turn",
            input_tokens=10,
            cache_read_input_tokens=200,
            cache_creation_input_tokens=3000,
            output_tokens=7,
            output_tokens_details={"thinking_tokens": 5},
        ),
    )

    assert usage.counts == {
        "prompt_tokens": 3210,
        "completion_tokens": 7,
        "total_tokens": 3217,
        "cached_tokens": 200,
        "cache_write_tokens": 3000,
        "reasoning_tokens": 5,
    }


def test_the_last_value_of_each_field_counts_and_none_is_added() -> None:
    # A compatible host says 8834 at the start; at the end 18, and 8831 from the cache.
    usage = usage_of(
        started(usage={"input_tokens": 8834, "output_tokens": 0, "service_tier": "standard"}),
        stopped(
            "end_turn",
            input_tokens=18,
            cache_read_input_tokens=8831,
            output_tokens=20,
            service_tier=None,
        ),
    )

    assert usage.counts["prompt_tokens"] == 8849
    assert usage.counts["total_tokens"] == 8869
    assert usage.raw == {
        "input_tokens": 18,
        "output_tokens": 20,
        "service_tier": "standard",
        "cache_read_input_tokens": 8831,
    }


def test_what_a_message_begins_with_is_no_count_of_its_output() -> None:
    usage = usage_of(
        started(usage={"input_tokens": 5, "output_tokens": 9}), {"type": "message_delta"}
    )

    assert usage.counts == {"prompt_tokens": 5}


def test_each_usage_is_a_snapshot_of_its_own() -> None:
    found = decode(started(usage={"input_tokens": 5}), stopped(None, output_tokens=9))

    assert [f.raw for f in found if isinstance(f, Usage)] == [
        {"input_tokens": 5},
        {"input_tokens": 5, "output_tokens": 9},
    ]


def test_without_the_input_there_is_no_count_of_the_prompt() -> None:
    assert usage_of(stopped("end_turn", output_tokens=9)).counts == {"completion_tokens": 9}


# --- errors -----------------------------------------------------------------------------------


def failure_of(payload: object, event: str = "error") -> ProviderError:
    (found,) = WIRE.decoder("anthropic").decode(frame(payload, event))
    assert isinstance(found, Failure)
    assert isinstance(found.error, ProviderError)
    return found.error


def error_payload(kind: str, message: str = "No.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("overloaded_error", "Overloaded", OverloadedError),
        ("rate_limit_error", "Slow down", RateLimitError),
        ("api_error", "Internal server error", ServerError),
        ("timeout_error", "Timed out", ServerError),
        ("authentication_error", "invalid x-api-key", AuthenticationError),
        ("permission_error", "No.", PermissionDeniedError),
        ("not_found_error", "model: claude-9", NotFoundError),
        ("request_too_large", "Too large", InvalidRequestError),
        ("billing_error", "Pay", QuotaExceededError),
        ("invalid_request_error", "messages: required", InvalidRequestError),
        (
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            ContextLengthError,
        ),
        (
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 9 + 9 > 10",
            ContextLengthError,
        ),
        (
            "invalid_request_error",
            "Your credit balance is too low to access the API.",
            QuotaExceededError,
        ),
        ("something_new", "?", ProviderError),
    ],
)
def test_an_error_inside_a_stream_is_classified_by_its_type(
    kind: str, message: str, expected: type[ProviderError]
) -> None:
    error = failure_of(error_payload(kind, message))

    assert type(error) is expected
    assert (error.code, error.status, error.provider) == (kind, 200, "anthropic")
    assert error.request_id == "req_1"
    assert error.is_retryable is expected.is_retryable


@pytest.mark.parametrize("event", ["", "error"])
def test_a_bare_error_is_an_error_too(event: str) -> None:
    error = failure_of({"error": {"code": 529, "message": "Overloaded"}}, event)

    assert type(error) is OverloadedError


def test_an_error_event_may_hold_the_error_flat() -> None:
    error = failure_of({"type": "rate_limit_error", "message": "Slow down"})

    assert type(error) is RateLimitError


def test_an_error_event_may_hold_a_text_for_the_error() -> None:
    assert "quite lost" in str(failure_of({"type": "error", "error": "quite lost"}))


def test_an_error_event_may_hold_next_to_nothing() -> None:
    error = failure_of({"type": "error"})

    assert (error.code, str(error)) == (None, "anthropic: no message")


def test_an_error_event_need_not_be_json() -> None:
    (found,) = WIRE.decoder("anthropic").decode(Frame(b"upstream is overloaded", "error"))

    assert isinstance(found, Failure)
    assert type(found.error) is OverloadedError


# --- damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"<html>", b"{", b"[1]", b"1", b'"text"'])
def test_a_frame_that_is_no_json_object_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="anthropic"):
        WIRE.decoder("anthropic").decode(Frame(data))


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    data = b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"a\xe2\x82b"}}'

    assert list(WIRE.decoder("anthropic").decode(Frame(data))) == ["a\ufffdb"]


def test_nesting_without_end_is_a_protocol_error() -> None:
    data = b'{"type":"content_block_delta","x":' + b"[" * 100_000

    with pytest.raises(ProtocolError, match="expected JSON"):
        WIRE.decoder("anthropic").decode(Frame(data))


@pytest.mark.parametrize("depth", [10, 200, 500, 800, 900, 950, 990, 1_000, 5_000])
def test_a_nested_input_of_a_call_gives_a_call_or_a_protocol_error(depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    block = b'{"type":"tool_use","id":"t","name":"n","input":' + nested + b"}"
    data = b'{"type":"content_block_start","content_block":' + block + b"}"
    found: Sequence[Fragment] = ()

    with contextlib.suppress(ProtocolError):
        found = WIRE.decoder("anthropic").decode(Frame(data))

    assert len(found) == 1 if depth < 900 else len(found) in {0, 1}


def test_an_input_too_deep_to_be_written_is_a_protocol_error() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"a": nested}

    with pytest.raises(ProtocolError, match="anthropic: the input of a tool call is nested"):
        ContentBlocks("anthropic").open(0, {"type": "tool_use", "input": nested})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
WORDS = st.sampled_from(
    [
        *("message_start", "message_delta", "message_stop", "error", "ping"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
        *("text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"),
        *("text_delta", "thinking_delta", "signature_delta", "citations_delta", JSON_DELTA),
    ]
)
KEYS = st.sampled_from(
    [
        *("type", "index", "delta", "content_block", "message", "content", "usage", "error"),
        *("text", "thinking", "signature", "data", "citation", "citations", "partial_json"),
        *("id", "name", "input", "model", "stop_reason", "context_management", "request_id"),
        *("input_tokens", "output_tokens", "output_tokens_details", "thinking_tokens"),
    ]
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
TYPED = st.builds(
    lambda kind, rest: rest | {"type": kind}, WORDS, st.dictionaries(KEYS, VALUES, max_size=6)
)


@given(st.lists(VALUES | TYPED, max_size=8), st.sampled_from(["", "error", "message_stop"]))
def test_no_surprise_of_a_provider_is_more_than_a_protocol_error(
    payloads: list[object], event: str
) -> None:
    decoder = WIRE.decoder("anthropic")

    for payload in payloads:
        with contextlib.suppress(ProtocolError):
            decoder.decode(frame(payload, event))


@given(st.binary(max_size=60))
def test_no_bytes_are_more_than_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        WIRE.decoder("anthropic").decode(Frame(data))


# --- the format -------------------------------------------------------------------------------


def test_a_body_of_server_sent_events_is_read() -> None:
    body = b'event: content_block_delta\r\ndata: {"type":"content_block_delta","index":0,'
    rest = b'"delta":{"type":"text_delta","text":"Hi"}}\r\n\r\n'

    assert fold(WIRE, [body, rest]).text == "Hi"


def test_a_request_is_spelled_for_the_endpoint() -> None:
    chat = ChatRequest("claude-x", read_messages("Hi"))

    request = WIRE.request(chat, Endpoint("anthropic", "https://api.anthropic.com", "k"))

    assert request.url == "https://api.anthropic.com/v1/messages"


def test_usage_comes_unasked_so_there_is_nothing_to_leave_out() -> None:
    chat = ChatRequest("claude-x", read_messages("Hi"))

    assert WIRE.without_usage_option(chat, InvalidRequestError("unknown field: usage")) is None


def read(status: int, body: bytes, **headers: str) -> ProviderError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WIRE.read_error(ErrorAnswer("anthropic", status, named, body))


def test_an_error_response_is_read_by_its_json() -> None:
    body = json.dumps(error_payload("invalid_request_error", "prompt is too long: 9 > 8")).encode()

    error = read(400, body)

    assert type(error) is ContextLengthError
    assert (error.status, error.request_id) == (400, "req_1")
    assert "prompt is too long" in str(error)


def test_an_error_response_takes_its_request_id_from_the_header_too() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'

    error = read(529, body, request_id="req_h")

    assert (type(error), error.request_id) == (OverloadedError, "req_h")


@pytest.mark.parametrize(
    ("status", "body", "expected", "said"),
    [
        (502, b"<html><title>Bad gateway</title></html>", ServerError, "Bad gateway"),
        (401, b"", AuthenticationError, "an empty body"),
        (404, b"no such page", NotFoundError, "no such page"),
        (429, b"[1]", RateLimitError, "[1]"),
        (403, b'{"message": "Not for you"}', PermissionDeniedError, "Not for you"),
    ],
)
def test_an_error_response_that_is_not_anthropics_is_read_by_its_status(
    status: int, body: bytes, expected: type[ProviderError], said: str
) -> None:
    error = read(status, body)

    assert type(error) is expected
    assert said in str(error)


def test_a_key_in_an_error_is_not_repeated() -> None:
    body = b'{"error":{"type":"authentication_error","message":"bad sk-ant-api03-abcdefgh"}}'

    error = read(401, body)

    assert "abcdefgh" not in f"{error}{error.body}"
