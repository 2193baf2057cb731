"""One server, the same bytes: what the official SDKs read, and what this library reads."""

from __future__ import annotations

import json
from dataclasses import replace

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
from support.every_format import FORMATS
from support.oracles import ERRORS, MODEL, ORACLES, Told

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


# What an SDK cannot read: botocore unpacks nothing.
UNREAD = {("compressed", "bedrock")}
CASES = [
    pytest.param(SCRIPTS[name], provider, id=f"{name}-{provider}")
    for name in SCRIPTS
    for provider in ORACLES
    if (name, provider) not in UNREAD
]


def readable(script: Script, provider: str) -> Script:
    """The script without what an SDK stumbles over: to Ollama's, U+2028 is the end of a line."""
    if provider != "ollama":
        return script
    return replace(script, deltas=[text.replace("\u2028", " ") for text in script.deltas])


def told_where(theirs: Told, ours: Told, provider: str) -> Told:
    """What an SDK tells, with ours in place of what it drops: Ollama's drops the ids of calls."""
    if provider != "ollama":
        return theirs
    calls = [(ours.calls[at][0], *call[1:]) for at, call in enumerate(theirs.calls)]
    return replace(theirs, calls=calls)


@pytest.mark.parametrize(("script", "provider"), CASES)
async def test_an_answer_is_the_official_sdks(script: Script, provider: str) -> None:
    script = readable(script, provider)
    async with LoopbackServer(replace(script, response_id="answer-1")) as server:
        theirs = await ORACLES[provider](server)
        told = await ask_ours(server, provider)

    assert told == told_where(theirs, told, provider)
    assert told.text == script.text
    assert [call[1] for call in told.calls] == [call.name for call in script.tool_calls]
    assert [request.model for request in server.requests] == [MODEL, MODEL]


def test_every_format_has_its_oracle() -> None:
    assert set(ORACLES) == set(FORMATS)


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

        with pytest.raises(ERRORS) as theirs:
            await ORACLES[provider](server)

    assert str(theirs.value).strip()
    assert str(raised.value)
