from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    OverloadedError,
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
    OtherChoice,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.endings import FAILED_REASONS
from steer_llm_sdk.providers.failures import kind_of_ending
from steer_llm_sdk.providers.openai_chat.decoder import ChatDecoder, OpenAIChat
from steer_llm_sdk.wire.frame import Frame
from steer_llm_sdk.wire.sse import SSEFraming
from support.part_fragments import without_parts

NAMES = {"id": "r", "model": "m"}
IDENTITY = Identity("r", "m")


def opened() -> ChatDecoder:
    """A decoder that knows who answers: from here on ordinary chunks take the quick road."""
    decoder = ChatDecoder("acme")
    decoder.decode(frame(choice({"role": "assistant"})))
    return decoder


def frame(chunk: object, event: str = "") -> Frame:
    return Frame(json.dumps(chunk).encode(), event)


def choice(delta: object, **more: Any) -> dict[str, Any]:
    return {**NAMES, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}


def decode(*chunks: object) -> list[Fragment]:
    """The fragments of chunks on the quick road where they fit it."""
    decoder = opened()
    found = [fragment for chunk in chunks for fragment in decoder.decode(frame(chunk))]
    return without_parts(found)


def decode_first(chunk: object) -> list[Fragment]:
    """The fragments of a chunk that is the first, on the slow road, without the identity."""
    found = ChatDecoder("acme").decode(frame(chunk))
    return without_parts(fragment for fragment in found if fragment != IDENTITY)


def failure_of(chunk: object, event: str = "") -> ProviderError:
    last = opened().decode(frame(chunk, event))[-1]
    assert isinstance(last, Failure)
    assert isinstance(last.error, ProviderError)
    return last.error


# --- ordinary chunks --------------------------------------------------------------------------


def test_text_is_a_bare_string() -> None:
    assert opened().decode(frame(choice({"content": "Hi"}))) == ("Hi",)


def test_both_roads_find_the_same_in_an_ordinary_chunk() -> None:
    deltas: list[dict[str, Any]] = [
        {"content": "Hi"},
        {"content": "<think>Hm"},
        {"content": "", "role": "assistant", "refusal": ""},
        {"content": None, "reasoning_content": "Hm"},
        {"reasoning": "Hm", "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]},
        {"reasoning": "Hm", "content": "Hi"},
        {},
    ]

    for delta in deltas:
        assert decode(choice(delta)) == decode_first(choice(delta))


def test_an_empty_delta_says_nothing() -> None:
    assert decode(choice({"content": ""}), choice({}), choice({"content": None})) == []


def test_the_identity_is_given_once() -> None:
    decoder = ChatDecoder("acme")

    first = decoder.decode(frame(choice({"content": "a"})))
    second = decoder.decode(frame(choice({"content": "b"})))

    assert [*first, *second] == [IDENTITY, "a", "b"]


def test_an_identity_that_comes_late_is_given_when_it_comes() -> None:
    decoder = ChatDecoder("azure")
    filters = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"index": 0}]}

    found = [*decoder.decode(frame(filters)), *decoder.decode(frame(choice({"content": "a"})))]

    assert found == [Extras({"prompt_filter_results": [{"index": 0}]}), IDENTITY, "a"]


def test_a_server_that_never_says_who_it_is_gets_the_quick_road_all_the_same() -> None:
    decoder = ChatDecoder("acme")
    chunk = {"choices": [{"index": 0, "delta": {"content": "a"}}]}

    found = [fragment for _ in range(6) for fragment in decoder.decode(frame(chunk))]

    assert found == ["a"] * 6


def test_nothing_is_held_back_for_the_end() -> None:
    assert opened().decode_eof() == ()


# --- reasoning, refusals ----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_is_read_in_both_spellings(key: str) -> None:
    assert decode(choice({"content": "", key: "Hm"})) == [Reasoning("Hm")]


