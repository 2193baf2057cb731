"""What is being read is no value: a copy that is collected would end the stream of the original."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.testing import ScriptedProvider

WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, pickle.dumps]


def refuse(each: Any) -> None:
    for way in WAYS:
        with pytest.raises(TypeError, match=rf"^{type(each).__name__}: what is being read cannot"):
            way(each)


async def test_what_is_read_cannot_be_copied_pickled_or_stored() -> None:
    async with (
        MemoryJournal() as journal,
        SteerLLMClient("k", transport=ScriptedProvider("Hello")) as client,
    ):
        events = client.stream_events("?", "gpt-4o")
        attached = journal.attach(await client.start("?", "gpt-4o", journal=journal))
        for each in (
            events,
            events.subscribe(),
            client.stream("?", "gpt-4o"),
            client.stream_items("?", str, "gpt-4o"),
            client.run_events("?", "gpt-4o"),
            client.map(["?"], "gpt-4o"),
            attached,
        ):
            refuse(each)


def test_nor_can_what_is_read_without_async() -> None:
    with SyncSteerLLMClient("k", transport=ScriptedProvider("Hello")) as client:
        for each in (
            client.stream_events("?", "gpt-4o"),
            client.stream("?", "gpt-4o"),
            client.run_events("?", "gpt-4o"),
            client.map(["?"], "gpt-4o"),
        ):
            refuse(each)


async def test_a_stream_goes_on_where_a_copy_was_refused() -> None:
    async with (
        SteerLLMClient("k", transport=ScriptedProvider("Hello")) as client,
        client.stream_events("?", "gpt-4o") as stream,
    ):
        await anext(stream)
        refuse(stream)
        events = [event async for event in stream]

        assert events[-1].type == "complete"
        assert copy.deepcopy(stream.response) == stream.response
