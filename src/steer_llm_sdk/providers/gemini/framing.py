"""How the frames of a Gemini stream are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steer_llm_sdk.wire.frame import Frame, Framing
from steer_llm_sdk.wire.json_array import JSONArrayFraming
from steer_llm_sdk.wire.sse import SSEFraming


class GeminiFraming:
    """Chooses the framing by the body's first byte that is not blank: ``[`` begins an array."""

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._chosen: Framing | None = None

    def feed(self, chunk: bytes) -> Iterable[Frame]:
        """Take all of `chunk`, and give the frames that it completes.

        Raises:
            FrameTooLargeError: A frame exceeds the limit. Frames before it have been yielded.
            ProtocolError: An array ends wrongly.
        """
        if self._chosen is None:
            chunk = chunk.lstrip()
            if not chunk:
                return iter(())
            framing = JSONArrayFraming if chunk.startswith(b"[") else SSEFraming
            self._chosen = framing(self._max_frame_bytes)
        return self._chosen.feed(chunk)

    def feed_eof(self) -> Iterator[Frame]:
        """The body has ended: give what can still be taken for a frame."""
        return iter(()) if self._chosen is None else self._chosen.feed_eof()
