"""What was found: as tables, as targets that hold or not, as a comparison with what is expected."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import _plot
from _scenarios import PEER_WIRES, WIRES

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
EXPECTED = HERE / "expected.json"
PAGE = HERE.parent / "docs" / "performance.md"
PLOT = HERE.parent / "docs" / "performance.svg"
BEGIN, END = "<!-- begin: written by `make bench` -->", "<!-- end -->"

# A ratio may be this much above what is expected before it is reported: machines differ, and the
# rounds of a quick run on a busy one scatter by a fifth.
ROOM = 1.35

Found = dict[str, Any]

_NAMES = {
    "callbacks": "five async callbacks",
    "untyped": "… without annotations",
    "lambdas": "… lambdas, `e.delta`",
    "dicts": '… lambdas, `data["text"]`',
    "processor": "… behind a filter and three transformers",
    "metrics": "… and `response.metrics`",
    "estimated": "… usage estimated",
    "tools": "… a tool call",
    "json-callbacks": "… JSON mode",
    "json": "JSON mode, the value read at every delta",
    "iterator": "`async for event`",
    "texts": "`async for text`",
    "sync": "blocking client, five callbacks",
    "sync-iterator": "blocking client, `for event`",
    "responses": "OpenAI Responses, five async callbacks",
    "anthropic": "Anthropic, five async callbacks",
    "gemini": "Gemini, five async callbacks",
}

_PEER_NAMES = {
    "openai": "openai",
    "openai-events": "openai, typed events",
    "openai-responses": "openai, Responses",
    "anthropic": "anthropic",
    "anthropic-events": "anthropic, `text_stream`",
    "litellm": "LiteLLM",
    "langchain": "LangChain",
    "pydantic-ai": "pydantic-ai",
    "any-llm": "any-llm",
}


def floor_of(label: str) -> str:
    """The floor that a label is compared with: that of its wire format."""
    what = label.rpartition("/")[2]
    wire = what if what in WIRES else PEER_WIRES.get(label, "openai")
    return f"floor/{wire}"


def name_of(label: str) -> str:
    """A label in words."""
    kind, _, what = label.partition("/")
    if kind == "floor":
        return f"floor, {what}"
    return _NAMES[what] if kind == "ours" else _PEER_NAMES[label]


def ratio(section: Found, label: str, figure: str = "cpu_us") -> float:
    """A figure of a section as a multiple of its floor's."""
    return float(section[label][figure] / section[floor_of(label)][figure])


# --- tables ---------------------------------------------------------------------------------------


def as_text(found: Found) -> str:
    """Everything that was found, as Markdown."""
    parts = [_cost_table("A burst: chunks as fast as they come", found["burst"])]
    parts.append(_cost_table("Paced: 50 streams at once, a chunk every 20 ms", found["paced"]))
    parts.append(_first_table(found["first"]))
    if "memory" in found:
        parts.append(_memory_table(found["memory"]))
    if "thousand" in found:
        parts.append(_thousand_table(found["thousand"]))
    parts.append(_linear_table(found["linear"]))
    parts.append(_import_table(found["imports"]))
    if "uvloop" in found:
        parts.append(_uvloop_table(found))
    parts.append(_target_table(found))
    return "\n\n".join(parts) + "\n\n" + _about_text(found["about"])


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [f"### {title}", "", "| " + " | ".join(heads) + " |"]
    lines.append("|---|" + "---:|" * (len(heads) - 1))
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _cost_table(title: str, section: Found) -> str:
    rows = (
        (
            name_of(label),
            f"{figures['cpu_us']:.2f}",
            f"{figures['wall_us']:.2f}" if title.startswith("A burst") else "",
            f"{ratio(section, label):.2f}",
        )
        for label, figures in section.items()
    )
    heads = ["per chunk", "CPU, µs", "wall, µs", "CPU × floor"]
    if title.startswith("A burst"):
        return _table(title, heads, rows)
    return _table(title, [*heads[:2], heads[3]], ((a, b, d) for a, b, _, d in rows))


