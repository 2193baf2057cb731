"""Spans and metrics for OpenTelemetry: `OpenTelemetrySink` (the extra ``otel``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from steer_llm_sdk._version import __version__
from steer_llm_sdk.checks import FLAG
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
from steer_llm_sdk.stored import plain_json

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

_NAME = "steer_llm_sdk"

_USAGE = (
    "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
)  # fmt: skip


class OpenTelemetrySink(Sink):
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
        except ImportError:
            raise ConfigurationError(
                "OpenTelemetrySink: opentelemetry-api is not installed: "
                "pip install 'steer-llm-sdk[otel]'"
            ) from None
        environment = os.environ if environment is None else environment
        self.content = wants_words(environment)
        self._names = Names(is_newer=wants_newer(environment))
        schema = SCHEMAS[self._names.is_newer]
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider, schema)
        meter = metrics.get_meter(_NAME, __version__, meter_provider, schema)
        self._instruments = _Instruments(meter, self._names, has_chunks=chunk_times)
        self._streams: dict[str, _Begun] = {}
        self._spans: dict[str, Span] = {}  # of functions
        self._runs: dict[str, Span] = {}

    def stream_started(self, record: StreamRecord) -> None:
        """Begin the span, beneath the one that is current."""
        from opentelemetry.trace import SpanKind

        attributes: Any = self._names.attributes(_asked(record))
        span = self._tracer.start_span(
            f"{operation_name(record.provider)} {record.model}",
            self._beneath(record.run_id),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=_nanoseconds(record.started_at),
        )
        self._streams[record.stream_id] = _Begun(span, attributes)

    def stream_ended(self, record: StreamRecord) -> None:
        """End the span, and record the metrics."""
        from opentelemetry import trace

        begun = self._streams.pop(record.stream_id, None)
        if begun is None:
            self._instruments.record(record, None)
            return
        try:
            self._instruments.record(record, trace.set_span_in_context(begun.span))
            if begun.span.is_recording():
                self._tell(begun, record)
        finally:  # whatever a reader of metrics or a processor of spans raises
            begun.span.end(_nanoseconds(record.ended_at or record.started_at))

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

    def _beneath(self, run_id: str | None) -> Context | None:
        """The context in which a span of a run begins; None where it is whichever is current."""
        from opentelemetry import trace

        span = None if run_id is None else self._runs.get(run_id)
        return None if span is None else trace.set_span_in_context(span)

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

    def _tell(self, begun: _Begun, record: StreamRecord) -> None:
        from opentelemetry.trace import Status, StatusCode

        name, span = self._names.attributes, begun.span
        found = _asked(record) | _answered(record)
        if record.content is not None:
            found |= _words(record, record.content)
        told: Any = begun.changed(name(found)) | {ATTEMPTS: record.attempts}
        if record.cost_usd is not None:
            told[COST] = record.cost_usd
        span.set_attributes(told)
        for retry in record.retries:
            failed: Any = name({"error_type": retry["error_type"]})
            span.add_event(RETRY_EVENT, failed)
        if record.error_type is not None:
            description = record.error_message or record.error_type
            span.set_status(Status(StatusCode.ERROR, description))


class _Begun(NamedTuple):
    """A stream whose span has begun, and the attributes that it has."""

    span: Span
    attributes: Mapping[str, object]

    def changed(self, attributes: Mapping[str, object]) -> dict[str, object]:
        """Those that the span has not, or has otherwise: each takes its time."""
        known = self.attributes
        return {name: value for name, value in attributes.items() if known.get(name) != value}


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


def _identity(record: StreamRecord) -> dict[str, object]:
    """What every metric and every span has."""
    return {
        "operation": operation_name(record.provider),
        "provider": provider_name(record.provider),
        "request_model": record.model,
        "server_address": record.server_address,
        "server_port": record.server_port,
    }


def _asked(record: StreamRecord) -> dict[str, object]:
    """What is known when a stream begins."""
    asked = record.parameters
    return _identity(record) | {
        "stream": True,
        "output_type": "json" if record.is_json else "text",
        "conversation": _text(record.metadata.get("conversation_id")),
        **{key: asked.get(key) for key in ("max_tokens", "temperature", "top_p", "seed", "stop")},
    }


def _answered(record: StreamRecord) -> dict[str, object]:
    """What is known when it has ended."""
    usage = record.usage or {}
    return {
        "response_model": record.response_model,
        "response_id": record.response_id,
        "finish_reasons": [record.finish_reason] if record.finish_reason else None,
        "time_to_first_chunk": _seconds(record.metrics.get("ttft_ms")),
        "error_type": record.error_type,
        **{key: usage.get(key) for key in _USAGE},
    }


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


class _Instruments:
    """The metrics of one generation of names."""

    def __init__(self, meter: Any, names: Names, *, has_chunks: bool) -> None:
        self._names = names
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
        whose = _identity(record) | {"response_model": record.response_model}
        attributes: Any = self._names.attributes(whose)
        failed: Any = self._names.attributes(whose | {"error_type": record.error_type})
        self._observe("duration", record.duration_s, failed, context)
        first = _seconds(record.metrics.get("ttft_ms"))
        self._observe("time_to_first_chunk", first, attributes, context)
        self._record_chunks(record, attributes, context)
        if not record.usage_is_estimated:  # it must not be reported: see the conventions
            self._count_tokens(record.usage or {}, attributes, context)

    def _record_chunks(
        self, record: StreamRecord, attributes: dict[str, Any], context: Context | None
    ) -> None:
        later = self._histograms.get(CHUNK_TIMES)
        if later is None:
            return
        for gap, count in record.gaps:
            for _ in range(count):
                later.record(gap, attributes, context)

    def _count_tokens(
        self, usage: Mapping[str, int], attributes: dict[str, Any], context: Context | None
    ) -> None:
        name = self._names.attributes
        for key, kind in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            of_kind: Any = attributes | name({"token_type": kind})
            self._observe("token_usage", usage.get(key), of_kind, context)
            self._observe(f"{key}_of_operation", usage.get(key), attributes, context)
        of_modality: Any = attributes | name({"modality": "unknown"})
        for key, counter in self._counters.items():
            counter.add(usage.get(key, 0), of_modality, context)

    def observe(self, key: str, value: float, told: Mapping[str, object]) -> None:
        """Record one value, where this generation has the metric."""
        self._observe(key, value, self._names.attributes(told), None)

    def _observe(
        self, key: str, value: float | None, attributes: dict[str, Any], context: Context | None
    ) -> None:
        histogram = self._histograms.get(key)
        if histogram is not None and value is not None:
            histogram.record(value, attributes, context)
