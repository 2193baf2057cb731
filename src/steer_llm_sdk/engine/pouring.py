"""Deltas that are handed on in the very callback that brings their bytes: `pour`.

A stream is pulled, and so its task is woken for each read. Where what follows needs no waiting (a
journal in memory), that costs more than what is done: here the bytes call it instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.models.events import StreamEvent

# Takes events, in order; False where it wants no more of them this way.
Sink: TypeAlias = Callable[[list[StreamEvent]], bool]


async def pour(pump: Pump, sink: Sink) -> None:
    """Hand deltas on as they come, until there is something else to do than to read.

    Then, and where this cannot be done at all, `Pump.next_batch` goes on. Given up, nothing is
    lost: what has come was handed on.

    Args:
        pump: Where they come from; nothing of its last batch is left to be taken.
        sink: Gets the deltas of each read. It is called in the loop's thread, and not in the
            context of the caller.

    Raises:
        Exception: What `sink` has raised.
    """
    arrivals = pump.arrivals
    if arrivals is None or not pump.begin_reading():
        return
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    take, begin_reading, end_reading = arrivals.take, pump.begin_reading, pump.end_reading

    def look() -> None:
        try:
            if chunk := take():
                events = [*end_reading(chunk)]
                goes_on = (not events or sink(events)) and begin_reading()
            else:
                goes_on = True
            if goes_on and not arrivals.has_ended:
                return
        except Exception as error:  # noqa: BLE001 - the sink's: whoever waits here gets it
            _end(over, error)
        else:
            _end(over, None)
        arrivals.listen(None)

    arrivals.listen(look)
    try:
        look()  # what has come already
        await over
    finally:
        arrivals.listen(None)
        pump.give_up_reading()


def _end(over: asyncio.Future[None], error: Exception | None) -> None:
    if over.done():
        return
    if error is None:
        over.set_result(None)
    else:
        over.set_exception(error)
