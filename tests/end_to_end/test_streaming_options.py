"""What each option changes in a stream, for those that no other test looks at.

Time limits are in `test_limits`, retries in `test_retries`, recovery in `test_recovery`, JSON in
`test_json_answers`, leaving in `test_cancellation`, text transformers in `test_text_transformers`,
callbacks in `test_user_faults`.
"""

from __future__ import annotations

import asyncio
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import steer_llm_sdk
from steer_llm_sdk import SteerError, SteerLLMClient
from steer_llm_sdk.errors import FrameTooLargeError, ProviderError
from steer_llm_sdk.models.events import StreamEvent, StreamUsageEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.redaction import RedactTransformer
from steer_llm_sdk.pipeline.shaping import CoalesceTransformer, RateLimiter, SamplingFilter
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    EventProcessor,
    EventTransformer,
    MetricsTransformer,
    create_event_processor,
)
from steer_llm_sdk.testing import HTTPError, ManualClock, Pace, Script, ScriptedProvider
from support.events import complete, delta, start, texts
from support.every_format import FORMATS, settings_of

SOURCES = Path(steer_llm_sdk.__file__).parent


@pytest.mark.parametrize("name", [field.name for field in fields(StreamingOptions)])
def test_every_option_is_read_somewhere(name: str) -> None:
    home = SOURCES / "models" / "streaming.py"
    others = [path.read_text() for path in SOURCES.rglob("*.py") if path != home]

    # By others, or where the options are checked against one another.
    assert f"not self.{name}" in home.read_text() or any(f"options.{name}" in t for t in others)


async def outcome(
    script: Any, options: StreamingOptions, model: str = "gpt-4o"
) -> tuple[list[StreamEvent], StreamingResponse]:
    client = SteerLLMClient(providers=settings_of(), transport=ScriptedProvider(script))
    options = options.replace(raise_on_error=False, max_retries=0)
    async with client, client.stream_events("Hi", model, streaming_options=options) as stream:
        return [event async for event in stream], stream.response


@pytest.mark.parametrize("wire", FORMATS)
async def test_max_frame_bytes(wire: str) -> None:
    model = f"{wire}:m"
    long = Script(["a short one", "b" * 20_000])
    _, fits = await outcome(long, StreamingOptions(max_frame_bytes=30_000), model)
    _, failed = await outcome(long, StreamingOptions(max_frame_bytes=10_000), model)

    assert fits.ok
    assert isinstance(failed.error, FrameTooLargeError)
    assert failed.get_text() == "a short one"


async def test_max_error_body_bytes() -> None:
    body = b'{"error": {"message": "' + b"x" * 5_000 + b'", "code": "busy"}}'
    script = HTTPError(500, body=body)
    _, whole = await outcome(script, StreamingOptions())
    _, cut = await outcome(script, StreamingOptions(max_error_body_bytes=1_000))

    assert isinstance(whole.error, ProviderError)
    assert isinstance(cut.error, ProviderError)
    assert (whole.error.status, whole.error.code) == (500, "busy")
    assert (cut.error.status, cut.error.code) == (500, None)
    assert len(cut.error.body or "") <= 1_000


async def test_include_usage() -> None:
    _, asked = await outcome(Script(), StreamingOptions())
    events, not_asked = await outcome(Script(), StreamingOptions(include_usage=False))

    assert not asked.usage_is_estimated
    assert not_asked.usage_is_estimated
    (usage,) = [event for event in events if isinstance(event, StreamUsageEvent)]
    assert usage.is_estimated
    assert usage.confidence < 1


async def test_event_processor() -> None:
    processor = EventProcessor([SamplingFilter(0.5)])
    events, response = await outcome(
        Script(["a", "b", "c", "d"]), StreamingOptions(event_processor=processor)
    )

    assert texts(events) == ["a", "c"]
    assert response.get_text() == "abcd"


@pytest.mark.parametrize(
    ("shaper", "expected"),
    [
        (RateLimiter(10), ["a", "bcde", "fgh"]),
        (RateLimiter(10, burst=2), ["a", "b", "cde", "fgh"]),
        (RateLimiter(10, surplus="drop"), ["a", "e"]),
        (CoalesceTransformer(interval_ms=80), ["abcd", "efgh"]),
        (CoalesceTransformer("word", max_length=3), ["abcd", "efgh"]),
    ],
)
async def test_the_times_of_the_events_decide_what_is_joined(
    shaper: EventTransformer, expected: list[str]
) -> None:
    """A delta every 30 ms."""
    clock = ManualClock()
    transport = ScriptedProvider(Script(list("abcdefgh"), faults=[Pace(0.03)]), clock=clock)
    options = StreamingOptions(event_processor=EventProcessor(transformers=[shaper]))
    seen: list[StreamEvent] = []
    client = SteerLLMClient("x", transport=transport, clock=clock)

    running = asyncio.create_task(
        client.stream_with_usage("Hi", "gpt-4o", streaming_options=options, on_delta=seen.append)
    )
    for _ in range(20):
        await clock.advance(0.03)
    response = await running

    assert texts(seen) == expected
    assert response.get_text() == "abcdefgh"


async def test_a_redactors_replacement() -> None:
    options = StreamingOptions(text_transformers=[RedactTransformer(r"\d{4}", replacement="####")])
    _, response = await outcome(Script(["Pin 12", "34."]), options)

    assert response.get_text() == "Pin ####."


async def test_a_stall_threshold_decides_what_counts_as_a_stall() -> None:
    for threshold, stalls in ((100, 2), (300, 1), (1000, 0)):
        stream = EventProcessor(transformers=[MetricsTransformer(threshold)]).open_stream()
        for event in (start(), delta(at=0), delta(at=0.2), delta(at=0.7)):
            stream.process(event)
        done = complete()
        stream.process(done)

        assert done.metadata["metrics_summary"]["stalls"] == stalls


async def test_the_factory_passes_on_what_concerns_batches_and_the_background() -> None:
    batches: list[list[StreamEvent]] = []
    processor = create_event_processor(
        background=True, batch_size=2, batch_timeout_ms=None, batch_handler=batches.append
    )
    assert isinstance(processor, BatchedEventProcessor)
    for text in "abc":
        await processor.submit_event(delta(text))
    assert processor.metrics.events_processed == 0  # the worker has not begun
    await processor.stop()

    assert [texts(batch) for batch in batches] == [["a", "b"], ["c"]]


async def test_a_batch_timeout_of_the_factory() -> None:
    batches: asyncio.Queue[list[StreamEvent]] = asyncio.Queue()
    processor = create_event_processor(batch_timeout_ms=1, batch_handler=batches.put)
    await processor.process_events(delta("a"))

    async with asyncio.timeout(5):
        assert texts(await batches.get()) == ["a"]


async def test_raise_on_error_concerns_the_errors_of_the_stream_only() -> None:
    client = SteerLLMClient("x", transport=ScriptedProvider(HTTPError(400)))
    response = await client.generate(
        "Hi", "gpt-4o", streaming_options=StreamingOptions(raise_on_error=False)
    )
    assert isinstance(response.error, SteerError)

    with pytest.raises(SteerError):
        response.raise_for_error()