def test_reasoning_that_three_fields_repeat_is_given_once() -> None:
    delta = {
        "reasoning": "Hm",
        "reasoning_content": "Hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}],
    }

    assert decode(choice(delta)) == decode_first(choice(delta)) == [Reasoning("Hm")]


def test_reasoning_details_alone_give_the_words() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "First. "},
        {"type": "reasoning.text", "text": "Then."},
        "not a detail",
    ]

    assert decode(choice({"reasoning_details": details})) == [Reasoning("First. Then.")]


def test_what_must_be_sent_back_of_the_reasoning_is_kept() -> None:
    sealed = {"type": "reasoning.encrypted", "data": "Zm9v", "id": "rs_1"}

    found = decode(choice({"reasoning": None, "reasoning_details": [sealed]}))

    assert found == [Reasoning("", extra={"reasoning_details": [sealed]})]


def test_reasoning_and_text_in_one_chunk_come_in_this_order() -> None:
    assert decode(choice({"content": "Hi", "reasoning": "Hm"})) == [Reasoning("Hm"), "Hi"]


def test_a_refusal_is_kept_apart_from_text() -> None:
    assert decode(choice({"refusal": "No."})) == [Refusal("No.")]


# --- content that is a list -------------------------------------------------------------------


def test_thinking_parts_are_reasoning_and_text_parts_are_text() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "signature": "s"},
        {"type": "text", "text": "Hi"},
        {"type": "text", "text": ""},
        " there",
    ]

    found = decode(choice({"content": content}))

    assert found == [Reasoning("Hm", extra={"signature": "s"}), "Hi", " there"]


def test_a_reasoning_part_holds_its_words_in_a_summary() -> None:
    part = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}, 5]}

    assert decode(choice({"content": [part]})) == [Reasoning("Hm")]


def test_parts_of_other_kinds_are_kept_as_they_are() -> None:
    parts = [{"type": "reference", "reference_ids": [1]}, 7, {"type": {}}]

    assert decode(choice({"content": parts})) == [Extras({"content_parts": parts})]


# --- tool calls -------------------------------------------------------------------------------


def test_a_tool_call_in_pieces() -> None:
    found = decode(
        choice({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}),
        choice({"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]}),
        choice({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
    )

    assert found == [
        ToolCallPiece(0, "a", "f"),
        ToolCallPiece(0, arguments='{"x"'),
        ToolCallPiece(0, arguments=":1}"),
    ]


def test_words_and_a_call_may_come_in_one_chunk() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}

    found = decode(
        choice({"content": "I look."}), choice({"content": " Wait.", "tool_calls": [call]})
    )

    assert found == ["I look.", " Wait.", ToolCallPiece(0, "a", "f", "{}")]


def test_a_piece_that_only_repeats_says_nothing() -> None:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}

    assert decode(choice({"tool_calls": [call]}), choice({"tool_calls": [call]})) == [
        ToolCallPiece(0, "a", "f")
    ]


def test_pieces_on_the_quick_and_on_the_slow_road_belong_to_the_same_call() -> None:
    whole = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}
    rest = {"index": 0, "function": {"arguments": "}"}}

    found = decode(
        choice({"tool_calls": [whole]}),
        choice({"tool_calls": [rest]}, finish_reason="tool_calls"),
    )

    assert found[1:] == [ToolCallPiece(0, arguments="}"), Finish("tool_calls", "tool_calls")]


def test_a_custom_tool_call_carries_free_text() -> None:
    call = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}

    assert decode(choice({"tool_calls": [call]})) == [
        ToolCallPiece(0, "a", "sh", "ls", type="custom")
    ]


def test_what_else_a_tool_call_carries_is_kept() -> None:
    call = {
        "id": "a",
        "function": {"name": "f", "arguments": {"x": 1}},
        "extra_content": {"google": {"thought_signature": "s"}},
    }

    (piece,) = decode(choice({"tool_calls": [call]}))

    extra = {"extra_content": {"google": {"thought_signature": "s"}}}
    assert piece == ToolCallPiece(0, "a", "f", '{"x":1}', extra=extra)


