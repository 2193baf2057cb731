"""JSON schemas as strict modes take them, with OpenAI's own SDK's transformation as the oracle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import msgspec
import pytest
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat, Tool
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format
from steer_llm_sdk.providers.strict_schema import strict_schema


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """A dog."""

    kind: Literal["dog"]
    tricks: list[str]


class Home(BaseModel):
    """Who lives where."""

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    guests: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    street: str = Field(description="Without the number.")
    cellar: str | None = None
    first: Cat = Field(description="The oldest.")


class Branch(BaseModel):
    name: str
    branches: list[Branch]


class Limited(BaseModel):
    title: str = Field(min_length=1, max_length=80, description="In one line.")
    score: int = Field(ge=1, le=5)
    tags: set[str] = Field(min_length=1)
    size: int = 3


def objects_of(schema: Any) -> list[Mapping[str, Any]]:
    if isinstance(schema, list):
        return [found for each in schema for found in objects_of(each)]
    if not isinstance(schema, Mapping):
        return []
    here = [schema] if schema.get("type") == "object" else []
    return [*here, *(found for each in schema.values() for found in objects_of(each))]


def keywords_of(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {found for each in schema for found in keywords_of(each)}
    if not isinstance(schema, Mapping):
        return set()
    named = schema.get("properties") or {}
    inner = [each for key, each in schema.items() if key not in {"properties", "$defs"}]
    inner += [*named.values(), *(schema.get("$defs") or {}).values()]
    return set(schema) | {found for each in inner for found in keywords_of(each)}


def written(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = strict_schema(schema)
    assert found is not None
    return found


def unravelled(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema without references: the two SDKs put them in different places."""
    if isinstance(schema, list):
        return [unravelled(each, definitions) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        inner = definitions[schema["$ref"].rpartition("/")[2]]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return unravelled({**inner, **beside}, definitions)
    if set(schema.get("anyOf", [{}])[0]) == {"$ref"} and len(schema["anyOf"]) == 1:
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return unravelled({**schema["anyOf"][0], **beside}, definitions)
    return {k: unravelled(v, definitions) for k, v in schema.items() if k != "$defs"}


def comparable(schema: Any) -> Any:
    """What both say: the official one leaves ``oneOf`` and its discriminator, which are refused."""
    if isinstance(schema, list):
        return [comparable(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        "anyOf" if key == "oneOf" else key: comparable(value)
        for key, value in schema.items()
        if key != "discriminator"
    }


def test_a_models_schema_is_that_of_the_official_sdk() -> None:
    official = to_strict_json_schema(Home)
    ours = written(Home.model_json_schema())

    assert unravelled(ours, ours["$defs"]) == unravelled(comparable(official), official["$defs"])


def test_a_recursive_models_schema_is_that_of_the_official_sdk() -> None:
    assert written(Branch.model_json_schema()) == to_strict_json_schema(Branch)


@pytest.mark.parametrize("model", [Cat, Dog, Home, Branch, Limited])
def test_every_object_is_closed_and_every_field_required(model: type[BaseModel]) -> None:
    for part in objects_of(written(model.model_json_schema())):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])


def test_a_discriminated_union_is_written_in_words_that_strict_modes_know() -> None:
    pet = written(Home.model_json_schema())["properties"]["pet"]

    assert pet == {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "title": "Pet"}


REFUSED = {"minLength", "maxLength", "uniqueItems", "default", "oneOf", "discriminator", "allOf"}


@pytest.mark.parametrize("model", [Home, Limited])
def test_nothing_is_left_that_the_api_refuses(model: type[BaseModel]) -> None:
    assert not keywords_of(written(model.model_json_schema())) & REFUSED


def test_what_is_taken_out_is_said_in_the_description() -> None:
    fields = written(Limited.model_json_schema())["properties"]

    assert fields["title"]["description"] == "In one line.\n\n{maxLength: 80, minLength: 1}"
    assert fields["tags"]["description"] == "{uniqueItems: true}"
    assert fields["tags"]["minItems"] == 1
    assert fields["size"]["description"] == "{default: 3}"
    assert (fields["score"]["minimum"], fields["score"]["maximum"]) == (1, 5)


