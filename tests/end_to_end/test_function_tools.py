"""Python functions as tools of ordinary calls, in every format: told, checked, and not run."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    SchemaError,
    SteerLLMClient,
    SyncSteerLLMClient,
)
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.structured import Tool
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall
from support.every_format import FORMATS, settings_of

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Where."},
        "days": {"type": "integer", "default": 1},
    },
    "required": ["city"],
    "additionalProperties": False,
}


GEMINI_SCHEMA = SCHEMA | {
    "properties": {
        "city": {"type": "string", "description": "Where."},
        "days": {"type": "integer", "description": "{default: 1}"},
    }
}


def get_weather(city: str, days: int = 1) -> str:
    """The weather in a city.

    Args:
        city: Where.
    """
    raise AssertionError(f"called with {city!r}, {days}")


def scripted(arguments: dict[str, Any]) -> ScriptedProvider:
    return ScriptedProvider(Script([], tool_calls=[ScriptedToolCall("get_weather", arguments)]))


def client_of(provider: ScriptedProvider) -> SteerLLMClient:
    settings = settings_of()
    return SteerLLMClient(providers=settings, transport=provider)


def told_of(body: Any) -> list[Any]:
    """Everything in a request that tells of the function, however deep the format has it."""
    if isinstance(body, dict):
        found = [body] if body.get("name") == "get_weather" else []
        return found + [each for value in body.values() for each in told_of(value)]
    return [each for value in body for each in told_of(value)] if isinstance(body, list) else []


@pytest.mark.parametrize("wire", FORMATS)
async def test_a_function_is_told_to_the_provider_and_its_calls_are_given(wire: str) -> None:
    provider = scripted({"city": "Ulm"})

    async with client_of(provider) as client:
        response = await client.generate("Rain?", f"{wire}:m", tools=[get_weather])

    (told,) = told_of(provider.requests[0].json)
    schemas = [told.get(key) for key in ("parameters", "input_schema", "parametersJsonSchema")]
    schemas.append(told.get("inputSchema", {}).get("json"))
    assert told["description"] == "The weather in a city."
    # Gemini takes no default: it stands in the description.
    assert (GEMINI_SCHEMA if wire.startswith("gemini") else SCHEMA) in schemas
    assert [call["name"] for call in response.tool_calls] == ["get_weather"]


@pytest.mark.parametrize("wire", FORMATS)
async def test_arguments_that_do_not_fit_a_function_fail_the_stream(wire: str) -> None:
    async with client_of(scripted({"city": 7})) as client:
        with pytest.raises(SchemaError, match=r"'get_weather' do not fit: at \$\.city"):
            await client.generate("Rain?", f"{wire}:m", tools=[get_weather])


async def test_a_function_is_checked_even_where_schemas_are_not() -> None:
    options = StreamingOptions(validate_schema=False)

    async with client_of(scripted({"city": 7})) as client:
        with pytest.raises(SchemaError):
            await client.generate(
                "Rain?", "openai:m", tools=[get_weather], streaming_options=options
            )


async def test_a_tool_can_be_chosen_by_its_name() -> None:
    provider = scripted({"city": "Ulm"})
    tool = Tool(get_weather)

    async with client_of(provider) as client:
        await client.generate("Rain?", "openai:m", tools=[tool], tool_choice="get_weather")
        with pytest.raises(ConfigurationError, match="one of the tools 'get_weather'"):
            await client.generate("Rain?", "openai:m", tools=[tool], tool_choice="other")

    assert provider.requests[0].json["tool_choice"]["function"] == {"name": "get_weather"}


async def test_several_calls_can_be_forbidden() -> None:
    provider = scripted({"city": "Ulm"})

    async with client_of(provider) as client:
        await client.generate("Rain?", "openai:m", tools=[get_weather], parallel_tool_calls=False)
        with pytest.raises(ConfigurationError, match="parallel_tool_calls: expected True or False"):
            await client.generate("Rain?", "openai:m", parallel_tool_calls="no")  # type: ignore[call-overload]

    assert provider.requests[0].json["parallel_tool_calls"] is False


def test_the_blocking_client_takes_functions_too() -> None:
    with SyncSteerLLMClient(openai_api_key="key", transport=scripted({"city": "Ulm"})) as client:
        response = client.generate("Rain?", "openai:m", tools=[get_weather])

    assert [call["name"] for call in response.tool_calls] == ["get_weather"]
