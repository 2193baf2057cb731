"""Draws a recording: `timeline` makes a page of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.recording.reading import Answer, Piece, gaps, read_answer
from steer_llm_sdk.recording.recorder import read_recording
from steer_llm_sdk.wire.recording import Exchange

# A gap between two deltas from which on it is shown as one, in seconds.
_STALL = 1.0

_WIDTH = 1000  # of the drawing, in its own units
_ROW = 26


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar of the waterfall: from when to when, of what."""

    begin: float
    end: float
    kind: str
    says: str


def timeline(path: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> str:
    """Draw a recording as a page of HTML that needs nothing else: a waterfall, gaps and rates.

    It holds no words of the prompt or the answer.

    Args:
        path: The recording.
        output: Where the page is written to, if anywhere.

    Returns:
        The page.

    Raises:
        ProtocolError: It is no recording, or one of a newer version.
        OSError: It cannot be read, or the page not be written.
    """
    exchanges = read_recording(path)
    page = _page(Path(path).name, exchanges, [read_answer(each) for each in exchanges])
    if output is not None:
        Path(output).write_text(page, encoding="utf-8")
    return page


def _page(name: str, exchanges: Sequence[Exchange], answers: Sequence[Answer]) -> str:
    pairs = list(zip(exchanges, answers, strict=True))
    sections = "".join(
        _section(number, exchange, answer, _end(exchanges))
        for number, (exchange, answer) in enumerate(pairs, 1)
    )
    legend = "".join(f'<span class="key {_name(kind)}">{kind}</span>' for kind in _KINDS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(name)}</h1><p>{len(pairs)} requests, {_end(exchanges):.3f} s in all</p>"
        f'<p class="legend">{legend}</p>{sections}</body></html>\n'
    )


def _end(exchanges: Sequence[Exchange]) -> float:
    times = [time for each in exchanges for time in _times(each)]
    return max(times, default=0.0)


def _times(exchange: Exchange) -> Iterator[float]:
    yield exchange.at
    yield from (time for time in (exchange.head_at, exchange.end_at) if time is not None)
    yield from (chunk.at for chunk in exchange.chunks[-1:])


_KINDS = (
    "request", "head", "reasoning", "text", "commentary", "refusal", "tool call", "stall", "rest",
)  # fmt: skip


def _section(number: int, exchange: Exchange, answer: Answer, whole: float) -> str:
    bars = list(_bars(exchange, answer))
    ending = _ending(exchange, answer)
    status = f"{exchange.status} " if exchange.status else ""
    asked = f"{number}. {exchange.method} {exchange.url}"
    return (
        f"<section><h2>{escape(asked)}</h2><p>{status}{escape(ending)}</p>"
        f"{_drawing(bars, whole)}{_table(exchange, answer)}</section>"
    )


def _bars(exchange: Exchange, answer: Answer) -> Iterator[_Bar]:
    """The bars of an exchange, in their order in time."""
    end = max(_times(exchange))
    head = exchange.head_at
    yield _bar(exchange.at, end if head is None else head, "request")
    if head is None:
        return
    first = answer.pieces[0].at if answer.pieces else end
    yield _bar(head, first, "head")
    for before, after in pairwise(answer.pieces):
        is_stall = after.at - before.at > _STALL
        yield _bar(before.at, after.at, "stall" if is_stall else before.kind)
    if answer.pieces:
        yield _bar(answer.pieces[-1].at, end, "rest")


def _bar(begin: float, end: float, kind: str) -> _Bar:
    return _Bar(begin, end, kind, f"{kind}: {begin:.3f} to {end:.3f} s ({end - begin:.3f} s)")


def _joined(bars: Sequence[_Bar]) -> Iterator[_Bar]:
    """Neighbours of one kind as one bar."""
    grown: _Bar | None = None
    for bar in bars:
        if grown is not None and grown.kind == bar.kind != "stall":
            grown = _bar(grown.begin, bar.end, bar.kind)
            continue
        if grown is not None:
            yield grown
        grown = bar
    if grown is not None:
        yield grown


def _drawing(bars: Sequence[_Bar], whole: float) -> str:
    scale = _WIDTH / (whole or 1.0)
    joined = list(_joined(bars))
    drawn = "".join(
        f'<rect class="{_name(bar.kind)}" x="{bar.begin * scale:.2f}" y="{row * _ROW + 4}" '
        f'width="{max((bar.end - bar.begin) * scale, 1):.2f}" height="{_ROW - 8}">'
        f"<title>{bar.says}</title></rect>"
        for row, bar in enumerate(joined)
    )
    height = len(joined) * _ROW
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" style="height:{height}px" '
        f'preserveAspectRatio="none" role="img">{drawn}</svg>'
    )


def _table(exchange: Exchange, answer: Answer) -> str:
    rows = "".join(
        f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in _figures(exchange, answer)
    )
    return f"<table>{rows}</table>"


def _figures(exchange: Exchange, answer: Answer) -> Iterator[tuple[str, str]]:
    pieces, between = answer.pieces, sorted(gaps(answer.pieces))
    if exchange.head_at is not None:
        yield "head after", _seconds(exchange.head_at - exchange.at)
    if pieces:
        yield "first delta after", _seconds(pieces[0].at - exchange.at)
    yield "bytes", f"{sum(len(chunk.data) for chunk in exchange.chunks)}"
    yield "chunks of bytes", f"{len(exchange.chunks)}"
    yield "deltas", f"{len(pieces)}"
    if between:
        for share in (50, 99):
            yield f"gap p{share}", _seconds(between[-(-share * len(between) // 100) - 1])
        yield "longest gap", _seconds(between[-1])
        yield "stalls", f"{sum(gap > _STALL for gap in between)}"
        yield "characters a second", _rate(pieces)
    if answer.finish_reason is not None:
        yield "finish reason", escape(answer.finish_reason)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s"


def _rate(pieces: Sequence[Piece]) -> str:
    seconds = pieces[-1].at - pieces[0].at
    characters = sum(piece.characters for piece in pieces[1:])
    return f"{characters / seconds:.0f}" if seconds else "–"


def _ending(exchange: Exchange, answer: Answer) -> str:
    if answer.failure is not None:
        return f"failed: {_name_of(answer.failure)}"
    if exchange.was_left:
        return "left by its consumer"
    if exchange.end_at is None:
        return "cut: the recording ends here"
    return "failed: by its status" if exchange.status >= 300 else "ended"


def _name_of(error: SteerError) -> str:
    return str(error.to_dict()["type"])


def _name(kind: str) -> str:
    return kind.partition(" ")[0]


_STYLE = """
:root{color-scheme:light dark;--ink:#1c2127;--paper:#fff;--line:#d5d9de}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#15181c;--line:#3a4048}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:1040px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1rem;overflow-wrap:anywhere}
section{border-top:1px solid var(--line);padding:.5rem 0 1rem}
svg{width:100%;border-left:1px solid var(--line);border-right:1px solid var(--line)}
table{border-collapse:collapse;margin-top:.5rem}th{text-align:left;font-weight:normal;
padding-right:1.5rem}td{text-align:right;font-variant-numeric:tabular-nums}
.legend .key{display:inline-block;margin:0 .8rem .3rem 0;padding:0 .5rem;border-radius:4px;
color:#fff;background:var(--c)}rect{fill:var(--c)}
.request{--c:#6b7280}.head{--c:#9a6700}.reasoning{--c:#8250df}.text{--c:#1a7f37}
.commentary{--c:#0e7490}.refusal{--c:#a40e26}.tool{--c:#0969da}.stall{--c:#cf222e}.rest{--c:#57606a}
""".replace("\n", "")
