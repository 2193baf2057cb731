"""Spans and metrics, name by name, in both generations; over the wire they are in `test_otlp`."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from steer_llm_sdk import ConfigurationError, ProviderSettings, SteerError, SteerLLMClient
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks import OpenTelemetrySink, Sink
from steer_llm_sdk.sinks.messages import output_messages
from steer_llm_sdk.testing import (
    EndEarly,
    HTTPError,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    check_sink,
)
from support.sinks import RememberingEvents, record

MODEL = "gpt-4o"
NEWER = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http, gen_ai_latest_experimental"}
WORDS = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}
HELLO = Script(["Hello", " world", "!"], usage=(31, 18))


class Telemetry:
    """What an application has set up, and what arrived there."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])
        self.sink = OpenTelemetrySink(self.tracers, self.meters, environment=environment or {})

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    def metrics(self) -> dict[str, Any]:
        found = self._reader.get_metrics_data()
        if found is None:
            return {}
        return {
            metric.name: metric
            for resource in found.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def client_of(telemetry: Telemetry, *answers: Any, **settings: Any) -> SteerLLMClient:
    provider = ScriptedProvider(*answers)
    return SteerLLMClient("key", transport=provider, sinks=[telemetry.sink], **settings)


# Every attribute of the span of a completed stream: the key, its level by the conventions, and
# the value. The newer name is given where it is another one.
REQUIRED, CONDITIONAL, RECOMMENDED, OURS = "Required", "Conditionally Required", "Recommended", "-"
SPAN_TABLE = [
    ("gen_ai.operation.name", REQUIRED, "chat"),
    ("gen_ai.provider.name", REQUIRED, "openai"),
    ("gen_ai.request.model", CONDITIONAL, MODEL),
    ("gen_ai.conversation.id", CONDITIONAL, "c-1"),
    ("gen_ai.output.type", CONDITIONAL, "text"),
    ("gen_ai.request.stream", CONDITIONAL, True),
    ("gen_ai.request.seed", CONDITIONAL, 7),
    ("server.port", CONDITIONAL, 443),
    ("server.address", RECOMMENDED, "api.openai.com"),
    ("gen_ai.request.max_tokens", RECOMMENDED, 99),
    ("gen_ai.request.temperature", RECOMMENDED, 0.5),
    ("gen_ai.request.top_p", RECOMMENDED, 0.9),
    ("gen_ai.request.stop_sequences", RECOMMENDED, ("END",)),
    ("gen_ai.response.finish_reasons", RECOMMENDED, ("stop",)),
    ("gen_ai.response.id", RECOMMENDED, str),
    ("gen_ai.response.model", RECOMMENDED, str),
    ("gen_ai.response.time_to_first_chunk", RECOMMENDED, float),
    ("gen_ai.usage.input_tokens", RECOMMENDED, 31),
    ("gen_ai.usage.output_tokens", RECOMMENDED, 18),
    ("gen_ai.usage.cache_read.input_tokens", RECOMMENDED, 0),
    ("gen_ai.usage.reasoning.output_tokens", RECOMMENDED, 0),
    ("steer_llm_sdk.attempts", OURS, 1),
    ("steer_llm_sdk.cost_usd", OURS, float),
]

IDENTITY = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": MODEL,
    "server.address": "api.openai.com",
    "server.port": 443,
}
B1 = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
B2 = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

# Every metric of a completed stream: its unit, its buckets (None: a counter), and how often it was
# recorded, or what it adds up to.
OLDER_METRICS = {
    "gen_ai.client.operation.duration": ("s", B1, 1),
    "gen_ai.client.operation.time_to_first_chunk": ("s", B1, 1),
    "gen_ai.client.operation.time_per_output_chunk": ("s", B1, 2),
    "gen_ai.client.token.usage": ("{token}", B2, 2),
}
NEWER_METRICS = {
    "gen_ai.client.inference.duration": ("s", B1, 1),
    "gen_ai.client.inference.time_to_first_chunk": ("s", B1, 1),
    "gen_ai.client.inference.time_per_output_chunk": ("s", B1, 2),
    "gen_ai.client.inference.usage.input_tokens": ("{token}", None, 31),
    "gen_ai.client.inference.usage.output_tokens": ("{token}", None, 18),
    "gen_ai.client.inference.usage.cache_read.input_tokens": ("{token}", None, 0),
    "gen_ai.client.inference.usage.cache_write.input_tokens": ("{token}", None, 0),
    "gen_ai.client.inference.usage.reasoning.output_tokens": ("{token}", None, 0),
    "gen_ai.client.inference.operation.input_tokens": ("{token}", B2, 1),
    "gen_ai.client.inference.operation.output_tokens": ("{token}", B2, 1),
}


