"""The guide that was asked for: its blocks run as they stand, one after another, in one namespace.

What a block only defines is called right after it. The guide stands in the file that STEER_GUIDE
names. It never imports `List` and `asyncio`: the namespace begins with them.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import os
import re
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient, StreamingResponse
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.testing import EndEarly, LoopbackServer, Script

GUIDE = os.environ.get("STEER_GUIDE", "")
pytestmark = pytest.mark.skipif(not GUIDE, reason="STEER_GUIDE names no guide")

Names = dict[str, Any]
FollowUp = Callable[[Names], Awaitable[Any]]


@dataclass(frozen=True)
class Section:
    """What came of one section's blocks."""

    printed: str
    result: Any
    names: Names


# --- what a section only defines, called ----------------------------------------------------------


def ask(*callbacks: str, processor: bool = False) -> FollowUp:
    """Ask the model with the callbacks (and the processor) that the section has just defined."""

    async def follow_up(names: Names) -> StreamingResponse:
        options = StreamingOptions(event_processor=names["processor"]) if processor else None
        response: StreamingResponse = await names["client"].stream_with_usage(
            "Hello",
            "gpt-4",
            streaming_options=options,
            **{callback: names[callback] for callback in callbacks},
        )
        return response

    return follow_up


async def collect(names: Names) -> tuple[list[Any], StreamingResponse]:
    """Ask the model through the section's processor, and keep the deltas that come through."""
    deltas: list[StreamDeltaEvent] = []
    response = await names["client"].stream_with_usage(
        "Hello",
        "gpt-4",
        streaming_options=StreamingOptions(event_processor=names["processor"]),
        on_delta=deltas.append,
    )
    return deltas, response


async def read_long_chunks(names: Names) -> Any:
    """The same, of a server whose chunks are of many sizes."""
    chunks = ["short", "x" * 50, "y" * 51, "z" * 500]
    return await with_server(names, [Script(chunks)], collect)


async def batch(names: Names) -> int:
    """How many events the stream has; the guide's handler tells how many it was given."""
    response = await ask(processor=True)(names)
    chunks: int = response.metrics["chunks"]
    return chunks + len(("start", "usage", "complete"))


async def retry(names: Names) -> Any:
    """The guide's loop, with a server that cuts its first answer."""

    async def handle(names: Names) -> StreamingResponse:
        response: StreamingResponse = await names["handle_with_retry"]("Hello", "gpt-4")
        return response

    cut = Script(["Hello", " world"], faults=[EndEarly(after=1)])
    return await with_server(names, [cut, Script(["Hello", " world"])], handle)


async def with_server(names: Names, answers: list[Script], follow_up: FollowUp) -> Any:
    """Run something while the guide's `client` is one that asks a scripted server."""
    before = names["client"]
    async with LoopbackServer(answers) as server:
        settings = {"openai": ProviderSettings(base_url=server.base_url("openai"))}
        async with SteerLLMClient(providers=settings) as client:
            names["client"] = client
            try:
                return await follow_up(names)
            finally:
                names["client"] = before


FOLLOW_UPS: dict[str, FollowUp] = {
    "Custom Event Filters": read_long_chunks,
    "Event Transformation": collect,
    "Batched Event Processing": batch,
    "Time to First Token (TTFT)": ask("on_start", "on_delta"),
    "Streaming Throughput": ask("on_complete"),
    "Usage Tracking": ask("on_usage"),
    "Retry Logic": retry,
    "Before (Untyped)": ask("on_delta"),
    "After (Typed)": ask("on_delta"),
}


# --- running it -----------------------------------------------------------------------------------


def blocks_by_section(text: str) -> dict[str, list[str]]:
    """The Python blocks under each heading; the five sketches of the event classes left out."""
    headings = list(re.finditer(r"^#{2,3} (.+)$", text, re.MULTILINE))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    found = {}
    for heading, end in zip(headings, ends, strict=True):
        blocks = re.findall(r"```python\n(.*?)```", text[heading.end() : end], re.DOTALL)
        found[heading[1]] = [block for block in blocks if not block.startswith("@dataclass")]
    return {title: blocks for title, blocks in found.items() if blocks}


