"""What is counted where a provider counts nothing: how much, how near, and at what cost."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient, StreamCancelledError
from steer_llm_sdk.answer.usage import (
    BPE,
    BPE_OTHER_VENDOR,
    CHARACTERS,
    CHARACTERS_PER_TOKEN,
    Counter,
    Method,
    count_characters,
    encoding_name,
)
from steer_llm_sdk.engine import encodings
from steer_llm_sdk.engine.encodings import estimate_usage, load_counter
from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent, StreamUsageEvent
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat, read_tools
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import COMPLETION, PROMPT
from steer_llm_sdk.testing import Raise, Script, ScriptedProvider, ScriptedToolCall, Stall
from support.corpus import corpus_folder

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "estimate_confidence.py"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "usage.md"
METHODS = {method.name: method for method in (BPE, BPE_OTHER_VENDOR, CHARACTERS)}


def asked(messages: object, **more: Any) -> ChatRequest:
    return ChatRequest("gpt-4o", read_messages(messages), **more)


def answered(model: str = "gpt-4o", provider: str = "openai") -> StreamingResponse:
    return StreamingResponse(provider, model)


# --- what is counted --------------------------------------------------------------------------


async def test_openai_text_is_counted_exactly_and_once_more_for_its_end() -> None:
    estimate = await estimate_usage(asked("Hi"), answered(), ["hello world", ""])

    assert estimate.counts[COMPLETION] == 2 + BPE.per_answer
    assert (estimate.method, estimate.confidence) == ("bpe", BPE.confidence)


async def test_every_call_costs_more_than_its_words() -> None:
    response = answered()
    response.tool_calls = [{"id": "1", "name": "hello", "arguments": "{}"}]
    response.incomplete_tool_calls = [{"id": "2", "name": "hello", "arguments": ""}]

    estimate = await estimate_usage(asked("Hi"), response, ["", "hello", "{}", "hello", ""])

    assert estimate.counts[COMPLETION] == 3 + BPE.per_answer + 2 * BPE.per_call


async def test_an_answer_of_nothing_takes_nothing() -> None:
    estimate = await estimate_usage(asked("Hi"), answered(), ["", ""])

    assert estimate.counts[COMPLETION] == 0


async def test_the_prompt_is_its_messages_its_system_prompt_and_its_tools() -> None:
    tool = {"name": "hello", "description": "hello", "parameters": {}}
    whole = asked("hello", system="hello", tools=read_tools([tool]))

    counts = [
        (await estimate_usage(chat, answered(), [])).counts[PROMPT]
        for chat in (asked("hello"), asked("hello", system="hello"), whole)
    ]

    assert counts == [1 + 4, 2 * (1 + 4), 2 * (1 + 4) + 3]


async def test_earlier_calls_own_tools_and_a_schema_are_part_of_the_prompt() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "hello", "arguments": "{}"}}
    turns = asked([{"role": "assistant", "content": "hello", "tool_calls": [call]}])
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    more = [
        replace(turns, tools=read_tools([{"type": "web_search"}])),
        replace(turns, response_format=JSONFormat(schema)),
        replace(turns, response_format=JSONFormat()),
    ]

    counts = [
        (await estimate_usage(chat, answered(), [])).counts[PROMPT] for chat in (turns, *more)
    ]

    assert counts[0] == 3 + 4
    assert counts[0] == counts[3] < counts[1] < counts[2]


async def test_the_bytes_of_an_attachment_are_not_text() -> None:
    file = {"type": "input_file", "file_data": "data:application/pdf;base64," + "QUJD" * 100_000}
    chat = asked([{"role": "user", "content": [{"type": "text", "text": "hello"}, file]}])

    estimate = await estimate_usage(chat, answered(), [])

    assert estimate.counts[PROMPT] == 1 + 4 + 300


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o", (BPE, "o200k_base")),
        ("openai", "gpt-4.1-mini", (BPE, "o200k_base")),
        ("openai-responses", "o4-mini", (BPE, "o200k_base")),
        ("openai", "gpt-4", (BPE, "cl100k_base")),
        ("openai", "gpt-4-0613", (BPE, "cl100k_base")),
        ("openai", "ft:gpt-3.5-turbo:me", (BPE, "cl100k_base")),
        ("openrouter", "openai/gpt-4o", (BPE, "o200k_base")),
        ("azure", "my-deployment", (BPE, "o200k_base")),
        ("openai", "smollm2", (BPE_OTHER_VENDOR, "o200k_base")),
        ("anthropic", "claude-sonnet-4-5", (BPE_OTHER_VENDOR, "o200k_base")),
        ("openrouter", "qwen/qwen3-next", (BPE_OTHER_VENDOR, "o200k_base")),
    ],
)
def test_the_models_name_chooses_the_method(
    provider: str, model: str, expected: tuple[Method, str]
) -> None:
    assert encoding_name(provider, model) == expected


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("a" * 36, 10), ("漢字", 2), ("漢字" + "é" * 36, 12)]
)
def test_characters_beyond_latin_are_tokens(text: str, tokens: int) -> None:
    assert count_characters(text) == tokens


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


# --- how near ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("estimate_confidence", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.skipif(corpus_folder() is None, reason="set STEER_CORPUS to run")
def test_the_numbers_of_the_methods_are_those_that_are_measured(script: ModuleType) -> None:
    found = list(script.answers(corpus_folder()))
    rows = script.measure(found)

    assert script.characters_per_token(found) == CHARACTERS_PER_TOKEN
    assert {row.method for row in rows} == METHODS.keys()
    for row in rows:
        method = METHODS[row.method]
        assert (method.per_answer, method.per_call) == (row.per_answer, row.per_call)
        assert method.confidence == pytest.approx(row.confidence, abs=0.005)
        assert script.as_line(row) in DOCUMENT.read_text(encoding="utf-8")


def test_without_recorded_streams_the_script_says_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STEER_CORPUS", raising=False)

    script.main()

    assert "set STEER_CORPUS" in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_the_documentation_shows_the_confidence(method: Method) -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()

    row = [line for line in lines if line.startswith(f"| `{method.name}` |")][-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:4] == [str(method.per_answer), str(method.per_call)]
    assert cells[-1] == f"{method.confidence:.2f}"
