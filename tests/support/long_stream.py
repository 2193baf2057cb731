"""One very long stream through the real client, and what it takes: run by itself, as a program.

    python long_stream.py WAY DELTAS

prints a line of JSON: what grew between the first tenth of the deltas and the last, and how many
microseconds of CPU a delta took. The provider is a `Transport` that repeats the same bytes, so that
nothing but the library grows.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.redaction import RedactTransformer
from steer_llm_sdk.pipeline.shaping import CoalesceTransformer, RateLimiter
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    CorrelationTransformer,
    EventProcessor,
    EventTransformer,
    MetricsTransformer,
    TimestampTransformer,
    TypeFilter,
)

# The frames of one network read.
_FRAMES = 200
_END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def frame(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def deltas(*pieces: Mapping[str, Any]) -> bytes:
    """Frames with these deltas, one each."""
    return b"".join(frame({"choices": [{"index": 0, "delta": piece}]}) for piece in pieces)


def tool_piece(arguments: str, **first: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}, **first}]}


@dataclass(frozen=True)
class Said:
    """What the provider says: a beginning, one delta again and again, and an end."""

    again: Mapping[str, Any]
    before: bytes = b""
    after: bytes = b""


WORDS = Said({"content": "words "})
JSON = Said({"content": '"word", '}, deltas({"content": '{"a": ['}), deltas({"content": '"end"]}'}))
REASONING = Said({"reasoning_content": "words "})
TOOL = Said(
    tool_piece('"word", '),
    deltas({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "["}}]}),
    deltas(tool_piece('"end"]')),
)


class Repeating:
    """A `Transport` that says one thing very often, and keeps nothing.

    Args:
        said: What it says.
        count: How many deltas it says in each answer, a multiple of `frames`.
        frames: How many of them come at once.
    """

    def __init__(self, said: Said, count: int, frames: int = _FRAMES) -> None:
        block = deltas(*[said.again] * frames)
        self._reads = [said.before + block, *[block] * (count // frames - 1)]
        self._reads.append(said.after + frame(_END) + b"data: [DONE]\n\n")

    async def open(self, request: HTTPRequest, *, connect_timeout: float | None) -> _Answer:
        return _Answer(self._reads)

    async def close(self) -> None:
        pass


class _Answer:
    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = iter(reads)

    async def read(self) -> bytes:
        await asyncio.sleep(0)  # as with a real socket, others get their turn
        return next(self._reads, b"")

    def abort(self, error: SteerError) -> None:
        self._reads = iter(())

    async def release(self) -> None:
        pass


@dataclass
class Growth:
    """What was taken, measured at the first tenth and at the last delta."""

    count: int
    seen: int = 0
    at_tenth: dict[str, float] = field(default_factory=dict)
    at_end: dict[str, float] = field(default_factory=dict)

    def note(self, _event: object = None) -> None:
        """One more delta has come."""
        self.seen += 1
        if self.seen == self.count // 10:
            self.at_tenth = _taken()
        if self.seen == self.count - _FRAMES:
            self.at_end = _taken()

    def report(self) -> dict[str, float]:
        grown = {key: self.at_end[key] - self.at_tenth[key] for key in self.at_end}
        cpu = grown.pop("cpu_seconds")
        between = self.count - _FRAMES - self.count // 10
        return {**grown, "deltas": self.seen, "cpu_us_per_delta": round(cpu / between * 1e6, 3)}


def _taken() -> dict[str, float]:
    now = time.process_time()
    gc.collect()
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read twice in all
        pages = int(file.read().split()[1])
    return {
        "resident_bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "cpu_seconds": now,
    }


class Tap(EventTransformer):
    """Counts the deltas that pass."""

    def __init__(self, growth: Growth) -> None:
        self._growth = growth

    def transform(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamDeltaEvent):
            self._growth.note()
        return event


def usual_parts() -> tuple[list[Any], list[Any]]:
    """One filter and three transformers."""
    parts = [CorrelationTransformer(), TimestampTransformer(), MetricsTransformer()]
    return [TypeFilter(["delta", "usage", "complete"])], parts


async def by_callbacks(client: SteerLLMClient, growth: Growth) -> None:
    def on_delta(event: StreamDeltaEvent) -> None:
        growth.note()

    options = StreamingOptions(event_processor=EventProcessor(*usual_parts()))
    await client.stream_with_usage("Hi", "gpt-4o", streaming_options=options, on_delta=on_delta)


async def by_untyped_callbacks(client: SteerLLMClient, growth: Growth) -> None:
    def on_delta(data):  # type: ignore[no-untyped-def]
        growth.note(data["text"])

    await client.stream_with_usage("Hi", "gpt-4o", on_delta=on_delta)


async def by_raising_callbacks(client: SteerLLMClient, growth: Growth) -> None:
    def on_delta(event: StreamDeltaEvent) -> None:
        growth.note()
        raise ValueError(event.chunk_index)

    await client.stream_with_usage("Hi", "gpt-4o", on_delta=on_delta)


async def by_iterator(client: SteerLLMClient, growth: Growth) -> None:
    async with client.stream_events("Hi", "gpt-4o") as stream:
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                growth.note()


async def by_observers(client: SteerLLMClient, growth: Growth) -> None:
    """A consumer that reads all, and an observer that reads one event of a thousand."""
    async with client.stream_events("Hi", "gpt-4o") as stream:
        slow = stream.subscribe(maxsize=64, overflow="drop_oldest")
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                growth.note()
                if growth.seen % 1000 == 0:
                    await anext(slow)
    assert slow.max_lag <= 64 + 2  # usage and the terminal event are never dropped
    assert slow.dropped


async def by_a_joining_observer(client: SteerLLMClient, growth: Growth) -> None:
    """A consumer that reads all, and an observer that reads nothing before the end."""
    async with client.stream_events("Hi", "gpt-4o") as stream:
        slow = stream.subscribe(maxsize=1, overflow="coalesce")
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                growth.note()
        last = [event async for event in slow]
        assert len(last) == 4
        assert isinstance(last[1], StreamDeltaEvent)
        assert last[1].delta == stream.response.get_text()


async def by_batches(client: SteerLLMClient, growth: Growth) -> None:
    batched = 0

    async def handle(batch: list[StreamEvent]) -> None:
        nonlocal batched
        batched += len(batch)
        await asyncio.sleep(0)

    def on_delta(event: StreamDeltaEvent) -> None:
        growth.note()

    processor = BatchedEventProcessor(*usual_parts(), batch_handler=handle)
    options = StreamingOptions(event_processor=processor)
    await client.stream_with_usage("Hi", "gpt-4o", streaming_options=options, on_delta=on_delta)
    assert batched == processor.metrics.events_batched >= growth.count


async def by_text_transformers(client: SteerLLMClient, growth: Growth) -> None:
    parts = [RedactTransformer(r"sk-\w{8,40}"), Tap(growth), CoalesceTransformer("word")]
    options = StreamingOptions(text_transformers=parts)
    await client.generate("Hi", "gpt-4o", streaming_options=options)


async def by_a_rate_limiter(client: SteerLLMClient, growth: Growth) -> None:
    """One that holds nearly all of the text to the end."""
    processor = EventProcessor(transformers=[Tap(growth), RateLimiter(0.001)])
    options = StreamingOptions(event_processor=processor)
    await client.generate("Hi", "gpt-4o", streaming_options=options)


async def by_json(client: SteerLLMClient, growth: Growth) -> None:
    async with client.stream_events(
        "Hi", "gpt-4o", response_format={"type": "json_object"}
    ) as stream:
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                growth.note()


Way = tuple[Said, Callable[[SteerLLMClient, Growth], Any]]

WAYS: dict[str, Way] = {
    "callbacks": (WORDS, by_callbacks),
    "untyped callbacks": (WORDS, by_untyped_callbacks),
    "raising callbacks": (WORDS, by_raising_callbacks),
    "iterator": (WORDS, by_iterator),
    "observers": (WORDS, by_observers),
    "joining observer": (WORDS, by_a_joining_observer),
    "batches": (WORDS, by_batches),
    "text transformers": (WORDS, by_text_transformers),
    "rate limiter": (WORDS, by_a_rate_limiter),
    "json": (JSON, by_json),
    "reasoning": (REASONING, by_callbacks),
    "tool call": (TOOL, by_callbacks),
}


async def measure(way: str, count: int) -> dict[str, float]:
    """Run one stream of so many deltas, and say what grew."""
    said, run = WAYS[way]
    growth = Growth(count)
    client = SteerLLMClient(openai_api_key="test", transport=Repeating(said, count))
    await run(client, growth)
    assert client.stats.completed == 1, client.stats
    return growth.report()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))))
