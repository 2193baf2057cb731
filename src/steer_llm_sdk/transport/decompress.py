"""Compressed bodies, a bounded piece at a time.

Requests ask for no compression, since it holds a stream's words back; but a proxy may compress all
the same. A small body can unpack to gigabytes, so no more than a bounded piece is unpacked before
the next is asked for, and the limits on frames and error bodies apply to what comes out.
"""

from __future__ import annotations

import zlib

from steer_llm_sdk.errors import ProtocolError

_MAX_PIECE_BYTES = 256 * 1024

# zlib's window sizes: 47 reads both gzip's and zlib's headers; -15 is deflate without one.
_ANY_HEADER = 47
_NO_HEADER = -15
_HEADER_BYTES = 2
_GZIP = b"\x1f\x8b"

# How many bytes of a body tell whether it is a text, and what a text may begin with beside ASCII.
_TELLING_BYTES = 6
_BOM = b"\xef\xbb\xbf"
_WHITE = b"\t\r\n"

_GZIPPED = frozenset({"gzip", "x-gzip"})

# What servers write for no encoding at all.
_NONE = frozenset({"", "identity", "none", "utf-8", "utf8", "binary", "8bit", "chunked"})


class BodyDecoder:
    """Unpacks a gzip or deflate body.

    Proxies that unpack an answer and leave its header say "gzip" or "br" of a plain body, which
    passes as it is: nothing that gzip packs begins as a text does, and nothing that is packed in
    other ways with several bytes of it. (Of deflate, some does.)

    Args:
        encoding: How the body is said to be packed.
    """

    def __init__(self, encoding: str = "deflate") -> None:
        self._encoding = encoding
        self._may_be_plain = encoding != "deflate"
        self._is_plain = False
        self._zlib: zlib._Decompress | None = None  # not known before the header is
        self._head = b""
        self._packing = ""  # as its header says

    def feed(self, chunk: bytes) -> bytes:
        """The next piece: call again with ``b""`` while `has_held_input`.

        Raises:
            ProtocolError: The bytes are not what their encoding says, or are packed as nobody asked
                for.
        """
        if self._is_plain:
            return chunk
        if self._zlib is None:
            self._head += chunk
            if self._may_be_plain and self._lacks(chunk):
                return b""
            if self._may_be_plain and self._has_plain_head():
                self._is_plain, head, self._head = True, self._head, b""
                return head
            if len(self._head) < _HEADER_BYTES:
                return b""
            self._may_be_plain = False
            packing = _packing(self._head)
            if self._packing and packing != self._packing:
                self._head = b""  # what follows the last member is none
                return b""
            self._packing = packing
            window = _ANY_HEADER if packing else _NO_HEADER
            self._zlib, chunk, self._head = zlib.decompressobj(window), self._head, b""
        if self._zlib.eof:
            return b""  # zlib would keep what follows, without a limit
        try:
            piece = self._zlib.decompress(self._zlib.unconsumed_tail + chunk, _MAX_PIECE_BYTES)
            if self._zlib.eof:
                self._next_member()
            return piece
        except zlib.error as error:
            raise ProtocolError(f"the compressed body cannot be unpacked: {error}") from None

    def _lacks(self, chunk: bytes) -> bool:
        """Whether more bytes are needed to tell a plain body, and may come."""
        needed = _HEADER_BYTES if self._encoding in _GZIPPED else _TELLING_BYTES
        return len(self._head) < needed and bool(chunk)

    def _has_plain_head(self) -> bool:
        """Whether the body is not packed at all.

        Raises:
            ProtocolError: It is, and in a way that is not known here.
        """
        if self._encoding in _GZIPPED:
            return len(self._head) >= _HEADER_BYTES and not _packing(self._head)
        if _is_text(self._head):
            return True
        if not self._head:
            return False  # there is no body
        message = f"the body is compressed with {self._encoding!r}, which was not asked for"
        raise ProtocolError(message)

    def _next_member(self) -> None:
        """Begin the next of gzip's members (RFC 1952, 2.2); anything else behind one is dropped.

        A proxy that packs each piece by itself does the same with zlib's streams.
        """
        assert self._zlib is not None  # noqa: S101 - it has just ended
        rest = self._zlib.unused_data.lstrip(b"\0")
        if self._packing and (len(rest) < _HEADER_BYTES or _packing(rest) == self._packing):
            self._zlib, self._head = None, rest

    @property
    def has_held_input(self) -> bool:
        """Whether there is input that has not been unpacked yet."""
        if self._zlib is None:
            return not self._may_be_plain and len(self._head) >= _HEADER_BYTES
        return bool(self._zlib.unconsumed_tail)


def _packing(data: bytes) -> str:
    """Whether this is gzip or zlib; some servers send "deflate" without zlib's header.

    https://www.rfc-editor.org/rfc/rfc1950#section-2.2: deflate's number is 8, and the two bytes as
    a number are a multiple of 31.
    """
    if data.startswith(_GZIP):
        return "gzip"
    is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    return "zlib" if is_zlib else ""


def _is_text(head: bytes) -> bool:
    """Whether a body begins as a text does: an event, JSON, a page."""
    begin = head.removeprefix(_BOM)[:_TELLING_BYTES]
    return bool(begin) and all(byte in _WHITE or 0x20 <= byte < 0x7F for byte in begin)


def body_decoder(encoding: str | None) -> BodyDecoder | None:
    """The decoder for a ``Content-Encoding``; None where there is nothing to unpack."""
    names = [each.strip().lower() for each in (encoding or "").split(",")]
    real = [name for name in names if name not in _NONE]
    return BodyDecoder(", ".join(real)) if real else None
