"""``steer stats``: what a ledger tells of its streams."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steer_llm_sdk.cli.counts import objective, positive
from steer_llm_sdk.cli.ledger import read_report
from steer_llm_sdk.cli.tables import is_wider, widths_of

_LEDGER = "STEER_LEDGER"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``stats`` to the command line."""
    parser = commands.add_parser(
        "stats",
        help="report on the streams in a ledger",
        description="Report on the streams that a SQLiteSink has written into a ledger: outcomes, "
        "errors, times, tokens and cost.",
    )
    parser.add_argument(
        "ledger",
        nargs="?",
        default=os.environ.get(_LEDGER, "ledger.db"),
        metavar="LEDGER",
        help=f"the database; default: ${_LEDGER}, else ledger.db",
    )
    parser.add_argument("--days", type=positive, metavar="N", help="only the last N days")
    parser.add_argument(
        "--slo",
        type=objective,
        default={},
        metavar="ttft=S,tpot=S",
        help="an objective in seconds (ttft, itl, tpot, e2e): tells the goodput",
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write them as a page, with charts"
    )
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    report = read_report(Path(parsed.ledger), parsed.slo, parsed.days, now=time.time())
    if parsed.html is not None:
        from steer_llm_sdk.cli.ledger_page import make_page

        parsed.html.write_text(make_page(report), encoding="utf-8")
    if parsed.json:
        print(json.dumps(report, indent=2))
    elif parsed.html is None:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(lines(report, columns)))
    return 0


def lines(report: Mapping[str, Any], columns: int | None = None) -> Iterator[str]:
    """The figures for eyes.

    Args:
        report: What was read from the ledger.
        columns: How wide the terminal is; None where it is none.
    """
    outcomes = ", ".join(f"{count} {name}" for name, count in report["outcomes"].items())
    yield f"{report['streams']} streams" + (f": {outcomes}" if outcomes else "")
    yield (
        f"{report['prompt_tokens']} tokens in, {report['completion_tokens']} tokens out, "
        f"${report['cost_usd']:.4f}, {report['retries']} retries"
    )
    yield from (f"{count} × {name}" for name, count in report["errors"].items())
    if (goodput := report.get("goodput")) is not None:
        yield _goodput(goodput)
    if report["models"]:
        yield ""
        yield from _table([_HEADS, *map(_of_model, report["models"])], columns)
        yield ""
        yield from _table([_DAY_HEADS, *map(_of_day, report["days"])], columns)


def _goodput(goodput: Mapping[str, Any]) -> str:
    told = ", ".join(f"{name} ≤ {value:g} s" for name, value in goodput["objective"].items())
    share = "" if goodput["share"] is None else f", {goodput['share']:.0%}"
    rate = "" if goodput["per_second"] is None else f", {goodput['per_second']:.2f} streams/s"
    return f"goodput ({told}): {goodput['good']} of {goodput['streams']}{share}{rate}"


_HEADS = ("MODEL", "STREAMS", "FAILED", "TTFT p50", "p99", "TOKENS/S p50", "TOKENS OUT", "COST")
_DAY_HEADS = ("DAY", "STREAMS", "FAILED", "TOKENS IN", "TOKENS OUT", "COST")


def _of_model(model: Mapping[str, Any]) -> tuple[str, ...]:
    ttft, rate = model["ttft_ms"] or {}, model["decode_tokens_per_second"] or {}
    return (
        model["model"],
        str(model["streams"]),
        str(model["failed"]),
        _number(ttft.get("p50"), " ms"),
        _number(ttft.get("p99"), " ms"),
        _number(rate.get("p50"), ""),
        str(model["completion_tokens"]),
        f"${model['cost_usd']:.4f}",
    )


def _of_day(day: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (day[key] for key in ("streams", "failed", "prompt_tokens", "completion_tokens"))
    return (day["day"], *map(str, counts), f"${day['cost_usd']:.4f}")


def _number(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f}{unit}"


def _table(rows: list[tuple[str, ...]], columns: int | None) -> Iterator[str]:
    """Lay out a table; where it is too wide, the first cell of a row has a line of its own."""
    widths = widths_of(rows)
    is_wide = columns is not None and is_wider(rows, columns)
    for first, *others in rows:
        aligned = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        cells = "  ".join(aligned)
        if is_wide:
            yield from (first, f"  {cells}")
        else:
            yield f"{first.ljust(widths[0])}  {cells}"
