"""The incremental parser: any value, any white space, any cuts."""

from __future__ import annotations

import copy
import itertools
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.parser import (
    IncrementalJSONParser,
    JSONEvent,
    JSONPathEvent,
    StringPiece,
)

# Surrogates are left in: models write broken pairs, and `json.loads` lets them pass.
_TEXTS = st.text(st.characters(), max_size=12)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**60),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXTS,
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)
_SPACES = st.text(" \t\r\n", max_size=3)


@st.composite
def _documents(draw: st.DrawFn) -> str:
    """JSON text of any value, with white space wherever it may stand."""
    value = draw(_VALUES)
    is_ascii = draw(st.booleans())

    def spaced(piece: str) -> str:
        return draw(_SPACES) + piece + draw(_SPACES)

    def written(value: Any) -> str:
        if isinstance(value, list):
            return spaced("[") + ",".join(map(written, value)) + spaced("]")
        if isinstance(value, dict):
            fields = (
                f"{spaced(json.dumps(key, ensure_ascii=is_ascii))}:{written(inner)}"
                for key, inner in value.items()
            )
            return spaced("{") + ",".join(fields) + spaced("}")
        return spaced(json.dumps(value, ensure_ascii=is_ascii))

    return written(value)


@st.composite
def _in_pieces(draw: st.DrawFn, documents: st.SearchStrategy[str]) -> list[str]:
    text = draw(documents)
    if draw(st.booleans()):
        return list(text)
    edges = draw(st.lists(st.integers(0, len(text)), max_size=8))
    bounds = [0, *sorted(edges), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(bounds)]


def _parse(pieces: list[str], **options: Any) -> tuple[Any, list[JSONEvent]]:
    parser = IncrementalJSONParser(**options)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return parser.finish(), events


