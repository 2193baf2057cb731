"""What a journal in memory holds of an answer whose deltas are written as their bytes come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient, StreamingOptions
from steer_llm_sdk.journal import MemoryJournal, generation
from steer_llm_sdk.journal.store import Append
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.ports import EventSource, Pour, pourer
from steer_llm_sdk.streaming.processor import EventProcessor
from steer_llm_sdk.testing import (
    Drip,
    EndEarly,
    ErrorInStream,
    GarbageBody,
    Gzip,
    LoopbackServer,
    Pace,
    Reset,
    Script,
    ScriptedToolCall,
    Stall,
    check_stream,
)
from support.journals import read, said, until

MODEL = "gpt-4o"
WORDS = [f"word {number} " for number in range(12)]
PACED = Pace(0.002)
QUICK = StreamingOptions(idle_timeout=0.2, stall_timeout=0.2, max_retries=0)

SCRIPTS = {
    "whole": Script(WORDS, faults=[PACED]),
    "in one read": Script([str(number) for number in range(3000)]),
    "thoughts and a call": Script(
        ["Hello"],
        reasoning=["Hm", " hm"],
        tool_calls=[ScriptedToolCall("look", ['{"at":', ' "it"}'])],
        faults=[PACED],
    ),
    "byte by byte": Script(["Hello", " world"], faults=[Drip(1)]),
    "compressed": Script(WORDS, faults=[Gzip()]),
    "no marker": Script(WORDS, has_end=False, finish=None, faults=[PACED]),
    "cut": Script(WORDS, faults=[PACED, EndEarly(5)]),
    "broken": Script(WORDS, faults=[PACED, Reset(5)]),
    "broken in a chunk": Script(WORDS, faults=[PACED, Reset(5, mid_chunk=True)]),
    "an error in its midst": Script(WORDS, faults=[PACED, ErrorInStream(5)]),
    "no JSON in its midst": Script(WORDS, faults=[PACED, GarbageBody(after=5)]),
    "silent": Script(WORDS, faults=[PACED, Stall(5)]),
}


class Watched:
    """Counts the deltas that are handed on as they come, or has none handed on so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.poured = 0
        self.is_on = True
        monkeypatch.setattr(generation, "pourer", self._pourer)

    def _pourer(self, source: EventSource) -> Pour | None:
        pour = pourer(source)
        if pour is None or not self.is_on:
            return None

        async def counted(sink: Any) -> None:
            def counts(events: list[StreamEvent]) -> bool:
                self.poured += len(events)
                return bool(sink(events))

            await pour(counts)

        return counted


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@pytest.fixture
async def journal() -> AsyncIterator[MemoryJournal]:
    async with MemoryJournal() as journal:
        yield journal


def client_of(server: LoopbackServer) -> SteerLLMClient:
    return SteerLLMClient(providers={"openai": ProviderSettings(base_url=server.base_url())})


def told(events: Sequence[StreamEvent]) -> list[Any]:
    """What events say, without what is another each time."""
    left_out = {"timestamp", "request_id", "stream_id", "metadata", "duration_ms"}
    kept = [
        {name: value for name, value in event.to_dict().items() if name not in left_out}
        for event in events
    ]
    for event in kept:
        if (error := event.get("error")) is not None:
            event["error"] = {"type": error["type"], "message": error["message"]}
    return kept


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_journal_holds_the_same_as_of_a_stream_that_is_pulled(
    name: str, watched: Watched, journal: MemoryJournal
) -> None:
    async with LoopbackServer(SCRIPTS[name]) as server, client_of(server) as client:
        held = []
        for watched.is_on in (True, False):
            stream_id = await client.start("Hi", MODEL, streaming_options=QUICK, journal=journal)
            held.append(await read(journal, stream_id))

    poured, pulled = held
    check_stream(poured)
    assert said(poured) == said(pulled)
    assert told(poured) == told(pulled)
    if name != "compressed":  # whose bytes are not those that come
        assert watched.poured > 0


async def test_most_deltas_of_a_paced_answer_are_written_as_they_come(
    watched: Watched, journal: MemoryJournal
) -> None:
    async with LoopbackServer(SCRIPTS["whole"]) as server, client_of(server) as client:
        events = await read(journal, await client.start("Hi", MODEL, journal=journal))

    assert said(events) == "".join(WORDS)
    assert watched.poured >= len(WORDS) - 2


async def test_what_a_processor_has_to_see_is_pulled(
    watched: Watched, journal: MemoryJournal
) -> None:
    options = StreamingOptions(event_processor=EventProcessor())
    async with LoopbackServer(SCRIPTS["whole"]) as server, client_of(server) as client:
        started = client.start("Hi", MODEL, streaming_options=options, journal=journal)
        events = await read(journal, await started)

    assert said(events) == "".join(WORDS)
    assert watched.poured == 0


@pytest.mark.parametrize("how", ["journal", "client"])
async def test_it_can_be_stopped_while_nothing_comes(
    how: str, watched: Watched, journal: MemoryJournal
) -> None:
    script = Script(WORDS, faults=[PACED, Stall(5)])
    async with LoopbackServer(script) as server, client_of(server) as client:
        stream_id = await client.start("Hi", MODEL, journal=journal)
        await until(lambda: watched.poured >= 4)
        if how == "journal":
            assert await journal.stop(stream_id)
        else:
            await client.close()
        events = await asyncio.wait_for(read(journal, stream_id), 5)

    check_stream(events)
    assert said(events) == "".join(WORDS[:5])
    assert isinstance(events[-1], StreamErrorEvent)


async def test_whoever_was_taken_for_lost_stops(
    watched: Watched, journal: MemoryJournal, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(WORDS * 200, faults=[PACED])
    async with LoopbackServer(script) as server, client_of(server) as client:
        stream_id = await client.start("Hi", MODEL, journal=journal)
        await until(lambda: watched.poured >= 4)
        written: list[StreamEvent] = []
        async for event in journal.attach(stream_id):
            written.append(event)
            if len(written) >= 4 and isinstance(event, StreamDeltaEvent):
                break
        desk = journal.here()
        following = (await desk.read(stream_id, -1)).events
        end = StreamErrorEvent(stream_id=stream_id, sequence=len(following))
        assert await desk.write(Append(stream_id, len(following), (end,), ends=True))
        with caplog.at_level(logging.WARNING):
            await until(lambda: "taken for lost" in caplog.text)
        events = await read(journal, stream_id)

    assert [event.sequence for event in events] == list(range(len(events)))
    assert events[-1] is end
