"""Every protocol has its beginning and its ending, whatever of a stream comes to be encoded."""

from __future__ import annotations

from typing import Any

import pytest
from ag_ui.core import Event
from pydantic import TypeAdapter

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import create_event_processor
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall
from steer_llm_sdk.web import Protocol
from support.encoded import DONE, values_of
from support.web_sources import SHAPES, STREAM

# What of a stream comes: as a filter leaves it, or as it is followed from behind an event.
_WHOLE = SHAPES["parallel calls"]
HALVES = {
    "without its start": _WHOLE[1:],
    "without its ending": _WHOLE[:-2],
    "deltas alone": _WHOLE[1:-2],
    "its last event alone": _WHOLE[-1:],
    "its usage alone": _WHOLE[-2:-1],
    "nothing": [],
}

every_half = pytest.mark.parametrize("half", HALVES)

_read: TypeAdapter[Any] = TypeAdapter(Event)


def kinds(values: list[Any]) -> list[str]:
    return [value if value == DONE else value["type"] for value in values]


@every_half
async def test_a_run_of_ag_ui_begins_and_ends_with_all_that_is_in_it(half: str) -> None:
    values = await values_of(HALVES[half], "ag-ui")

    told = kinds(values)
    assert (told[0], told[-1]) == ("RUN_STARTED", "RUN_FINISHED")
    assert told.count("RUN_STARTED") == told.count("RUN_FINISHED") == 1
    for began in (kind for kind in told if kind.endswith("_START")):
        assert told.count(began) == told.count(began.replace("_START", "_END"))
    assert values[0]["runId"] == values[-1]["runId"] == (STREAM if HALVES[half] else "stream")
    for value in values:
        _read.validate_python(value)


@every_half
async def test_a_message_of_the_ai_sdk_begins_and_ends_with_all_that_is_in_it(half: str) -> None:
    told = kinds(await values_of(HALVES[half], "vercel"))

    assert told[:2] == ["start", "start-step"]
    assert told[-3:] == ["finish-step", "finish", DONE]
    assert told.count("text-start") == told.count("text-end")
    assert told.count("tool-input-start") == told.count("tool-input-available")


@every_half
async def test_every_chunk_of_a_completion_names_it(half: str) -> None:
    chunks = (await values_of(HALVES[half], "openai"))[:-1]

    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize(("protocol", "first"), [("ag-ui", "RUN_STARTED"), ("vercel", "start")])
async def test_a_filter_that_passes_deltas_alone_leaves_a_protocol_whole(
    protocol: Protocol, first: str
) -> None:
    script = Script(["Hello"], tool_calls=[ScriptedToolCall("weather", {"city": "Paris"})])
    options = StreamingOptions(event_processor=create_event_processor(event_types=["delta"]))
    async with SteerLLMClient("key", transport=ScriptedProvider(script)) as client:
        stream = client.stream_events("Hi", "gpt-4o", streaming_options=options)
        values = await values_of([event async for event in stream], protocol)

    assert values[0]["type"] == first
    assert stream.response.stream_id in str(values[0])
    named = {value["toolCallId"] for value in values if "toolCallId" in value}
    assert named == {"call_1"}
