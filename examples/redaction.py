"""What must not be seen is replaced before anyone sees it, however it is cut into pieces.

The answer is scripted here, so that it needs no key; with a real model, leave `transport=` out.
"""

import asyncio

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import RedactTransformer
from steer_llm_sdk.testing import ScriptedProvider

ANSWER = ScriptedProvider("Write to ada", "@exam", "ple.org, the key is s", "k-0123456789", "ab.")

REDACT = RedactTransformer([r"[\w.]{1,64}@[\w.]{1,64}\w", r"sk-\w{8,48}"], replacement="[hidden]")


async def main() -> None:
    options = StreamingOptions(text_transformers=[REDACT])
    async with SteerLLMClient(openai_api_key="none", transport=ANSWER) as client:
        response = await client.stream_with_usage(
            "Whom do I write to?",
            "gpt-4o-mini",
            streaming_options=options,
            on_delta=lambda event: print(repr(event.get_text())),
        )
    print(response.get_text())


if __name__ == "__main__":
    asyncio.run(main())
