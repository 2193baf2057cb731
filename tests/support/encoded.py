"""What `encode` writes, parsed: for the tests of each protocol."""

from __future__ import annotations

import json
from typing import Any

from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.web import Protocol, encode
from support.web_sources import Listed

DONE = "[DONE]"


async def raw_of(events: list[StreamEvent], protocol: Protocol, **options: Any) -> bytes:
    """The bytes of some events."""
    return b"".join([piece async for piece in encode(Listed(events), protocol, **options)])


def parse(raw: bytes, protocol: Protocol) -> list[Any]:
    """Each value that was written; what is no JSON is a string."""
    if protocol == "ndjson":
        return [json.loads(line) for line in raw.splitlines() if line]
    frames = [frame for frame in raw.decode().split("\n\n") if frame and not frame.startswith(":")]
    datas = [frame.partition("data: ")[2] for frame in frames]
    return [data if data == DONE else json.loads(data) for data in datas]


async def values_of(events: list[StreamEvent], protocol: Protocol, **options: Any) -> list[Any]:
    """What some events come to."""
    return parse(await raw_of(events, protocol, **options), protocol)
