"""Metrics for Prometheus: `PrometheusSink` (the extra ``prometheus``)."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from steer_llm_sdk.checks import having
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.semconv import SECONDS
from steer_llm_sdk.stored import Shared

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_REGISTRY = having("a registry, such as CollectorRegistry()", "register", "collect").or_none()

_WHOSE = ("provider", "model")

# How often one model's token comes: from a thousandth of a second to ten.
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_TOKEN_KINDS = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
    "reasoning_tokens": "reasoning",
}


class PrometheusSink(Shared, Sink):
    """Counts streams in a registry of ``prometheus_client``, which a server of yours exposes.

    Its metrics are ``steer_llm_streams_total``, ``steer_llm_streams_running``,
    ``steer_llm_duration_seconds``, ``steer_llm_time_to_first_token_seconds``,
    ``steer_llm_time_per_output_token_seconds``, ``steer_llm_tokens_total``,
    ``steer_llm_cost_usd_total`` and ``steer_llm_retries_total``, each by ``provider`` and
    ``model``. Several sinks may share a registry.

    Args:
        registry: Where they are registered; the global one by default.

    Raises:
        ConfigurationError: The extra ``prometheus`` is not installed, or it is no registry.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            from prometheus_client import REGISTRY
        except ImportError:
            raise ConfigurationError(
                "PrometheusSink: prometheus-client is not installed: "
                "pip install 'steer-llm-sdk[prometheus]'"
            ) from None
        _REGISTRY.check("registry", registry)
        registry = REGISTRY if registry is None else registry
        self._metrics = _by_registry.setdefault(registry, {})
        if not self._metrics:
            self._metrics.update(_make(registry))
        self._begun: dict[str, StreamRecord] = {}

    def stream_started(self, record: StreamRecord) -> None:
        """Count a stream as running."""
        self._begun[record.stream_id] = record
        self._of("running", record).inc()

    def stream_ended(self, record: StreamRecord) -> None:
        """Count what a stream came to."""
        begun = self._begun.pop(record.stream_id, None)
        if begun is not None:  # by the model that was asked first, where another one answered
            self._of("running", begun).dec()
        whose = (record.provider, record.model)
        self._metrics["streams"].labels(*whose, record.outcome, record.error_type or "").inc()
        self._observe("duration", record, record.duration_s, 1)
        self._observe("ttft", record, record.metrics.get("ttft_ms"))
        self._observe("tpot", record, record.metrics.get("tpot_ms"))
        for key, kind in _TOKEN_KINDS.items():
            if tokens := (record.usage or {}).get(key):
                self._metrics["tokens"].labels(*whose, kind).inc(tokens)
        self._of("cost", record).inc(record.cost_usd or 0.0)
        self._of("retries", record).inc(len(record.retries))

    def _of(self, key: str, record: StreamRecord) -> Any:
        return self._metrics[key].labels(record.provider, record.model)

    def _observe(
        self, key: str, record: StreamRecord, value: float | None, per_second: float = 1000
    ) -> None:
        if value is not None:
            self._of(key, record).observe(value / per_second)


_by_registry: weakref.WeakKeyDictionary[CollectorRegistry, dict[str, Any]] = (
    weakref.WeakKeyDictionary()
)


def _make(registry: CollectorRegistry) -> dict[str, Any]:
    from prometheus_client import Counter, Gauge, Histogram

    def counter(name: str, what: str, *labels: str) -> Counter:
        return Counter(f"steer_llm_{name}", what, (*_WHOSE, *labels), registry=registry)

    def histogram(name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"steer_llm_{name}", what, _WHOSE, buckets=buckets, registry=registry)

    return {
        "streams": counter("streams_total", "Streams that have ended.", "outcome", "error_type"),
        "running": Gauge(
            "steer_llm_streams_running", "Streams that run.", _WHOSE, registry=registry
        ),
        "duration": histogram("duration_seconds", "From the start to the end.", SECONDS),
        "ttft": histogram(
            "time_to_first_token_seconds", "From the start to the first delta.", SECONDS
        ),
        "tpot": histogram(
            "time_per_output_token_seconds", "For each token after the first.", _TOKEN_SECONDS
        ),
        "tokens": counter("tokens_total", "Tokens, as reported or estimated.", "kind"),
        "cost": counter("cost_usd_total", "What it cost, as far as that is known."),
        "retries": counter("retries_total", "Requests that were sent again."),
    }
