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


class BodyDecoder:
    """Unpacks a gzip or deflate body."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_ANY_HEADER)
        self._is_first = True

    def feed(self, chunk: bytes) -> bytes:
        """The next piece: call again with ``b""`` while `has_held_input`.

        Raises:
            ProtocolError: The bytes are not what their encoding says.
        """
        data = self._zlib.unconsumed_tail + chunk
        try:
            return self._unpack(data)
        except zlib.error as error:
            raise ProtocolError(f"the compressed body cannot be unpacked: {error}") from None

    def _unpack(self, data: bytes) -> bytes:
        try:
            piece = self._zlib.decompress(data, _MAX_PIECE_BYTES)
        except zlib.error:
            # Some servers send "deflate" without zlib's header.
            if not self._is_first:
                raise
            self._zlib = zlib.decompressobj(_NO_HEADER)
            piece = self._zlib.decompress(data, _MAX_PIECE_BYTES)
        self._is_first = self._is_first and not data
        return piece

    @property
    def has_held_input(self) -> bool:
        """Whether there is input that has not been unpacked yet."""
        return bool(self._zlib.unconsumed_tail)


def body_decoder(encoding: str | None) -> BodyDecoder | None:
    """The decoder for a ``Content-Encoding``; None where there is nothing to unpack.

    Raises:
        ProtocolError: The encoding is one that was not asked for and is not known here.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return None
    if name in {"gzip", "x-gzip", "deflate"}:
        return BodyDecoder()
    raise ProtocolError(f"the body is compressed with {name!r}, which was not asked for")
