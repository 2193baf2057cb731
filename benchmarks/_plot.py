"""The plots of the documentation: CPU per chunk, on a logarithmic scale, as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import escape

_ROW, _BAR, _LEFT, _WIDTH, _HEAD = 26, 16, 330, 900, 64
_COLOURS = {"floor": "#8a8f98", "ours": "#1a7f5a", "peer": "#b5651d"}
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}"
    ".h{font-weight:600;font-size:15px}.s{fill:#57606a;font-size:12px}"
    ".g{stroke:#d0d7de;stroke-width:1}"
)
Row = tuple[str, float, str]

_BACK = '<rect width="100%" height="100%" fill="#ffffff"/>'


def bars(found: dict[str, Any], name_of: Callable[[str], str]) -> str:
    """Two panels: a burst, and fifty paced streams."""
    panels = (
        ("CPU per chunk in a burst, µs", _rows(found["burst"], _SHOWN, name_of)),
        (
            "CPU per chunk, 50 streams with a chunk every 20 ms, µs",
            _rows(found["paced"], _SHOWN, name_of),
        ),
    )
    return draw(panels, "CPU per streamed chunk: the floor, this library, and others")


def draw(panels: Sequence[tuple[str, list[Row]]], label: str) -> str:
    """Panels of bars, one below the other.

    Args:
        panels: Each with its title, and its rows: a name, a value, and whose it is (``floor``,
            ``ours`` or ``peer``).
        label: What the picture shows, for those who cannot see it.
    """
    body, top = [], 0
    for title, rows in panels:
        body.append(_panel(title, rows, top))
        top += _HEAD + _ROW * len(rows) + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" '
        f'width="{_WIDTH}" height="{top}" role="img" '
        f'aria-label="{escape(label)}">'
    )
    return f"{head}<style>{_STYLE}</style>{_BACK}{''.join(body)}</svg>\n"


_SHOWN = (
    "floor/openai",
    "ours/callbacks",
    "ours/processor",
    "ours/iterator",
    "floor/anthropic",
    "ours/anthropic",
    "anthropic",
    "anthropic-events",
    "openai",
    "any-llm",
    "langchain",
    "openai-events",
    "pydantic-ai",
    "litellm",
)


def _rows(
    section: dict[str, Any], shown: tuple[str, ...], name_of: Callable[[str], str]
) -> list[Row]:
    rows = []
    for label in shown:
        if label not in section:
            continue
        kind = label.partition("/")[0]
        kind = kind if kind in _COLOURS else "peer"
        name = name_of(label).replace("`", "").replace("… behind", "ours, behind")
        name = f"ours, {name}" if kind == "ours" and not name.startswith("ours") else name
        rows.append((name, float(section[label]["cpu_us"]), kind))
    return sorted(rows, key=lambda row: row[1])


def _panel(title: str, rows: list[Row], top: int) -> str:
    most = max(value for _, value, _ in rows)
    decades = range(math.ceil(math.log10(most)) + 1)
    span = _WIDTH - _LEFT - 70
    scale = span / decades[-1]

    def at(value: float) -> float:
        return _LEFT + max(0.0, math.log10(value)) * scale

    bottom = top + _HEAD + _ROW * len(rows)
    parts = [f'<text class="h" x="16" y="{top + 28}">{escape(title)}</text>']
    for decade in decades:
        x = at(10**decade)
        parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 54}" y2="{bottom}"/>')
        parts.append(
            f'<text class="s" x="{x:.1f}" y="{top + 48}" text-anchor="middle">{10**decade:,}</text>'
        )
    for number, (name, value, kind) in enumerate(rows):
        y = top + _HEAD + _ROW * number
        width = max(2.0, at(value) - _LEFT)
        text = f"{value:.1f}" if value < 100 else f"{value:.0f}"
        parts.append(
            f'<text x="{_LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" '
            f'fill="{_COLOURS[kind]}"/>'
            f'<text class="s" x="{_LEFT + width + 6:.1f}" y="{y + 13}">{text}</text>'
        )
    return "".join(parts)
