"""The value so far, for whoever looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.structured import PartialJSON
from steer_llm_sdk.structured.parser import JSONEvent, JSONPathEvent, StringPiece


def _shown(events: list[JSONEvent]) -> list[tuple[str, object]]:
    return [(e.path, e.value if isinstance(e, JSONPathEvent) else e.text) for e in events]


def test_before_any_text_there_is_nothing() -> None:
    assert PartialJSON(TextPieces()).snapshot() is None
    assert PartialJSON(TextPieces()).read_events() == []


def test_what_nobody_reads_is_not_parsed() -> None:
    text = TextPieces()
    partial = PartialJSON(text)

    for _ in range(1000):
        text.append('{"a"')

    assert partial._parser is None


def test_a_look_shows_what_has_come() -> None:
    text = TextPieces()
    partial = PartialJSON(text)
    text.append('{"a": "wo')
    text.append('rds", "b": 1')

    assert partial.snapshot() == {"a": "words"}
    text.append("2}")
    assert partial.snapshot() == {"a": "words", "b": 12}
    assert partial.snapshot() is partial.snapshot()


def test_events_are_given_once_and_from_the_beginning() -> None:
    text = TextPieces()
    partial = PartialJSON(text)
    text.append('{"a": "wo')
    partial.snapshot()

    text.append("rd")
    assert _shown(partial.read_events()) == [("$.a", "word")]
    assert partial.read_events() == []
    text.append('s", "b": 1}')
    assert _shown(partial.read_events()) == [("$.a", "s"), ("$.a", "words"), ("$.b", 1)]
    assert partial.snapshot() == {"a": "words", "b": 1}


def test_string_pieces_come_with_the_events() -> None:
    text = TextPieces()
    partial = PartialJSON(text)
    text.append('["x')

    assert [type(event) for event in partial.read_events()] == [StringPiece]


def test_bad_json_shows_what_came_before_it() -> None:
    text = TextPieces()
    partial = PartialJSON(text)
    text.append('{"a": 1, ')
    text.append("oops")
    assert partial.snapshot() == {"a": 1}

    text.append("more")
    assert partial.snapshot() == {"a": 1}
    assert _shown(partial.read_events()) == [("$.a", 1)]


def test_inside_prose_it_shows_once_it_is_certain() -> None:
    text = TextPieces()
    partial = PartialJSON(text, "{")
    seen = []
    for piece in ["Sure {na", "me}: ```json\n", "{", '"a": ', "1}", "\n```", " {bye}"]:
        text.append(piece)
        seen.append(partial.snapshot())

    assert seen == [None, None, None, None, {"a": 1}, {"a": 1}, {"a": 1}]


@given(st.lists(st.text("ab", max_size=700)), st.integers(1, 5))
def test_a_growing_text_is_given_from_any_mark_on(pieces: list[str], looks: int) -> None:
    text = TextPieces()
    seen, mark = "", 0
    for number, piece in enumerate(pieces):
        text.append(piece)
        if number % looks == 0:
            new, mark = text.text_since(mark)
            seen += new

    assert seen + text.text_since(mark)[0] == "".join(pieces) == str(text)
