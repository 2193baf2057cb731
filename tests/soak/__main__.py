"""`make soak`: 20,000 streams with random faults through one client, 200 at a time.

Prints what the process held after the first thousand and at the end; fails when a stream came to
something else than was scripted, or when more is held.
"""

from __future__ import annotations

import asyncio
import sys
import time
from random import Random

from support.soaking import Footprint, Soak, soak

STREAMS = 20_000
FIRST = 1_000
AT_ONCE = 200
# Memory that a process may take between two moments without holding on to anything, in MiB.
TOLERANCE = 4.0


async def footprint(streams: Soak) -> Footprint:
    """With all connections closed, so that only what leaks is counted."""
    await streams.client.close()
    return Footprint.take()


async def main() -> bool:
    random = Random(4)
    began = time.monotonic()
    async with soak() as streams:
        await streams.run(FIRST, random, at_once=AT_ONCE)
        first = last = await footprint(streams)
        done = FIRST
        print(f"{done:6} streams: {first}", flush=True)
        while done < STREAMS:
            await streams.run(FIRST, random, at_once=AT_ONCE)
            done += FIRST
            last = await footprint(streams)
            print(f"{done:6} streams: {last}", flush=True)
    print(f"{time.monotonic() - began:.0f} s; {streams.client.stats}")
    manners = ", ".join(f"{count} {manner}" for manner, count in streams.manners.items())
    print(f"{manners}; {streams.heartbeats} heartbeats")
    for wrong in streams.wrong[:20]:
        print(wrong)
    print(f"{len(streams.wrong)} of {STREAMS} came to something else than was scripted")
    holds_more = last.memory > first.memory + TOLERANCE or last.files > first.files
    return not streams.wrong and not holds_more


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main()) else 1)
