"""Server-sent events, as the WHATWG has them.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

Strategy. Lines end with CR LF, LF or CR, so each chunk is first brought to LF alone; after that an
event ends with an empty line, and whole events are split off in bulk. Nearly all of them are one
``data: …`` line, or that and an ``event: …`` line before it; these are recognised without looking
at each line, and the others are read field by field. Bytes of an unfinished event wait in one
growing buffer: the work is linear in the bytes however they are cut.

Seven departures from the specification, each because servers of models need it:

* At the end of the body it would throw away an event whose empty line is missing. Servers do leave
  it out, and the last event carries the usage or the finish reason, so it is given; whether its
  payload is whole is for the provider's decoder to say.
* An event whose data is blank is no frame: proxies send such events to keep a connection alive.
* Some servers that fail in the middle of a stream write their JSON error bare, without ``data:``.
  No field's name begins with a brace or a bracket, so such a block is given as a payload.
* So do lines that begin like that behind an event's data: its empty line was not written before
  the error was (https://github.com/theopenco/llmgateway/pull/3616). They go on as its data; that
  there are two payloads is for the provider's decoder to see.
* White space around a field's name means nothing, nor does a BOM or NUL: gateways indent, and join
  bodies of which each begins with one.
* Where each line of an event's data is a JSON object of its own, each is a frame: some servers end
  their events with one line end. Joined, they would be no JSON.
* An ``error: …`` line without data is an event of that name, with what follows the colon for its
  data: so llama.cpp's server has long written errors (https://github.com/ggml-org/llama.cpp/issues/14566).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steer_llm_sdk.errors import FrameTooLargeError
from steer_llm_sdk.wire.frame import Frame

_BOM = b"\xef\xbb\xbf"
_LF, _CR = 10, 13
_SPACE = 32
_BLANKS = b" \t\0"


class SSEFraming:
    """Cuts a body of server-sent events into frames.

    ``id`` and ``retry`` mean nothing here: no stream of a model is taken up by them. Comments count
    for nothing here; the bytes they are made of keep the idle limit from running out.

    Args:
        max_frame_bytes: The most bytes that one event may take, its line ends between fields
            counted as one. A security limit: a server that never ends its event would otherwise
            fill the memory.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._waiting = bytearray()  # of the unfinished event, with LF line ends
        self._skip_lf = False  # the last chunk ended in CR: an LF that follows belongs to it
        self._at_start = True  # a BOM may still come
        self._is_between = False  # an event has just ended: nothing waits for what comes

    def feed(self, chunk: bytes) -> Iterable[Frame]:
        """Take all of `chunk`, and give the frames that it completes; one alone in a tuple.

        Raises:
            FrameTooLargeError: An event exceeds `max_frame_bytes`. Frames before it have been
                yielded.
        """
        if self._is_between:
            # One event alone, of one line or two: so they come while a model writes.
            begin = chunk.find(_LF) + 1 if chunk[:7] == b"event: " else 0
            last = len(chunk) - 2
            if (
                chunk[begin : begin + 6] == b"data: "
                and chunk.find(_LF, begin) == last <= self._max_frame_bytes
                and chunk[-1] == _LF
                and chunk[-3] > _SPACE  # else the data may be blank
                and _CR not in chunk
            ):
                event = chunk[7 : begin - 1].decode("utf-8", "replace") if begin else ""
                return (Frame(chunk[begin + 6 : last], event),)
        if self._at_start:
            chunk = self._without_bom(chunk)
        if _CR in chunk or self._skip_lf:
            chunk = self._with_lf_only(chunk)
        if not chunk:
            return ()
        blocks = self._split(chunk)
        self._is_between = not (self._waiting or self._skip_lf)
        return self._frames(blocks, len(self._waiting))

    def feed_eof(self) -> Iterator[Frame]:
        """Give the last event when its empty line is missing.

        Raises:
            FrameTooLargeError: The event exceeds `max_frame_bytes`.
        """
        rest = bytes(self._waiting).removesuffix(b"\n")
        self._waiting.clear()
        return self._frames([rest], 0)

    def _without_bom(self, chunk: bytes) -> bytes:
        head = bytes(self._waiting) + chunk
        self._waiting.clear()
        if _BOM.startswith(head):
            self._waiting += head
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
            # Only the new bytes are searched, and the place where old and new meet.
            ends_here = b"\n\n" in chunk or (chunk[0] == _LF and waiting[-1] == _LF)
            waiting += chunk
            if not ends_here:
                return []
            chunk = bytes(waiting)
            waiting.clear()
        blocks = _split_at_empty_lines(chunk)
        waiting += blocks.pop()
        return blocks

    def _frames(self, blocks: list[bytes], waiting_bytes: int) -> Iterator[Frame]:
        limit = self._max_frame_bytes
        for block in blocks:
            if len(block) > limit:
                raise self._too_large()
            # A block that ends in white space may have blank data: the longer road will tell.
            # (A slice compares faster than `startswith`, a number is found faster than a string.)
            if block[:6] == b"data: " and _LF not in block and block[-1] > _SPACE:
                yield Frame(block[6:])
            elif block[:7] == b"event: ":
                name, _, payload = block[7:].partition(b"\ndata: ")
                if payload and _LF not in payload and payload[-1] > _SPACE and _LF not in name:
                    yield Frame(payload, name.decode("utf-8", "replace"))
                else:
                    yield from _read_block(block)
            else:
                yield from _read_block(block)
        # The line end that waits with an event's last line is not part of the event.
        if waiting_bytes > limit + 1:
            raise self._too_large()

    def _too_large(self) -> FrameTooLargeError:
        return FrameTooLargeError(
            f"a server-sent event of more than {self._max_frame_bytes} bytes, which is the limit"
        )


def _split_at_empty_lines(text: bytes) -> list[bytes]:
    r"""The same as ``text.split(b"\n\n")``."""
    # One byte is looked for five times as fast as two. Where events have one line each, as most
    # formats have them, every other line is empty.
    if text[:6] == b"data: ":
        lines = text.split(b"\n")
        if len(lines) % 2 and not any(lines[1::2]):
            return lines[::2]
    return text.split(b"\n\n")


def _read_block(block: bytes) -> Iterator[Frame]:
    """The frames of an event that is none of the usual ones; one, where it is an event at all."""
    if block.lstrip()[:1] in {b"{", b"["}:
        yield Frame(block.strip())
        return
    frame = _read_fields(block)
    if frame is None:
        return
    if _LF in frame.data and (lines := _payloads(frame.data)):
        yield from (Frame(line, frame.event) for line in lines)
    else:
        yield frame


def _payloads(data: bytes) -> list[bytes]:
    """The lines of data where each is a payload: a server ends its events with one line end."""
    lines = [line.strip() for line in data.split(b"\n") if line.strip()]
    is_each = all(line[:1] + line[-1:] == b"{}" or line == b"[DONE]" for line in lines)
    return lines if is_each and len(lines) > 1 else []


def _read_fields(block: bytes) -> Frame | None:
    data: list[bytes] = []
    event = error = b""
    is_bare = False
    for line in block.split(b"\n"):
        is_bare = is_bare or (bool(data) and line[:1] in {b"{", b"["})
        if is_bare:
            data.append(line)
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        name = name.replace(_BOM, b"").strip(_BLANKS)
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
        elif name == b"error":
            error = value
    payload = b"\n".join(data)
    if not data:
        payload, event = error, b"error"
    if not payload.strip():
        return None
    return Frame(payload, event.decode("utf-8", "replace"))
