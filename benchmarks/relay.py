"""The whole way of a token: provider → client → encoder → ASGI server → HTTP client.

Run: ``python benchmarks/relay.py``; ``--streams 250``, ``--mode burst``, ``--only floor``,
``--processes 2``, ``--server plain``, ``--plot docs/relay.svg``.

Each contender is an application under uvicorn in a process of its own, whose CPU time is measured,
for each chunk that it passes on. Paced chunks carry the time at which they were sent: the reader's
process measures how long each was under way. The server is uvicorn with uvloop and httptools, as
``uvicorn[standard]`` installs it, or without (``plain``). The floor splits frames and does nothing
else: aiohttp in, a message of the body a frame, Starlette out.
LiteLLM's proxy and pydantic-ai's adapter run in environments of their own (``make bench`` makes
them; whichever is missing is left out).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import _plot
import aiohttp

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".venv-peers"
ROUNDS = 3

# Chunks of one stream, by how they come: "stamped", every 20 ms, with the time.
COUNTS = {"stamped-20": 150, "burst": 3000}

# The time in a chunk: nanoseconds, in twenty digits.
STAMP = re.compile(rb"000\d{17}")

# Within how many seconds the readers come, one after the other.
ARRIVALS = 1.0

Respond = Callable[[Any, str], Awaitable[Any]]


# --- the contenders -------------------------------------------------------------------------------


async def floor(_: Any, upstream: str) -> Any:
    from starlette.responses import StreamingResponse

    async def frames() -> AsyncIterator[bytes]:
        rest = b""
        async with _session().post(f"{upstream}/chat/completions", data=b"{}") as answer:
            async for read in answer.content.iter_any():
                *whole, rest = (rest + read).split(b"\n\n")
                for frame in whole:
                    yield frame + b"\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")


async def loop_over_openai(_: Any, upstream: str) -> Any:
    from starlette.responses import StreamingResponse

    async def frames() -> AsyncIterator[str]:
        chunks = await _openai(upstream).chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        async for chunk in chunks:
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                yield f"data: {json.dumps(text)}\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")


def ours(protocol: Any, journal: str | None = None) -> Respond:
    async def answer(request: Any, upstream: str) -> Any:
        from steer_llm_sdk.web import respond

        client = _client(upstream)
        if journal is None:
            return respond(request, client.stream_events("Hi", "gpt-4o"), protocol)
        held = _journal(journal)
        stream_id = await client.start("Hi", "gpt-4o", journal=held)
        return respond(request, held.attach(stream_id), protocol, on_disconnect="continue")

    return answer


async def pydantic_ai(request: Any, upstream: str) -> Any:
    from pydantic_ai.ui.vercel_ai import VercelAIAdapter

    return await VercelAIAdapter.dispatch_request(request, agent=_agent(upstream))


CONTENDERS: dict[str, Respond] = {
    "floor": floor,
    "sse": ours("sse"),
    "vercel": ours("vercel"),
    "openai": ours("openai"),
    "vercel, journal in memory": ours("vercel", "memory"),
    "vercel, journal in SQLite": ours("vercel", "sqlite"),
    "loop over openai's SDK": loop_over_openai,
    "pydantic-ai's Vercel adapter": pydantic_ai,
}
OURS = ("sse", "vercel", "openai", "vercel, journal in memory", "vercel, journal in SQLite")
PROXY = "LiteLLM's proxy"
NAMES = (*CONTENDERS, PROXY)

# Whose packages are not among those of the tests.
ELSEWHERE = {PROXY: "litellm-proxy", "pydantic-ai's Vercel adapter": "pydantic-ai-web"}

# What uvicorn reads requests with, and with uvloop or without.
HTTP: dict[str, Any] = {"standard": "httptools", "plain": "h11"}

# Without which the proxy does not start.
KEY = "sk-8d1f0a6c5b7e4392"

# What each is sent: a chat completion, or what a page of the Vercel SDK sends.
CHAT = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
PAGE = {
    "id": "c",
    "trigger": "submit-message",
    "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}],
}


@cache
def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


@cache
def _openai(upstream: str) -> Any:
    import openai

    return openai.AsyncOpenAI(api_key="k", base_url=upstream)


@cache
def _agent(upstream: str) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=upstream, api_key="k")
    return Agent(OpenAIChatModel("gpt-4o", provider=provider))


@cache
def _client(upstream: str) -> Any:
    from steer_llm_sdk import ProviderSettings, SteerLLMClient

    settings = ProviderSettings(api_key="k", base_url=upstream)
    return SteerLLMClient(providers={"openai": settings})


@cache
def _journal(kind: str) -> Any:
    from steer_llm_sdk.journal import MemoryJournal, SQLiteJournal

    if kind == "memory":
        return MemoryJournal()
    return SQLiteJournal(Path(tempfile.mkdtemp()) / "journal.db")


def _relay_of(name: str, upstream: str) -> Any:
    """An application that answers ``/relay``."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    if name == PROXY:
        return _litellm(upstream)

    async def relay(request: Any) -> Any:
        return await CONTENDERS[name](request, upstream)

    return Starlette(routes=[Route("/relay", relay, methods=["POST"])])


