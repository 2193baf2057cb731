"""What journals are given: keys, reasons to stop, options; the same at every place."""

from __future__ import annotations

import asyncio
import sys

import pytest

from steer_llm_sdk import ConfigurationError, SteerLLMClient
from steer_llm_sdk.journal import Journal
from steer_llm_sdk.testing import ScriptedProvider
from support.journals import STREAM, Place, Producing, read, said


async def test_a_key_that_no_store_can_hold_is_refused(journal: Journal) -> None:
    async with SteerLLMClient("key", transport=ScriptedProvider("Hello")) as client:
        with pytest.raises(ConfigurationError, match="key: expected a str without half"):
            await client.start("Hi", "gpt-4o", journal=journal, key="message \ud83d")


@pytest.mark.parametrize(("given", "told"), [("cut \ud83d", "cut ?"), ("", ""), ("a\0b", "a\0b")])
async def test_a_reason_is_told_whatever_it_is(journal: Journal, given: str, told: str) -> None:
    async with Producing(journal) as producing:
        producing.source.say("Hel")
        following = journal.attach(STREAM)
        await anext(following)

        assert await journal.stop(STREAM, given)

        events = [event async for event in following]
    assert events[-1].type == "error"
    assert str(events[-1].error) == told


async def test_a_reason_that_is_no_text_is_refused(journal: Journal) -> None:
    with pytest.raises(ConfigurationError, match="reason: expected a str, found None"):
        await journal.stop(STREAM, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["ttl", "max_events", "heartbeat", "patience"])
async def test_as_much_as_can_be_is_no_more_than_a_store_can_hold(
    place: Place, option: str
) -> None:
    journal = place.open(**{option: sys.maxsize})
    async with Producing(journal, key="k") as producing:
        producing.source.say("Hello")
        producing.source.complete()
        async with asyncio.timeout(10):
            events = await read(journal)

    assert said(events) == "Hello"
