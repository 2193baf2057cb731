"""Spans and metrics for OpenTelemetry: `OpenTelemetrySink` (the extra ``otel``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from steer_llm_sdk._version import __version__
from steer_llm_sdk.checks import FLAG, MAPPING, having
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.records import RunRecord, StreamRecord, ToolRecord
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.messages import input_messages, output_messages, system_instructions
from steer_llm_sdk.sinks.semconv import (
    ATTEMPTS,
    CHUNK_TIMES,
    COST,
    METRICS,
    RETRY_EVENT,
    SCHEMAS,
    Names,
    operation_name,
    provider_name,
    wants_newer,
    wants_words,
)
from steer_llm_sdk.stored import Shared, plain_json

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

# Asked for what they give: what they gave already (a tracer, a meter) is a slip that is made.
_TRACERS = having("a TracerProvider (method get_tracer)", "get_tracer").or_none()
_METERS = having("a MeterProvider (method get_meter)", "get_meter").or_none()

_NAME = "steer_llm_sdk"

_USAGE = frozenset({
    "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
})  # fmt: skip
_PARAMETERS = frozenset({"max_tokens", "temperature", "top_p", "seed", "stop"})

# What every metric and every span has, and what is known when a stream begins.
_IDENTITY = ("provider", "model", "server_address", "server_port")
_read_identity = attrgetter(*_IDENTITY)
_read_asked = attrgetter(*_IDENTITY, "parameters", "is_json")

# How many sets of attributes are kept: one for each model, as it names itself, at each server.
_MOST_SETS = 256


class OpenTelemetrySink(Shared, Sink):
    """Makes a span of each stream, and records its metrics, by the conventions for generative AI.

    The span begins where the stream does, beneath whichever span is current there, and ends on
    every way out. It is never made current: callbacks and iterators see their caller's context.

    The names are those of version 1.41 of the conventions; with
    ``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental`` in the environment they are the
    newer ones. Words are on spans only with
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true``. Both are read when it is made.
    A ``conversation_id`` in the metadata of a call is the span's ``gen_ai.conversation.id``.

    Args:
        tracer_provider: Where spans go; the global one by default.
        meter_provider: Where metrics go; the global one by default.
        chunk_times: Whether the time of each chunk is measured. OpenTelemetry's SDK takes longer to
            note one than the stream takes for a chunk altogether: for many long streams, turn it
            off.
        environment: Where the switches are read; that of the process by default.

    Raises:
        ConfigurationError: The extra ``otel`` is not installed, or an argument is not what it has
            to be.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        chunk_times: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        FLAG.check("chunk_times", chunk_times)
        try:
            from opentelemetry import metrics, trace
            from opentelemetry.trace import SpanKind
        except ImportError:
            raise ConfigurationError(
                "OpenTelemetrySink: opentelemetry-api is not installed: "
                "pip install 'steer-llm-sdk[otel]'"
            ) from None
        _TRACERS.check("tracer_provider", tracer_provider)
        _METERS.check("meter_provider", meter_provider)
        MAPPING.check_given("environment", environment)
        environment = os.environ if environment is None else environment
        self.content = wants_words(environment)
        self._names = Names(is_newer=wants_newer(environment))
        schema = SCHEMAS[self._names.is_newer]
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider, schema)
        meter = metrics.get_meter(_NAME, __version__, meter_provider, schema)
        self._instruments = _Instruments(meter, self._names, has_chunks=chunk_times)
        self._identity_of = lru_cache(_MOST_SETS)(self._names.identity)
        self._is_client, self._in_context = SpanKind.CLIENT, trace.set_span_in_context
        self._streams: dict[str, _Begun] = {}
        self._spans: dict[str, Span] = {}  # of functions
        self._runs: dict[str, Span] = {}

    def stream_started(self, record: StreamRecord) -> None:
        """Begin the span, beneath the one that is current."""
        span = self._tracer.start_span(
            f"{operation_name(record.provider)} {record.model}",
            None if record.run_id is None else self._beneath(record.run_id),
            kind=self._is_client,
            attributes=self._asked(record),
            start_time=_nanoseconds(record.started_at),
        )
        self._streams[record.stream_id] = _Begun(span, record)

    def stream_ended(self, record: StreamRecord) -> None:
        """End the span, and record the metrics."""
        begun = self._streams.pop(record.stream_id, None)
        if begun is None:
            self._instruments.record(record, None)
            return
        span = begun.span
        is_recording = span.is_recording()
        try:
            self._instruments.record(record, self._in_context(span) if is_recording else None)
            if is_recording:
                self._tell(begun, record)
        finally:  # whatever a reader of metrics or a processor of spans raises
            span.end(_nanoseconds(record.ended_at or record.started_at))

    def run_started(self, record: RunRecord) -> None:
        """Begin the span of a run, which those of its turns and functions stand beneath."""
        told = self._names.attributes({
            "operation": "invoke_agent",
            "provider": provider_name(record.provider),
            "request_model": record.model,
        })  # fmt: skip
        attributes: Any = told
        self._runs[record.run_id] = self._tracer.start_span(
            "invoke_agent", attributes=attributes, start_time=_nanoseconds(record.started_at)
        )

    def tool_started(self, record: ToolRecord) -> None:
        """Begin the span of a function; it is current in the function's own task."""
        from opentelemetry import context, trace

        told: Any = self._names.attributes({
            "operation": "execute_tool",
            "tool_name": record.name,
            "tool_call_id": record.call_id,
            "tool_type": "function",
        })  # fmt: skip
        span = self._tracer.start_span(
            f"execute_tool {record.name}",
            self._beneath(record.run_id),
            attributes=told,
            start_time=_nanoseconds(record.started_at),
        )
        self._spans[_key(record)] = span
        # Nothing detaches it: the task's context is its own, and ends with it.
        context.attach(trace.set_span_in_context(span))

    def tool_ended(self, record: ToolRecord) -> None:
        """End the span of a function."""
        span = self._spans.pop(_key(record), None)
        self._end(span, record.error_type, record.ended_at, _tool_words(record))
        seconds = (record.ended_at or record.started_at) - record.started_at
        told = {"tool_name": record.name, "error_type": record.error_type}
        self._instruments.observe("tool_duration", seconds, told)

    def run_ended(self, record: RunRecord) -> None:
        """End the span of a run."""
        span = self._runs.pop(record.run_id, None)
        usage = {key: record.usage.get(key) for key in ("prompt_tokens", "completion_tokens")}
        self._end(span, record.error_type, record.ended_at, usage)
        seconds = (record.ended_at or record.started_at) - record.started_at
        told = {"request_model": record.model, "error_type": record.error_type}
        self._instruments.observe("run_duration", seconds, told)

    def _beneath(self, run_id: str) -> Context | None:
        """The context in which a span of a run begins; None where it is whichever is current."""
        span = self._runs.get(run_id)
        return None if span is None else self._in_context(span)

    def _end(
        self,
        span: Span | None,
        error_type: str | None,
        ended_at: float | None,
        told: Mapping[str, object],
    ) -> None:
        from opentelemetry.trace import Status, StatusCode

        if span is None:
            return
        attributes: Any = self._names.attributes({**told, "error_type": error_type})
        span.set_attributes(attributes)
        if error_type is not None:
            span.set_status(Status(StatusCode.ERROR, error_type))
        span.end(_nanoseconds(ended_at or 0.0))

    def _asked(self, record: StreamRecord) -> dict[str, Any]:
        """What is known when a stream begins."""
        named, metadata = self._names.named, record.metadata
        told: dict[str, Any] = dict(self._identity_of(*_read_identity(record)))
        told[named["stream"]] = True
        told[named["output_type"]] = "json" if record.is_json else "text"
        if metadata and metadata.get("conversation_id") is not None:
            told[named["conversation"]] = str(metadata["conversation_id"])
        for key, value in record.parameters.items():
            if key in _PARAMETERS and value is not None:
                told[named[key]] = value
        return told

    def _answered(self, record: StreamRecord) -> dict[str, Any]:
        """What is known when it has ended."""
        named, told = self._names.named, dict[str, Any]()
        if record.response_model is not None:
            told[named["response_model"]] = record.response_model
        if record.response_id is not None:
            told[named["response_id"]] = record.response_id
        if record.finish_reason:
            told[named["finish_reasons"]] = (record.finish_reason,)
        first = record.metrics.get("ttft_ms")
        if first is not None:
            told[named["time_to_first_chunk"]] = first / 1000
        for key, count in (record.usage or {}).items():
            if key in _USAGE and count is not None:
                told[named[key]] = count
        told[ATTEMPTS] = record.attempts
        if record.cost_usd is not None:
            told[COST] = record.cost_usd
        return told

    def _tell(self, begun: _Begun, record: StreamRecord) -> None:
        span, told = begun.span, self._answered(record)
        if _read_asked(record) != _read_asked(begun.record):  # another one has answered
            before = self._asked(begun.record)
            told |= {name: v for name, v in self._asked(record).items() if before.get(name) != v}
        if record.content is not None:
            told |= self._names.attributes(_words(record, record.content))
        if record.retries or record.error_type is not None:
            self._tell_of_errors(span, record)
        if record.error_type is not None:
            told[self._names.named["error_type"]] = record.error_type
        span.set_attributes(told)

    def _tell_of_errors(self, span: Span, record: StreamRecord) -> None:
        from opentelemetry.trace import Status, StatusCode

        for retry in record.retries:
            failed: Any = self._names.attributes({"error_type": retry["error_type"]})
            span.add_event(RETRY_EVENT, failed)
        if record.error_type is not None:
            description = record.error_message or record.error_type
            span.set_status(Status(StatusCode.ERROR, description))


