"""Reads JSON that is still streaming: its value so far, when somebody asks for it."""

from __future__ import annotations

import contextlib
from typing import Any

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.structured.finder import JSONFinder
from steer_llm_sdk.structured.parser import IncrementalJSONParser, JSONEvent


class PartialJSON:
    """Reads a growing text as JSON, and only when somebody looks: each piece once.

    Nothing here raises for bad JSON: what it is worth is judged once, at the end of the stream. The
    text may grow in another thread, but only one thread at a time may look.

    Args:
        text: Where the text arrives. It is kept there, not here.
        find: The characters that the value can start with where it may stand inside a code fence
            or prose; None where the text is the value.
    """

    __slots__ = ("_events", "_find", "_has_events", "_mark", "_parser", "_text")

    def __init__(self, text: TextPieces, find: str | None = None) -> None:
        self._text = text
        self._find = find
        self._mark = 0  # how far the text was parsed
        self._has_events = False
        self._events: list[JSONEvent] = []  # found, and not read yet
        self._parser: IncrementalJSONParser | JSONFinder | None = None

    def snapshot(self) -> Any:
        """The value so far; None as long as there is none.

        Strings are shown as far as they have come, numbers and literals once they are complete. It
        is the growing value itself: copy what you want to keep, and change nothing in it.
        """
        self._catch_up()
        return self._parser.snapshot() if self._parser else None

    def read_events(self) -> list[JSONEvent]:
        """What has been completed since the last call, and what strings have grown by.

        The first call gives everything from the beginning of the text on.
        """
        if not self._has_events:  # the text so far is parsed once more, for its events
            self._has_events = True
            self._parser = None
            self._mark = 0
        self._catch_up()
        events, self._events = self._events, []
        return events

    def _catch_up(self) -> None:
        text, self._mark = self._text.text_since(self._mark)
        if not text:
            return
        if self._parser is None:
            self._parser = self._new_parser()
        with contextlib.suppress(InvalidJSONError):
            self._events += self._parser.feed(text)

    def _new_parser(self) -> IncrementalJSONParser | JSONFinder:
        wanted = self._has_events
        if self._find is None:
            return IncrementalJSONParser(path_events=wanted, string_pieces=wanted)
        return JSONFinder(self._find, path_events=wanted, string_pieces=wanted)
