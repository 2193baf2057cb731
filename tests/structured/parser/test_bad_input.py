"""Kinds of bad input: each is rejected, with the place and what was expected there."""

from __future__ import annotations

import pytest

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.parser import IncrementalJSONParser

# text, position, what was expected; a position at the length of the text is its end
_BAD = [
    # nothing
    ("", 0, "a JSON value"),
    (" \n", 2, "a JSON value"),
    ("\ufeff{}", 0, "a JSON value"),
    ("\u00a0[]", 0, "a JSON value"),
    ("\x0b1", 0, "a JSON value"),
    ("\x00", 0, "a JSON value"),
    # prose and fences
    ("Here is it: {}", 0, "a JSON value"),
    ("```json\n{}\n```", 0, "a JSON value"),
    ("// a comment\n{}", 0, "a JSON value"),
    ("<null>", 0, "a JSON value"),
    ("'x'", 0, "a JSON value"),
    # arrays
    ("[", 1, "a value or ']'"),
    ("[1", 2, "a number|',' or ']'"),
    ("[1,", 3, "a value"),
    ("[1,]", 3, "a value"),
    ("[,1]", 1, "a value or ']'"),
    ("[,]", 1, "a value or ']'"),
    ("[1,,2]", 3, "a value"),
    ("[1 2]", 3, "',' or ']'"),
    ('["a" "b"]', 5, "',' or ']'"),
    ("[1:2]", 2, "',' or ']'"),
    ("[1}", 2, "',' or ']'"),
    ("[}", 1, "a value or ']'"),
    ("[1]]", 3, "nothing after the JSON value"),
    ("]", 0, "a JSON value"),
    ("[(1)]", 1, "a value or ']'"),
    ("[\x0c]", 1, "a value or ']'"),
    ("[1, /* two */ 2]", 4, "a value"),
    ("[*]", 1, "a value or ']'"),
    ("[\u20ac]", 1, "a value or ']'"),
    # objects
    ("{", 1, "field's name, or '}'"),
    ("{,}", 1, "field's name, or '}'"),
    ('{"a"', 4, "':'"),
    ('{"a"}', 4, "':'"),
    ('{"a" 1}', 5, "':'"),
    ('{"a", 1}', 4, "':'"),
    ('{"a"=1}', 4, "':'"),
    ('{"a":', 5, "a value"),
    ('{"a":}', 5, "a value"),
    ('{"a":,}', 5, "a value"),
    ('{"a"::1}', 5, "a value"),
    ('{"a":1,}', 7, "a field's name"),
    ('{"a":1,,"b":2}', 7, "a field's name"),
    ('{"a":1 "b":2}', 7, "',' or '}'"),
    ('{"a":1]', 6, "',' or '}'"),
    ('{"a":1', 6, "a number|',' or '}'"),
    ('{"a":"b"', 8, "',' or '}'"),
    ("{a:1}", 1, "field's name, or '}'"),
    ("{'a':1}", 1, "field's name, or '}'"),
    ("{1:1}", 1, "field's name, or '}'"),
    ("{null:1}", 1, "field's name, or '}'"),
    ('{["a"]:1}', 1, "field's name, or '}'"),
    ('{"a":1 /**/}', 7, "',' or '}'"),
    ('{"a":1}#', 7, "nothing after"),
    ("}", 0, "a JSON value"),
    # a second value
    ("{}{}", 2, "nothing after the JSON value"),
    ("{} {}", 3, "nothing after the JSON value"),
    ("{},{}", 2, "nothing after the JSON value"),
    ("1 2", 2, "nothing after the JSON value"),
    ('"a" "b"', 4, "nothing after the JSON value"),
    ("truetrue", 4, "nothing after the JSON value"),
    ("[] and so on", 3, "nothing after the JSON value"),
    ("{}\n```", 3, "nothing after the JSON value"),
    # literals
    ("nul", 3, "one of the literals"),
    ("nulL", 3, "one of the literals"),
    ("nope", 1, "one of the literals"),
    ("True", 0, "a JSON value"),
    ("FALSE", 0, "a JSON value"),
    ("[tru]", 4, "one of the literals"),
    ("[nullx]", 5, "',' or ']'"),
    ("undefined", 0, "a JSON value"),
    # numbers
    ("NaN", 0, "a JSON value"),
    ("[NaN]", 1, "a value or ']'"),
    ("Infinity", 0, "a JSON value"),
    ("-Infinity", 1, "a number as JSON"),
    ("[-]", 2, "a number as JSON"),
    ("-", 1, "a number as JSON"),
    ("[-a]", 2, "a number as JSON"),
    ("[- 1]", 2, "a number as JSON"),
    ("[--1]", 2, "a number as JSON"),
    ("[+1]", 1, "a value or ']'"),
    ("[.5]", 1, "a value or ']'"),
    ("[-.5]", 2, "a number as JSON"),
    ("[1.]", 3, "a number as JSON"),
    ("[1.e5]", 3, "a number as JSON"),
    ("[1.5.6]", 4, "a number as JSON"),
    ("[01]", 2, "a number as JSON"),
    ("[-01]", 3, "a number as JSON"),
    ("[00]", 2, "a number as JSON"),
    ("[1e]", 3, "a number as JSON"),
    ("[1e+]", 4, "a number as JSON"),
    ("[1e5e5]", 4, "a number as JSON"),
    ("[1e5.5]", 4, "a number as JSON"),
    ("[1-2]", 2, "a number as JSON"),
    ("[1+2]", 2, "a number as JSON"),
    ("[0x1f]", 2, "',' or ']'"),
    ("[1_000]", 2, "',' or ']'"),
    ("[1a]", 2, "',' or ']'"),
    ("[\uff11]", 1, "a value or ']'"),
    ("[1\u0661]", 2, "',' or ']'"),
    # strings
    ('"', 1, "end of the string"),
    ('"abc', 4, "end of the string"),
    ('["abc', 5, "end of the string"),
    ('{"abc', 5, "end of the string"),
    ('"a\nb"', 2, "no bare control character"),
    ('"\t"', 1, "no bare control character"),
    ('"\x00"', 1, "no bare control character"),
    ('{"a\rb":1}', 3, "no bare control character"),
    ('"\\', 2, "the rest of an escape"),
    ('"\\"', 3, "end of the string"),
    (r'"\x41"', 2, "after a backslash"),
    (r'"\'"', 2, "after a backslash"),
    (r'"\0"', 2, "after a backslash"),
    (r'"\ "', 2, "after a backslash"),
    (r'"\U0041"', 2, "after a backslash"),
    ('"\\\u00e9"', 2, "after a backslash"),
    (r'"\u"', 3, "a hexadecimal digit"),
    (r'"\u00g0"', 5, "a hexadecimal digit"),
    (r'"\u00 0"', 5, "a hexadecimal digit"),
    (r'"\u+123"', 3, "a hexadecimal digit"),
    (r'"\u00', 5, "the rest of an escape"),
    (r'"\ud83d\u"', 9, "a hexadecimal digit"),
    (r'"\ud83d\x"', 8, "after a backslash"),
    (r'"\ud83d', 7, "the rest of an escape"),
]


