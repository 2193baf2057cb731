"""A body cut at every byte: one terminal event, and `complete` only where the table says so."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import TerminalMarkers, WireFormat
from steer_llm_sdk.providers.bedrock.decoder import Converse
from steer_llm_sdk.providers.bedrock.invoke import InvokeAnthropic
from steer_llm_sdk.providers.cohere.decoder import Cohere
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.interactions.decoder import Interactions
from steer_llm_sdk.providers.ollama.decoder import Ollama
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_chat.mistral import Mistral
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from steer_llm_sdk.testing import RecordedRequest, Script, ScriptedToolCall, check_stream
from steer_llm_sdk.testing.formats import FORMATS
from support.pure_road import Travelled, travel

TABLE = Path(__file__).parents[2] / "docs" / "terminal-markers.md"

WIRES: Mapping[str, type[WireFormat]] = {
    "openai-chat": OpenAIChat,
    "mistral": Mistral,
    "openai-responses": OpenAIResponses,
    "anthropic": AnthropicMessages,
    "gemini": Gemini,
    "ollama": Ollama,
    "cohere": Cohere,
    "gemini-interactions": Interactions,
    "bedrock": Converse,
    "bedrock-anthropic": InvokeAnthropic,
}

# Where a `[DONE]` stands behind the marker.
WITH_DONE = frozenset({"cohere", "gemini-interactions"})

# A script's spelling, where it is not called as the wire format is.
SPELLED = {"openai-chat": "openai", "mistral": "openai"}

SCRIPT = Script(
    deltas=["Grüße, ", "🌍"],
    reasoning=["Hm"],
    tool_calls=[ScriptedToolCall("look_up", ['{"place":"', 'Köln"}'], "call_7")],
)

FINISHES = {
    "openai-chat": "finish_reason",
    "mistral": "finish_reason",
    "gemini": "finishReason",
    "bedrock": "stopReason",
}

ARRAY = (
    b'[{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}]}\r\n,\r\n'
    b'{"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}]}\r\n]\r\n'
)


def pieces_of(name: str, script: Script = SCRIPT) -> list[bytes]:
    asked = {"model": "m", "stream_options": {"include_usage": True}}
    request = RecordedRequest("POST", "/", json=asked)
    pieces = [piece.data for piece in FORMATS[SPELLED.get(name, name)].pieces(script, request)]
    return pieces[:-1] if name in WITH_DONE else pieces  # without the `[DONE]` behind its marker


@functools.cache
def scripted(name: str) -> tuple[bytes, ...]:
    return tuple(pieces_of(name))


def body_of(name: str) -> bytes:
    return b"".join(scripted(name))


def documented() -> dict[str, TerminalMarkers]:
    """The first table of the documentation."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    head = rows.index(["wire format", "end marker", rows[0][2], "providers"])
    table = rows[head + 2 : head + 2 + len(WIRES)]
    return {row[0]: TerminalMarkers(row[1] != "none", row[2] == "yes") for row in table}


def test_the_documented_table_is_the_one_in_the_code() -> None:
    assert documented() == {name: wire.markers for name, wire in WIRES.items()}


@dataclass(frozen=True)
class Ended:
    """How a body that was cut has ended, and what was read of it."""

    is_complete: bool
    outcome: str
    text: str
    calls: tuple[str, ...]

    @classmethod
    def of(cls, travelled: Travelled) -> Ended:
        """What is kept of it: of thousands, all their events would be much to hold."""
        response = travelled.response
        calls = tuple(call["arguments"] for call in response.tool_calls)
        summary = check_stream(travelled.events)
        return cls(summary.is_complete, travelled.outcome, response.get_text(), calls)


@functools.cache
def cut_everywhere(name: str, *, has_clean_end: bool) -> list[Ended]:
    """What comes of the first byte of the body, of the first two, and so on to all."""
    body, wire = body_of(name), WIRES[name]()
    return [
        Ended.of(travel(wire, [body[:at]], has_clean_end=has_clean_end))
        for at in range(len(body) + 1)
    ]


def is_whole(body: bytes, at: int) -> bool:
    """Whether everything up to the blank space at the end is there."""
    return body[:at].rstrip() == body.rstrip()


