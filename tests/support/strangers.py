"""Fields that nobody knows, put at every level of a provider's frame."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

STRANGE = {"from": "the future"}

_Path = tuple[str | int, ...]


def with_strangers(payload: dict[str, Any], *opaque: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The payload once for each object in it, with a strange field there; and where that is.

    Args:
        payload: A frame's object.
        opaque: Keys whose values are the provider's or the model's own: nothing is put in there.
    """
    for path in _objects(payload, (), opaque):
        changed = copy.deepcopy(payload)
        place: Any = changed
        for step in path:
            place = place[step]
        place["strange"] = STRANGE
        yield ".".join(map(str, path)) or "frame", changed


def _objects(value: Any, path: _Path, opaque: tuple[str, ...]) -> Iterator[_Path]:
    if isinstance(value, dict):
        yield path
        for key, each in value.items():
            if key not in opaque:
                yield from _objects(each, (*path, key), opaque)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _objects(each, (*path, index), opaque)
