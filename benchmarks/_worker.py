"""What a contender's process does: it reads jobs, a JSON line each, and answers with a line each.

A contender is a module with a `load`, which imports a library and gives the *way* it is used: an
async (or plain, for blocking clients) function that runs one stream and returns how many characters
of deltas it saw. It is handed `seen`, to be called with each delta, only by the measurements that
need the moment of each; otherwise it is None.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _payloads import pieces

_WARM_REQUESTS = 5

Seen = Callable[[str], object]


@dataclass(frozen=True)
class Job:
    """One measurement.

    `measure` is ``cost``, ``first`` (token), ``delay`` (of each chunk) or ``memory``; `streams` run
    at once, `requests` one after another.
    """

    port: int
    way: str
    measure: str = "cost"
    wire: str = "openai"
    mode: str = "burst"
    payload: str = "text"
    chunks: int = 5000
    streams: int = 1
    requests: int = 1

    @property
    def base(self) -> str:
        """The endpoint of this answer, without ``/v1``."""
        return f"http://127.0.0.1:{self.port}/{self.mode}/{self.chunks}/{self.payload}"

    @property
    def characters(self) -> int:
        """How many characters the deltas of one stream have."""
        return len("".join(pieces(self.payload, self.chunks)))


Way = Callable[[Job, Seen | None], Awaitable[int] | int]
Load = Callable[[str], Way]


def main(
    load: Load, *, uvloop: bool = False, close: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Answer jobs until the input ends."""
    factory = None
    if uvloop:
        import uvloop as fast

        factory = fast.new_event_loop
    ways: dict[str, Way] = {}
    with asyncio.Runner(loop_factory=factory) as runner:
        for line in sys.stdin:
            job = Job(**json.loads(line))
            way = ways.get(job.way) or ways.setdefault(job.way, load(job.way))
            found = _MEASURES[job.measure](runner, job, way)
            print("RESULT " + json.dumps(found), flush=True)
        if close is not None:
            runner.run(_await(close()))


def _run(runner: asyncio.Runner, job: Job, way: Way, seen: Seen | None = None) -> None:
    """All requests of the job; each must have given all of its characters."""
    wanted = job.characters if job.mode != "stamped-50" else None

    def check(found: int) -> None:
        if wanted is not None and found != wanted:
            raise AssertionError(f"{job}: {found} characters came, and {wanted} were sent")

    async def run() -> None:
        for _ in range(job.requests):
            for found in await asyncio.gather(*(way(job, seen) for _ in range(job.streams))):
                check(found)

    if inspect.iscoroutinefunction(way):
        runner.run(run())
        return
    for _ in range(job.requests):
        found = way(job, seen)
        assert isinstance(found, int)
        check(found)


def _cost(runner: asyncio.Runner, job: Job, way: Way) -> dict[str, float]:
    """CPU and wall time per chunk, in microseconds."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    _run(runner, job, way)
    chunks = job.chunks * job.streams * job.requests
    return {
        "cpu_us": (time.process_time() - cpu) / chunks * 1e6,
        "wall_us": (time.perf_counter() - wall) / chunks * 1e6,
    }


def _first(runner: asyncio.Runner, job: Job, way: Way) -> dict[str, float]:
    """From the call to the first delta, in milliseconds, of short requests one after another."""
    times: list[float] = []
    begun = 0.0

    def seen(_text: str) -> None:
        nonlocal begun
        if begun:
            times.append((time.perf_counter() - begun) * 1e3)
            begun = 0.0

    async def run() -> None:
        nonlocal begun
        for _ in range(_WARM_REQUESTS):  # the first opens the connection, and imports what it needs
            await _await(way(job, seen))
        for _ in range(job.requests):
            begun = time.perf_counter()
            await _await(way(job, seen))

    runner.run(run())
    assert len(times) == job.requests, f"{len(times)} first deltas of {job.requests} requests"
    return {"first_p50_ms": _at(times, 0.5), "first_p99_ms": _at(times, 0.99)}


def _delay(runner: asyncio.Runner, job: Job, way: Way) -> dict[str, float]:
    """How long after the server sent a chunk its delta came, in milliseconds; and what it cost."""
    delays: list[float] = []
    now, keep = time.monotonic_ns, delays.append

    def seen(text: str) -> None:
        keep((now() - int(text)) / 1e6)

    cost = _cost_of(runner, job, way, seen)
    lost = job.chunks * job.streams - len(delays)
    return cost | {
        "delay_p50_ms": _at(delays, 0.5),
        "delay_p99_ms": _at(delays, 0.99),
        "lost": lost,
    }


def _cost_of(runner: asyncio.Runner, job: Job, way: Way, seen: Seen) -> dict[str, float]:
    gc.collect()
    cpu = time.process_time()
    _run(runner, job, way, seen)
    return {"cpu_us": (time.process_time() - cpu) / job.chunks / job.streams * 1e6}


def _memory(runner: asyncio.Runner, job: Job, way: Way) -> dict[str, float]:
    """What a stream that is open takes, in kB of resident memory: many are held open at once."""

    async def hold(count: int) -> float:
        begun = 0
        all_begun = asyncio.Event()

        def seen(_text: str) -> None:
            nonlocal begun
            begun += 1
            if begun == count:
                all_begun.set()

        gc.collect()
        before = _resident_kb()
        tasks = [asyncio.ensure_future(_await(way(job, seen))) for _ in range(count)]
        async with asyncio.timeout(60):
            await all_begun.wait()
        gc.collect()
        held = _resident_kb() - before
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return held / count

    runner.run(hold(10))  # what the first requests import and cache is not a stream's
    return {"memory_kb": runner.run(hold(job.streams))}


async def _await(work: Any) -> Any:
    return await work


def _resident_kb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1024


def _at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


_MEASURES: dict[str, Callable[[asyncio.Runner, Job, Way], dict[str, Any]]] = {
    "cost": _cost,
    "first": _first,
    "delay": _delay,
    "memory": _memory,
}
