"""A table that fills row by row, while the model still writes.

The answer is scripted here, so that it needs no key; with a real model, leave `transport=` out.
"""

import asyncio
from dataclasses import dataclass

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.testing import ScriptedProvider


@dataclass
class City:
    """What a row is."""

    name: str
    inhabitants: int


ANSWER = ScriptedProvider(
    '{"items": [{"name": "Ulm", "inha',
    'bitants": 129942}, {"name": "Biber',
    'ach", "inhabitants": 34212}, {"name": "Ravens',
    'burg", "inhabitants": 51267}]}',
)


async def main() -> None:
    async with SteerLLMClient(openai_api_key="none", transport=ANSWER) as client:
        async for city in client.stream_items("Cities in Swabia?", City, "gpt-4o-mini"):
            print(f"{city.name:<12}{city.inhabitants:>8,}")


if __name__ == "__main__":
    asyncio.run(main())
