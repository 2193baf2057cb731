"""The whole way of a token: provider → client → encoder → ASGI server → HTTP client.

Run: ``python benchmarks/relay.py``; ``--streams 250``, ``--mode burst``, ``--only floor,sse``.

Each contender is an application under uvicorn in a process of its own, whose CPU time is measured,
for each chunk that it passes on; the reader's process measures the gaps between what arrives. The
floor splits frames and does nothing else: aiohttp in, a message of the body a frame, Starlette out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).parent
ROUNDS = 3

# Chunks of one stream, by how they come.
COUNTS = {"paced-20": 150, "burst": 3000}

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


CONTENDERS: dict[str, Respond] = {
    "floor": floor,
    "sse": ours("sse"),
    "vercel": ours("vercel"),
    "openai": ours("openai"),
    "vercel, journal in memory": ours("vercel", "memory"),
    "vercel, journal in SQLite": ours("vercel", "sqlite"),
    "loop over openai's SDK": loop_over_openai,
}


@cache
def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


@cache
def _openai(upstream: str) -> Any:
    import openai

    return openai.AsyncOpenAI(api_key="k", base_url=upstream)


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


def serve(name: str) -> None:
    """Serve one contender, and print the port; ends with its input."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def relay(request: Request) -> Response:
        answered: Response = await CONTENDERS[name](request, request.headers["x-upstream"])
        return answered

    async def cpu(_: Request) -> Response:
        return JSONResponse(time.process_time())

    async def run() -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        app = Starlette(routes=[Route("/relay", relay, methods=["POST"]), Route("/cpu", cpu)])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        ended = asyncio.to_thread(sys.stdin.read)
        print(listening.getsockname()[1], flush=True)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await ended
        server.should_exit = server.force_exit = True
        await serving

    asyncio.run(run())


# --- the reader -----------------------------------------------------------------------------------


@contextmanager
def process(*command: str) -> Iterator[int]:
    """Run a server that prints its port."""
    running = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what is left open at the end is told there
        text=True,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        yield int(running.stdout.readline())
    finally:
        running.stdin.close()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()


async def measure(relay: int, upstream: str, streams: int, count: int) -> tuple[float, float]:
    """Read streams side by side: CPU for each chunk in µs, and the p99 of the gaps in ms."""
    gaps: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def cpu() -> float:
            async with session.get(f"http://127.0.0.1:{relay}/cpu") as answer:
                return float(await answer.json())

        async def read() -> None:
            address = f"http://127.0.0.1:{relay}/relay"
            async with session.post(address, headers={"x-upstream": upstream}) as answer:
                assert answer.status == 200, await answer.text()
                before = time.perf_counter()
                async for _ in answer.content.iter_any():
                    now = time.perf_counter()
                    gaps.append(now - before)
                    before = now

        await read()  # connections, and what is loaded when it is first used
        gaps.clear()
        began = await cpu()
        await asyncio.gather(*(read() for _ in range(streams)))
        used = await cpu() - began
    p99 = statistics.quantiles(gaps, n=100)[98] if len(gaps) > 1 else 0.0
    return used / (streams * count) * 1e6, p99 * 1e3


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--serve", choices=CONTENDERS)
    arguments.add_argument("--streams", type=int, default=50)
    arguments.add_argument("--mode", choices=COUNTS, default="paced-20")
    arguments.add_argument("--only", default=",".join(CONTENDERS))
    asked = arguments.parse_args()
    if asked.serve:
        serve(asked.serve)
        return
    names = [name for name in CONTENDERS if name in asked.only]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    count = COUNTS[asked.mode]
    with process(str(HERE / "load_server.py")) as model:
        upstream = f"http://127.0.0.1:{model}/{asked.mode}/{count}/text/v1"
        for _ in range(ROUNDS):
            for name in names:
                with process(__file__, "--serve", name) as relay:
                    one = asyncio.run(measure(relay, upstream, asked.streams, count))
                found[name].append(one)
    least = statistics.median(cpu for cpu, _ in found[names[0]])
    print(f"{asked.mode}, {asked.streams} streams of {count} chunks, median of {ROUNDS} rounds")
    print(f"{'':<28}{'µs of CPU a chunk':>18}{'ratio':>8}{'p99 gap, ms':>13}")
    for name, measured in found.items():
        cpu = statistics.median(one for one, _ in measured)
        gap = statistics.median(one for _, one in measured)
        print(f"{name:<28}{cpu:>18.1f}{cpu / least:>8.2f}{gap:>13.1f}")


if __name__ == "__main__":
    main()
