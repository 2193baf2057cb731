from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import (
    ContentFilterError,
    FrameTooLargeError,
    InvalidRequestError,
    ProtocolError,
    RateLimitError,
)
from steer_llm_sdk.models.fragments import (
    Extras,
    Failure,
    File,
    Finish,
    Fragment,
    Identity,
    OtherChoice,
    Reasoning,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import Endpoint, TerminalMarkers
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.gemini.spelling import in_one_spelling
from steer_llm_sdk.providers.reading import JSONObject
from steer_llm_sdk.wire.frame import Frame
from support.corpus import fold
from support.framings import frames_of, one_by_one
from support.part_fragments import without_parts

WIRE = Gemini()


def chunk(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **candidate}]}


def frame(payload: object) -> Frame:
    return Frame(json.dumps(payload).encode())


def decode(*payloads: object) -> list[Fragment]:
    """The fragments after an opening frame that says nothing."""
    decoder = WIRE.decoder("gemini")
    decoder.decode(Frame(b"{}"))
    found = [fragment for payload in payloads for fragment in decoder.decode(frame(payload))]
    return without_parts(found)


def words(text: str, **more: Any) -> dict[str, Any]:
    return {"text": text, **more}


def call(**fields: Any) -> dict[str, Any]:
    return {"functionCall": fields}


# --- text and thoughts ------------------------------------------------------------------------


def test_text_is_given_as_it_stands() -> None:
    assert decode(chunk(words("Hello")), chunk(words(" world"), index=0)) == ["Hello", " world"]


def test_an_ordinary_frame_of_text_gives_one_bare_string() -> None:
    decoder = WIRE.decoder("gemini")
    decoder.decode(Frame(b"{}"))

    assert decoder.decode(frame(chunk(words("Hello")))) == ("Hello",)


def test_the_first_frame_says_who_answers() -> None:
    decoder = WIRE.decoder("gemini")
    said = {"responseId": "r1", "modelVersion": "gemini-3-flash"}

    assert decoder.decode(frame(chunk(words("Hi")) | said)) == [
        Identity("r1", "gemini-3-flash"),
        "Hi",
    ]


def test_an_identity_that_comes_late_is_told_when_it_comes() -> None:
    late = chunk(words("b"), finishReason="STOP") | {"responseId": "r1"}

    assert decode(chunk(words("a")), late)[1] == Identity("r1", None)


def test_a_thought_is_reasoning() -> None:
    thought = words("Hm.", thought=True)

    assert decode(chunk(thought), chunk(words("Hi"), thought)) == [
        Reasoning("Hm."),
        "Hi",
        Reasoning("Hm."),
    ]


def test_empty_text_is_nothing() -> None:
    nothing = [words(""), words("", thought=True)]

    assert decode(*(chunk(part) for part in nothing), chunk(*nothing)) == []


def test_a_signature_stays_with_the_part_that_it_signs() -> None:
    signature = {"thoughtSignature": "c2ln"}

    assert decode(
        chunk(words("Hm.", thought=True, **signature)),
        chunk(words("", thought=True, **signature)),
        chunk(words("Hi", **signature)),
        chunk(words("", **signature)),
        chunk({"functionCall": {"name": "f"}, **signature}),
    ) == [
        Reasoning("Hm.", extra=signature),
        Reasoning("", extra=signature),
        Text("Hi", signature),
        Extras(signature),
        ToolCallPiece(0, None, "f", "{}", is_whole=True, extra=signature),
    ]


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    decoder = WIRE.decoder("gemini")
    decoder.decode(Frame(b"{}"))
    body = frame(chunk(words("a?b"))).data.replace(b"?", b"\xff")

    assert decoder.decode(Frame(body)) == ["a\ufffdb"]


# --- calls ------------------------------------------------------------------------------------


def test_a_call_is_whole_with_its_arguments_as_json_text() -> None:
    part = call(id="c1", name="add", args={"b": 2, "a": "ü"})

    assert decode(chunk(part)) == [
        ToolCallPiece(0, "c1", "add", '{"a": "ü", "b": 2}', is_whole=True)
    ]