def _litellm(upstream: str) -> Any:
    """The application of LiteLLM's proxy, with one model and nothing switched on."""
    parameters = {"model": "openai/gpt-4o", "api_base": upstream, "api_key": "k"}
    models = [{"model_name": "gpt-4o", "litellm_params": parameters}]
    place = Path(tempfile.mkdtemp()) / "config.yaml"  # JSON is YAML
    place.write_text(json.dumps({"model_list": models}))
    os.environ["CONFIG_FILE_PATH"] = str(place)
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_MASTER_KEY"] = KEY
    from litellm.proxy.proxy_server import app

    async def relay(scope: Any, receive: Any, send: Any) -> None:
        path = "/v1/chat/completions"
        if scope["type"] == "http":
            scope = scope | {"path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    return relay


def serve(name: str, upstream: str, server: str) -> None:
    """Serve one contender, and print the port; ends with its input."""
    import uvicorn
    import uvloop

    relay = _relay_of(name, upstream)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/cpu":
            await relay(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        used = json.dumps(time.process_time()).encode()
        await send({"type": "http.response.body", "body": used})

    async def run() -> None:
        config = uvicorn.Config(
            answer, http=HTTP[server], log_level="error", timeout_keep_alive=600
        )
        config.load()  # what it lacks ends this process before anybody connects
        listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        serves = uvicorn.Server(config)
        ended = asyncio.to_thread(sys.stdin.read)
        print(listening.getsockname()[1], flush=True)
        serving = asyncio.create_task(serves.serve(sockets=[listening]))
        await ended
        serves.should_exit = serves.force_exit = True
        await serving

    loop = uvloop.new_event_loop if server == "standard" else None
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


# --- the reader -----------------------------------------------------------------------------------


@contextmanager
def process(*command: str, python: str = sys.executable) -> Iterator[int]:
    """Run a server that prints its port."""
    running = subprocess.Popen(
        [python, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what is left open at the end is told there
        text=True,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        port = next(line for line in running.stdout if line.strip().isdigit())
        yield int(port)
    finally:
        running.stdin.close()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()


def python_of(name: str) -> Path:
    """The interpreter of the contender's environment."""
    if name not in ELSEWHERE:
        return Path(sys.executable)
    return ENVIRONMENTS / ELSEWHERE[name] / "bin" / "python"


async def measure(relays: list[int], body: Any, streams: int, count: int) -> tuple[float, ...]:
    """Read streams side by side: CPU for each chunk in µs; p50 and p99 of its way in ms."""
    delays: list[int] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def cpu() -> float:
            used = 0.0
            for relay in relays:
                async with session.get(f"http://127.0.0.1:{relay}/cpu") as answer:
                    used += float(await answer.json())
            return used

        async def come(number: int) -> None:
            await asyncio.sleep(ARRIVALS * number / streams)
            await read(number)

        async def read(number: int) -> None:
            headers = {"authorization": f"Bearer {KEY}"}
            address = f"http://127.0.0.1:{relays[number % len(relays)]}/relay"
            async with session.post(address, json=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                async for read in answer.content.iter_any():
                    now = time.monotonic_ns()
                    delays.extend(now - int(stamp) for stamp in STAMP.findall(read))

        for number in range(len(relays)):  # connections, and what is loaded when it is first used
            await read(number)
        delays.clear()
        began = await cpu()
        await asyncio.gather(*map(come, range(streams)))
        used = await cpu() - began
    centiles = statistics.quantiles(delays, n=100) if len(delays) > 1 else [0.0] * 99
    return used / (streams * count) * 1e6, centiles[49] / 1e6, centiles[98] / 1e6


def measure_one(
    name: str, mode: str, streams: int, processes: int, server: str
) -> tuple[float, ...]:
    """Start a model and a contender, and measure them."""
    count = COUNTS[mode]
    with ExitStack() as stack:
        model = stack.enter_context(process(str(HERE / "load_server.py")))
        upstream = f"http://127.0.0.1:{model}/{mode}/{count}/text/v1"
        command = (__file__, "--serve", name, "--upstream", upstream, "--server", server)
        relays = [
            stack.enter_context(process(*command, python=str(python_of(name))))
            for _ in range(processes)
        ]
        body = PAGE if CONTENDERS.get(name) is pydantic_ai else CHAT
        return asyncio.run(measure(relays, body, streams, count))


Medians = dict[str, tuple[float, ...]]


def compare(asked: argparse.Namespace, mode: str, streams: int) -> Medians:
    """Measure the contenders in turn, print a table, and return its figures."""
    names = [name for name in asked.only or NAMES if python_of(name).exists()]
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    for _ in range(asked.rounds):
        for name in names:
            one = measure_one(name, mode, streams, asked.processes, asked.server)
            found[name].append(one)
    medians = {
        name: tuple(map(statistics.median, zip(*found[name], strict=True))) for name in names
    }
    print(
        f"{mode}, {streams} streams of {COUNTS[mode]} chunks over {asked.processes} processes, "
        f"uvicorn {asked.server}, median of {asked.rounds} rounds"
    )
    print(f"{'':<30}{'µs of CPU a chunk':>18}{'ratio':>8}{'p50 of its way, ms':>20}{'p99':>8}")
    least = medians[names[0]][0]
    for name, (cpu, p50, p99) in medians.items():
        print(f"{name:<30}{cpu:>18.1f}{cpu / least:>8.2f}{p50:>20.2f}{p99:>8.1f}", flush=True)
    return medians


def plot(paced: Medians, burst: Medians) -> str:
    """Draw two panels: fifty paced streams, and a burst."""
    return _plot.draw(
        [
            ("CPU per chunk, 50 streams with a chunk every 20 ms, µs", _rows(paced)),
            ("CPU per chunk in a burst of 10 streams, µs", _rows(burst)),
        ],
        "CPU per relayed chunk: the floor, this library, and others",
    )


def _rows(medians: Medians) -> list[_plot.Row]:
    rows = []
    for name, (cpu, *_) in medians.items():
        kind = "floor" if name == "floor" else "ours" if name in OURS else "peer"
        rows.append((f"ours, {name}" if kind == "ours" else name, cpu, kind))
    return sorted(rows, key=lambda row: row[1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--serve", choices=NAMES)
    arguments.add_argument("--upstream", default="")
    arguments.add_argument("--streams", type=int, default=50)
    arguments.add_argument("--processes", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--mode", choices=COUNTS, default="stamped-20")
    arguments.add_argument("--server", choices=HTTP, default="standard")
    arguments.add_argument("--only", action="append", choices=NAMES)
    arguments.add_argument("--plot", type=Path, help="measure both modes, and draw them here")
    asked = arguments.parse_args()
    if asked.serve:
        serve(asked.serve, asked.upstream, asked.server)
    elif asked.plot:
        paced, burst = compare(asked, "stamped-20", 50), compare(asked, "burst", 10)
        asked.plot.write_text(plot(paced, burst))
    else:
        compare(asked, asked.mode, asked.streams)


if __name__ == "__main__":
    main()