def test_a_strict_schema_stays_as_it_is() -> None:
    schema = to_strict_json_schema(Branch)

    assert written(schema) == schema


def test_a_field_that_may_be_null_is_required_and_has_no_default() -> None:
    cellar = written(Home.model_json_schema())["properties"]["cellar"]

    assert cellar == {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Cellar"}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "string"),
        ([1, 2], "integer"),
        ([None, "a"], ["null", "string"]),
        ([True], "boolean"),
        ([0.5], "number"),
    ],
)
def test_values_alone_say_their_type(values: list[Any], kind: Any) -> None:
    schema = {"type": "object", "properties": {"x": {"enum": values}}, "required": ["x"]}

    assert written(schema)["properties"]["x"] == {"type": kind, "enum": values}


def test_a_single_value_says_its_type() -> None:
    schema = {"type": "object", "properties": {"x": {"const": "a"}}, "required": ["x"]}

    assert written(schema)["properties"]["x"] == {"type": "string", "const": "a"}


def test_fields_make_an_object() -> None:
    assert written({"properties": {}})["type"] == "object"


def test_a_part_that_stands_alone_takes_the_place_of_all_of() -> None:
    inner = {"allOf": [{"$ref": "#/$defs/A"}], "description": "x"}
    schema = {
        "type": "object",
        "properties": {"a": inner},
        "required": ["a"],
        "$defs": {"A": {"type": "string"}},
    }

    assert written(schema)["properties"]["a"] == {
        "anyOf": [{"$ref": "#/$defs/A"}],
        "description": "x",
    }


class WithOptional(TypedDict):
    title: NotRequired[str]


class WithOpenObject(msgspec.Struct):
    counts: dict[str, int]


class WithAnything(msgspec.Struct):
    value: Any


class WithPair(msgspec.Struct):
    pair: tuple[int, str]


@pytest.mark.parametrize("wanted", [WithOptional, WithOpenObject, WithAnything, WithPair])
def test_a_type_that_would_mean_something_else_has_no_strict_form(wanted: Any) -> None:
    (name, schema) = next(iter(msgspec.json.schema(wanted)["$defs"].items()))

    assert name == wanted.__name__
    assert strict_schema(schema) is None


STRING = {"type": "string"}


@pytest.mark.parametrize(
    "inner",
    [
        {},
        True,
        {"description": "anything"},
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object", "properties": {"y": STRING}},
        {"type": "array"},
        {"type": "array", "items": True},
        {"enum": [{"a": 1}]},
        {"enum": []},
        {"allOf": [STRING, STRING]},
        {"allOf": [STRING], "type": "integer"},
        {"anyOf": [STRING], "oneOf": [STRING]},
        {"type": "array", "prefixItems": [STRING], "items": STRING},
        {"type": "object", "properties": {}, "patternProperties": {"^a": STRING}},
    ],
)
def test_a_schema_that_would_mean_something_else_has_no_strict_form(inner: Any) -> None:
    assert strict_schema({"type": "object", "properties": {"x": inner}, "required": ["x"]}) is None


@pytest.mark.parametrize(
    ("inner", "is_default"),
    [
        ({"anyOf": [STRING, {"type": "null"}], "default": None}, True),
        ({"type": ["string", "null"], "default": None}, True),
        ({"oneOf": [STRING, {"type": "null"}], "default": None}, True),
        ({"type": "string", "default": None}, False),
        ({"type": "string", "default": "a"}, True),
        (True, False),
    ],
)
def test_a_field_is_required_where_leaving_it_out_can_be_said(
    inner: Any, *, is_default: bool
) -> None:
    found = strict_schema({"type": "object", "properties": {"x": inner}})

    assert (found is not None) is is_default


# --- who is sent which --------------------------------------------------------------------------


def sent(provider: str, **asked: Any) -> dict[str, Any]:
    row = PROVIDERS[provider]
    endpoint = Endpoint(provider, row.base_url or "http://host.test/v1", "k")
    chat = ChatRequest("m", read_messages("Hi"), **asked)
    found: dict[str, Any] = json.loads(wire_format(row).request(chat, endpoint).body)
    return found