def test_calls_without_ids_and_arguments_are_numbered_as_they_come() -> None:
    assert decode(chunk(call(name="f"), call(name="g", args=None)), chunk(call(name="f"))) == [
        ToolCallPiece(0, None, "f", "{}", is_whole=True),
        ToolCallPiece(1, None, "g", "{}", is_whole=True),
        ToolCallPiece(2, None, "f", "{}", is_whole=True),
    ]


def test_a_call_that_is_told_piece_by_piece_is_put_together() -> None:
    pieces = [
        call(name="f", id="c1", willContinue=True),
        call(partialArgs=[{"jsonPath": "$.a", "stringValue": "x"}], willContinue=True),
        call(),
    ]

    assert decode(*map(chunk, pieces)) == [
        ToolCallPiece(0, "c1", "f"),
        ToolCallPiece(0, None, None, '{"a": "x"}', is_whole=True),
    ]


def test_the_last_piece_of_a_call_may_bring_an_argument() -> None:
    last = call(partialArgs=[{"jsonPath": "$.a", "numberValue": 1}])

    assert decode(chunk(call(name="f", args={"b": 2}, willContinue=True)), chunk(last))[-1] == (
        ToolCallPiece(0, None, None, '{"a": 1, "b": 2}', is_whole=True)
    )


def test_a_call_may_come_in_one_piece_of_partial_arguments() -> None:
    piece = call(name="f", partialArgs=[{"jsonPath": "$.a", "boolValue": True}])

    assert decode(chunk(piece)) == [
        ToolCallPiece(0, None, "f"),
        ToolCallPiece(0, None, None, '{"a": true}', is_whole=True),
    ]


def test_pieces_that_name_their_calls_are_told_apart() -> None:
    def argument(call_id: str, key: str, number: int, **more: Any) -> dict[str, Any]:
        piece = {"jsonPath": f"$.{key}", "numberValue": number}
        return call(id=call_id, partialArgs=[piece], willContinue=True, **more)

    begun = [call(id=each, name="add", willContinue=True) for each in ("c1", "c2")]
    grown = [argument("c1", "a", 1), argument("c2", "b", 2, name="add"), argument("c1", "c", 3)]
    ended = [call(id="c2"), call(id="c1")]

    assert decode(*map(chunk, [*begun, *grown, *ended]))[2:] == [
        ToolCallPiece(1, arguments='{"b": 2}', is_whole=True),
        ToolCallPiece(0, arguments='{"a": 1, "c": 3}', is_whole=True),
    ]


@pytest.mark.parametrize("named", [{}, {"id": "c1"}], ids=["without an id", "with one"])
def test_a_call_that_is_repeated_to_bring_its_signature_is_one(named: dict[str, Any]) -> None:
    signed = call(name="f", args={"a": 1}, **named) | {"thoughtSignature": "c2ln"}
    bare = call(name="f", args={"a": 1}, **named)

    assert decode(chunk(bare), chunk(signed)) == [
        ToolCallPiece(0, named.get("id"), "f", '{"a": 1}', is_whole=True),
        ToolCallPiece(0, extra={"thoughtSignature": "c2ln"}),
    ]


def test_of_two_calls_that_are_the_same_the_first_may_be_signed() -> None:
    bare = call(name="f", args={"a": 1})
    signed = bare | {"thoughtSignature": "c2ln"}

    assert [each.index for each in decode(chunk(signed, bare))] == [0, 1]  # type: ignore[union-attr]


def test_a_call_that_another_cuts_off_stays_incomplete() -> None:
    cut_off = chunk(call(name="f", willContinue=True))

    assert decode(cut_off, chunk(call(name="g")), chunk(call())) == [
        ToolCallPiece(0, None, "f"),
        ToolCallPiece(1, None, "g", "{}", is_whole=True),
    ]


