"""Values as JSON, and JSON as frames of server-sent events."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from steer_llm_sdk.stored import plain

_encode = msgspec.json.Encoder().encode

# A comment, which every reader of server-sent events passes over.
COMMENT = b": \n\n"

DONE = b"data: [DONE]\n\n"


def json_bytes(value: Any) -> bytes:
    """Write plain data as JSON, in one line."""
    try:
        return _encode(value)
    except UnicodeEncodeError:  # half a character, which a model's broken output may hold
        return json.dumps(value, separators=(",", ":")).encode()
    except RecursionError:  # what came is nested more deeply than can be followed
        return json.dumps(plain(value), separators=(",", ":")).encode()


def data_frame(value: Any) -> bytes:
    """Write plain data as one frame."""
    return b"data: %b\n\n" % json_bytes(value)
