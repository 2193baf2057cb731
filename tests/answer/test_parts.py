"""Where the parts of an answer begin, what they add up to, and which part a delta belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.answer.parts import merge
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.fragments import (
    Commentary,
    Extras,
    File,
    Fragment,
    MessageBreak,
    PartData,
    PartEnd,
    ProviderItem,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
)
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from support.pure_road import new_response

NOW = 105.0
THOUGHT = {"wire": "test"}


def intake_of(*, is_ordered: bool = True, **options: Any) -> Intake:
    intake = Intake(new_response(), wall_offset=0.0, **options)
    intake.parts.wire = "test"
    intake.parts.is_ordered = is_ordered
    return intake


def taken(intake: Intake, *fragments: Fragment) -> list[StreamDeltaEvent]:
    return list(intake.feed(fragments, NOW))


def parts_of(*fragments: Fragment, **options: Any) -> list[Part]:
    intake = intake_of(**options)
    taken(intake, *fragments)
    return intake.response.parts


def numbers(*fragments: Fragment, **options: Any) -> list[int | None]:
    return [event.part for event in taken(intake_of(**options), *fragments)]


def rewritten(intake: Intake, events: Iterable[StreamDeltaEvent]) -> list[Part]:
    """The parts, once text transformers have let these events pass."""
    for event in events:
        intake.adopt(event)
    return intake.response.parts


# --- where a part begins ----------------------------------------------------------------------


def test_a_part_of_each_kind_in_the_order_in_which_they_began() -> None:
    pieces: list[Fragment] = [
        Reasoning("Hm"),
        Commentary("Wait."),
        "Hel",
        "lo",
        Refusal("No."),
        ToolCallPiece(0, "call_1", "add", "{}", is_whole=True),
    ]

    assert parts_of(*pieces) == [
        ReasoningPart("Hm", provider_data=THOUGHT),
        CommentaryPart("Wait."),
        TextPart("Hello"),
        RefusalPart("No."),
        ToolCallPart("call_1", "add", "{}", True),
    ]
    assert numbers(*pieces) == [0, 1, 2, 2, 3, 4]


def test_where_parts_stand_in_an_order_one_ends_where_another_begins() -> None:
    pieces: list[Fragment] = ["Hi", Reasoning("Hm"), "Ho", ToolCallPiece(0, "c", "f", "{}"), "Hu"]

    assert [part.type for part in parts_of(*pieces)] == [
        "text",
        "reasoning",
        "text",
        "tool_call",
        "text",
    ]


def test_where_each_kind_has_one_field_it_has_one_part() -> None:
    pieces: list[Fragment] = [
        Reasoning("a"),
        "Hi ",
        Reasoning("b"),
        "there",
        ToolCallPiece(0, "c", "f"),
        ".",
    ]

    found = parts_of(*pieces, is_ordered=False)

    assert found[:2] == [ReasoningPart("ab", provider_data=THOUGHT), TextPart("Hi there.")]
    assert numbers(*pieces, is_ordered=False) == [0, 1, 0, 1, 2, 1]


def test_blocks_that_the_provider_closes_are_parts_of_their_own() -> None:
    pieces: list[Fragment] = ["One", PartEnd("text"), "Two", PartEnd("text"), PartEnd("text")]

    assert parts_of(*pieces) == [TextPart("One"), TextPart("Two")]


def test_two_messages_are_parts_and_what_separates_them_is_of_none() -> None:
    pieces: list[Fragment] = ["One.", MessageBreak(), "Two."]

    intake = intake_of()
    events = taken(intake, *pieces)

    assert [(event.delta, event.part) for event in events] == [
        ("One.", 0),
        ("\n\n", None),
        ("Two.", 1),
    ]
    assert intake.response.parts == [TextPart("One."), TextPart("Two.")]
    assert intake.response.text == "One.\n\nTwo."


def test_json_that_was_asked_for_has_no_separator_and_yet_two_parts() -> None:
    assert parts_of("{", MessageBreak(), "}", is_json=True) == [TextPart("{"), TextPart("}")]


def test_parts_of_the_reasoning_and_what_separates_them() -> None:
    pieces: list[Fragment] = [
        Reasoning("a", 0),
        Reasoning("b", 0),
        Reasoning("", 1, {"s": 1}),
        Reasoning("c", 1),
    ]

    intake = intake_of()
    events = taken(intake, *pieces)

    assert [event.part for event in events] == [0, 0, 1, None, 1]
    assert intake.response.parts == [
        ReasoningPart("ab", provider_data=THOUGHT),
        ReasoningPart("c", provider_data={**THOUGHT, "s": 1}),
    ]
    assert intake.response.reasoning == "ab\n\nc"


def test_reasoning_that_the_provider_closes_is_a_part_of_its_own() -> None:
    pieces: list[Fragment] = [Reasoning("a", 0), PartEnd("reasoning"), Reasoning("b", 0)]

    assert [part.text for part in parts_of(*pieces) if isinstance(part, ReasoningPart)] == [
        "a",
        "b",
    ]


def test_the_pieces_of_parallel_calls_find_their_parts() -> None:
    pieces: list[Fragment] = [
        ToolCallPiece(0, "a", "f", '{"x"'),
        ToolCallPiece(1, "b", "g", "{}", is_whole=True),
        ToolCallPiece(0, arguments=":1}", is_whole=True),
    ]

    assert numbers(*pieces) == [0, 1, 0]
    assert parts_of(*pieces) == [
        ToolCallPart("a", "f", '{"x":1}', True),
        ToolCallPart("b", "g", "{}", True),
    ]


def test_a_file_is_a_delta_and_a_part() -> None:
    intake = intake_of()

    image, link = taken(intake, File("image/png", "aGk="), File("", url="https://e.com/a"))

    assert image.delta == {"type": "file", "media_type": "image/png", "data": "aGk="}
    assert link.delta == {"type": "file", "media_type": "", "url": "https://e.com/a"}
    assert (image.kind, image.part, link.part) == ("file", 0, 1)
    assert intake.response.files == [
        FilePart("image/png", "aGk="),
        FilePart(url="https://e.com/a"),
    ]


def test_what_the_provider_did_itself_is_a_part_without_deltas() -> None:
    item = {"type": "web_search_call", "id": "ws"}
    pieces: list[Fragment] = ["Hi", ProviderItem(item, {"x": 1}), "Ho"]

    assert numbers(*pieces) == [0, 2]
    assert parts_of(*pieces) == [
        TextPart("Hi"),
        ProviderPart(item, provider_data={**THOUGHT, "x": 1}),
        TextPart("Ho"),
    ]


# --- what it has beside its words --------------------------------------------------------------


def test_data_belongs_to_the_part_that_is_open_or_begins_one() -> None:
    data = PartData("text", {"id": "m1"})

    assert (
        parts_of("Hi", data)
        == parts_of(data, "Hi")
        == [TextPart("Hi", provider_data={"wire": "test", "id": "m1"})]
    )


def test_data_may_come_when_its_part_is_over() -> None:
    late = PartData("text", {"id": "m1"}, is_earlier=True)

    first, _ = parts_of("Hi", Reasoning("Hm"), late)

    assert first.provider_data == {"wire": "test", "id": "m1"}
    assert parts_of(late, "Hi") == [TextPart("Hi", provider_data={"wire": "test", "id": "m1"})]


def test_data_of_a_call_finds_its_call() -> None:
    pieces: list[Fragment] = [
        PartData("tool_call", {"id": "fc_1"}, index=0),
        ToolCallPiece(0, "c", "f", "{}", extra={"signature": "c2ln"}, is_whole=True),
    ]

    assert parts_of(*pieces) == [
        ToolCallPart(
            "c", "f", "{}", True, provider_data={**THOUGHT, "id": "fc_1", "signature": "c2ln"}
        )
    ]


def test_citations_are_with_the_words_that_rest_on_them() -> None:
    cited = [{"url": "a"}, {"url": "b"}]
    pieces: list[Fragment] = ["One", PartData("text", {}, cited), PartEnd("text"), "Two"]

    intake = intake_of()
    taken(intake, *pieces)

    assert intake.response.parts == [
        TextPart("One", cited, provider_data=THOUGHT),
        TextPart("Two"),
    ]
    assert intake.response.citations == cited


def test_a_part_that_is_changed_by_its_reader_changes_nothing_else() -> None:
    intake = intake_of()
    taken(intake, PartData("text", {"id": "m1"}, [{"url": "a"}]), "Hi")

    (part,) = intake.response.parts
    assert isinstance(part, TextPart)
    part.citations.clear()
    part.provider_data.clear()

    assert intake.response.parts == [
        TextPart("Hi", [{"url": "a"}], provider_data={**THOUGHT, "id": "m1"})
    ]


def test_what_comes_again_under_one_key_is_joined() -> None:
    data: dict[str, Any] = {"a": [1], "b": {"x": 1}, "c": "old"}

    merge(data, {"a": [2], "b": {"y": 2}, "c": "new", "d": 1})

    assert data == {"a": [1, 2], "b": {"x": 1, "y": 2}, "c": "new", "d": 1}


# --- while it streams ---------------------------------------------------------------------------


def test_the_parts_are_as_they_stand_while_the_answer_grows() -> None:
    intake = intake_of()
    events = iter(intake.feed(["Hel", "lo", ToolCallPiece(0, "c", "f", '{"a"')], NOW))

    next(events)
    assert intake.response.parts == [TextPart("Hel")]
    next(events)
    assert intake.response.parts == [TextPart("Hello")]
    next(events)
    assert intake.response.parts[1] == ToolCallPart("c", "f", '{"a"')


def test_a_call_is_complete_as_soon_as_the_provider_closes_it() -> None:
    intake = intake_of()
    taken(intake, ToolCallPiece(0, "c", "f", "{}"))
    assert intake.response.tool_calls == []

    taken(intake, ToolCallPiece(0, is_whole=True))

    assert intake.response.tool_calls == [{"id": "c", "name": "f", "arguments": "{}"}]
    assert intake.response.parts == [ToolCallPart("c", "f", "{}", True)]


def test_reasoning_refusal_and_commentary_can_be_read_while_they_grow() -> None:
    intake = intake_of()
    taken(intake, Reasoning("Hm"), Commentary("Wait."), Refusal("No."))

    response = intake.response
    assert (response.reasoning, response.commentary, response.refusal) == ("Hm", "Wait.", "No.")


def test_an_attempt_that_gave_nothing_leaves_no_part() -> None:
    intake = intake_of()
    taken(intake, PartData("text", {"id": "m1"}), ProviderItem({"type": "search"}))

    intake.begin_attempt()
    taken(intake, "Hi")

    assert intake.response.parts == [TextPart("Hi")]


def test_an_answer_that_is_taken_up_again_goes_on_in_its_part() -> None:
    intake = intake_of()
    taken(intake, "Hel")

    intake.begin_attempt()
    taken(intake, "lo", PartEnd("text"), "!")

    assert intake.response.parts == [TextPart("Hello"), TextPart("!")]


# --- with text transformers ---------------------------------------------------------------------


def test_words_that_pass_unchanged_keep_what_the_provider_wants_back() -> None:
    intake = intake_of(is_rewritten=True)
    events = taken(intake, Reasoning("Hm", 0, {"signature": "c2ln"}), "Hel", "lo")

    assert intake.response.parts == [ReasoningPart(), TextPart()]
    found = rewritten(intake, events)

    assert found == [
        ReasoningPart("Hm", provider_data={**THOUGHT, "signature": "c2ln"}),
        TextPart("Hello"),
    ]


def test_a_part_whose_words_were_changed_loses_it() -> None:
    intake = intake_of(is_rewritten=True)
    thought, words = taken(
        intake, Reasoning("secret", 0, {"signature": "c2ln"}), Text("Hi", {}), PartEnd("text")
    )
    thought.delta = {"type": "reasoning", "text": "[REDACTED]", "signature": "c2ln"}

    assert rewritten(intake, [thought, words]) == [ReasoningPart("[REDACTED]"), TextPart("Hi")]


def test_a_call_whose_arguments_were_changed_loses_it() -> None:
    intake = intake_of(is_rewritten=True)
    pieces: list[Fragment] = [
        ToolCallPiece(0, "c", "f", '{"key":1}', is_whole=True, extra={"s": 1})
    ]
    (event,) = taken(intake, *pieces)
    assert intake.response.parts == [ToolCallPart()]

    assert isinstance(event.delta, dict)
    event.delta = {**event.delta, "arguments": '{"key":0}'}

    intake.collector.settle(has_finished=False, was_cut=False)
    assert rewritten(intake, [event]) == [ToolCallPart("c", "f", '{"key":0}', True)]


def test_words_that_a_transformer_made_itself_go_where_the_latest_of_their_kind_went() -> None:
    intake = intake_of(is_rewritten=True)
    events = taken(intake, "Hi", MessageBreak(), "Ho")
    own = [StreamDeltaEvent(delta="\n\n"), StreamDeltaEvent(delta="!")]

    found = rewritten(intake, [*events, *own])

    assert found == [TextPart("Hi"), TextPart("Ho\n\n!")]
    assert [event.part for event in own] == [1, 1]


def test_words_that_a_transformer_made_behind_a_separator_go_on_with_the_part_before() -> None:
    intake = intake_of(is_rewritten=True)
    events = taken(intake, "Hi", MessageBreak())

    assert rewritten(intake, [*events, StreamDeltaEvent(delta="!")]) == [TextPart("Hi\n\n!")]


def test_words_that_a_transformer_made_before_any_came_are_a_part() -> None:
    intake = intake_of(is_rewritten=True)

    assert rewritten(intake, [StreamDeltaEvent(delta="Hi")]) == [TextPart("Hi")]


def test_words_that_come_out_of_their_order_are_of_the_part_that_grows() -> None:
    intake = intake_of(is_rewritten=True)
    first, second = taken(intake, "One", PartEnd("text"), "Two")
    late = StreamDeltaEvent(delta="late", part=0)
    lost = StreamDeltaEvent(delta="lost", part=99)

    found = rewritten(intake, [first, second, late, lost])

    assert found == [TextPart("One"), TextPart("Twolatelost")]
    assert (late.part, lost.part) == (1, 1)


def test_a_delta_of_an_unknown_kind_is_of_no_part() -> None:
    intake = intake_of(is_rewritten=True)

    assert rewritten(intake, [StreamDeltaEvent(delta={"type": "own", "text": "x"})]) == []


def test_a_file_that_a_transformer_dropped_is_not_shown() -> None:
    intake = intake_of(is_rewritten=True)
    kept, _dropped = taken(intake, File("image/png", "aGk="), File("image/png", "c2Vj"))

    assert rewritten(intake, [kept]) == [FilePart("image/png", "aGk="), FilePart()]


def test_a_file_is_what_a_transformer_made_of_it() -> None:
    intake = intake_of(is_rewritten=True)
    (event,) = taken(intake, File("image/png", "c2Vj"))
    assert isinstance(event.delta, dict)
    event.delta = {**event.delta, "data": "eHh4"}

    assert rewritten(intake, [event]) == [FilePart("image/png", "eHh4")]


def test_what_redacting_transformers_cannot_check_is_left_out() -> None:
    intake = intake_of(is_rewritten=True, hides_unchecked=True)
    events = taken(
        intake,
        PartData("text", {"id": "m1"}, [{"cited_text": "secret"}]),
        ProviderItem({"type": "search", "result": "secret"}),
        File("image/png", "aGk=", extra={"id": "f1"}),
        "Hi",
        Extras({}),
    )

    before = rewritten(intake, events)
    assert [part.provider_data for part in before] == [{}, {}, {}]
    intake.parts.note_checked()

    assert intake.response.parts == [
        TextPart("", provider_data={**THOUGHT, "id": "m1"}),
        FilePart("image/png", "aGk=", provider_data={**THOUGHT, "id": "f1"}),
        TextPart("Hi"),
    ]


def test_what_the_provider_wants_back_can_be_checked_and_left_out() -> None:
    intake = intake_of(is_rewritten=True, hides_unchecked=True)
    events = taken(
        intake,
        Reasoning("Hm", 0, {"signature": "c2ln"}),
        Reasoning("So", 1, {"signature": "secret"}),
        "Hi",
    )
    found = rewritten(intake, events)

    assert dict(intake.parts.stored_data()) == {
        0: {"signature": "c2ln"},
        1: {"signature": "secret"},
    }
    intake.parts.drop_data(1)
    intake.parts.note_checked()
    found = intake.response.parts

    assert [part.provider_data for part in found] == [{**THOUGHT, "signature": "c2ln"}, {}, {}]


@pytest.mark.parametrize("kind", ["text", "reasoning"])
def test_a_separator_that_a_transformer_filled_belongs_to_a_part(kind: str) -> None:
    intake = intake_of(is_rewritten=True)
    words: list[Fragment] = ["a", MessageBreak(), "b"]
    thoughts: list[Fragment] = [Reasoning("a", 0), Reasoning("b", 1)]
    first, between, second = taken(intake, *(words if kind == "text" else thoughts))
    between.delta = "held\n\n" if kind == "text" else {"type": kind, "text": "held\n\n"}

    said = [getattr(part, "text", "") for part in rewritten(intake, [first, between, second])]

    assert said == ["aheld\n\n", "b"]
