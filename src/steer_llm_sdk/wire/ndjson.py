"""Newline-delimited JSON: one JSON text a line.

https://github.com/ndjson/ndjson-spec: lines end with LF, or with CR LF; blank lines are skipped.
JSON has no raw line end inside a string, so the framing never looks into a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from steer_llm_sdk.errors import FrameTooLargeError
from steer_llm_sdk.wire.frame import Frame


class NDJSONFraming:
    """Cuts a body of JSON lines into frames; the work is linear in the bytes however they are cut.

    Args:
        max_frame_bytes: The most bytes that one line may take, its LF not counted. A security
            limit: a server that never ends its line would otherwise fill the memory.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._waiting = bytearray()  # of the unfinished line

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Take all of `chunk`, and give the lines that it completes.

        Raises:
            FrameTooLargeError: A line exceeds `max_frame_bytes`. Lines before it have been yielded.
        """
        return self._frames(self._split(chunk), len(self._waiting))

    def feed_eof(self) -> Iterator[Frame]:
        """Give the last line when its line end is missing."""
        rest = bytes(self._waiting)
        self._waiting.clear()
        return self._frames([rest], 0)

    def _split(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` ends; what follows the last of them waits."""
        waiting = self._waiting
        if waiting:
            waiting += chunk
            if b"\n" not in chunk:
                return []
            chunk = bytes(waiting)
            waiting.clear()
        lines = chunk.split(b"\n")
        waiting += lines.pop()
        return lines

    def _frames(self, lines: list[bytes], waiting_bytes: int) -> Iterator[Frame]:
        for line in lines:
            if len(line) > self._max_frame_bytes:
                raise self._too_large()
            if text := line.strip():
                yield Frame(text)
        if waiting_bytes > self._max_frame_bytes:
            raise self._too_large()

    def _too_large(self) -> FrameTooLargeError:
        return FrameTooLargeError(
            f"a line of JSON of more than {self._max_frame_bytes} bytes, which is the limit"
        )