def test_tool_calls_that_are_no_calls_say_nothing() -> None:
    calls: list[object] = [None, {}, {"function": 3}, {"index": True, "function": {}}]

    assert decode(choice({"tool_calls": calls}), choice({"tool_calls": "?"})) == []


def test_the_legacy_function_call_is_a_tool_call() -> None:
    found = decode(
        choice({"function_call": {"name": "f", "arguments": ""}}),
        choice({"function_call": {"arguments": "{}"}}),
        choice({"function_call": {}}),
        choice({}, finish_reason="function_call"),
    )

    assert found == [
        ToolCallPiece(0, None, "f"),
        ToolCallPiece(0, arguments="{}"),
        Finish("tool_calls", "function_call"),
    ]


# --- finish reasons and the end ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("content_filter", "content_filter"),
        ("refusal", "refusal"),
        ("brand_new", "other"),
    ],
)
def test_finish_reasons_are_translated(said: str, meant: Any) -> None:
    assert decode(choice({}, finish_reason=said)) == [Finish(meant, said)]


def test_a_finish_reason_that_is_a_number_is_kept_as_its_text() -> None:
    assert decode(choice({}, finish_reason=518)) == [Finish("other", "518")]


def test_a_finish_reason_that_is_repeated_is_given_once() -> None:
    found = decode(choice({}, finish_reason="stop"), choice({}, finish_reason="stop"))

    assert found == [Finish("stop", "stop")]


def test_an_empty_finish_reason_is_none() -> None:
    assert decode(choice({"content": "a"}, finish_reason="")) == ["a"]


def test_done_is_the_end() -> None:
    assert opened().decode(Frame(b" [DONE] ")) == (End(),)


def test_done_without_any_choice_is_no_end() -> None:
    assert ChatDecoder("acme").decode(Frame(b"[DONE]")) == ()


# --- usage ------------------------------------------------------------------------------------


def test_usage_comes_in_a_chunk_without_choices() -> None:
    raw = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}

    assert decode({**NAMES, "choices": [], "usage": raw}) == [Usage(raw, raw)]


def test_usage_comes_in_a_chunk_with_choices_after_what_it_says() -> None:
    raw = {"prompt_tokens": 3}

    found = decode(choice({"content": "a"}, finish_reason="stop") | {"usage": raw})

    assert found == ["a", Finish("stop", "stop"), Usage(raw, raw)]


def test_usage_comes_under_x_groq() -> None:
    raw = {"prompt_tokens": 3}
    groq = {"id": "q", "usage": raw}

    assert decode({**NAMES, "choices": [], "x_groq": groq}) == [
        Extras({"x_groq": groq}),
        Usage(raw, raw),
    ]


def test_usage_is_given_again_only_when_it_has_changed() -> None:
    first, second = {"prompt_tokens": 3}, {"prompt_tokens": 3, "completion_tokens": 1}
    chunks = [{"choices": [], "usage": usage} for usage in (first, first, second)]

    assert [fragment.raw for fragment in decode(*chunks) if isinstance(fragment, Usage)] == [
        first,
        second,
    ]


def test_usage_without_a_number_is_none() -> None:
    assert decode({"choices": [], "usage": {"prompt_tokens": None}}, {"usage": "?"}) == []


# --- several choices --------------------------------------------------------------------------


def test_other_choices_pass_beside_the_first() -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    chunk = {
        "choices": [
            {"index": 0, "delta": {"content": "a"}},
            {"index": 1, "delta": {"content": "b", "citations": ["x"]}},
            {"index": 1, "delta": {"tool_calls": [call]}, "finish_reason": "stop"},
        ]
    }

    assert decode(chunk) == [
        "a",
        OtherChoice(1, Extras({"citations": ["x"]})),
        OtherChoice(1, "b"),
        OtherChoice(1, ToolCallPiece(0, "a", "f", "{}")),
        OtherChoice(1, Finish("tool_calls", "stop")),
    ]


