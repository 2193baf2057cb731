"""AG-UI: what is written is read by the protocol's own models, and comes in its order."""

from __future__ import annotations

from typing import Any

import pytest
from ag_ui.core import Event
from ag_ui.core.events import EventType
from pydantic import TypeAdapter

from support.encoded import values_of
from support.web_sources import SHAPES, STREAM, reasoning, turn

_READ = TypeAdapter(Event)


async def events_of(shape: str, **options: Any) -> list[Any]:
    return [
        _READ.validate_python(value) for value in await values_of(SHAPES[shape], "ag-ui", **options)
    ]


def types(events: list[Any]) -> list[str]:
    return [event.type.value for event in events]


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_is_read_by_the_models_of_the_protocol(shape: str) -> None:
    events = await events_of(shape)

    assert events[0].type is EventType.RUN_STARTED
    assert events[0].protocol_version == "1.0"
    assert {event.run_id for event in (events[0], events[-1]) if hasattr(event, "run_id")} == {
        STREAM
    }


@pytest.mark.parametrize("shape", SHAPES)
async def test_whatever_begins_ends(shape: str) -> None:
    opened: set[tuple[str, Any]] = set()
    for event in await events_of(shape):
        name, _, step = event.type.value.rpartition("_")
        which = getattr(event, "message_id", None) or getattr(event, "tool_call_id", None)
        if step == "START":
            assert (name, which) not in opened
            opened.add((name, which))
        elif step == "END":
            opened.remove((name, which))
        elif step in {"CONTENT", "ARGS"}:
            assert (name, which) in opened
    assert not opened


async def test_words_are_one_message() -> None:
    events = await events_of("text")

    assert types(events) == [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ]
    assert [event.delta for event in events[2:4]] == ["Hello", " wörld 🎉"]
    (usage,) = events[-1].usage
    assert (usage.provider, usage.model) == ("openai", "gpt-4o")
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (9, 5, 2)
    assert events[-1].outcome.type == "success"


async def test_reasoning_is_apart_and_its_signature_is_kept() -> None:
    events = await events_of("reasoning")

    assert types(events)[1:7] == [
        "REASONING_START",
        "REASONING_MESSAGE_START",
        "REASONING_MESSAGE_CONTENT",
        "REASONING_MESSAGE_CONTENT",
        "REASONING_ENCRYPTED_VALUE",
        "REASONING_MESSAGE_END",
    ]
    assert events[5].encrypted_value == "sig=="
    assert events[5].entity_id == events[1].message_id


async def test_the_name_of_reasoning_is_no_value_of_it() -> None:
    kept = {"id": "rs_1", "format": "openai-responses-v1", "encrypted_content": "gAAA"}
    values = await values_of(turn(reasoning("Hm."), reasoning("", **kept), "42"), "ag-ui")

    told = [v["encryptedValue"] for v in values if v["type"] == "REASONING_ENCRYPTED_VALUE"]
    assert told == ["gAAA"]


async def test_calls_that_nobody_answers_are_named_at_the_end() -> None:
    events = await events_of("parallel calls")

    starts = [event for event in events if event.type is EventType.TOOL_CALL_START]
    assert [(e.tool_call_id, e.tool_call_name) for e in starts] == [
        ("call_a", "weather"),
        ("call_b", "time"),
    ]
    arguments = {"call_a": "", "call_b": ""}
    for event in events:
        if event.type is EventType.TOOL_CALL_ARGS:
            arguments[event.tool_call_id] += event.delta
    assert arguments == {"call_a": '{"city": "Paris"}', "call_b": "{}"}
    assert events[-1].outcome.pending_tool_call_ids == ["call_a", "call_b"]
    text = next(event for event in events if event.type is EventType.TEXT_MESSAGE_START)
    assert {start.parent_message_id for start in starts} == {text.message_id}


async def test_a_run_tells_results_and_ends_once() -> None:
    events = await events_of("a run")

    results = [event for event in events if event.type is EventType.TOOL_CALL_RESULT]
    assert [(e.tool_call_id, e.content) for e in results] == [
        ("call_a", "sunny"),
        ("call_b", "no clock"),
    ]
    assert types(events).count("RUN_FINISHED") == 1
    assert events[-1].outcome.pending_tool_call_ids is None
    assert len(events[-1].usage) == 2


async def test_a_call_that_was_cut_is_nobodys_to_answer() -> None:
    events = await events_of("a call that was cut")

    assert types(events)[-2:] == ["TOOL_CALL_END", "RUN_ERROR"]
    assert (events[-1].code, events[-1].message) == ("RateLimitError", "slow down")
    assert events[-1].usage[0].input_tokens == 9


async def test_a_stopped_run_is_neither_a_success_nor_an_error() -> None:
    events = await events_of("cancelled")

    assert events[-1].type is EventType.RUN_FINISHED
    assert events[-1].outcome.type == "cancelled"


async def test_the_ids_of_the_request_are_those_of_the_run() -> None:
    events = await events_of("text", thread_id="thread-7", run_id="run-9")

    assert {(e.thread_id, e.run_id) for e in (events[0], events[-1])} == {("thread-7", "run-9")}


@pytest.mark.parametrize(("shape", "name"), [("a file", "file"), ("a notice", "notice")])
async def test_what_the_protocol_has_no_word_for_is_an_event_of_ours(shape: str, name: str) -> None:
    events = await events_of(shape)

    (custom,) = [event for event in events if event.type is EventType.CUSTOM]
    assert custom.name == name