def completes_by_finish(name: str, at: int) -> bool:
    """Whether a clean end at this place comes behind the finish reason, and not inside a frame."""
    begin, has_finished = 0, False
    for piece in scripted(name):
        cut = piece[: max(0, at - begin)].rstrip()
        is_frame = cut == piece.rstrip()
        if not is_frame:
            if name == "bedrock":
                return has_finished and not cut
            # A line is read when there is something behind its colon.
            return has_finished and (cut == b"data:" or not cut.startswith(b"data:"))
        has_finished = has_finished or (FINISHES[name] + '":"').encode() in piece
        begin += len(piece)
    return has_finished


def expected(name: str, *, has_clean_end: bool) -> Callable[[int], bool]:
    """By the table: from which offset on a body is complete."""
    body, markers = body_of(name), WIRES[name].markers

    def is_complete(at: int) -> bool:
        if markers.end and is_whole(body, at):
            return True
        return markers.finish and has_clean_end and completes_by_finish(name, at)

    return is_complete


@pytest.mark.parametrize("has_clean_end", [True, False], ids=["clean", "broken"])
@pytest.mark.parametrize("name", WIRES)
def test_a_body_cut_anywhere_is_complete_only_where_the_table_says_so(
    name: str, has_clean_end: bool
) -> None:
    body, is_complete = body_of(name), expected(name, has_clean_end=has_clean_end)

    for at, ended in enumerate(cut_everywhere(name, has_clean_end=has_clean_end)):
        assert ended.is_complete == is_complete(at), (at, body[:at][-60:], ended.outcome)
        assert ended.is_complete or ended.outcome == "IncompleteStreamError"


@pytest.mark.parametrize("name", WIRES)
def test_a_cut_body_gives_a_beginning_of_the_text_and_no_call_before_it_is_whole(name: str) -> None:
    every = cut_everywhere(name, has_clean_end=True)

    texts = [ended.text for ended in every]
    assert all(SCRIPT.text.startswith(text) for text in texts)
    assert sorted(texts, key=len) == texts
    assert texts[-1] == SCRIPT.text
    calls = [call for ended in every for call in ended.calls]
    assert {json.loads(call)["place"] for call in calls} == {"Köln"}


@pytest.mark.parametrize("name", WIRES)
def test_a_whole_body_is_complete_however_it_is_cut(name: str) -> None:
    body = body_of(name)

    travelled = travel(WIRES[name](), [body[at : at + 1] for at in range(len(body))])
    assert check_stream(travelled.events).is_complete
    assert travelled.response.tool_calls[0]["name"] == "look_up"
    assert travelled.response.finish_reason == "tool_calls"


@pytest.mark.parametrize("name", WIRES)
def test_an_end_marker_counts_where_the_connection_breaks_after_it(name: str) -> None:
    travelled = travel(WIRES[name](), [body_of(name)], has_clean_end=False)

    assert (travelled.outcome == "complete") == WIRES[name].markers.end


@pytest.mark.parametrize("name", ["openai-responses", "anthropic", "ollama"])
def test_a_finish_reason_alone_does_not_complete_a_format_with_a_sure_marker(name: str) -> None:
    body = b"".join(pieces_of(name, Script(has_end=False)))

    assert travel(WIRES[name](), [body]).outcome == "IncompleteStreamError"


@pytest.mark.parametrize("name", ["openai-chat", "mistral"])
def test_a_server_that_sends_no_done_is_complete_by_its_finish_reason(name: str) -> None:
    body = b"".join(pieces_of(name, Script(has_end=False)))

    assert travel(WIRES[name](), [body]).outcome == "complete"
    assert travel(WIRES[name](), [body], has_clean_end=False).outcome == "IncompleteStreamError"


@pytest.mark.parametrize("name", ["openai-chat", "mistral"])
def test_a_server_that_sends_no_finish_reason_is_complete_by_its_done(name: str) -> None:
    body = b"".join(pieces_of(name, Script(finish=None)))

    travelled = travel(WIRES[name](), [body], has_clean_end=False)
    assert travelled.outcome == "complete"
    assert travelled.response.finish_reason == "other"


def test_gemini_without_a_finish_reason_is_incomplete() -> None:
    body = b"".join(pieces_of("gemini", Script(finish=None)))

    assert travel(Gemini(), [body]).outcome == "IncompleteStreamError"


def test_an_array_of_gemini_is_complete_when_it_is_closed() -> None:
    for at in range(len(ARRAY) + 1):
        travelled = travel(Gemini(), [ARRAY[:at]])
        check_stream(travelled.events)
        assert (travelled.outcome == "complete") == is_whole(ARRAY, at), ARRAY[:at]
