"""What Prometheus scrapes: over HTTP, read by its own parser."""

from __future__ import annotations

import sys
import urllib.request
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from steer_llm_sdk import ConfigurationError, SyncSteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks import PrometheusSink
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider, check_sink
from support.sinks import record

MODEL = "gpt-4o"


def scrape(registry: CollectorRegistry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    labels = {"provider": "openai", "model": MODEL} | labels
    return f"steer_llm_{name}", frozenset(labels.items())


def test_what_is_scraped_is_what_the_streams_came_to() -> None:
    registry = CollectorRegistry()
    failing = HTTPError(503, headers={"retry-after": "0"})
    provider = ScriptedProvider(
        Script(["a", "b"], usage=(3, 5)), failing, Script(["c"], usage=(4, 6)), HTTPError(400)
    )
    sinks = [PrometheusSink(registry)]
    options = StreamingOptions(max_retries=1)
    with SyncSteerLLMClient("key", transport=provider, sinks=sinks) as client:
        responses = [client.generate("Hi", MODEL, streaming_options=options) for _ in range(2)]
        client.stream_with_usage("Hi", MODEL, on_error=lambda event: None)

    found = scrape(registry)
    assert found[key("streams_total", outcome="completed", error_type="")] == 2
    assert found[key("streams_total", outcome="failed", error_type="InvalidRequestError")] == 1
    assert found[key("streams_running")] == 0
    assert found[key("tokens_total", kind="prompt")] == 7
    assert found[key("tokens_total", kind="completion")] == 11
    assert found[key("retries_total")] == 1
    assert found[key("duration_seconds_count")] == 3
    assert found[key("time_to_first_token_seconds_count")] == 2
    assert found[key("time_per_output_token_seconds_count")] == 2
    cost = sum(response.cost_usd or 0 for response in responses)
    assert found[key("cost_usd_total")] == pytest.approx(cost)
    total = sum((response.metrics["ttft_ms"] or 0) / 1000 for response in responses)
    assert found[key("time_to_first_token_seconds_sum")] == pytest.approx(total)


def test_streams_that_run_are_counted_until_they_end() -> None:
    registry = CollectorRegistry()
    sink = PrometheusSink(registry)
    sink.stream_started(record(stream_id="a"))
    sink.stream_started(record(stream_id="b"))
    sink.stream_ended(record(stream_id="a", provider="anthropic"))  # a fallback answered

    assert (
        registry.get_sample_value(
            "steer_llm_streams_running", {"provider": "openai", "model": MODEL}
        )
        == 1
    )


def test_several_sinks_share_a_registry() -> None:
    registry = CollectorRegistry()
    for _ in range(2):
        PrometheusSink(registry).stream_ended(record())

    labels = {"provider": "openai", "model": MODEL, "outcome": "completed", "error_type": ""}
    assert registry.get_sample_value("steer_llm_streams_total", labels) == 2


def test_it_is_a_sink() -> None:
    registry: Any = CollectorRegistry()

    check_sink(PrometheusSink(registry))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'steer-llm-sdk\[prometheus\]'"):
        PrometheusSink()