def test_choices_without_an_index_are_counted() -> None:
    chunk = {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}, None]}

    assert decode(chunk) == ["a", OtherChoice(1, "b")]


# --- what else there is -----------------------------------------------------------------------


def test_log_probabilities_go_with_their_words() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.1}]}

    found = decode(choice({"content": "a"}, logprobs=logprobs, token_ids=[5]))

    assert found == [Text("a", {"logprobs": logprobs, "token_ids": [5]})]


def test_log_probabilities_without_words_are_kept() -> None:
    logprobs = {"refusal": [{"token": "a", "logprob": -0.1}]}

    assert decode(choice({"refusal": "a"}, logprobs=logprobs)) == [
        Extras({"logprobs": logprobs}),
        Refusal("a"),
    ]


def test_empty_log_probabilities_stay_on_the_quick_road() -> None:
    assert decode(choice({"content": "a"}, logprobs={"content": None})) == ["a"]


def test_citations_are_kept_once() -> None:
    chunk = choice({"content": "a"}) | {"citations": ["x"], "search_results": []}

    assert decode(chunk, chunk) == [Extras({"citations": ["x"]}), "a", "a"]


def test_extras_of_chunk_choice_and_delta_come_in_one_fragment_before_the_words() -> None:
    chunk = choice(
        {"content": "a", "annotations": [1]}, content_filter_results={"hate": {"filtered": False}}
    )

    found = decode(chunk | {"timings": {"predicted_n": 1}, "created": 5, "obfuscation": "x"})

    assert found == [
        Extras(
            {
                "timings": {"predicted_n": 1},
                "content_filter_results": {"hate": {"filtered": False}},
                "annotations": [1],
            }
        ),
        "a",
    ]


def test_a_chunk_without_choices_says_nothing() -> None:
    assert decode(NAMES, {"choices": None}, {}) == []


def test_a_whole_message_is_read_where_no_delta_has_come() -> None:
    chunk = NAMES | {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}

    assert decode_first(chunk) == ["Hi"]


def test_a_message_that_repeats_the_deltas_is_not_read() -> None:
    repeated = choice({"content": "b"}, message={"content": "ab"})
    last = NAMES | {"choices": [{"index": 0, "message": {"content": "ab"}}]}

    assert decode(choice({"content": "a"}), repeated, last) == ["a", "b"]


def test_an_event_of_another_name_need_not_be_a_chunk() -> None:
    assert opened().decode(Frame(b"ping", "ping")) == ()
    assert opened().decode(Frame(b"3", "ping")) == ()
    assert decode_first(choice({"content": "a"})) == ["a"]
    assert ChatDecoder("acme").decode(frame(choice({"content": "a"}), "chunk"))[-1] == "a"


# --- errors inside the stream -----------------------------------------------------------------


def test_an_error_object_ends_the_stream_in_its_class() -> None:
    error = failure_of({"error": {"message": "busy", "type": "overloaded_error"}})

    assert isinstance(error, OverloadedError)
    assert (error.status, error.code, error.provider) == (200, "overloaded_error", "acme")
    assert error.is_retryable


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "server_error"}, ServerError),
        ({"type": "server_error", "code": 500}, ServerError),
        ({"message": "Internal server error"}, ServerError),
        ({"code": "service_unavailable"}, OverloadedError),
        ({"message": "The model is overloaded"}, OverloadedError),
        ({"code": "rate_limit_exceeded"}, RateLimitError),
        ({"code": "429", "message": "slow"}, RateLimitError),
        ({"code": 429, "message": "You exceeded your current quota"}, QuotaExceededError),
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, QuotaExceededError),
        ({"code": 402, "message": "credits"}, QuotaExceededError),
        ({"code": "context_length_exceeded"}, ContextLengthError),
        ({"code": 400, "message": "maximum context length is 5 tokens"}, ContextLengthError),
        ({"code": "content_filter"}, ContentFilterError),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, AuthenticationError),
        ({"type": "invalid_request_error", "message": "no"}, InvalidRequestError),
        ({"message": "?"}, ProviderError),
    ],
)
def test_an_error_inside_the_stream_is_classified_by_what_it_says(
    error: dict[str, Any], kind: type[ProviderError]
) -> None:
    assert type(failure_of({"error": error})) is kind


