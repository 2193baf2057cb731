"""A run around tools is told as one: its turns, its functions, and one trace; one budget."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from steer_llm_sdk import (
    BudgetExceededError,
    SteerError,
    SteerLLMClient,
    StreamCancelledError,
    SyncSteerLLMClient,
)
from steer_llm_sdk.models.records import RunRecord, ToolRecord
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks import OpenTelemetrySink, Sink, SQLiteSink
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider, ScriptedToolCall
from support.sinks import RememberingEvents

MODEL = "gpt-4o"
CALLS = Script(
    tool_calls=[
        ScriptedToolCall("weather", {"city": "argument-word"}),
        ScriptedToolCall("time", {"city": "Ulm"}),
    ],
    usage=(30, 10),
)
ANSWER = Script(["It rains."], usage=(50, 20))


class Runs(RememberingEvents):
    """Remembers runs and tools, too."""

    def __init__(self, *, content: bool = False) -> None:
        super().__init__(content=content)
        self.runs: list[RunRecord] = []
        self.tools: list[ToolRecord] = []

    def run_started(self, record: RunRecord) -> None:
        self.runs.append(record)

    def run_ended(self, record: RunRecord) -> None:
        self.runs.append(record)

    def tool_started(self, record: ToolRecord) -> None:
        self.tools.append(record)

    def tool_ended(self, record: ToolRecord) -> None:
        self.tools.append(record)


async def weather(city: str) -> str:
    """Tell the weather."""
    return "result-word"


def time(city: str) -> str:
    """Tell the time."""
    raise LookupError("no clock")


TOOLS = [weather, time]


def client_of(*answers: Any, sinks: list[Sink]) -> SteerLLMClient:
    return SteerLLMClient("key", transport=ScriptedProvider(*answers), sinks=sinks)


@pytest.mark.parametrize("content", [False, True])
async def test_a_run_is_told_with_its_turns_and_its_functions(*, content: bool) -> None:
    sink = Runs(content=content)
    async with client_of(CALLS, ANSWER, sinks=[sink]) as client:
        result = await client.run("Rain?", MODEL, tools=TOOLS, metadata={"user": "u1"})

    begun, ended = sink.runs
    assert (begun.provider, begun.model, begun.outcome) == ("openai", MODEL, "running")
    assert (ended.outcome, ended.turns, ended.tool_calls) == ("completed", 2, 2)
    assert (ended.run_id, dict(ended.usage)) == (begun.run_id, result.usage)
    assert ended.cost_usd == result.cost_usd
    assert [(told.run_id, told.turn) for told in sink.ended] == [
        (begun.run_id, 1),
        (begun.run_id, 2),
    ]
    assert [told.metadata for told in sink.ended] == [{"user": "u1"}] * 2
    done = {told.name: told for told in sink.tools if told.ended_at is not None}
    assert {name: told.error_type for name, told in done.items()} == {
        "weather": None,
        "time": "LookupError",
    }
    assert {told.run_id for told in sink.tools} == {begun.run_id}
    words = str([sink.events, sink.ended, sink.tools, [told.content for told in sink.tools]])
    assert ("result-word" in words) is content
    assert ("argument-word" in words) is content


@pytest.mark.parametrize("way", ["failed", "left"])
async def test_a_run_that_does_not_come_to_its_end_is_told_once(way: str) -> None:
    sink = Runs()
    async with client_of(CALLS, HTTPError(400), sinks=[sink]) as client:
        if way == "failed":
            with pytest.raises(SteerError):
                await client.run("Rain?", MODEL, tools=TOOLS)
        else:
            async with client.run_events("Rain?", MODEL, tools=TOOLS) as run:
                async for event in run:
                    if event.type == "delta":
                        break

    (_, ended) = sink.runs
    assert (ended.outcome, ended.error_type, ended.turns) == (
        ("failed", "InvalidRequestError", 2)
        if way == "failed"
        else ("cancelled", "StreamCancelledError", 1)
    )


async def test_a_run_that_is_cancelled_between_two_turns_is_told_at_once() -> None:
    sink = Runs()
    async with client_of(CALLS, ANSWER, sinks=[sink]) as client:
        run = client.run_events("Rain?", MODEL, tools=TOOLS)
        while (await anext(run)).type != "complete":
            pass
        run.cancel()
        with pytest.raises(StopAsyncIteration):
            await anext(run)

    assert [told.outcome for told in sink.runs] == ["running", "cancelled"]


@pytest.mark.parametrize(("turn", "outcome"), [(1, "cancelled"), (2, "completed")])
async def test_a_run_that_is_left_behind_a_turn_is_whole_where_none_was_to_follow(
    turn: int, outcome: str
) -> None:
    sink = Runs()
    async with (
        client_of(CALLS, ANSWER, sinks=[sink]) as client,
        client.run_events("Rain?", MODEL, tools=TOOLS) as run,
    ):
        async for event in run:
            if event.type == "complete" and event.metadata["turn"] == turn:
                break

    assert [told.outcome for told in sink.runs] == ["running", outcome]
    assert run.result.ok is (outcome == "completed")
    assert len(run.result.messages) == 5 if turn == 2 else 4


def test_a_run_that_waits_for_its_functions_ends_with_the_loop() -> None:
    """A bare ``anext`` owns nothing: no task ends with which the run would end."""
    sink = Runs()
    client = client_of(Script(tool_calls=[ScriptedToolCall("wait")]), sinks=[sink])
    has_begun = asyncio.Event()

    async def wait() -> None:
        """Wait for ever."""
        has_begun.set()
        await asyncio.Event().wait()

    run = client.run_events("Rain?", MODEL, tools=[wait])

    async def read() -> None:
        while True:
            await anext(run)

    async def read_until_it_waits() -> None:
        reading = asyncio.ensure_future(read())
        await has_begun.wait()
        reading.cancel()

    asyncio.run(read_until_it_waits())
    with pytest.raises(StreamCancelledError, match="event loop ended"):
        asyncio.run(anext(run))
    asyncio.run(client.close())

    assert [told.outcome for told in sink.runs] == ["running", "cancelled"]


def test_the_blocking_client_tells_of_its_runs_too() -> None:
    sink = Runs()
    provider = ScriptedProvider(CALLS, ANSWER)
    with SyncSteerLLMClient("key", transport=provider, sinks=[sink]) as client:
        client.run("Rain?", MODEL, tools=TOOLS)

    assert [told.outcome for told in sink.runs] == ["running", "completed"]


async def test_a_sink_that_knows_of_no_runs_is_told_of_their_streams() -> None:
    class Duck:
        def __init__(self) -> None:
            self.told: list[Any] = []

        def stream_started(self, record: Any) -> None:
            pass

        def stream_ended(self, record: Any) -> None:
            self.told.append(record.turn)

    duck: Any = Duck()
    async with client_of(CALLS, ANSWER, sinks=[duck]) as client:
        await client.run("Rain?", MODEL, tools=TOOLS)

    assert duck.told == [1, 2]
    assert client.stats.sink_errors == 0


async def test_the_ledger_has_the_run_of_each_stream(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with client_of(CALLS, ANSWER, ANSWER, sinks=[SQLiteSink(path)]) as client:
        await client.run("Rain?", MODEL, tools=TOOLS)
        await client.generate("Hi", MODEL)

    with closing(sqlite3.connect(path)) as ledger:
        rows = ledger.execute("SELECT run_id, turn FROM streams ORDER BY rowid").fetchall()
    assert [turn for _, turn in rows] == [1, 2, None]
    assert rows[0][0] == rows[1][0] is not None
    assert rows[2][0] is None


# --- one trace --------------------------------------------------------------------------------


def traced() -> tuple[OpenTelemetrySink, InMemorySpanExporter, TracerProvider]:
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    return OpenTelemetrySink(tracers, environment={}), exporter, tracers


async def test_a_run_is_one_trace() -> None:
    sink, exporter, tracers = traced()
    tracer = tracers.get_tracer("app")

    async def look(city: str) -> str:
        """Look."""
        with tracer.start_as_current_span("asynchronous"):
            return "x"

    def peer(city: str) -> str:
        """Peer."""
        with tracer.start_as_current_span("plain"):
            return "x"

    look.__name__, peer.__name__ = "weather", "time"
    with tracer.start_as_current_span("request") as mine:
        async with client_of(CALLS, ANSWER, sinks=[sink]) as client:
            await client.run("Rain?", MODEL, tools=[look, peer])
            assert trace.get_current_span() is mine

    spans: dict[str, list[ReadableSpan]] = {}
    for span in exporter.get_finished_spans():
        spans.setdefault(span.name, []).append(span)
    assert {name: len(found) for name, found in spans.items()} == {
        "request": 1,
        "invoke_agent": 1,
        f"chat {MODEL}": 2,
        "execute_tool weather": 1,
        "execute_tool time": 1,
        "asynchronous": 1,
        "plain": 1,
    }
    parents = {
        "invoke_agent": "request",
        f"chat {MODEL}": "invoke_agent",
        "execute_tool weather": "invoke_agent",
        "execute_tool time": "invoke_agent",
        "asynchronous": "execute_tool weather",
        "plain": "execute_tool time",
    }
    for name, parent in parents.items():
        (above,) = spans[parent]
        for span in spans[name]:
            assert span.parent is not None
            assert span.parent.span_id == above.context.span_id
    (agent,) = spans["invoke_agent"]
    assert dict(agent.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 80,
        "gen_ai.usage.output_tokens": 30,
    }
    (tool,) = spans["execute_tool weather"]
    assert {key: value for key, value in (tool.attributes or {}).items() if "call" not in key} == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
    }
    assert "gen_ai.tool.call.id" in (tool.attributes or {})


async def test_a_function_that_failed_is_an_error_of_its_own_span() -> None:
    sink, exporter, _ = traced()
    async with client_of(CALLS, ANSWER, sinks=[sink]) as client:
        await client.run("Rain?", MODEL, tools=TOOLS)

    by_name = {span.name: span for span in exporter.get_finished_spans()}
    assert by_name["execute_tool time"].status.status_code is StatusCode.ERROR
    assert (by_name["execute_tool time"].attributes or {})["error.type"] == "LookupError"
    assert by_name["invoke_agent"].status.status_code is StatusCode.UNSET
    assert (sink._streams, sink._spans, sink._runs) == ({}, {}, {})


# --- one budget -------------------------------------------------------------------------------


async def test_the_turns_of_a_run_share_one_budget() -> None:
    provider = ScriptedProvider(CALLS, CALLS, ANSWER)
    client = SteerLLMClient("key", transport=provider)
    options = StreamingOptions(budget_tokens=150)

    with pytest.raises(BudgetExceededError):
        await client.run("Rain?", MODEL, tools=TOOLS, streaming_options=options)
    asked = len(provider.requests)
    enough = StreamingOptions(budget_tokens=10_000, budget_usd=1.0)
    other = SteerLLMClient("key", transport=ScriptedProvider(CALLS, CALLS, ANSWER))
    result = await other.run("Rain?", MODEL, tools=TOOLS, streaming_options=enough)

    assert asked < 3
    assert result.ok
    assert len(result.responses) == 3


async def test_money_that_turns_have_spent_is_gone() -> None:
    provider = ScriptedProvider(*[CALLS] * 5)
    client = SteerLLMClient("key", transport=provider)
    spent = await SteerLLMClient("key", transport=ScriptedProvider(CALLS)).generate("Rain?", MODEL)
    assert spent.cost_usd is not None
    options = StreamingOptions(budget_usd=spent.cost_usd * 2.5)

    with pytest.raises(BudgetExceededError) as raised:
        await client.run("Rain?", MODEL, tools=TOOLS, streaming_options=options)

    assert raised.value.budget == "budget_usd"
    assert 0 < len(provider.requests) < 5
