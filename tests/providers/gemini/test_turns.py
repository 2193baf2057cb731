"""The parts of a candidate as parts of the answer, and earlier answers spelled as a turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.turns import assistant_message
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.gemini.grounding import Grounding
from support.pure_road import travel

ENDPOINT = Endpoint("gemini", "http://127.0.0.1")
OWN = {"wire": "gemini"}
SIGNED = {**OWN, "thoughtSignature": "c2ln"}
SOURCES: list[dict[str, Any]] = [
    {"web": {"uri": "https://e.com"}},
    {"web": {"uri": "https://f.com"}},
]


def answer(*parts: dict[str, Any], **candidate: Any) -> StreamingResponse:
    """What comes of these parts, each in a frame of its own."""
    frames: list[dict[str, Any]] = [
        {"candidates": [{"content": {"parts": [part], "role": "model"}}]} for part in parts
    ]
    frames.append({"candidates": [{"finishReason": "STOP", **candidate}]})
    body = b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames)
    response = travel(Gemini(), [body]).response
    assert response.ok, response.error
    return response


def spelled(message: dict[str, Any], model: str = "gemini-2.5-flash") -> list[dict[str, Any]]:
    said = read_messages([{"role": "user", "content": "Hi"}, json.loads(json.dumps(message))])
    body = json.loads(Gemini().request(ChatRequest(model, said), ENDPOINT).body)
    (turn,) = (turn for turn in body["contents"] if turn["role"] == "model")
    parts: list[dict[str, Any]] = turn["parts"]
    return parts


def sent(*parts: Part, model: str = "gemini-2.5-flash") -> list[dict[str, Any]]:
    return spelled(assistant_message(parts), model)


def test_words_thoughts_and_calls_are_parts_in_their_order() -> None:
    call = {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}}
    came: list[dict[str, Any]] = [
        {"text": "Hm", "thought": True},
        {"text": ".", "thought": True},
        {"text": "Hi "},
        {"text": "there"},
        {**call, "thoughtSignature": "c2ln"},
        {"text": "!"},
    ]

    response = answer(*came)

    assert response.parts == [
        ReasoningPart("Hm.", provider_data=OWN),
        TextPart("Hi there"),
        ToolCallPart("c", "f", '{"a": 1}', True, provider_data=SIGNED),
        TextPart("!"),
    ]
    assert spelled(response.to_message()) == [
        {"text": "Hm.", "thought": True},
        {"text": "Hi there"},
        {**call, "thoughtSignature": "c2ln"},
        {"text": "!"},
    ]


@pytest.mark.parametrize("text", ["", "!"])
def test_what_is_signed_is_joined_with_nothing(text: str) -> None:
    signed = {"text": text, "thoughtSignature": "c2ln"}

    response = answer({"text": "Hi"}, signed, {"text": "Ho"})

    assert response.parts == [
        TextPart("Hi"),
        TextPart(text, provider_data=SIGNED),
        TextPart("Ho"),
    ]
    assert spelled(response.to_message()) == [{"text": "Hi"}, signed, {"text": "Ho"}]


def test_a_signed_thought_keeps_its_signature() -> None:
    thoughts: list[dict[str, Any]] = [
        {"text": "a", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "b", "thought": True},
    ]

    assert spelled(answer(*thoughts, {"text": "Hi"}).to_message())[:2] == thoughts


def test_files_and_what_the_server_ran_come_back_as_they_were() -> None:
    came: list[dict[str, Any]] = [
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thoughtSignature": "c2ln"},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://e.com/a"}},
    ]

    response = answer(*came)

    assert [part.type for part in response.parts] == ["provider"] * 2 + ["file"] * 3
    assert response.files[0].data == "aGk="
    assert spelled(response.to_message()) == came


# --- grounding ------------------------------------------------------------------------------------


def test_a_citation_is_a_segment_with_its_sources() -> None:
    support: dict[str, Any] = {
        "segment": {"endIndex": 2, "text": "Hi"},
        "groundingChunkIndices": [0, 9, "x"],
    }
    grounding = {
        "webSearchQueries": ["q"],
        "groundingChunks": SOURCES,
        "groundingSupports": [support],
    }

    response = answer({"text": "Hi"}, groundingMetadata=grounding)

    cited = [{**support, "groundingChunks": SOURCES[:1]}, {"groundingChunks": SOURCES[1:]}]
    assert response.parts == [
        TextPart("Hi", cited, provider_data=OWN),
        ProviderPart({"groundingMetadata": grounding}, provider_data={**OWN, "beside": True}),
    ]
    assert response.citations == cited
    assert spelled(response.to_message()) == [{"text": "Hi"}]


def test_what_is_told_again_is_cited_once() -> None:
    source = {"uri": "https://e.com", "startIndex": 0}
    written = {"citationSources": [source]}
    frame = {"citationMetadata": written, "content": {"parts": [{"text": "Hi"}]}}
    body = b"data: %s\n\n" % json.dumps({"candidates": [frame]}).encode()
    last = b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n'

    response = travel(Gemini(), [body + body + last]).response

    assert response.citations == [source]


def test_grounding_that_is_too_deep_is_told() -> None:
    deep: dict[str, Any] = {"a": 1}
    for _ in range(100_000):
        deep = {"a": deep}

    with pytest.raises(ProtocolError, match="gemini: a chunk is nested too deeply"):
        list(Grounding("gemini").read({"urlContextMetadata": deep}))


# --- the next request -----------------------------------------------------------------------


def test_of_another_formats_answer_there_are_words_and_calls() -> None:
    other = {"wire": "anthropic", "signature": "c2ln", "thoughtSignature": "x"}

    assert sent(
        ReasoningPart("Hm", provider_data=other),
        CommentaryPart("I look."),
        ProviderPart({"type": "search"}, provider_data=other),
        FilePart("image/png", "aGk="),
        ToolCallPart("c", "f", "{}", True, provider_data=other),
        TextPart("Hi", provider_data=other),
    ) == [
        {"text": "I look."},
        {"functionCall": {"id": "c", "name": "f", "args": {}}},
        {"text": "Hi"},
    ]


@pytest.mark.parametrize("model", ["gemini-3-pro-preview", "models/gemini-3.1-flash", "gemini-10"])
def test_calls_of_another_model_say_that_they_have_no_signature(model: str) -> None:
    calls = (ToolCallPart("c", "f", "{}", True), ToolCallPart("d", "f", "{}", True))

    first, second = sent(*calls, model=model)

    assert first["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in second


def test_words_that_somebody_emptied_are_no_part() -> None:
    message = assistant_message([TextPart("Hi"), TextPart("Ho")])
    message["content"][0]["text"] = ""

    assert spelled(message) == [{"text": "Ho"}]


def test_calls_that_are_signed_say_nothing_more() -> None:
    calls = (
        ToolCallPart("c", "f", "{}", True, provider_data=SIGNED),
        ToolCallPart("d", "f", "{}", True),
    )

    first, second = sent(*calls, model="gemini-3-pro-preview")

    assert first["thoughtSignature"] == "c2ln"
    assert "thoughtSignature" not in second
