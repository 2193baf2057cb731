"""The leaves of JSON: numbers, escapes, literals, white space, as RFC 8259 has them.

https://www.rfc-editor.org/rfc/rfc8259
"""

from __future__ import annotations

import re

WHITE_SPACE = " \t\n\r"
skip_white_space = re.compile(r"[ \t\n\r]*").match

# What may stand in a string as it is: control characters are not among it.
plain_run = re.compile(r'[^"\\\x00-\x1f]*').match

LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}

NUMBER_STARTS = "-0123456789"
number_run = re.compile(r"[-+0-9.eE]*").match
_number = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)").fullmatch
# The longest start of a text that some number starts with.
_number_prefix = re.compile(
    r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:(?<=[0-9])[eE][-+]?[0-9]*)?)?"
).match

SIMPLE_ESCAPES = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_unicode_escape = re.compile(r"\\u([0-9a-fA-F]{4})").match
_unicode_escape_prefix = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,4})?)?").match

# A high surrogate waits for its low one: two escapes of six characters.
LONGEST_ESCAPE = 12


class LeafError(Exception):
    """A leaf is not as it must be.

    Args:
        offset: Where, in characters from the start of the leaf's text.
        expected: What would have been right there.
    """

    def __init__(self, offset: int, expected: str) -> None:
        super().__init__(expected)
        self.offset = offset
        self.expected = expected


def read_number(token: str) -> int | float:
    """The number that `token` writes: an int without fraction and exponent, else a float.

    Raises:
        LeafError: It is no number, or has more digits than Python reads.
    """
    match = _number(token)
    if match is None:
        raise LeafError(_number_fault(token), "a number as JSON writes it (0, -12, 1.5e+3)")
    if match["real"]:
        return float(token)
    try:
        return int(token)
    except ValueError:
        pass
    # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
    raise LeafError(0, f"an integer that Python can read (this one has {len(token)} characters)")


def _number_fault(token: str) -> int:
    prefix = _number_prefix(token)
    return prefix.end() if prefix else 0


def read_escape(text: str) -> tuple[str, int] | None:
    """Read the escape that `text` starts with.

    Args:
        text: Starts with a backslash. `LONGEST_ESCAPE` characters of it are enough.

    Returns:
        What it stands for, and its length; None when more of the text is needed to know. As in
        `json.loads`, a surrogate that has no partner stands for itself.

    Raises:
        LeafError: There is no such escape.
    """
    simple = SIMPLE_ESCAPES.get(text[1:2])
    if simple is not None:
        return simple, 2
    match = _unicode_escape(text)
    if match is None:
        _check_unfinished_escape(text)
        return None
    code = int(match[1], 16)
    if not 0xD800 <= code <= 0xDBFF:
        return chr(code), 6
    return _read_surrogate(code, text[6:LONGEST_ESCAPE])


def _check_unfinished_escape(text: str) -> None:
    prefix = _unicode_escape_prefix(text)
    end = prefix.end() if prefix else 0
    if end == len(text):
        return
    expected = "a hexadecimal digit" if end > 1 else r'one of "\/bfnrtu after a backslash'
    raise LeafError(end, expected)


def _read_surrogate(high: int, after: str) -> tuple[str, int] | None:
    match = _unicode_escape(after)
    if match is None:
        prefix = _unicode_escape_prefix(after)
        may_follow = prefix is not None and prefix.end() == len(after)
        return None if may_follow else (chr(high), 6)
    low = int(match[1], 16)
    if 0xDC00 <= low <= 0xDFFF:
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 12
    return chr(high), 6