def _first_table(section: Found) -> str:
    def added(label: str, figure: str) -> str:
        return f"{section[label][figure] - section[floor_of(label)][figure]:+.2f}"

    rows = (
        (
            name_of(label),
            f"{figures['first_p50_ms']:.2f}",
            f"{figures['first_p99_ms']:.2f}",
            added(label, "first_p50_ms"),
            added(label, "first_p99_ms"),
        )
        for label, figures in section.items()
    )
    heads = ("from the call to the first delta, ms", "p50", "p99", "added, p50", "added, p99")
    return _table("The first token", heads, rows)


def _memory_table(section: Found) -> str:
    rows = (
        (name_of(label), f"{figures['memory_kb']:.0f}", f"{ratio(section, label, 'memory_kb'):.1f}")
        for label, figures in section.items()
    )
    title = "Memory: 300 streams held open"
    return _table(title, ("per stream", "kB", "× floor"), rows)


def _thousand_table(section: Found) -> str:
    rows = (
        (
            name_of(label),
            f"{figures['delay_p50_ms']:.2f}",
            f"{figures['delay_p99_ms']:.2f}",
            f"{figures['cpu_us']:.1f}",
            f"{figures['lost']:.0f}",
        )
        for label, figures in section.items()
    )
    heads = ("delay of a chunk, ms", "p50", "p99", "CPU per chunk, µs", "lost")
    return _table("A thousand streams at once, a chunk every 50 ms", heads, rows)


def _linear_table(section: Found) -> str:
    rows = (
        (
            name_of(label),
            f"{figures['request_us'] / 1000:.2f}",
            f"{figures['short_us']:.2f}",
            f"{figures['long_us']:.2f}",
            f"{figures['growth']:.2f}",
        )
        for label, figures in section.items()
    )
    heads = ("", "a request, ms", "µs a chunk of 1,000", "of a long stream", "growth")
    return _table("Short and long streams", heads, rows)


def _import_table(section: Found) -> str:
    def row(name: str, figures: dict[str, float]) -> tuple[str, str, str]:
        cpu = figures.get("import_cpu_ms", figures.get("first_request_cpu_ms", 0.0))
        memory = figures.get("import_rss_mb", figures.get("first_request_rss_mb", 0.0))
        known = {"ours": "`import steer_llm_sdk`", "first request": "our first request, besides"}
        return known.get(name, name), f"{cpu:.0f}", f"{memory:.0f}"

    rows = (row(name, figures) for name, figures in section.items())
    return _table("Imports", ("", "CPU, ms", "memory, MB"), rows)


def _uvloop_table(found: Found) -> str:
    def rows() -> Iterator[tuple[str, str, str, str]]:
        for name in ("burst", "paced"):
            for script, label in (("floor", "floor/openai"), ("ours", "ours/callbacks")):
                plain = found["uvloop"][f"{script}/{name}"]["cpu_us"]
                fast = found["uvloop"][f"{script}+uvloop/{name}"]["cpu_us"]
                yield (
                    f"{name_of(label)}, {name}",
                    f"{plain:.2f}",
                    f"{fast:.2f}",
                    f"{fast / plain:.2f}",
                )

    heads = ("CPU per chunk, µs", "asyncio", "uvloop", "ratio")
    return _table("uvloop", heads, rows())


# --- targets --------------------------------------------------------------------------------------


