"""What drives a stream, without its consumer's side."""

from __future__ import annotations

from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.streaming.stream import EventStream


async def pump_under(stream: EventStream) -> Pump:
    """Open a stream, and give what would drive it."""
    opened = stream._open_pump(stream)
    return opened if isinstance(opened, Pump) else await opened
