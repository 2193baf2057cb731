"""One server, the same bytes: what the official SDKs read, and what this library reads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import anthropic
import openai
import pytest

from steer_llm_sdk import ProviderSettings, SteerError, SteerLLMClient
from steer_llm_sdk.testing import (
    CutAt,
    Drip,
    ErrorInStream,
    Gzip,
    HTTPError,
    LoopbackServer,
    Script,
    ScriptedToolCall,
)

MODEL = "model-x"
WEATHER = ScriptedToolCall("weather", ['{"city":', ' "Zür', 'ich"}'], id="call_1")
TIME = ScriptedToolCall("time", "{}", id="call_2")

PLAIN = Script(["Hello", " wörld", " 🎉\u2028\n\ndata: x"], usage=(20, 9))
SCRIPTS = {
    "plain": PLAIN,
    "one piece": Script(["Hello"]),
    "thousand pieces": Script([f"{at} " for at in range(1000)], usage=(3, 1000)),
    "reasoning": replace(PLAIN, reasoning=["Let me", " think."], reasoning_tokens=4),
    "cached": replace(PLAIN, cached_tokens=16),
    "one call": Script([], tool_calls=[WEATHER]),
    "text and two calls": Script(["Let me see."], tool_calls=[WEATHER, TIME], usage=(31, 18)),
    "cut for length": replace(PLAIN, finish="length"),
    "compressed": replace(PLAIN, faults=[Gzip()]),
    "byte by byte": replace(PLAIN, faults=[Drip(1)]),
    "cut in a character": replace(PLAIN, faults=[CutAt(tuple(range(1, 4000, 3)))]),
}


@dataclass(frozen=True)
class Told:
    """What a client tells of an answer."""

    text: str
    calls: list[tuple[str, str, Any]]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    was_cut: bool


async def ask_openai_chat(server: LoopbackServer) -> Told:
    async with (
        openai.AsyncOpenAI(
            api_key="x", base_url=server.base_url("openai"), max_retries=0
        ) as client,
        client.chat.completions.stream(
            model=MODEL,
            messages=[{"role": "user", "content": "Hi"}],
            stream_options={"include_usage": True},
        ) as stream,
    ):
        # Not `get_final_completion`: it raises for an answer that was cut.
        async for _ in stream:
            pass
        final = stream.current_completion_snapshot
    message, usage = final.choices[0].message, final.usage
    assert usage is not None
    details = usage.prompt_tokens_details
    return Told(
        message.content or "",
        [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in message.tool_calls or ()
        ],
        usage.prompt_tokens,
        usage.completion_tokens,
        (details and details.cached_tokens) or 0,
        final.choices[0].finish_reason == "length",
    )


async def ask_openai_responses(server: LoopbackServer) -> Told:
    base_url = server.base_url("openai-responses")
    async with openai.AsyncOpenAI(api_key="x", base_url=base_url, max_retries=0) as client:
        stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
        ends = [
            event.response
            async for event in stream
            if event.type in {"response.completed", "response.incomplete"}
        ]
    (final,) = ends
    assert final.usage is not None
    return Told(
        final.output_text,
        [
            (item.call_id, item.name, json.loads(item.arguments))
            for item in final.output
            if item.type == "function_call"
        ],
        final.usage.input_tokens,
        final.usage.output_tokens,
        final.usage.input_tokens_details.cached_tokens,
        final.status == "incomplete",
    )


async def ask_anthropic(server: LoopbackServer) -> Told:
    base_url = server.base_url("anthropic")
    async with (
        anthropic.AsyncAnthropic(api_key="x", base_url=base_url, max_retries=0) as client,
        client.messages.stream(
            model=MODEL, max_tokens=99, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
    ):
        final = await stream.get_final_message()
    cached = final.usage.cache_read_input_tokens or 0
    written = final.usage.cache_creation_input_tokens or 0
    return Told(
        "".join(block.text for block in final.content if block.type == "text"),
        [
            (block.id, block.name, block.input)
            for block in final.content
            if block.type == "tool_use"
        ],
        # Anthropic's `input_tokens` leave out what the cache gave and took.
        final.usage.input_tokens + cached + written,
        final.usage.output_tokens,
        cached,
        final.stop_reason == "max_tokens",
    )


Ask = Callable[[LoopbackServer], Awaitable[Told]]
ORACLES: dict[str, Ask] = {
    "openai": ask_openai_chat,
    "openai-responses": ask_openai_responses,
    "anthropic": ask_anthropic,
}


def ours(server: LoopbackServer, provider: str) -> SteerLLMClient:
    settings = ProviderSettings(api_key="x", base_url=server.base_url(provider))
    return SteerLLMClient(providers={provider: settings})


async def ask_ours(server: LoopbackServer, provider: str) -> Told:
    async with ours(server, provider) as client:
        response = await client.generate("Hi", MODEL, provider=provider)
    assert response.usage is not None
    assert not response.usage_is_estimated
    return Told(
        response.get_text(),
        [(call["id"], call["name"], json.loads(call["arguments"])) for call in response.tool_calls],
        response.usage["prompt_tokens"],
        response.usage["completion_tokens"],
        response.usage.get("cached_tokens", 0),
        response.finish_reason == "length",
    )


@pytest.mark.parametrize("provider", ORACLES)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_an_answer_is_the_official_sdks(script: Script, provider: str) -> None:
    async with LoopbackServer(replace(script, response_id="answer-1")) as server:
        theirs = await ORACLES[provider](server)
        told = await ask_ours(server, provider)

    assert told == theirs
    assert told.text == script.text
    assert [call[1] for call in told.calls] == [call.name for call in script.tool_calls]
    assert [request.model for request in server.requests] == [MODEL, MODEL]


FAILURES = {
    "before the stream": HTTPError(401),
    "in the stream": ErrorInStream(1, "overloaded"),
}


@pytest.mark.parametrize("provider", ORACLES)
@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES.keys())
async def test_an_answer_that_fails_for_one_fails_for_the_other(
    fault: HTTPError | ErrorInStream, provider: str
) -> None:
    async with LoopbackServer(Script(["It was", " a"], faults=[fault])) as server:
        async with ours(server, provider) as client:
            with pytest.raises(SteerError) as raised:
                await client.generate("Hi", MODEL, provider=provider)

        with pytest.raises((openai.APIError, anthropic.APIError)) as theirs:
            await ORACLES[provider](server)

    assert getattr(theirs.value, "message", "").strip()
    assert str(raised.value)
