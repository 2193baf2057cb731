"""The loop against a real model, with the template of its own server."""

from __future__ import annotations

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.providers.base import Endpoint


async def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


@pytest.mark.parametrize(
    ("name", "kind", "cut"), [("chat", "openai", ""), ("messages", "anthropic", "/v1")]
)
async def test_a_call_is_answered_and_the_model_goes_on(
    embedded: Endpoint, name: str, kind: str, cut: str
) -> None:
    settings = ProviderSettings(
        kind=kind, base_url=embedded.base_url.removesuffix(cut), api_key=embedded.api_key
    )
    call = {"id": "call_1", "name": "get_weather", "arguments": '{"city": "Ulm"}'}
    history = [
        {"role": "user", "content": "Will it rain in Ulm?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]

    async with SteerLLMClient(providers={name: settings}) as client:
        result = await client.run(
            history, "smollm2", 0.0, 8, tools=[get_weather], provider=name, tool_choice="auto"
        )

    assert [m["content"] for m in result.messages if m["role"] == "tool"] == ["It rains in Ulm."]
    assert (result.ok, len(result.responses), bool(result.text)) == (True, 1, True)
    assert result.usage["prompt_tokens"] > 20
