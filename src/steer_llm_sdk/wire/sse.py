"""Server-sent events, as the WHATWG has them.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

Strategy. Lines end with CR LF, LF or CR, so each chunk is first brought to LF alone; after that an
event ends with an empty line, and whole events are split off in bulk. Nearly all of them are one
``data: …`` line, which is recognised without looking at its bytes; the others are read field by
field. Bytes of an unfinished event wait in a list and are joined once, when its end comes: the work
is linear in the bytes however they are cut.

One departure from the specification: at the end of the body it would throw away an event whose
empty line is missing. Servers do leave it out, and the last event carries the usage or the finish
reason, so it is kept when its last line is whole; a provider's decoder then judges its payload.
"""

from __future__ import annotations

from collections.abc import Iterator

from steer_llm_sdk.errors import FrameTooLargeError
from steer_llm_sdk.wire.frame import Frame

_BOM = b"\xef\xbb\xbf"


class SSEFraming:
    """Cuts a body of server-sent events into frames.

    An event without data is no frame, and ``id`` and ``retry`` mean nothing here: no stream of a
    model is taken up by them. Comments count for nothing here; the bytes they are made of
    keep the idle limit from running out.

    Args:
        max_frame_bytes: The most bytes that one event may take before it ends. A security limit: a
            server that never ends its event would otherwise fill the memory.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._waiting: list[bytes] = []  # of the unfinished event, with LF line ends
        self._waiting_bytes = 0
        self._skip_lf = False  # the last chunk ended in CR: an LF that follows belongs to it
        self._at_start = True  # a BOM may still come

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Take all of `chunk`, and give the frames that it completes.

        Raises:
            FrameTooLargeError: An event exceeds `max_frame_bytes`.
        """
        if self._at_start:
            chunk = self._strip_bom(chunk)
        if b"\r" in chunk or self._skip_lf:
            chunk = self._with_lf_only(chunk)
        if not chunk:
            return iter(())
        return self._frames(self._split(chunk))

    def feed_eof(self) -> Iterator[Frame]:
        """Give the last event when only its empty line is missing."""
        rest = b"".join(self._waiting)
        self._waiting = []
        self._waiting_bytes = 0
        return self._frames([rest] if rest else [])

    def _strip_bom(self, chunk: bytes) -> bytes:
        head = b"".join(self._waiting) + chunk
        self._waiting = []
        self._waiting_bytes = 0
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._waiting = [head] if head else []
            self._waiting_bytes = len(head)
            return b""
        self._at_start = False
        return head.removeprefix(_BOM)

    def _with_lf_only(self, chunk: bytes) -> bytes:
        if self._skip_lf and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip_lf = False
        if chunk.endswith(b"\r"):
            self._skip_lf = True
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _split(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` ends; what follows the last of them waits."""
        waiting = self._waiting
        if waiting:
            ends_here = b"\n\n" in chunk or (chunk[0] == 10 and waiting[-1][-1] == 10)
            if not ends_here:
                waiting.append(chunk)
                self._waiting_bytes += len(chunk)
                return []
            waiting.append(chunk)
            chunk = b"".join(waiting)
            self._waiting = []
            self._waiting_bytes = 0
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        if rest:
            self._waiting = [rest]
            self._waiting_bytes = len(rest)
        return blocks

    def _frames(self, blocks: list[bytes]) -> Iterator[Frame]:
        limit = self._max_frame_bytes
        for block in blocks:
            if len(block) > limit:
                raise self._too_large(len(block))
            if block.startswith(b"data: ") and b"\n" not in block:
                yield Frame(block[6:])
            elif (frame := self._read_fields(block)) is not None:
                yield frame
        if self._waiting_bytes > limit:
            raise self._too_large(self._waiting_bytes)

    @staticmethod
    def _read_fields(block: bytes) -> Frame | None:
        data: list[bytes] = []
        event = ""
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value.decode("utf-8", "replace")
        payload = b"\n".join(data)
        return Frame(payload, event) if payload else None

    def _too_large(self, size: int) -> FrameTooLargeError:
        return FrameTooLargeError(
            f"a server-sent event of more than {size} bytes; the limit is {self._max_frame_bytes}"
        )
