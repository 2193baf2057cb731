from __future__ import annotations

from types import MappingProxyType

import msgspec
import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import ToolCall
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


@pytest.mark.parametrize("text", ["", "  "])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert arguments_object(ToolCall("c1", "f", text), "p") == {}


@pytest.mark.parametrize("text", ["1", "{", "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'f' to be a JSON object, found .* 'c1'"):
        arguments_object(ToolCall("c1", "f", text), "p")
