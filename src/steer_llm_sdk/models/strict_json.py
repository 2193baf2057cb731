"""JSON as RFC 8259 has it: Python's own reader also takes ``NaN`` and ``Infinity``."""

from __future__ import annotations

import json
import re
from typing import Any, Never

_SPACE = re.compile(r"[ \t\n\r]*")


def strict_loads(text: str) -> Any:
    """What `json.loads` gives, without ``NaN`` and ``Infinity``.

    Raises:
        ValueError: The text is not JSON (`json.JSONDecodeError` where it knows the place).
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, parse_constant=_reject)


def strict_read(text: str, at: int) -> tuple[Any, int]:
    """Read the JSON value that begins at a place; gives it, and the place of what follows it.

    Raises:
        ValueError: There is none.
        RecursionError: It is nested too deeply.
    """
    value, end = _DECODER.raw_decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]
    return value, _SPACE.match(text, end).end()  # type: ignore[union-attr]


def _reject(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_reject)