def test_arguments_nested_without_end_are_a_protocol_error() -> None:
    text = '{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":'
    bodies = (text + "[" * depth + "]" * depth + "}}}]}}]}" for depth in (100, 900, 100_000))

    for body in bodies:
        with contextlib.suppress(ProtocolError):
            WIRE.decoder("gemini").decode(Frame(body.encode()))


# --- everything else --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"thought": True, "inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "1"}},
        {"partOfTheFuture": 1},
    ],
)
def test_other_parts_are_kept_as_they_came(part: dict[str, Any]) -> None:
    assert decode(chunk(part)) == [Extras({"parts": [part]})]


@pytest.mark.parametrize(
    "key",
    ["safetyRatings", "citationMetadata", "groundingMetadata", "urlContextMetadata", "avgLogprobs"],
)
def test_what_a_candidate_says_beside_its_words_comes_before_them(key: str) -> None:
    assert decode(chunk(words("Hi"), **{key: [{"a": 1}]})) == [Extras({key: [{"a": 1}]}), "Hi"]


def test_feedback_on_a_prompt_that_passed_is_kept() -> None:
    feedback = {"promptFeedback": {"safetyRatings": [{"category": "X"}]}}

    assert decode(chunk(words("Hi")) | feedback) == [Extras(feedback), "Hi"]
    assert decode(chunk(words("Hi")) | {"promptFeedback": {"safetyRatings": []}}) == ["Hi"]


def test_other_candidates_pass_as_other_choices() -> None:
    content = {
        "content": {"parts": [words("b", thoughtSignature="s"), words("", thoughtSignature="s")]}
    }
    payload = {
        "candidates": [
            {"content": {"parts": [words("a")]}, "finishReason": "STOP"},
            {"index": 1, **content, "finishReason": "MAX_TOKENS", "safetyRatings": [1]},
        ]
    }

    assert decode(payload) == [
        "a",
        Finish("stop", "STOP"),
        OtherChoice(1, Text("b", {"thoughtSignature": "s"})),
        OtherChoice(1, Finish("length", "MAX_TOKENS")),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"candidates": None},
        {"candidates": [None, 1, {}]},
        {"candidates": [{"content": None, "finishReason": ["STOP"]}]},
        {"candidates": [{"content": {"parts": None}, "index": "x"}]},
        {"candidates": [{"content": {"parts": [None, {}, {"functionCall": {"args": 1}}]}}]},
        {"usageMetadata": None, "promptFeedback": None, "error": None},
        {"usageMetadata": {"promptTokenCount": "many"}},
        [],
    ],
)
def test_what_says_nothing_passes_in_silence(payload: object) -> None:
    assert decode(payload) == []


# --- why it stopped ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("ESCALATION", "content_filter"),
        ("CONTINUATION", "length"),
        ("TOO_MANY_TOOL_CALLS", "length"),
        ("IMAGE_OTHER", "other"),
        ("NO_IMAGE", "other"),
        ("OTHER", "other"),
        ("OF_THE_FUTURE", "other"),
    ],
)
def test_a_finish_reason_is_told_in_both_words(word: str, reason: str) -> None:
    (finish,) = decode(chunk(finishReason=word))

    assert isinstance(finish, Finish)
    assert (finish.reason, finish.provider_reason) == (reason, word)


@pytest.mark.parametrize(
    ("number", "finish"),
    [
        (1, Finish("stop", "STOP")),
        (2, Finish("length", "MAX_TOKENS")),
        (3, Finish("content_filter", "SAFETY")),
        (4, Finish("content_filter", "RECITATION")),
        (5, Finish("other", "OTHER")),
        (7, Finish("content_filter", "7")),
        (9, Finish("other", "9")),
    ],
)
def test_a_finish_reason_may_be_a_number(number: int, finish: Finish) -> None:
    assert decode(chunk(finishReason=number)) == [finish]


@pytest.mark.parametrize("said", [None, "", 0, "FINISH_REASON_UNSPECIFIED"])
def test_no_finish_reason_is_none(said: object) -> None:
    assert decode(chunk(words("a"), finishReason=said)) == ["a"]


