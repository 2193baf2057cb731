"""What sinks cost in CPU: for a stream, with each kind of sink, and for one more delta of it.

Run: ``python benchmarks/sinks.py``; ``--streams 1000``, ``--rounds 10``. A thousand streams, a
hundred at a time, come from the test kit's transport; the CPU time of the whole process, the sinks'
thread among it, is compared with that of the same streams without sinks. Rounds take turns, and the
shortest of each kind counts: other work on the machine only ever makes one longer.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.sinks import (
    JSONLinesSink,
    LoggingSink,
    OpenTelemetrySink,
    PrometheusSink,
    Sink,
    SQLiteSink,
)
from steer_llm_sdk.testing import Script, ScriptedProvider

MODEL = "gpt-4o"
SIDE_BY_SIDE = 100

# Deltas of a stream; the second kind is for what one more delta costs.
SHORT, LONG = 10, 500

Make = Callable[[Path], list[Sink]]


def _otel(*, chunk_times: bool) -> Make:
    def make(_folder: Path) -> list[Sink]:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider

        meters = MeterProvider([InMemoryMetricReader()])
        return [OpenTelemetrySink(TracerProvider(), meters, chunk_times=chunk_times)]

    return make


def _prometheus(_folder: Path) -> list[Sink]:
    from prometheus_client import CollectorRegistry

    return [PrometheusSink(CollectorRegistry())]


SINKS: dict[str, Make] = {
    "none": lambda _: [],
    "one that does nothing": lambda _: [Sink()],
    "SQLite": lambda folder: [SQLiteSink(folder / "ledger.db")],
    "JSON lines": lambda folder: [JSONLinesSink(folder / "streams.jsonl")],
    "logging": lambda _: [LoggingSink()],
    "Prometheus": _prometheus,
    "OpenTelemetry's API alone": lambda _: [OpenTelemetrySink()],
    "OpenTelemetry's SDK, without the times of chunks": _otel(chunk_times=False),
    "OpenTelemetry's SDK": _otel(chunk_times=True),
}


async def run(make: Make, streams: int, deltas: int) -> float:
    """The CPU time of a stream, in microseconds."""
    script = Script(["word "] * deltas, usage=(31, deltas))
    provider = ScriptedProvider(*[script] * streams)
    at_once = min(SIDE_BY_SIDE, streams)
    with tempfile.TemporaryDirectory() as folder:
        client = SteerLLMClient("key", transport=provider, sinks=make(Path(folder)))
        gc.collect()
        before = time.process_time()
        for _ in range(streams // at_once):
            asked = (client.generate("Hi", MODEL) for _ in range(at_once))
            await asyncio.gather(*asked)
        await client.close()
        spent = time.process_time() - before
    if client.stats.sink_drops or client.stats.completed != streams:
        raise AssertionError(f"expected {streams} streams and no drops, found {client.stats}")
    return spent / streams * 1e6


async def measure(streams: int, rounds: int) -> dict[str, tuple[float, float]]:
    """The least CPU time of a short stream and of a long one, in microseconds, by the sink."""
    found = dict.fromkeys(SINKS, (float("inf"), float("inf")))
    for make in SINKS.values():  # imports, prices
        await run(make, SIDE_BY_SIDE, SHORT)
    for _ in range(rounds):
        for name, make in SINKS.items():
            short, long = found[name]
            found[name] = (
                min(short, await run(make, streams, SHORT)),
                min(long, await run(make, streams // 5, LONG)),
            )
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    found = asyncio.run(measure(asked.streams, asked.rounds))
    bare, bare_long = found.pop("none")
    print(f"without sinks: {bare:.0f} µs a stream of {SHORT} deltas, {bare_long:.0f} µs of {LONG}")
    print("| sink | µs a stream | µs a delta |\n|---|---:|---:|")
    for name, (short, long) in found.items():
        more = ((long - bare_long) - (short - bare)) / (LONG - SHORT)
        print(f"| {name} | {short - bare:.0f} | {more:.2f} |")


if __name__ == "__main__":
    main()
