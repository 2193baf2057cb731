"""Amazon's event messages, written: https://smithy.io/2.0/aws/amazon-eventstream.html."""

from __future__ import annotations

import struct
from zlib import crc32

_STRING = 7


def event_message(payload: bytes, headers: bytes = b"") -> bytes:
    """Write one message around headers that are bytes already.

    Args:
        payload: The payload.
        headers: The headers, one after another.
    """
    length = 12 + len(headers) + len(payload) + 4
    body = event_prelude(length, len(headers)) + headers + payload
    return body + struct.pack(">I", crc32(body))


def event_prelude(length: int, header_bytes: int = 0) -> bytes:
    """Write what a message begins with.

    Args:
        length: How long the message is, with its prelude and its last checksum.
        header_bytes: How long its headers are.
    """
    lengths = struct.pack(">II", length, header_bytes)
    return lengths + struct.pack(">I", crc32(lengths))


def string_headers(**values: str) -> bytes:
    """Write headers that are strings; ``event_type`` is called ``:event-type``.

    Args:
        values: The names, with underscores, and the values.
    """
    return b"".join(_string_header(f":{name.replace('_', '-')}", values[name]) for name in values)


def _string_header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return bytes([len(key)]) + key + struct.pack(">BH", _STRING, len(text)) + text
