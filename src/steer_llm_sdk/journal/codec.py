"""Events as a journal stores them: as `StreamEvent.to_json` writes them, with its version.

Most events are deltas with nothing in their metadata: they take a quicker road to the same.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import msgspec

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.stored import VERSION

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

# What a delta's fields do not say, before them.
_DELTA_HEAD = b'{"type":"%s","version":%d,' % (StreamDeltaEvent.type.encode(), VERSION)

_DELTA_FIELDS = frozenset(field.name for field in fields(StreamDeltaEvent))


def delta_fields(event: StreamEvent) -> bytes | None:
    """Write the fields of a delta without metadata as JSON, without the brace before them.

    Returns:
        What `to_dict` has of them, but for the type; None for any other event, and where JSON has
        no word for the delta, or it holds half a character.
    """
    if event.__class__ is not StreamDeltaEvent or event.metadata:
        return None
    try:
        return _encode(event)[1:]
    except (TypeError, UnicodeEncodeError, RecursionError):
        return None


def encode_event(event: StreamEvent) -> bytes:
    """Write an event as JSON in UTF-8."""
    written = delta_fields(event)
    return event.to_json().encode() if written is None else _DELTA_HEAD + written


def _parse(stored: bytes | str) -> dict[str, Any]:
    try:
        return _decode(stored)
    except msgspec.DecodeError:  # half a character, which JSON may hold and msgspec does not read
        data: dict[str, Any] = json.loads(stored)
        return data


def decode_event(stored: bytes | str) -> StreamEvent:
    """Read an event that `encode_event` has written, in this version or an older one."""
    data = _parse(stored)
    if data.get("type") != StreamDeltaEvent.type:
        return StreamEvent.from_dict(data)
    # Nobody else has the data: it need not be copied, as `from_dict` would.
    return StreamDeltaEvent(**{name: data[name] for name in _DELTA_FIELDS & data.keys()})