def _rejection(pieces: list[str]) -> InvalidJSONError:
    with pytest.raises(InvalidJSONError) as caught:
        _parse(pieces)
    return caught.value


def _parse(pieces: list[str]) -> None:
    parser = IncrementalJSONParser()
    for piece in pieces:
        parser.feed(piece)
    parser.finish()


@pytest.mark.parametrize(("text", "position", "expected"), _BAD)
def test_bad_input_is_rejected_with_its_place_and_reason(
    text: str, position: int, expected: str
) -> None:
    error = _rejection([text])

    assert error.position == position
    found = repr(text[position]) if position < len(text) else "the end of the text"
    assert str(error).startswith(f"character {position}: expected ")
    assert str(error).endswith(f", found {found}")
    assert any(words in str(error) for words in expected.split("|"))


@pytest.mark.parametrize("text", [text for text, _, _ in _BAD])
def test_the_cuts_make_no_difference_to_the_rejection(text: str) -> None:
    whole, by_characters = _rejection([text]), _rejection(list(text))

    assert str(whole) == str(by_characters)


def test_a_parser_that_failed_keeps_failing_the_same_way() -> None:
    parser = IncrementalJSONParser()
    parser.feed("-")

    messages = []
    for _ in range(2):
        with pytest.raises(InvalidJSONError) as caught:
            parser.finish()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
