"""In what two JSON values differ, as lines to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NOTHING = object()


def differences(ours: Any, theirs: Any, path: str = "$") -> list[str]:
    """One line for each place where two values are not the same."""
    return list(_differences(ours, theirs, path))


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in {**ours, **theirs}:
            mine, yours = ours.get(key, _NOTHING), theirs.get(key, _NOTHING)
            yield from _differences(mine, yours, f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (mine, yours) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(mine, yours, f"{path}[{at}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield f"{path}: ours {_shown(ours)}, theirs {_shown(theirs)}"


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else repr(value)
