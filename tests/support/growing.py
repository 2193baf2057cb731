"""A value that grows as JSON streams."""

from __future__ import annotations

from typing import Any


def is_grown(before: Any, after: Any) -> bool:
    """Whether nothing of `before` has gone or changed in `after`."""
    if isinstance(before, dict):
        return all(key in after and is_grown(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return len(before) <= len(after) and all(map(is_grown, before, after))
    return after.startswith(before) if isinstance(before, str) else bool(before == after)
