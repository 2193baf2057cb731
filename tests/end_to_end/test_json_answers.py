"""JSON that was asked for, through the client and a socket: what goes out, what comes back."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from steer_llm_sdk import (
    ConfigurationError,
    EventStream,
    IncompleteStreamError,
    InvalidJSONError,
    ProviderSettings,
    RefusalError,
    SchemaError,
    SteerError,
    SteerLLMClient,
    StreamingResponse,
    TruncatedJSONError,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamErrorEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import EndEarly, LoopbackServer, Script, check_stream
from support.every_format import FORMATS

JSON_OBJECT = {"type": "json_object"}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
    "additionalProperties": False,
}
JSON_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "city", "schema": SCHEMA, "strict": True},
}
ULM = ['{"name": "Ul', 'm", "people"', ": 12", "9942}"]


class City(msgspec.Struct):
    name: str
    people: int


@dataclass
class CityData:
    name: str
    people: int


class CityDict(TypedDict):
    name: str
    people: int


class CityModel(pydantic.BaseModel):
    name: str
    people: int


def client_of(server: LoopbackServer) -> SteerLLMClient:
    names = (*FORMATS, "mistral", "deepseek")
    copies = {"mistral": "openai", "deepseek": "openai"}
    return SteerLLMClient(
        providers={
            name: ProviderSettings(api_key="x", base_url=server.base_url(copies.get(name, name)))
            for name in names
        }
    )


async def ask(script: Script, provider: str, response_format: Any, **options: Any) -> Any:
    async with LoopbackServer(script) as server, client_of(server) as client:
        return await client.generate(
            "Describe Ulm.",
            "m",
            provider=provider,
            response_format=response_format,
            streaming_options=StreamingOptions(**options),
        )


async def fail(
    script: Script, provider: str, response_format: Any, **options: Any
) -> tuple[SteerError, StreamingResponse]:
    """Ask for what does not come: gives the error, after the stream's rules were checked."""
    seen: list[Any] = []
    async with LoopbackServer(script) as server, client_of(server) as client:
        stream = client.stream_events(
            "Describe Ulm.",
            "m",
            provider=provider,
            response_format=response_format,
            streaming_options=StreamingOptions(**options),
        )
        with pytest.raises(SteerError) as caught:
            await _take(stream, seen)
    summary = check_stream(seen)
    assert not summary.is_complete
    last = seen[-1]
    assert isinstance(last, StreamErrorEvent)
    assert last.error is caught.value is stream.response.error
    assert caught.value.partial_response is stream.response
    assert stream.response.get_text() == summary.text
    return caught.value, stream.response


async def _take(stream: EventStream, seen: list[Any]) -> None:
    async with stream:
        async for event in stream:
            seen.append(event)  # noqa: PERF401 - what came before the error counts


# --- what comes back --------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [City, CityData, CityDict, CityModel], ids=lambda t: t.__name__)
@pytest.mark.parametrize("provider", FORMATS)
async def test_a_type_comes_back_as_an_object_of_it(provider: str, wanted: Any) -> None:
    response = await ask(Script(ULM), provider, wanted)

    assert response.parsed == wanted(name="Ulm", people=129942)
    assert response.get_json() == {"name": "Ulm", "people": 129942}
    assert response.get_text() == "".join(ULM)


@pytest.mark.parametrize("wanted", [JSON_OBJECT, JSON_SCHEMA, SCHEMA])
@pytest.mark.parametrize("provider", FORMATS)
async def test_a_format_comes_back_as_its_value(provider: str, wanted: Any) -> None:
    response = await ask(Script(ULM), provider, wanted)

    assert response.parsed == response.get_json() == {"name": "Ulm", "people": 129942}


@pytest.mark.parametrize("provider", FORMATS)
async def test_only_the_text_of_an_answer_is_json(provider: str) -> None:
    script = Script(ULM, reasoning=["Ulm is", " a city."])
    async with LoopbackServer(script) as server, client_of(server) as client:
        stream = client.stream_events("?", "m", provider=provider, response_format=City)
        deltas = [event async for event in stream if isinstance(event, StreamDeltaEvent)]

    kinds = {(delta.kind, delta.is_json) for delta in deltas}
    assert kinds - {("notice", False)} == {  # notices, where they are on
        ("reasoning", False),
        ("text", True),
    }


# --- what does not come back ------------------------------------------------------------------

