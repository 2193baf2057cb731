"""Python functions as tools: what the model is told of them, and what they are called with."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypedDict

import annotated_types
import anthropic
import jsonschema_rs
import msgspec
import pydantic
import pytest

from steer_llm_sdk.checks import is_asynchronous
from steer_llm_sdk.errors import ConfigurationError, InvalidJSONError, SchemaError
from steer_llm_sdk.models import requests
from steer_llm_sdk.structured import Tool, Toolbox, read_toolbox


class Unit(Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Place(msgspec.Struct):
    city: str
    country: str = "DE"


class Untagged(msgspec.Struct):
    street: str


@dataclasses.dataclass
class Box:
    width: int


class Movie(TypedDict):
    title: str


class Person(pydantic.BaseModel):
    name: str
    born: dt.date | None = None


def get_weather(city: str, days: int = 1) -> str:
    """The weather in a city.

    Args:
        city: Where.
        days: How many days.
    """
    return f"{city} {days}"


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    return Tool(function).parameters


def call(function: Callable[..., Any], arguments: str) -> Any:
    places, names = Tool(function).read_arguments(arguments)
    return function(*places, **names)


# --- what the model is told ---


def test_a_function_is_told_by_its_name_its_docstring_and_its_annotations() -> None:
    assert Tool(get_weather).request == requests.Tool(
        "get_weather",
        "The weather in a city.",
        {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where."},
                "days": {"type": "integer", "description": "How many days.", "default": 1},
            },
            "required": ["city"],
            "additionalProperties": False,
        },
    )


def test_what_is_passed_stands_before_what_the_function_says() -> None:
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}

    tool = Tool(get_weather, "weather", "Now.", schema)

    assert tool.request == requests.Tool("weather", "Now.", schema)


def test_every_kind_of_type_has_its_schema() -> None:
    def function(  # type: ignore[no-untyped-def]
        unit: Unit,
        word: Literal["a", "b"],
        place: Place,
        box: Box,
        movie: Movie,
        person: Person,
        numbers: list[int],
        anything,
    ) -> None: ...

    properties = schema_of(function)["properties"]

    assert properties == {
        "unit": {"$ref": "#/$defs/Unit"},
        "word": {"enum": ["a", "b"]},
        "place": {"$ref": "#/$defs/Place"},
        "box": {"$ref": "#/$defs/Box"},
        "movie": {"$ref": "#/$defs/Movie"},
        "person": {"$ref": "#/$defs/Person"},
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "anything": {},
    }
    assert set(schema_of(function)["$defs"]) == {"Unit", "Place", "Box", "Movie", "Person"}


class Documented:
    documentation = "How many."


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (Annotated[int, "How many."], {"description": "How many."}),
        (Annotated[int, Documented()], {"description": "How many."}),
        (Annotated[int, msgspec.Meta(description="How many.", ge=1)], {"minimum": 1}),
        (Annotated[int, pydantic.Field(description="How many.", ge=1)], {"minimum": 1}),
        (Annotated[int, annotated_types.Ge(1), annotated_types.Lt(9)], {"exclusiveMaximum": 9}),
        (Annotated[str, annotated_types.MinLen(2)], {"type": "string", "minLength": 2}),
        (Annotated[int | None, msgspec.Meta(ge=1)], {}),
        (Annotated[list[int], annotated_types.MaxLen(3)], {"maxItems": 3}),
    ],
)
def test_annotated_gives_bounds_and_descriptions(annotation: Any, schema: dict[str, Any]) -> None:
    def function(number: Any) -> None: ...

    function.__annotations__["number"] = annotation

    found = schema_of(function)["properties"]["number"]

    assert schema.items() <= found.items()
    if "How many." in str(annotation) or "Documented" in str(annotation):
        assert found["description"] == "How many."


def test_the_bounds_of_an_optional_number_are_those_of_the_number() -> None:
    def function(number: Annotated[int | None, annotated_types.Ge(1)] = None) -> int | None:
        return number

    wanted = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}
    assert schema_of(function)["properties"]["number"] == wanted
    assert call(function, '{"number": null}') is None
    with pytest.raises(SchemaError, match=r"at \$\.number: Expected `int` >= 1"):
        call(function, '{"number": 0}')


def test_words_in_the_signature_stand_before_those_of_the_docstring() -> None:
    def function(a: Annotated[int, "Here."], b: int) -> None:
        """Do.

        :param a: There.
        :param b: There.
        """

    properties = schema_of(function)["properties"]

    assert [properties[name]["description"] for name in "ab"] == ["Here.", "There."]


def test_a_function_without_words_has_no_description() -> None:
    def function() -> None: ...

    empty = {"type": "object", "properties": {}, "additionalProperties": False}
    assert Tool(function).request == requests.Tool("function", None, empty)


def test_a_parameter_whose_default_is_null_may_be_null() -> None:
    def function(a: str = None, b: Person = None) -> Any:  # type: ignore[assignment] # noqa: RUF013
        return a, b

    assert schema_of(function)["properties"] == {
        "a": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "b": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
    }
    assert call(function, '{"a": null, "b": null}') == (None, None)


def test_schemas_are_valid_and_take_what_the_function_takes() -> None:
    def function(person: Person, place: Place, days: Annotated[int, "1 to 7"] = 3) -> None: ...

    validator = jsonschema_rs.validator_for(schema_of(function))

    assert validator.is_valid({"person": {"name": "Ada"}, "place": {"city": "Ulm"}, "days": 1})
    assert not validator.is_valid({"person": {"name": "Ada"}, "place": {"city": "Ulm"}, "x": 1})


def test_functions_are_read_where_pydantic_is_loaded_and_not_used() -> None:
    program = (
        "import pydantic; from typing import Annotated; from steer_llm_sdk import Tool\n"
        "def add(a: int, b: Annotated[int, 'Two.'] = 2) -> int: ...\n"
        "print(list(Tool(add).parameters['properties']))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "['a', 'b']"


# --- what may be a tool ---


def test_a_parameter_may_be_called_self_where_it_has_a_type() -> None:
    class Shop:
        @staticmethod
        def buy(self: str) -> str:  # noqa: PLW0211
            return self

    assert list(Tool(Shop.buy).parameters["properties"]) == ["self"]


def test_the_tools_of_anthropics_sdk_are_functions() -> None:
    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    @anthropic.beta_async_tool
    async def forecast(city: str) -> str:
        """The weather to come."""
        return city

    for given, name, words in (
        (weather, "weather", "The weather in a city."),
        (forecast, "forecast", "The weather to come."),
    ):
        tool = Tool(given)
        assert (tool.name, tool.description) == (name, words)
        assert tool.parameters["properties"] == {"city": {"type": "string"}}
        assert tool.function is not None
    assert is_asynchronous(forecast)
    assert not is_asynchronous(weather)


def test_methods_partials_and_objects_that_can_be_called_are_functions() -> None:
    class Shop:
        """Sells."""

        def buy(self, what: str) -> str:
            """Buy it."""
            return what

        def __call__(self, price: int) -> int:
            return price

    def add(a: int, b: int, c: int = 0) -> int:
        """Add."""
        return a + b + c

    @functools.wraps(add)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return add(*args, **kwargs)

    with pytest.raises(
        ConfigurationError, match=r"'buy': it is a method, and of no object: .*Shop"
    ):
        Tool(Shop.buy)
    bound = functools.partial(add, 1, c=5)
    tools = [Tool(each) for each in (Shop().buy, Shop(), bound, wrapped)]

    assert [
        (tool.name, tool.description, list(tool.parameters["properties"])) for tool in tools
    ] == [
        ("buy", "Buy it.", ["what"]),
        ("Shop", "Sells.", ["price"]),
        ("add", "Add.", ["b"]),
        ("add", "Add.", ["a", "b", "c"]),
    ]
    assert call(bound, '{"b": 2}') == 8


def test_a_tool_without_a_function_is_run_by_somebody_else() -> None:
    tool = Tool(None, "ask_user", "Ask.")

    assert tool.request == requests.Tool("ask_user", "Ask.", {"type": "object", "properties": {}})
    assert (tool.runs_by_itself, repr(tool)) == (False, "Tool('ask_user')")


@pytest.mark.parametrize(
    ("needs_approval", "runs"), [(False, True), (True, False)], ids=["free", "approved"]
)
def test_a_tool_that_needs_approval_does_not_run_by_itself(
    needs_approval: bool, runs: bool
) -> None:
    assert Tool(get_weather, needs_approval=needs_approval).runs_by_itself is runs


def takes_list(*numbers: int) -> None: ...


def takes_names(**names: int) -> None: ...


def takes_object(thing: threading_lock) -> None: ...  # type: ignore[name-defined] # noqa: F821


def takes_range(times: int, number: range) -> None: ...


def takes_words(city: Any) -> None: ...


takes_words.__annotations__["city"] = "The city to look up"


def takes_mapping(city: Any) -> None: ...


takes_mapping.__annotations__["city"] = {"name": str}


def takes_final(city: Any = "Ulm") -> None: ...


takes_final.__annotations__["city"] = Final[str]


def takes_class_var(city: Any) -> None: ...


takes_class_var.__annotations__["city"] = ClassVar[str]


class NeedsPackage:
    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        raise ImportError("email-validator is not installed")


def takes_what_needs_a_package(
    who: Person, to: Annotated[NeedsPackage, pydantic.Field()]
) -> None: ...


def takes_one_of_two(place: Place | Untagged) -> None: ...


def takes_callable(
    person: Person, call: Annotated[Callable[[], int], pydantic.Field()]
) -> None: ...


async def yields(number: int) -> Any:
    yield number


def yields_too(number: int) -> Any:
    yield number


class NoSignature:
    __signature__ = "broken"

    def __call__(self) -> None: ...


PLACE_OF_PYDANTIC: Any = pydantic.create_model("Place", name=(str, ...))


def takes_two_of_one_name(a: Place, b: PLACE_OF_PYDANTIC) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((takes_list,), r"'takes_list': it takes \*numbers, which no schema describes"),
        ((takes_names,), r"'takes_names': it takes \*\*names, which no schema describes"),
        ((takes_object,), "its annotations cannot be resolved: name 'threading_lock'"),
        ((takes_range,), r"a type of its parameters is none of JSON: range, of 'number'$"),
        ((takes_callable,), "a type of its parameters is none of JSON"),
        ((takes_words,), "its annotations cannot be resolved: .*The city to look up"),
        ((takes_mapping,), "a type of its parameters is none of JSON: .*, of 'city'$"),
        ((takes_final,), r"its parameters cannot be described \(TypeError: .*Final"),
        ((takes_class_var,), r"its parameters cannot be described \(KeyError: 'city'\)"),
        ((takes_what_needs_a_package,), "none of JSON: email-validator is not installed"),
        ((takes_one_of_two,), "of 'place': If a type union .* all Struct types must be tagged"),
        ((takes_two_of_one_name,), "two types of its parameters are called 'Place'"),
        ((yields,), "expected a function that returns its result, found 'yields', which yields"),
        ((yields_too,), "found 'yields_too', which yields"),
        ((NoSignature(),), "its parameters cannot be read .*: pass parameters="),
        ((Place,), "found the class Place; for an answer of that type: response_format=Place"),
        ((7,), "tools: expected a function, found int"),
        ((None,), "expected the name of a tool to be letters"),
        ((lambda: 1,), "found '<lambda>': pass Tool\\(function, name=…\\)"),
        ((get_weather, "get weather"), "found 'get weather'"),
        ((get_weather, "a" * 65), "up to 64 of them"),
        ((get_weather, 7), "the name of a tool: expected a str"),
        ((get_weather, None, 7), "the tool 'get_weather': description: expected a str"),
        ((get_weather, None, None, []), "parameters: expected a mapping"),
        ((get_weather, None, None, None, 0), "timeout: expected a number of seconds above 0"),
        ((get_weather, None, None, None, 1, "yes"), "needs_approval: expected True or False"),
    ],
)
def test_what_is_no_tool_is_refused_and_says_why(arguments: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Tool(*arguments)


# --- what it is called with ---


def test_arguments_are_converted_to_the_types_of_the_parameters() -> None:
    def function(
        when: dt.date, unit: Unit, place: Place, person: Person, json: float = 1.5
    ) -> tuple[Any, ...]:
        return when, unit, place, person, json

    arguments = """{"when": "2026-01-02", "unit": "celsius", "place": {"city": "Ulm"},
                    "person": {"name": "Ada", "born": "1815-12-10"}}"""

    assert call(function, arguments) == (
        dt.date(2026, 1, 2),
        Unit.CELSIUS,
        Place("Ulm"),
        Person(name="Ada", born=dt.date(1815, 12, 10)),
        1.5,
    )


def test_a_whole_number_may_be_written_with_a_point() -> None:
    # By JSON Schema, 1.0 is an integer: https://json-schema.org/understanding-json-schema/reference/numeric
    def function(a: int, b: list[int], c: float, d: Any = None) -> tuple[Any, ...]:
        return a, b, c, d

    found = call(function, '{"a": 1.0, "b": [2.0, 3], "c": 4.0}')

    assert found == (1, [2, 3], 4.0, None)
    assert isinstance(found[0], int)
    assert isinstance(found[2], float)
    with pytest.raises(SchemaError, match=r"at \$\.a"):
        call(function, '{"a": 1.5, "b": [2.0], "c": 4.0}')


def test_a_whole_number_may_be_written_so_behind_a_number_for_a_name() -> None:
    def function(by_number: dict[int, int]) -> dict[int, int]:
        return by_number

    assert call(function, '{"by_number": {"1": 2.0}}') == {1: 2}


def test_parameters_of_pydantic_may_be_called_like_the_methods_of_a_model() -> None:
    def function(json: Person, copy: Annotated[int, pydantic.Field(ge=0)] = 7) -> Any:
        return json.name, copy

    assert call(function, '{"json": {"name": "Ada"}}') == ("Ada", 7)
    assert call(function, '{"json": {"name": "Ada"}, "copy": 1}') == ("Ada", 1)
    assert schema_of(function)["properties"]["copy"] == {
        "type": "integer",
        "minimum": 0,
        "default": 7,
    }


@dataclasses.dataclass
class Visit:
    who: Person
    page: pydantic.HttpUrl


def test_what_pydantic_alone_knows_it_describes_and_makes() -> None:
    def function(
        times: int,
        path: Annotated[Path, "Where it is."],
        when: dt.datetime | str = "now",
        visit: Visit | None = None,
    ) -> Any:
        return times, path, when, visit

    told = schema_of(function)["properties"]
    assert told["times"] == {"type": "integer"}
    assert told["path"] == {"type": "string", "format": "path", "description": "Where it is."}
    assert told["when"]["default"] == "now"
    jsonschema_rs.validator_for(schema_of(function))
    assert call(function, '{"times": 1, "path": "a/b"}') == (1, Path("a/b"), "now", None)
    found = call(
        function,
        '{"times": 1, "path": "a", "when": "2024-05-01T00:00:00Z",'
        ' "visit": {"who": {"name": "Ada"}, "page": "https://a.example/"}}',
    )
    assert found[2] == dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    assert found[3] == Visit(Person(name="Ada"), pydantic.HttpUrl("https://a.example/"))
    with pytest.raises(SchemaError, match=r"at \$\.visit\.page"):
        call(function, '{"times": 1, "path": "a", "visit": {"who": {"name": "A"}, "page": "b"}}')


def test_one_type_may_be_a_parameter_and_a_part_of_what_pydantic_alone_knows() -> None:
    def function(
        box: Box, boxes: list[Box | Visit] | None = None, place: Place | None = None
    ) -> Any:
        return box, boxes, place

    assert list(schema_of(function)["$defs"]) == ["Place", "Box", "Person", "Visit"]
    found = call(
        function, '{"box": {"width": 1}, "boxes": [{"width": 2}], "place": {"city": "Ulm"}}'
    )
    assert found == (Box(1), [Box(2)], Place("Ulm"))


def test_a_field_of_pydantic_may_stand_for_the_default() -> None:
    def function(
        city: str = pydantic.Field(..., description="Where.", max_length=5),
        days: int = pydantic.Field(default=3, ge=1, examples=[2], json_schema_extra={"unit": "d"}),
        tags: list[str] = pydantic.Field(default_factory=list),  # noqa: B008 - so it is written
        note: str | None = pydantic.Field(None),
    ) -> tuple[Any, ...]:
        return city, days, tags, note

    told = schema_of(function)
    assert told["required"] == ["city"]
    assert told["properties"]["city"] == {
        "type": "string",
        "description": "Where.",
        "maxLength": 5,
    }
    assert told["properties"]["days"] == {
        "type": "integer",
        "minimum": 1,
        "default": 3,
        "examples": [2],
        "unit": "d",
    }
    assert call(function, '{"city": "Ulm"}') == ("Ulm", 3, [], None)
    assert call(function, '{"city": "Ulm", "days": 1, "tags": ["a"], "note": null}') == (
        ("Ulm", 1, ["a"], None)
    )
    with pytest.raises(SchemaError, match=r"at \$\.days"):
        call(function, '{"city": "Ulm", "days": 0}')


def test_validators_of_pydantic_are_heeded() -> None:
    def function(
        name: Annotated[str, pydantic.StringConstraints(strip_whitespace=True)],
        twice: list[Annotated[int, pydantic.AfterValidator(lambda number: number * 2)]],
    ) -> Any:
        return name, twice

    assert call(function, '{"name": " Ada ", "twice": [1]}') == ("Ada", [2])


@pytest.mark.parametrize("annotation", [object, pydantic.JsonValue, "object | None"])
def test_a_parameter_may_be_anything(annotation: Any) -> None:
    def function(value: Any, more: dict[str, object]) -> Any:
        return value, more

    function.__annotations__["value"] = annotation

    assert call(function, '{"value": [1], "more": {"a": null}}') == ([1], {"a": None})


def test_parameters_may_have_any_name() -> None:
    def function(_a: int, __b: int, __class__: int = 1) -> Any:
        return _a, __b, __class__

    assert list(schema_of(function)["properties"]) == ["_a", "__b", "__class__"]
    assert call(function, '{"_a": 1, "__b": 2, "__class__": 3}') == (1, 2, 3)
    with pytest.raises(SchemaError, match=r"at \$\.__b: Expected `int`"):
        call(function, '{"_a": 1, "__b": "2"}')


def test_a_default_that_is_no_json_is_not_told() -> None:
    def function(most: float = float("inf"), least: float = 0.5) -> Any:
        return most, least

    assert schema_of(function)["properties"] == {
        "most": {"type": "number"},
        "least": {"type": "number", "default": 0.5},
    }
    assert call(function, "{}") == (float("inf"), 0.5)


def test_parameters_by_place_are_passed_by_place() -> None:
    def function(a: int = 1, b: int = 2, /, c: int = 3) -> tuple[int, ...]:
        return a, b, c

    assert call(function, '{"b": 5, "c": 6}') == (1, 5, 6)
    assert call(function, "  ") == (1, 2, 3)


class Picky(msgspec.Struct):
    city: str

    def __post_init__(self) -> None:
        raise KeyError(self.city)


class PickyModel(pydantic.BaseModel):
    city: str

    @pydantic.model_validator(mode="after")
    def refuse(self) -> PickyModel:
        raise KeyError(self.city)


def takes_picky(place: Picky) -> None: ...


def takes_picky_model(place: PickyModel) -> None: ...


def takes_person(person: Person) -> None: ...


def takes_nothing() -> None: ...


def takes_keys(by_number: dict[int, int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "arguments", "path", "reason"),
    [
        (get_weather, '{"city": 7}', "$.city", "Expected `str`, got `int`"),
        (get_weather, "{}", "$", "Object missing required field `city`"),
        (
            get_weather,
            '{"city": "Ulm", "when": 1}',
            "$",
            "unexpected 'when'; expected 'city', 'days'",
        ),
        (takes_keys, '{"by_number": {"x": 1}}', "$.by_number", "Expected `int`, got `str`"),
        (takes_nothing, '{"a": 1}', "$", "unexpected 'a'; expected no arguments"),
        (get_weather, "[1]", "$", "expected an object"),
        (takes_person, '{"person": {}}', "$.person.name", "Field required"),
        (takes_picky, '{"place": {"city": "x"}}', "$", "the code of arguments raised KeyError"),
        (
            takes_picky_model,
            '{"place": {"city": "x"}}',
            "$",
            "the code of arguments raised KeyError",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_told_with_their_place(
    function: Callable[..., Any], arguments: str, path: str, reason: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        Tool(function).read_arguments(arguments)

    assert (caught.value.path, caught.value.reason) == (path, reason)
    assert caught.value.text == arguments
    assert f"the arguments of the tool call '{function.__name__}' do not fit" in str(caught.value)


@pytest.mark.parametrize("arguments", ["", " ", "null", "{}"])
def test_no_arguments_come_in_several_spellings(arguments: str) -> None:
    def function(a: int = 1) -> int:
        return a

    assert call(function, arguments) == 1
    assert Tool(function, parameters={"type": "object"}).read_arguments(arguments) == ([], {})
    with pytest.raises(SchemaError, match="missing required field `city`"):
        call(get_weather, arguments)


def test_arguments_that_are_no_json_are_told_so() -> None:
    with pytest.raises(InvalidJSONError):
        Tool(get_weather).read_arguments('{"city": ')


def test_arguments_of_a_schema_of_ones_own_are_checked_and_passed_as_they_came() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tool = Tool(get_weather, parameters=schema)

    assert tool.read_arguments('{"n": 1}') == ([], {"n": 1})
    with pytest.raises(SchemaError, match="do not fit"):
        tool.read_arguments("{}")


# --- the tools of a call ---

MAPPING = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def test_a_call_takes_functions_tools_and_mappings_together() -> None:
    tool = Tool(get_weather, "weather")

    box = read_toolbox([get_weather, tool, MAPPING, {"googleSearch": {}}])

    assert [each.name for each in box.asked if isinstance(each, requests.Tool)] == [
        "get_weather",
        "weather",
        "look_up",
    ]
    assert box.asked[-1] == requests.RawTool({"googleSearch": {}})
    assert list(box.functions) == ["get_weather", "weather"]
    assert box.functions["weather"] is tool
    assert read_toolbox(box) is box
    assert read_toolbox(None) == Toolbox()


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        (get_weather, "expected a list of tools, found one"),
        (Tool(get_weather), "expected a list of tools, found one"),
        ("get_weather", "expected a list of tools, found str"),
        ({"name": "x"}, "expected a list of tools, found dict"),
        (7, "expected a list of tools, found int"),
        ([get_weather, get_weather], "two are called 'get_weather'"),
        ([Tool(get_weather, "look_up"), MAPPING], "two are called 'look_up'"),
        ([7], r"tools\[0\]: expected a function, a Tool or a mapping, found int"),
        ([Place], "found the class Place"),
    ],
)
def test_what_is_no_list_of_tools_is_refused(tools: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_toolbox(tools)


def test_the_arguments_of_functions_are_checked_by_their_types_and_others_by_their_schemas() -> (
    None
):
    strict = {"name": "look_up", "parameters": {"type": "object", "required": ["word"]}}
    arguments = read_toolbox([get_weather, strict]).arguments(validate_schema=True)
    assert arguments is not None

    arguments.check("get_weather", '{"city": "Ulm"}')
    arguments.check("look_up", '{"word": "a"}')
    with pytest.raises(SchemaError, match=r"\$\.city"):
        arguments.check("get_weather", '{"city": 1}')
    with pytest.raises(SchemaError, match="look_up"):
        arguments.check("look_up", "{}")


def test_nothing_is_checked_where_there_are_no_tools_or_somebody_else_checks() -> None:
    assert Toolbox().arguments(validate_schema=True) is None
    box = dataclasses.replace(read_toolbox([get_weather]), checks=False)
    assert box.arguments(validate_schema=True) is None