async def stream_once(telemetry: Telemetry) -> None:
    async with client_of(telemetry, HELLO) as client:
        await client.generate(
            "Hi",
            MODEL,
            temperature=0.5,
            max_tokens=99,
            top_p=0.9,
            seed=7,
            stop=["END"],
            metadata={"conversation_id": "c-1"},
        )


@pytest.mark.parametrize("environment", [{}, NEWER], ids=["older", "newer"])
async def test_the_span_of_a_completed_stream(environment: dict[str, str]) -> None:
    telemetry = Telemetry(environment)
    await stream_once(telemetry)

    span = telemetry.span
    assert (span.name, span.kind, span.parent) == (f"chat {MODEL}", SpanKind.CLIENT, None)
    assert span.status.status_code is StatusCode.UNSET
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time >= span.start_time
    found = dict(span.attributes or {})
    for name, _level, expected in SPAN_TABLE:
        value = found.pop(name)
        assert isinstance(value, expected) if isinstance(expected, type) else value == expected
    assert found == {}


@pytest.mark.parametrize(
    ("environment", "table"),
    [({}, OLDER_METRICS), (NEWER, NEWER_METRICS)],
    ids=["older", "newer"],
)
async def test_the_metrics_of_a_completed_stream(
    environment: dict[str, str], table: dict[str, tuple[str, tuple[float, ...] | None, int]]
) -> None:
    telemetry = Telemetry(environment)
    await stream_once(telemetry)

    found = telemetry.metrics()
    assert set(found) == set(table)
    for name, (unit, buckets, count) in table.items():
        points = list(found[name].data.data_points)
        assert found[name].unit == unit
        for point in points:
            assert IDENTITY.items() <= dict(point.attributes).items()
            assert "gen_ai.response.model" in point.attributes
            if buckets is not None:
                assert point.explicit_bounds == pytest.approx(buckets)
            else:
                assert point.attributes["gen_ai.token.modality"] == "unknown"
        values = [point.value if buckets is None else point.count for point in points]
        assert sum(values) == count


async def test_tokens_are_apart_by_their_type() -> None:
    telemetry = Telemetry()
    await stream_once(telemetry)

    points = telemetry.metrics()["gen_ai.client.token.usage"].data.data_points
    assert {point.attributes["gen_ai.token.type"]: point.sum for point in points} == {
        "input": 31,
        "output": 18,
    }


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "gen_ai.usage.cache_creation.input_tokens"),
        (NEWER, "gen_ai.usage.cache_write.input_tokens"),
    ],
)
def test_what_was_written_to_a_cache_has_another_name_in_each_generation(
    environment: dict[str, str], name: str
) -> None:
    telemetry = Telemetry(environment)
    told = record(usage={"prompt_tokens": 9, "cache_write_tokens": 5})
    telemetry.sink.stream_started(told)
    telemetry.sink.stream_ended(told)

    assert (telemetry.span.attributes or {})[name] == 5


async def test_tokens_that_were_estimated_are_in_no_metric() -> None:
    telemetry = Telemetry()
    answer = Script(["Hello", "world"], faults=[EndEarly(after=1)])
    options = StreamingOptions(max_retries=0, raise_on_error=False)
    async with client_of(telemetry, answer) as client:
        response = await client.generate("Hi", MODEL, streaming_options=options)

    assert response.usage_is_estimated
    assert "gen_ai.client.token.usage" not in telemetry.metrics()
    assert "gen_ai.client.operation.duration" in telemetry.metrics()


