from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.providers.gemini.arguments import PartialArguments


def assemble(*pieces: dict[str, Any], known: dict[str, Any] | None = None) -> dict[str, Any]:
    arguments = PartialArguments("gemini", known or {})
    for piece in pieces:
        arguments.add(piece)
    return arguments.finish()


def text(path: str, value: str, **more: Any) -> dict[str, Any]:
    return {"jsonPath": path, "stringValue": value, **more}


@pytest.mark.parametrize(
    ("piece", "value"),
    [
        ({"stringValue": "x"}, "x"),
        ({"stringValue": ""}, ""),
        ({"numberValue": 0.5}, 0.5),
        ({"numberValue": 3}, 3),
        ({"boolValue": False}, False),
        ({"nullValue": "NULL_VALUE"}, None),
    ],
)
def test_a_value_of_each_kind_is_put_at_its_place(piece: dict[str, Any], value: object) -> None:
    assert assemble({"jsonPath": "$.a", **piece}) == {"a": value}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.a", {"a": 1}),
        ("$.a.b.c", {"a": {"b": {"c": 1}}}),
        ("$.a[0]", {"a": [1]}),
        ("$.a[0].b[0][0]", {"a": [{"b": [[1]]}]}),
        ("$['a b']", {"a b": 1}),
        ('$["a.b"].c', {"a.b": {"c": 1}}),
        (r"$['it\'s']", {"it's": 1}),
        ("$.größe", {"größe": 1}),
    ],
)
def test_a_path_leads_through_objects_and_lists(path: str, expected: dict[str, Any]) -> None:
    assert assemble({"jsonPath": path, "numberValue": 1}) == expected


def test_a_text_goes_on_until_a_piece_ends_it() -> None:
    assert assemble(
        text("$.a", "Bo", willContinue=True),
        text("$.b", "x", willContinue=True),
        text("$.a", "st", willContinue=True),
        text("$.a", "on"),
    ) == {"a": "Boston", "b": "x"}


def test_what_came_whole_is_added_to() -> None:
    known = {"a": 1, "list": [{"x": 1}]}

    assert assemble(text("$.list[0].y", "2"), text("$.list[1]", "3"), known=known) == {
        "a": 1,
        "list": [{"x": 1, "y": "2"}, "3"],
    }


def test_a_later_value_replaces_an_earlier_one() -> None:
    assert assemble(text("$.a[0]", "x"), text("$.a[0]", "y")) == {"a": ["y"]}


def test_a_piece_without_a_value_says_nothing() -> None:
    assert assemble({"jsonPath": "$.a"}, {"jsonPath": "$.b", "willContinue": True}, {}) == {}


@pytest.mark.parametrize(
    "path",
    ["", "$", "a", "$.", "$.a[", "$.a[x]", "$.a[*]", "$..a", "$[0]", "$.a[1]", "$.a[99999999999]",
     "$" + ".a" * 200, None, 7],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_a_protocol_error(path: object) -> None:
    with pytest.raises(ProtocolError, match="expected the path of a function's argument"):
        assemble({"jsonPath": path, "numberValue": 1})


def test_a_path_through_what_is_no_object_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        assemble(text("$.a", "x"), text("$.a.b", "y"))
