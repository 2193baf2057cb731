"""Text transformers: what they drop or change is nowhere, and each attempt has its own."""

from __future__ import annotations

import asyncio
from typing import Any

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent, StreamUsageEvent
from steer_llm_sdk.pipeline.text_stage import TextStage
from steer_llm_sdk.pipeline.transformers import EventTransformer


def delta(text: str) -> StreamDeltaEvent:
    return StreamDeltaEvent(delta=text)


def words(events: list[StreamDeltaEvent]) -> list[Any]:
    return [event.delta for event in events]


class Upper(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent:
        assert isinstance(event, StreamDeltaEvent)
        event.delta = str(event.delta).upper()
        return event


class SlowUpper(EventTransformer):
    async def transform(self, event: StreamEvent) -> StreamEvent:
        await asyncio.sleep(0)
        return Upper().transform(event)


class Hoarder(EventTransformer):
    """Keeps all until the end."""

    def __init__(self) -> None:
        self.held: list[StreamEvent] = []

    def for_stream(self) -> Hoarder:
        return type(self)()

    def transform(self, event: StreamEvent) -> None:
        self.held.append(event)

    def finish(self) -> list[StreamEvent]:
        return self.held


class SlowHoarder(Hoarder):
    async def finish(self) -> list[StreamEvent]:  # type: ignore[override] # both are allowed
        await asyncio.sleep(0)
        return self.held


class Odd(EventTransformer):
    """Gives what is no delta, and one that is empty."""

    def transform(self, event: StreamEvent) -> list[StreamEvent]:
        return [StreamUsageEvent(), delta(""), event]


def begun(*transformers: EventTransformer) -> TextStage:
    stage = TextStage(transformers)
    stage.begin_attempt()
    return stage


async def processed(stage: TextStage, events: list[StreamDeltaEvent]) -> list[StreamDeltaEvent]:
    kept = stage.process(events)
    return kept if isinstance(kept, list) else await kept


async def test_without_transformers_there_is_nothing_to_do() -> None:
    stage = begun()

    assert not stage.is_needed
    assert await stage.finish() == []


async def test_deltas_pass_the_transformers_plain_and_asynchronous() -> None:
    for transformer in (Upper(), SlowUpper()):
        stage = begun(transformer)

        assert stage.is_needed
        assert words(await processed(stage, [delta("a"), delta("b")])) == ["A", "B"]


async def test_what_is_held_comes_at_the_end_and_only_once() -> None:
    for transformer in (Hoarder(), SlowHoarder()):
        stage = begun(transformer)

        assert await processed(stage, [delta("a"), delta("b")]) == []
        assert words(await stage.finish()) == ["a", "b"]
        assert await stage.finish() == []


async def test_what_an_earlier_attempt_held_is_gone() -> None:
    stage = begun(Hoarder())
    await processed(stage, [delta("first attempt")])

    stage.begin_attempt()
    await processed(stage, [delta("second")])

    assert words(await stage.finish()) == ["second"]


async def test_only_deltas_that_say_something_go_on() -> None:
    assert words(await processed(begun(Odd()), [delta("a")])) == ["a"]


async def test_a_stream_that_never_began_holds_nothing() -> None:
    assert await TextStage([Hoarder()]).finish() == []
