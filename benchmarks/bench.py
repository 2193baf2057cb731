"""Every benchmark of streaming, in turn. ``make bench``; ``--quick`` is ``make bench-quick``.

Contenders live in processes of their own and are asked in turn, several rounds of all of them, so
that whatever else the machine does in a moment, it does to all; what is reported is the median of
the rounds, and its ratio to the floor's.

    python benchmarks/bench.py                    # all: some ten minutes, writes the results
    python benchmarks/bench.py --quick            # no peers: 90 s, compares with expected.json
    python benchmarks/bench.py --quick --strict   # … and fails where a ratio has grown
    python benchmarks/bench.py --quick --accept   # … and stores the ratios as what is expected
    python benchmarks/bench.py --only paced       # that section again; a section is one run
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import _imports
import _report
from _scenarios import PEERS, Entry, entry, floors, peers, streamed, ways

HERE = Path(__file__).parent
OWN_PYTHON = Path(sys.executable)
ENVIRONMENTS = HERE.parent / ".venv-peers"

Found = dict[str, dict[str, float]]

ENVIRONMENTS_OF_PEERS = frozenset(PEERS.values())

PACED: dict[str, Any] = {"mode": "paced-20", "streams": 50}


class Process:
    """A process that answers a line with a line."""

    def __init__(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} has ended")
        return line

    def ask(self, job: dict[str, Any]) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        while not (line := self.read()).startswith("RESULT "):
            pass  # a library's own chatter
        found: dict[str, float] = json.loads(line.removeprefix("RESULT "))
        return found


def python_of(environment: str) -> Path:
    return ENVIRONMENTS / environment / "bin" / "python"


class Bench:
    """The load server, and a process for each contender."""

    def __init__(self, stack: ExitStack, rounds: int) -> None:
        self._stack = stack
        self._server = stack.enter_context(Process(OWN_PYTHON, "load_server.py"))
        self.port = int(self._server.read())
        self.rounds = rounds
        self._processes: dict[str, Process] = {}

    def section(self, name: str, entries: Iterable[Entry], *, rounds: int | None = None) -> Found:
        """Measure entries in turn, round after round; the medians, by label."""
        entries = list(entries)
        count = rounds or self.rounds
        print(f"{name} … ", end="", file=sys.stderr, flush=True)
        for one in entries:
            self._warm_up(one)
        found: dict[str, list[dict[str, float]]] = {one.label: [] for one in entries}
        last = ""
        for number in range(count):
            print(number + 1, end=" ", file=sys.stderr, flush=True)
            for one in entries:
                if one.process != last:  # it has slept, and what it needs has left the caches
                    self._warm_up(one)
                last = one.process
                found[one.label].append(self._ask(one, self._process(one.process)))
        print(file=sys.stderr)
        return {label: medians(rows) for label, rows in found.items()}

    def fresh(self, name: str, entries: Iterable[Entry], *, rounds: int) -> Found:
        """The same, each measurement in a process of its own."""
        print(f"{name} …", file=sys.stderr, flush=True)
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for one in entries:
                with self._start(one.process) as process:
                    found.setdefault(one.label, []).append(self._ask(one, process))
        return {label: medians(rows) for label, rows in found.items()}

    def _warm_up(self, one: Entry) -> None:
        # Some hundredths of a second each: a processor that was idle takes that long to be awake.
        chunks = 500 if one.process in ENVIRONMENTS_OF_PEERS else 10_000
        self._ask(one, self._process(one.process), measure="cost", mode="burst", chunks=chunks)

    def _ask(self, one: Entry, process: Process, **changes: Any) -> dict[str, float]:
        if changes:  # a warm-up: one short request
            changes |= {"streams": 1, "requests": 1}
        return process.ask({"port": self.port} | one.job | changes)

    def _process(self, name: str) -> Process:
        process = self._processes.get(name)
        if process is None:
            process = self._processes[name] = self._stack.enter_context(self._start(name))
        return process

    def _start(self, name: str) -> Process:
        if name in {"floor", "ours"}:
            return Process(OWN_PYTHON, f"{name}.py")
        if name.endswith("+uvloop"):
            script = name.removesuffix("+uvloop")
            return Process(python_of("uvloop"), f"{script}.py", "--uvloop")
        return Process(python_of(name), "peers.py")


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def linear(bench: Bench, most: int, rounds: int) -> Found:
    """Per chunk of a short and of a long stream, less what a request costs by itself."""
    labels = [one.label for one in ways()]
    costs = {
        count: bench.section(
            f"streams of {count} chunks",
            [entry(label, chunks=count, requests=requests) for label in labels],
            rounds=rounds,
        )
        for count, requests in ((10, 20), (1000, 20), (most, 1))
    }
    found: Found = {}
    for label in labels:
        request = costs[10][label]["cpu_us"] * 10

        def per_chunk(count: int, label: str = label, request: float = request) -> float:
            return costs[count][label]["cpu_us"] - request / count

        short, long = per_chunk(1000), per_chunk(most)
        found[label] = {
            "request_us": request,
            "short_us": short,
            "long_us": long,
            "growth": long / short,
        }
    return found


def quick(bench: Bench) -> dict[str, Any]:
    """Everything that needs no peer, in short."""
    return {
        "burst": bench.section("burst", [*floors(requests=4), *ways(requests=4)], rounds=5),
        "paced": paced_streams(bench, rounds=5, chunks=100, has_peers=False),
        "first": bench.section(
            "first token",
            streamed(has_peers=False, measure="first", chunks=3, requests=100),
            rounds=3,
        ),
        "linear": linear(bench, 20_000, rounds=5),
        "imports": imports(bench, has_peers=False, rounds=3),
    }


def full(bench: Bench, only: Collection[str] = ()) -> dict[str, Any]:
    """Everything, or the sections that are named."""
    many = {"measure": "delay", "mode": "stamped-50", "chunks": 100, "streams": 1000}
    held = {"measure": "memory", "mode": "held", "chunks": 1, "streams": 300}
    first = {"measure": "first", "chunks": 3, "requests": 300}
    thousand = [entry("floor/openai", **many), entry("ours/callbacks", **many)]
    # Ours are run four times over: a measurement would else last some hundredths of a second.
    burst = [*floors(requests=4), *ways(requests=4), *peers()]
    sections: dict[str, Callable[[], Found]] = {
        "burst": lambda: bench.section("burst", burst),
        "paced": lambda: paced_streams(bench, rounds=15, chunks=150, has_peers=True),
        "first": lambda: bench.section("first token", streamed(has_peers=True, **first), rounds=5),
        "memory": lambda: bench.fresh("memory", streamed(has_peers=True, **held), rounds=3),
        "thousand": lambda: bench.section("a thousand streams", thousand, rounds=5),
        "linear": lambda: linear(bench, 100_000, rounds=5),
        "imports": lambda: imports(bench, has_peers=True, rounds=5),
        "uvloop": lambda: with_uvloop(bench, PACED | {"chunks": 150}),
    }
    if unknown := set(only) - sections.keys():
        raise SystemExit(f"--only: expected some of {', '.join(sections)}; found {unknown}")
    return {name: measure() for name, measure in sections.items() if not only or name in only}


def paced_streams(bench: Bench, *, rounds: int, chunks: int, has_peers: bool) -> Found:
    """50 streams, a chunk every 20 ms; those that targets compare are measured most often."""
    job = PACED | {"chunks": chunks}
    compared = ["floor/openai", "ours/callbacks", "floor/anthropic", "ours/anthropic"]
    if has_peers:
        compared[2:2] = ["openai"]
        compared.append("anthropic")
    found = bench.section("paced", [entry(label, **job) for label in compared], rounds=rounds)
    if has_peers:
        others = [one for one in streamed(has_peers=True, **job) if one.label not in found]
        found |= bench.section("paced, others", others, rounds=3)
    return found


def with_uvloop(bench: Bench, paced: dict[str, Any]) -> Found:
    """The floor and our callbacks, without and with uvloop beside each other."""
    found: Found = {}
    for name, job in (("burst", {"chunks": 5000}), ("paced", paced)):
        entries = [
            Entry(f"{script}{loop}/{name}", f"{script}{loop}", "openai", {"way": way} | job)
            for script, way in (("floor", "read"), ("ours", "callbacks"))
            for loop in ("", "+uvloop")
        ]
        found |= bench.section(f"uvloop, {name}", entries, rounds=5)
    return found


def imports(bench: Bench, *, has_peers: bool, rounds: int) -> Found:
    """Imports, and our first request's own."""
    print("imports …", file=sys.stderr, flush=True)
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, statement in _imports.IMPORTS.items():
            if name in PEERS and not has_peers:
                continue
            python = python_of(name) if name in PEERS else OWN_PYTHON
            row = _imports.measure_import(python, statement)
            found.setdefault(name, []).append(row)
        base = f"http://127.0.0.1:{bench.port}/burst/3/text/v1"
        row = _imports.measure_first_request(OWN_PYTHON, base)
        found.setdefault("first request", []).append(row)
    return {name: medians(rows) for name, rows in found.items()}


def main() -> int:
    reading = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    reading.add_argument("--quick", action="store_true", help="no peers, shorter streams")
    reading.add_argument("--strict", action="store_true", help="fail where a ratio has grown")
    reading.add_argument("--accept", action="store_true", help="store these ratios as expected")
    reading.add_argument("--rounds", type=int, default=7)
    reading.add_argument(
        "--only", nargs="+", default=(), metavar="SECTION", help="keep the others' last figures"
    )
    asked = reading.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        bench = Bench(stack, asked.rounds)
        found = quick(bench) if asked.quick else full(bench, asked.only)
    if asked.only:
        found = _report.latest() | found
    found["about"] = _report.about(load_before, None if asked.quick else ENVIRONMENTS)
    print(_report.as_text(found))
    if asked.accept:
        _report.accept(found)
    if not asked.quick:
        _report.write(found)
        return 0
    return 1 if _report.has_grown(found) and asked.strict else 0


if __name__ == "__main__":
    sys.exit(main())