def test_a_stop_after_calls_is_for_the_calls() -> None:
    assert decode(chunk(call(name="f")), chunk(finishReason="STOP"))[-1] == (
        Finish("tool_calls", "STOP")
    )


def test_a_call_after_a_frame_that_said_stop_changes_the_reason() -> None:
    early = chunk(words("a"), finishReason="STOP")

    assert decode(early, chunk(call(name="f")), chunk(words("b"))) == [
        "a",
        Finish("stop", "STOP"),
        ToolCallPiece(0, None, "f", "{}", is_whole=True),
        Finish("tool_calls", "STOP"),
        "b",
    ]


def test_calls_that_were_cut_by_the_limit_do_not_hide_it() -> None:
    assert decode(chunk(call(name="f", willContinue=True), finishReason="MAX_TOKENS"))[-1] == (
        Finish("length", "MAX_TOKENS")
    )


def test_a_finish_reason_and_the_end_of_the_body_complete_a_stream() -> None:
    assert WIRE.markers == TerminalMarkers(end=False, finish=True)


# --- usage ------------------------------------------------------------------------------------


def usage_of(*payloads: object) -> Usage:
    body = b"".join(b"data: " + json.dumps(payload).encode() + b"\r\n\r\n" for payload in payloads)
    folded = fold(WIRE, [body])
    assert folded.usage is not None
    return folded.usage


def test_usage_counts_tools_in_the_prompt_and_thoughts_in_the_output() -> None:
    raw = {
        "promptTokenCount": 91,
        "toolUsePromptTokenCount": 898,
        "candidatesTokenCount": 159,
        "thoughtsTokenCount": 265,
        "cachedContentTokenCount": 64,
        "totalTokenCount": 1413,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 91}],
        "cacheTokensDetails": None,
    }

    usage = usage_of(chunk(words("a"), finishReason="STOP") | {"usageMetadata": raw})

    assert usage.counts == {
        "prompt_tokens": 989,
        "completion_tokens": 424,
        "total_tokens": 1413,
        "cached_tokens": 64,
        "reasoning_tokens": 265,
    }
    assert usage.raw == {key: value for key, value in raw.items() if value is not None}


def test_the_last_snapshot_counts_and_none_are_added_up() -> None:
    first = {"promptTokenCount": 9, "candidatesTokenCount": 15, "totalTokenCount": 24}
    middle = {"promptTokenCount": 9, "candidatesTokenCount": 30, "totalTokenCount": 39}
    last = {"promptTokenCount": 87, "thoughtsTokenCount": 78, "totalTokenCount": 165}

    usage = usage_of(
        chunk(words("a")) | {"usageMetadata": first},
        chunk(words("b")) | {"usageMetadata": middle},
        chunk(words("c"), finishReason="STOP") | {"usageMetadata": last},
    )

    assert usage.raw == last
    assert usage.counts["completion_tokens"] == 78


def test_a_snapshot_without_counts_adds_to_the_one_before() -> None:
    usage = usage_of(
        chunk(words("a"), finishReason="STOP") | {"usageMetadata": {"promptTokenCount": 1}},
        chunk(words("b")) | {"usageMetadata": {"trafficType": "ON_DEMAND"}},
    )

    assert usage.raw == {"promptTokenCount": 1, "trafficType": "ON_DEMAND"}


def test_before_the_end_only_the_counts_of_the_prompt_are_told() -> None:
    raw = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}

    assert decode(chunk() | {"usageMetadata": raw}) == [Usage({"prompt_tokens": 9}, raw)]


def test_the_usage_of_a_stream_without_a_finish_reason_is_told_at_its_end() -> None:
    raw = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
    last = raw | {"candidatesTokenCount": 7, "totalTokenCount": 16}

    usage = usage_of(
        chunk(words("a")) | {"usageMetadata": raw}, chunk(words("b")) | {"usageMetadata": last}
    )

    assert usage.counts == {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}


