"""The kit under uvloop, whose transports are none of asyncio's classes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import openai
import pytest
import uvloop

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConnectionLostError, SteerError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    Close,
    CloseIdle,
    CutAt,
    Delay,
    Drip,
    ErrorInStream,
    Fault,
    Gzip,
    HTTPError,
    KeepAlives,
    LoopbackServer,
    ManualClock,
    Pace,
    Reset,
    Script,
    ScriptedProvider,
    Stall,
)
from support.every_format import MODELS, settings_at
from support.tls import make_contexts

WORDS = ["Hello", " wörld", "!"]
OPTIONS = StreamingOptions(idle_timeout=0.2, max_retries=0, raise_on_error=False)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    """Run a scene in uvloop's event loop, which complains of what is left open."""

    async def checked() -> None:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        await scene()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(checked())


def settings_of(server: LoopbackServer) -> dict[str, ProviderSettings]:
    return settings_at(server)


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ([Drip(10_000)], None),
        ([Drip(3)], None),
        ([CutAt((1, 2, 50, 51))], None),
        ([Gzip()], None),
        ([Delay(0.001), Pace(0.001), KeepAlives(1, 0.001, 2)], None),
        ([CloseIdle()], None),
        ([HTTPError(401)], "AuthenticationError"),
        ([ErrorInStream(1)], "OverloadedError"),
        ([Close(1, mid_chunk=True)], "ConnectionLostError"),
        ([Reset(1)], "ConnectionLostError"),
        ([Stall(1)], "RequestTimeoutError"),
    ],
    ids=lambda value: (
        "+".join(type(one).__name__ for one in value) if isinstance(value, list) else None
    ),
)
def test_an_answer_comes_to_what_it_comes_to_in_any_loop(
    faults: list[Fault], outcome: str | None
) -> None:
    async def scene() -> None:
        async with (
            LoopbackServer(Script(WORDS, faults=faults)) as server,
            SteerLLMClient(providers=settings_of(server)) as client,
        ):
            for provider, model in MODELS.items():
                response = await client.generate(
                    "?", model, provider=provider, streaming_options=OPTIONS
                )

                error = response.error
                assert (None if error is None else type(error).__name__) == outcome
                assert response.get_text() in {"".join(WORDS), "Hello", ""}
                assert error is not None or response.get_text() == "".join(WORDS)

    run(scene)


def test_leaving_closes_the_socket() -> None:
    async def scene() -> None:
        async with (
            LoopbackServer(Script(WORDS, faults=[Stall(1)])) as server,
            SteerLLMClient(providers=settings_of(server)) as client,
        ):
            async with client.stream_events("?", "gpt-4o") as stream:
                async for event in stream:
                    if event.type == "delta":
                        break
            await server.wait_for(lambda: server.connections.open == 0)

            assert server.connections[0].closed_by == "client"

    run(scene)


def test_a_connection_is_kept() -> None:
    async def scene() -> None:
        async with (
            LoopbackServer() as server,
            SteerLLMClient(providers=settings_of(server)) as client,
        ):
            for _ in range(3):
                await client.generate("?", "gpt-4o")

            assert server.connections.opened == 1

    run(scene)


def test_another_client_gets_a_document() -> None:
    async def scene() -> None:
        async with (
            LoopbackServer(Script(WORDS)) as server,
            openai.AsyncOpenAI(api_key="x", base_url=server.base_url()) as client,
        ):
            answer = await client.chat.completions.create(model="m", messages=[], stream=False)

        assert answer.choices[0].message.content == "".join(WORDS)

    run(scene)


def test_a_server_of_asyncio_serves_a_client_of_uvloop() -> None:
    with LoopbackServer(Script(WORDS)).in_thread() as server:

        async def scene() -> None:
            async with SteerLLMClient(providers=settings_of(server)) as client:
                assert (await client.generate("?", "gpt-4o")).get_text() == "".join(WORDS)

        run(scene)


def test_scripts_without_a_network_and_a_clock_that_is_moved() -> None:
    async def scene() -> None:
        clock = ManualClock()
        provider = ScriptedProvider(
            Script(WORDS, faults=[Delay(60)]), Script(WORDS, faults=[Close(1)]), clock=clock
        )
        async with SteerLLMClient("test", transport=provider, clock=clock) as client:
            slow = asyncio.create_task(client.generate("?", "gpt-4o"))
            await clock.advance(60)
            assert (await slow).get_text() == "".join(WORDS)
            with pytest.raises(SteerError) as caught:
                await client.generate("?", "gpt-4o")
            assert type(caught.value) is ConnectionLostError

    run(scene)


def test_https_is_spoken_and_left(tmp_path: Path) -> None:
    serving, _ = make_contexts(tmp_path)
    stalled = Script(WORDS, faults=[Stall(1)])

    async def scene() -> None:
        async with LoopbackServer([Script(WORDS), Script(WORDS), stalled], ssl=serving) as server:
            settings = ProviderSettings(api_key="x", base_url=server.base_url(), verify=False)
            async with SteerLLMClient(providers={"openai": settings}) as client:
                for _ in range(2):
                    assert (await client.generate("?", "gpt-4o")).get_text() == "".join(WORDS)
                assert server.connections.opened == 1
                async with client.stream_events("?", "gpt-4o") as stream:
                    async for event in stream:
                        if event.type == "delta":
                            break
                await server.wait_for(lambda: server.connections.open == 0)

    run(scene)
