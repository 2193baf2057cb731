"""JSON as RFC 8259 has it: Python's own reader also takes ``NaN`` and ``Infinity``."""

from __future__ import annotations

import json
from typing import Any, Never


def strict_loads(text: str) -> Any:
    """What `json.loads` gives, without ``NaN`` and ``Infinity``.

    Raises:
        ValueError: The text is not JSON (`json.JSONDecodeError` where it knows the place).
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, parse_constant=_reject)


def _reject(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")
