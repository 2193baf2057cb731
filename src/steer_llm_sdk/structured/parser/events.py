"""What the parser reports while a value grows, and where in the value it is.

A path is a chain of links from a container up to the root, one link for each open container. An
event so costs the same at any depth; the text of its path is made when it is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

_PLAIN_NAME = re.compile(r"[^\W\d]\w*")

Key: TypeAlias = str | int


class PathLink(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One container: its key within its parent, and the link of that parent."""

    parent: PathLink | None
    key: Key
    depth: int


ROOT = PathLink(None, "", 0)


class _Located(msgspec.Struct, frozen=True, gc=False, eq=False):
    container: PathLink
    key: Key

    @property
    def keys(self) -> tuple[Key, ...]:
        """The way from the root: names of fields, and indices of array elements."""
        keys = [self.key]
        link = self.container
        while link.parent is not None:
            keys.append(link.key)
            link = link.parent
        return tuple(reversed(keys))

    @property
    def path(self) -> str:
        """The way from the root as text: ``$.items[3].name``, ``$["two words"]``."""
        return path_text(self.keys)


class JSONPathEvent(_Located, frozen=True, gc=False, eq=False):
    """A field or an array element is complete.

    Attributes:
        value: Its value: the very object that is part of the whole, so not to be changed.
    """

    value: Any

    def __repr__(self) -> str:
        return f"JSONPathEvent(path={self.path!r}, value={self.value!r})"


class StringPiece(_Located, frozen=True, gc=False, eq=False):
    """A piece of a string that is a field or an array element; its pieces add up to its value.

    Attributes:
        text: What has been added, escapes resolved.
    """

    text: str

    def __repr__(self) -> str:
        return f"StringPiece(path={self.path!r}, text={self.text!r})"


JSONEvent: TypeAlias = JSONPathEvent | StringPiece


def path_text(keys: Iterable[Key]) -> str:
    """A path as text. Names that are not plain words are written as in RFC 9535: ``["a b"]``."""
    return "$" + "".join(map(_segment, keys))


def _segment(key: Key) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _PLAIN_NAME.fullmatch(key) else f"[{json.dumps(key)}]"
