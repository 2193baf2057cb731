"""Answers that are spoken: https://platform.openai.com/docs/guides/audio."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.parts import FilePart
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import Endpoint, WireFormat
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.testing.formats.base import sse
from support.pure_road import travel

WIRE = OpenAIChat()


def packed(sound: bytes) -> str:
    return base64.b64encode(sound).decode()


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return sse({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def spoken(**audio: Any) -> bytes:
    return chunk({"audio": {"id": "audio_1", **audio}})


# Pieces of base64 are each of their own: these cannot be joined as texts.
BODY = [
    spoken(transcript="Hel"),
    spoken(data=packed(b"a")),
    spoken(transcript="lo", data=packed(b"bc")),
    spoken(expires_at=123),
    chunk({}, "stop"),
]
END = b"data: [DONE]\n\n"


def answer(*body: bytes) -> StreamingResponse:
    return travel(WIRE, body).response


def sent_back(response: StreamingResponse, wire: WireFormat) -> dict[str, Any]:
    """The answer as the next request has it."""
    messages = read_messages([{"role": "user", "content": "Hi"}, response.to_message()])
    request = wire.request(ChatRequest("m", messages), Endpoint("x", "http://127.0.0.1"))
    found: dict[str, Any] = json.loads(request.body)["messages"][1]
    return found


def test_what_is_said_is_the_text_and_the_sound_is_a_file() -> None:
    travelled = travel(WIRE, [*BODY, END])
    response = travelled.response

    assert response.text == "Hello"
    assert [(file.media_type, file.data) for file in response.files] == [
        ("audio/pcm", packed(b"abc"))
    ]
    deltas = [each for each in travelled.events if isinstance(each, StreamDeltaEvent)]
    assert [each.kind for each in deltas] == ["text", "text", "file"]


def test_the_next_turn_names_the_sound() -> None:
    assert sent_back(answer(*BODY, END), WIRE) == {
        "role": "assistant",
        "content": None,
        "audio": {"id": "audio_1"},
    }


def test_another_format_gets_the_words() -> None:
    assert sent_back(answer(*BODY, END), AnthropicMessages())["content"] == "Hello"


def test_sound_without_an_identifier_goes_back_as_its_words() -> None:
    body = [chunk({"audio": {"data": packed(b"abc"), "transcript": "Hi"}}, "stop"), END]

    assert sent_back(answer(*body), WIRE) == {"role": "assistant", "content": "Hi"}


@pytest.mark.parametrize(
    ("sound", "media_type"), [(b"RIFF....WAVEfmt ", "audio/wav"), (b"ID3\x04", "audio/mpeg")]
)
def test_a_file_of_sound_is_known_by_its_beginning(sound: bytes, media_type: str) -> None:
    message = {"audio": {"id": "a", "data": packed(sound), "transcript": "Hi"}}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    response = answer(sse({"choices": [choice]}))

    assert response.files == [
        FilePart(
            media_type,
            packed(sound),
            provider_data={"wire": "openai-chat", "field": "audio", "audio": {"id": "a"}},
        )
    ]


def test_the_end_alone_makes_it_whole_where_there_is_no_finish_reason() -> None:
    assert len(answer(*BODY[:-1], END).files) == 1


def test_sound_that_was_cut_is_no_file() -> None:
    response = answer(*BODY[:-1])

    assert response.text == "Hello"
    assert response.files == []


@pytest.mark.parametrize("audio", ["AAAA", {"data": "A"}, {"data": 1, "transcript": 2}, None, {}])
def test_what_is_no_sound_says_nothing(audio: Any) -> None:
    response = answer(chunk({"content": "Hi", "audio": audio}), chunk({}, "stop"), END)

    assert response.text == "Hi"
    assert response.files == []