def test_a_status_inside_the_error_decides() -> None:
    error = failure_of({"error": {"message": "?", "code": 502}})

    assert isinstance(error, ServerError)
    assert error.status == 200


def test_an_error_beside_choices_comes_after_what_they_say() -> None:
    chunk = choice({"content": "a"}, finish_reason="error") | {
        "error": {"message": "cut", "code": 400}
    }

    text, failure = decode(chunk)

    assert text == "a"
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, InvalidRequestError)


def test_an_error_in_a_choice_is_one() -> None:
    assert isinstance(failure_of(choice({}, error={"message": "?", "code": 503})), OverloadedError)


def test_the_finish_reason_error_is_one() -> None:
    assert isinstance(failure_of(choice({}, finish_reason="error")), ServerError)


def test_an_event_named_error_is_one_whatever_it_holds() -> None:
    plain = opened().decode(Frame(b"the server is overloaded", "error"))[0]
    listed = opened().decode(Frame(b'["x"]', "error"))[0]

    assert isinstance(plain, Failure)
    assert isinstance(plain.error, OverloadedError)
    assert isinstance(listed, Failure)
    assert '["x"]' in str(listed.error)


def test_an_event_named_error_may_hold_an_object_of_any_form() -> None:
    assert isinstance(failure_of({"code": "server_error"}, "error"), ServerError)
    assert isinstance(failure_of({"message": "?", "code": 500}, "error"), ServerError)


def test_an_error_that_is_a_string_is_one() -> None:
    error = failure_of({"error": "Request failed", "error_type": "generation"})

    assert isinstance(error, ServerError)
    assert "Request failed" in str(error)


def test_an_object_that_says_it_is_an_error_is_one() -> None:
    error = failure_of({"object": "error", "message": "no", "type": "BadRequestError", "code": 400})

    assert isinstance(error, InvalidRequestError)


# --- what is not the format -------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"<html>", b"{", b"", b"[" * 200_000, b'{"a":' * 200_000])
def test_what_is_not_json_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="acme: expected JSON"):
        opened().decode(Frame(data))


@pytest.mark.parametrize("key", ["extra", "usage", "error", "choices"])
def test_nesting_at_the_edge_of_what_can_be_parsed_raises_nothing_else(key: str) -> None:
    decoder = opened()

    # The edge lies where the stack of the tests leaves it.
    for depth in range(500, 1010):
        data = b'{"' + key.encode() + b'":' + b"[" * depth + b"1" + b"]" * depth + b"}"
        with contextlib.suppress(ProtocolError):
            decoder.decode(Frame(data))
            decoder.decode(Frame(data))


@pytest.mark.parametrize("data", [b"true", b"[3]", b'"a"', b"3"])
def test_json_that_is_not_an_object_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="acme: expected a JSON object"):
        opened().decode(Frame(data))


def test_a_protocol_error_shows_little_and_no_key() -> None:
    with pytest.raises(ProtocolError) as caught:
        opened().decode(Frame(b"Bearer sk-abcdefghijklmnop " + b"x" * 5000))

    assert "abcdefgh" not in str(caught.value)
    assert len(str(caught.value)) < 150


def test_broken_utf8_is_replaced() -> None:
    data = b'{"choices":[{"delta":{"content":"a\xff\xe2\x82b"}}]}'

    assert opened().decode(Frame(data)) == ["a\ufffd\ufffdb"]


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    decoder = opened()
    data = b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}'

    assert [*decoder.decode(Frame(data)), *decoder.decode_eof()] == ["a", "\ufffd"]
    assert decoder.decode_eof() == ()


