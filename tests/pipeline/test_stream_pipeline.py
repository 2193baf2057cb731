"""One stream's way through filters, transformers and batches."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.pipeline.chain import resolve
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    CoalesceTransformer,
    CompositeFilter,
    CorrelationTransformer,
    EventFilter,
    EventProcessor,
    EventTransformer,
    MetricsTransformer,
    PredicateFilter,
    RateLimiter,
    RedactTransformer,
    TimestampTransformer,
)
from support.events import Hold, complete, delta, failure, start, usage


class Adds(EventTransformer):
    """Puts a delta behind an event of one type; at once, or later."""

    def __init__(self, kind: str, is_later: bool = False) -> None:
        self.kind = kind
        self.is_later = is_later

    def transform(self, event: StreamEvent) -> Any:
        if event.type != self.kind:
            return event
        return self._later(event) if self.is_later else [event, delta("late")]

    async def _later(self, event: StreamEvent) -> list[StreamEvent]:
        return [event, delta("late")]


@pytest.mark.parametrize("is_later", [False, True])
@pytest.mark.parametrize("kind", ["usage", "complete", "error"])
async def test_nothing_comes_behind_an_event_that_it_may_not_follow(
    kind: str, is_later: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stream = EventProcessor(transformers=[Adds(kind, is_later)]).open_stream()
    made: dict[str, StreamEvent] = {"usage": usage(), "complete": complete(), "error": failure()}
    last = made[kind]

    assert await resolve(stream.process(last)) == [last]
    assert "may not follow" in caplog.text


async def test_what_comes_behind_a_delta_stays() -> None:
    stream = EventProcessor(transformers=[Adds("delta")]).open_stream()

    assert len(await resolve(stream.process(delta("a")))) == 2


def answers_none(event: StreamEvent) -> None:
    event.metadata["seen"] = True


class NoReturn(EventFilter):
    def should_process(self, event: StreamEvent) -> bool:
        answers_none(event)
        return None  # type: ignore[return-value]  # the mistake


class GivesNothing(EventTransformer):
    def transform(self, event: StreamEvent) -> None:
        answers_none(event)


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        (EventProcessor([NoReturn()]), "NoReturn"),
        (EventProcessor(transformers=[GivesNothing()]), "GivesNothing"),
    ],
)
async def test_what_drops_every_event_by_returning_nothing_is_named_once(
    processor: EventProcessor, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream = processor.open_stream()
    for event in (start(), delta("a"), delta("b"), failure(), complete()):
        await resolve(stream.process(event))
    await resolve(stream.finish())
    await stream.close()

    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warned) == 1
    assert name in warned[0]


@pytest.mark.parametrize(
    "processor",
    [
        EventProcessor([PredicateFilter(lambda _: False)]),
        EventProcessor(transformers=[Hold()]),
        EventProcessor(transformers=[RedactTransformer("secret")]),
    ],
)
async def test_what_drops_or_holds_on_purpose_is_not(
    processor: EventProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    stream = processor.open_stream()
    for event in (delta("sec"), delta("re")):
        await resolve(stream.process(event))
    await resolve(stream.finish())
    await stream.close()

    assert caplog.records == []


async def test_one_event_that_is_dropped_is_no_sign_of_a_mistake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = EventProcessor([NoReturn()]).open_stream()
    await resolve(stream.process(start()))
    await stream.close()

    assert caplog.records == []


# --- leaving early ----------------------------------------------------------------------------


async def test_a_stream_that_is_left_early_is_finished_once() -> None:
    finished: list[bool] = []
    batches: list[list[StreamEvent]] = []

    class Holds(Hold):
        def for_stream(self) -> Holds:
            return Holds()

        def finish(self) -> list[StreamEvent]:
            finished.append(True)
            return super().finish()

    async def source() -> AsyncIterator[StreamEvent]:
        for word in "abc":
            yield start()
            yield delta(word)

    processor = BatchedEventProcessor(transformers=[Holds()], batch_handler=batches.append)
    events = processor.process_stream(source())
    await anext(events)
    await anext(events)
    await events.aclose()  # type: ignore[attr-defined]  # it is a generator

    assert finished == [True]
    assert [event.type for batch in batches for event in batch][:2] == ["start", "start"]
    assert any(isinstance(event, StreamDeltaEvent) for event in batches[-1])


# --- what is asked and what can be read -------------------------------------------------------


class Later(EventFilter):
    async def should_process(self, event: StreamEvent) -> bool:  # type: ignore[override]
        return False


class AsksLater:
    async def __call__(self, event: StreamEvent) -> bool:
        return False


def asks_later(event: StreamEvent) -> object:
    return AsksLater()(event)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CompositeFilter([Later()]),
        lambda: PredicateFilter(AsksLater()),
        lambda: EventProcessor([Later()]),
        lambda: CompositeFilter([PredicateFilter]),  # type: ignore[list-item]
    ],
)
def test_a_filter_that_has_to_be_awaited_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


async def test_a_filter_that_returns_a_coroutine_drops_the_event_and_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hidden = PredicateFilter(asks_later)
    for one in (hidden, CompositeFilter([hidden]), CompositeFilter([hidden], require_all=False)):
        processor = EventProcessor([one])

        assert await resolve(processor.open_stream().process(delta())) == []
        assert processor.metrics.filter_errors == 1
    assert "expected true or false, found coroutine" in caplog.text


def test_a_predicate_that_is_asked_directly_and_raises_says_no(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = PredicateFilter(lambda event: event.metadata["missing"])

    assert broken.should_process(delta()) is False
    assert broken.should_process(delta()) is False
    assert len(caplog.records) == 1


def test_a_predicate_may_give_anything_true() -> None:
    assert PredicateFilter(lambda event: event).should_process(delta())
    assert not PredicateFilter(lambda event: event.metadata).should_process(delta())


def test_what_a_processor_was_made_with_can_be_read() -> None:
    handler = print
    batched = BatchedEventProcessor(
        batch_size=7, batch_timeout_ms=None, batch_handler=handler, background=True
    )

    assert (batched.batch_size, batched.batch_timeout_ms) == (7, None)
    assert batched.batch_handler is handler
    assert batched.background is True
    assert EventProcessor().background is False
    with pytest.raises(ConfigurationError, match="batch_size: expected a number above 0, found 0"):
        BatchedEventProcessor(batch_size=0, batch_handler=handler)


# --- a subclass that awaits -------------------------------------------------------------------

SHIPPED: list[type[Any]] = [
    CorrelationTransformer,
    TimestampTransformer,
    MetricsTransformer,
    CoalesceTransformer,
    RedactTransformer,
    RateLimiter,
]
ARGUMENTS: dict[type[Any], tuple[Any, ...]] = {
    CoalesceTransformer: ("word",),
    RedactTransformer: ("secret",),
    RateLimiter: (1000.0,),
}


@pytest.mark.parametrize("kind", SHIPPED)
async def test_what_a_shipped_transformer_gives_may_be_awaited(kind: type[Any]) -> None:
    async def transform(self: Any, event: StreamEvent) -> Any:
        return await super(awaiting, self).transform(event)

    awaiting: Any = type("Awaiting", (kind,), {"transform": transform})
    arguments = ARGUMENTS.get(kind, ())
    fed = ["a ", "sec", "re", "t b", " c"]
    given = [
        one for text in fed for one in _listed(await awaiting(*arguments).transform(delta(text)))
    ]
    assert given
    plain, later = kind(*arguments), awaiting(*arguments)
    texts = []
    for one in (plain, later):
        out: list[StreamEvent] = []
        for text in fed:
            result = one.transform(delta(text))
            out += _listed(await result)
        out += _listed(await one.finish())
        texts.append([event.get_text() for event in out if isinstance(event, StreamDeltaEvent)])
    assert texts[0] == texts[1]


def _listed(result: Any) -> list[StreamEvent]:
    if result is None:
        return []
    return result if isinstance(result, list) else [result]