def format_sent(provider: str, wanted: JSONFormat) -> dict[str, Any]:
    body = sent(provider, response_format=wanted)
    if provider == "openai-responses":
        found: dict[str, Any] = body["text"]["format"]
    else:
        found = body["response_format"]["json_schema"]
    return found


LIMITED = Limited.model_json_schema()
HOME = Home.model_json_schema()
STRICT = ("openai", "azure", "openai-responses", "xai", "groq", "mistral", "openrouter")
WHOLE = ("vllm", "llamacpp", "lmstudio", "local")


@pytest.mark.parametrize("provider", STRICT)
def test_a_types_schema_is_asked_for_strictly(provider: str) -> None:
    found = format_sent(provider, JSONFormat(LIMITED, "limited", is_of_type=True))

    assert found == {"name": "limited", "schema": written(LIMITED), "strict": True} | (
        {"type": "json_schema"} if provider == "openai-responses" else {}
    )


@pytest.mark.parametrize("provider", WHOLE)
def test_servers_with_grammars_are_told_the_limits(provider: str) -> None:
    found = format_sent(provider, JSONFormat(LIMITED, "limited", is_of_type=True))

    assert found == {"name": "limited", "schema": LIMITED}


@pytest.mark.parametrize("provider", WHOLE)
def test_they_are_asked_strictly_for_what_loses_nothing(provider: str) -> None:
    found = format_sent(provider, JSONFormat(HOME, "home", is_of_type=True))

    assert (found["schema"], found["strict"]) == (written(HOME), True)


@pytest.mark.parametrize("provider", ["openai", "openai-responses"])
def test_the_callers_own_schema_is_written_where_the_caller_says_strict(provider: str) -> None:
    found = format_sent(provider, JSONFormat(LIMITED, "limited", strict=True))

    assert (found["schema"], found["strict"]) == (written(LIMITED), True)


@pytest.mark.parametrize("strict", [None, False])
@pytest.mark.parametrize("provider", ["openai", "openai-responses"])
def test_the_callers_own_schema_is_else_sent_as_it_is(provider: str, strict: bool | None) -> None:
    found = format_sent(provider, JSONFormat(LIMITED, "limited", strict=strict))

    assert found["schema"] == LIMITED
    assert found.get("strict") is strict


@pytest.mark.parametrize("is_of_type", [True, False])
def test_what_has_no_strict_form_is_sent_as_it_is(*, is_of_type: bool) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    strict = None if is_of_type else True

    found = format_sent("openai", JSONFormat(schema, strict=strict, is_of_type=is_of_type))

    assert found["schema"] == schema
    assert found.get("strict") is strict


@pytest.mark.parametrize("provider", ["openai", "openai-responses"])
def test_a_strict_tool_is_written_too(provider: str) -> None:
    tools = (
        Tool("a", None, LIMITED, strict=True),
        Tool("b", None, LIMITED),
        Tool("c", None, {"type": "object"}, strict=True),
    )

    found = [
        tool.get("function", tool)["parameters"] for tool in sent(provider, tools=tools)["tools"]
    ]

    assert found == [written(LIMITED), LIMITED, {"type": "object"}]


def test_ollama_is_told_the_limits_and_closed_objects() -> None:
    assert sent("ollama", response_format=JSONFormat(LIMITED, is_of_type=True))["format"] == LIMITED
    assert sent("ollama", response_format=JSONFormat(HOME, is_of_type=True))["format"] == written(
        HOME
    )


def test_a_schema_without_an_end_is_refused() -> None:
    circle: dict[str, Any] = {"type": "object", "required": ["x"]}
    circle["properties"] = {"x": circle}

    with pytest.raises(ConfigurationError, match=r"openai: .* the schema has no end"):
        sent("openai", response_format=JSONFormat(circle, strict=True))


def test_the_schema_that_was_given_is_not_changed() -> None:
    before = json.dumps(HOME)

    strict_schema(HOME)

    assert json.dumps(HOME) == before


def test_optional_is_known_by_its_types() -> None:
    class Note(BaseModel):
        text: Optional[str] = None  # noqa: UP045 - the older spelling is meant

    assert written(Note.model_json_schema()) == to_strict_json_schema(Note)
