"""The embedded model writes JSON: whatever was asked for, through each endpoint that can."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from steer_llm_sdk import InvalidJSONError, ProviderSettings, SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.providers.base import Endpoint

PROMPT = "Describe the city of Ulm as JSON."
MODEL = "local:smollm2"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "people": {"type": "integer", "minimum": 0, "maximum": 9999999},
        "rivers": {"type": "array", "items": {"enum": ["Danube", "Iller"]}, "maxItems": 3},
    },
    "required": ["name", "people", "rivers"],
    "additionalProperties": False,
}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
# What llama.cpp's own fields ask for; `text.format` and `output_config.format` it passes over.
OWN_FIELDS: dict[str, dict[str, Any]] = {
    "json_schema": {"json_schema": SCHEMA},
    "response_format": {"response_format": JSON_SCHEMA},
}


class City(msgspec.Struct):
    name: str
    is_capital: bool


@dataclass
class CityData:
    name: str
    is_capital: bool


class CityDict(TypedDict):
    name: str
    is_capital: bool


class CityModel(pydantic.BaseModel):
    name: str
    is_capital: bool


@pytest.fixture
def providers(embedded: Endpoint) -> dict[str, ProviderSettings]:
    key, root = embedded.api_key, embedded.base_url.removesuffix("/v1")
    return {
        "openai": ProviderSettings(api_key=key, base_url=embedded.base_url),
        "anthropic": ProviderSettings(api_key=key, base_url=root),
        "llamacpp": ProviderSettings(api_key=key, base_url=embedded.base_url),
    }


@pytest.fixture
async def client(providers: dict[str, ProviderSettings]) -> AsyncIterator[SteerLLMClient]:
    async with SteerLLMClient(providers=providers) as client:
        yield client


async def test_the_guides_json_block_prints_chunks_and_the_parsed_object(
    steady: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ProviderSettings(api_key=steady.api_key, base_url=steady.base_url)
    client = SteerLLMClient(providers={"openai": settings})

    async def on_delta(event: StreamDeltaEvent) -> None:
        if event.is_json:
            # This is part of a JSON response
            print(f"JSON chunk: {event.get_text()}")

    response = await client.stream_with_usage(
        messages="Return a JSON object with name and age",
        model="gpt-4",
        response_format={"type": "json_object"},
        on_delta=on_delta,
    )

    # The SDK handles JSON assembly and validation
    data = json.loads(response.get_text())
    print(f"Parsed JSON: {data}")

    await client.close()
    printed = capsys.readouterr().out
    assert printed.count("JSON chunk: ") > 5
    assert printed.endswith(f"Parsed JSON: {response.get_json()}\n")


@pytest.mark.parametrize("provider", ["local", "openai", "llamacpp"])
async def test_a_schema_is_obeyed_through_chat_completions(
    client: SteerLLMClient, provider: str
) -> None:
    model = "smollm2"
    response = await client.generate(
        PROMPT, model, response_format=JSON_SCHEMA, provider=provider, temperature=0, max_tokens=200
    )

    value = response.get_json()
    assert value.keys() == SCHEMA["properties"].keys()
    assert set(value["rivers"]) <= {"Danube", "Iller"}
    assert response.parsed == value


@pytest.mark.parametrize("wanted", [City, CityData, CityDict, CityModel], ids=lambda t: t.__name__)
@pytest.mark.parametrize("provider", ["local", "openai"])
async def test_a_type_is_obeyed_through_chat_completions(
    client: SteerLLMClient, provider: str, wanted: Any
) -> None:
    response = await client.generate(
        PROMPT, "smollm2", response_format=wanted, provider=provider, temperature=0, max_tokens=400
    )

    assert response.parsed == wanted(**response.get_json())


@pytest.mark.parametrize("field", OWN_FIELDS)
async def test_a_schema_is_obeyed_through_responses_by_llama_cpps_own_field(
    client: SteerLLMClient, field: str
) -> None:
    response = await client.generate(
        PROMPT,
        "smollm2",
        provider="openai-responses",
        response_format=JSON_SCHEMA,
        extra_body=OWN_FIELDS[field],
        temperature=0,
        max_tokens=200,
    )

    assert response.get_json().keys() == SCHEMA["properties"].keys()


async def test_a_type_is_obeyed_through_responses_by_llama_cpps_own_field(
    client: SteerLLMClient,
) -> None:
    response = await client.generate(
        PROMPT,
        "smollm2",
        provider="openai-responses",
        response_format=City,
        extra_body={"json_schema": msgspec.json.schema(City)["$defs"]["City"]},
        temperature=0,
        max_tokens=400,
    )

    assert isinstance(response.parsed, City)


@pytest.mark.parametrize(
    ("provider", "extra"),
    [("openai-responses", {}), ("anthropic", {}), *(("anthropic", f) for f in OWN_FIELDS.values())],
)
async def test_where_the_endpoint_passes_the_format_over_the_prose_is_no_json(
    client: SteerLLMClient, provider: str, extra: dict[str, Any]
) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        await client.generate(
            "Tell me about rivers.",
            "smollm2",
            provider=provider,
            response_format=City,
            extra_body=extra,
            temperature=0,
            max_tokens=30,
        )

    assert caught.value.partial_response is not None
    assert caught.value.text == caught.value.partial_response.get_text() != ""


async def test_an_answer_shows_while_it_grows(client: SteerLLMClient) -> None:
    async with client.stream_events(
        PROMPT, MODEL, response_format=JSON_SCHEMA, temperature=0, max_tokens=200
    ) as stream:
        seen = [
            json.dumps(stream.partial_json()) async for event in stream if event.type == "delta"
        ]
        paths = [found.path for found in stream.read_json_events()]

    assert len(set(seen)) > 3
    assert json.loads(seen[-1]) == stream.response.get_json()
    assert {"$.name", "$.people", "$.rivers"} <= set(paths)


async def test_rows_come_one_by_one(client: SteerLLMClient) -> None:
    row = {"type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"]}
    rows = client.stream_items("Five coin tosses.", row, MODEL, temperature=0, max_tokens=400)
    async with rows:
        first = await anext(rows)
        has_finished = rows.response.is_finished

    assert first.keys() == {"n"}
    assert not has_finished


def test_the_blocking_client_does_the_same(providers: dict[str, ProviderSettings]) -> None:
    with (
        SyncSteerLLMClient(providers=providers) as client,
        client.stream_events(
            PROMPT, MODEL, response_format=JSON_SCHEMA, temperature=0, max_tokens=200
        ) as stream,
    ):
        seen = [json.dumps(stream.partial_json()) for event in stream if event.type == "delta"]

    assert json.loads(seen[-1]) == stream.response.get_json()
