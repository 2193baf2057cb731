"""What the parser remembers between two pieces: the value so far, and where in it the text is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from steer_llm_sdk.structured.parser.events import (
    ROOT,
    JSONEvent,
    JSONPathEvent,
    StringPiece,
)

State: TypeAlias = "Callable[[Machine, str, int], int]"


class Machine:
    """The memory of one parser; `steer_llm_sdk.structured.parser.states` moves it.

    Attributes:
        state: Reads the text from a position on, and gives the position after what it read.
        offset: Where the current piece begins, from the start of the text.
        events: What has been completed and is not delivered yet.
        root: The value so far.
        container: The innermost open container, a dict or a list; None at the top.
        around: The containers around it, from the outermost.
        link: Where the innermost open container is.
        key: The name of the field whose value comes next.
        keys: The names met so far: rows repeat theirs, and one object serves for all.
        is_key: The open string is a name.
        is_placed: A reader had the open string put where it belongs. What has come of it is then
            there, and `parts` has only what came since.
        parts: Of the open leaf, in order; those of a string with escapes resolved.
        reported: How many of them went out as string pieces.
        literal: The value of the open literal.
        rest: What is missing of the open literal; what has come of an open escape.
        number_start: Where the open number began, from the start of the text.
    """

    __slots__ = (
        "around",
        "container",
        "events",
        "has_path_events",
        "has_string_pieces",
        "is_key",
        "is_placed",
        "key",
        "keys",
        "link",
        "literal",
        "max_depth",
        "number_start",
        "offset",
        "parts",
        "reported",
        "rest",
        "root",
        "state",
    )

    def __init__(
        self, state: State, *, max_depth: int, has_path_events: bool, has_string_pieces: bool
    ) -> None:
        self.state = state
        self.max_depth = max_depth
        self.has_path_events = has_path_events
        self.has_string_pieces = has_string_pieces
        self.offset = 0
        self.events: list[JSONEvent] = []
        self.root: Any = None
        self.container: Any = None
        self.around: list[Any] = []
        self.link = ROOT
        self.key = ""
        self.keys: dict[str, str] = {}
        self.is_key = False
        self.is_placed = False
        self.parts: list[str] = []
        self.reported = 0
        self.literal: bool | None = None
        self.rest = ""
        self.number_start = 0

    def place(self, value: Any) -> str | int:
        """Put a value where the next one belongs, and give its key there."""
        is_placed, self.is_placed = self.is_placed, False
        container = self.container
        if type(container) is dict:
            container[self.key] = value
            return self.key
        if container is None:
            self.root = value
            return ""
        if is_placed:
            container[-1] = value
        else:
            container.append(value)
        return len(container) - 1

    def place_open_string(self) -> None:
        """Put what has come of the open string where the string will be."""
        # CPython appends in place where nobody else holds the string (`take_placed` sees to that),
        # so that looking at a long string again and again does not copy it each time.
        so_far = self.take_placed()
        so_far += "".join(self.parts)
        self.parts.clear()
        self.reported = 0
        self.place(so_far)
        self.is_placed = True

    def take_placed(self) -> str:
        """What a reader had put of the open string; it leaves an empty string there."""
        if not self.is_placed:
            return ""
        so_far: str
        container = self.container
        if container is None:
            so_far, self.root = self.root, ""
            return so_far
        slot = self.key if type(container) is dict else -1
        so_far, container[slot] = container[slot], ""
        return so_far

    def report_leaf(self, key: str | int, value: Any) -> None:
        """A leaf is complete: it stands under `key` in the innermost container."""
        if self.has_path_events and self.container is not None:
            self.events.append(JSONPathEvent(self.link, key, value))

    def report_closed(self, value: Any) -> None:
        """A container is complete, and its link is still the innermost."""
        link = self.link
        if link.parent is None:
            return
        self.link = link.parent
        if self.has_path_events:
            self.events.append(JSONPathEvent(link.parent, link.key, value))

    def report_pieces(self) -> None:
        """Report what has come of the open string and is not reported yet."""
        container = self.container
        if self.is_key or container is None or self.reported == len(self.parts):
            return
        text = "".join(self.parts[self.reported :])
        self.reported = len(self.parts)
        is_field = type(container) is dict
        key = self.key if is_field else len(container) - (1 if self.is_placed else 0)
        self.events.append(StringPiece(self.link, key, text))