@pytest.mark.parametrize("environment", [{}, NEWER], ids=["older", "newer"])
async def test_a_stream_that_failed(environment: dict[str, str]) -> None:
    telemetry = Telemetry(environment)
    async with client_of(telemetry, HTTPError(401)) as client:
        with pytest.raises(SteerError):
            await client.generate("Hi", MODEL)

    span = telemetry.span
    attributes = span.attributes or {}
    assert span.status.status_code is StatusCode.ERROR
    assert (span.status.description or "").startswith("openai (401)")
    assert attributes["error.type"] == "AuthenticationError"
    assert "gen_ai.response.time_to_first_chunk" not in attributes
    metrics = telemetry.metrics()
    (duration,) = (m for name, m in metrics.items() if name.endswith(".duration"))
    assert duration.data.data_points[0].attributes["error.type"] == "AuthenticationError"
    assert [name for name in metrics if name.endswith("first_chunk")] == []
    counted = {
        name: [point.value for point in metric.data.data_points]
        for name, metric in metrics.items()
        if ".usage." in name
    }
    assert counted == (
        {name: [0] for name, row in NEWER_METRICS.items() if row[1] is None} if environment else {}
    )


async def test_a_stream_that_was_left_ends_its_span_too() -> None:
    telemetry = Telemetry()
    client = client_of(telemetry, HELLO)
    async with client, client.stream_events("Hi", MODEL) as stream:
        await anext(stream)
        await anext(stream)

    span = telemetry.span
    assert (span.attributes or {})["error.type"] == "StreamCancelledError"
    assert span.status.status_code is StatusCode.ERROR
    assert telemetry.sink._streams == {}


async def test_a_stream_that_was_tried_again_is_one_span_with_its_attempts() -> None:
    telemetry = Telemetry()
    options = StreamingOptions(max_retries=2)
    failing = HTTPError(503, headers={"retry-after": "0"})
    async with client_of(telemetry, failing, failing, HELLO) as client:
        await client.generate("Hi", MODEL, streaming_options=options)

    span = telemetry.span
    assert (span.attributes or {})["steer_llm_sdk.attempts"] == 3
    assert [event.name for event in span.events] == ["steer_llm_sdk.retry"] * 2
    assert [dict(event.attributes or {}) for event in span.events] == [
        {"error.type": "OverloadedError"}
    ] * 2
    assert span.status.status_code is StatusCode.UNSET


async def test_where_another_model_answered_it_is_named() -> None:
    telemetry = Telemetry()
    options = StreamingOptions(max_retries=0, fallback_models=["anthropic:claude-sonnet-4-5"])
    client = client_of(telemetry, HTTPError(503), HELLO, anthropic_api_key="other")
    async with client:
        await client.generate("Hi", MODEL, streaming_options=options)

    attributes = telemetry.span.attributes or {}
    assert telemetry.span.name == f"chat {MODEL}"
    assert attributes["gen_ai.provider.name"] == "anthropic"
    assert attributes["gen_ai.request.model"] == "claude-sonnet-4-5"
    assert attributes["server.address"] == "api.anthropic.com"


@pytest.mark.parametrize(
    ("provider", "name", "operation"),
    [
        ("xai", "x_ai", "chat"),
        ("gemini", "gcp.gemini", "generate_content"),
        ("mistral", "mistral_ai", "chat"),
        ("azure", "azure.ai.openai", "chat"),
        ("openai-responses", "openai", "chat"),
        ("groq", "groq", "chat"),
        ("mine", "mine", "chat"),
    ],
)
def test_providers_have_the_names_of_the_conventions(
    provider: str, name: str, operation: str
) -> None:
    telemetry = Telemetry()
    telemetry.sink.stream_started(record(provider=provider))
    telemetry.sink.stream_ended(record(provider=provider))

    attributes = telemetry.span.attributes or {}
    assert attributes["gen_ai.provider.name"] == name
    assert attributes["gen_ai.operation.name"] == operation
    assert telemetry.span.name == f"{operation} gpt-4o"


# --- words ------------------------------------------------------------------------------------

CONVERSATION = [
    {"role": "user", "content": "prompt-word"},
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "42"},
]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


