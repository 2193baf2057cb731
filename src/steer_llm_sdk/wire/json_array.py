"""One JSON array, streamed: each element is a frame as soon as it is whole.

Strategy. Only the bytes that can end an element matter: brackets, braces and commas outside of
strings. Regular expressions jump from one to the next, so the work is linear in the bytes however
they are cut. What an element is made of is for the decoder's JSON parser to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from steer_llm_sdk.errors import FrameTooLargeError, ProtocolError
from steer_llm_sdk.wire.frame import Frame

_MARK = re.compile(rb'["\[\]{},]')
# Possessive: a string of millions of escapes leaves nothing to backtrack into.
_INSIDE_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_QUOTE, _COMMA, _OPENING, _CLOSING_BRACE = b'"'[0], b","[0], b"[{", b"}"[0]


class JSONArrayFraming:
    """Cuts a body that is one JSON array into its elements.

    An array without its end is a fault, and the element that is cut off no frame. What follows the
    array is given at the end as one frame: a server that fails may write its error there.

    Args:
        max_frame_bytes: The most bytes that one element may take. A security limit: a server that
            never ends its element would otherwise fill the memory.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._waiting = bytearray()  # of the unfinished element, or what follows the array
        self._has_begun = False
        self._depth = 0  # of open brackets and braces; 1 is between elements
        self._in_string = False
        self._skip_one = False  # the last chunk ended in the backslash of an escape

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Take all of `chunk`, and give the elements that it completes.

        Raises:
            FrameTooLargeError: An element exceeds `max_frame_bytes`. Elements before it have been
                yielded.
            ProtocolError: The body is no JSON array.
        """
        elements: list[bytes] = []
        fault = self._scan(chunk, elements)
        return self._frames(elements, len(self._waiting), fault)

    def feed_eof(self) -> Iterator[Frame]:
        """Give what followed the array.

        Raises:
            ProtocolError: The body ended before the array did.
        """
        rest = bytes(self._waiting)
        self._waiting.clear()
        if self._has_begun and not self._depth:
            return self._frames([rest], 0, None)
        fault = ProtocolError("expected the end of a JSON array, found the end of the body")
        return self._frames([], 0, fault)

    def _scan(self, chunk: bytes, elements: list[bytes]) -> ProtocolError | None:
        """Collect the elements that `chunk` ends; keep the bytes of the one that it does not."""
        at = 0
        if not self._has_begun:
            chunk = chunk.lstrip()
            if not chunk:
                return None
            if not chunk.startswith(b"["):
                error = ProtocolError(f"expected a JSON array, found a body with {chunk[:20]!r}")
                error.quote = repr(chunk[:20])
                return error
            self._has_begun = True
            self._depth = at = 1
        taken = at
        while self._depth and (mark := self._next_mark(chunk, at)) is not None:
            at = mark + 1
            if chunk[mark] in _OPENING:
                self._depth += 1
            elif chunk[mark] != _COMMA:
                self._depth -= 1
            if self._depth == 0 and chunk[mark] == _CLOSING_BRACE:
                self._keep(chunk[taken:mark])
                return ProtocolError("expected ']' at the end of the JSON array, found '}'")
            if self._depth <= 1:
                is_inside = self._depth == 1 and chunk[mark] != _COMMA
                elements.append(self._take(chunk[taken : at if is_inside else mark]))
                taken = at
        self._keep(chunk[taken:])
        return None

    def _next_mark(self, chunk: bytes, at: int) -> int | None:
        """The place of the next mark that is not in a string, from `at`; None where none is."""
        while True:
            if self._in_string:
                at = self._after_string(chunk, at)
            found = None if self._in_string else _MARK.search(chunk, at)
            if found is None or chunk[found.start()] != _QUOTE:
                return found and found.start()
            self._in_string = True
            at = found.end()

    def _after_string(self, chunk: bytes, at: int) -> int:
        """The place after the string's closing quote; the chunk's end where the string goes on."""
        if self._skip_one and chunk:
            at += 1
            self._skip_one = False
        inside = _INSIDE_STRING.match(chunk, at)
        end = inside.end() if inside else at
        if end == len(chunk):
            return end
        self._in_string = chunk[end] != _QUOTE
        self._skip_one = self._in_string
        return end + 1

    def _take(self, piece: bytes) -> bytes:
        element = bytes(self._waiting) + piece if self._waiting else piece
        self._waiting.clear()
        return element.lstrip()

    def _keep(self, piece: bytes) -> None:
        if not self._waiting:
            piece = piece.lstrip()
        self._waiting += piece

    def _frames(
        self, elements: list[bytes], waiting_bytes: int, fault: ProtocolError | None
    ) -> Iterator[Frame]:
        for element in elements:
            if len(element) > self._max_frame_bytes:
                raise self._too_large()
            if text := element.rstrip():
                yield Frame(text)
        if waiting_bytes > self._max_frame_bytes:
            raise self._too_large()
        if fault is not None:
            raise fault

    def _too_large(self) -> FrameTooLargeError:
        return FrameTooLargeError(
            f"an element of a JSON array of more than {self._max_frame_bytes} bytes, "
            "which is the limit"
        )