def test_output_that_was_never_counted_is_not_told_as_nothing() -> None:
    usage = usage_of(chunk(words("a")) | {"usageMetadata": {"promptTokenCount": 9}})

    assert usage.counts == {"prompt_tokens": 9}


def test_an_answer_of_no_tokens_has_counts_that_add_up() -> None:
    raw = {"promptTokenCount": 52, "totalTokenCount": 52}

    usage = usage_of({"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": raw})

    assert usage.counts == {"prompt_tokens": 52, "completion_tokens": 0, "total_tokens": 52}


# --- failures ---------------------------------------------------------------------------------


def failure_of(*payloads: object) -> Any:
    last = decode(*payloads)[-1]
    assert isinstance(last, Failure)
    return last.error


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "JAILBREAK", 1])
def test_a_blocked_prompt_is_a_content_filter_error(reason: object) -> None:
    error = failure_of({"promptFeedback": {"blockReason": reason}})

    assert isinstance(error, ContentFilterError)
    assert error.code == str(reason)
    assert "the prompt was blocked" in str(error)
    assert not error.is_retryable


def test_a_blocked_prompt_has_its_usage_before_it() -> None:
    payload = {
        "promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "Not this."},
        "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
    }

    usage, failure = decode(payload)

    assert isinstance(usage, Usage)
    assert usage.counts == {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}
    assert isinstance(failure, Failure)
    assert "Not this." in str(failure.error)


def test_an_unspecified_reason_blocks_nothing() -> None:
    assert decode({"promptFeedback": {"blockReason": "BLOCKED_REASON_UNSPECIFIED"}}) == [
        Extras({"promptFeedback": {"blockReason": "BLOCKED_REASON_UNSPECIFIED"}})
    ]


ERROR = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}


@pytest.mark.parametrize("payload", [ERROR, [ERROR], chunk(words("a")) | ERROR])
def test_an_error_inside_the_stream_is_a_failure(payload: object) -> None:
    error = failure_of(payload)

    assert isinstance(error, RateLimitError)
    assert (error.status, error.code, error.provider) == (200, "RESOURCE_EXHAUSTED", "gemini")


@pytest.mark.parametrize("payload", [ERROR, [ERROR]])
def test_a_bare_error_after_the_stream_is_a_failure(payload: object) -> None:
    events = b"data: " + json.dumps(chunk(words("Hi"))).encode() + b"\r\n\r\n"
    body = events + json.dumps(payload, indent=2).encode()

    folded = fold(WIRE, one_by_one(body))

    assert folded.text == "Hi"
    assert isinstance(folded.error, RateLimitError)


def test_an_error_as_the_whole_body_is_a_failure() -> None:
    assert isinstance(fold(WIRE, [json.dumps(ERROR, indent=2).encode()]).error, RateLimitError)
    assert isinstance(fold(WIRE, [json.dumps([ERROR], indent=2).encode()]).error, RateLimitError)


def test_an_error_that_is_only_words_is_read_too() -> None:
    error = failure_of({"error": "context window exceeded"})

    assert "context window exceeded" in str(error)


def test_a_status_in_the_body_counts_before_that_of_the_response() -> None:
    assert isinstance(failure_of({"error": {"code": 400}}), InvalidRequestError)


# --- the framing ------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"\r\n", b" \n\n"])
def test_the_first_byte_tells_an_array_from_events(before: bytes) -> None:
    framing, other = WIRE.framing(99), WIRE.framing(99)

    assert frames_of(framing, one_by_one(before + b'[{"a":1},\r\n{}]')) == [
        Frame(b'{"a":1}'),
        Frame(b"{}"),
    ]
    assert frames_of(other, one_by_one(before + b"data: {}\r\n\r\ndata: 1\r\n\r\n")) == [
        Frame(b"{}"),
        Frame(b"1"),
    ]


def test_an_empty_body_has_no_frames() -> None:
    assert frames_of(WIRE.framing(99), [b"", b"\r\n"]) == []


