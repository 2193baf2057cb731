"""What all framings yield, and what a framing is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec


class Frame(msgspec.Struct, gc=False):
    """One whole message of the wire: its payload, and what the framing said about it."""

    data: bytes
    event: str = ""


class Framing(Protocol):
    """Cuts a body into frames, however the network cut the body."""

    def feed(self, chunk: bytes) -> Iterable[Frame]:
        """Take all of `chunk` at once, and give the frames that it completes, one by one.

        Where it is exactly one frame, a framing may give a tuple instead of an iterator.

        Raises:
            FrameTooLargeError: A frame exceeds the limit. Frames before it have been yielded.
        """
        ...

    def feed_eof(self) -> Iterator[Frame]:
        """The body has ended: give what can still be taken for a frame."""
        ...
