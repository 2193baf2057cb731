"""Events as a journal stores them: `StreamEvent.to_json`, with its version."""

from __future__ import annotations

from typing import Any

import msgspec

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def encode_event(event: StreamEvent) -> bytes:
    """Write an event as JSON in UTF-8."""
    return event.to_json().encode()


def decode_event(stored: bytes | str) -> StreamEvent:
    """Read an event that `encode_event` has written, in this version or an older one."""
    data = _decode(stored)
    if data.get("type") == StreamDeltaEvent.type:  # most of them are
        return StreamDeltaEvent.from_dict(data)
    return StreamEvent.from_dict(data)
