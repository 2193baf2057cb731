"""The order of a stream's events: which kind may follow which.

::

    start ──▶ delta* ──▶ usage? ──▶ complete | error        and nothing after
"""

from __future__ import annotations

from collections.abc import Mapping

_AFTER_USAGE = frozenset({"complete", "error"})
# The types of the events that no delta follows: what is held back comes before them.
AFTER_DELTAS = _AFTER_USAGE | {"usage"}
_ANY_TIME = AFTER_DELTAS | {"delta"}

# The types of events that may follow each type; None stands for the beginning of the stream.
FOLLOWS: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"start"}),
    "start": _ANY_TIME,
    "delta": _ANY_TIME,
    "usage": _AFTER_USAGE,
    "complete": frozenset(),
    "error": frozenset(),
}


class EventOrder:
    """Follows the events of one stream, and refuses one that may not come next.

    Attributes:
        last: The type of the latest event; None before the first.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing may follow."""
        return not FOLLOWS[self.last]

    def allows(self, kind: str) -> bool:
        """Whether an event of this type may come next."""
        return kind in FOLLOWS[self.last]

    def follow(self, kind: str) -> None:
        """Note that an event of this type comes.

        Raises:
            AssertionError: It may not come next.
        """
        if not self.allows(kind):
            expected = " or ".join(sorted(FOLLOWS[self.last])) or "nothing"
            raise AssertionError(f"after {self.last}: expected {expected}, found {kind}")
        self.last = kind
