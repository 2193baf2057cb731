"""What text transformers redact is nowhere, whichever field of a wire format it comes in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError, ProviderError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import (
    CoalesceTransformer,
    EventTransformer,
    RedactTransformer,
)
from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from support.corpus import corpus_folder
from support.every_format import BINARY
from support.planted import (
    HALVES,
    PROVIDERS,
    SECRET,
    Body,
    Field,
    Playing,
    body_of,
    chunks_of,
    everything_in,
    letters,
    packed,
    read,
    recorded_bodies,
    smallest_with_each,
)
from support.rich_bodies import ERRORS, RICH
from support.rich_events import header_errors

WIRES = list(PROVIDERS)
LINES = BINARY | {"ollama"}


def by_hand(value: Any) -> Any:
    """As somebody writes it who looks at the strings of a delta, and no deeper."""
    if isinstance(value, str):
        return value.replace(SECRET, "*")
    return {key: by_hand(one) if isinstance(one, str) else one for key, one in value.items()}


class ByHand(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamDeltaEvent):
            event.delta = by_hand(event.delta)
        return event


class ByHandLater(EventTransformer):
    """Waits for a service, and keeps something of its own."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def transform(self, event: StreamEvent) -> StreamEvent:
        self.calls.append(1)
        await asyncio.sleep(0)
        return ByHand().transform(event)


class Plain:
    """Only what the protocol asks for."""

    def transform(self, event: StreamEvent) -> StreamEvent:
        return ByHand().transform(event)

    def for_stream(self) -> Plain:
        return Plain()


def found_in(text: str) -> Iterator[tuple[int, int]]:
    at = text.find(SECRET)
    while at >= 0:
        yield at, at + len(SECRET)
        at = text.find(SECRET, at + 1)


REDACT = RedactTransformer(SECRET, "*")
TRANSFORMERS: Mapping[str, list[Transformer]] = {
    "redact": [REDACT],
    "a function": [RedactTransformer(found_in, "*", max_length=16)],
    "by hand": [ByHand()],
    "by hand, later": [ByHandLater()],
    "plain": [Plain()],
    "behind another": [CoalesceTransformer("word"), REDACT],
}
# In every wire format one that is shipped and one that is not; the others in one format.
IN_ALL = ("redact", "by hand, later")
everywhere = pytest.mark.parametrize(
    ("wire", "name"),
    [(wire, name) for wire in WIRES for name in TRANSFORMERS if name in IN_ALL or wire == WIRES[0]],
)


def options(stage: list[Transformer], **more: Any) -> StreamingOptions:
    return StreamingOptions(text_transformers=stage, **more)


async def leaks(
    wire: str, bodies: Mapping[Field, Body], stage: list[Transformer], size: int | None = None
) -> list[Field]:
    """The fields in which the secret comes through."""
    found = []
    for field, body in bodies.items():
        data = body.planted(field, lambda _: f"in {SECRET}")
        chunks = [data] if size is None else chunks_of(data, size)
        done = await read(Playing(chunks), PROVIDERS[wire], options(stage, max_retries=0))
        if SECRET in done.seen:
            found.append(field)
    return found


