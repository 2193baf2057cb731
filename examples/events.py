"""Every event of a stream that is left in the middle: the ending comes all the same.

Needs the embedded model: `pip install "steer-llm-sdk[all]" && steer local pull`.
"""

import asyncio

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.events import (
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamUsageEvent,
)


def describe(event: StreamEvent) -> str:
    match event:
        case StreamDeltaEvent():
            return repr(event.delta)
        case StreamUsageEvent():
            return f"{event.usage} (estimated: {event.is_estimated})"
        case StreamErrorEvent():
            return f"{event.error_type}: {event.error}"
        case _:
            return f"{event.provider}/{event.model}"


async def main() -> None:
    async with (
        SteerLLMClient() as client,
        client.stream_events("Count to a hundred.", "local:smollm2", seed=7) as stream,
    ):
        async for event in stream:
            print(f"{event.sequence:>3}  {event.type:<8}  {describe(event)}")
            if isinstance(event, StreamDeltaEvent) and event.chunk_index == 9:
                stream.cancel("ten are enough")


if __name__ == "__main__":
    asyncio.run(main())
