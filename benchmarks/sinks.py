"""What sinks cost in CPU: for a stream, with each kind of sink, and for one more delta of it.

Run: ``python benchmarks/sinks.py``; ``--streams 1000``, ``--only SQLite``. The streams come from
the test kit's transport. A batch of a thousand with a sink stands between two without, and the CPU
time of the whole process, the sinks' thread among it, is compared with the mean of both: a machine
that is quicker or slower from one second to the next is so for all three. The median of the batches
counts, and beside it stands how far the middle half of them lies apart. What is there before the
batches begin (modules, the list of prices) is kept out of garbage collections: one of everything in
one batch, and none in its neighbours, counted more than a sink.

What OpenTelemetry's SDK takes for itself is measured by an application that has no sink, and tells
it the same of each call by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.sinks import (
    JSONLinesSink,
    LoggingSink,
    OpenTelemetrySink,
    PrometheusSink,
    Sink,
    SQLiteSink,
)
from steer_llm_sdk.sinks.semconv import SECONDS, TOKENS
from steer_llm_sdk.testing import Script, ScriptedProvider

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

MODEL = "gpt-4o"
SIDE_BY_SIDE = 100

# After how many streams the sinks are closed, as at a client's end: their files are opened anew.
BATCH = 1_000

# Deltas of a stream; the second kind is for what one more delta costs.
SHORT, LONG = 10, 500


class ByHand:
    """Calls with a span and metrics around them: what the sink tells OpenTelemetry's SDK."""

    def __init__(self) -> None:
        from opentelemetry import trace

        tracers, meters = _providers()
        self._trace = trace
        self._tracer = tracers.get_tracer("benchmark")
        meter = meters.get_meter("benchmark")
        self._duration, self._first, self._tokens = (
            meter.create_histogram(name, explicit_bucket_boundaries_advisory=buckets)
            for name, buckets in (("duration", SECONDS), ("first", SECONDS), ("tokens", TOKENS))
        )

    async def ask(self, client: SteerLLMClient) -> None:
        began = time.time_ns()
        whose = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": MODEL,
            "server.address": "api.openai.com",
            "server.port": 443,
        }
        asked = {**whose, "gen_ai.request.stream": True, "gen_ai.output.type": "text"}
        span = self._tracer.start_span(
            f"chat {MODEL}",
            kind=self._trace.SpanKind.CLIENT,
            attributes=asked,
            start_time=began,
        )
        response = await client.generate("Hi", MODEL)
        ended, usage = time.time_ns(), response.usage
        context = self._trace.set_span_in_context(span)
        assert usage is not None
        span.set_attributes({
            "gen_ai.response.model": MODEL,
            "gen_ai.response.id": response.stream_id,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.time_to_first_chunk": 0.01,
            "gen_ai.usage.input_tokens": usage["prompt_tokens"],
            "gen_ai.usage.output_tokens": usage["completion_tokens"],
            "attempts": 1,
            "cost_usd": 0.002,
        })  # fmt: skip
        whose["gen_ai.response.model"] = MODEL
        self._duration.record((ended - began) / 1e9, whose, context)
        self._first.record(0.01, whose, context)
        for kind, key in (("input", "prompt_tokens"), ("output", "completion_tokens")):
            of_kind = {**whose, "gen_ai.token.type": kind}
            self._tokens.record(usage[key], of_kind, context)  # type: ignore[literal-required]
        span.end(ended)


Make = Callable[[Path], list[Sink] | ByHand]


def _otel(*, chunk_times: bool) -> Make:
    def make(_folder: Path) -> list[Sink] | ByHand:
        return [OpenTelemetrySink(*_providers(), chunk_times=chunk_times)]

    return make


def _providers() -> tuple[TracerProvider, MeterProvider]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    return TracerProvider(), MeterProvider([InMemoryMetricReader()])


def _prometheus(_folder: Path) -> list[Sink]:
    from prometheus_client import CollectorRegistry

    return [PrometheusSink(CollectorRegistry())]


