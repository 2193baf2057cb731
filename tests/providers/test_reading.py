from __future__ import annotations

import json

import pytest

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.providers.reading import (
    arguments_text,
    as_int,
    as_list,
    as_object,
    as_objects,
    as_string,
    frames_in,
    is_end,
    json_text,
    object_at,
    objects_at,
    parse_json,
    parse_object,
    text_at,
)
from steer_llm_sdk.wire.frame import Frame

# One value of each type that JSON has, and those that are easily taken for another.
VALUES: tuple[object, ...] = ("", "a", 0, 7, True, 1.5, None, [], [1, {"k": 1}], {}, {"k": 1})


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": "\xff"}', {"a": "\N{REPLACEMENT CHARACTER}"}),
        (rb'{"a": "\ud83d"}', {"a": "\N{REPLACEMENT CHARACTER}"}),
        (rb'{"a": "\ud83d\ude00"}', {"a": "😀"}),
        (b'{"a": "tab\there"}', {"a": "tab\there"}),
    ],
)
def test_json_is_read_as_servers_write_it(data: bytes, value: object) -> None:
    assert parse_json(data, "p") == value


ERROR = b'{"error": {"message": "m", "detail": {"message": "n"}}}'


@pytest.mark.parametrize("between", [b"", b"\n", b"data: ", b"\n\n  "])
@pytest.mark.parametrize("error", [ERROR, b'{\n "type": "error",\n "code": 1\n}'])
def test_an_error_behind_an_event_that_broke_off_is_what_is_read(
    error: bytes, between: bytes
) -> None:
    assert parse_json(b'{"a": {"error": null, "b": "c' + between + error, "p") == json.loads(error)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": "b' + ERROR[:-1],
        b'{"a": "b' + ERROR + b" and so on",
        b'{"a": "b{"message": "m"}',
        b'{"a": "b{"error": null}',
        b'{"a": "{\\"error\\": 1}',
    ],
)
def test_what_only_looks_like_an_error_behind_an_event_is_none(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="expected JSON"):
        parse_json(data, "p")


@pytest.mark.parametrize("data", [b"<html>", b"", b"[" * 100_000, b'{"a": ' * 100_000])
def test_what_is_no_json_is_a_protocol_error_without_the_text_behind_it(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="p: expected JSON, found") as caught:
        parse_json(data, "p")

    assert caught.value.__context__ is None


@pytest.mark.parametrize(("data", "found"), [(b"[]", "list"), (b'"a"', "str"), (b"null", "None")])
def test_an_object_is_expected(data: bytes, found: str) -> None:
    with pytest.raises(
        ProtocolError, match=f"p: expected a JSON object, found one of type {found}"
    ):
        parse_object(data, "p")


def test_a_value_is_believed_only_where_it_has_its_type() -> None:
    assert [as_string(value) for value in VALUES if as_string(value) is not None] == ["a"]
    assert [as_int(value) for value in VALUES if as_int(value) is not None] == [0, 7]
    assert [as_object(value) for value in VALUES if as_object(value)] == [{"k": 1}]
    assert [as_list(value) for value in VALUES if as_list(value)] == [[1, {"k": 1}]]
    assert [as_objects(value) for value in VALUES if as_objects(value)] == [[{"k": 1}]]


def test_a_field_that_is_missing_or_of_another_type_is_empty() -> None:
    holder = {"text": "a", "object": {"k": 1}, "objects": [{"k": 1}, 2]}

    assert [text_at(holder, key) for key in ("text", "object", "gone")] == ["a", "", ""]
    assert [object_at(holder, key) for key in ("object", "text", "gone")] == [{"k": 1}, {}, {}]
    assert [objects_at(holder, key) for key in ("objects", "text", "gone")] == [[{"k": 1}], [], []]


def test_text_stays_as_it_is_and_anything_else_is_written_as_json() -> None:
    values: tuple[object, ...] = ('{"a', {"a": 1}, [], None)

    assert [json_text(value) for value in values] == [
        '{"a',
        '{"a":1}',
        "[]",
        "",
    ]


def test_arguments_are_written_with_sorted_keys_and_their_own_letters() -> None:
    assert arguments_text({"b": [1, None], "a": "ü"}, "p") == '{"a": "ü", "b": [1, null]}'


def test_arguments_nested_too_deeply_are_a_protocol_error() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]

    with pytest.raises(ProtocolError, match="p: the arguments of a function call are nested"):
        arguments_text(nested, "p")


@pytest.mark.parametrize(
    ("line", "payloads"),
    [
        (b'{"a": 1}{"b": 2}', [b'{"a": 1}', b'{"b": 2}']),
        (b'{"a": 1} {"b": "}{"}[DONE]', [b'{"a": 1}', b'{"b": "}{"}', b"[DONE]"]),
        (b'{"a": 1}data: {"b": 2}data:[DONE] ', [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]),
        (b'{"a": "tab\t"}{"b": 2}', [b'{"a": "tab\t"}', b'{"b": 2}']),
        (b'{"a": "}{"}', [b'{"a": "}{"}']),
        (b'{"a": 1}{"b": ', [b'{"a": 1}{"b": ']),
        (b'{"a": 1}[', [b'{"a": 1}[']),
        (b'{"a": 1} words', [b'{"a": 1} words']),
        (b'{"a": {}}{' + b'"a": {' * 100_000, [b'{"a": {}}{' + b'"a": {' * 100_000]),
    ],
)
def test_payloads_without_a_line_end_between_them_are_frames_of_their_own(
    line: bytes, payloads: list[bytes]
) -> None:
    assert list(frames_in(Frame(line, "e"))) == [Frame(payload, "e") for payload in payloads]


@pytest.mark.parametrize(
    ("data", "is_one"), [(b"{}", True), (b"null", True), (b'""', True), (b'{"text": "Hi"}', False)]
)
def test_an_event_that_is_called_done_is_the_end_where_it_says_nothing(
    data: bytes, *, is_one: bool
) -> None:
    assert is_end(Frame(data, "done")) is is_one