CUT = '{"name": "Ulm", "peo'
WHOLE = '{"name": "Ulm", "people": 5}'
MISFITS: dict[str, tuple[Script, type[InvalidJSONError], str]] = {
    "truncated": (Script([CUT], finish="length"), TruncatedJSONError, "length limit after 20"),
    "truncated at once": (Script([], finish="length"), TruncatedJSONError, "after 0 characters"),
    "broken off": (Script([CUT]), InvalidJSONError, "character 20: expected '\"' at the end"),
    "filtered": (Script([CUT], finish="content_filter"), InvalidJSONError, "character 20"),
    "empty": (Script([]), InvalidJSONError, "no text came"),
    "white space": (Script([" \n"]), InvalidJSONError, "no text came"),
    "two objects": (Script([WHOLE, WHOLE]), InvalidJSONError, "character 28: expected nothing"),
    "fenced": (Script(["```json\n", WHOLE, "\n```"]), InvalidJSONError, "inside a code fence"),
    "in prose": (Script(["Sure: ", WHOLE]), InvalidJSONError, "inside other text"),
    "prose": (Script(["Ulm is a city."]), InvalidJSONError, "character 0: expected a JSON value"),
    "no number": (Script(['{"name": "Ulm", "people": "5"}']), SchemaError, "at $.people"),
    "no object": (Script(["[1, 2]"]), SchemaError, "at $"),
    "constants": (Script(['{"name": NaN}']), InvalidJSONError, "character 9"),
}


# What their finish reasons have a word for; the others say that the answer is complete.
TELLS_OF_FILTERS = {"openai", "openai-responses", "gemini", "bedrock"}
TELLS_OF_REFUSALS = {"anthropic", "bedrock-anthropic"}


@pytest.mark.parametrize("wanted", [City, JSON_SCHEMA], ids=["type", "schema"])
@pytest.mark.parametrize("case", MISFITS)
@pytest.mark.parametrize("provider", FORMATS)
async def test_what_does_not_fit_is_its_own_error_with_what_had_arrived(
    provider: str, case: str, wanted: Any
) -> None:
    script, kind, words = MISFITS[case]
    error, response = await fail(script, provider, wanted)

    if case == "filtered" and provider in TELLS_OF_FILTERS:
        words = "content filter"
    if case == "filtered" and provider in TELLS_OF_REFUSALS:
        kind, words = RefusalError, "refused"
    assert isinstance(error, InvalidJSONError)
    assert type(error) is kind
    assert words in str(error)
    assert error.text == response.get_text() == script.text
    assert not error.is_retryable
    with pytest.raises(kind):
        response.get_json()
    with pytest.raises(kind):
        _ = response.parsed


@pytest.mark.parametrize("text", ["[1]", "3", '"x"', "null"])
async def test_json_that_is_no_object_is_not_what_json_object_asks_for(text: str) -> None:
    error, _ = await fail(Script([text]), "openai", JSON_OBJECT)

    assert isinstance(error, SchemaError)
    assert error.path == "$"
    assert "expected an object" in error.reason


# Where a refusal is kept apart from text, or the finish reason tells of it.
REFUSALS = {
    "openai": Script([], refusal=["I will", " not."]),
    "openai-responses": Script([], refusal=["I will", " not."]),
    "anthropic": Script(["I will", " not."], finish="refusal"),
    "bedrock-anthropic": Script(["I will", " not."], finish="refusal"),
}


@pytest.mark.parametrize("provider", REFUSALS)
async def test_a_refusal_is_its_own_error_with_the_models_words(provider: str) -> None:
    error, _ = await fail(REFUSALS[provider], provider, City)

    assert type(error) is RefusalError
    assert error.text == "I will not."


@pytest.mark.parametrize("provider", [name for name in FORMATS if name not in REFUSALS])
async def test_a_refusal_that_is_told_as_text_is_text_that_is_no_json(provider: str) -> None:
    error, response = await fail(Script([], refusal=["I will", " not."]), provider, City)

    assert type(error) is InvalidJSONError
    assert error.text == response.get_text() == "I will not."


@pytest.mark.parametrize("provider", FORMATS)
async def test_whole_json_in_a_stream_without_its_end_is_an_incomplete_stream(
    provider: str,
) -> None:
    script = Script(ULM, finish=None, has_end=False, faults=[EndEarly(len(ULM))])
    error, response = await fail(script, provider, City, max_retries=0)

    assert type(error) is IncompleteStreamError
    assert response.get_text() == "".join(ULM)
    with pytest.raises(IncompleteStreamError):
        response.get_json()


# --- what is not checked, or looked for -------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [["```json\n", *ULM, "\n```"], ["Here {you} are: ", *ULM, " [sic]"], ULM],
    ids=["fence", "prose", "bare"],
)
@pytest.mark.parametrize("provider", FORMATS)
async def test_json_extract_finds_it(provider: str, pieces: list[str]) -> None:
    response = await ask(Script(pieces), provider, City, json_extract=True)

    assert response.parsed == City("Ulm", 129942)
    assert response.get_text() == "".join(pieces)


@pytest.mark.parametrize("text", [f"{WHOLE} or {WHOLE}", f"```\n{CUT}\n```", "none at all"])
async def test_json_extract_never_guesses(text: str) -> None:
    error, _ = await fail(Script([text]), "openai", City, json_extract=True)

    assert type(error) is InvalidJSONError


