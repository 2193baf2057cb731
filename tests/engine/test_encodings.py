"""Encodings are loaded once and off the loop, and counting leaves others their turn."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient, StreamCancelledError
from steer_llm_sdk.answer.usage import BPE, BPE_OTHER_VENDOR, CHARACTERS, Counter
from steer_llm_sdk.engine import encodings
from steer_llm_sdk.engine.encodings import estimate_usage, load_counter
from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent, StreamUsageEvent
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import COMPLETION, PROMPT
from steer_llm_sdk.testing import Raise, Script, ScriptedProvider, ScriptedToolCall, Stall


def asked(messages: object, **more: Any) -> ChatRequest:
    return ChatRequest("gpt-4o", read_messages(messages), **more)


def answered(model: str = "gpt-4o", provider: str = "openai") -> StreamingResponse:
    return StreamingResponse(provider, model)


async def test_a_request_and_its_answer_are_counted_with_the_encoding_of_the_model() -> None:
    estimate = await estimate_usage(asked("Hi"), answered(), ["hello world", ""])

    assert estimate.counts == {PROMPT: 1 + 4, COMPLETION: 2 + BPE.per_answer}
    assert (estimate.method, estimate.confidence) == ("bpe", BPE.confidence)


# --- loading ----------------------------------------------------------------------------------


@pytest.fixture
def without_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "_COUNTERS", {})
    monkeypatch.setitem(sys.modules, "bpe_openai", None)


@pytest.mark.usefixtures("without_tokenizer")
async def test_without_the_extra_characters_are_counted() -> None:
    estimate = await estimate_usage(asked("a" * 36), answered(), ["a" * 36])

    assert estimate.counts == {PROMPT: 14, COMPLETION: 10 + CHARACTERS.per_answer}
    assert (estimate.method, estimate.confidence) == ("characters", CHARACTERS.confidence)


@pytest.mark.parametrize(
    "text", ["hello world", "", "wörld 🎉 漢字", "half a \ud83c character", "<|endoftext|>"]
)
def test_the_tokenizer_counts_alike_alone_and_by_its_package(text: str) -> None:
    alone, by_package = load_counter("o200k_base"), encodings._load_by_its_package("o200k_base")

    assert alone is not None
    assert alone(text) == by_package(text)


def test_a_package_that_is_built_in_another_way_is_used_as_its_users_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encodings, "_COUNTERS", {})
    monkeypatch.setattr(encodings, "_bindings", lambda _folders: None)

    counter = load_counter("o200k_base")

    assert counter is not None
    assert counter("hello world") == 2


def test_loading_the_encoding_does_not_load_its_package() -> None:
    program = (
        "import sys; from steer_llm_sdk.engine.encodings import load_counter\n"
        "assert load_counter('o200k_base')('hello world') == 2\n"
        "assert 'bpe_openai' not in sys.modules\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "import bpe_openai\n"
        "assert bpe_openai.get_encoding('cl100k_base').encode_ordinary('hello') == [15339]\n"
        "assert load_counter('cl100k_base')('hello') == 1\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


# --- at what cost -----------------------------------------------------------------------------


def test_one_of_many_threads_loads_the_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    def load(name: str) -> Counter:
        loads.append(name)
        return len

    monkeypatch.setattr(encodings, "_COUNTERS", {})
    monkeypatch.setattr(encodings, "_load", load)

    async def ask_at_once() -> None:
        await asyncio.gather(
            *(estimate_usage(asked("Hi"), answered(), ["x"]) for _ in range(50)),
        )

    asyncio.run(ask_at_once())

    assert loads == ["o200k_base"]


class Turns:
    """Counts the turns that another task of the loop gets."""

    def __init__(self) -> None:
        self.count = 0

    async def take(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["lorem ipsum " * 50_000], id="one long text"),
        pytest.param(["lorem ipsum "] * 50_000, id="many short ones"),
    ],
)
async def test_others_have_their_turn_while_a_long_answer_is_counted(texts: list[str]) -> None:
    load_counter("o200k_base")
    turns = Turns()
    other = asyncio.create_task(turns.take())

    await estimate_usage(asked("Hi"), answered(), texts)
    other.cancel()

    assert turns.count >= 600_000 // 8_192


@pytest.mark.parametrize("text", ["word ", "漢字", "a", "!?", "👩‍👩‍👧 ", " "])
def test_the_time_is_linear_in_the_text(text: str) -> None:
    load_counter("o200k_base")

    def cpu_seconds(size: int) -> float:
        texts = [text * (size // len(text))]
        begin = time.process_time()
        asyncio.run(estimate_usage(asked("Hi"), answered(), texts))
        return time.process_time() - begin

    small = min(cpu_seconds(100_000) for _ in range(3))
    large = min(cpu_seconds(800_000) for _ in range(3))
    assert large < 32 * small  # 8 when linear, 64 when quadratic


# --- when -------------------------------------------------------------------------------------


def client_of(provider: ScriptedProvider) -> SteerLLMClient:
    return SteerLLMClient("test", "test", transport=provider)


def usage_of(events: list[StreamEvent]) -> StreamUsageEvent:
    (usage,) = (event for event in events if isinstance(event, StreamUsageEvent))
    return usage


@pytest.fixture
def nothing_may_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Counter:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(encodings, "_COUNTERS", {})
    monkeypatch.setattr(encodings, "_load", refuse)


@pytest.mark.usefixtures("nothing_may_be_counted")
async def test_nothing_is_counted_when_usage_came() -> None:
    async with client_of(ScriptedProvider(Script(["Hello"], usage=(3, 2)))) as client:
        response = await client.generate("Hi", "gpt-4o")

    assert response.usage is not None
    assert (response.usage["prompt_tokens"], response.usage["completion_tokens"]) == (3, 2)
    assert response.usage_is_estimated is False


async def test_usage_is_estimated_when_none_came() -> None:
    events: list[StreamEvent] = []
    async with client_of(ScriptedProvider(Script(["hello", " world"], usage=None))) as client:
        response = await client.stream_with_usage("Hi", "gpt-4o", on_usage=events.append)

    usage = usage_of(events)
    assert usage.usage == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    assert response.usage == usage.usage
    assert (usage.is_estimated, usage.confidence) == (True, BPE.confidence)
    assert usage.metadata == {"estimation_method": "bpe"}
    assert response.usage_is_estimated


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gpt-4o"])
async def test_a_cancelled_stream_estimates_what_the_provider_did_not_tell(model: str) -> None:
    script = Script(["hello", " world"], usage=(1234, 99), cached_tokens=1000, faults=[Stall(2)])
    events: list[StreamEvent] = []
    async with (
        client_of(ScriptedProvider(script)) as client,
        client.stream_events("Hi", model) as stream,
    ):
        async for event in stream:
            events.append(event)
            if isinstance(event, StreamDeltaEvent) and event.chunk_index == 1:
                stream.cancel()

    usage = usage_of(events)
    assert usage.is_estimated
    assert usage.confidence < 1
    assert isinstance(stream.response.error, StreamCancelledError)
    if model == "gpt-4o":
        assert usage.usage == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    else:  # its first frame tells of the prompt
        assert usage.usage["prompt_tokens"] == 1234
        assert usage.usage["cached_tokens"] == 1000
        assert usage.usage["completion_tokens"] == 2 + BPE_OTHER_VENDOR.per_answer
        assert usage.usage["total_tokens"] == 1234 + usage.usage["completion_tokens"]


async def test_a_broken_stream_estimates_its_calls_too() -> None:
    call = ScriptedToolCall("hello", ['{"hello":', ' "world"}'])
    script = Script([], tool_calls=[call], faults=[Raise(ConnectionLostError("cut"), 2)])
    async with client_of(ScriptedProvider(script)) as client:
        response = await client.stream_with_usage("Hi", "gpt-4o", on_error=lambda _: None)

    assert response.usage is not None
    assert response.usage["completion_tokens"] >= 1 + BPE.per_answer + BPE.per_call
    assert response.usage_is_estimated


async def test_a_refused_request_has_no_usage() -> None:
    provider = ScriptedProvider(then=401)
    async with client_of(provider) as client:
        response = await client.stream_with_usage("Hi", "gpt-4o", on_error=lambda _: None)

    assert response.usage is None
