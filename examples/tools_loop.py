"""The loop around tools: ask, run what the model calls, tell it the results, until it answers.

The answers are scripted here, so that it needs no key; with a real model, leave `transport=` out.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall


def get_weather(city: str) -> dict[str, Any]:
    return {"city": city, "celsius": 21}


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city, now.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
FUNCTIONS = {"get_weather": get_weather}
MOST_TURNS = 5

ANSWERS = ScriptedProvider(
    Script([], tool_calls=[ScriptedToolCall("get_weather", {"city": "Ulm"})]),
    Script(["It is 21 °C", " in Ulm."]),
)


async def answer(client: SteerLLMClient, question: str) -> str:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    for _ in range(MOST_TURNS):
        response = await client.generate(messages, "gpt-4o-mini", tools=TOOLS)
        if not response.tool_calls:
            return response.get_text()
        messages.append({"role": "assistant", "content": None, "tool_calls": response.tool_calls})
        messages += [result_of(call) for call in response.tool_calls]
    raise RuntimeError(f"no answer in {MOST_TURNS} turns")


def result_of(call: Mapping[str, Any]) -> dict[str, Any]:
    print(f"calling {call['name']}({call['arguments']})")
    result = FUNCTIONS[call["name"]](**json.loads(call["arguments"]))
    return {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}


async def main() -> None:
    async with SteerLLMClient(openai_api_key="none", transport=ANSWERS) as client:
        print(await answer(client, "How warm is it in Ulm?"))


if __name__ == "__main__":
    asyncio.run(main())
