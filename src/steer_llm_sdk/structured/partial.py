"""The value so far of JSON that is streaming, for whoever looks."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Protocol

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.finder import JSONFinder
from steer_llm_sdk.structured.parser import IncrementalJSONParser, JSONEvent

# Pieces that are kept apart before they are joined.
_MOST_PIECES = 256
# A block of fewer characters still grows.
_SMALL_BLOCK = 1024


class GrowingText(Protocol):
    """A text that is still arriving; a `StreamingResponse` is one."""

    def text_since(self, mark: int, /) -> tuple[str, int]:
        """What has come since `mark` was given, and the next mark; all of it for 0."""
        ...


class TextPieces:
    """A text that grows piece by piece. It may be read in another thread.

    The pieces are joined now and then, so that a million of them take the memory of their text.

    Attributes:
        length: How many characters there are.
    """

    __slots__ = ("_blocks", "_length", "_lock", "_pieces", "length")

    def __init__(self) -> None:
        self.length = 0
        self._pieces: list[str] = []  # the latest, not yet in a block
        self._blocks: list[str] = []
        self._length = 0  # characters in the blocks
        self._lock = threading.Lock()

    def append(self, piece: str) -> None:
        """Add a piece at the end."""
        self._pieces.append(piece)
        self.length += len(piece)
        if len(self._pieces) > _MOST_PIECES:
            with self._lock:
                self._join()

    def take(self) -> str:
        """The whole text, which is then empty."""
        text = str(self) if self.length else ""
        with self._lock:
            self._pieces.clear()
            self._blocks.clear()
            self._length = self.length = 0
        return text

    def __str__(self) -> str:
        return self.text_since(0)[0]

    def text_since(self, mark: int) -> tuple[str, int]:
        """What has come since `mark`, a number of characters."""
        with self._lock:
            self._join()
            start, found = self._length, []
            for block in reversed(self._blocks):
                if start <= mark:
                    break
                start -= len(block)
                found.append(block)
            return "".join(reversed(found))[max(0, mark - start) :], self._length

    def _join(self) -> None:
        count = len(self._pieces)  # more may be added meanwhile, behind them
        if count:
            block = "".join(self._pieces[:count])
            del self._pieces[:count]
            self._length += len(block)
            if self._blocks and len(self._blocks[-1]) < _SMALL_BLOCK:  # it is read piece by piece
                block = self._blocks.pop() + block
            self._blocks.append(block)


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

    def __init__(self, text: GrowingText, find: str | None = None) -> None:
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
