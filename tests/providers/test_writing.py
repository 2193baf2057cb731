from __future__ import annotations

import enum
import json
from types import MappingProxyType

import msgspec
import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import ToolCall
from steer_llm_sdk.models.plain_json import plain_json
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.writing import (
    arguments_object,
    bearer,
    build_headers,
    encode_body,
    without_none,
)


def test_mappings_of_any_kind_are_objects() -> None:
    schema = MappingProxyType({"type": "object", "properties": MappingProxyType({})})

    assert msgspec.json.decode(encode_body({"schema": schema}, "p")) == {
        "schema": {"type": "object", "properties": {}}
    }


class Words(str):
    """As `markupsafe.Markup` and NumPy's ``str_`` are."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Count(int):
    pass


class Share(float):
    pass


class Name(str, enum.Enum):  # noqa: UP042 - its `str` is another than that of a `StrEnum`
    ONE = "one"


def test_what_is_made_of_a_text_or_a_number_is_one() -> None:
    values = [Words("a"), Count(2), Share(0.5), Name.ONE, {Words("k"): Words("v")}]

    assert encode_body({"values": values}, "p") == b'{"values":["a",2,0.5,"one",{"k":"v"}]}'
    assert [type(each) for each in plain_json(values[:3], "values")] == [str, int, float]


@pytest.mark.parametrize("value", [object(), float, {1j: 2}])
def test_what_is_no_json_is_refused_and_named(value: object) -> None:
    with pytest.raises(ConfigurationError, match="p: the request cannot be written as JSON"):
        encode_body({"value": value}, "p")


def test_only_what_is_none_is_left_out() -> None:
    assert without_none({"a": None, "b": 0, "c": "", "d": []}) == {"b": 0, "c": "", "d": []}


def test_the_callers_headers_replace_the_librarys_whatever_their_case() -> None:
    endpoint = Endpoint("p", "https://x", "key", headers={"Authorization": "mine", "X-A": "1"})

    headers = build_headers(endpoint, {"x-a": "2"}, bearer(endpoint), accept="text/plain")

    assert headers == {
        "content-type": "application/json",
        "accept": "text/plain",
        "authorization": "mine",
        "x-a": "2",
    }


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_nobody_is_named(key: str | None) -> None:
    assert bearer(Endpoint("p", "https://x", key)) == {}


@pytest.mark.parametrize("text", ["", "  ", "null"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert arguments_object(ToolCall("c1", "f", text), "p") == {}


def test_half_a_character_in_arguments_is_replaced_and_a_number_beyond_all_is_none() -> None:
    found = arguments_object(ToolCall("c1", "f", '{"a": ["\\ud83d!"], "b": 1e400}'), "p")

    assert json.loads(encode_body(found, "p")) == {"a": ["\N{REPLACEMENT CHARACTER}!"], "b": None}


@pytest.mark.parametrize("text", ["1", "[]", "{", "NaN", "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'f' to be a JSON object, found .* 'c1'"):
        arguments_object(ToolCall("c1", "f", text), "p")
