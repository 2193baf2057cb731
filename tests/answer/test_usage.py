"""What an estimate counts, by which method, and how near that comes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from steer_llm_sdk.answer.usage import (
    BPE,
    BPE_OTHER_VENDOR,
    CHARACTERS,
    CHARACTERS_PER_TOKEN,
    Method,
    count_characters,
    encoding_name,
    make_estimate,
    prompt_overhead,
    prompt_texts,
)
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat, read_tools
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import COMPLETION, PROMPT
from support.corpus import corpus_folder

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "estimate_confidence.py"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "usage.md"
METHODS = {method.name: method for method in (BPE, BPE_OTHER_VENDOR, CHARACTERS)}


def asked(messages: object, **more: Any) -> ChatRequest:
    return ChatRequest("gpt-4o", read_messages(messages), **more)


def answered(model: str = "gpt-4o", provider: str = "openai") -> StreamingResponse:
    return StreamingResponse(provider, model)


# --- what is counted --------------------------------------------------------------------------


def words(text: str) -> int:
    return len(text.split())


def prompt_of(chat: ChatRequest) -> int:
    return sum(map(words, prompt_texts(chat))) + prompt_overhead(chat)


def test_an_answer_takes_once_more_for_its_end() -> None:
    estimate = make_estimate(BPE, answered(), prompt=5, written=2)

    assert estimate.counts == {PROMPT: 5, COMPLETION: 2 + BPE.per_answer}
    assert (estimate.method, estimate.confidence) == ("bpe", BPE.confidence)


def test_every_call_costs_more_than_its_words() -> None:
    response = answered()
    response.tool_calls = [{"id": "1", "name": "hello", "arguments": "{}"}]
    response.incomplete_tool_calls = [{"id": "2", "name": "hello", "arguments": ""}]

    estimate = make_estimate(BPE, response, prompt=5, written=3)

    assert estimate.counts[COMPLETION] == 3 + BPE.per_answer + 2 * BPE.per_call


def test_an_answer_of_nothing_takes_nothing() -> None:
    assert make_estimate(BPE, answered(), prompt=5, written=0).counts[COMPLETION] == 0


def test_the_prompt_is_its_messages_its_system_prompt_and_its_tools() -> None:
    tool = {"name": "hello", "description": "hello", "parameters": {}}
    chats = [
        asked("hello"),
        asked("hello", system="hello"),
        asked("hello", system="hello", tools=read_tools([tool])),
    ]

    assert list(map(prompt_of, chats)) == [1 + 4, 2 * (1 + 4), 2 * (1 + 4) + 3]


def test_earlier_calls_own_tools_and_a_schema_are_part_of_the_prompt() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "hello", "arguments": "{}"}}
    turns = asked([{"role": "assistant", "content": "hello", "tool_calls": [call]}])
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    assert list(prompt_texts(turns)) == ["hello", "hello", "{}"]
    assert list(prompt_texts(replace(turns, tools=read_tools([{"type": "web_search"}])))) == [
        "hello", "hello", "{}", '{"type":"web_search"}',
    ]  # fmt: skip
    with_schema = prompt_texts(replace(turns, response_format=JSONFormat(schema)))
    assert list(with_schema)[3:] == ['{"type":"object","properties":{"city":{"type":"string"}}}']
    assert len(list(prompt_texts(replace(turns, response_format=JSONFormat())))) == 3
    assert prompt_overhead(turns) == 4


def test_the_bytes_of_an_attachment_are_not_text() -> None:
    file = {"type": "input_file", "file_data": "data:application/pdf;base64," + "QUJD" * 100_000}
    chat = asked([{"role": "user", "content": [{"type": "text", "text": "hello"}, file]}])

    assert list(prompt_texts(chat)) == ["hello"]
    assert prompt_of(chat) == 1 + 4 + 300


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
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("a" * 36, 10),
        ("漢字", 2),
        ("漢字" + "é" * 36, 12),
        ("ł" * 36, 10),
        ("\u02ff" * 36, 10),
        ("\u0300" * 36, 36),
    ],
)
def test_characters_beyond_latin_are_tokens(text: str, tokens: int) -> None:
    assert count_characters(text) == tokens


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
