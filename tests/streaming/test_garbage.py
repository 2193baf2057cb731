"""A stream that has ended leaves nothing that only the garbage collector would free."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable

import pytest

from steer_llm_sdk import SteerLLMClient, StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks import Sink
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall

MODEL = "gpt-4o"


async def generate(client: SteerLLMClient, options: StreamingOptions) -> StreamingResponse:
    return await client.generate("Hi", MODEL, streaming_options=options)


async def with_callbacks(client: SteerLLMClient, options: StreamingOptions) -> StreamingResponse:
    return await client.stream_with_usage(
        "Hi", MODEL, streaming_options=options, on_delta=lambda event: None
    )


async def events(client: SteerLLMClient, options: StreamingOptions) -> StreamingResponse:
    async with client.stream_events("Hi", MODEL, streaming_options=options) as stream:
        async for _ in stream:
            pass
        return stream.response


@pytest.mark.parametrize("notices", [False, True], ids=["silent", "notices"])
@pytest.mark.parametrize("sinks", [[], [Sink()]], ids=["no sink", "a sink"])
@pytest.mark.parametrize("ask", [generate, with_callbacks, events])
async def test_a_response_that_nobody_holds_is_gone_at_once(
    ask: Callable[[SteerLLMClient, StreamingOptions], Awaitable[StreamingResponse]],
    sinks: list[Sink],
    *,
    notices: bool,
) -> None:
    options = StreamingOptions(notices=notices)
    call = ScriptedToolCall("weather", {"city": "Paris"}, id="call_1")
    script = Script(["Hello", " world"], tool_calls=[call], usage=(9, 5))
    client = SteerLLMClient("key", transport=ScriptedProvider(script, script), sinks=sinks)
    await ask(client, options)  # what is imported and made once
    gc.collect()
    gc.disable()
    try:
        response = await ask(client, options)
        assert response.metrics["tokens_per_second"] is not None
        await client._sinks.flush()
        gone = weakref.ref(response)
        del response
        assert gone() is None
    finally:
        gc.enable()
    await client.close()