async def answer_with_words(telemetry: Telemetry) -> dict[str, Any]:
    answer = Script(["answer-word"], reasoning=["hm"], tool_calls=[ScriptedToolCall("f", {"a": 2})])
    async with client_of(telemetry, answer) as client:
        await client.generate(CONVERSATION, MODEL, system="be brief", tools=[TOOL])
    return dict(telemetry.span.attributes or {})


@pytest.mark.parametrize("value", ["", "false", "no_content", "event_only"])
async def test_no_word_is_on_a_span_without_the_switch(value: str) -> None:
    telemetry = Telemetry(dict.fromkeys(WORDS, value))

    attributes = await answer_with_words(telemetry)

    assert "word" not in str(attributes)
    assert not [name for name in attributes if "messages" in name or "definitions" in name]


@pytest.mark.parametrize("value", ["true", "TRUE", "span_only", "SPAN_AND_EVENT"])
async def test_with_the_switch_words_are_in_the_form_of_the_conventions(value: str) -> None:
    telemetry = Telemetry(dict.fromkeys(WORDS, value))

    attributes = await answer_with_words(telemetry)

    assert json.loads(attributes["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "be brief"}
    ]
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "prompt-word"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": "42"}],
        },
    ]
    (said,) = json.loads(attributes["gen_ai.output.messages"])
    assert (said["role"], said["finish_reason"]) == ("assistant", "tool_calls")
    reasoning, text, call = said["parts"]
    assert reasoning == {"type": "reasoning", "content": "hm"}
    assert text == {"type": "text", "content": "answer-word"}
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "f", {"a": 2})
    assert json.loads(attributes["gen_ai.tool.definitions"])[0]["name"] == "f"


# --- context ----------------------------------------------------------------------------------


