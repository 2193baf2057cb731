"""One JSON array, element by element, cut everywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import FrameTooLargeError, ProtocolError
from steer_llm_sdk.wire.frame import Frame
from steer_llm_sdk.wire.json_array import JSONArrayFraming
from support.framings import cut_bodies, frames_and_fault, frames_of, growth, one_by_one

LIMIT = 1 << 20

CASES = {
    "no element": (b"[]", []),
    "no element, and blanks": (b" \n[ \r\n] ", []),
    "objects": (b'[{"a":1},{"b":2}]', ['{"a":1}', '{"b":2}']),
    "objects on lines of their own": (b'[{\n "a": 1\n}\n,\r\n{}\n]\n', ['{\n "a": 1\n}', "{}"]),
    "objects in objects": (b'[{"a":{"b":[{}]}},{}]', ['{"a":{"b":[{}]}}', "{}"]),
    "arrays": (b"[[1,[2]],[]]", ["[1,[2]]", "[]"]),
    "scalars": (b'[1, true ,"a,b" , null ]', ["1", "true", '"a,b"', "null"]),
    "brackets and commas in strings": (b'[{"a":"},]{["},{}]', ['{"a":"},]{["}', "{}"]),
    "quotes in strings": (rb'[{"a":"\"}\\"},{}]', [r'{"a":"\"}\\"}', "{}"]),
    "a backslash before the last quote": (rb'["\\","\\\""]', [r'"\\"', r'"\\\""']),
    "other escapes": (rb'["\u0022\n]"]', [r'"\u0022\n]"']),
    "words of several bytes": ('["naïve 🙂\u2028"]'.encode(), ['"naïve 🙂\u2028"']),
    "empty places": (b"[,1,,2,]", ["1", "2"]),
    "an error after the array": (
        b'[{}]\n{"error": {"code": 429}}\n',
        ["{}", '{"error": {"code": 429}}'],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_body_gives_its_elements_however_it_is_cut(name: str) -> None:
    body, expected = CASES[name]
    frames = [Frame(element.encode()) for element in expected]

    assert frames_of(JSONArrayFraming(LIMIT), one_by_one(body)) == frames
    for place in range(len(body) + 1):
        assert frames_of(JSONArrayFraming(LIMIT), [body[:place], body[place:]]) == frames, place


def test_an_element_is_given_as_soon_as_it_is_whole() -> None:
    framing = JSONArrayFraming(LIMIT)

    assert list(framing.feed(b'[{"a":1}')) == [Frame(b'{"a":1}')]


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.text('"\\[]{},', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
LAYOUTS = st.sampled_from([{"indent": None}, {"indent": 2}, {"separators": (",", ":")}])


@given(st.data(), st.lists(VALUES, max_size=5), LAYOUTS, st.booleans())
def test_any_array_cut_anywhere_gives_its_elements(
    data: st.DataObject, values: list[Any], layout: dict[str, Any], ascii_only: bool
) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only, **layout)
    _, pieces = data.draw(cut_bodies(st.just(text.encode())))

    frames = frames_of(JSONArrayFraming(LIMIT), pieces)

    assert [json.loads(frame.data) for frame in frames] == values


NOISE = st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b" ", b"1", b"\n"]))


@given(cut_bodies(NOISE.map(lambda parts: b"[" + b"".join(parts)) | st.binary()), st.integers(0, 9))
def test_any_bytes_cut_anywhere_give_the_same_elements_and_the_same_error(
    cut: tuple[bytes, list[bytes]], limit: int
) -> None:
    body, pieces = cut
    whole = frames_and_fault(JSONArrayFraming(limit), [body])

    assert frames_and_fault(JSONArrayFraming(limit), pieces) == whole
    assert frames_and_fault(JSONArrayFraming(limit), one_by_one(body)) == whole


@pytest.mark.parametrize("body", [b'{"error": 1}', b"data: 1\n\n", b"<html>", b"\xef\xbb\xbf[]"])
def test_a_body_that_is_no_array_is_an_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="expected a JSON array"):
        frames_of(JSONArrayFraming(LIMIT), [body])


@pytest.mark.parametrize(
    ("body", "elements"),
    [
        (b"", []),
        (b" \n", []),
        (b"[", []),
        (b"[1,2", ["1"]),
        (b"[{},", ["{}"]),
        (b'[{"a":1}', ['{"a":1}']),
        (b'[{"a":1},{"b":"]', ['{"a":1}']),
    ],
)
def test_a_body_that_ends_before_the_array_is_an_error_after_its_elements(
    body: bytes, elements: list[str]
) -> None:
    frames = [Frame(element.encode()) for element in elements]

    for pieces in ([body], one_by_one(body)):
        assert frames_and_fault(JSONArrayFraming(LIMIT), pieces) == (frames, ProtocolError)


def test_an_array_that_a_brace_ends_is_an_error_after_its_elements() -> None:
    frames = JSONArrayFraming(LIMIT).feed(b"[{}}")

    assert next(frames) == Frame(b"{}")
    with pytest.raises(ProtocolError, match="found '}'"):
        next(frames)


def test_an_element_above_the_limit_is_an_error_after_the_elements_before_it() -> None:
    frames = JSONArrayFraming(4).feed(b"[{},[123],{}]")

    assert next(frames) == Frame(b"{}")
    with pytest.raises(FrameTooLargeError, match="more than 4 bytes"):
        next(frames)


def test_an_element_of_just_the_limit_is_given() -> None:
    body = b"[[12],[34]]"

    for pieces in ([body], one_by_one(body)):
        assert frames_of(JSONArrayFraming(4), pieces) == [Frame(b"[12]"), Frame(b"[34]")]


def test_an_element_that_never_ends_is_an_error_as_soon_as_it_exceeds_the_limit() -> None:
    framing = JSONArrayFraming(4)
    assert list(framing.feed(b"[{},    [123")) == [Frame(b"{}")]

    with pytest.raises(FrameTooLargeError):
        list(framing.feed(b"4"))


def test_what_follows_the_array_is_bounded_too() -> None:
    with pytest.raises(FrameTooLargeError):
        list(JSONArrayFraming(4).feed(b"[]12345"))


def test_blanks_between_elements_are_not_bounded() -> None:
    assert frames_of(JSONArrayFraming(4), one_by_one(b"[1," + b" " * 20 + b"2]")) == [
        Frame(b"1"),
        Frame(b"2"),
    ]


@pytest.mark.parametrize("piece", [b"x", rb"\n", b"[1],"])
@pytest.mark.parametrize("size", [1, 65_536])
def test_the_work_is_linear_in_the_bytes_of_one_large_element(size: int, piece: bytes) -> None:
    def body(length: int) -> bytes:
        inner = piece * (length // 20 if b"," in piece else length // len(piece))
        return b"[[" + inner + b"0]]" if b"," in piece else b'["' + inner + b'"]'

    assert growth(lambda: JSONArrayFraming(1 << 30), body, size) < 80
