"""JSON inside of something else: a code fence, or prose before and after.

The first ``{`` (or ``[``, where an array may be meant) that JSON follows begins the value. One that
something else follows is prose: ``{name}``, ``[see below]``. But where a value has begun to have
content and then breaks, or the text ends inside it, it is broken: what stands inside of it or after
it is never taken for the answer. Two values are ambiguous, so they are an error too.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.parser import IncrementalJSONParser, JSONEvent

# Braces of prose before the value. A security limit: each of them costs a look at the rest.
_MAX_CANDIDATES = 1000

_NOTHING: Any = object()


class JSONFinder:
    """Finds one object or array in text that arrives in pieces.

    What it gives while the text arrives holds, with one exception: that a second value follows
    shows only then.

    Args:
        starts: The characters that the value can start with: ``{``, ``[``, or both.
        path_events: Whether `feed` reports fields and array elements.
        string_pieces: Whether `feed` reports the pieces of strings.
    """

    def __init__(
        self, starts: str = "{[", *, path_events: bool = False, string_pieces: bool = False
    ) -> None:
        self._search = re.compile(f"[{re.escape(starts)}]").search
        self._options = {"path_events": path_events, "string_pieces": string_pieces}
        self._parser: IncrementalJSONParser | None = None  # of the candidate
        self._start = 0  # where the candidate is
        self._since: list[str] = []  # the text from there on, as far as it may be needed again
        self._since_start = 0  # where that begins
        self._is_certain = False  # the candidate is the value, or the text has none
        self._offset = 0  # how much of the text lies before what is still to be looked at
        self._candidates = 0
        self._value: Any = _NOTHING
        self._fault: InvalidJSONError | None = None

    def feed(self, text: str) -> list[JSONEvent]:
        """Take a piece of the text; gives what it completes. Never raises: `finish` does."""
        events: list[JSONEvent] = []
        rest = text
        while rest:
            rest = self._advance(rest, events)
        return events

    def snapshot(self) -> Any:
        """The value so far; None until it is certain that there is one."""
        if self._value is not _NOTHING:
            return self._value
        return (self._parser.snapshot() or None) if self._parser else None

    def finish(self) -> Any:
        """The text has ended: give the value.

        Raises:
            InvalidJSONError: There is none, more than one, or a broken one.
        """
        if self._fault is None and self._parser is not None:
            self._end_candidate(self._parser)
        if self._fault is not None:
            raise self._fault
        if self._value is _NOTHING:
            raise InvalidJSONError("expected JSON somewhere in the text, found none")
        return self._value

    def _advance(self, text: str, events: list[JSONEvent]) -> str:
        """Look at `text`, and give what has to be looked at again."""
        if self._fault is not None or self._candidates > _MAX_CANDIDATES:
            return ""
        parser = self._parser
        if parser is None:
            match = self._search(text)
            if match is None:
                self._offset += len(text)
                return ""
            text = text[match.start() :]
            parser = self._begin_candidate(self._offset + match.start())
        self._note(text)
        with contextlib.suppress(InvalidJSONError):  # kept in `parser.fault`
            found = parser.feed(text)
            if not self._has_value:
                events += found
        self._is_certain = self._is_certain or (not self._has_value and bool(parser.snapshot()))
        return self._judge(parser)

    def _note(self, text: str) -> None:
        if self._is_certain:  # what came before is not looked at again
            self._since_start += sum(map(len, self._since))
            self._since.clear()
        self._since.append(text)

    def _begin_candidate(self, start: int) -> IncrementalJSONParser:
        self._candidates += 1
        self._start = self._since_start = start
        self._since = []
        self._is_certain = False
        self._parser = IncrementalJSONParser(**self._options, starts_at=start)
        return self._parser

    def _judge(self, parser: IncrementalJSONParser) -> str:
        """What becomes of the candidate; gives the text that is to be looked at without it."""
        fault = parser.fault
        if fault is None or fault.position is None:
            return ""
        if parser.is_complete:
            self._keep(parser.snapshot())
            return self._drop_candidate(fault.position)
        if parser.snapshot() and not self._has_value:
            self._fault = fault
            return ""
        return self._drop_candidate(self._start + 1)

    def _drop_candidate(self, until: int) -> str:
        rest = "".join(self._since)[until - self._since_start :]
        self._parser = None
        self._since = []
        self._offset = until
        return rest

    def _end_candidate(self, parser: IncrementalJSONParser) -> None:
        self._parser = None
        try:
            self._keep(parser.finish())
        except InvalidJSONError as fault:
            if not self._has_value:
                self._fault = fault

    def _keep(self, value: Any) -> None:
        if value and self._has_value:
            self._fault = InvalidJSONError(
                f"character {self._start}: expected one JSON value in the text, found a second",
                position=self._start,
            )
        elif value or self._value is _NOTHING:
            self._value = value

    @property
    def _has_value(self) -> bool:
        """Whether a value with content was found; an empty one may yet turn out to be prose."""
        return self._value is not _NOTHING and bool(self._value)
