"""The value so far, for whoever looks."""

from __future__ import annotations

from steer_llm_sdk.streaming.incremental_json import JSONEvent, JSONPathEvent, StringPiece
from steer_llm_sdk.streaming.structured import PartialJSON


def _shown(events: list[JSONEvent]) -> list[tuple[str, object]]:
    return [(e.path, e.value if isinstance(e, JSONPathEvent) else e.text) for e in events]


def test_before_any_text_there_is_nothing() -> None:
    assert PartialJSON().snapshot() is None
    assert PartialJSON().read_events() == []


def test_what_nobody_reads_is_not_parsed() -> None:
    partial = PartialJSON()

    for _ in range(1000):
        partial.feed('{"a"')

    assert partial._parser is None


def test_a_look_shows_what_has_come() -> None:
    partial = PartialJSON()
    partial.feed('{"a": "wo')
    partial.feed('rds", "b": 1')

    assert partial.snapshot() == {"a": "words"}
    partial.feed("2}")
    assert partial.snapshot() == {"a": "words", "b": 12}
    assert partial.snapshot() is partial.snapshot()


def test_events_are_given_once_and_from_the_beginning() -> None:
    partial = PartialJSON()
    partial.feed('{"a": "wo')
    partial.snapshot()

    partial.feed("rd")
    assert _shown(partial.read_events()) == [("$.a", "word")]
    assert partial.read_events() == []
    partial.feed('s", "b": 1}')
    assert _shown(partial.read_events()) == [("$.a", "s"), ("$.a", "words"), ("$.b", 1)]
    assert partial.snapshot() == {"a": "words", "b": 1}


def test_string_pieces_come_with_the_events() -> None:
    partial = PartialJSON()
    partial.feed('["x')

    assert [type(event) for event in partial.read_events()] == [StringPiece]


def test_bad_json_shows_what_came_before_it() -> None:
    partial = PartialJSON()
    partial.feed('{"a": 1, ')
    partial.feed("oops")
    assert partial.snapshot() == {"a": 1}

    partial.feed("more")
    assert partial.snapshot() == {"a": 1}
    assert _shown(partial.read_events()) == [("$.a", 1)]


def test_inside_prose_it_shows_once_it_is_certain() -> None:
    partial = PartialJSON("{")
    seen = []
    for piece in ["Sure {na", "me}: ```json\n", "{", '"a": ', "1}", "\n```", " {bye}"]:
        partial.feed(piece)
        seen.append(partial.snapshot())

    assert seen == [None, None, None, None, {"a": 1}, {"a": 1}, {"a": 1}]
