"""A hundred notes become typed rows, eight at a time, with a bar. Scripted: it needs no key."""

import asyncio
import re

import msgspec

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.testing import RecordedRequest, Script, ScriptedProvider


class Visit(msgspec.Struct):
    """Where somebody stayed, and for how long."""

    city: str
    nights: int


NOTES = [f"Stayed {n % 5 + 1} nights in {('Ulm', 'Bern', 'Graz')[n % 3]}." for n in range(100)]


def read(request: RecordedRequest) -> Script:  # stands for a model
    nights, city = re.findall(r"(\d+) nights in (\w+)", request.json["messages"][-1]["content"])[0]
    return Script([msgspec.json.encode(Visit(city, int(nights))).decode()])


async def main() -> None:
    async with SteerLLMClient("none", transport=ScriptedProvider(read)) as client:
        results = client.map(
            NOTES, "gpt-4o-mini", response_format=Visit, concurrency=8, on_progress="bar"
        )
        rows = [each.response.parsed async for each in results if each.response is not None]
    done = results.progress
    print(f"{len(rows)} rows, {sum(row.nights for row in rows)} nights, {done.failed} failed")
    print(f"{done.prompt_tokens} tokens in, {done.completion_tokens} out, ${done.cost_usd:.4f}")


asyncio.run(main())
