"""Amazon's event streams: binary messages with typed headers, each under two checksums.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html and
https://smithy.io/2.0/aws/amazon-eventstream.html: a message is its whole length, the length of its
headers and a CRC-32 of these two numbers (the prelude), then the headers, the payload, and a CRC-32
of all before it. Numbers are big-endian.

A body that does not begin with a message is no stream at all, but a page or an error in JSON: that
is said at its end, so that all of it is there to be told, however the network cut it.

Strategy. The prelude says how many bytes to wait for, so nothing is looked at twice. The headers of
most messages of a stream are the same bytes: what they say is kept, and read once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias
from zlib import crc32

from steer_llm_sdk.errors import FrameTooLargeError, ProtocolError
from steer_llm_sdk.wire.frame import Frame

HeaderValue: TypeAlias = bool | int | bytes | str

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_LENGTH = struct.Struct(">H")

# The prelude, and the checksum at the end.
_LEAST_BYTES = _PRELUDE.size + _CHECKSUM.size

# The specification's limit for the headers of one message.
_MAX_HEADER_BYTES = 128 * 1024

# How many different sets of headers are kept, and how large one may be: a stream has about five.
_KEPT_HEADERS = 16
_MAX_KEPT_BYTES = 512


class EventMessage(Frame, gc=False):
    """A message: `event` is its ``:event-type``, empty where it has none (exceptions)."""

    headers: Mapping[str, HeaderValue] = {}


class EventStreamFraming:
    """Cuts a body of Amazon's event messages into frames.

    Args:
        max_frame_bytes: The most bytes that one message may take. A security limit: a server could
            otherwise announce four gigabytes, and fill the memory.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._waiting = bytearray()  # of the unfinished message
        self._needed = _PRELUDE.size  # so many bytes must wait before there is anything to do
        self._has_begun = False  # a message has come
        self._otherwise: ProtocolError | None = None  # what a body is that begins with none
        self._headers: dict[bytes, Mapping[str, HeaderValue]] = {}

    def feed(self, chunk: bytes) -> Iterable[Frame]:
        """Take all of `chunk`, and give the messages that it completes; one alone in a tuple.

        Raises:
            FrameTooLargeError: A message exceeds `max_frame_bytes`. Messages before it have been
                yielded.
            ProtocolError: A checksum is wrong, or a message is not what the format allows.
        """
        waiting = self._waiting
        if waiting:
            waiting += chunk
            if len(waiting) < self._needed:
                return ()
            chunk = bytes(waiting)
            waiting.clear()
        messages, fault = self._split(chunk)
        if len(messages) == 1 and fault is None:
            try:
                return (self._read(messages[0]),)
            except ProtocolError as error:
                messages, fault = [], error
        return self._frames(messages, fault)

    def feed_eof(self) -> Iterator[Frame]:
        """Give nothing: a message says how long it is.

        Raises:
            ProtocolError: The body ended inside a message.
        """
        rest = len(self._waiting)
        self._waiting.clear()
        fault = self._otherwise or ProtocolError(
            f"expected the rest of an event message, found the end of the body after {rest} bytes"
        )
        return self._frames([], fault if rest else None)

    def _split(self, chunk: bytes) -> tuple[list[bytes], ProtocolError | None]:
        """The whole messages; what follows the last of them waits, unless it is no message."""
        messages: list[bytes] = []
        at, end = 0, len(chunk)
        self._needed = _PRELUDE.size
        while end - at >= _PRELUDE.size:
            length, fault = self._length_at(chunk, at)
            if fault is not None:
                return messages, fault
            if end - at < length:
                self._needed = length
                break
            self._has_begun = True
            messages.append(chunk[at : at + length])
            at += length
        self._waiting += chunk[at:]
        return messages, None

    def _otherwise_length(self, prelude: bytes) -> tuple[int, ProtocolError | None]:
        """How much to wait for where no message begins; at the beginning, for the body's end."""
        fault = _not_a_message(prelude)
        if self._has_begun or self._otherwise is not None:
            return 0, fault
        self._otherwise = fault
        return self._max_frame_bytes + 1, None

    def _length_at(self, chunk: bytes, at: int) -> tuple[int, ProtocolError | None]:
        """The length that a prelude tells, or what is wrong with it."""
        length, header_bytes, checksum = _PRELUDE.unpack_from(chunk, at)
        if crc32(chunk[at : at + 8]) != checksum:
            return self._otherwise_length(chunk[at : at + _PRELUDE.size])
        if length > self._max_frame_bytes:
            return 0, FrameTooLargeError(
                f"an event message of {length} bytes; the limit is {self._max_frame_bytes}"
            )
        if header_bytes > _MAX_HEADER_BYTES or length < _LEAST_BYTES + header_bytes:
            return 0, ProtocolError(
                f"an event message of {length} bytes cannot have {header_bytes} bytes of headers"
            )
        return length, None

    def _frames(self, messages: list[bytes], fault: ProtocolError | None) -> Iterator[Frame]:
        for message in messages:
            yield self._read(message)
        if fault is not None:
            raise fault

    def _read(self, message: bytes) -> EventMessage:
        """Read a message whose prelude has been checked."""
        end = len(message) - _CHECKSUM.size
        if crc32(message[:end]) != _CHECKSUM.unpack_from(message, end)[0]:
            raise ProtocolError("an event message whose checksum is not that of its bytes")
        begin = _PRELUDE.size + _PRELUDE.unpack_from(message)[1]
        raw = message[_PRELUDE.size : begin]
        headers = self._headers.get(raw)
        if headers is None:
            headers = self._keep(raw, read_headers(raw))
        event = headers.get(":event-type")
        return EventMessage(message[begin:end], event if isinstance(event, str) else "", headers)

    def _keep(self, raw: bytes, headers: Mapping[str, HeaderValue]) -> Mapping[str, HeaderValue]:
        if len(raw) <= _MAX_KEPT_BYTES and len(self._headers) < _KEPT_HEADERS:
            self._headers[raw] = headers
        return headers