def targets(found: Found) -> Iterator[tuple[str, str, float, bool]]:
    """What is promised: the sentence, its limit, what was found, and whether it holds."""
    burst, paced = found["burst"], found["paced"]

    def at_most(words: str, value: float, limit: float) -> tuple[str, str, float, bool]:
        return words, f"≤ {limit:g}", value, value <= limit

    def at_least(words: str, value: float, limit: float) -> tuple[str, str, float, bool]:
        return words, f"≥ {limit:g}", value, value >= limit

    def times(section: Found, peer: str, label: str = "ours/callbacks") -> float:
        return float(section[peer]["cpu_us"] / section[label]["cpu_us"])

    yield at_most("burst: callbacks, × floor", ratio(burst, "ours/callbacks"), 2.5)
    if "openai" in burst:
        yield at_least("burst: openai, × callbacks", times(burst, "openai"), 15)
        yield at_least("burst: LiteLLM, × callbacks", times(burst, "litellm"), 60)
        value = times(burst, "anthropic", "ours/anthropic")
        yield at_least("burst: anthropic, × callbacks on its wire", value, 4)
    yield at_most("paced: callbacks, × floor", ratio(paced, "ours/callbacks"), 1.4)
    if "openai" in paced:
        yield at_least("paced: openai, × callbacks", times(paced, "openai"), 5)
    more = burst["ours/processor"]["cpu_us"] - burst["ours/callbacks"]["cpu_us"]
    yield at_most("burst: the processor adds, µs", more, 2)
    if "thousand" in found:
        ours, floor = found["thousand"]["ours/callbacks"], found["thousand"]["floor/openai"]
        yield at_most("1,000 streams: delay of a chunk, p50 ms", ours["delay_p50_ms"], 2)
        yield at_most("1,000 streams: chunks lost", ours["lost"] + floor["lost"], 0)
    if "memory" in found:
        memory = found["memory"]
        above = memory["ours/callbacks"]["memory_kb"] - memory["floor/openai"]["memory_kb"]
        yield at_most("memory of a stream above the floor's, kB", above, 60)
    worst = max(found["linear"].values(), key=lambda row: float(row["growth"]))
    yield at_most("a long stream's chunk, × a short one's (worst way)", worst["growth"], 1.2)
    imports = found["imports"]
    yield at_most("`import steer_llm_sdk`, CPU ms", imports["ours"]["import_cpu_ms"], 60)
    value = imports["first request"]["first_request_cpu_ms"]
    yield at_most("the first request's own imports, CPU ms", value, 300)


def _target_table(found: Found) -> str:
    rows = (
        (words, limit, f"{value:.2f}", "holds" if holds else "**missed**")
        for words, limit, value, holds in targets(found)
    )
    return _table("Targets", ("", "target", "found", ""), rows)


# --- what is expected -----------------------------------------------------------------------------


def ratios(found: Found) -> dict[str, float]:
    """What is compared between runs: ratios alone, since machines differ."""
    kept = {
        f"{name}: {label.removeprefix('ours/')}": ratio(found[name], label)
        for name in ("burst", "paced")
        for label in found[name]
        if label.startswith("ours/")
    }
    return {name: round(value, 2) for name, value in kept.items()}


def accept(found: Found) -> None:
    """Store the ratios as what is expected from now on."""
    EXPECTED.write_text(json.dumps(ratios(found), indent=2) + "\n")


def has_grown(found: Found) -> bool:
    """Say which ratios are well above what is expected."""
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    now = ratios(found)
    grown = {
        name: (now[name], was)
        for name, was in expected.items()
        if name in now and now[name] > was * ROOM
    }
    for name, (value, was) in grown.items():
        print(f"GROWN  {name}: {value:.2f} × the floor, expected {was:.2f}")
    if not grown:
        print(f"No ratio is more than {ROOM - 1:.0%} above what is expected.")
    return bool(grown)


# --- where it was found ---------------------------------------------------------------------------


def about(load_before: float, environments: Path | None) -> dict[str, Any]:
    """The machine, the versions and the day."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "python": platform.python_version(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "versions": _versions(environments) if environments is not None else {},
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


_PACKAGES = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "litellm": ("litellm", "openai"),
    "langchain": ("langchain-openai", "openai"),
    "pydantic-ai": ("pydantic-ai-slim", "openai"),
    "any-llm": ("any-llm-sdk", "openai"),
    "uvloop": ("uvloop", "aiohttp", "msgspec"),
}


def _versions(environments: Path) -> dict[str, str]:
    code = (
        "import sys; from importlib.metadata import version; "
        "print(*(f'{name} {version(name)}' for name in sys.argv[1:]), sep=', ')"
    )
    return {
        name: subprocess.run(
            [environments / name / "bin" / "python", "-c", code, *packages],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for name, packages in _PACKAGES.items()
    }


def _about_text(facts: dict[str, Any]) -> str:
    words = (
        f"Measured {facts['date']} with Python {facts['python']} on {facts['cores']} cores "
        f"({facts['cpu']}); load before: {facts['load_before']}."
    )
    versions = "; ".join(facts["versions"].values())
    return f"{words} Versions: {versions}.\n" if versions else words + "\n"


def latest() -> dict[str, Any]:
    """What the last whole run has written."""
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def write(found: Found) -> None:
    """The results, the page's tables and its plot."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(_rounded(found), indent=1, ensure_ascii=False) + "\n")
    PLOT.write_text(_plot.bars(found, name_of))
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{as_text(found)}\n{END}{after}")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value