class _Begun(NamedTuple):
    """A stream whose span has begun, and what was known of it."""

    span: Span
    record: StreamRecord


def _key(record: ToolRecord) -> str:
    return f"{record.run_id} {record.call_id}"


def _tool_words(record: ToolRecord) -> dict[str, object]:
    content = record.content or {}
    return {
        "tool_arguments": _text(content.get("arguments")),
        "tool_result": _text(content.get("result")),
    }


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _words(record: StreamRecord, content: Mapping[str, Any]) -> dict[str, object]:
    return {
        "input_messages": input_messages(content),
        "output_messages": output_messages(content, record.finish_reason),
        "system_instructions": system_instructions(content),
        "tool_definitions": plain_json(content.get("tools")),
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


class _Sets(NamedTuple):
    """The attributes of a model's metrics: `whose`, and that with what some metrics add."""

    whose: dict[str, Any]
    input: dict[str, Any]
    output: dict[str, Any]
    of_modality: dict[str, Any]


def _make_sets(names: Names, *whose: Any) -> _Sets:
    *identity, response_model = whose
    known: dict[str, Any] = names.identity(*identity)
    known |= names.attributes({"response_model": response_model})
    return _Sets(
        known,
        known | names.attributes({"token_type": "input"}),
        known | names.attributes({"token_type": "output"}),
        known | names.attributes({"modality": "unknown"}),
    )


class _Instruments:
    """The metrics of one generation of names."""

    def __init__(self, meter: Any, names: Names, *, has_chunks: bool) -> None:
        self._names = names
        self._sets_of = lru_cache(_MOST_SETS)(partial(_make_sets, names))
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[str, Counter] = {}
        for key, metric in METRICS.items():
            name = names.metric(key)
            if name is None or (key == CHUNK_TIMES and not has_chunks):
                continue
            if metric.buckets is None:
                self._counters[key] = meter.create_counter(name, metric.unit, metric.description)
            else:
                self._histograms[key] = meter.create_histogram(
                    name,
                    metric.unit,
                    metric.description,
                    explicit_bucket_boundaries_advisory=metric.buckets,
                )

    def record(self, record: StreamRecord, context: Context | None) -> None:
        """Record what is known of a stream that has ended."""
        sets = self._sets_of(*_read_identity(record), record.response_model)
        failed = sets.whose
        if record.error_type is not None:
            failed = {**failed, self._names.named["error_type"]: record.error_type}
        self._observe("duration", record.duration_s, failed, context)
        first = _seconds(record.metrics.get("ttft_ms"))
        self._observe("time_to_first_chunk", first, sets.whose, context)
        if record.gaps:
            self._record_chunks(record, sets.whose, context)
        if not record.usage_is_estimated:  # it must not be reported: see the conventions
            self._count_tokens(record.usage or {}, sets, context)

    def _record_chunks(
        self, record: StreamRecord, attributes: dict[str, Any], context: Context | None
    ) -> None:
        later = self._histograms.get(CHUNK_TIMES)
        if later is None:
            return
        record_one = later.record
        for gap, count in record.gaps:
            for _ in range(count):
                record_one(gap, attributes, context)

    def _count_tokens(self, usage: Mapping[str, int], sets: _Sets, context: Context | None) -> None:
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        self._observe("token_usage", prompt, sets.input, context)
        self._observe("token_usage", completion, sets.output, context)
        self._observe("prompt_tokens_of_operation", prompt, sets.whose, context)
        self._observe("completion_tokens_of_operation", completion, sets.whose, context)
        for key, counter in self._counters.items():
            counter.add(usage.get(key, 0), sets.of_modality, context)

    def observe(self, key: str, value: float, told: Mapping[str, object]) -> None:
        """Record one value, where this generation has the metric."""
        self._observe(key, value, self._names.attributes(told), None)

    def _observe(
        self, key: str, value: float | None, attributes: dict[str, Any], context: Context | None
    ) -> None:
        histogram = self._histograms.get(key)
        if histogram is not None and value is not None:
            histogram.record(value, attributes, context)
