"""Many streams through one client: none lost, none mixed, few connections, little memory."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.testing import LoopbackServer, RecordedRequest, Script, Stall, check_stream
from support.every_format import FORMATS, settings_at

STREAMS = 500


@pytest.fixture
def _many_files() -> Iterator[None]:
    """Both ends of every connection are in this process: two files a stream."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * STREAMS + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def client_of(server: LoopbackServer) -> SteerLLMClient:
    return SteerLLMClient(providers=settings_at(server))


def script_for(prompt: str, pieces: int = 20) -> Script:
    return Script([f"{prompt}.{at} " for at in range(pieces)], usage=(len(prompt), pieces))


class Rendezvous:
    """Answers nobody before all have asked; each gets what its own prompt calls for."""

    def __init__(self, expected: int) -> None:
        self._left = expected
        self._all_here = asyncio.Event()

    async def __call__(self, request: RecordedRequest) -> Script:
        self._left -= 1
        if not self._left:
            self._all_here.set()
        await self._all_here.wait()
        return script_for(prompt_of(request))


def prompt_of(request: RecordedRequest) -> str:
    """The prompt, wherever the wire format has it."""
    (found,) = {word for word in request.body.decode().split('"') if word.startswith("prompt-")}
    return found


@pytest.mark.usefixtures("_many_files")
async def test_five_hundred_streams_at_once_each_have_their_own_answer() -> None:
    prompts = [f"prompt-{at}" for at in range(STREAMS)]
    async with LoopbackServer(Rendezvous(STREAMS)) as server, client_of(server) as client:

        async def ask(prompt: str, provider: str) -> str:
            async with client.stream_events(prompt, "m", provider=provider) as stream:
                events = [event async for event in stream]
            summary = check_stream(events)
            assert summary.is_complete
            assert stream.response.usage is not None
            assert stream.response.usage["prompt_tokens"] == len(prompt)
            return summary.text

        texts = await asyncio.gather(
            *(ask(prompt, FORMATS[at % len(FORMATS)]) for at, prompt in enumerate(prompts))
        )

        assert texts == [script_for(prompt).text for prompt in prompts]
        assert len(server.requests) == STREAMS
        assert server.connections.opened == STREAMS  # all of them were open at once
        opened = server.connections.opened
        server.answer_with(Script(["again"]))
        await asyncio.gather(*(client.generate("prompt-x", "gpt-4o") for _ in range(STREAMS)))
        assert server.connections.opened == opened  # and were used again


@pytest.mark.parametrize("provider", FORMATS)
async def test_streams_one_after_another_share_one_connection(provider: str) -> None:
    async with LoopbackServer(Script(["Hello"])) as server, client_of(server) as client:
        for _ in range(20):
            await client.generate("Hi", "m", provider=provider)

        assert server.connections.opened == 1
        assert server.connections[0].requests == 20


async def test_a_stream_that_is_left_costs_its_own_connection_and_no_other() -> None:
    script = Script(["Hello", " world"])
    async with (
        LoopbackServer([replace(script, faults=[Stall(1)]), script]) as server,
        client_of(server) as client,
    ):
        async with client.stream("Hi", "gpt-4o") as texts:
            async for _ in texts:
                break
        await server.wait_for(lambda: server.connections.open == 0)
        for _ in range(3):
            await client.generate("Hi", "gpt-4o")

        assert server.connections.opened == 2
        assert server.connections.closed_by_client == 1


async def test_a_hundred_streams_left_at_once_leave_no_socket_and_no_task() -> None:
    async with (
        LoopbackServer(Script(["Hello"], faults=[Stall(1)])) as server,
        client_of(server) as client,
    ):

        async def leave() -> None:
            async with client.stream("Hi", "gpt-4o") as texts:
                async for _ in texts:
                    break

        await asyncio.gather(*(leave() for _ in range(100)))
        await server.wait_for(lambda: server.connections.open == 0)

        assert server.connections.closed_by_client == 100
        assert not client._pools.here().tasks


# Opens streams, reads two deltas of each and holds them there; prints bytes of memory per stream.
MEASURE = """
import asyncio, gc, os, sys
from steer_llm_sdk import ProviderSettings, SteerLLMClient

STREAMS, URL = int(sys.argv[1]), sys.argv[2]

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

async def main():
    client = SteerLLMClient(providers={"openai": ProviderSettings(api_key="x", base_url=URL)})

    async def hold():
        stream = client.stream_events("Hi", "gpt-4o")
        for _ in range(3):
            await anext(stream)
        return stream

    held = [await hold() for _ in range(10)]  # what is loaded on first use is not counted
    before = resident()
    held += await asyncio.gather(*(hold() for _ in range(STREAMS)))
    print((resident() - before) // STREAMS)
    for stream in held:
        stream.cancel()
        await stream.aclose()
    await client.close()

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_an_open_stream_takes_little_memory() -> None:
    with LoopbackServer(Script(["a", "b"], faults=[Stall(2)])).in_thread() as server:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, "400", server.base_url("openai")],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) < 80_000  # measured: 28,000, with the connection, without TLS
