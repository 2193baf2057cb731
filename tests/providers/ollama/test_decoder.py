from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    ProtocolError,
    ServerError,
)
from steer_llm_sdk.models.fragments import (
    End,
    Failure,
    Finish,
    Fragment,
    Identity,
    Reasoning,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import ErrorAnswer, TerminalMarkers
from steer_llm_sdk.providers.ollama.decoder import Ollama
from steer_llm_sdk.wire.frame import Frame
from support.corpus import fold
from support.pure_road import travel

WIRE = Ollama()
OPENING = {"model": "qwen3:4b", "message": {"role": "assistant", "content": ""}, "done": False}


def frame(line: object) -> Frame:
    return Frame(json.dumps(line).encode())


def decode(*lines: object) -> list[Fragment]:
    """The fragments after an opening line."""
    decoder = WIRE.decoder("ollama")
    assert decoder.decode(frame(OPENING)) == [Identity(model="qwen3:4b")]
    return [fragment for line in lines for fragment in decoder.decode(frame(line))]


def said(**message: Any) -> dict[str, Any]:
    return OPENING | {"message": {"role": "assistant", "content": "", **message}}


def done(**fields: Any) -> dict[str, Any]:
    return OPENING | {"done": True, **fields}


# --- words ------------------------------------------------------------------------------------


def test_text_is_given_as_it_stands() -> None:
    assert decode(said(content="<think>"), said(content="\n")) == ["<think>", "\n"]


def test_an_ordinary_line_of_text_gives_one_bare_string() -> None:
    decoder = WIRE.decoder("ollama")
    decoder.decode(frame(OPENING))

    assert decoder.decode(frame(said(content="Hi"))) == ("Hi",)


def test_the_first_line_says_who_answers_and_may_say_more() -> None:
    decoder = WIRE.decoder("ollama")

    assert decoder.decode(frame(said(content="Hi"))) == [Identity(model="qwen3:4b"), "Hi"]


def test_a_server_that_never_says_who_it_is_is_understood() -> None:
    decoder = WIRE.decoder("ollama")
    line = {"message": {"content": "Hi"}}

    assert [*decoder.decode(frame(line)), *decoder.decode(frame(line))] == ["Hi", "Hi"]


def test_thinking_is_reasoning_and_comes_before_the_text() -> None:
    assert decode(
        said(thinking="Hm"), said(thinking="m", content="Hi"), said(thinking="", content="!")
    ) == [Reasoning("Hm"), Reasoning("m"), "Hi", "!"]


def test_log_probabilities_ride_with_their_text() -> None:
    logprobs = [{"token": "Hi", "logprob": -0.1}]

    assert decode(said(content="Hi") | {"logprobs": logprobs}) == [
        Text("Hi", {"logprobs": logprobs})
    ]


def test_the_generate_endpoints_words_are_understood() -> None:
    lines = [
        {"model": "m", "response": "Hi", "thinking": "Hm", "done": False},
        {"model": "m", "response": "", "done": True, "done_reason": "stop", "context": [1]},
    ]
    body = b"".join(frame(line).data + b"\n" for line in lines)

    folded = fold(WIRE, [body])

    assert (folded.text, folded.reasoning, folded.ended) == ("Hi", "Hm", True)


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    decoder = WIRE.decoder("ollama")

    fragments = decoder.decode(Frame(frame(said(content="a?b")).data.replace(b"?", b"\xff")))

    assert fragments[-1] == "a\ufffdb"


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"message": None},
        {"message": {"content": None, "thinking": 1}},
        said(tool_calls=[None, {}, {"function": None}, {"function": {"name": ""}}]),
        said(tool_calls={"function": {"name": "f"}}),
        {"error": None, "done": "yes"},
    ],
)
def test_what_says_nothing_passes_in_silence(line: object) -> None:
    assert decode(line) == []


# --- calls ------------------------------------------------------------------------------------