@everywhere
async def test_what_is_redacted_is_in_no_field(
    wire: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    assert await leaks(wire, smallest_with_each([RICH[wire]]), TRANSFORMERS[name]) == []
    assert SECRET not in caplog.text


@pytest.mark.parametrize("size", [5, 64])
@pytest.mark.parametrize("wire", WIRES)
async def test_nor_however_the_network_cuts_it(wire: str, size: int) -> None:
    assert await leaks(wire, smallest_with_each([RICH[wire]]), [REDACT], size) == []


async def halves_shown(wire: str, bodies: Mapping[Field, Body]) -> list[Field]:
    """The fields in which the halves of the secret, in one value after another, can be joined."""
    found = []
    for field, body in bodies.items():
        data = body.planted(field, lambda n: HALVES[n % 2])
        done = await read(Playing([data]), PROVIDERS[wire], options([REDACT], max_retries=0))
        response = done.response
        calls = [*response.tool_calls, *response.incomplete_tool_calls]
        said = [response.get_text(), response.reasoning, response.refusal, response.commentary]
        # Two strings in a list of a call's arguments are two; the text of the arguments is one.
        given = [str(call["arguments"]) for call in calls]
        beside = [event.metadata for event in done.events]
        beside += [_without_words(event) for event in done.events]
        texts = [*said, *map(everything_in, [*beside, response.error])]
        if any(SECRET in text for text in given) or any(SECRET in letters(text) for text in texts):
            found.append(field)
    return found


def _without_words(event: StreamEvent) -> Any:
    delta = getattr(event, "delta", None)
    words = ("text", "arguments", "type")
    return {k: v for k, v in delta.items() if k not in words} if isinstance(delta, dict) else None


@pytest.mark.parametrize("wire", WIRES)
async def test_nor_in_the_pieces_in_which_it_comes(wire: str) -> None:
    assert await halves_shown(wire, smallest_with_each([RICH[wire]])) == []


# --- errors -----------------------------------------------------------------------------------


EXCEPTION = string_headers(exception_type="modelStreamErrorException", message_type="exception")
CHUNK = string_headers(event_type="chunk", message_type="event")
DELTA = string_headers(event_type="contentBlockDelta", message_type="event")


def frame(wire: str, value: Any) -> bytes:
    """An error inside a stream."""
    text = json.dumps(value).encode()
    if wire in BINARY and value.get("type") != "error":
        return event_message(text, EXCEPTION)
    return frame_of(wire, text)


def frame_of(wire: str, text: bytes) -> bytes:
    """A frame with this payload."""
    if wire == "bedrock":
        return event_message(text, DELTA)
    if wire == "bedrock-anthropic":
        return event_message(packed(text), CHUNK)
    return text + b"\n" if wire == "ollama" else b"data: " + text + b"\n\n"


def planted_errors(wire: str) -> Iterator[tuple[Field, Any]]:
    for error in ERRORS[wire]:
        body = body_of(json.dumps(error).encode())
        for field in sorted(set(body.fields())):
            yield field, json.loads(body.planted(field, lambda _: f'said "{SECRET}" é'))


def beginning(wire: str) -> bytes:
    """The first frames of an answer."""
    return body_of(RICH[wire]).beginning(4 if wire in LINES else 12)


@everywhere
async def test_what_is_redacted_is_in_no_error_inside_the_stream(wire: str, name: str) -> None:
    for before in (b"", beginning(wire)):
        for field, error in planted_errors(wire):
            playing = Playing([before + frame(wire, error)])
            done = await read(playing, PROVIDERS[wire], options(TRANSFORMERS[name], max_retries=0))

            assert SECRET not in done.seen, field


@pytest.mark.parametrize("name", IN_ALL)
@pytest.mark.parametrize("wire", sorted(BINARY))
async def test_what_is_redacted_is_in_no_error_that_stands_in_headers(wire: str, name: str) -> None:
    for error in header_errors(SECRET):
        playing = Playing([beginning(wire) + error])
        done = await read(playing, PROVIDERS[wire], options(TRANSFORMERS[name], max_retries=0))

        assert isinstance(done.response.error, ProviderError)
        assert SECRET not in done.seen


@everywhere
@pytest.mark.parametrize("status", [200, 429, 500])
async def test_what_is_redacted_is_in_no_error_by_its_status(
    wire: str, status: int, name: str
) -> None:
    for field, error in planted_errors(wire):
        body = json.dumps(error, indent=1).encode()
        playing = Playing([body], status=status, content_type="application/json")
        done = await read(playing, PROVIDERS[wire], options(TRANSFORMERS[name], max_retries=0))

        assert SECRET not in done.seen, field
        assert status == 200 or isinstance(done.response.error, ProviderError)


NO_STREAMS = {
    "html": f"<html><title>{SECRET}</title><body>{SECRET}</body></html>",
    "prose": f"The server said: {SECRET}",
    "long prose": "x" * 112 + SECRET + "y" * 500,
    "very long prose": "x" * 1995 + SECRET + "y" * 500,
    "a whole answer": json.dumps({"choices": [{"message": {"content": f"it is {SECRET}"}}]}),
    "tokens": json.dumps({"choices": [{"logprobs": {"content": [{"token": h} for h in HALVES]}}]}),
    "escaped": '{"answer": "' + "".join(f"\\u{ord(c):04x}" for c in SECRET) + '"}',
    "JSON in JSON": json.dumps({"a": json.dumps({"b": "\\u007a" + SECRET[1:]})}),
}


@everywhere
@pytest.mark.parametrize("body", NO_STREAMS.values(), ids=NO_STREAMS.keys())
async def test_what_is_redacted_is_not_quoted_from_what_is_no_stream(
    wire: str, body: str, name: str
) -> None:
    for kind in ("text/event-stream", "application/json", "text/html"):
        for status in (200, 500):
            playing = Playing([body.encode()], status=status, content_type=kind)
            done = await read(playing, PROVIDERS[wire], options(TRANSFORMERS[name], max_retries=0))
            error = str(done.response.error)

            assert done.response.error is not None
            assert SECRET not in done.seen
            # A success is no error of the provider's: nothing of it is quoted at all.
            assert HALVES[0] not in (letters(done.seen) if status == 200 else "")
            assert HALVES[0] not in error or name != "redact" or "token" in error


@everywhere
async def test_a_broken_frame_is_not_quoted(wire: str, name: str) -> None:
    words = next(body for field, body in smallest_with_each([RICH[wire]]).items())
    for field in set(words.fields()):
        playing = Playing([words.broken(field, lambda _: f"in {SECRET}")])
        done = await read(playing, PROVIDERS[wire], options(TRANSFORMERS[name], max_retries=0))

        assert SECRET not in done.seen, field


@pytest.mark.parametrize("wire", WIRES)
async def test_half_a_secret_is_not_quoted_from_a_broken_frame(wire: str) -> None:
    """The other half may have come before, and be in the text."""
    end = b"" if wire in BINARY else b"\n"
    data = beginning(wire) + end + frame_of(wire, b'{"broken": "' + HALVES[1].encode())
    done = await read(Playing([data]), PROVIDERS[wire], options([REDACT], max_retries=0))

    assert isinstance(done.response.error, ProtocolError)
    assert HALVES[1] not in done.seen
    assert "expected JSON, found" in str(done.response.error)


async def test_without_text_transformers_a_broken_frame_is_quoted_as_ever() -> None:
    done = await read(
        Playing([b'data: {"broken": \n\n']), "openai", StreamingOptions(max_retries=0)
    )

    assert '{"broken":' in str(done.response.error)


@pytest.mark.parametrize("stage", TRANSFORMERS.values(), ids=TRANSFORMERS.keys())
async def test_what_is_redacted_is_not_told_of_an_attempt_that_failed(
    stage: list[Transformer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    failed = frame("openai-chat", {"error": {"message": SECRET, "type": "server_error"}})
    playing = Playing([failed], [RICH["openai-chat"]])
    done = await read(playing, "openai", options(stage, max_retries=1))

    assert done.response.ok
    assert len(done.response.metadata["retries"]) == 1
    assert SECRET not in done.seen + caplog.text


async def test_an_error_still_says_what_the_provider_said() -> None:
    said = {"error": {"message": f"no room for {SECRET} here", "type": "server_error"}}
    done = await read(
        Playing([frame("openai-chat", said)]), "openai", options([REDACT], max_retries=0)
    )
    error = done.response.error

    assert isinstance(error, ProviderError)
    assert "no room for * here" in str(error)
    assert error.body is not None
    assert "no room for * here" in error.body
    assert error.__context__ is None
    assert error.partial_response is done.response


# --- the recorded streams ---------------------------------------------------------------------

with_recordings = pytest.mark.skipif(
    corpus_folder() is None, reason="the recorded streams are not here: set STEER_CORPUS to run"
)


@with_recordings
@pytest.mark.parametrize("name", ["redact", "by hand"])
@pytest.mark.parametrize("wire", WIRES)
async def test_what_is_redacted_is_in_no_field_of_the_recorded_streams(
    wire: str, name: str
) -> None:
    assert await leaks(wire, recorded_bodies(wire), TRANSFORMERS[name]) == []


@with_recordings
@pytest.mark.parametrize("wire", WIRES)
async def test_nor_in_the_pieces_of_the_recorded_streams(wire: str) -> None:
    assert await halves_shown(wire, recorded_bodies(wire)) == []