def test_half_of_a_surrogate_pair_that_other_words_follow_is_replaced() -> None:
    decoder = opened()
    data = b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}'

    found = [*decoder.decode(Frame(data)), *decoder.decode(frame(choice({"content": "b"})))]

    assert found == ["a", "\ufffd", "b"]


def test_a_character_whose_two_escapes_come_in_two_chunks_is_one() -> None:
    decoder = opened()
    high = b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}'
    low = b'{"choices":[{"delta":{"content":"\\ude00b"}}]}'

    found = [*decoder.decode(Frame(high)), *decoder.decode(Frame(low))]

    assert found == ["a", "\U0001f600b"]


# --- the quick road drops nothing ---------------------------------------------------------------

STRANGE: tuple[object, ...] = ("x", 7, True, ["x"], {"x": 1})


@pytest.mark.parametrize("level", ["chunk", "choice", "delta", "call", "function", "detail"])
@pytest.mark.parametrize("value", STRANGE)
def test_a_field_that_nobody_knows_is_kept_at_every_level(level: str, value: object) -> None:
    strange = {"strange": value}
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    detail = {"type": "reasoning.text", "text": "Hm", "data": "sealed"}
    delta: dict[str, Any] = {"content": "Hi"}
    if level == "call":
        delta["tool_calls"] = [call | strange]
    if level == "function":
        delta["tool_calls"] = [call | {"function": {"name": "f", "arguments": "{}"} | strange}]
    if level == "detail":
        delta["reasoning_details"] = [detail | strange]
    if level == "delta":
        delta |= strange
    chunk = choice(delta, **(strange if level == "choice" else {}))
    chunk |= strange if level == "chunk" else {}

    quick, slow = decode(chunk), decode_first(chunk)

    assert quick == slow
    assert repr(value) in repr(quick)


@pytest.mark.parametrize("name", ["system_fingerprint", "service_tier", "provider"])
def test_a_constant_is_kept_when_it_changes_in_the_middle(name: str) -> None:
    chunks = [choice({"content": "a"}) | {name: value} for value in ("x", "x", "y", "y")]

    assert decode(*chunks) == [Extras({name: "x"}), "a", "a", Extras({name: "y"}), "a", "a"]


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"reasoning_text": "Hm"}, Reasoning("Hm")),
        ({"reasoning_opaque": "o"}, Reasoning("", extra={"reasoning_opaque": "o"})),
        ({"reasoning_encrypted": "o"}, Reasoning("", extra={"reasoning_encrypted": "o"})),
        ({"reasoning_items": [{"id": 1}]}, Reasoning("", extra={"reasoning_items": [{"id": 1}]})),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "Hm"}]}, Reasoning("Hm")),
        (
            {
                "reasoning_content": "",
                "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s"}],
            },
            Reasoning(
                "",
                extra={
                    "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s"}]
                },
            ),
        ),
        ({"extra_content": {"google": "s"}}, Extras({"extra_content": {"google": "s"}})),
        ({"provider_specific_fields": {"s": 1}}, Extras({"provider_specific_fields": {"s": 1}})),
    ],
)
def test_what_must_be_sent_back_is_kept_in_every_spelling(
    delta: dict[str, Any], expected: Fragment
) -> None:
    assert decode(choice(delta)) == [expected]


# --- failures, signs of life, the end under other names -----------------------------------------


@pytest.mark.parametrize("reason", sorted(FAILED_REASONS))
def test_a_reason_that_says_that_the_model_failed_is_a_failure(reason: str) -> None:
    error = failure_of(choice({}, finish_reason=reason.upper()))

    assert type(error) is kind_of_ending(reason)


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ({"choices": [], "x_groq": {"error": "over capacity"}}, OverloadedError),
        (
            {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "?"}},
            QuotaExceededError,
        ),
        ({"choices": None, "base_resp": {"status_code": 1027}}, ContentFilterError),
        ({"message": "busy", "code": 503}, OverloadedError),
        ({"detail": [{"msg": "no"}], "code": 422}, InvalidRequestError),
        ({"errors": [{"message": "?", "code": 429}]}, RateLimitError),
        ({"code": "rate_limit_exceeded", "msg": "slow"}, RateLimitError),
    ],
)
def test_an_error_is_found_wherever_it_stands(
    chunk: dict[str, Any], kind: type[ProviderError]
) -> None:
    assert isinstance(failure_of(chunk), kind)


