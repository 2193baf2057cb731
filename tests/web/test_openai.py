"""Chunks of chat completions: the openai SDK reads ours as it reads OpenAI's."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

from support.encoded import DONE, raw_of, values_of
from support.web_sources import NAME_IN_PIECES, SHAPES


async def read(shape: str) -> list[Any]:
    """What the official SDK makes of it."""
    raw = await raw_of(SHAPES[shape], "openai")

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=raw, headers={"content-type": "text/event-stream"})

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    async with openai.AsyncOpenAI(api_key="k", http_client=http, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        return [chunk async for chunk in stream]


def text_of(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


async def test_the_sdk_reads_words_usage_and_the_end() -> None:
    chunks = await read("text")

    assert text_of(chunks) == "Hello wörld 🎉"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 14
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == 2
    assert {(chunk.id, chunk.model, chunk.created) for chunk in chunks} == {
        ("chatcmpl-s1", "gpt-4o", 1_700_000_000)
    }


async def test_two_messages_are_joined_by_a_blank_line() -> None:
    assert text_of(await read("two messages")) == "One.\n\nTwo"


async def test_the_sdk_reads_parallel_calls() -> None:
    calls: dict[int, dict[str, str]] = {}
    chunks = await read("parallel calls")
    for chunk in chunks:
        for piece in (chunk.choices[0].delta.tool_calls or ()) if chunk.choices else ():
            one = calls.setdefault(piece.index, {"id": piece.id, "name": "", "arguments": ""})
            one["name"] += piece.function.name or ""
            one["arguments"] += piece.function.arguments or ""

    assert list(calls.values()) == [
        {"id": "call_a", "name": "weather", "arguments": '{"city": "Paris"}'},
        {"id": "call_b", "name": "time", "arguments": "{}"},
    ]
    assert chunks[-2].choices[0].finish_reason == "tool_calls"


async def test_a_name_in_pieces_is_written_in_pieces() -> None:
    values = [v for v in await values_of(NAME_IN_PIECES, "openai") if v != DONE and v["choices"]]

    calls = [call for v in values for call in v["choices"][0]["delta"].get("tool_calls", ())]
    assert [call["function"] for call in calls] == [
        {"name": "get_", "arguments": ""},
        {"name": "weather", "arguments": ""},
        {"arguments": "{}"},
    ]


async def test_the_sdk_reads_reasoning_and_refusals() -> None:
    reasoned, refused = await read("reasoning"), await read("a refusal")

    pieces = [getattr(c.choices[0].delta, "reasoning_content", None) for c in reasoned if c.choices]
    assert [piece for piece in pieces if piece] == ["Let", " me see."]
    assert [
        c.choices[0].delta.refusal for c in refused if c.choices and c.choices[0].delta.refusal
    ] == ["I cannot."]


@pytest.mark.parametrize("shape", ["an error", "cancelled", "a call that was cut"])
async def test_the_sdk_raises_what_failed(shape: str) -> None:
    with pytest.raises(openai.APIError, match=r"blocked|stopped|slow down"):
        await read(shape)


async def test_the_turns_of_a_run_are_one_answer() -> None:
    values = await values_of(SHAPES["a run"], "openai")

    assert values[-1] == DONE
    assert (
        len([v for v in values if v != DONE and v["choices"] and v["choices"][0]["finish_reason"]])
        == 1
    )
    assert values[-2]["usage"]["prompt_tokens"] == 18
    assert text_of(await read("a run")) == "Let me see.\n\nIt is sunny."
