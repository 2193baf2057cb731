"""Opening a stream: at once, where nothing has to be waited for."""

from __future__ import annotations

import asyncio

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConfigurationError, StreamCancelledError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedProvider

MODEL = "gpt-4o"


async def key_of_a_function() -> str:
    await asyncio.sleep(0)
    return "sk-asked"


@pytest.mark.parametrize(
    ("settings", "options", "is_at_once"),
    [
        (ProviderSettings(), StreamingOptions(), True),
        (ProviderSettings(api_key=key_of_a_function), StreamingOptions(), False),
        (ProviderSettings(), StreamingOptions(budget_tokens=1000), False),
    ],
)
async def test_a_task_opens_only_what_takes_time(
    settings: ProviderSettings, options: StreamingOptions, is_at_once: bool
) -> None:
    provider = ScriptedProvider(Script(["Hello"]))
    client = SteerLLMClient("sk-test", transport=provider, providers={"openai": settings})
    stream = client.stream_events("?", MODEL, streaming_options=options)

    event = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    is_open = bool(stream.response.stream_id)

    assert is_open == is_at_once
    assert (await event).type == "start"
    async with stream:
        assert [event.type async for event in stream][-1] == "complete"


async def test_what_loads_the_connections_is_waited_for_once() -> None:
    async with LoopbackServer(Script(["a"])) as server:
        settings = ProviderSettings(base_url=server.base_url())
        async with SteerLLMClient(providers={"openai": settings}) as client:
            pool = client._pools.here()
            assert pool.ready_transport() is None

            first = await client.generate("?", MODEL)
            transport = pool.ready_transport()
            second = await client.generate("?", MODEL)

            assert transport is not None
            assert pool.ready_transport() is transport
    assert first.get_text() + second.get_text() == "aa"


async def test_what_is_refused_at_once_is_refused_in_the_call_and_over() -> None:
    provider = ScriptedProvider(Script(["Hello"]))
    client = SteerLLMClient("sk-test", "sk-test", transport=provider)
    stream = client.stream_events("?", "claude-x", seed=1)

    with pytest.raises(ConfigurationError, match="seed"):
        async with stream:
            pass
    assert [event async for event in stream] == []
    assert not provider.requests


async def test_closing_the_client_ends_a_stream_that_was_opened_at_once() -> None:
    provider = ScriptedProvider(Script(["Hello"]))
    client = SteerLLMClient("sk-test", transport=provider)
    stream = client.stream_events("?", MODEL)
    assert (await anext(stream)).type == "start"

    await client.close()
    rest = [event async for event in stream]

    assert [event.type for event in rest] == ["error"]
    assert isinstance(stream.response.error, StreamCancelledError)
