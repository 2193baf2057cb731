"""Pieces of a call's arguments that name no call or another, in the formats that number blocks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.bedrock.decoder import Converse
from steer_llm_sdk.providers.cohere.decoder import Cohere
from steer_llm_sdk.providers.interactions.decoder import Interactions
from steer_llm_sdk.providers.open_calls import OpenCalls
from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from support.pure_road import travel

Event = dict[str, Any]


def sse(*events: Event) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def amazon(*events: Event) -> bytes:
    return b"".join(
        event_message(json.dumps(payload).encode(), string_headers(event_type=name))
        for event in events
        for name, payload in event.items()
    )


def _anthropic_call(number: int, index: Event) -> list[Event]:
    at = {"index": number}
    block = {"type": "tool_use", "id": f"c{number}", "name": "f", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": f'{{"n":{number}}}'}
    return [
        {"type": "content_block_start", **at, "content_block": block},
        {"type": "content_block_delta", **index, "delta": delta},
        {"type": "content_block_stop", **at},
    ]


def _bedrock_call(number: int, index: Event) -> list[Event]:
    at = {"contentBlockIndex": number}
    place = {"contentBlockIndex": index["index"]} if index else {}
    start = {"toolUse": {"toolUseId": f"c{number}", "name": "f"}}
    delta = {"toolUse": {"input": f'{{"n":{number}}}'}}
    return [
        {"contentBlockStart": {**at, "start": start}},
        {"contentBlockDelta": {**place, "delta": delta}},
        {"contentBlockStop": at},
    ]


def _cohere_call(number: int, index: Event) -> list[Event]:
    def told(kind: str, place: Event, call: Event) -> Event:
        return {"type": kind, **place, "delta": {"message": {"tool_calls": call}}}

    at = {"index": number}
    begun = {"id": f"c{number}", "function": {"name": "f", "arguments": ""}}
    grown = {"function": {"arguments": f'{{"n":{number}}}'}}
    return [
        told("tool-call-start", at, begun),
        told("tool-call-delta", index, grown),
        {"type": "tool-call-end", **at},
    ]


def _interactions_call(number: int, index: Event) -> list[Event]:
    at = {"index": number}
    step = {"type": "function_call", "id": f"c{number}", "name": "f"}
    delta = {"type": "arguments_delta", "arguments": f'{{"n":{number}}}'}
    return [
        {"event_type": "step.start", **at, "step": step},
        {"event_type": "step.delta", **index, "delta": delta},
        {"event_type": "step.stop", **at},
    ]


Calls = Callable[[int, Event], list[Event]]
FORMATS: dict[str, tuple[WireFormat, Callable[..., bytes], Calls]] = {
    "anthropic": (AnthropicMessages(), sse, _anthropic_call),
    "bedrock": (Converse(), amazon, _bedrock_call),
    "cohere": (Cohere(), sse, _cohere_call),
    "gemini-interactions": (Interactions(), sse, _interactions_call),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("index", [{}, {"index": 0}, {"index": 7}], ids=["none", "first", "wrong"])
def test_arguments_are_those_of_the_call_that_is_open(name: str, index: Event) -> None:
    wire, frame, call = FORMATS[name]

    travelled = travel(wire, [frame(*call(0, index), *call(1, index))])

    assert [each["arguments"] for each in travelled.response.tool_calls] == ['{"n":0}', '{"n":1}']


def test_a_call_is_found_by_its_index_first() -> None:
    calls: OpenCalls[str] = OpenCalls()
    assert calls.find(0) is None
    calls.open(0, "first")
    calls.open(1, "second")

    assert [calls.find(index) for index in (0, 2, 1)] == ["first", "second", "second"]
    assert calls.close(2) is None
    assert calls.close(1) == "second"


def test_a_call_that_is_named_has_no_pieces_of_others() -> None:
    calls: OpenCalls[str] = OpenCalls()
    calls.open(0, "first")
    calls.find(0)

    assert calls.find(7) is None
    calls.close(0)
    calls.open(0, "second")
    assert calls.find(7) == "second"
    calls.open(1, "third", has_pieces=True)
    assert calls.find(7) is None
