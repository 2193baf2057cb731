"""What shipped sinks are made with is checked when they are made, not at the first stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import metrics, trace
from prometheus_client import CollectorRegistry

from steer_llm_sdk import ConfigurationError
from steer_llm_sdk.sinks import LoggingSink, OpenTelemetrySink, PrometheusSink


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: LoggingSink("my.streams"), "logger: expected a logger, such as "),  # type: ignore[arg-type]
        (lambda: LoggingSink(logging.Logger), "found the class Logger"),  # type: ignore[arg-type]
        (lambda: LoggingSink(level="INFO"), "level: expected a whole number"),  # type: ignore[arg-type]
        (lambda: PrometheusSink("streams"), "registry: expected a registry, such as "),  # type: ignore[arg-type]
        (lambda: PrometheusSink(CollectorRegistry), "found the class CollectorRegistry"),  # type: ignore[arg-type]
        (
            lambda: OpenTelemetrySink(trace.get_tracer("mine")),  # type: ignore[arg-type]
            "tracer_provider: expected a TracerProvider",
        ),
        (
            lambda: OpenTelemetrySink(meter_provider=metrics.get_meter("mine")),  # type: ignore[arg-type]
            "meter_provider: expected a MeterProvider",
        ),
        (
            lambda: OpenTelemetrySink(environment="production"),  # type: ignore[arg-type]
            "environment: expected a mapping whose keys are strings, or None, found 'production'",
        ),
    ],
)
def test_what_a_sink_cannot_work_with_is_refused(make: Callable[[], Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make()


def test_what_logs_like_a_logger_is_one() -> None:
    adapter = logging.LoggerAdapter(logging.getLogger("mine"), {})

    assert LoggingSink(adapter).content is False  # type: ignore[arg-type]
