"""The quick road and the slow one say the same, and what is unknown to both is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.fragments import Extras, Identity
from steer_llm_sdk.providers.anthropic.decoder import AnthropicDecoder
from steer_llm_sdk.wire.frame import Frame
from support.strangers import STRANGE, with_strangers

STARTED = {
    "type": "message_start",
    "message": {"id": "m", "model": "c", "content": [], "usage": {"input_tokens": 3}},
}
ENDED = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 2},
}


def delta(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}}


def block(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": 1, "content_block": {"type": kind, **fields}}


SHAPES: list[dict[str, Any]] = [
    STARTED,
    block("text", text=""),
    block("thinking", thinking="", signature=""),
    block("redacted_thinking", data="QQ=="),
    block("tool_use", id="t", name="add", input={}),
    delta("text_delta", text="Hi"),
    delta("thinking_delta", thinking="Hm"),
    delta("signature_delta", signature="c2ln"),
    delta("citations_delta", citation={"type": "page_location"}),
    delta("input_json_delta", partial_json='{"a"'),
    {"type": "content_block_stop", "index": 0},
    ENDED,
    {"type": "message_stop"},
]
CHANGED = [
    pytest.param(changed, id=f"{shape['type']}-{index}-{place}")
    for index, shape in enumerate(SHAPES)
    for place, changed in with_strangers(shape, "input", "citation")
]


def prepared() -> AnthropicDecoder:
    """A decoder with a call open, so that a piece of its arguments is one."""
    decoder = AnthropicDecoder("anthropic")
    opened = block("tool_use", id="t", name="add", input={}) | {"index": 0}
    decoder.decode(Frame(json.dumps(opened).encode()))
    return decoder


@pytest.mark.parametrize("payload", SHAPES, ids=lambda shape: shape["type"])
def test_both_roads_say_the_same(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    assert list(prepared().decode(frame)) == list(prepared()._decode_rare(frame))


@pytest.mark.parametrize("payload", CHANGED)
def test_a_field_of_the_future_is_kept_wherever_it_stands(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    found = list(prepared().decode(frame))

    assert str(STRANGE) in repr(found)
    assert found == list(prepared()._decode_rare(frame))


def test_what_is_new_beside_the_message_is_kept_under_its_own_name() -> None:
    decoder = AnthropicDecoder("anthropic")
    edits = [{"type": "image_resized"}]
    start = STARTED | {"input_transformations": edits}

    found = decoder.decode(Frame(json.dumps(start).encode()))

    assert Extras({"input_transformations": edits}) in found
    assert Identity("m", "c") in found
