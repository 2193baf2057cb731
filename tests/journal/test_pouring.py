"""What a journal holds of an answer whose deltas are written, or queued, as their bytes come."""

from __future__ import annotations

import asyncio
import logging
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerError, SteerLLMClient, StreamingOptions
from steer_llm_sdk.journal import Journal, MemoryJournal, SQLiteJournal, generation
from steer_llm_sdk.journal.generation import Generation
from steer_llm_sdk.journal.store import Append, Claim
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
PATIENT = StreamingOptions(max_retries=0)  # however busy the machine is

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


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    made = MemoryJournal() if request.param == "memory" else _in_file(tmp_path)
    async with made as journal:
        yield journal


def _in_file(folder: Path) -> SQLiteJournal:
    return SQLiteJournal(folder / "journal.db", patience=0.01)


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
    name: str, watched: Watched, journal: Journal
) -> None:
    limits = QUICK if name == "silent" else PATIENT
    async with LoopbackServer(SCRIPTS[name]) as server, client_of(server) as client:
        held = []
        for watched.is_on in (True, False):
            stream_id = await client.start("Hi", MODEL, streaming_options=limits, journal=journal)
            held.append(await read(journal, stream_id))

    poured, pulled = held
    check_stream(poured)
    assert said(poured) == said(pulled)
    assert told(poured) == told(pulled)
    if name != "compressed":  # whose bytes are not those that come
        assert watched.poured > 0


async def test_most_deltas_of_a_paced_answer_are_written_as_they_come(
    watched: Watched, journal: Journal
) -> None:
    async with LoopbackServer(SCRIPTS["whole"]) as server, client_of(server) as client:
        events = await read(journal, await client.start("Hi", MODEL, journal=journal))

    assert said(events) == "".join(WORDS)
    assert watched.poured >= len(WORDS) - 2


async def test_what_a_processor_has_to_see_is_pulled(watched: Watched, journal: Journal) -> None:
    options = StreamingOptions(event_processor=EventProcessor())
    async with LoopbackServer(SCRIPTS["whole"]) as server, client_of(server) as client:
        started = client.start("Hi", MODEL, streaming_options=options, journal=journal)
        events = await read(journal, await started)

    assert said(events) == "".join(WORDS)
    assert watched.poured == 0


@pytest.mark.parametrize("how", ["journal", "client"])
async def test_it_can_be_stopped_while_nothing_comes(
    how: str, watched: Watched, journal: Journal
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
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    journal = MemoryJournal()
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
    assert watched.poured < len(WORDS * 100)


async def test_whose_journal_is_closed_stops(
    watched: Watched, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(WORDS * 200, faults=[PACED])
    async with LoopbackServer(script) as server, client_of(server) as client:
        await client.start("Hi", MODEL, journal=journal)
        await until(lambda: watched.poured >= 4)

        await journal.close()
        await until(lambda: "has failed apart from its caller" in caplog.text)

    assert "the journal was closed" in caplog.text
    assert watched.poured < len(WORDS * 100)


async def test_whose_stream_is_not_kept_any_more_stops(
    watched: Watched, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(WORDS * 200, faults=[PACED])
    async with (
        _in_file(tmp_path) as journal,
        LoopbackServer(script) as server,
        client_of(server) as client,
    ):
        await client.start("Hi", MODEL, journal=journal)
        await until(lambda: watched.poured >= 4)

        with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
            db.execute("DELETE FROM streams")
        with caplog.at_level(logging.WARNING):
            await until(lambda: "taken for lost" in caplog.text)
        await until(lambda: not journal.here()._producers)

        assert watched.poured < len(WORDS * 100)


class Relapsing:
    """A source that goes on after it has told of an error, and then fails without a word."""

    def __init__(self) -> None:
        self._left: list[StreamEvent] = [StreamErrorEvent(sequence=0, error=SteerError("first"))]
        self._poured = False

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._left:
            return self._left.pop()
        raise SteerError("second")

    async def pour(self, sink: Callable[[list[StreamEvent]], bool]) -> None:
        if not self._poured:
            self._poured = True
            sink([StreamDeltaEvent(delta="Hello", sequence=1)])

    def cancel(self, reason: str = "") -> None: ...

    async def aclose(self) -> None: ...


async def test_an_error_before_what_was_poured_is_not_the_one_behind_it(journal: Journal) -> None:
    desk = journal.here()
    await desk.claim(Claim("s", None, ""))

    await Generation(desk, Relapsing(), StreamEvent(stream_id="s"), turns=True).run()

    events = await read(journal, "s")
    assert [event.type for event in events] == ["error", "delta", "error"]
    assert [str(event.error) for event in events if isinstance(event, StreamErrorEvent)] == [
        "first",
        "second",
    ]


class Flood:
    """A source that hands on deltas without end, as long as they are taken."""

    def __init__(self) -> None:
        self.count = 0
        self.most_untold = 0
        self.generation: Generation | None = None
        self.cancelled: str | None = None
        self.was_left = False

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        if self.count == 0:
            return self._next()
        if self.cancelled is None and self.count < 3000:
            return self._next()
        raise StopAsyncIteration

    def _next(self) -> StreamEvent:
        self.count += 1
        return StreamDeltaEvent(delta=f"{self.count} ", sequence=self.count - 1)

    async def pour(self, sink: Callable[[list[StreamEvent]], bool]) -> None:
        assert self.generation is not None
        while self.count < 3000 and sink([self._next()]):
            self.most_untold = max(self.most_untold, self.count - self.generation.written)

    def cancel(self, reason: str = "") -> None:
        self.cancelled = reason

    async def aclose(self) -> None:
        self.was_left = True


async def _generate(journal: SQLiteJournal) -> tuple[Flood, Generation]:
    desk, source = journal.here(), Flood()
    await desk.claim(Claim("s", None, ""))
    source.generation = Generation(desk, source, StreamEvent(stream_id="s"))
    return source, source.generation


async def test_a_store_that_is_slow_slows_what_comes_by_itself(tmp_path: Path) -> None:
    async with _in_file(tmp_path) as journal:
        source, generation = await _generate(journal)
        await generation.run()
        events = await read(journal, "s")

    assert 400 < source.most_untold <= 500
    assert [event.sequence for event in events] == list(range(3000))
    assert said(events) == "".join(f"{number} " for number in range(1, 3001))


async def test_what_is_queued_and_cannot_be_written_ends_the_generation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _in_file(tmp_path) as journal:
        source, generation = await _generate(journal)
        running = asyncio.create_task(generation.run())
        await until(lambda: generation.written > 0)
        with _full_disk(tmp_path):
            await running
        events = await read_so_far(journal)

    assert source.was_left
    assert source.cancelled == "its events cannot be written"
    assert "stream s has failed apart from its caller" in caplog.text
    assert [event.sequence for event in events] == list(range(generation.written))


@contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    full = (folder / "journal.db-wal").stat().st_size
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, unlimited[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


async def read_so_far(journal: SQLiteJournal) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    while page := (await journal.here().read("s", len(events) - 1)).events:
        events += page
    return events