@pytest.mark.parametrize("body", [b"data: 123456", b"[123456"])
def test_both_framings_have_the_limit(body: bytes) -> None:
    with pytest.raises(FrameTooLargeError):
        frames_of(WIRE.framing(5), [body])


# --- what is not the format -------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"DONE?", b"<html>", b"1", b'"a"', b"[1]", b"{", b"[" * 100_000])
def test_a_frame_that_is_no_json_object_is_a_protocol_error(data: bytes) -> None:
    decoder = WIRE.decoder("gemini")

    with pytest.raises(ProtocolError, match=r"gemini: expected .{0,200}\Z"):
        decoder.decode(Frame(data))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["candidates", "content", "parts", "text", "thought", "functionCall", "name", "args",
             "partialArgs", "jsonPath", "stringValue", "willContinue", "index", "finishReason",
             "usageMetadata", "promptTokenCount", "promptFeedback", "blockReason", "error",
             "message", "status", "code", "details", "thoughtSignature"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=25,
)  # fmt: skip


@given(st.lists(JSON, max_size=4))
def test_whatever_json_comes_nothing_but_a_protocol_error_is_raised(payloads: list[Any]) -> None:
    decoder = WIRE.decoder("gemini")

    for payload in payloads:
        with contextlib.suppress(ProtocolError):
            decoder.decode(frame(payload))
    decoder.decode_eof()


def test_usage_needs_no_option() -> None:
    error = InvalidRequestError("stream_options")

    assert WIRE.without_usage_option(ChatRequest("m", ()), error) is None


def test_an_answer_that_was_cut_cannot_be_taken_up() -> None:
    endpoint, decoder = Endpoint("gemini", "https://x", "key"), WIRE.decoder("gemini")

    assert WIRE.resume(ChatRequest("m", ()), endpoint, "Hal", decoder) is None


# --- the names as Python writes them --------------------------------------------------------------


def test_names_with_underscores_are_the_same_names() -> None:
    image = {"inline_data": {"mime_type": "image/png", "data": "aW1n"}}
    call = {"function_call": {"name": "f", "args": {"finish_reason": 1}}}
    seal = {"thought_signature": "c2ln"}
    found = decode(
        chunk(
            words("Hm", thought=True), words("Hi"), call | seal, image, finish_reason="MAX_TOKENS"
        )
        | {
            "response_id": "r",
            "model_version": "m",
            "usage_metadata": {"prompt_token_count": 3, "candidates_token_count": 4},
        }
    )

    assert [each for each in found if not isinstance(each, Extras)] == [
        Identity("r", "m"),
        Reasoning("Hm"),
        "Hi",
        ToolCallPiece(
            0, None, "f", '{"finish_reason": 1}', is_whole=True, extra={"thoughtSignature": "c2ln"}
        ),
        File("image/png", data="aW1n", extra={"mimeType": "image/png"}),
        Finish("length", "MAX_TOKENS"),
        Usage(
            {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            {"promptTokenCount": 3, "candidatesTokenCount": 4},
        ),
    ]


def test_a_file_whose_kind_is_not_told_is_given_all_the_same() -> None:
    found = decode(chunk({"inlineData": {"data": "aW1n"}}))

    assert [each.media_type for each in found if isinstance(each, File)] == [""]


def test_a_blocked_prompt_with_underscores_is_one() -> None:
    (failure,) = decode({"prompt_feedback": {"block_reason": "SAFETY"}})

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ContentFilterError)


def test_names_that_nobody_knows_stay_as_they_are() -> None:
    deep: Any = 1
    for _ in range(400):
        deep = {"a_b": deep}

    assert decode({"gateway_cost": 1, "finish_reason": 2}) == [
        Extras({"gateway_cost": 1, "finishReason": 2})
    ]
    assert decode({"deep_down": deep}) == [Extras({"deep_down": deep})]


def test_names_that_are_nested_without_end_stay_as_they_are() -> None:
    deep: JSONObject = {}
    place = deep
    for _ in range(5000):
        place["finish_reason"] = place = {}

    assert in_one_spelling(deep) is deep