SINKS: dict[str, Make] = {
    "one that does nothing": lambda _: [Sink()],
    "SQLite": lambda folder: [SQLiteSink(folder / "ledger.db")],
    "JSON lines": lambda folder: [JSONLinesSink(folder / "streams.jsonl")],
    "logging": lambda _: [LoggingSink()],
    "Prometheus": _prometheus,
    "OpenTelemetry's API alone": lambda _: [OpenTelemetrySink()],
    "OpenTelemetry's SDK, without the times of chunks": _otel(chunk_times=False),
    "OpenTelemetry's SDK": _otel(chunk_times=True),
    "OpenTelemetry's SDK by hand, without a sink": lambda _: ByHand(),
}


class Contender:
    """A client with sinks, which is asked for batches of streams.

    Args:
        told: Its sinks, or who tells of each call by hand.
        deltas: How many deltas each stream has.
    """

    def __init__(self, told: list[Sink] | ByHand, deltas: int) -> None:
        self._provider = ScriptedProvider(Script(["word "] * deltas, usage=(31, deltas)))
        self._by_hand = told if isinstance(told, ByHand) else None
        sinks = told if isinstance(told, list) else []
        self.client = SteerLLMClient("key", transport=self._provider, sinks=sinks)
        self.streams = 0

    async def batch(self) -> float:
        """The CPU time of a stream in a batch, in microseconds, with all that its sinks do."""
        gc.collect()
        before = time.process_time()
        for _ in range(BATCH // SIDE_BY_SIDE):
            await asyncio.gather(*(self._ask() for _ in range(SIDE_BY_SIDE)))
            self._provider.requests.clear()  # no application keeps what it has sent
            self._provider.responses.clear()
        await self.client._sinks.flush()
        self.streams += BATCH
        return (time.process_time() - before) / BATCH * 1e6

    async def _ask(self) -> None:
        if self._by_hand is None:
            await self.client.generate("Hi", MODEL)
        else:
            await self._by_hand.ask(self.client)

    async def close(self) -> None:
        await self.client.close()
        stats = self.client.stats
        if stats.sink_drops or stats.completed != self.streams:
            raise AssertionError(f"expected {self.streams} streams and no drops, found {stats}")


async def compare(make: Make, streams: int, deltas: int) -> tuple[list[float], list[float]]:
    """What a stream without sinks takes, and what one takes more with them: of each batch."""
    with tempfile.TemporaryDirectory() as folder:
        bare, sunk = Contender([], deltas), Contender(make(Path(folder)), deltas)
        for contender in (bare, sunk):  # imports, prices, files
            await contender.batch()
        gc.collect()
        gc.freeze()
        takes, more = [await bare.batch()], []
        for _ in range(max(streams // BATCH, 2)):
            with_sinks = await sunk.batch()
            takes.append(await bare.batch())
            more.append(with_sinks - (takes[-2] + takes[-1]) / 2)
        gc.unfreeze()
        await bare.close()
        await sunk.close()
    return takes, more


def _half(values: list[float]) -> float:
    """How far the middle half of the values lies apart."""
    first, _, third = statistics.quantiles(values, n=4)
    return third - first


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=8_000, help="of each kind and length")
    parser.add_argument("--deltas", type=int, default=LONG, help="of a long stream")
    parser.add_argument("--only", action="append", choices=SINKS)
    asked = parser.parse_args()
    print("| sink | µs a stream | middle half | of a bare one | µs a delta |")
    print("|---|---:|---:|---:|---:|")
    for name in asked.only or SINKS:
        bare, short = asyncio.run(compare(SINKS[name], asked.streams, SHORT))
        _, long = asyncio.run(compare(SINKS[name], asked.streams // 5, asked.deltas))
        a_stream, usual = statistics.median(short), statistics.median(bare)
        a_delta = (statistics.median(long) - a_stream) / (asked.deltas - SHORT)
        share = f"{a_stream / usual:+.0%} of {usual:.0f}"
        print(
            f"| {name} | {a_stream:.0f} | {_half(short):.0f} | {share} | {a_delta:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
