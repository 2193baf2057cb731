"""What the test kit writes, the library's own decoders read."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import (
    End,
    Failure,
    Finish,
    Fragment,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format
from steer_llm_sdk.testing import RecordedRequest, Script, ScriptedToolCall
from steer_llm_sdk.testing.formats import FORMATS, format_of_path
from steer_llm_sdk.testing.plan import Piece
from steer_llm_sdk.testing.reports import MESSAGE_OF, ErrorKind, make_report
from support import every_format
from support.raw_http import PATHS

WIRES = sorted(PATHS)
WEATHER = ScriptedToolCall("weather", ['{"city":', ' "Paris"}'], id="call_w")

CLASSES: dict[ErrorKind, type[ProviderError]] = {
    "authentication": AuthenticationError,
    "permission": PermissionDeniedError,
    "not_found": NotFoundError,
    "invalid_request": InvalidRequestError,
    "context_length": ContextLengthError,
    "rate_limit": RateLimitError,
    "quota": QuotaExceededError,
    "overloaded": OverloadedError,
    "server": ServerError,
    "content_filter": ContentFilterError,
}


def asked(wire: str) -> RecordedRequest:
    body = {"model": "m", "stream_options": {"include_usage": True}}
    path, _, query = PATHS[wire].partition("?")
    return RecordedRequest("POST", path, query, json=body)


def decoded(wire: str, pieces: Sequence[Piece]) -> list[Fragment]:
    form = wire_format(PROVIDERS[wire])
    framing, decoder = form.framing(1_000_000), form.decoder(wire)
    frames = [frame for piece in pieces for frame in framing.feed(piece.data)]
    frames += framing.feed_eof()
    fragments = [fragment for frame in frames for fragment in decoder.decode(frame)]
    return [*fragments, *decoder.decode_eof()]


def said(wire: str, script: Script) -> list[Fragment]:
    return decoded(wire, FORMATS[wire].pieces(script, asked(wire)))


def text_of(fragments: Sequence[Fragment]) -> str:
    texts = (f.text if isinstance(f, Text) else f for f in fragments)
    return "".join(text for text in texts if isinstance(text, str))


def test_every_format_is_written_by_the_kit_and_tried_everywhere() -> None:
    made = {row.name: type(wire_format(row)) for row in PROVIDERS.values()}
    tried = tuple(made[name] for name in every_format.FORMATS)

    assert set(FORMATS) == set(PATHS) == set(every_format.FORMATS)
    # Mistral's and Azure's are OpenAI's, Vertex's are Gemini's and Anthropic's.
    assert all(issubclass(wire, tried) for wire in made.values())


@pytest.mark.parametrize("wire", WIRES)
def test_the_format_is_the_one_that_the_path_asks_for(wire: str) -> None:
    found = format_of_path(asked(wire).path)

    assert found is not None
    assert found.name == wire


@pytest.mark.parametrize("wire", WIRES)
def test_text_and_reasoning_arrive(wire: str) -> None:
    fragments = said(wire, Script(["Hello", " wörld"], reasoning=["Let me", " think."]))

    assert text_of(fragments) == "Hello wörld"
    thoughts = "".join(f.text for f in fragments if isinstance(f, Reasoning))
    assert thoughts == "Let me think."


@pytest.mark.parametrize("wire", WIRES)
def test_a_tool_call_arrives(wire: str) -> None:
    fragments = said(wire, Script([], tool_calls=[WEATHER]))

    pieces = [f for f in fragments if isinstance(f, ToolCallPiece)]
    assert {piece.index for piece in pieces} == {0}
    assert [piece.name for piece in pieces if piece.name] == ["weather"]
    assert "call_w" in {piece.id for piece in pieces}
    assert json.loads("".join(piece.arguments for piece in pieces)) == {"city": "Paris"}


@pytest.mark.parametrize("wire", ["openai", "openai-responses"])
def test_a_refusal_arrives_where_the_format_has_one(wire: str) -> None:
    fragments = said(wire, Script([], refusal=["I", " won't."]))

    assert "".join(f.text for f in fragments if isinstance(f, Refusal)) == "I won't."


@pytest.mark.parametrize("wire", WIRES)
def test_usage_arrives(wire: str) -> None:
    fragments = said(wire, Script(["x"], usage=(20, 9)))

    counts: dict[str, int] = {}
    for usage in (f for f in fragments if isinstance(f, Usage)):
        counts |= usage.counts
    assert (counts["prompt_tokens"], counts["completion_tokens"]) == (20, 9)


@pytest.mark.parametrize("wire", WIRES)
def test_usage_may_be_missing(wire: str) -> None:
    fragments = said(wire, Script(["x"], usage=None))

    assert not any(isinstance(f, Usage) and f.counts for f in fragments)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("reason", ["stop", "length"])
def test_the_finish_reason_arrives(wire: str, reason: str) -> None:
    fragments = said(wire, Script(["x"], finish=reason))

    assert [f.reason for f in fragments if isinstance(f, Finish)] == [reason]


@pytest.mark.parametrize("wire", ["openai", "openai-responses", "anthropic", "ollama"])
def test_the_terminal_marker_is_there_unless_it_is_left_out(wire: str) -> None:
    assert any(isinstance(f, End) for f in said(wire, Script(["x"])))
    assert not any(isinstance(f, End) for f in said(wire, Script(["x"], has_end=False)))


@pytest.mark.parametrize("wire", WIRES)
def test_a_script_counts_its_deltas(wire: str) -> None:
    pieces = FORMATS[wire].pieces(Script(["a", "b"], reasoning=["c"]), asked(wire))

    assert sum(piece.is_delta for piece in pieces) == 3


@pytest.mark.parametrize("wire", WIRES)
def test_a_keep_alive_says_nothing(wire: str) -> None:
    assert decoded(wire, [Piece(FORMATS[wire].keep_alive)] * 3) == []


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("kind", MESSAGE_OF)
def test_an_error_is_read_as_what_it_is_by_its_status_and_body(wire: str, kind: ErrorKind) -> None:
    report = make_report(kind)
    body = json.dumps(FORMATS[wire].error_body(report)).encode()

    error = wire_format(PROVIDERS[wire]).read_error(ErrorAnswer(wire, report.status, {}, body))

    assert type(error) is CLASSES[kind]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("kind", ["overloaded", "rate_limit", "quota", "server"])
def test_an_error_is_read_as_what_it_is_inside_a_stream(wire: str, kind: ErrorKind) -> None:
    found = decoded(wire, FORMATS[wire].error_in_stream(make_report(kind)))

    failure = next(f for f in found if isinstance(f, Failure))
    assert type(failure.error) is CLASSES[kind]


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/v1/chat/completions", {"model": "gpt-4o"}, "gpt-4o"),
        ("/v1beta/models/gemini-x%2F1:streamGenerateContent", {}, "gemini-x/1"),
        ("/api/chat", {}, ""),
        ("/api/chat", None, ""),
    ],
)
def test_the_model_is_read_from_the_body_or_the_path(path: str, body: object, model: str) -> None:
    assert RecordedRequest("POST", path, json=body).model == model


def test_the_same_script_gives_the_same_bytes() -> None:
    one, two = (FORMATS["openai"].pieces(Script(), asked("openai")) for _ in range(2))

    assert one == two


def test_a_string_in_place_of_a_list_of_deltas_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="expected a list of strings"):
        Script("Hello")


def test_openai_finishes_with_tool_calls_where_there_are_some() -> None:
    assert Script(tool_calls=[WEATHER]).finish_reason == "tool_calls"
    assert Script(tool_calls=[WEATHER], finish="length").finish_reason == "length"
