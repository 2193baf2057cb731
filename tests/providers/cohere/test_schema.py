"""JSON schemas as Cohere takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.providers.cohere.schema import build_schema, format_schema


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    tag: str = Field(pattern="[A-Z]{3}")


class Home(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    name: str = Field(max_length=8, pattern="^H")
    mail: str = Field(json_schema_extra={"format": "email"})
    since: str = Field(json_schema_extra={"format": "date"})
    rooms: list[str] = Field(min_length=1)
    first: Cat = Field(description="The oldest.")


def built(schema: Any, *, closes: bool = True) -> Any:
    return build_schema(schema, "cohere", closes=closes)


def test_what_is_not_taken_is_said_in_the_description() -> None:
    written = built(Home.model_json_schema())["properties"]

    assert written["name"]["description"] == "{maxLength: 8, pattern: ^H}"
    assert written["mail"]["description"] == "{format: email}"
    assert written["rooms"]["description"] == "{minItems: 1}"
    assert written["since"]["format"] == "date"
    assert "format" not in written["mail"]


def test_inner_schemas_are_written_too() -> None:
    written = built(Home.model_json_schema())

    assert written["$defs"]["Cat"]["properties"]["lives"] == {
        "type": "integer",
        "title": "Lives",
        "description": "{maximum: 9, minimum: 1}",
    }
    assert written["$defs"]["Dog"]["properties"]["tag"]["pattern"] == "[A-Z]{3}"
    assert written["properties"]["pet"]["anyOf"] == [
        {"$ref": "#/$defs/Cat"},
        {"$ref": "#/$defs/Dog"},
    ]
    assert written["properties"]["first"] == {
        "anyOf": [{"$ref": "#/$defs/Cat"}],
        "description": "The oldest.",
    }


def test_the_objects_of_a_type_are_closed_and_those_of_a_schema_as_they_are() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}

    closed = built(schema)
    assert closed["additionalProperties"] is closed["properties"]["a"]["additionalProperties"]
    assert closed["additionalProperties"] is False
    assert built(schema, closes=False) == schema
    mapping = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
    assert built(mapping)["additionalProperties"] == {
        "type": "integer",
        "description": "{minimum: 0}",
    }


def test_an_object_stands_at_the_root() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {}}}}

    assert built(schema, closes=False) == {"type": "object", "properties": {}}


@pytest.mark.parametrize("schema", [True, None, "x"])
def test_what_is_no_schema_stays_as_it_is(schema: object) -> None:
    assert format_schema(schema) is schema
    assert format_schema({"anyOf": schema, "properties": schema}) == {
        "anyOf": schema,
        "properties": schema,
    }


def test_a_schema_without_an_end_is_refused() -> None:
    circle: dict[str, Any] = {"type": "object"}
    circle["properties"] = {"x": circle}

    with pytest.raises(ConfigurationError, match=r"cohere: .* the schema has no end"):
        built(circle)