def _completions(value: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every field and element of a value with its way, children before parents."""
    fields = list(value.items()) if isinstance(value, dict) else []
    elements = list(enumerate(value)) if isinstance(value, list) else []
    for key, child in fields + elements:
        yield from _completions(child, (*keys, key))
    if keys:
        yield keys, value


def _has_grown(before: Any, after: Any) -> bool:
    """Whether `after` is `before` with more in it."""
    if type(before) is not type(after):
        return before is None
    if isinstance(before, dict):
        return all(key in after and _has_grown(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return len(before) <= len(after) and all(map(_has_grown, before, after))
    return after.startswith(before) if isinstance(before, str) else bool(before == after)


@given(_in_pieces(_documents()))
def test_the_final_value_is_what_json_loads_gives(pieces: list[str]) -> None:
    value, _ = _parse(pieces)

    assert repr(value) == repr(json.loads("".join(pieces)))


@given(_in_pieces(_documents()))
def test_path_events_come_in_document_order_once_each_with_the_right_value(
    pieces: list[str],
) -> None:
    value, events = _parse(pieces)

    seen = [(event.keys, event.value) for event in events if isinstance(event, JSONPathEvent)]
    assert seen == list(_completions(value))


@given(_in_pieces(_documents()))
def test_snapshots_only_grow_and_end_as_the_value(pieces: list[str]) -> None:
    parser = IncrementalJSONParser(string_pieces=True)
    before: Any = None

    for piece in pieces:
        parser.feed(piece)
        snapshot = parser.snapshot()
        assert _has_grown(before, snapshot)
        before = copy.deepcopy(snapshot)
    assert _has_grown(before, parser.finish())
    assert parser.snapshot() == parser.finish()


@given(_in_pieces(_documents()), st.booleans())
def test_string_pieces_add_up_to_the_string_that_follows_them(
    pieces: list[str],
    is_read: bool,
) -> None:
    parser = IncrementalJSONParser(string_pieces=True)
    growing: dict[tuple[str | int, ...], str] = {}

    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, StringPiece):
                assert event.text
                growing[event.keys] = growing.get(event.keys, "") + event.text
            elif isinstance(event.value, str):
                assert growing.pop(event.keys, "") == event.value
        if is_read:
            parser.snapshot()
    assert not growing


@given(_in_pieces(_documents()), st.data())
def test_a_text_cut_anywhere_never_counts_as_whole(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces).strip()
    cut = data.draw(st.integers(0, len(text) - 1))

    error = _rejection(text[:cut])

    if error is None:  # digits at the top may be cut unnoticed: there the finish reason has to tell
        assert text[0] in "-0123456789"
    else:
        assert error.position is not None
        assert error.position <= cut


def _rejection(text: str) -> InvalidJSONError | None:
    parser = IncrementalJSONParser()
    try:
        parser.feed(text)
        parser.finish()
    except InvalidJSONError as error:
        return error
    return None


def test_a_repeated_key_keeps_its_place_and_its_last_value() -> None:
    text = '{"a": {"b": 1}, "c": 2, "a": "long"}'

    value, events = _parse(list(text))

    assert list(value.items()) == list(json.loads(text).items())
    assert [event.path for event in events] == ["$.a.b", "$.a", "$.c", "$.a"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"items": [0, 0, 0, {"name": 1}]}', "$.items[3].name"),
        ('{"two words": 1}', '$["two words"]'),
        ('{"a.b": 1}', '$["a.b"]'),
        ('{"0": 1}', '$["0"]'),
        ('{"": 1}', '$[""]'),
        ('{"Größe": 1}', "$.Größe"),
        ('{"say \\"x\\"": 1}', '$["say \\"x\\""]'),
        ("[[[1]]]", "$[0][0][0]"),
    ],
)
def test_a_path_is_written_as_a_reader_would(text: str, path: str) -> None:
    _, events = _parse([text])

    leaf = next(e for e in events if isinstance(e, JSONPathEvent) and e.value == 1)
    assert leaf.path == path


def test_a_number_counts_once_the_next_character_shows_its_end() -> None:
    parser = IncrementalJSONParser()

    assert parser.feed("[12") == []
    assert parser.snapshot() == []
    assert parser.feed("3") == []
    (event,) = parser.feed(" ")
    assert isinstance(event, JSONPathEvent)
    assert event.value == 123


def test_a_number_at_the_top_counts_only_at_the_end() -> None:
    parser = IncrementalJSONParser()
    parser.feed("12")

    assert parser.snapshot() is None
    assert not parser.is_complete
    assert parser.finish() == 12
    assert parser.is_complete


def test_a_surrogate_pair_shows_only_when_both_halves_have_come() -> None:
    parser = IncrementalJSONParser()
    seen = []

    for char in r'"a\ud83d\ude00b"':
        parser.feed(char)
        seen.append(parser.snapshot())

    assert sorted(set(filter(None, seen)), key=len) == ["a", "a😀", "a😀b"]


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud83d"',
        r'"\ud83dx"',
        r'"\ud83d\n"',
        r'"\ud83d\u0041"',
        r'"\ud83d\ud83d\ude00"',
        r'"\ude00\ud83d"',
        '"\ud83d\\ude00"',
    ],
)
def test_surrogates_without_a_partner_stand_as_json_loads_has_them(text: str) -> None:
    assert _parse(list(text))[0] == json.loads(text)
    assert _parse([text])[0] == json.loads(text)


def test_infinite_floats_come_out_as_in_json_loads() -> None:
    assert _parse(["[1e", "999]"])[0] == [math.inf]


def test_leaves_equal_to_the_last_bit() -> None:
    text = "[0.1, 1e-7, 123456789.123456789, -0.0, 5e-324, 1.7976931348623157e308, -0]"

    assert repr(_parse(list(text))[0]) == repr(json.loads(text))


def test_events_before_a_fault_in_the_same_piece_are_not_lost() -> None:
    parser = IncrementalJSONParser()

    events = parser.feed('{"a": 1, "b": 2, !')

    assert [event.path for event in events] == ["$.a", "$.b"]
    with pytest.raises(InvalidJSONError, match="character 17"):
        parser.feed("}")
    with pytest.raises(InvalidJSONError, match="character 17"):
        parser.finish()


def test_after_a_fault_the_snapshot_stays_what_it_was() -> None:
    parser = IncrementalJSONParser()
    parser.feed('{"a": [1, "tw')
    with pytest.raises(InvalidJSONError):
        parser.feed("o\n")

    assert parser.snapshot() == {"a": [1, "two"]}
    assert parser.snapshot() == {"a": [1, "two"]}


def test_a_reader_sees_the_open_string_and_the_array_stays_right() -> None:
    parser = IncrementalJSONParser()
    parser.feed('["one", "tw')

    assert parser.snapshot() == ["one", "tw"]
    assert parser.snapshot() == ["one", "tw"]
    (event,) = parser.feed('o", 3')
    assert (event.path, parser.snapshot()) == ("$[1]", ["one", "two"])


def test_events_say_what_they_are() -> None:
    _, events = _parse(['{"a": "x"}'], string_pieces=True)

    assert list(map(repr, events)) == [
        "StringPiece(path='$.a', text='x')",
        "JSONPathEvent(path='$.a', value='x')",
    ]


def test_a_string_at_the_top_has_no_pieces() -> None:
    assert _parse(['"ab', 'c"'], string_pieces=True) == ("abc", [])


def test_without_path_events_nothing_is_reported() -> None:
    assert _parse(list('{"a": [1, "x"]}'), path_events=False)[1] == []


def test_depth_is_limited() -> None:
    parser = IncrementalJSONParser(max_depth=3)
    parser.feed("[[{")

    with pytest.raises(InvalidJSONError, match="at most 3 containers") as caught:
        parser.feed('"a":[')
    assert caught.value.position == 7


def test_as_deep_as_the_limit_is_allowed() -> None:
    assert _parse(["[[[1]]]"], max_depth=3)[0] == [[[1]]]


def test_a_bomb_of_brackets_ends_at_the_limit() -> None:
    with pytest.raises(InvalidJSONError, match="at most 500 containers"):
        IncrementalJSONParser().feed("[" * 1_000_000)


def test_size_is_limited() -> None:
    parser = IncrementalJSONParser(max_chars=10)
    parser.feed('"12345678')

    with pytest.raises(InvalidJSONError, match="at most 10 characters"):
        parser.feed('9"')


def test_integers_beyond_pythons_limit_are_an_error_of_ours() -> None:
    parser = IncrementalJSONParser()
    parser.feed("[")
    parser.feed("1" * 5000)

    with pytest.raises(InvalidJSONError, match="5000 characters") as caught:
        parser.feed("]")
    assert caught.value.position == 1


@pytest.mark.parametrize("is_read", [False, True])
def test_twice_the_text_takes_twice_the_steps(is_read: bool) -> None:
    row = '{"name": "a \\u00e9 b", "n": [1, 2.5, true, null]}'

    steps = [_steps("[" + ", ".join([row] * rows) + "]", is_read) for rows in (100, 200)]

    assert steps[1] < 2.1 * steps[0]


def _steps(text: str, is_read: bool) -> int:
    """How many functions run while the text is read by 4 characters."""
    parser = IncrementalJSONParser(string_pieces=True)
    count = 0

    def on_call(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(on_call)
    try:
        for at in range(0, len(text), 4):
            parser.feed(text[at : at + 4])
            if is_read:
                parser.snapshot()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("string_pieces", [True, False])
@pytest.mark.parametrize("start", ['["x", "', '{"a": "', '"'])
def test_a_long_string_is_not_kept_as_its_many_pieces(start: str, string_pieces: bool) -> None:
    parser = IncrementalJSONParser(string_pieces=string_pieces)
    parser.feed(start)
    told: list[str] = []
    for at in range(3000):
        told += [e.text for e in parser.feed(f"{at:04}\\n") if isinstance(e, StringPiece)]
        assert len(parser._machine.parts) <= 258

    parser.feed('"' + {"[": "]", "{": "}", '"': ""}[start[0]])
    whole = "".join(f"{at:04}\n" for at in range(3000))
    assert whole in leaves_of(parser.finish())
    assert "".join(told) == (whole if string_pieces and start != '"' else "")


def leaves_of(value: Any) -> list[Any]:
    """The value, or what is in it."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else [value]
