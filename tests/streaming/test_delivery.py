"""What comes through a processor when the stream is stopped from within it."""

from __future__ import annotations

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import EventProcessor, EventTransformer
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import Script, ScriptedProvider
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
