"""JSON schemas as Gemini takes them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat, Tool
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.gemini.schema import format_schema


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(gt=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]


class Home(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind", description="Who lives there.")]
    name: str = Field("Home", max_length=8, pattern="^H")
    first: Cat = Field(description="The oldest.")


TAKEN = {
    "$anchor", "$defs", "$ref", "additionalProperties", "anyOf", "description", "enum", "format",
    "items", "maxItems", "maximum", "minItems", "minimum", "prefixItems", "properties",
    "propertyOrdering", "required", "title", "type",
}  # fmt: skip


def keywords_of(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {found for each in schema for found in keywords_of(each)}
    if not isinstance(schema, dict):
        return set()
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner = [value for key, value in schema.items() if key not in {"properties", "$defs"}]
    return set(schema) | {found for each in [*named, *inner] for found in keywords_of(each)}


def test_only_what_the_api_knows_is_said() -> None:
    assert keywords_of(format_schema(Home.model_json_schema())) <= TAKEN


def test_a_discriminated_union_keeps_the_words_that_tell_its_kinds_apart() -> None:
    schema = format_schema(Home.model_json_schema())

    assert schema["properties"]["pet"] == {
        "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "description": "Who lives there.",
        "title": "Pet",
    }
    assert schema["$defs"]["Dog"]["properties"]["kind"]["enum"] == ["dog"]


def test_what_it_does_not_know_is_said_in_the_description() -> None:
    schema = format_schema(Home.model_json_schema())

    assert schema["properties"]["name"] == {
        "type": "string",
        "title": "Name",
        "description": '{default: "Home", maxLength: 8, pattern: ^H}'.replace('"Home"', "Home"),
    }
    lives = schema["$defs"]["Cat"]["properties"]["lives"]
    assert lives["description"] == "{exclusiveMinimum: 0}"
    assert lives["maximum"] == 9


def test_nothing_stands_beside_a_reference() -> None:
    first = format_schema(Home.model_json_schema())["properties"]["first"]

    assert first == {"anyOf": [{"$ref": "#/$defs/Cat"}], "description": "The oldest."}


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": 3}, {"type": "integer", "enum": [3]}),
        ({"enum": ["a", 1]}, {"type": ["string", "integer"], "enum": ["a", 1]}),
        ({"const": True}, {"type": "boolean", "description": "{one of: [true]}"}),
        (
            {"enum": [None, "a"]},
            {"type": ["null", "string"], "description": '{one of: [null,"a"]}'},
        ),
        ({"enum": [{"a": 1}]}, {"description": '{one of: [{"a":1}]}'}),
        ({"enum": "a"}, {"enum": "a"}),
        ({"oneOf": [{"const": 1}]}, {"anyOf": [{"type": "integer", "enum": [1]}]}),
        ({"items": True}, {"items": True}),
        ({"prefixItems": [{"const": 1}]}, {"prefixItems": [{"type": "integer", "enum": [1]}]}),
        ({"allOf": [{"type": "string"}]}, {"type": "string"}),
        ({"allOf": [1]}, {"description": "{allOf: [1]}"}),
    ],
)
def test_how_it_is_written(given: Any, written: Any) -> None:
    assert format_schema(given) == written


def test_definitions_stay_beside_a_reference_at_the_root() -> None:
    schema = {"$ref": "#/$defs/A", "description": "x", "$defs": {"A": {"type": "string"}}}

    assert format_schema(schema) == {
        "anyOf": [{"$ref": "#/$defs/A"}],
        "description": "x",
        "$defs": {"A": {"type": "string"}},
    }


def body(**asked: Any) -> dict[str, Any]:
    chat = ChatRequest("gemini-3-flash", read_messages("Hi"), **asked)
    request = Gemini().request(chat, Endpoint("gemini", "https://gemini.test", "k"))
    found: dict[str, Any] = json.loads(request.body)
    return found


def test_objects_of_a_type_are_closed_and_those_of_a_schema_as_they_were() -> None:
    schema = {"type": "object", "properties": {"x": {"const": 1}}}

    typed = body(response_format=JSONFormat(schema, is_of_type=True))["generationConfig"]
    given = body(response_format=JSONFormat(schema))["generationConfig"]

    assert typed["responseJsonSchema"]["additionalProperties"] is False
    assert "additionalProperties" not in given["responseJsonSchema"]


def test_parameters_of_tools_are_written_too() -> None:
    tool = Tool("f", None, {"type": "object", "properties": {"x": {"const": "a"}}})

    (declared,) = body(tools=(tool,))["tools"][0]["functionDeclarations"]

    assert declared["parametersJsonSchema"]["properties"]["x"]["enum"] == ["a"]


def test_a_schema_without_an_end_is_refused() -> None:
    circle: dict[str, Any] = {}
    circle["items"] = circle

    with pytest.raises(ConfigurationError, match=r"gemini: .* the schema has no end"):
        body(response_format=JSONFormat(circle))
