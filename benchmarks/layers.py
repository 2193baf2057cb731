"""Where the microseconds go: each layer by itself, on a stream of chat completions in memory.

Run: ``python benchmarks/layers.py``. Each line is what that layer adds to those above it, in
microseconds per chunk: once with the chunks of a burst, 64 kB a read, and once a chunk a read. It
is the least of many runs, so it says what the code takes and nothing of the machine's moods.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterable

from _payloads import frames

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.engine.exchange import Body
from steer_llm_sdk.engine.heads import Head
from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.engine.scrubbing import Secrets
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.processor import create_event_processor
from steer_llm_sdk.wire.sse import SSEFraming

# Of one stream, and how often each is run; the least of all runs counts.
CHUNKS = 5000
RUNS = 40

READ_BYTES = 64 * 1024


class Played:
    """A response whose body is at hand."""

    status = 200

    def __init__(self, reads: Iterable[bytes]) -> None:
        self.headers = {"content-type": "text/event-stream"}
        self._reads = iter(reads)

    async def read(self) -> bytes:
        return next(self._reads, b"")

    def abort(self, error: Exception) -> None: ...

    async def release(self) -> None: ...


class Player:
    """A transport that plays them."""

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = reads

    async def open(self, request: HTTPRequest, *, connect_timeout: float | None) -> Played:
        return Played(self._reads)

    async def close(self) -> None: ...


async def typed(event: StreamEvent) -> None: ...


def untyped(event):  # type: ignore[no-untyped-def]
    return None


def framing(reads: list[bytes]) -> None:
    cutter = SSEFraming(1 << 25)
    for read in reads:
        for _ in cutter.feed(read):
            pass


def new_body() -> Body:
    target = Target("openai", ChatRequest("gpt-4o", ()), OpenAIChat(), _no_endpoint)
    secrets = Secrets(HTTPRequest("http://127.0.0.1:9/v1", b"", {}))
    answer = Played(())
    head = Head(answer.headers, secrets, 0.0)
    return Body(answer, target, StreamingOptions(), secrets, head, None)


async def _no_endpoint() -> Endpoint:
    raise NotImplementedError


def decoding(reads: list[bytes]) -> None:
    body = new_body()
    for read in reads:
        for _ in body.fragments(read):
            pass


def events(reads: list[bytes]) -> None:
    body, intake = new_body(), Intake(StreamingResponse(), wall_offset=0.0)
    for read in reads:
        for _ in intake.feed(body.fragments(read), 1.0):
            pass


async def streamed(reads: list[bytes], callback: object, options: StreamingOptions) -> None:
    settings = {"openai": ProviderSettings(api_key="none", base_url="http://127.0.0.1:9/v1")}
    client = SteerLLMClient(providers=settings, transport=Player(reads))
    kinds = ("on_start", "on_delta", "on_usage", "on_complete", "on_error")
    given = dict.fromkeys(kinds, callback) if callback else {}
    response = await client.stream_with_usage("Hello", "gpt-4o", streaming_options=options, **given)
    assert response.ok


def least(works: list[Callable[[], object]], chunks: int, runs: int) -> list[float]:
    """Microseconds per chunk of each; they are run in turn."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for work, taken in zip(works, times, strict=True):
            begun = time.process_time()
            work()
            taken.append(time.process_time() - begun)
    return [min(taken) / chunks * 1e6 for taken in times]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--chunks", type=int, default=CHUNKS)
    arguments.add_argument("--runs", type=int, default=RUNS)
    asked = arguments.parse_args()
    alone = frames("openai", "text", asked.chunks)
    body = b"".join(alone)
    burst = [body[at : at + READ_BYTES] for at in range(0, len(body), READ_BYTES)]
    processed = StreamingOptions(
        event_processor=create_event_processor(
            event_types=[StreamEvent], add_correlation=True, add_timestamp=True, add_metrics=True
        )
    )
    plain = StreamingOptions()
    assert EventManager(on_delta=typed).is_async("delta")
    with asyncio.Runner() as runner:

        def run(reads: list[bytes], callback: object, options: StreamingOptions) -> None:
            runner.run(streamed(reads, callback, options))

        def column(reads: list[bytes]) -> list[float]:
            return least(
                [
                    lambda: framing(reads),
                    lambda: decoding(reads),
                    lambda: events(reads),
                    lambda: run(reads, None, plain),
                    lambda: run(reads, typed, plain),
                    lambda: run(reads, untyped, plain),
                    lambda: run(reads, typed, processed),
                    lambda: [StreamDeltaEvent(delta="a") for _ in range(asked.chunks)],
                ],
                asked.chunks,
                asked.runs,
            )

        columns = [column(burst), column(alone)]
    _print(columns)


def _print(columns: list[list[float]]) -> None:
    names = (
        "bytes to frames",
        "frames to fragments: JSON decoded",
        "fragments to events, numbered and collected",
        "the pump: reads, limits, metrics",
        "five async callbacks",
    )
    rows = list(zip(*columns, strict=True))
    before = (0.0, 0.0)
    print(f"{'µs per chunk, added':<48}{'burst':>8}{'alone':>8}")
    for name, row in zip(names, rows, strict=False):
        print(f"{name:<48}" + "".join(f"{b - a:8.2f}" for a, b in zip(before, row, strict=True)))
        before = row
    print(f"{'in all':<48}" + "".join(f"{value:8.2f}" for value in before))
    typed_row, untyped_row, processed_row, event_row = rows[4:8]
    for name, row in (
        ("an untyped callback instead, added", untyped_row),
        ("a filter and three transformers, added", processed_row),
    ):
        pairs = zip(typed_row, row, strict=True)
        print(f"{name:<48}" + "".join(f"{b - a:8.2f}" for a, b in pairs))
    print(f"{'for comparison: making one event':<48}{event_row[0]:8.2f}")


if __name__ == "__main__":
    main()
