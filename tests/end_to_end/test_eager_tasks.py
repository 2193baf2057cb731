"""A loop whose tasks begin at once (`asyncio.eager_task_factory`) changes nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    EventProcessor,
    EventTransformer,
)
from steer_llm_sdk.testing import (
    HTTPError,
    Pace,
    RecordedRequest,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
)
from support.heartbeats import QuickClock, read_with_heartbeats

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks begin later")

WORDS = [f"w{number} " for number in range(8)]
TEXT = "".join(WORDS)


class Wait(EventTransformer):
    async def transform(self, event: StreamEvent) -> StreamEvent:
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        return event


@pytest.fixture(autouse=True)
async def eager_tasks() -> None:
    factory: Any = getattr(asyncio, "eager_task_factory", None)
    asyncio.get_running_loop().set_task_factory(factory)


@pytest.fixture
async def client() -> AsyncIterator[SteerLLMClient]:
    provider = ScriptedProvider(Script(WORDS, faults=[Pace(0.001)]))
    async with SteerLLMClient("k", transport=provider) as running:
        yield running


def said(events: list[Any]) -> str:
    return "".join(event.get_text() for event in events if isinstance(event, StreamDeltaEvent))


async def test_callbacks_processors_and_batches(client: SteerLLMClient) -> None:
    seen: list[str] = []
    batches: list[int] = []

    async def note(event: StreamDeltaEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.get_text())

    async def hand_over(batch: list[StreamEvent]) -> None:
        batches.append(len(batch))
        await asyncio.sleep(0)
        batches.append(-1)  # the end of its handling: before the next one begins

    processor = BatchedEventProcessor(
        transformers=[Wait()], batch_size=3, batch_timeout_ms=60_000, batch_handler=hand_over
    )
    response = await client.stream_with_usage(
        "Hi",
        "gpt-4o",
        on_delta=note,
        streaming_options=StreamingOptions(event_processor=processor),
    )

    assert response.get_text() == "".join(seen) == TEXT
    assert sum(batches[::2]) == len(WORDS) + 3
    assert set(batches[1::2]) == {-1}


@pytest.mark.parametrize("manner", ["own task", "same task"])
async def test_heartbeats_with_observers_beside(client: SteerLLMClient, manner: Any) -> None:
    processor = EventProcessor(transformers=[Wait()])
    options = StreamingOptions(event_processor=processor)
    stream = client.stream_events("Hi", "gpt-4o", streaming_options=options)
    observer = stream.subscribe()

    mine, others = await asyncio.gather(
        read_with_heartbeats(stream, [1, 3, 2], manner),
        read_with_heartbeats(observer, [2, 1], manner),
    )

    assert said(mine) == said(others) == TEXT
    assert [event.type for event in mine] == [event.type for event in others]


async def test_an_attempt_after_a_pause() -> None:
    def answer(request: RecordedRequest) -> Script:
        return Script(WORDS, faults=[HTTPError(503)] if request.number == 1 else [])

    provider = ScriptedProvider(answer)
    async with SteerLLMClient("k", transport=provider, clock=QuickClock()) as client:
        events = await read_with_heartbeats(
            client.stream_events("Hi", "gpt-4o"), [1, 2], "same task"
        )

    assert said(events) == TEXT
    assert len(provider.requests) == 2


async def test_many_prompts(client: SteerLLMClient) -> None:
    results = await client.gather([f"{number}" for number in range(9)], "gpt-4o", concurrency=3)

    assert [result.index for result in results] == list(range(9))
    assert {result.response.get_text() for result in results if result.response} == {TEXT}


async def test_a_stream_that_outlives_its_caller(client: SteerLLMClient) -> None:
    async with MemoryJournal() as journal:
        name = await client.start("Hi", "gpt-4o", journal=journal)
        followed = await asyncio.gather(
            *(read_with_heartbeats(journal.attach(name), [1, 2], "same task") for _ in range(3))
        )

    assert [said(events) for events in followed] == [TEXT] * 3


async def test_functions_that_are_called() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    def plain(number: int) -> int:
        return number + 1

    def answer(request: RecordedRequest) -> Script:
        if request.number > 1:
            return Script(WORDS)
        names = ("double", "plain")
        return Script((), tool_calls=[ScriptedToolCall(name, ['{"number": 4}']) for name in names])

    provider = ScriptedProvider(answer)
    async with SteerLLMClient("k", transport=provider) as client:
        result = await client.run("Hi", "gpt-4o", tools=[double, plain])

    assert result.response.get_text() == TEXT
    answers = [each["content"] for each in provider.requests[1].json["messages"][-2:]]
    assert answers == ["8", "5"]
