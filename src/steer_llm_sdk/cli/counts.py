"""Numbers as arguments of commands."""

from __future__ import annotations

import argparse
import math

OBJECTIVES = ("ttft", "itl", "tpot", "e2e")


def positive(text: str) -> int:
    """Read a number of at least 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, found {text!r}")
    return number


def at_least_0(text: str) -> float:
    """Read a number of at least 0, such as a temperature."""
    if (number := _finite(text)) is None or number < 0:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, found {text!r}")
    return number


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def port(text: str) -> int:
    """Read the number of a port; 0 is any free one."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return number


def objective(text: str) -> dict[str, float]:
    """Read an objective such as ``ttft=1.0,tpot=0.05``."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        seconds = _finite(value)
        if name not in OBJECTIVES or seconds is None or seconds <= 0:
            raise argparse.ArgumentTypeError(
                f"expected {', '.join(f'{each}=SECONDS' for each in OBJECTIVES)}, found {part!r}"
            )
        found[name] = seconds
    return found
