"""What arrives at a collector: over HTTP and over gRPC, read by the protocol's own definitions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as MetricsOverGRPC,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as SpansOverGRPC
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as MetricsOverHTTP,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as SpansOverHTTP
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2 as metrics_pb,
)
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2_grpc as metrics_grpc,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from steer_llm_sdk import SyncSteerLLMClient
from steer_llm_sdk.sinks import OpenTelemetrySink
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider

MODEL = "gpt-4o"


class Received:
    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}

    def take_spans(self, request: Any) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                assert scope.schema_url == "https://opentelemetry.io/schemas/1.41.0"
                self.spans += scope.spans

    def take_metrics(self, request: Any) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics |= {metric.name: metric for metric in scope.metrics}


@contextmanager
def over_http(received: Received) -> Iterator[tuple[Any, Any]]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                received.take_spans(trace_pb.ExportTraceServiceRequest.FromString(body))
            else:
                received.take_metrics(metrics_pb.ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        root = f"http://127.0.0.1:{server.server_port}/v1"
        yield SpansOverHTTP(f"{root}/traces"), MetricsOverHTTP(f"{root}/metrics")
        server.shutdown()
        thread.join()


@contextmanager
def over_grpc(received: Received) -> Iterator[tuple[Any, Any]]:
    class Traces(trace_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            received.take_spans(request)
            return trace_pb.ExportTraceServiceResponse()

    class Metrics(metrics_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            received.take_metrics(request)
            return metrics_pb.ExportMetricsServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_traces: Any = trace_grpc.add_TraceServiceServicer_to_server
    add_metrics: Any = metrics_grpc.add_MetricsServiceServicer_to_server
    add_traces(Traces(), server)
    add_metrics(Metrics(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    where = f"127.0.0.1:{port}"
    yield SpansOverGRPC(where, insecure=True), MetricsOverGRPC(where, insecure=True)
    server.stop(None).wait()


@pytest.mark.parametrize("way", [over_http, over_grpc])
def test_spans_and_metrics_arrive_at_a_collector(way: Any) -> None:
    received = Received()
    with way(received) as (spans, metrics):
        tracers = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(spans))
        meters = MeterProvider([PeriodicExportingMetricReader(metrics)])
        provider = ScriptedProvider(Script(["a", "b"], usage=(3, 5)), HTTPError(400))
        sinks = [OpenTelemetrySink(tracers, meters, environment={})]
        with SyncSteerLLMClient("key", transport=provider, sinks=sinks) as client:
            client.generate("Hi", MODEL)
            client.stream_with_usage("Hi", MODEL, on_error=lambda event: None)
        tracers.shutdown()
        meters.shutdown()

    completed, failed = received.spans
    assert [span.name for span in received.spans] == [f"chat {MODEL}"] * 2
    assert completed.kind == 3  # CLIENT
    told = {each.key: each.value for each in completed.attributes}
    assert told["gen_ai.operation.name"].string_value == "chat"
    assert told["gen_ai.request.stream"].bool_value is True
    assert told["gen_ai.usage.input_tokens"].int_value == 3
    assert told["gen_ai.usage.output_tokens"].int_value == 5
    assert told["gen_ai.response.finish_reasons"].array_value.values[0].string_value == "stop"
    assert told["gen_ai.response.time_to_first_chunk"].double_value >= 0
    assert completed.end_time_unix_nano >= completed.start_time_unix_nano > 0
    assert failed.status.code == 2  # ERROR
    duration = received.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert sum(point.count for point in duration) == 2
    tokens = received.metrics["gen_ai.client.token.usage"].histogram.data_points
    assert sorted(point.sum for point in tokens) == [3, 5]