async def run(block: str, names: Names) -> None:
    code = compile(block, "the guide", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    left = eval(code, names)
    if inspect.isawaitable(left):
        await left


async def run_all(text: str) -> dict[str, Section]:
    names: Names = {"List": list, "asyncio": asyncio}
    sections = {}
    for title, blocks in blocks_by_section(text).items():
        follow_up = FOLLOW_UPS.get(title)
        result = None
        with redirect_stdout(io.StringIO()) as printed:
            for block in blocks:
                await run(block, names)
            if follow_up is not None:
                result = await follow_up(names)
        sections[title] = Section(printed.getvalue(), result, dict(names))
    await names["client"].close()
    return sections


@pytest.fixture(scope="module")
def guide(steady: Endpoint) -> Iterator[dict[str, Section]]:
    text = Path(GUIDE).read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("OPENAI_BASE_URL", steady.base_url)
        patch.setenv("OPENAI_API_KEY", steady.api_key or "")
        # The guide's own: deprecated from Python 3.12 on.
        warnings.filterwarnings("ignore", r"datetime\.datetime\.utcnow", DeprecationWarning)
        yield asyncio.run(run_all(text))


def test_the_basic_example_prints_the_stream(guide: dict[str, Section]) -> None:
    section = guide["Basic Usage"]
    response = section.names["response"]

    assert section.printed.startswith("Streaming started: openai/gpt-4\nRequest ID: ")
    assert "Chunk 0: " in section.printed
    assert f"Completion: {response.usage['completion_tokens']}" in section.printed
    assert f"Completed! {response.metrics['chunks']} chunks in " in section.printed
    assert section.printed.endswith(f"Full response: {response.get_text()}\n")


def test_two_callbacks_may_be_enough(guide: dict[str, Section]) -> None:
    started, done = guide["Selective Event Handling"].printed.splitlines()

    assert started.startswith("Started at ")
    assert re.fullmatch(r"Done in [\d.]+ms", done)


def test_the_processor_sees_the_deltas_and_the_usage(guide: dict[str, Section]) -> None:
    names = guide["Using Event Processors"].names

    chunks = names["response"].metrics["chunks"]
    assert names["processor"].metrics.events_processed == chunks + len(("start", "usage", "end"))
    assert names["processor"].metrics.events_filtered == len(("start", "complete"))


def test_the_custom_filter_lets_long_chunks_pass(guide: dict[str, Section]) -> None:
    deltas, response = guide["Custom Event Filters"].result

    assert [len(delta.get_text()) for delta in deltas] == [51, 500]
    assert len(response.get_text()) == 606


def test_the_custom_transformer_adds_its_data_to_every_event(guide: dict[str, Section]) -> None:
    deltas, _ = guide["Event Transformation"].result

    assert {delta.metadata["user_id"] for delta in deltas} == {"user123"}
    assert {delta.metadata["app_version"] for delta in deltas} == {"1.0.0"}


def test_the_batch_handler_gets_every_event(guide: dict[str, Section]) -> None:
    section = guide["Batched Event Processing"]
    sizes = [int(size) for size in re.findall(r"Processing (\d+) events", section.printed)]

    assert sum(sizes) == section.result
    assert max(sizes) <= 100


def test_the_time_to_the_first_token_is_that_of_the_metrics(guide: dict[str, Section]) -> None:
    section = guide["Time to First Token (TTFT)"]

    assert abs(section.names["ttft"] - section.result.metrics["ttft_ms"]) < 20
    assert section.printed == f"Time to first token: {section.names['ttft']:.0f}ms\n"


def test_the_throughput_is_that_of_the_metrics(guide: dict[str, Section]) -> None:
    section = guide["Streaming Throughput"]

    (printed,) = re.findall(r"Throughput: ([\d.]+) tokens/second", section.printed)
    assert float(printed) == pytest.approx(section.result.metrics["tokens_per_second"], abs=0.06)


def test_the_usage_is_counted_by_provider(guide: dict[str, Section]) -> None:
    section = guide["Usage Tracking"]
    usage = section.result.usage

    assert section.names["usage_by_provider"] == {
        "openai": {
            "prompt_tokens": usage["prompt_tokens"],
            "completion_tokens": usage["completion_tokens"],
            "requests": 1,
        }
    }


def test_the_retry_loop_sees_the_error_and_then_gets_the_answer(guide: dict[str, Section]) -> None:
    section = guide["Retry Logic"]

    assert section.printed == "Retryable error on attempt 1\n"
    assert section.result.ok
    assert section.result.get_text() == "Hello world"


def test_the_json_is_parsed(guide: dict[str, Section]) -> None:
    section = guide["JSON Streaming"]

    assert section.printed.startswith("JSON chunk: ")
    assert section.printed.endswith(f"Parsed JSON: {section.names['data']}\n")
    assert section.names["data"] == section.names["response"].get_json()


def test_the_collector_keeps_the_session(guide: dict[str, Section]) -> None:
    section = guide["Analytics Integration"]
    (session,) = section.names["collector"].sessions
    response = section.names["response"]

    assert session["usage"] == response.usage
    assert sum(chunk["size"] for chunk in session["chunks"]) == len(response.get_text())
    assert session["errors"] == []
    assert section.printed.startswith("Analytics: {")


def test_the_progress_is_shown(guide: dict[str, Section]) -> None:
    section = guide["Progress Indicator"]

    chunks = section.names["response"].metrics["chunks"]
    assert section.printed.startswith(f"Streaming: {'.' * (chunks // 10)}\nCompleted! {chunks} ")


@pytest.mark.parametrize("title", ["Before (Untyped)", "After (Typed)"])
def test_callbacks_old_and_new_print_the_text(guide: dict[str, Section], title: str) -> None:
    section = guide[title]

    assert section.printed.replace("\n", "") == section.result.get_text().replace("\n", "")


def test_no_block_is_left_out() -> None:
    text = Path(GUIDE).read_text(encoding="utf-8")
    run_here = [block for blocks in blocks_by_section(text).values() for block in blocks]
    sketches = re.findall(r"```python\n@dataclass", text)

    assert len(run_here) + len(sketches) == len(re.findall(r"```python\n", text))
