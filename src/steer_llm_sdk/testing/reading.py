"""Read HTTP/1.1 requests from bytes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from steer_llm_sdk.testing.plan import RecordedRequest

MAX_HEAD_BYTES = 256 * 1024


class BadRequestError(ValueError):
    """The bytes that arrived are not an HTTP/1.1 request."""


class RequestReader:
    """Buffers the bytes of one connection, and reads its requests one by one."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Append bytes as they arrived."""
        self._buffer += data

    def next_request(self, number: int, connection: int) -> RecordedRequest | None:
        """Read the next request; None while it is not whole.

        Args:
            number: The number it gets.
            connection: The connection's number.

        Raises:
            BadRequestError: The bytes are no request.
        """
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadRequestError(f"no end of the headers in {len(self._buffer)} bytes")
            return None
        method, target, headers = _read_head(bytes(self._buffer[:end]))
        found = self._body(headers, end + 4)
        if found is None:
            return None
        body, after = found
        del self._buffer[:after]
        # A proxy's client sends the whole URL.
        split = urlsplit(target)
        return RecordedRequest(
            method=method,
            path=split.path or target,
            query=split.query,
            headers=headers,
            body=body,
            json=_read_json(body),
            number=number,
            connection=connection,
        )

    def _body(self, headers: dict[str, str], start: int) -> tuple[bytes, int] | None:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunked(start)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise BadRequestError(f"content-length: expected a number, found {length!r}")
        end = start + int(length)
        return (bytes(self._buffer[start:end]), end) if len(self._buffer) >= end else None

    def _chunked(self, start: int) -> tuple[bytes, int] | None:
        body = bytearray()
        while (line_end := self._buffer.find(b"\r\n", start)) >= 0:
            size = _read_size(bytes(self._buffer[start:line_end]))
            data = line_end + 2
            if len(self._buffer) < data + size + 2:
                return None
            body += self._buffer[data : data + size]
            start = data + size + 2
            if size == 0:
                return bytes(body), start
        return None


def _read_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(f"expected a request line, found {first[:100]!r}")
    pairs = (line.partition(":") for line in lines)
    return words[0], words[1], {name.strip().lower(): value.strip() for name, _, value in pairs}


def _read_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise BadRequestError(f"expected a chunk's size, found {line[:100]!r}") from None


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
