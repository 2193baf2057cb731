"""A ledger's report as a page of HTML that needs nothing else: charts without a script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from steer_llm_sdk.cli.ledger import RATE_ENDS, TTFT_ENDS

_HEIGHT = 120  # of a chart, in pixels


def make_page(report: Mapping[str, Any]) -> str:
    """Draw a report."""
    body = "".join((
        f"<h1>Streams</h1><p>{escape(_span(report))}</p>",
        _tiles(report),
        _by_day(report["days"]),
        _models(report["models"]),
        "".join(_distributions(each) for each in report["models"]),
        _two_columns("Outcomes", report["outcomes"]) + _two_columns("Errors", report["errors"]),
    ))  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Streams: {escape(str(report['ledger']))}</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _span(report: Mapping[str, Any]) -> str:
    if not report["streams"]:
        return f"{report['ledger']} has no streams of this time"
    begin, end = (
        datetime.fromtimestamp(report[key], UTC).strftime("%Y-%m-%d %H:%M")
        for key in ("from", "to")
    )
    return f"{report['ledger']}, {begin} to {end} UTC"


def _tiles(report: Mapping[str, Any]) -> str:
    told = [
        ("streams", f"{report['streams']}"),
        ("completed", f"{report['outcomes'].get('completed', 0)}"),
        ("failed", f"{report['outcomes'].get('failed', 0)}"),
        ("cancelled", f"{report['outcomes'].get('cancelled', 0)}"),
        ("retries", f"{report['retries']}"),
        ("tokens in", f"{report['prompt_tokens']}"),
        ("tokens out", f"{report['completion_tokens']}"),
        ("cost", f"${report['cost_usd']:.4f}"),
    ]
    if (goodput := report.get("goodput")) is not None:
        told.append(("good", f"{goodput['good']} of {goodput['streams']}"))
    tiles = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in told)
    return f'<div class="tiles">{tiles}</div>'


def _by_day(days: Sequence[Mapping[str, Any]]) -> str:
    names = [each["day"] for each in days]
    charts = (
        ("Streams by day", [each["streams"] for each in days], "{:.0f}"),
        (
            "Tokens by day",
            [each["prompt_tokens"] + each["completion_tokens"] for each in days],
            "{:.0f}",
        ),
        ("Cost by day", [each["cost_usd"] for each in days], "${:.4f}"),
    )
    return "".join(_chart(title, names, values, shown) for title, values, shown in charts)


def _distributions(model: Mapping[str, Any]) -> str:
    name = model["model"]
    ttft = [*(f"≤ {end} ms" for end in TTFT_ENDS), "more"]
    rates = [*(f"≤ {end}/s" for end in RATE_ENDS), "more"]
    return _chart(f"{name}: time to first token", ttft, model["ttft_distribution"], "{:.0f}") + (
        _chart(f"{name}: tokens a second", rates, model["rate_distribution"], "{:.0f}")
    )


def _chart(title: str, names: Iterable[str], values: Sequence[float], shown: str) -> str:
    """A column for each name, with its value in words too."""
    most = max(values, default=0) or 1
    columns = "".join(
        f'<li><span class="value">{shown.format(value) if value else ""}</span>'
        f'<i style="height:{value / most * _HEIGHT:.1f}px"></i>'
        f'<span class="name">{escape(name)}</span></li>'
        for name, value in zip(names, values, strict=True)
    )
    return f"<section><h2>{escape(title)}</h2><ol>{columns}</ol></section>"


def _models(models: Sequence[Mapping[str, Any]]) -> str:
    heads = (
        "model", "streams", "completed", "failed", "tokens in", "tokens out", "cost",
        "TTFT p50", "TTFT p99", "tokens/s p50",
    )  # fmt: skip
    rows = "".join(_row("td", _model_cells(each)) for each in models)
    table = f"<table>{_row('th', heads)}{rows}</table>"
    return f'<section><h2>Models</h2><div class="wide">{table}</div></section>'


_COUNTS = ("streams", "completed", "failed", "prompt_tokens", "completion_tokens")


def _model_cells(model: Mapping[str, Any]) -> list[str]:
    return [
        model["model"],
        *(str(model[key]) for key in _COUNTS),
        f"${model['cost_usd']:.4f}",
        _at(model["ttft_ms"], "p50", " ms"),
        _at(model["ttft_ms"], "p99", " ms"),
        _at(model["decode_tokens_per_second"], "p50", ""),
    ]


def _at(summary: Mapping[str, float] | None, key: str, unit: str) -> str:
    return "–" if summary is None else f"{summary[key]:.1f}{unit}"


def _two_columns(title: str, counts: Mapping[str, int]) -> str:
    rows = "".join(_row("td", (name, str(count))) for name, count in counts.items())
    return f"<section><h2>{title}</h2><table>{rows}</table></section>" if counts else ""


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


_STYLE = """
:root{color-scheme:light dark;--ink:#1c2127;--soft:#5b6570;--paper:#fff;--line:#d5d9de;
--bar:#2f6fde}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa4af;--paper:#15181c;
--line:#3a4048;--bar:#6ea0f5}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:1040px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1rem;overflow-wrap:anywhere}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem}.tiles div{border:1px solid var(--line);
border-radius:8px;padding:.5rem .9rem}.tiles b{display:block;font-size:1.2rem}
.tiles span,.name{color:var(--soft)}
ol{display:flex;align-items:flex-end;gap:4px;list-style:none;padding:0;margin:0;overflow-x:auto}
li{flex:1 0 3.5rem;display:flex;flex-direction:column;align-items:center;justify-content:flex-end;
font-size:.72rem;white-space:nowrap}li i{width:70%;background:var(--bar);border-radius:3px 3px 0 0}
.wide{overflow-x:auto}table{border-collapse:collapse}
th,td{text-align:right;padding:.15rem .9rem .15rem 0;font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:normal}th:first-child,td:first-child{text-align:left}
""".replace("\n", "")
