"""Writes `docs/terminal.svg`: a stream of the embedded model on a terminal, as it came.

Run: ``python docs/generate_terminal.py``. The words, their times and the figures are those of a
real answer; the picture plays them when it is loaded, and needs no script.
"""

from __future__ import annotations

import asyncio
from html import escape
from pathlib import Path

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.cli.screen import figures

HERE = Path(__file__).parent
PROMPT = "Write a short poem about the sea"
_COLUMNS, _ROWS = 74, 11
_CHARACTER, _LINE, _MARGIN = 8.4, 20, 18
_TYPING_SECONDS = 0.04
_MOST_TOKENS = 70

_STYLE = """
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
       fill: #e6e6e6; white-space: pre; }
.p { fill: #7fd962; } .d { fill: #8b93a1; }
.w { animation: show 0s forwards; visibility: hidden; }
@keyframes show { to { visibility: visible; } }
@media (prefers-reduced-motion: reduce) { .w { animation: none; visibility: visible; } }
"""

Piece = tuple[str, float, str]  # words, the second at which they appear, and their class


async def record() -> list[Piece]:
    """Ask the embedded model; gives what appears on the terminal."""
    pieces: list[Piece] = [("$ ", 0.0, "p")]
    now = 0.5
    for letter in f'steer "{PROMPT}"':
        pieces.append((letter, now, ""))
        now += _TYPING_SECONDS
    pieces.append(("\n", now, ""))
    async with (
        SteerLLMClient() as client,
        client.stream_events(
            PROMPT, "local:smollm2", temperature=0, max_tokens=_MOST_TOKENS
        ) as stream,
    ):
        begun = 0.0
        async for event in stream:
            if event.type == "start":
                begun = event.timestamp
            if event.type == "delta":
                pieces.append((event.get_text(), now + event.timestamp - begun, ""))
        pieces.append(("\n" + figures(stream.response) + "\n", pieces[-1][1] + 0.1, "d"))
    return pieces


def placed(pieces: list[Piece]) -> list[tuple[int, int, Piece]]:
    """Give each piece its row and column; words that do not fit go to the next line."""
    found: list[tuple[int, int, Piece]] = []
    row = column = 0
    for words, second, style in pieces:
        for at, part in enumerate(words.split("\n")):
            if at:
                row, column = row + 1, 0
            if column + len(part) > _COLUMNS:
                row, column = row + 1, 0
                part = part.lstrip()  # noqa: PLW2901 - a line does not begin with the space
            if part:
                found.append((row, column, (part, second, style)))
                column += len(part)
    return [each for each in found if each[0] < _ROWS]


def draw(pieces: list[tuple[int, int, Piece]]) -> str:
    """Draw the terminal."""
    width, height = _COLUMNS * _CHARACTER + 2 * _MARGIN, _ROWS * _LINE + 2 * _MARGIN
    rows = [
        f'<text x="{_MARGIN + column * _CHARACTER:.1f}" y="{_MARGIN + (row + 1) * _LINE - 5}" '
        f'class="w {style}" style="animation-delay:{second:.2f}s">{escape(words)}</text>'
        for row, column, (words, second, style) in pieces
    ]
    size = f'viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>The command steer streams a poem on a terminal</title>",
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>',
        *rows,
        "</svg>\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    (HERE / "terminal.svg").write_text(draw(placed(asyncio.run(record()))), "utf-8")
