"""``steer bench``: a load on a model, and the figures that load generators give."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping
from itertools import repeat
from typing import Any

from steer_llm_sdk.cli.asking import Question, add_options, read_question
from steer_llm_sdk.cli.bar import Bar
from steer_llm_sdk.cli.counts import objective, positive
from steer_llm_sdk.cli.load import SHARES, Load
from steer_llm_sdk.cli.prompt import read_prompt
from steer_llm_sdk.cli.streams import is_piped, wrapped

_PROMPT = "Write a short poem about the sea."
_BAR_WIDTH = 40
_BINS = 12


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``bench`` to the command line."""
    parser = commands.add_parser(
        "bench",
        help="put a load on a model, and measure it",
        description="Ask a model many times, several at once, and tell the times: TTFT, ITL, TPOT "
        "and E2E, as mean and percentiles. The requests cost what they cost.",
    )
    parser.add_argument("prompt", nargs="*", metavar="PROMPT", help=f"default: {_PROMPT!r}")
    add_options(parser)
    parser.add_argument("-n", "--requests", type=positive, default=100, metavar="N")
    parser.add_argument("-c", "--concurrency", type=positive, default=8, metavar="N")
    parser.add_argument(
        "--slo",
        type=objective,
        default={},
        metavar="ttft=S,tpot=S",
        help="an objective in seconds (ttft, itl, tpot, e2e): tells the goodput",
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--plot", action="store_true", help="draw how the times are spread")
    parser.add_argument("-q", "--quiet", action="store_true", help="no bar")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    has_prompt = bool(parsed.prompt) or is_piped(sys.stdin)
    prompt = read_prompt(parsed.prompt, sys.stdin) if has_prompt else _PROMPT
    question = read_question(parsed)
    with Bar(parsed.requests, not parsed.quiet) as bar:
        load = asyncio.run(
            _put_load(prompt, question, parsed.requests, parsed.concurrency, bar.advance)
        )
    report = load.report(parsed.slo)
    if parsed.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(lines(report)))
        for words in load.errors.said.values():  # the first of each class: why it failed
            print(wrapped(words, sys.stdout))
        if parsed.plot:
            for name in ("TTFT", "E2E"):
                print("\n".join(histogram(name, load.times(name))))
    return 1 if load.errors.counts else 0


async def _put_load(
    prompt: str, question: Question, requests: int, concurrency: int, on_each: Any
) -> Load:
    from steer_llm_sdk import SteerLLMClient

    choice, arguments = question
    load = Load()
    async with SteerLLMClient(providers=choice.settings) as client:
        begun = time.perf_counter()
        prompts = repeat(prompt, requests)
        async with client.map(
            prompts, choice.model, concurrency=concurrency, **arguments
        ) as results:
            async for result in results:
                if result.error is not None:
                    load.errors.add(result.error)
                elif result.response is not None:
                    load.add(result.response.metrics, result.response.usage or {})
                on_each()
        load.seconds = time.perf_counter() - begun
    return load


def lines(report: Mapping[str, Any]) -> list[str]:
    """The figures as a table for eyes."""
    head = (
        f"{report['answered']} of {report['requests']} answered in {report['seconds']:.2f} s: "
        f"{report['requests_per_second']:.2f} requests/s, "
        f"{report['output_tokens_per_second']:.1f} tokens/s"
    )
    names = ("mean", *(f"p{share}" for share in SHARES), "max")
    rows = [head, "", f"{'ms':<6}" + "".join(f"{name:>10}" for name in names)]
    for key in ("ttft_ms", "itl_ms", "tpot_ms", "e2e_ms"):
        found = report[key]
        cells = [f"{value:>10.1f}" for value in found.values()] if found else ["  not known"]
        rows.append(f"{key.removesuffix('_ms').upper():<6}" + "".join(cells))
    if "goodput" in report:
        told = ", ".join(f"{name} ≤ {value:g} s" for name, value in report["objective"].items())
        rows += [
            "",
            f"goodput ({told}): {report['goodput']:.2f} requests/s, {report['good_share']:.0%}",
        ]
    rows += [f"{count} × {name}" for name, count in report["errors"].items()]
    return rows


def histogram(name: str, times: list[float]) -> list[str]:
    """How the times are spread: a bar for each span of equal length."""
    if not times:
        return []
    low, high = times[0], times[-1]
    width = (high - low) / _BINS or 1.0
    counts = [0] * _BINS
    for each in times:
        counts[min(_BINS - 1, int((each - low) / width))] += 1
    tallest = max(counts)
    rows = ["", f"{name}, ms"]
    for at, count in enumerate(counts):
        bar = "█" * round(count / tallest * _BAR_WIDTH)
        rows.append(f"{low + at * width:>10.1f}  {bar} {count or ''}".rstrip())
    return rows
