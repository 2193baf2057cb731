"""`client.start_run`: runs apart from their callers, in both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    SteerLLMClient,
    StreamCancelledError,
    SyncSteerLLMClient,
    ToolError,
)
from steer_llm_sdk.journal import Journal
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent, StreamStartEvent
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall, check_stream
from steer_llm_sdk.web import encode
from support.encoded import parse
from support.journals import Place, read, said

MODEL = "gpt-4o"


def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def asking_once() -> ScriptedProvider:
    call = ScriptedToolCall("weather", {"city": "Ulm"}, id="call_1")
    return ScriptedProvider(Script(["Let me see. "], tool_calls=[call]), Script(["It is sunny."]))


def turns_of(events: Sequence[StreamEvent]) -> list[list[StreamEvent]]:
    turns: list[list[StreamEvent]] = []
    for event in events:
        if isinstance(event, StreamStartEvent):
            turns.append([])
        turns[-1].append(event)
    return turns


async def test_all_turns_of_a_run_are_one_stream_of_the_journal(place: Place) -> None:
    async with SteerLLMClient("key", transport=asking_once()) as client:
        stream_id = await client.start_run("Hi", MODEL, tools=[weather], journal=place.open())

        events = await read(place.open(), stream_id)

    assert [event.sequence for event in events] == list(range(len(events)))
    first, second = turns_of(events)
    assert first[0].stream_id == stream_id
    assert first[-1].type == second[-1].type == "complete"
    assert said(events) == "Let me see. It is sunny."
    assert second[0].metadata["tool_results"][0]["content"] == "sunny in Ulm"


async def test_a_key_begins_a_run_once_although_its_tools_are_functions(journal: Journal) -> None:
    provider = asking_once()
    async with SteerLLMClient("key", transport=provider) as client:
        call: Any = {"messages": "Hi", "model": MODEL, "journal": journal, "key": "k"}
        first = await client.start_run(**call, tools=[weather])
        await read(journal, first)

        again = await client.start_run(**call, tools=[weather])
        with pytest.raises(ConfigurationError, match="another request"):
            await client.start_run(**call, tools=[])

    assert again == first
    assert len(provider.requests) == 2


async def test_a_run_with_too_many_turns_ends_in_its_error(journal: Journal) -> None:
    call = ScriptedToolCall("weather", {"city": "Ulm"}, id="call_1")
    provider = ScriptedProvider(Script([], tool_calls=[call]))
    async with SteerLLMClient("key", transport=provider) as client:
        stream_id = await client.start_run(
            "Hi", MODEL, tools=[weather], max_turns=2, journal=journal
        )

        end = (await read(journal, stream_id))[-1]

    assert isinstance(end, StreamErrorEvent)
    assert isinstance(end.error, ToolError)


async def test_a_run_is_stopped_while_its_function_runs(place: Place) -> None:
    began = asyncio.Event()
    was_cancelled = False

    async def wait(city: str) -> str:
        nonlocal was_cancelled
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled = True
            raise
        return city

    call = ScriptedToolCall("wait", {"city": "Ulm"}, id="call_1")
    async with SteerLLMClient(
        "key", transport=ScriptedProvider(Script([], tool_calls=[call]))
    ) as client:
        stream_id = await client.start_run("Hi", MODEL, tools=[wait], journal=place.open())
        await began.wait()

        assert await place.open().stop(stream_id, "enough")
        end = (await read(place.open(), stream_id))[-1]

    assert was_cancelled
    assert isinstance(end, StreamErrorEvent)
    assert end.error == StreamCancelledError("enough")


async def test_what_a_journal_has_of_a_run_is_encoded_as_one(journal: Journal) -> None:
    async with SteerLLMClient("key", transport=asking_once()) as client:
        stream_id = await client.start_run("Hi", MODEL, tools=[weather], journal=journal)
        raw = [piece async for piece in encode(journal.attach(stream_id), "vercel")]

    types = [value["type"] for value in parse(b"".join(raw), "vercel")[:-1]]
    assert types.count("start-step") == types.count("finish-step") == 2
    assert types.count("finish") == 1
    assert "tool-output-available" in types


def test_a_blocking_client_starts_a_run(place: Place) -> None:
    journal = place.open()
    with SyncSteerLLMClient("key", transport=asking_once()) as client:
        stream_id = client.start_run("Hi", MODEL, tools=[weather], journal=journal)

        events = list(client.attach(stream_id, journal=journal))

    assert said(events) == "Let me see. It is sunny."
    assert len(turns_of(events)) == 2
    assert check_stream(turns_of(events)[0], is_filtered=True).text == "Let me see. "