def _not_a_message(prelude: bytes) -> ProtocolError:
    error = ProtocolError(f"expected the prelude of an event message, found {prelude!r}")
    error.quote = repr(prelude)
    return error


# --- headers ----------------------------------------------------------------------------------


def read_headers(raw: bytes) -> dict[str, HeaderValue]:
    """Read a block of headers.

    A time is its milliseconds since 1970, a UUID its sixteen bytes.

    Raises:
        ProtocolError: It is cut short, has a value of no known type, or a name twice.
    """
    try:
        return _read_headers(raw)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        found = type(error).__name__
    raise ProtocolError(f"the headers of an event message cannot be read ({found})")


def _read_headers(raw: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(raw):
        begin = at + 1
        at = begin + raw[at]
        name, kind = raw[begin:at].decode(), raw[at]
        read = _READERS.get(kind)
        if read is None:
            raise ProtocolError(f"the header {name!r} of an event message has the type {kind}")
        if name in headers:
            raise ProtocolError(f"an event message with the header {name!r} twice")
        headers[name], at = read(raw, at + 1)
    return headers


_Reader: TypeAlias = Callable[[bytes, int], tuple[HeaderValue, int]]


def _number(code: str) -> _Reader:
    number = struct.Struct(f">{code}")

    def read(raw: bytes, at: int) -> tuple[HeaderValue, int]:
        return number.unpack_from(raw, at)[0], at + number.size

    return read


def _fixed(size: int) -> _Reader:
    def read(raw: bytes, at: int) -> tuple[HeaderValue, int]:
        return _slice(raw, at, size), at + size

    return read


def _bytes(raw: bytes, at: int) -> tuple[bytes, int]:
    (size,) = _LENGTH.unpack_from(raw, at)
    begin = at + _LENGTH.size
    return _slice(raw, begin, size), begin + size


def _string(raw: bytes, at: int) -> tuple[str, int]:
    value, end = _bytes(raw, at)
    return value.decode(), end


def _slice(raw: bytes, at: int, size: int) -> bytes:
    value = raw[at : at + size]
    if len(value) < size:
        raise IndexError
    return value


_READERS: Mapping[int, _Reader] = {
    0: lambda _, at: (True, at),
    1: lambda _, at: (False, at),
    2: _number("b"),
    3: _number("h"),
    4: _number("i"),
    5: _number("q"),
    6: _bytes,
    7: _string,
    8: _number("q"),
    9: _fixed(16),
}