async def test_validate_schema_off_takes_any_json() -> None:
    misfit = Script(['{"town": 1}'])

    for wanted in (JSON_OBJECT, JSON_SCHEMA):
        response = await ask(misfit, "openai", wanted, validate_schema=False)
        assert response.parsed == response.get_json() == {"town": 1}
    with pytest.raises(SchemaError):  # a type is what the caller will use: it is always checked
        await ask(misfit, "openai", City, validate_schema=False)
    with pytest.raises(InvalidJSONError):
        await ask(Script([CUT]), "openai", JSON_SCHEMA, validate_schema=False)


async def test_a_schema_without_its_validator_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    async with LoopbackServer(Script(ULM)) as server, client_of(server) as client:
        with pytest.raises(ConfigurationError, match=r"steer-llm-sdk\[jsonschema\]"):
            client.stream_events("?", "m", provider="openai", response_format=JSON_SCHEMA)
        with pytest.raises(ConfigurationError, match="validate_schema=False"):
            client.stream_items("?", SCHEMA, "m", provider="openai")
        assert len(server.requests) == 0

        response = await client.generate(
            "?",
            "m",
            provider="openai",
            response_format=JSON_SCHEMA,
            streaming_options=StreamingOptions(validate_schema=False),
        )
        assert response.get_json()["name"] == "Ulm"
        assert (
            await client.generate("?", "m", provider="openai", response_format=City)
        ).parsed == City("Ulm", 129942)


# --- what goes out ----------------------------------------------------------------------------

JSON_TEXT = {"type": "text", "mime_type": "application/json"}
NAMED = {"name": "city", "schema": SCHEMA, "strict": True}
CHAT_SCHEMA = {"response_format": {"type": "json_schema", "json_schema": NAMED}}
SENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "openai": ({"response_format": JSON_OBJECT}, CHAT_SCHEMA),
    "mistral": ({"response_format": JSON_OBJECT}, CHAT_SCHEMA),
    "openai-responses": (
        {"text": {"format": JSON_OBJECT}},
        {"text": {"format": {"type": "json_schema", **NAMED}}},
    ),
    "anthropic": ({}, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    "gemini": (
        {"generationConfig": {"responseMimeType": "application/json"}},
        {
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseJsonSchema": SCHEMA,
            }
        },
    ),
    "ollama": ({"format": "json"}, {"format": SCHEMA}),
    "cohere": (
        {"response_format": JSON_OBJECT},
        {"response_format": JSON_OBJECT | {"json_schema": SCHEMA}},
    ),
    "gemini-interactions": (
        {"response_format": JSON_TEXT},
        {"response_format": JSON_TEXT | {"schema": SCHEMA}},
    ),
    "bedrock": (
        {},
        {
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"name": "city", "schema": json.dumps(SCHEMA)}},
                }
            }
        },
    ),
}
SENT["bedrock-anthropic"] = SENT["anthropic"]
FIELDS = (
    "response_format",
    "text",
    "output_config",
    "generationConfig",
    "format",
    "outputConfig",
)


async def sent(provider: str, response_format: Any) -> dict[str, Any]:
    """The fields of the request that ask for JSON."""
    async with LoopbackServer(Script(ULM)) as server, client_of(server) as client:
        await client.generate("?", "m", provider=provider, response_format=response_format)
        body = server.requests[0].json
    asked = {name: body[name] for name in FIELDS if name in body}
    if described := asked.get("outputConfig", {}).get("textFormat"):
        # Amazon takes a schema as text, in which white space means nothing.
        schema = described["structure"]["jsonSchema"]
        schema["schema"] = json.dumps(json.loads(schema["schema"]))
    return asked


@pytest.mark.parametrize("provider", SENT)
async def test_each_provider_is_asked_in_its_own_spelling(provider: str) -> None:
    by_object, by_schema = SENT[provider]

    assert await sent(provider, JSON_OBJECT) == by_object
    assert await sent(provider, JSON_SCHEMA) == by_schema


@pytest.mark.parametrize("provider", SENT)
async def test_a_type_is_asked_for_by_its_schema(provider: str) -> None:
    text = json.dumps(await sent(provider, City)).replace('\\"', '"')

    assert '"people": {"type": "integer"}' in text
    assert '"additionalProperties": false' in text


async def test_a_provider_without_schemas_takes_json_object_and_refuses_the_rest() -> None:
    assert await sent("deepseek", JSON_OBJECT) == {"response_format": JSON_OBJECT}
    for wanted in (JSON_SCHEMA, City):
        with pytest.raises(ConfigurationError, match="deepseek takes no JSON schema"):
            await sent("deepseek", wanted)


async def test_a_providers_own_format_goes_out_unchanged_and_comes_back_unchecked() -> None:
    async with LoopbackServer(Script(["root"])) as server, client_of(server) as client:
        own = {"type": "grammar", "grammar": 'root ::= "root"'}
        response = await client.generate("?", "m", provider="openai", response_format=own)

        assert server.requests[0].json["response_format"] == own
    assert response.get_text() == "root"
