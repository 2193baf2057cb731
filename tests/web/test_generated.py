"""An application's own async generator as a source of `encode`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, SteerLLMClient
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.testing import ScriptedProvider, Stall
from steer_llm_sdk.web import encode
from support.encoded import parse
from support.journals import Fed, until
from support.web_sources import SHAPES

MODEL = "gpt-4o"


async def passed_on(source: Any) -> AsyncGenerator[StreamEvent, None]:
    """What an application writes to look at each event, or to change it."""
    async for event in source:
        yield event


async def values_of(source: Any, **options: Any) -> list[Any]:
    pieces = [piece async for piece in encode(source, "ndjson", **options)]
    return parse(b"".join(pieces), "ndjson")


async def test_its_events_are_written_to_the_end() -> None:
    async with SteerLLMClient("key", transport=ScriptedProvider("Hel", "lo")) as client:
        values = await values_of(passed_on(client.stream_events("Hi", MODEL)))

    assert [value["type"] for value in values] == ["start", "delta", "delta", "usage", "complete"]


async def test_a_silence_is_filled_and_does_not_end_it() -> None:
    source = Fed()
    source.say("Hel")
    pieces: list[bytes] = []
    async for piece in encode(passed_on(source), "ndjson", heartbeat=0.02):
        pieces.append(piece)
        if pieces.count(b"\n") == 2 and piece == b"\n":
            source.say("lo")
            source.complete()

    values = parse(b"".join(pieces), "ndjson")
    assert pieces.count(b"\n") >= 2
    assert [value["sequence"] for value in values] == [0, 1, 2, 3]


async def test_leaving_it_closes_the_stream_behind_it() -> None:
    provider = ScriptedProvider("Hel", then=Stall(1))
    async with SteerLLMClient("key", transport=provider) as client:
        pieces = encode(passed_on(client.stream_events("Hi", MODEL)), "sse")
        while b"Hel" not in await anext(pieces):
            pass

        await pieces.aclose()

        await until(lambda: provider.responses[0].was_aborted)


async def test_one_that_is_left_before_it_began_is_closed() -> None:
    generator = passed_on(Fed())
    pieces = encode(generator, "sse", heartbeat=0.01)
    reading = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait((reading,))

    with pytest.raises(StopAsyncIteration):
        await anext(generator)


async def _breaks(after: int) -> AsyncIterator[StreamEvent]:
    for event in SHAPES["text"][:after]:
        yield event
    raise FileNotFoundError("/srv/secret")


async def test_what_it_raises_after_an_event_is_the_ending_and_its_words_are_not_told() -> None:
    values = await values_of(_breaks(2))

    assert [value["type"] for value in values] == ["start", "delta", "error"]
    assert "secret" not in str(values)


async def test_what_it_raises_before_any_event_is_raised() -> None:
    with pytest.raises(FileNotFoundError):
        await values_of(_breaks(0))


async def test_one_that_gives_no_events_is_told_of() -> None:
    async def words() -> AsyncIterator[str]:
        yield "Hello"

    with pytest.raises(ConfigurationError, match="expected a generator of events, found str"):
        await values_of(words())
