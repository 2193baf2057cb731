"""JSON schemas as Anthropic takes them, with its own SDK's transformation as the oracle."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import anthropic
import pytest
from pydantic import BaseModel, Field, RootModel, TypeAdapter

from steer_llm_sdk.providers.anthropic.schema import format_schema


class Place(BaseModel):
    kind: Literal["place"] = "place"
    latitude: float = Field(ge=-90, le=90, multiple_of=0.5)


class Person(BaseModel):
    """A person."""

    kind: Literal["person"]
    name: str = Field(min_length=1, max_length=80, pattern="^[A-Z]")
    born: Annotated[str, Field(json_schema_extra={"format": "date"})]
    size: Annotated[str, Field(json_schema_extra={"format": "inches"})]


class Review(BaseModel):
    score: int = Field(ge=1, le=5, description="Stars.")
    tags: list[str] = Field(min_length=2, max_length=3)
    notes: set[str] = Field(min_length=1)
    about: Annotated[Place | Person, Field(discriminator="kind")]
    mood: Literal["good", "bad", 3] | None = None
    counts: dict[str, int]


class Everything(RootModel[Review]):
    pass


def without_descriptions(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_descriptions(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_descriptions(value)
        for key, value in schema.items()
        if key != "description" and (key, value) != ("properties", {})
    }


@pytest.mark.parametrize("model", [Place, Person, Review, Everything])
def test_a_models_schema_is_that_of_the_official_sdk(model: type[BaseModel]) -> None:
    given = TypeAdapter(model).json_schema()
    official = anthropic.transform_schema(json.loads(json.dumps(given)))

    assert without_descriptions(format_schema(given)) == without_descriptions(official)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("minimum", 1),
        ("maximum", 5),
        ("exclusiveMinimum", 0),
        ("exclusiveMaximum", 9),
        ("multipleOf", 2),
        ("minLength", 1),
        ("maxLength", 80),
        ("maxItems", 3),
        ("minItems", 2),
        ("uniqueItems", True),
        ("pattern", "^a"),
        ("format", "inches"),
        ("propertyNames", {"pattern": "^a"}),
        ("enum", [{"a": 1}]),
        ("enum", []),
        ("const", [1]),
        ("anyOf", None),
        ("items", True),
    ],
)
def test_what_the_api_refuses_is_said_in_the_description(keyword: str, value: Any) -> None:
    written = format_schema({"type": "string", "description": "A word.", keyword: value})

    assert keyword not in written
    assert written["description"].startswith("A word.\n\n{" + keyword + ": ")


@pytest.mark.parametrize("keyword", ["$schema", "$id", "$comment", "examples"])
def test_what_says_nothing_of_the_values_goes_in_silence(keyword: str) -> None:
    assert format_schema({"type": "string", keyword: "x"}) == {"type": "string"}


@pytest.mark.parametrize("count", [0, 1])
def test_no_item_and_one_item_can_be_asked_for(count: int) -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": count}

    assert format_schema(schema) == schema


def test_one_of_is_any_of() -> None:
    either = [{"type": "string"}, {"type": "null"}]

    assert format_schema({"oneOf": either}) == {"anyOf": either}


def test_what_is_no_object_among_alternatives_stays_as_it_is() -> None:
    assert format_schema({"anyOf": [True]}) == {"anyOf": [True]}


def test_both_kinds_of_alternatives_keep_the_one_that_has_a_spelling() -> None:
    either = [{"type": "string"}]

    assert format_schema({"anyOf": either, "oneOf": either}) == {
        "anyOf": either,
        "description": '{oneOf: [{"type":"string"}]}',
    }


def test_an_object_among_several_types_is_closed() -> None:
    assert format_schema({"type": ["object", "null"]}) == {
        "type": ["object", "null"],
        "additionalProperties": False,
    }


def test_nothing_stands_beside_a_reference() -> None:
    reference = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}, "description": "x"}

    assert format_schema(reference) == {
        "$ref": "#/$defs/A",
        "$defs": {"A": {"type": "object", "additionalProperties": False}},
    }


def test_the_schema_that_was_given_is_not_changed() -> None:
    given = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    before = json.dumps(given)

    format_schema(given)

    assert json.dumps(given) == before
