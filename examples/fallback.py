"""When the first model is overloaded, another one answers; nobody sees a word twice.

The first one is scripted to fail, the second is the embedded model: `steer local pull`.
"""

import asyncio

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import HTTPError, LoopbackServer


async def main() -> None:
    options = StreamingOptions(max_retries=1, fallback_models=["local:smollm2"])
    async with LoopbackServer(HTTPError(529)) as overloaded:
        settings = {"openai": ProviderSettings(base_url=overloaded.base_url("openai"))}
        async with SteerLLMClient(providers=settings) as client:
            response = await client.generate(
                "Say hello.", "gpt-4o-mini", max_tokens=20, streaming_options=options
            )
    print(f"{len(overloaded.requests)} requests were refused")
    print(f"{response.provider}/{response.model} said {response.get_text()!r}")
    print({name: response.metadata[name] for name in ("attempt", "retries")})


if __name__ == "__main__":
    asyncio.run(main())
