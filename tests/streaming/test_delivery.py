"""What comes through a processor: in the order of a stream, and when it is stopped from within."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import EventProcessor, EventTransformer
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import CutAt, Script, ScriptedProvider
from support.events import texts


class Stopper(EventTransformer):
    """Cancels the stream at its second delta, and lets that pass."""

    stream: EventStream

    def transform(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamDeltaEvent) and event.get_text() == "b":
            self.stream.cancel("enough")
        return event


class OwnDelta(StreamDeltaEvent):
    """A delta of a class of the user's."""


class OwnStopper(Stopper):
    """As `Stopper`, for deltas of another class."""

    def transform(self, event: StreamEvent) -> StreamEvent:
        event = super().transform(event)
        return OwnDelta(delta=event.delta) if isinstance(event, StreamDeltaEvent) else event


class AsyncStopper(Stopper):
    """As `Stopper`, as a coroutine."""

    async def transform(self, event: StreamEvent) -> StreamEvent:  # type: ignore[override]
        return super().transform(event)


@pytest.mark.parametrize(
    "stopper", [Stopper(), OwnStopper(), AsyncStopper()], ids=["sync", "own class", "async"]
)
async def test_a_delta_during_which_a_transformer_stops_the_stream_is_not_delivered(
    stopper: Stopper,
) -> None:
    client = SteerLLMClient("test", transport=ScriptedProvider(Script(["a", "b", "c"])))
    options = StreamingOptions(event_processor=EventProcessor(transformers=[stopper]))

    async with client.stream_events("?", "gpt-4o", streaming_options=options) as stream:
        stopper.stream = stream
        events: list[StreamEvent] = [event async for event in stream]

    assert texts(events) == ["a"]
    assert [event.type for event in events] == ["start", "delta", "usage", "error"]
    assert [event.sequence for event in events] == [0, 1, 2, 3]


class Twice(EventTransformer):
    """Makes two of every delta."""

    def transform(self, event: StreamEvent) -> list[StreamEvent]:
        return [event, event] if isinstance(event, StreamDeltaEvent) else [event]


async def test_of_two_events_that_were_made_of_one_the_second_does_not_outlive_a_stop() -> None:
    client = SteerLLMClient("test", transport=ScriptedProvider(Script(["a", "b"])))
    options = StreamingOptions(event_processor=EventProcessor(transformers=[Twice()]))
    seen: list[str] = []

    async with client.stream_events("?", "gpt-4o", streaming_options=options) as stream:
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                seen.append(event.get_text())
                stream.cancel("enough")

    assert seen == ["a"]


class Made(EventTransformer):
    """Makes of each event what a table says: the types of other events, beside it or in its place.

    Args:
        table: What is made, by the event's type.
    """

    _KINDS: Mapping[str, type[StreamEvent]] = {
        "start": StreamStartEvent,
        "delta": StreamDeltaEvent,
        "usage": StreamUsageEvent,
        "complete": StreamCompleteEvent,
    }

    def __init__(self, table: Mapping[str, Sequence[str]], *, waits: bool) -> None:
        self._table = table
        self._waits = waits

    async def _later(self, events: list[StreamEvent]) -> list[StreamEvent]:
        await asyncio.sleep(0)
        return events

    def transform(self, event: StreamEvent) -> Any:
        made: list[StreamEvent] = [
            event if kind == event.type else self._make(kind)
            for kind in self._table.get(event.type, [event.type])
        ]
        return self._later(made) if self._waits else made

    def _make(self, kind: str) -> StreamEvent:
        made = self._KINDS[kind]()
        if isinstance(made, StreamDeltaEvent):
            made.delta = "made"
        return made


@pytest.mark.parametrize("waits", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"start": ["start", "start"]}, "start delta delta usage complete"),
        ({"usage": ["usage", "usage"]}, "start delta delta usage complete"),
        ({"complete": ["complete", "complete"]}, "start delta delta usage complete"),
        ({"delta": ["start", "delta"]}, "start delta delta usage complete"),
        ({"delta": ["start"]}, "start usage complete"),
        ({"usage": ["start", "usage"]}, "start delta delta usage complete"),
        ({"usage": ["usage", "delta"]}, "start delta delta usage complete"),
        ({"complete": ["delta", "complete"]}, "start delta delta usage complete"),
        ({"start": ["start", "complete"]}, "start delta delta usage complete"),
        ({"delta": ["delta", "usage"]}, "start delta delta usage complete"),
        ({"start": ["delta", "start"]}, "delta delta delta usage complete"),
        ({"start": [], "usage": ["start", "usage"]}, "delta delta usage complete"),
        ({"start": [], "delta": ["start"]}, "start usage complete"),
        ({"usage": ["delta", "usage"]}, "start delta delta delta usage complete"),
        ({"usage": ["complete"]}, "start delta delta complete"),
    ],
    ids=str,
)
async def test_whatever_a_transformer_makes_comes_in_the_order_of_a_stream(
    table: Mapping[str, Sequence[str]], expected: str, *, waits: bool
) -> None:
    client = SteerLLMClient("test", transport=ScriptedProvider(Script(["a", "b"])))
    processor = EventProcessor(transformers=[Made(table, waits=waits)])
    options = StreamingOptions(event_processor=processor)

    async with client.stream_events("?", "gpt-4o", streaming_options=options) as stream:
        events: list[StreamEvent] = [event async for event in stream]

    assert " ".join(event.type for event in events) == expected
    assert [event.sequence for event in events] == list(range(len(events)))


async def test_what_may_not_follow_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    client = SteerLLMClient("test", transport=ScriptedProvider(Script(["a", "b"])))
    processor = EventProcessor(transformers=[Made({"delta": ["start", "delta"]}, waits=False)])

    options = StreamingOptions(event_processor=processor)
    await client.generate("?", "gpt-4o", streaming_options=options)

    assert [record.message for record in caplog.records] == [
        "a transformer made a start event where none may follow; it is dropped"
    ]


class Slow(EventTransformer):
    """Notes what it is given, and waits a moment with each."""

    def __init__(self) -> None:
        self.given: list[str] = []

    async def transform(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamDeltaEvent):
            self.given.append(event.get_text())
        await asyncio.sleep(0)
        return event


async def test_deltas_that_were_read_but_not_asked_for_never_were_after_a_stop() -> None:
    script = Script(["a", "b", "c"], faults=[CutAt((1_000_000,))])  # all of the body in one read
    slow = Slow()
    client = SteerLLMClient("test", transport=ScriptedProvider(script))
    options = StreamingOptions(event_processor=EventProcessor(transformers=[slow]))

    async with client.stream_events("?", "gpt-4o", streaming_options=options) as stream:
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                stream.cancel("enough")

    assert slow.given == ["a"]
    assert stream.response.get_text() == "a"
