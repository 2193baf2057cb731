"""The quick road and the slow one say the same, and what is unknown to both is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.fragments import Extras
from steer_llm_sdk.providers.ollama.decoder import OllamaDecoder
from steer_llm_sdk.wire.frame import Frame
from support.strangers import STRANGE, with_strangers


def line(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": False, **fields}


def said(**message: Any) -> dict[str, Any]:
    return line(message={"role": "assistant", **message})


SHAPES: list[dict[str, Any]] = [
    said(content="Hi"),
    said(content="", thinking="Hm"),
    said(content="Hi", thinking="Hm"),
    said(content=""),
    said(content="", tool_calls=[]),
    said(content="", tool_calls=[{"function": {"index": 0, "name": "f", "arguments": {}}}]),
    line(response="Hi"),
    said(content="") | {"done": True, "done_reason": "stop", "eval_count": 1},
]
CHANGED = [
    pytest.param(changed, id=f"{index}-{place}")
    for index, shape in enumerate(SHAPES)
    for place, changed in with_strangers(shape, "arguments")
]


def prepared() -> OllamaDecoder:
    decoder = OllamaDecoder("ollama")
    decoder.decode(Frame(json.dumps(said(content="")).encode()))
    return decoder


@pytest.mark.parametrize("payload", SHAPES)
def test_both_roads_say_the_same(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    assert list(prepared().decode(frame)) == list(prepared()._decode_rare(frame))


@pytest.mark.parametrize("payload", CHANGED)
def test_a_field_of_the_future_is_kept_wherever_it_stands(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    found = list(prepared().decode(frame))

    assert str(STRANGE) in repr(found)
    assert found == list(prepared()._decode_rare(frame))


def test_images_that_a_model_made_are_kept() -> None:
    frame = Frame(json.dumps(said(content="Look:", images=["aGk="])).encode())

    assert list(prepared().decode(frame)) == [Extras({"images": ["aGk="]}), "Look:"]