def test_a_status_that_says_that_all_is_well_is_no_failure() -> None:
    chunk = choice({"content": "a"}) | {"base_resp": {"status_code": 0, "status_msg": ""}}

    assert decode(chunk) == ["a"]


@pytest.mark.parametrize(
    "data", [b": keepalive", b"keep-alive", b"[ping]", b'"ping"', b"heartbeat"]
)
def test_a_sign_of_life_that_comes_as_data_says_nothing(data: bytes) -> None:
    assert opened().decode(Frame(data)) == ()
    assert ChatDecoder("acme").decode(Frame(data)) == ()


@pytest.mark.parametrize(
    "end", [Frame(b"DONE"), Frame(b'"[DONE]"'), Frame(b"[done]"), Frame(b"{}", "done")]
)
def test_the_end_has_other_names(end: Frame) -> None:
    assert opened().decode(end) == (End(),)


def test_content_may_be_an_object() -> None:
    assert decode(choice({"content": {"type": "text", "text": "Hi"}})) == ["Hi"]
    assert decode(choice({"content": {"type": "image", "url": "u"}})) == [
        Extras({"content_parts": [{"type": "image", "url": "u"}]})
    ]


@pytest.mark.parametrize(
    "form",
    [
        {"text": "Hm"},
        {"content": [{"text": "H"}, "m"], "signature": "s"},
        [{"summary": "Hm"}],
        ["Hm"],
    ],
)
@pytest.mark.parametrize("key", ["reasoning", "reasoning_content", "reasoning_text"])
def test_reasoning_in_a_form_of_its_own_is_read_and_kept(key: str, form: Any) -> None:
    assert decode(choice({key: form})) == [Reasoning("Hm", extra={key: form})]


def test_the_model_that_a_router_chose_is_told_when_it_is_named() -> None:
    asked = choice({"role": "assistant"}) | {"id": "r", "model": "model-router"}
    named = choice({}, finish_reason="stop") | {"id": "r", "model": "gpt-5-nano"}

    decoder = ChatDecoder("acme")
    chunks = [asked, choice({"content": "a"}) | {"model": "gpt-5-nano"}, named]

    found = [fragment for chunk in chunks for fragment in decoder.decode(frame(chunk))]

    identities = [fragment for fragment in found if isinstance(fragment, Identity)]
    assert identities == [Identity("r", "model-router"), Identity("r", "gpt-5-nano")]


def test_stop_with_calls_to_run_is_tool_calls() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}

    found = decode(choice({"tool_calls": [call]}), choice({}, finish_reason="stop"))

    assert found[-1] == Finish("tool_calls", "stop")


def test_usage_comes_in_a_choice() -> None:
    raw = {"prompt_tokens": 3, "completion_tokens": 4}

    assert decode(choice({}, usage=raw)) == [Usage(raw, raw)]


def test_a_zero_replaces_no_count() -> None:
    first = {"prompt_tokens": 3, "completion_tokens": 0}
    zeros = {"prompt_tokens": 0, "completion_tokens": 0}
    last = {"prompt_tokens": 0, "completion_tokens": 5}

    found = decode(*({"choices": [], "usage": usage} for usage in (first, zeros, last)))

    assert found == [Usage(first, first), Usage({"completion_tokens": 5}, last)]


def test_numbers_that_json_has_not_are_tolerated() -> None:
    data = b'{"choices":[{"delta":{"content":"a"}}],"score":NaN,"least":-Infinity}'

    found = opened().decode(Frame(data))

    assert found[-1] == "a"