@pytest.fixture
def complaints(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    said: list[str] = []
    yield said
    said += [each.message for each in caplog.records if each.levelno >= logging.ERROR]
    assert said == []


@pytest.mark.usefixtures("complaints")
async def test_a_span_stands_beneath_the_callers_and_is_never_current() -> None:
    telemetry = Telemetry()
    tracer = telemetry.tracers.get_tracer("app")
    seen: list[tuple[Any, Any]] = []

    def look(_event: object) -> None:
        seen.append((trace.get_current_span(), baggage.get_baggage("user")))

    async with client_of(telemetry, HELLO) as client:
        token = context.attach(baggage.set_baggage("user", "anna"))
        with tracer.start_as_current_span("mine") as mine:
            await client.stream_with_usage(
                "Hi", MODEL, on_start=look, on_delta=look, on_usage=look, on_complete=look
            )
        context.detach(token)

    assert set(seen) == {(mine, "anna")}
    (child,) = (span for span in telemetry.spans if span.name.startswith("chat"))
    assert child.parent is not None
    assert child.parent.span_id == mine.get_span_context().span_id


@pytest.mark.usefixtures("complaints")
async def test_streams_side_by_side_stand_each_beneath_its_own_caller() -> None:
    telemetry = Telemetry()
    tracer = telemetry.tracers.get_tracer("app")
    parents: dict[str, int] = {}

    async def ask(client: SteerLLMClient, name: str) -> None:
        with tracer.start_as_current_span(name) as span:
            parents[name] = span.get_span_context().span_id
            async for _ in client.stream("Hi", MODEL, metadata={"conversation_id": name}):
                await asyncio.sleep(0)

    async with client_of(telemetry, *[HELLO] * 5) as client:
        await asyncio.gather(*(ask(client, f"caller {number}") for number in range(5)))

    streams = [span for span in telemetry.spans if span.name.startswith("chat")]
    found = {
        (span.attributes or {})["gen_ai.conversation.id"]: span.parent.span_id
        for span in streams
        if span.parent is not None
    }
    assert found == parents


@pytest.mark.usefixtures("complaints")
async def test_a_cancelled_call_leaves_no_context_behind() -> None:
    telemetry = Telemetry()
    before = context.get_current()
    async with client_of(telemetry, HELLO) as client:
        task = asyncio.create_task(client.generate("Hi", MODEL))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert context.get_current() == before
    assert telemetry.sink._streams == {}


async def test_a_span_ends_although_the_sinks_cannot_keep_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.feed.MAX_WAITING", 2)
    go_on = threading.Event()

    class Hanging(RememberingEvents):
        def event(self, event: StreamEvent) -> None:
            go_on.wait(10)

    telemetry = Telemetry()
    provider = ScriptedProvider(*[HELLO] * 6)
    sinks: list[Sink] = [Hanging(), telemetry.sink]
    client = SteerLLMClient("key", transport=provider, sinks=sinks)
    for _ in range(6):
        await client.generate("Hi", MODEL)
    begun = len(telemetry.sink._streams)
    go_on.set()
    await client.close()

    assert begun == 2  # the others are told of nowhere, and counted
    assert len(telemetry.spans) == begun
    assert telemetry.sink._streams == {}
    assert client.stats.sink_drops >= 4


def test_a_span_ends_whatever_the_readers_of_metrics_raise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry = Telemetry()

    def refuse(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(telemetry.sink._instruments, "record", refuse)
    telemetry.sink.stream_started(record())
    with pytest.raises(LookupError):
        telemetry.sink.stream_ended(record())

    assert telemetry.span.end_time is not None


def test_an_answer_without_a_reason_for_its_end_ended_in_an_error() -> None:
    """The conventions want a reason, and ``stop`` would say that it is whole."""
    (message,) = json.loads(output_messages({"text": "Hel"}, None) or "")

    assert message["finish_reason"] == "error"


def test_gaps_of_one_length_are_recorded_each_for_itself() -> None:
    """Those of a long stream are counted in buckets."""
    telemetry = Telemetry()
    telemetry.sink.stream_started(record())
    telemetry.sink.stream_ended(record(gaps=((0.1, 600), (0.2, 3))))

    (times,) = telemetry.metrics()["gen_ai.client.operation.time_per_output_chunk"].data.data_points
    assert times.count == 603


@pytest.mark.parametrize("environment", [{}, NEWER], ids=["older", "newer"])
def test_the_times_of_chunks_can_be_left_out(environment: dict[str, str]) -> None:
    telemetry = Telemetry(environment)
    telemetry.sink = OpenTelemetrySink(
        telemetry.tracers, telemetry.meters, chunk_times=False, environment=environment
    )
    telemetry.sink.stream_started(record())
    telemetry.sink.stream_ended(record())

    found = set(telemetry.metrics())
    table = NEWER_METRICS if environment else OLDER_METRICS
    assert found == {name for name in table if "per_output_chunk" not in name}


def test_what_the_times_of_chunks_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="chunk_times: expected"):
        OpenTelemetrySink(chunk_times=1)  # type: ignore[arg-type]


def test_half_a_character_of_a_prompt_reaches_a_collector() -> None:
    telemetry = Telemetry(WORDS)
    words = {"messages": [{"role": "user", "content": "ä\ud83d"}], "system": "\ud83d"}
    telemetry.sink.stream_started(record(content=words))
    telemetry.sink.stream_ended(record(content=words))

    attributes = telemetry.span.attributes or {}
    for name in ("gen_ai.input.messages", "gen_ai.system_instructions"):
        assert str(attributes[name]).encode()


def test_it_is_a_sink() -> None:
    telemetry = Telemetry()

    told = check_sink(telemetry.sink)

    assert len(telemetry.spans) == len(told)


def test_it_works_where_no_sdk_is_set_up() -> None:
    check_sink(OpenTelemetrySink())


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'steer-llm-sdk\[otel\]'"):
        OpenTelemetrySink()


async def test_images_are_told_by_where_they_are() -> None:
    telemetry = Telemetry(WORDS)
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    settings = {"openai": ProviderSettings(api_key="k")}
    async with SteerLLMClient(
        providers=settings, transport=ScriptedProvider(HELLO), sinks=[telemetry.sink]
    ) as client:
        await client.generate([{"role": "user", "content": content}], MODEL)

    (message,) = json.loads(str((telemetry.span.attributes or {})["gen_ai.input.messages"]))
    assert message["parts"] == [
        {"type": "text", "content": "What is it?"},
        {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
    ]
