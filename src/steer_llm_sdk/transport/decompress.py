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

# What servers write for no encoding at all.
_NONE = frozenset({"", "identity", "none", "utf-8", "utf8", "binary", "8bit", "chunked"})


class BodyDecoder:
    """Unpacks a gzip or deflate body.

    Proxies that unpack an answer and leave its header say "gzip" of a plain body, which passes as
    it is: nothing that gzip packs begins as a text does. (Of deflate, some does.)

    Args:
        is_gzip: Whether the body is said to be packed by gzip.
    """

    def __init__(self, *, is_gzip: bool = False) -> None:
        self._may_be_plain = is_gzip
        self._is_plain = False
        self._zlib: zlib._Decompress | None = None  # not known before the header is
        self._head = b""
        self._is_gzip = False

    def feed(self, chunk: bytes) -> bytes:
        """The next piece: call again with ``b""`` while `has_held_input`.

        Raises:
            ProtocolError: The bytes are not what their encoding says.
        """
        if self._is_plain:
            return chunk
        if self._zlib is None:
            self._head += chunk
            if len(self._head) < _HEADER_BYTES:
                return b""
            is_gzip = self._head.startswith(_GZIP)
            if self._may_be_plain and not is_gzip and not _has_header(self._head):
                self._is_plain, head, self._head = True, self._head, b""
                return head
            self._may_be_plain = False
            if self._is_gzip and not is_gzip:
                self._head = b""  # what follows the last member is none
                return b""
            self._is_gzip = is_gzip
            window = _ANY_HEADER if _has_header(self._head) else _NO_HEADER
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

    def _next_member(self) -> None:
        """Begin the next of gzip's members (RFC 1952, 2.2); anything else behind one is dropped."""
        assert self._zlib is not None  # noqa: S101 - it has just ended
        rest = self._zlib.unused_data.lstrip(b"\0")
        if self._is_gzip and (not rest or _GZIP.startswith(rest[:2]) or rest.startswith(_GZIP)):
            self._zlib, self._head = None, rest

    @property
    def has_held_input(self) -> bool:
        """Whether there is input that has not been unpacked yet."""
        if self._zlib is None:
            return len(self._head) >= _HEADER_BYTES
        return bool(self._zlib.unconsumed_tail)


def _has_header(data: bytes) -> bool:
    """Whether this is gzip or zlib; some servers send "deflate" without zlib's header.

    https://www.rfc-editor.org/rfc/rfc1950#section-2.2: deflate's number is 8, and the two bytes as
    a number are a multiple of 31.
    """
    is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    return is_zlib or data.startswith(_GZIP)


def body_decoder(encoding: str | None) -> BodyDecoder | None:
    """The decoder for a ``Content-Encoding``; None where there is nothing to unpack.

    Raises:
        ProtocolError: The encoding is one that was not asked for and is not known here.
    """
    names = [each.strip().lower() for each in (encoding or "").split(",")]
    real = [name for name in names if name not in _NONE]
    name = ", ".join(real)
    if not real:
        return None
    if name in {"gzip", "x-gzip", "deflate"}:
        return BodyDecoder(is_gzip=name != "deflate")
    raise ProtocolError(f"the body is compressed with {name!r}, which was not asked for")
