"""The calls whose blocks are open, by the index that the pieces of their arguments name.

Gateways leave the index of a piece out, or count blocks otherwise than they opened them; passed by,
such a piece would leave a call with no arguments, which is one that can be run
(https://github.com/decolua/9router/issues/2218, https://github.com/PostHog/posthog/pull/72287).
"""

from __future__ import annotations

from typing import Generic, TypeVar

_Call = TypeVar("_Call")


class OpenCalls(Generic[_Call]):
    """The calls of one answer that are open."""

    __slots__ = ("_calls", "_named")

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._named: set[int] = set()  # the indexes of calls of which pieces have come

    def open(self, index: int, call: _Call, *, has_pieces: bool = False) -> None:
        """A call begins in a block; `has_pieces` where it has arguments already."""
        self._calls[index] = call
        self._named.discard(index)
        if has_pieces:
            self._named.add(index)

    def find(self, index: int) -> _Call | None:
        """The call of a piece: that at its index, or the last that is open.

        A call whose pieces name its index has no others.
        """
        if index in self._calls:
            self._named.add(index)
            return self._calls[index]
        last = next(reversed(self._calls), None)
        return None if last is None or last in self._named else self._calls[last]

    def close(self, index: int) -> _Call | None:
        """The call whose block ends; None where it is no call's."""
        return self._calls.pop(index, None)
