"""JSON inside a code fence or prose."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.finder import JSONFinder
from steer_llm_sdk.structured.parser import JSONPathEvent

_OBJECTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
    ),
    min_size=1,
    max_size=4,
)


def _find(text: str, starts: str = "{") -> Any:
    """The value, found in the whole text and by single characters alike."""
    finder = JSONFinder(starts)
    for char in text:
        finder.feed(char)
    whole = JSONFinder(starts)
    whole.feed(text)
    value = whole.finish()
    assert finder.finish() == value
    return value


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```\n',
        '```JSON\r\n{"a": 1}\r\n```',
        '```json\n{"a": 1}',
        'Sure! Here is it:\n\n```json\n{"a": 1}\n```\nAnything else?',
        'The answer: {"a": 1}.',
        '{"a": 1} is what you want',
        'For {name} and {{template}} use {"a": 1}.',
        'The set {1, 2} and { }, then {"a": 1}',
        '{"a": 1} and then {"b',
        'So {} is empty, but {"a": 1} is not; see {}',
        '~~~\n{"a": 1}\n~~~',
    ],
)
def test_one_value_is_found(text: str) -> None:
    assert _find(text) == {"a": 1}


def test_a_fence_inside_a_string_is_text() -> None:
    text = '```json\n{"code": "```py\\nx = {1}\\n```"}\n```'

    assert _find(text) == {"code": "```py\nx = {1}\n```"}


def test_arrays_are_found_where_one_may_be_meant() -> None:
    assert _find("Result: [1, 2]", "[") == [1, 2]
    assert _find('As said in [1, 2]: {"a": 1}', "{") == {"a": 1}


def test_an_empty_value_counts_when_there_is_no_other() -> None:
    assert _find("The answer is {}") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Nothing here.", "found none"),
        ("", "found none"),
        ("Use {name}.", "found none"),
        ('{"a": 1} and {"b": 2}', "character 13: .*found a second"),
        ('```json\n{"a": 1}\n```\n```json\n{"b": 2}\n```', "found a second"),
        ('{"a": [{"b": 1}', "character 15: .*the end of the text"),
        ('Here: {"a": 1, oops {"b": 2}}', "character 15"),
        ("[" * 2000, "containers inside"),
    ],
)
def test_none_two_or_a_broken_one_is_an_error(text: str, words: str) -> None:
    with pytest.raises(InvalidJSONError, match=words):
        _find(text, "{[")


def test_what_stands_inside_a_broken_value_is_never_the_answer() -> None:
    with pytest.raises(InvalidJSONError):
        _find('{"items": [{"a": 1}, {"a": 2}, {"a":')


def test_endless_braces_are_given_up() -> None:
    with pytest.raises(InvalidJSONError, match="found none"):
        _find("{x" * 3000 + '{"a": 1}')


@given(_OBJECTS, st.sampled_from(["", "Here:\n", "```json\n", "a {b} c "]), st.integers(1, 9))
def test_snapshots_and_events_hold_while_the_text_arrives(
    value: dict[str, Any], before: str, size: int
) -> None:
    text = before + json.dumps(value) + "\n```\nDone {so far}."
    finder = JSONFinder("{", path_events=True)
    events = []
    last: Any = None

    for at in range(0, len(text), size):
        events += finder.feed(text[at : at + size])
        shown = finder.snapshot()
        assert last is None or set(last) <= set(shown)
        last = copy.deepcopy(shown)
    assert finder.finish() == value == last
    top = [e for e in events if isinstance(e, JSONPathEvent) and len(e.keys) == 1]
    assert [(e.key, e.value) for e in top] == list(value.items())


def test_of_a_value_that_has_begun_the_text_is_not_kept() -> None:
    finder = JSONFinder()
    for piece in ["Here: ", '{"rows": [', *["1, "] * 1000, "1]}", " done {so} "]:
        finder.feed(piece)
        assert sum(map(len, finder._since)) <= 30

    assert finder.finish() == {"rows": [1] * 1001}


def test_a_second_value_far_behind_a_long_one_is_still_found() -> None:
    finder = JSONFinder()
    for piece in ["[", *["1, "] * 1000, "1]", " or [", "2]"]:
        finder.feed(piece)

    with pytest.raises(InvalidJSONError, match="found a second"):
        finder.finish()
