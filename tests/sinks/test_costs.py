"""What a sink costs, in calls of Python functions: they are the same on any machine."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.sinks import OpenTelemetrySink, Sink, SQLiteSink
from steer_llm_sdk.testing import Script, ScriptedProvider

MODEL = "gpt-4o"
STREAMS = 5


class Calls:
    """Counts the calls of Python functions in the threads that it is set for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            self.count += 1


async def calls_of(sinks: list[Sink], deltas: int = 10) -> tuple[float, float]:
    """The calls of a stream: in the event loop's thread, and in that of the sinks."""
    script = Script(["word "] * deltas, usage=(31, deltas))
    here, beside = Calls(), Calls()
    client = SteerLLMClient(
        "key", transport=ScriptedProvider(*[script] * (STREAMS + 1)), sinks=sinks
    )
    await client.generate("Hi", MODEL)  # what is imported and looked up once
    await client.close()
    client._sinks.worker.stop()
    client._sinks.worker.join(10)  # a thread that begins after this is counted
    threading.setprofile(beside)
    sys.setprofile(here)
    for _ in range(STREAMS):
        await client.generate("Hi", MODEL)
    sys.setprofile(None)
    await client._sinks.flush()
    threading.setprofile(None)
    await client.close()
    return here.count / STREAMS, beside.count / STREAMS


async def test_no_delta_takes_a_call_more_for_a_sink(tmp_path: Path) -> None:
    more = []
    for deltas in (10, 60):
        bare, _ = await calls_of([], deltas)
        told, _ = await calls_of([SQLiteSink(tmp_path / f"{deltas}.db")], deltas)
        more.append(told - bare)

    assert more[1] - more[0] < 25  # of fifty deltas more
    assert more[0] < 30


async def test_a_record_is_made_and_kept_in_a_few_calls(tmp_path: Path) -> None:
    _, nothing = await calls_of([Sink()])
    _, ledger = await calls_of([SQLiteSink(tmp_path / "ledger.db")])
    telemetry = OpenTelemetrySink(NoOpTracerProvider(), NoOpMeterProvider(), environment={})
    _, spans = await calls_of([telemetry])

    assert 20 < nothing < 65, nothing
    assert ledger - nothing < 15, ledger
    assert spans - nothing < 48, spans
