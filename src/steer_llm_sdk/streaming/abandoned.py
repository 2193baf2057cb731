"""A stream that nobody holds any more: its socket is closed, and somebody is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.streaming.pump import Pump


def abandon(
    source: object,
    pump: Pump | None,
    loop: asyncio.AbstractEventLoop | None,
    warn: Callable[..., None],
) -> None:
    """Called by the garbage collector, from whichever thread it runs in.

    Args:
        source: The stream.
        pump: What drove it; None where it was never begun.
        loop: Where its socket lives.
        warn: `warnings.warn`, passed since the module may be gone when the interpreter ends.
    """
    if pump is None or (pump.is_over and not pump.is_open):
        return
    if not pump.is_over and not pump.is_stopped:
        warn(
            f"a stream was abandoned before its end ({pump.response.stream_id}): iterate it to the "
            "end, call cancel(), or use 'async with'",
            ResourceWarning,
            source=source,
            stacklevel=3,
        )
    if loop is not None and not loop.is_closed():
        error = StreamCancelledError("the stream was abandoned")
        loop.call_soon_threadsafe(pump.discard, error)
