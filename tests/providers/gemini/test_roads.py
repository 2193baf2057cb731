"""The quick road and the slow one say the same, and what is unknown to both is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.fragments import (
    Extras,
    Fragment,
    Identity,
    ProviderItem,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.gemini.decoder import GeminiDecoder
from steer_llm_sdk.wire.frame import Frame
from support.strangers import STRANGE, with_strangers

NAMES = {"responseId": "r", "modelVersion": "g", "createTime": "2026-01-01T00:00:00Z"}


def chunk(part: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [part]}
    return {"candidates": [{"content": content, "index": 0, **candidate}], **NAMES}


SHAPES: list[dict[str, Any]] = [
    chunk({"text": "Hi"}),
    chunk({"text": "Hm", "thought": True}),
    chunk({"text": ""}),
    chunk({"text": "Hi", "thoughtSignature": "c2ln"}),
    chunk({"text": "Hi"}, finishReason="STOP"),
    chunk({"functionCall": {"name": "f", "args": {"a": 1}}}),
    chunk({"executableCode": {"code": "1"}}),
    chunk({"text": "Hi"}) | {"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}},
]
CHANGED = [
    pytest.param(changed, id=f"{index}-{place}")
    for index, shape in enumerate(SHAPES)
    for place, changed in with_strangers(shape, "args", "usageMetadata")
]


def prepared() -> GeminiDecoder:
    decoder = GeminiDecoder("gemini")
    decoder.decode(Frame(json.dumps(NAMES).encode()))
    return decoder


def spoken(fragments: Any) -> list[Fragment]:
    """The fragments but for snapshots of the usage, which the quick road saves for the end."""
    return [fragment for fragment in fragments if not isinstance(fragment, Usage)]


@pytest.mark.parametrize("payload", SHAPES)
def test_both_roads_say_the_same(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    assert spoken(prepared().decode(frame)) == spoken(prepared()._decode_rare(frame))


@pytest.mark.parametrize("payload", CHANGED)
def test_a_field_of_the_future_is_kept_wherever_it_stands(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    found = spoken(prepared().decode(frame))

    assert str(STRANGE) in repr(found)
    assert found == spoken(prepared()._decode_rare(frame))


@pytest.mark.parametrize(
    "field",
    ["inlineData", "fileData", "mediaProcessing", "speechMetadata", "partMetadata", "toolCall"],
)
def test_what_stands_beside_words_in_a_part_is_kept(field: str) -> None:
    payload = chunk({"text": "Hi", field: {"x": 1}})

    found = spoken(prepared().decode(Frame(json.dumps(payload).encode())))

    said = [each for each in found if not isinstance(each, ProviderItem)]
    assert said == [Extras({"parts": [{field: {"x": 1}}]}), "Hi"]


@pytest.mark.parametrize("field", ["tokenCount", "continuationToken", "avgLogprobs"])
def test_what_a_candidate_says_beside_its_words_is_kept(field: str) -> None:
    payload = chunk({"text": "Hi"}, **{field: 7})

    found = spoken(prepared().decode(Frame(json.dumps(payload).encode())))

    assert found == [Extras({field: 7}), "Hi"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("responseId", "s", Identity("s", "g")),
        ("modelVersion", "h", Identity("r", "h")),
        ("createTime", "2027-01-01T00:00:00Z", Extras({"createTime": "2027-01-01T00:00:00Z"})),
    ],
)
def test_another_name_in_a_frame_of_words_is_told_once(
    name: str, value: str, expected: Fragment
) -> None:
    decoder = prepared()
    frame = Frame(json.dumps(chunk({"text": "Hi"}) | {name: value}).encode())

    assert spoken(decoder.decode(frame)) == [expected, "Hi"]
    assert list(decoder.decode(frame)) == ["Hi"]


@pytest.mark.parametrize("is_open", [True, False])
def test_a_signature_beside_a_piece_that_has_no_name_is_kept(is_open: bool) -> None:
    decoder = prepared()
    if is_open:
        begun = chunk({"functionCall": {"name": "f", "willContinue": True}})
        decoder.decode(Frame(json.dumps(begun).encode()))
    signed = chunk({"functionCall": {}, "thoughtSignature": "c2ln"})

    found = spoken(decoder.decode(Frame(json.dumps(signed).encode())))

    extra = {"thoughtSignature": "c2ln"}
    ended = ToolCallPiece(0, arguments="{}", is_whole=True)
    assert found == ([ToolCallPiece(0, extra=extra), ended] if is_open else [Extras(extra)])