KEYS = [
    "index",
    "delta",
    "content",
    "tool_calls",
    "function",
    "id",
    "type",
    "text",
    "error",
    "arguments",
    "finish_reason",
    "message",
    "reasoning_details",
    "code",
    "logprobs",
    "function_call",
    "name",
    "custom",
    "input",
    "thinking",
    "data",
    "metadata",
    "raw",
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("choices", "usage", "error", "x_groq", "id"), JSON)
        ),
        max_size=3,
    ),
    st.sampled_from(["", "error"]),
)
def test_no_surprise_of_a_server_raises(chunks: list[dict[str, Any]], event: str) -> None:
    decoder = ChatDecoder("acme")

    for chunk in chunks:
        decoder.decode(frame(chunk, event))


@given(JSON)
def test_no_surprise_in_a_choice_raises(value: object) -> None:
    decoder = opened()

    decoder.decode(frame({"choices": [value, {"delta": value}, {"message": value}]}))
    decoder.decode(frame({"choices": [{"delta": {"content": value, "tool_calls": [value]}}]}))


# --- the format as a whole --------------------------------------------------------------------


def test_the_framing_is_server_sent_events_within_the_limit() -> None:
    assert isinstance(OpenAIChat().framing(100), SSEFraming)


def test_the_decoder_carries_the_name_of_the_provider() -> None:
    with pytest.raises(ProtocolError, match="groq"):
        OpenAIChat().decoder("groq").decode(Frame(b"?"))


def test_done_or_a_finish_reason_makes_a_stream_complete() -> None:
    assert (OpenAIChat.markers.end, OpenAIChat.markers.finish) == (True, True)


# --- a choice that is not the first by its number -----------------------------------------------


def numbered(index: int, delta: object, **more: Any) -> dict[str, Any]:
    found = choice(delta, **more)
    found["choices"][0]["index"] = index
    return found


def read_all(*chunks: object) -> list[Fragment]:
    decoder = ChatDecoder("acme")
    return without_parts([each for one in chunks for each in decoder.decode(frame(one))])


def test_the_only_choice_is_the_answer_whatever_its_number() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    found = read_all(
        numbered(1, {"role": "assistant", "content": ""}),
        numbered(1, {"content": "Hi"}),
        numbered(1, {"content": " there"}),
        numbered(1, {"tool_calls": [call]}),
        numbered(1, {}, finish_reason="stop"),
    )

    assert found == [
        IDENTITY,
        "Hi",
        " there",
        ToolCallPiece(0, "c", "f", "{}"),
        Finish("tool_calls", "stop"),
    ]


@pytest.mark.parametrize("text", [{"message": {"content": "Hi"}}, {"text": "Hi"}])
def test_the_only_choice_may_be_a_whole_message(text: dict[str, Any]) -> None:
    document = {**NAMES, "choices": [{"index": 1, **text, "finish_reason": "stop"}]}

    assert read_all(document) == [IDENTITY, "Hi", Finish("stop", "stop")]


@pytest.mark.parametrize(
    "opening",
    [
        [numbered(1, {"role": "assistant"}), numbered(0, {"role": "assistant"})],
        [numbered(0, {"content": ""})],
        [{**NAMES, "choices": []}, {**NAMES, "choices": [{"index": 1}, {"index": 0}]}],
    ],
)
def test_of_several_choices_the_answer_is_the_first_by_its_number(opening: list[Any]) -> None:
    found = read_all(*opening, numbered(1, {"content": "b"}), numbered(0, {"content": "a"}))

    assert found[-2:] == [OtherChoice(1, "b"), "a"]


def test_a_choice_that_comes_late_is_another() -> None:
    found = read_all(numbered(1, {"content": "a"}), numbered(0, {"content": "b"}))

    assert found == [IDENTITY, "a", OtherChoice(0, "b")]
