"""The quick road and the slow one say the same, and what is unknown to both is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.fragments import (
    Extras,
    Fragment,
    OtherChoice,
    PartData,
    Reasoning,
    ToolCallPiece,
)
from steer_llm_sdk.providers.openai_chat.decoder import ChatDecoder
from steer_llm_sdk.wire.frame import Frame
from support.strangers import STRANGE, with_strangers

CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MORE = {"index": 0, "function": {"arguments": " "}}
DETAIL = {"type": "reasoning.text", "text": "Hm", "format": "f", "index": 0}
SEALED = {"type": "reasoning.encrypted", "data": "QQ==", "index": 1}
BLOCK = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.1, "top_logprobs": []}]}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}


def chunk(delta: dict[str, Any], index: int = 0, **choice: Any) -> dict[str, Any]:
    first = {"index": index, "delta": delta, "finish_reason": None, **choice}
    names = {"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**names, "choices": [first]}


SHAPES: list[dict[str, Any]] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hi"}),
    chunk({"content": "Hi"}, logprobs=LOGPROBS),
    chunk({"content": "Hi"}) | {"usage": USAGE},
    chunk({"content": "Hi"}, finish_reason="stop"),
    chunk({"content": [{"type": "text", "text": "Hi"}, THOUGHT]}),
    chunk({"content": [{"type": "reference", "reference_ids": [1]}]}),
    chunk({"reasoning_content": "Hm"}),
    chunk({"reasoning": "Hm", "reasoning_details": [DETAIL]}),
    chunk({"reasoning": "Hm", "reasoning_details": [SEALED]}),
    chunk({"reasoning_content": "Hm", "thinking_blocks": [BLOCK]}),
    chunk({"reasoning_text": "Hm", "reasoning_opaque": "o"}),
    chunk({"refusal": "No"}),
    chunk({"tool_calls": [CALL]}),
    chunk({"tool_calls": [MORE]}),
    chunk({"function_call": {"name": "f", "arguments": "{}"}}),
    chunk({"content": "Hi"}, message={"role": "assistant", "content": "Hi"}),
    chunk({"content": "Hi"}, 1),
    {"id": "r", "choices": [], "usage": USAGE},
    {"id": "r", "choices": [], "x_groq": {"id": "q", "usage": USAGE}},
]
CHANGED = [
    pytest.param(changed, id=f"{number}-{place}")
    for number, shape in enumerate(SHAPES)
    for place, changed in with_strangers(shape)
]


def prepared() -> ChatDecoder:
    """A decoder that knows who answers and how it reasons, and a call that has begun."""
    decoder = ChatDecoder("openai")
    call = {"tool_calls": [CALL | {"index": 9, "id": "z"}]}
    for delta in ({"role": "assistant"}, {"reasoning": "Hm"}, call):
        decoder.decode(Frame(json.dumps(chunk(delta)).encode()))
    return decoder


@pytest.mark.parametrize("payload", SHAPES)
def test_both_roads_say_the_same(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    assert list(prepared().decode(frame)) == list(prepared()._reader.read(frame))


@pytest.mark.parametrize("payload", CHANGED)
def test_a_field_of_the_future_is_kept_wherever_it_stands(payload: dict[str, Any]) -> None:
    frame = Frame(json.dumps(payload).encode())

    found = list(prepared().decode(frame))

    assert str(STRANGE) in repr(found)
    assert found == list(prepared()._reader.read(frame))


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        (
            {"reasoning": "Hm", "reasoning_details": [DETAIL | {"id": "rs_1"}]},
            Reasoning("Hm", extra={"reasoning_details": [DETAIL | {"id": "rs_1"}]}),
        ),
        ({"content": [THOUGHT | {"id": "t"}]}, Reasoning("Hm", extra={"id": "t"})),
        ({"content": [THOUGHT | {"closed": True}]}, Reasoning("Hm")),
    ],
)
def test_what_reasoning_has_beside_its_words_is_kept_with_it(
    delta: dict[str, Any], expected: Fragment
) -> None:
    assert list(prepared().decode(Frame(json.dumps(chunk(delta)).encode()))) == [expected]


def test_what_words_in_a_list_have_beside_them_is_kept() -> None:
    words = {"type": "text", "text": "Hi", "annotations": [{"url": "u"}]}
    frame = Frame(json.dumps(chunk({"content": [words]})).encode())

    kept = Extras({"content_parts": [{"type": "text", "annotations": [{"url": "u"}]}]})
    cited = PartData("text", {}, [{"url": "u"}], is_earlier=True)
    assert list(prepared().decode(frame)) == [kept, "Hi", cited]


def test_what_stands_beside_another_choice_is_kept_once() -> None:
    decoder = prepared()
    frame = Frame(json.dumps(chunk({"content": "a"}, 1, content_filter_results={"x": 1})).encode())

    beside = Extras({"content_filter_results": {"x": 1}})
    assert list(decoder.decode(frame)) == [OtherChoice(1, beside), OtherChoice(1, "a")]
    assert list(decoder.decode(frame)) == [OtherChoice(1, "a")]


def test_words_that_stand_in_the_choice_alone_are_words() -> None:
    frame = Frame(json.dumps({"choices": [{"index": 0, "text": "Hi"}]}).encode())

    decoder = ChatDecoder("openai")
    assert list(decoder.decode(frame)) == ["Hi"]
    decoder.decode(Frame(json.dumps(chunk({"content": "a"})).encode()))
    assert list(decoder.decode(frame)) == []


def test_a_signature_in_a_delta_of_its_own_begins_no_call() -> None:
    signed = {"index": 0, "id": "a", "extra_content": {"google": {"thought_signature": "s"}}}
    decoder = prepared()
    decoder.decode(Frame(json.dumps(chunk({"tool_calls": [CALL]})).encode()))

    found = list(decoder.decode(Frame(json.dumps(chunk({"tool_calls": [signed]})).encode())))

    assert found == [ToolCallPiece(1, extra={"extra_content": signed["extra_content"]})]
