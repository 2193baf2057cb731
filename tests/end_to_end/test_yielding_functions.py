"""A function that yields runs nothing when it is called: it is refused, or its user is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from steer_llm_sdk import CallbackError, ConfigurationError, SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks import LoggingSink
from steer_llm_sdk.streaming.manager import KINDS, EventManager
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    CompositeFilter,
    EventFilter,
    EventProcessor,
    PredicateFilter,
)
from steer_llm_sdk.testing import ScriptedProvider

STRICT = StreamingOptions(raise_callback_errors=True)


def plain(*_: Any) -> Iterator[int]:
    yield 1


async def asynchronous(*_: Any) -> AsyncIterator[int]:
    yield 1


class Plain:
    def __call__(self, *_: Any) -> Iterator[int]:
        yield 1

    method = __call__


class Asynchronous:
    async def __call__(self, *_: Any) -> AsyncIterator[int]:
        yield 1

    method = __call__


class Filter(EventFilter):
    def __init__(self, function: Any) -> None:
        self.should_process = function  # type: ignore[method-assign]  # as its user may do

    def should_process(self, event: StreamEvent) -> bool:
        raise NotImplementedError


YIELDING: list[Any] = [
    plain,
    asynchronous,
    Plain(),
    Asynchronous(),
    Plain().method,
    Asynchronous().method,
    partial(plain, 1),
    partial(partial(asynchronous, 1), 2),
]


def manage(name: str, callback: Any) -> EventManager:
    return EventManager(**{name: callback})


PLACES: dict[str, Callable[[Any], Any]] = {
    **{f"on_{kind}": partial(manage, f"on_{kind}") for kind in KINDS},
    "predicate": PredicateFilter,
    "should_process": lambda given: EventProcessor([Filter(given)]),
    "should_process of a composite": lambda given: CompositeFilter([Filter(given)]),
    "batch_handler": lambda given: BatchedEventProcessor(batch_handler=given),
    "on_progress": lambda given: scripted().map(["?"], "gpt-4o", on_progress=given),
    "on_progress of the blocking client": lambda given: SyncSteerLLMClient("k").map(
        ["?"], "gpt-4o", on_progress=given
    ),
}


def scripted() -> SteerLLMClient:
    return SteerLLMClient("k", transport=ScriptedProvider("Hello"))


@pytest.mark.parametrize("function", YIELDING)
@pytest.mark.parametrize("place", PLACES)
def test_a_function_that_yields_is_refused_before_it_is_needed(place: str, function: Any) -> None:
    expected = f"{place.split(maxsplit=1)[0]}: expected a function, found the "
    with pytest.raises(ConfigurationError, match=f"^{expected}(asynchronous )?generator"):
        PLACES[place](function)


# What cannot be seen before it is called: a plain function that gives what another one makes.
MAKERS = [lambda *_: plain(), lambda *_: asynchronous()]


@pytest.mark.parametrize("maker", MAKERS)
async def test_a_callback_that_gives_a_generator_is_told_of(maker: Any) -> None:
    async with scripted() as client:
        response = await client.stream_with_usage("?", "gpt-4o", on_delta=maker, on_start=maker)
        assert response.ok
        assert client.stats.callback_errors == 2
        with pytest.raises(CallbackError, match="nothing would ever run"):
            await client.stream_with_usage("?", "gpt-4o", on_delta=maker, streaming_options=STRICT)


@pytest.mark.parametrize("maker", MAKERS)
def test_so_is_one_of_the_blocking_client(maker: Any) -> None:
    with SyncSteerLLMClient("k", transport=ScriptedProvider("Hello")) as client:
        client.stream_with_usage("?", "gpt-4o", on_delta=maker)
        assert client.stats.callback_errors == 1
        with pytest.raises(CallbackError, match="nothing would ever run"):
            client.stream_with_usage("?", "gpt-4o", on_delta=maker, streaming_options=STRICT)


@pytest.mark.parametrize("maker", MAKERS)
async def test_so_are_handlers_and_what_is_told_of_progress(
    maker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    processor = BatchedEventProcessor(batch_size=1, batch_handler=maker)
    async with scripted() as client:
        await client.generate(
            "?", "gpt-4o", streaming_options=StreamingOptions(event_processor=processor)
        )
        await client.gather(["?"], "gpt-4o", on_progress=maker)
        with SyncSteerLLMClient("k", transport=ScriptedProvider("Hello")) as blocking:
            await asyncio.to_thread(blocking.gather, ["?"], "gpt-4o", on_progress=maker)

    told = [record.message.split()[0] for record in caplog.records if record.exc_info]
    assert told == ["handler", "callback", "callback"]


@pytest.mark.parametrize("maker", MAKERS)
async def test_old_callbacks_of_the_manager_are_told_of_too(maker: Any) -> None:
    manager = EventManager(on_start=maker)

    await manager.emit_start("anything")

    assert manager.faults.count == 1


@pytest.mark.parametrize("function", YIELDING)
@pytest.mark.parametrize("name", ["stream_started", "event", "stream_ended"])
def test_a_sink_that_yields_is_refused(name: str, function: Any) -> None:
    sink = LoggingSink()
    setattr(sink, name, function)

    with pytest.raises(ConfigurationError, match=rf"sinks\[0\]\.{name}: expected a function"):
        SteerLLMClient("k", sinks=[sink])
