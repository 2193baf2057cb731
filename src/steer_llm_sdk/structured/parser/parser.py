"""The parser: text in pieces goes in, events and the value so far come out.

Strategy. The parser is always in one state, a function that reads what it can of the piece from a
position on and gives the position after it; `feed` calls the state until the piece is used up. No
state looks back, and runs (the inside of a string, digits, white space) are skipped by compiled
expressions, so the work is linear in the text however it is cut. A leaf that is cut waits as a list
of its pieces, and is joined when it ends.

The value so far is the value itself, growing: containers enter their parents when they open. Only
an unfinished string is not in it, until somebody looks or its parts become many. So what nobody
reads costs nothing, and reading costs no more than adding to the one string that is open what is
new of it.
"""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.parser.events import JSONEvent
from steer_llm_sdk.structured.parser.machine import Machine
from steer_llm_sdk.structured.parser.states import (
    END_OF_TEXT,
    EXPECTED,
    after_root,
    before_root,
    end_number,
    fault,
    in_escape,
    in_number,
    in_string,
)

# Security limits. Deeper values than 500 come near to what breaks `json.loads`, `repr` and
# `copy.deepcopy` at Python's usual recursion limit; 64 Mi characters are far beyond any answer.
DEFAULT_MAX_DEPTH = 500
DEFAULT_MAX_CHARS = 64 * 1024 * 1024
# Parts of the open string that are kept apart: many small ones take far more than their text.
_MOST_PARTS = 256


class IncrementalJSONParser:
    """Reads one JSON value out of text that arrives in pieces.

    It accepts what `json.loads` accepts and gives equal values, with these differences: ``NaN`` and
    ``Infinity`` are rejected, as RFC 8259 has it, and so is what exceeds a limit.

    Args:
        max_depth: How many containers may be open at once. A security limit.
        max_chars: How long the text may be, in characters. A security limit.
        path_events: Whether `feed` reports each field and each array element once it is complete.
        string_pieces: Whether `feed` also reports what each piece of the text adds to a string
            that is a field or an array element.
        starts_at: Where the text begins within a larger one: positions are counted from there.
    """

    __slots__ = ("_fault", "_machine", "_max_chars")

    def __init__(
        self,
        *,
        max_depth: int = DEFAULT_MAX_DEPTH,
        max_chars: int = DEFAULT_MAX_CHARS,
        path_events: bool = True,
        string_pieces: bool = False,
        starts_at: int = 0,
    ) -> None:
        self._max_chars = starts_at + max_chars
        self._fault: InvalidJSONError | None = None
        self._machine = Machine(
            before_root,
            max_depth=max_depth,
            has_path_events=path_events,
            has_string_pieces=string_pieces,
        )
        self._machine.offset = starts_at

    @property
    def is_complete(self) -> bool:
        """Whether the value is whole. A number at the top is so only after `finish`."""
        return self._machine.state is after_root

    @property
    def fault(self) -> InvalidJSONError | None:
        """What is wrong with the text so far, if anything."""
        return self._fault

    def feed(self, text: str) -> list[JSONEvent]:
        """Take a piece of the text.

        Returns:
            What the piece completes, in document order, children before their parents. The value
            as a whole has no event: `finish` gives it.

        Raises:
            InvalidJSONError: The text is no JSON, or exceeds a limit. It carries the position.
                Events before the fault are not lost: where the same piece has some, they are
                returned, and the next call of `feed` or `finish` raises.
        """
        if self._fault is not None:
            raise self._fault
        machine = self._machine
        events: list[JSONEvent] = []
        machine.events = events
        try:
            self._read(machine, text)
        except InvalidJSONError as found:
            self._fault = found
            if not events:
                raise
        return events

    def finish(self) -> Any:
        """The text has ended: give the whole value.

        Raises:
            InvalidJSONError: The value is not whole, or a fault was found before.
        """
        if self._fault is None:
            try:
                self._read_end(self._machine)
            except InvalidJSONError as found:
                self._fault = found
        if self._fault is not None:
            raise self._fault
        return self._machine.root

    def snapshot(self) -> Any:
        """The value so far; None as long as there is none.

        Containers appear when they open, strings grow, numbers and literals appear once they are
        complete. Nothing that has appeared changes its type or goes away again, except that a
        repeated key replaces its value. After a fault it stays what it was.

        It is the growing value itself, no copy: a later call gives the same object with more in it.
        Copy what is to be kept as it is, and change nothing in it.
        """
        machine = self._machine
        if machine.state in _IN_STRING and not machine.is_key:
            machine.place_open_string()
        return machine.root

    def _read(self, machine: Machine, text: str) -> None:
        end = len(text)
        if machine.offset + end > self._max_chars:
            raise InvalidJSONError(
                f"expected at most {self._max_chars} characters, found more",
                position=self._max_chars,
            )
        at = 0
        while at < end:
            at = machine.state(machine, text, at)
        if machine.has_string_pieces and machine.state in _IN_STRING:
            machine.report_pieces()
        if len(machine.parts) > _MOST_PARTS and machine.state in _IN_STRING and not machine.is_key:
            machine.place_open_string()
        machine.offset += end

    @staticmethod
    def _read_end(machine: Machine) -> None:
        if machine.state is in_number:
            end_number(machine, END_OF_TEXT)
        if machine.state is not after_root:
            raise fault(machine.offset, EXPECTED[machine.state], END_OF_TEXT)


_IN_STRING = frozenset({in_string, in_escape})
