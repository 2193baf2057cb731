"""What a caller passes as `response_format`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema_rs
import msgspec
import pydantic
import pytest
from pydantic.dataclasses import dataclass as pydantic_dataclass

from steer_llm_sdk.errors import ConfigurationError, SchemaError
from steer_llm_sdk.models.requests import JSONFormat, RawTool
from steer_llm_sdk.structured import ResponseFormat, read_response_format


class City(msgspec.Struct):
    name: str
    people: int
    mayor: str | None = None


class Country(msgspec.Struct):
    capital: City
    cities: list[City]


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=0)


class Node(pydantic.BaseModel):
    name: str
    children: list[Node]


@pydantic_dataclass
class Pair:
    left: int
    right: int


class _WithCode(pydantic.BaseModel):
    code: Callable[[], int]


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "array", "items": {"type": "integer"}}},
    "required": ["n"],
}


def _request(response_format: object) -> JSONFormat:
    request = read_response_format(response_format).request
    assert isinstance(request, JSONFormat)
    return request


def _schema(response_format: object) -> dict[str, Any]:
    schema = _request(response_format).schema
    assert schema is not None
    return dict(schema)


def _check(response_format: object, value: Any) -> Any:
    validator = read_response_format(response_format).validator
    assert validator is not None
    return validator.check(value)


@pytest.mark.parametrize("given", [None, {"type": "text"}])
def test_plain_text_asks_for_nothing(given: object) -> None:
    assert read_response_format(given) == ResponseFormat()
    assert not read_response_format(given).is_json


def test_json_object_asks_for_any_object() -> None:
    read = read_response_format({"type": "json_object"})

    assert read.request == JSONFormat()
    assert read.is_json
    assert not read.is_typed


def test_json_object_with_a_schema_beside_it_asks_for_the_schema() -> None:
    assert _request({"type": "json_object", "schema": SCHEMA}).schema == SCHEMA


@pytest.mark.parametrize(
    "given",
    [
        {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
        JSONFormat(SCHEMA, "n", strict=True),
    ],
)
def test_a_schema_passes_unchanged_in_every_spelling(given: object) -> None:
    assert _request(given) == JSONFormat(SCHEMA, "n", strict=True)


def test_a_bare_schema_of_an_object_is_understood() -> None:
    assert _request(SCHEMA) == JSONFormat(SCHEMA)


@pytest.mark.parametrize(
    "given",
    [
        {"$ref": "#/$defs/A", "$defs": {"A": SCHEMA}},
        {key: value for key, value in SCHEMA.items() if key != "type"},
        {"type": ["object", "null"], **{k: v for k, v in SCHEMA.items() if k != "type"}},
        {"anyOf": [SCHEMA]},
    ],
)
def test_a_schema_of_an_object_is_understood_however_it_says_so(given: dict[str, Any]) -> None:
    read = read_response_format(given)

    assert read.is_json
    assert read.validator is not None
    with pytest.raises(SchemaError):
        read.validator.check({"n": 5})


def test_a_recursive_schema_has_its_object_at_the_root() -> None:
    schema = _request(Node.model_json_schema()).schema

    assert schema is not None
    assert (schema["type"], list(schema["$defs"])) == ("object", ["Node"])


def test_a_schema_needs_no_name() -> None:
    assert _request({"type": "json_schema", "schema": SCHEMA}).name == "response"


@pytest.mark.parametrize("kind", ["jsonschema", "json-object", "JSON", "integer", "array"])
def test_a_slip_of_a_type_is_refused(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"response_format: expected .*found .*{kind}"):
        read_response_format({"type": kind})
    with pytest.raises(ConfigurationError, match=rf"response_format: expected .*found .*{kind}"):
        read_response_format({"type": [kind]})


def test_another_mapping_is_the_providers_own() -> None:
    given = {"type": "grammar", "value": "root ::= [0-9]+"}

    assert read_response_format(given) == ResponseFormat(RawTool(given))
    assert read_response_format(RawTool(given)) == ResponseFormat(RawTool(given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("json", "expected .*found 'json'"),
        (["json"], "expected"),
        (5, "found 5"),
        ({"type": "json_schema"}, "no mapping under"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "no mapping under"),
        ({"type": "json_schema", "schema": {"type": "objekt"}}, r"valid JSON Schema.*at \$\.type"),
        (int, "no object"),
        (list[City], "stream_items"),
        (pydantic.RootModel[list[int]], "no object"),
        (_WithCode, "msgspec or pydantic"),
        (list[Person], "stream_items"),
        (object(), "msgspec or pydantic"),
        (type("Odd", (), {}), "Odd"),
    ],
)
def test_anything_else_is_a_configuration_error(given: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_response_format(given)


def test_without_its_validator_a_schema_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)

    with pytest.raises(ConfigurationError, match=r"steer-llm-sdk\[jsonschema\].*validate_schema"):
        read_response_format({"type": "json_schema", "schema": SCHEMA})


def test_validate_schema_off_needs_no_validator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)

    read = read_response_format({"type": "json_schema", "schema": SCHEMA}, validate_schema=False)

    assert read.is_json
    assert read.validator is None


def test_types_of_msgspec_do_not_need_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pydantic")

    assert _check(City, {"name": "Ulm", "people": 5}) == City("Ulm", 5)
    assert "pydantic" not in sys.modules


@dataclasses.dataclass
class Shelf:
    place: Path
    page: pydantic.HttpUrl
    keeper: Person


def test_a_type_with_what_pydantic_alone_knows_is_read_by_it() -> None:
    keeper: dict[str, Any] = {"name": "Ada", "age": 36}
    value = {"place": "a/b", "page": "https://a.example/", "keeper": keeper}

    assert _schema(Shelf)["properties"]["place"]["format"] == "path"
    found = _check(Shelf, value)
    assert found == Shelf(Path("a/b"), pydantic.HttpUrl("https://a.example/"), Person(**keeper))
    with pytest.raises(SchemaError, match=r"at \$\.page"):
        _check(Shelf, value | {"page": "nowhere"})


@dataclasses.dataclass
class Town:
    name: Annotated[str, pydantic.Field(description="In its own language.", max_length=4)]
    twin: Town | None = None


class Trip(TypedDict):
    days: Annotated[int, msgspec.Meta(ge=1)]
    nights: Annotated[int, pydantic.Field(ge=1)]


def test_what_pydantic_says_of_a_field_is_asked_for_and_checked() -> None:
    told = _schema(Town)["properties"]["name"]

    assert (told["description"], told["maxLength"]) == ("In its own language.", 4)
    assert _check(Town, {"name": "Ulm"}) == Town("Ulm")
    with pytest.raises(SchemaError, match=r"at \$\.twin\.name"):
        _check(Town, {"name": "Ulm", "twin": {"name": "Mainz"}})


def test_a_type_whose_annotations_cannot_be_resolved_is_refused() -> None:
    broken = dataclasses.make_dataclass("Broken", [("page", "Nowhere")])

    with pytest.raises(ConfigurationError, match="found Broken: name 'Nowhere' is not defined"):
        read_response_format(broken)


def test_a_type_that_pydantic_refuses_is_read_by_msgspec(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise pydantic.PydanticUserError("use typing_extensions.TypedDict", code=None)

    monkeypatch.setattr(pydantic.TypeAdapter, "__init__", refuse)

    assert _schema(Trip)["properties"]["days"] == {"type": "integer", "minimum": 1}
    assert _check(Trip, {"days": 1, "nights": 1}) == {"days": 1, "nights": 1}


def test_where_pydantic_is_missing_such_a_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)

    with pytest.raises(ConfigurationError, match="a type that msgspec or pydantic knows"):
        read_response_format(Shelf)


@pytest.mark.filterwarnings("ignore:Mixing V1 models")
def test_a_model_of_pydantics_first_version_is_told_so() -> None:
    from pydantic import v1

    class Old(v1.BaseModel):
        days: int

    with pytest.raises(ConfigurationError, match="found Old: a model of pydantic's version 1"):
        read_response_format(Old)


@pytest.mark.parametrize("given", [Point(1, 2), Person(name="Ada", age=1), City("Ulm", 1)])
def test_an_object_in_the_place_of_its_class_is_told_so(given: Any) -> None:
    name = type(given).__name__

    with pytest.raises(ConfigurationError, match=f"an instance; pass its class, {name}$"):
        read_response_format(given)


def _function(name: str) -> None: ...


@pytest.mark.parametrize("given", [_function, partial(_function, "a"), _function.__get__(1)])
def test_a_function_is_no_type(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="a type that msgspec or pydantic knows"):
        read_response_format(given)


def test_a_type_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)

    assert _check(Point, {"x": 1, "y": 2.5}) == Point(1.0, 2.5)


def test_a_schema_never_reaches_for_the_network() -> None:
    with pytest.raises(ConfigurationError, match="valid JSON Schema"):
        read_response_format({"type": "json_schema", "schema": {"$ref": "http://127.0.0.1:9/x"}})


@pytest.mark.parametrize("wanted", [City, Country, Point, Movie, Person, Node, Pair])
def test_a_type_asks_for_an_object_at_the_root(wanted: Any) -> None:
    read = read_response_format(wanted)

    assert read.is_typed
    assert _schema(wanted)["type"] == "object"
    assert "$ref" not in _schema(wanted)
    assert _request(wanted).name == wanted.__name__


@pytest.mark.parametrize("wanted", [City, Country, Point, Movie, Person, Node, Pair])
def test_a_type_is_asked_for_as_strictly_as_the_provider_can(wanted: Any) -> None:
    request = _request(wanted)

    assert request.is_of_type
    assert request.strict is None


def test_a_field_with_a_default_may_be_left_out() -> None:
    assert _schema(City)["required"] == ["name", "people"]
    assert _check(City, {"name": "Ulm", "people": 1, "mayor": None}) == City("Ulm", 1)
    assert _check(City, {"name": "Ulm", "people": 1}) == City("Ulm", 1)


def test_a_recursive_type_keeps_its_definition() -> None:
    schema = _schema(Node)

    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    tree = {"name": "a", "children": [{"name": "b", "children": []}]}
    assert jsonschema_rs.validator_for(schema).is_valid(tree)


def test_names_are_tidied_for_the_provider() -> None:
    named = msgspec.defstruct("Größe & Form", [("n", int)])

    assert _request(named).name == "Gr_e_Form"


@pytest.mark.parametrize(
    ("wanted", "value", "typed"),
    [
        (City, {"name": "Ulm", "people": 5}, City("Ulm", 5)),
        (City, {"name": "Ulm", "people": 5.0}, City("Ulm", 5)),
        (Point, {"x": 1, "y": 2}, Point(1.0, 2.0)),
        (Movie, {"title": "M"}, {"title": "M"}),
        (Person, {"name": "Ada", "age": 36}, Person(name="Ada", age=36)),
        (Pair, {"left": 1, "right": 2}, Pair(left=1, right=2)),
    ],
)
def test_a_type_gives_its_object(wanted: Any, value: Any, typed: Any) -> None:
    assert _check(wanted, value) == typed


@pytest.mark.parametrize(
    ("wanted", "value", "path", "reason"),
    [
        (City, {"name": "Ulm", "people": "many"}, "$.people", "Expected `int`, got `str`"),
        (City, {"name": "Ulm"}, "$", "missing required field `people`"),
        (Country, {"capital": {"name": 1}, "cities": []}, "$.capital.name", "Expected `str`"),
        (Person, {"name": "Ada", "age": -1}, "$.age", "greater than or equal to 0"),
        (Node, {"name": "a", "children": [{"name": "b"}]}, "$.children[0].children", "required"),
        (SCHEMA, {"n": [1, "secret"]}, "$.n[1]", 'the value is not of type "integer"'),
        (SCHEMA, {}, "$", '"n" is a required property'),
        ({"type": "json_object"}, [1], "$", "expected an object, found an array"),
        ({"type": "json_object"}, True, "$", "expected an object, found a boolean"),
        ({"type": "json_object"}, 1, "$", "expected an object, found a number"),
    ],
)
def test_a_misfit_says_where_and_why(wanted: Any, value: Any, path: str, reason: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _check(wanted, value)

    assert caught.value.path == path
    assert reason in caught.value.reason
    assert path in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_code_of_the_users_type_that_fails_is_a_schema_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Picky(pydantic.BaseModel):
        n: int

        @pydantic.field_validator("n")
        @classmethod
        def _look(cls, n: int) -> int:
            return [5][n]

    with pytest.raises(SchemaError, match="the code of Picky raised IndexError"):
        _check(Picky, {"n": 1})
    assert "Picky" in caplog.text


def test_code_of_the_users_struct_that_fails_is_a_schema_error() -> None:
    class Picky(msgspec.Struct):
        n: int

        def __post_init__(self) -> None:
            raise LookupError

    with pytest.raises(SchemaError, match="the code of Picky raised LookupError"):
        _check(Picky, {"n": 1})


def test_a_strict_model_takes_dates_from_strings() -> None:
    class Event(pydantic.BaseModel, strict=True):
        kind: Literal["birth"]
        price: Decimal

    assert _check(Event, {"kind": "birth", "price": "1.50"}).price == Decimal("1.50")


@pytest.mark.parametrize(
    ("given", "starts"),
    [
        ({"type": "json_object"}, "{"),
        (City, "{"),
        ({"type": "json_schema", "schema": {"type": "array"}}, "["),
        ({"type": "json_schema", "schema": {}}, "{["),
    ],
)
def test_what_an_answer_can_start_with(given: object, starts: str) -> None:
    assert read_response_format(given).root_starts == starts
