"""Tables in plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_GAP = "  "


def widths_of(rows: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column is."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def is_wider(rows: Sequence[Sequence[str]], columns: int) -> bool:
    """Whether a table does not fit into so many columns of a terminal."""
    widths = widths_of(rows)
    return sum(widths) + len(_GAP) * (len(widths) - 1) > columns


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, all of whose cells begin at the left."""
    widths = widths_of(rows)
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield _GAP.join(cells).rstrip()