def called(name: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def test_a_call_is_whole_with_its_arguments_as_json_text() -> None:
    assert decode(said(content="So:", tool_calls=[called("add", {"b": 1, "a": "ü"}, id="c1")])) == [
        "So:",
        ToolCallPiece(0, "c1", "add", '{"a": "ü", "b": 1}', is_whole=True),
    ]


def test_calls_are_numbered_as_they_come_whatever_their_indexes_say() -> None:
    first, second, third = called("f"), called("g"), called("h", '{"a": 1}')
    for call in (first, second, third):
        call["function"]["index"] = 0

    assert decode(said(tool_calls=[first, second]), said(tool_calls=[third])) == [
        ToolCallPiece(0, None, "f", "{}", is_whole=True),
        ToolCallPiece(1, None, "g", "{}", is_whole=True),
        ToolCallPiece(2, None, "h", '{"a": 1}', is_whole=True),
    ]


# --- the end ----------------------------------------------------------------------------------

FIGURES = {
    "total_duration": 5257352738,
    "load_duration": 1696622425,
    "prompt_eval_count": 166,
    "prompt_eval_duration": 124084719,
    "eval_count": 266,
    "eval_duration": 3433220895,
}


def test_the_last_line_has_the_figures_the_reason_and_the_end() -> None:
    assert decode(done(done_reason="stop", **FIGURES)) == [
        Usage({"prompt_tokens": 166, "completion_tokens": 266, "total_tokens": 432}, FIGURES),
        Finish("stop", "stop"),
        End(),
    ]


def test_a_prompt_from_the_cache_is_not_counted() -> None:
    assert decode(done(eval_count=3, prompt_eval_count=None))[0] == (
        Usage({"completion_tokens": 3}, {"eval_count": 3})
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", "stop"), ("length", "length"), ("load", "other"), ("unload", "other")],
)
def test_a_finish_reason_is_told_in_both_words(word: str, reason: str) -> None:
    finish, end = decode(done(done_reason=word))

    assert isinstance(finish, Finish)
    assert (finish.reason, finish.provider_reason) == (reason, word)
    assert end == End()


def test_a_stop_after_calls_is_for_the_calls() -> None:
    calls = said(tool_calls=[called("f")])

    assert decode(calls, done(done_reason="stop"))[1] == Finish("tool_calls", "stop")
    assert decode(calls, done(done_reason="length"))[1] == Finish("length", "length")


def test_no_reason_is_invented() -> None:
    assert decode(done()) == [End()]


def test_a_last_line_may_have_words() -> None:
    assert decode(said(content="Hi") | {"done": True}) == ["Hi", End()]


def test_only_the_servers_own_marker_completes_a_stream() -> None:
    assert WIRE.markers == TerminalMarkers(end=True, finish=False)
    assert WIRE.decoder("ollama").decode_eof() == ()


# --- failures ---------------------------------------------------------------------------------


def failure_of(line: object) -> Any:
    (failure,) = decode(line)
    assert isinstance(failure, Failure)
    return failure.error


@pytest.mark.parametrize(
    "error", ["the runner has terminated", {"message": "the runner has terminated"}]
)
def test_an_error_on_a_line_of_its_own_is_a_failure_of_the_server(error: object) -> None:
    found = failure_of({"error": error})

    assert isinstance(found, ServerError)
    assert (found.status, found.provider) == (200, "ollama")
    assert "the runner has terminated" in str(found)
    assert found.is_retryable


def test_the_words_of_an_error_may_say_what_it_is() -> None:
    assert isinstance(failure_of({"error": "exceeds the context length"}), ContextLengthError)


def test_an_error_without_words_is_a_failure_all_the_same() -> None:
    assert "no message" in str(failure_of({"error": 1}))


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (404, b'{"error":"model \'x\' not found"}', NotFoundError, "model 'x' not found"),
        (400, b'{"error":"x does not support tools"}', InvalidRequestError, "support tools"),
        (401, b'{"error":{"message":"unauthorized"}}', AuthenticationError, "unauthorized"),
        (500, b"", ServerError, "an empty body"),
        (502, b"<html><title>Bad Gateway</title></html>", ServerError, "Bad Gateway"),
        (404, b"404 page not found", NotFoundError, "404 page not found"),
        (500, b"[1]", ServerError, "[1]"),
    ],
)
def test_a_response_that_is_no_stream_is_read(
    status: int, body: bytes, expected: type[Exception], words: str
) -> None:
    found = WIRE.read_error(ErrorAnswer("ollama", status, {"x-request-id": "r1"}, body))

    assert type(found) is expected
    assert words in str(found)
    assert (found.status, found.request_id) == (status, "r1")


# --- what is not the format -------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"data {}", b"<html>", b"1", b"[1]", b"{", b"[" * 100_000])
def test_a_line_that_is_no_json_object_is_a_protocol_error(data: bytes) -> None:
    decoder = WIRE.decoder("ollama")
    decoder.decode(frame(OPENING))

    with pytest.raises(ProtocolError, match=r"ollama: expected .{0,200}\Z"):
        decoder.decode(Frame(data))


def test_arguments_nested_without_end_are_a_protocol_error() -> None:
    text = '{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":'

    for depth in (100, 900, 980, 100_000):
        with contextlib.suppress(ProtocolError):
            body = text + "[" * depth + "]" * depth + "}}}]}}"
            WIRE.decoder("ollama").decode(Frame(body.encode()))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["message", "content", "thinking", "tool_calls", "function", "name", "arguments",
             "done", "done_reason", "eval_count", "error", "model", "response", "logprobs"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(JSON, max_size=4))
def test_whatever_json_comes_nothing_but_a_protocol_error_is_raised(lines: list[Any]) -> None:
    decoder = WIRE.decoder("ollama")

    for line in lines:
        with contextlib.suppress(ProtocolError):
            decoder.decode(frame(line))


def test_usage_needs_no_option() -> None:
    error = InvalidRequestError("stream_options")

    assert WIRE.without_usage_option(ChatRequest("m", ()), error) is None


@pytest.mark.parametrize("word", ["error", "network_error", "server_error", "timeout"])
def test_a_reason_that_is_a_failure_ends_no_answer(word: str) -> None:
    failure = decode(said(content="Hi"), done(done_reason=word, eval_count=1))[-1]

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ServerError)
    assert word in str(failure.error)


# --- what is no answer --------------------------------------------------------------------------


def test_a_page_that_stands_in_the_place_of_an_answer_is_read_to_its_end() -> None:
    body = b"<!DOCTYPE html>\n<title>502</title>\n</html>\n"

    assert travel(WIRE, [body]).outcome == "IncompleteStreamError"


@pytest.mark.parametrize("line", [b'{"message": ', b"data: {no", b"oh\ndata: {no"])
def test_a_first_line_that_is_meant_to_be_json_is_a_protocol_error(line: bytes) -> None:
    assert travel(WIRE, [line + b"\n"]).outcome == "ProtocolError"


def test_a_line_behind_one_that_is_none_makes_it_no_better() -> None:
    decoder = WIRE.decoder("ollama")

    assert not decoder.decode(Frame(b"upstream connect error"))
    with pytest.raises(ProtocolError, match="upstream connect error"):
        decoder.decode(frame(OPENING))
