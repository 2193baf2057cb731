"""What type checkers must infer of answers: every line of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

import msgspec
import pydantic

from steer_llm_sdk import (
    AnyEvent,
    RunResult,
    SteerLLMClient,
    StopRun,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamingResponse,
    StreamUsageEvent,
    SyncSteerLLMClient,
    Tool,
    tool_result,
)
from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.models.bulk import Progress, PromptResult
from steer_llm_sdk.models.shapes import FinishReason, ToolCallDict
from steer_llm_sdk.streaming.processor import EventProcessor, PredicateFilter


class City(msgspec.Struct):
    name: str


@dataclass
class Point:
    x: int


class Movie(TypedDict):
    title: str


class Person(pydantic.BaseModel):
    name: str


def get_weather(city: str) -> str:
    return city


async def get_time(zone: str) -> Point:
    raise StopRun(zone)


def show(progress: Progress) -> None:
    print(progress.done, progress.total, progress.cost_usd)


async def whole(client: SteerLLMClient) -> City:
    response = await client.generate("Hello", "gpt-4o", response_format=City)
    assert_type(response, StreamingResponse[City])
    assert_type(response.parsed, City)
    assert_type(response.finish_reason, FinishReason | None)
    assert_type(response.tool_calls, list[ToolCallDict])
    print(response.parsed.name.upper(), response.tool_calls[0]["arguments"].upper())
    if response.usage is not None:
        print(response.usage["prompt_tokens"] + response.usage.get("cached_tokens", 0))
    print(response.metrics["chunks"] + 1, (response.metrics["ttft_ms"] or 0.0) / 1000)
    assert_type((await client.generate("Hi", "m", response_format=Point)).parsed, Point)
    assert_type((await client.generate("Hi", "m", response_format=Movie)).parsed, Movie)
    assert_type((await client.generate("Hi", "m", response_format=Person, seed=1)).parsed, Person)
    plain = await client.generate("Hi", "m", response_format={"type": "json_object"})
    assert_type(plain.parsed, Any)
    assert_type((await client.generate("Hi", "m")).parsed, Any)
    called = await client.stream_with_usage("Hi", "m", on_delta=print, response_format=City)
    assert_type(called.parsed, City)
    return response.parsed


async def events(client: SteerLLMClient) -> None:
    async with client.stream_events("Hello", "gpt-4o", response_format=City) as stream:
        async for event in stream:
            assert_type(event, AnyEvent)
            if event.type == "delta":
                assert_type(event, StreamDeltaEvent)
                print(event.get_text().upper(), event.chunk_index + 1)
            elif event.type == "usage":
                assert_type(event, StreamUsageEvent)
                print(event.usage["total_tokens"] + 1)
            elif event.type == "error":
                assert_type(event, StreamErrorEvent)
                print(event.is_retryable)
        assert_type(stream.response.parsed, City)


async def followed(client: SteerLLMClient, blocking: SyncSteerLLMClient) -> None:
    journal = MemoryJournal()
    async with journal.attach(await client.start("Hello", "m", journal=journal)) as events:
        async for event in events:
            assert_type(event, AnyEvent)
            if event.type == "delta":
                print(event.get_text().upper())
    for late in blocking.attach("a", journal=journal, after=3):
        assert_type(late, AnyEvent)
    async with client.stream_events("Hello", "m") as stream:
        async for seen in stream.subscribe():
            assert_type(seen, AnyEvent)
    words = PredicateFilter(lambda event: event.type != "delta" or event.get_text().strip())
    async for kept in EventProcessor(filters=[words]).process_stream(stream):
        assert_type(kept, AnyEvent)


async def rows(client: SteerLLMClient) -> None:
    async for row in client.stream_items("Hello", City, "gpt-4o"):
        assert_type(row, City)
    async for number in client.stream_items("Hello", int, "gpt-4o"):
        assert_type(number, int)
    async for anything in client.stream_items("Hello", {"type": "string"}, "gpt-4o"):
        assert_type(anything, Any)


async def many(client: SteerLLMClient) -> None:
    results = await client.gather(["a", "b"], "m", response_format=City, on_progress=show)
    assert_type(results, list[PromptResult[City]])
    print([result.unwrap().parsed.name for result in results])
    async with client.map(("a" for _ in range(3)), "m", concurrency=2, on_progress="bar") as found:
        async for result in found:
            print(result.index + 1, result.response, result.error)
    count = await client.count_tokens("Hello", "m", exact=True, tools=[get_weather])
    print(int(count) + count.tokens, count.confidence / 2)
    listed = await client.models("openai", api_key="key")
    print([info.model.upper() for info in listed if (info.context_window or 0) > 1000])


async def runs(client: SteerLLMClient) -> None:
    tools = [get_weather, get_time, Tool(get_weather, "weather", needs_approval=True, timeout=3)]
    result = await client.run("Hello", "m", tools=tools, max_turns=3, on_delta=print)
    assert_type(result, RunResult)
    more = [*result.messages, tool_result(result.pending_calls[0]["id"], {"ok": True})]
    typed = await client.run(more, "m", tools=tools, response_format=City, approved=["call_1"])
    assert_type(typed.response.parsed, City)
    async with client.run_events("Hello", "m", tools=tools, response_format=Point) as run:
        async for event in run:
            assert_type(event, AnyEvent)
    assert_type(run.result.response.parsed, Point)


def blocking(client: SyncSteerLLMClient) -> None:
    assert_type(client.generate("Hello", "m", response_format=City).parsed, City)
    for row in client.stream_items("Hello", City, "m"):
        assert_type(row, City)
    with client.stream_events("Hello", "m", response_format=Point) as stream:
        for event in stream:
            if event.type == "complete":
                print(event.duration_ms / 2)
    for result in client.map(["a"], "m", response_format=City):
        assert_type(result, PromptResult[City])
    assert_type(client.gather(["a"], "m", response_format=City), list[PromptResult[City]])
    assert_type(client.run("Hi", "m", tools=[get_weather], response_format=City), RunResult[City])
    with client.run_events("Hi", "m", tools=[get_weather]) as run:
        print([event.sequence for event in run], run.result.text)
