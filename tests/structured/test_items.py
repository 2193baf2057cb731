"""An array that is used element by element."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import jsonschema_rs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import (
    ConfigurationError,
    InvalidJSONError,
    RefusalError,
    SchemaError,
    TruncatedJSONError,
)
from steer_llm_sdk.models.requests import JSONFormat
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.structured import (
    ItemStream,
    StructuredOutput,
    read_item_type,
    read_response_format,
)


class Row(msgspec.Struct):
    n: int
    tags: list[str] = []


class Leaf(pydantic.BaseModel):
    name: str
    children: list[Leaf] = []


def _items(pieces: Iterable[str], item_type: Any = Row, **options: Any) -> list[Any]:
    stream = ItemStream(read_item_type(item_type), **options)
    return [item for piece in pieces for item in stream.feed(piece)]


@given(st.lists(st.integers(), max_size=6), st.booleans(), st.integers(1, 7))
def test_elements_come_in_order_once_each(numbers: list[int], is_bare: bool, size: int) -> None:
    rows = [{"n": n, "tags": ["a", "b"]} for n in numbers]
    text = json.dumps(rows if is_bare else {"items": rows}, indent=1)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]

    assert _items(pieces) == [Row(n, ["a", "b"]) for n in numbers]


def test_an_element_comes_as_soon_as_it_is_complete() -> None:
    stream = ItemStream(read_item_type(Row))

    assert list(stream.feed('{"items": [{"n": 1')) == []
    assert list(stream.feed("}")) == [Row(1)]
    assert list(stream.feed(', {"n": 2}, {"n": 3}')) == [Row(2), Row(3)]
    assert stream.count == 3


def test_elements_may_be_leaves_and_arrays() -> None:
    assert _items(["[1, 2", "3, 4]"], int) == [1, 23, 4]
    assert _items(['{"items": [["a"], []]}'], list[str]) == [["a"], []]


def test_elements_may_be_models_and_schemas() -> None:
    leaf = '{"name": "a", "children": [{"name": "b"}]}'

    assert _items([f"[{leaf}]"], Leaf) == [Leaf(name="a", children=[Leaf(name="b")])]
    assert _items(["[1, 2]"], {"type": "integer"}) == [1, 2]


def test_other_fields_and_inner_arrays_are_no_elements() -> None:
    text = '{"why": [1], "items": [{"n": 1, "items": [5]}], "more": [{"n": 2}]}'

    assert _items([text]) == [Row(1)]


def test_the_request_asks_for_an_object_with_one_array() -> None:
    request = read_item_type(Leaf).request

    assert isinstance(request, JSONFormat)
    assert request.name == "Leaf_items"
    validator = jsonschema_rs.validator_for(dict(request.schema or {}))
    assert validator.is_valid({"items": [{"name": "a", "children": [{"name": "b"}]}]})
    assert not validator.is_valid({"items": [{"name": "a", "children": [{"n": "b"}]}]})
    assert not validator.is_valid([])


@pytest.mark.parametrize("item", [Row, {"type": "object", "properties": {}}])
def test_rows_are_asked_for_as_strictly_as_the_provider_can(item: Any) -> None:
    request = read_item_type(item).request

    assert isinstance(request, JSONFormat)
    assert request.is_of_type


def test_a_misfit_ends_the_items_after_those_before_it() -> None:
    stream = ItemStream(read_item_type(Row))
    seen: list[Row] = []

    with pytest.raises(SchemaError) as caught:
        seen.extend(stream.feed('{"items": [{"n": 1}, {"n": 2, "tags": [0]}, {"n": 3}'))
    assert caught.value.path == "$.items[1].tags[0]"
    assert seen == [Row(1)]


def test_items_before_a_misfit_have_come() -> None:
    items = ItemStream(read_item_type(Row)).feed('[{"n": 1}, {"n": "x"}]')

    assert next(items) == Row(1)
    with pytest.raises(SchemaError):
        next(items)


def test_items_before_bad_json_have_come() -> None:
    stream = ItemStream(read_item_type(Row))

    assert list(stream.feed('[{"n": 1}, oops')) == [Row(1)]
    with pytest.raises(InvalidJSONError) as caught:
        list(stream.feed("]"))
    assert caught.value.position == 11


@pytest.mark.parametrize("text", ["I'm sorry, but", '```json\n[{"n": 1}]', "3,"])
def test_what_is_no_json_from_its_beginning_gives_nothing_until_the_end_says_why(text: str) -> None:
    assert _items(list(text)) == []


def test_an_array_that_comes_twice_is_an_error() -> None:
    with pytest.raises(SchemaError, match="came twice"):
        _items(['{"items": [{"n": 1}], "items": [{"n": 1}]}'])


@pytest.mark.parametrize(
    ("text", "finish_reason", "refusal", "kind"),
    [
        ('{"items": [{"n": 1}', "length", "", TruncatedJSONError),
        ('{"items": [{"n": 1}', "stop", "", InvalidJSONError),
        ("", "stop", "No.", RefusalError),
        ('{"rows": []}', "stop", "", SchemaError),
        ("{}", "stop", "", SchemaError),
        ("3", "stop", "", SchemaError),
        ('{"items": {"0": 1}}', "stop", "", SchemaError),
    ],
)
def test_an_array_that_is_not_whole_is_its_own_error(
    text: str, finish_reason: Any, refusal: str, kind: type[InvalidJSONError]
) -> None:
    response = StreamingResponse(text=text, finish_reason=finish_reason, refusal=refusal)

    with pytest.raises(InvalidJSONError) as caught:
        StructuredOutput(read_item_type(Row)).finish(response)
    assert type(caught.value) is kind
    assert caught.value.text == (refusal or text)


def test_items_inside_a_fence_need_the_option() -> None:
    text = 'Here:\n```json\n[{"n": 1}, {"n": 2}]\n```'

    assert _items(list(text), json_extract=True) == [Row(1), Row(2)]
    assert _items(list(text)) == []


def test_the_final_check_gives_all_elements_as_parsed() -> None:
    response = StreamingResponse(text='{"items": [{"n": 1}]}', finish_reason="stop")

    StructuredOutput(read_item_type(Row)).finish(response)

    assert response.parsed == [Row(1)]
    assert response.get_json() == {"items": [{"n": 1}]}


def test_a_schema_that_is_not_to_be_looked_at_gives_all_elements() -> None:
    stream = ItemStream(read_item_type({"type": "integer"}, validate_schema=False))

    assert list(stream.feed('[1, "two"]')) == [1, "two"]


def test_the_final_check_of_something_else_than_an_array() -> None:
    response = StreamingResponse(text='{"rows": []}', finish_reason="stop")

    with pytest.raises(SchemaError, match="an array 'items'"):
        StructuredOutput(read_item_type(Row)).finish(response)


def test_a_type_that_nobody_knows_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="item_type"):
        read_item_type(range)


def test_another_format_is_no_format_of_items() -> None:
    with pytest.raises(TypeError, match="read_item_type"):
        ItemStream(read_response_format({"type": "json_object"}))
