"""What type checkers must accept: every line of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from steer_llm_sdk import SteerLLMClient, StreamingResponse, SyncSteerLLMClient
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.shapes import TokenUsage
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.processor import (
    EventFilter,
    EventProcessor,
    EventTransformer,
    create_event_processor,
)


async def on_start(event: StreamStartEvent) -> None:
    print(event.provider.upper(), event.timestamp + 1.0)


async def on_delta(event: StreamDeltaEvent) -> None:
    print(event.get_text().upper(), event.chunk_index + 1)


def on_usage(event: StreamUsageEvent) -> TokenUsage:
    return event.usage


def on_complete(event: StreamCompleteEvent) -> None:
    print(event.duration_ms / 1000)


async def on_error(event: StreamErrorEvent) -> bool:
    return event.is_retryable


def on_any(event: StreamEvent) -> None:
    print(event.sequence)


async def old(data: dict[str, Any]) -> None:
    print(data["text"])


def old_mapping(data: Mapping[str, Any]) -> None:
    print(data["text"])


def either(data: StreamDeltaEvent | dict[str, Any]) -> None:
    print(data)


def labelled(label: str, event: StreamDeltaEvent) -> None:
    print(label, event.get_text())


class Collector:
    def __init__(self) -> None:
        self.texts: list[str] = []

    async def on_delta(self, event: StreamDeltaEvent) -> None:
        self.texts.append(event.get_text())

    def __call__(self, event: StreamEvent) -> None:
        print(event)


class Upper(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent | None:
        if isinstance(event, StreamDeltaEvent) and isinstance(event.delta, str):
            event.delta = event.delta.upper()
        return event


class Slow(EventTransformer):
    async def transform(self, event: StreamEvent) -> list[StreamEvent]:
        return [event, event]


class Deltas(EventFilter):
    def should_process(self, event: StreamEvent) -> bool:
        return event.type == "delta"


async def handle(events: list[StreamEvent]) -> None:
    print(len(events))


async def use(client: SteerLLMClient) -> StreamingResponse:
    processor = create_event_processor(
        event_types=[StreamDeltaEvent, "usage"],
        predicate=lambda event: event.sequence > 1,
        batch_size=10,
        batch_handler=handle,
    )
    processor.add_filter(Deltas())
    options = StreamingOptions(
        event_processor=EventProcessor([Deltas()], [Upper(), Slow()]), text_transformers=[Upper()]
    )
    await client.stream_with_usage("Hello", "gpt-4o", streaming_options=options)
    await client.stream_with_usage(
        "Hello",
        "gpt-4o",
        on_start=on_start,
        on_delta=on_delta,
        on_usage=on_usage,
        on_complete=on_complete,
        on_error=on_error,
    )
    collector = Collector()
    kept: list[StreamEvent] = []
    await client.stream_with_usage(
        "Hello", "gpt-4o", on_delta=collector.on_delta, on_usage=collector
    )
    await client.stream_with_usage("Hello", "gpt-4o", on_delta=old, on_usage=old_mapping)
    await client.stream_with_usage("Hello", "gpt-4o", on_delta=either, on_error=on_any)
    await client.stream_with_usage("Hello", "gpt-4o", on_delta=partial(labelled, "a"))
    await client.stream_with_usage("Hello", "gpt-4o", on_delta=print, on_usage=kept.append)
    await client.stream_with_usage(
        "Hello",
        "gpt-4o",
        on_start=lambda e: print(f"Started at {e.timestamp}"),
        on_delta=lambda event: collector.texts.append(event.get_text()),
        on_complete=lambda e: print(f"Done in {e.duration_ms}ms"),
    )
    async with client.stream_events("Hello", "gpt-4o", seed=7, stop=["\n"]) as stream:
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                print(event.get_text().upper())
    async for text in client.stream("Hello", "gpt-4o", top_p=0.5):
        print(text.upper())
    async for row in client.stream_items("Hello", int, "gpt-4o", system="Count."):
        print(row)
    return await client.generate("Hello", "gpt-4o", response_format=dict, metadata={"user": 1})


async def use_manager() -> StreamDeltaEvent:
    manager = EventManager(on_start, old, on_any, on_complete=lambda event: event.duration_ms / 2)
    manager.add("delta", on_delta)
    return await manager.emit_delta("Hello", chunk_index=3)


def use_blocking(client: SyncSteerLLMClient) -> str:
    client.stream_with_usage("Hello", "gpt-4o", on_delta=on_delta, on_error=old)
    client.stream_with_usage("Hello", "gpt-4o", on_usage=lambda event: event.usage)
    texts = [text.upper() for text in client.stream("Hello", "gpt-4o", stop="\n")]
    return client.generate("Hello", "gpt-4o", tools=[]).get_text() + "".join(texts)
