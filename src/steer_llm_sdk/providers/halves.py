r"""A character whose two escapes come in two frames.

A gateway that cuts text in UTF-16 writes half of a character at the end of a frame
(``"text": "a\ud83d"``) and the other half at the beginning of the next. Such a frame is no JSON to
a strict parser, so it comes to a decoder's slow road, and is put right there.
"""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_FIRST = re.compile(rb'\\u[dD][89abAB][0-9a-fA-F]{2}"')
_BACKSLASH = ord("\\")
_SECOND = re.compile(rb'"(\\u[dD][c-fC-F][0-9a-fA-F]{2})')


class Halves:
    """Keeps the first half of a character until the second comes."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = b""

    def __bool__(self) -> bool:
        """Whether a half is kept."""
        return bool(self._half)

    def join(self, data: bytes) -> tuple[bytes, str]:
        """Return a frame's data with whole characters, and what stands before its words.

        That is nothing, or what stands for a half that stayed alone.
        """
        half, self._half = self._half, b""
        before = ""
        if half and _SECOND.search(data):
            data = _SECOND.sub(lambda match: b'"' + half + match[1], data, count=1)
        elif half:
            before = REPLACEMENT
        for match in _FIRST.finditer(data):
            if _is_escape(data, match.start()):
                self._half = match[0][:-1]
                data = data[: match.start()] + data[match.end() - 1 :]
                break
        return data, before

    def read_eof(self) -> tuple[str, ...]:
        """Give what stands for a half that was never completed."""
        half, self._half = self._half, b""
        return (REPLACEMENT,) if half else ()


def _is_escape(data: bytes, at: int) -> bool:
    """Whether the backslash at this place begins an escape, rather than being escaped itself."""
    begin = at
    while begin and data[begin - 1] == _BACKSLASH:
        begin -= 1
    return (at - begin) % 2 == 0
