"""Text transformers: what they drop or change is nowhere, and each attempt has its own."""

from __future__ import annotations

import asyncio
from typing import Any

from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent, StreamUsageEvent
from steer_llm_sdk.models.fragments import Finish, Usage
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.pipeline.text_stage import TextStage
from steer_llm_sdk.streaming.processor import (
    CoalesceTransformer,
    CorrelationTransformer,
    EventTransformer,
    MetricsTransformer,
    RateLimiter,
    RedactTransformer,
    TimestampTransformer,
)


def delta(text: str) -> StreamDeltaEvent:
    return StreamDeltaEvent(delta=text)


def words(events: list[StreamDeltaEvent]) -> list[Any]:
    return [event.delta for event in events]


class Upper(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent:
        assert isinstance(event, StreamDeltaEvent)
        event.delta = str(event.delta).upper()
        return event


class Untouched(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent:
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

    @classmethod
    def shared(cls) -> Hoarder:
        """One instance for all streams."""

        class Shared(cls):  # type: ignore[valid-type, misc]  # of whichever class this is
            def for_stream(self) -> Hoarder:
                return self

        return Shared()


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


# --- what redacts -----------------------------------------------------------------------------


def test_a_class_with_a_transform_of_its_own_redacts_unless_it_says_otherwise() -> None:
    class Own(CoalesceTransformer):
        def transform(self, event: StreamEvent) -> Any:
            return super().transform(event)

    class Says(CoalesceTransformer):
        redacts = False

        def transform(self, event: StreamEvent) -> Any:
            return super().transform(event)

    class Named(CoalesceTransformer):
        pass

    shipped = (
        CoalesceTransformer("word"),
        RateLimiter(1.0),
        CorrelationTransformer(),
        TimestampTransformer(),
        MetricsTransformer(),
        Says("word"),
        Named("word"),
    )
    assert not any(TextStage([one]).redacts for one in shipped)
    for one in (Own("word"), RedactTransformer("a"), Upper()):
        assert TextStage([*shipped, one]).redacts


async def test_words_alone_are_redacted_without_a_wait_and_what_stands_beside_with_one() -> None:
    stage = begun(RedactTransformer("secret", "*"))
    beside = StreamDeltaEvent(delta="b", metadata={"said": "a secret", "n": 1})

    assert isinstance(stage.process([delta("a")]), list)
    kept = await processed(stage, [delta("a"), beside, delta("secret, c")])

    assert words(kept) == ["a", "b", "*, c"]
    assert beside.metadata == {"said": "a *", "n": 1}


async def test_what_stands_beside_passes_as_it_is_where_nothing_redacts() -> None:
    beside = StreamDeltaEvent(delta={"type": "reasoning", "text": "b", "note": "c"})
    beside.metadata = {"said": "secret"}
    stage = begun(CoalesceTransformer("word"))
    error = ProtocolError("found 'secret'")
    error.quote = "'secret'"
    await stage.clean_error(error)
    await processed(stage, [beside])
    (kept,) = await stage.finish()

    assert kept.metadata == {"said": "secret"}
    assert str(error) == "found 'secret'"


async def test_a_delta_of_which_nothing_is_left_is_none() -> None:
    bare = StreamDeltaEvent(delta={"type": "reasoning", "text": "", "note": "words"})

    assert await processed(begun(Untouched()), [bare]) == []


async def test_a_delta_that_says_something_goes_on_whatever_else_it_lacks() -> None:
    call = StreamDeltaEvent(
        delta={"type": "tool_call", "index": 0, "id": "c", "name": None, "arguments": ""}
    )

    assert await processed(begun(Untouched()), [call]) == [call]


async def test_a_later_attempt_is_cleaned_as_the_first_began() -> None:
    """One instance serves both: what it holds of the first attempt is in no other text."""
    stage = begun(Hoarder.shared())
    await processed(stage, [delta("first attempt")])
    stage.begin_attempt()
    error = ProtocolError("found nothing")
    await stage.clean_error(error)

    assert str(error) == "found nothing"


async def test_what_the_provider_said_beside_the_answer_is_cleaned_at_the_end() -> None:
    intake = Intake(StreamingResponse(), wall_offset=0.0)
    finish = Finish("stop", "a secret")
    intake.metadata = {"response_id": "secret"}
    intake.put_pending({"finishMessage": "a secret"})
    intake.usage = Usage({"prompt_tokens": 1}, {"note": "secret", "n": [1, "secret"]})
    intake.finish = finish
    await begun(RedactTransformer("secret", "*")).clean_beside(intake)

    assert intake.metadata == {"response_id": "*"}
    assert intake.take_pending() == {"finishMessage": "a *"}
    assert intake.usage == Usage({"prompt_tokens": 1}, {"note": "*", "n": [1, "*"]})
    assert intake.finish == Finish("stop", "a *")
    assert finish.provider_reason == "a secret"  # a decoder may give the same one again


class Slow(EventTransformer):
    """Takes its time over every event."""

    async def transform(self, event: StreamEvent) -> StreamEvent:
        await asyncio.sleep(0)
        return event


async def test_what_waits_for_the_next_event_is_not_lost_when_cleaning_is_cancelled() -> None:
    intake = Intake(StreamingResponse(), wall_offset=0.0)
    intake.put_pending({"finishMessage": "said"})
    cleaning = asyncio.ensure_future(begun(Slow()).clean_beside(intake))
    await asyncio.sleep(0)

    cleaning.cancel()
    await asyncio.wait([cleaning])

    assert cleaning.cancelled()
    assert intake.take_pending() == {"finishMessage": "said"}
