"""Fragments become deltas, and leave the rest of what they say where it is looked for.

The choices beside the first: what an event's metadata shows, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from steer_llm_sdk.answer.choices import OtherChoices
from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.errors import OverloadedError, ProtocolError
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.fragments import (
    Commentary,
    End,
    Extras,
    Failure,
    Finish,
    Fragment,
    Identity,
    MessageBreak,
    OtherChoice,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from support.pure_road import new_response

NOW = 105.0


def intake_of(**options: Any) -> Intake:
    return Intake(new_response(), wall_offset=900.0, **options)


def taken(intake: Intake, *fragments: Fragment) -> list[StreamDeltaEvent]:
    return list(intake.feed(fragments, NOW))


def deltas(*fragments: Fragment) -> list[Any]:
    return [event.delta for event in taken(intake_of(), *fragments)]


def deltas_of_others(*fragments: Any) -> list[Any]:
    others = OtherChoices()
    return [others.take(OtherChoice(1, fragment))["delta"] for fragment in fragments]


def breaking(*fragments: Fragment) -> Iterator[Fragment]:
    yield from fragments
    raise ProtocolError("not JSON")


# --- words ------------------------------------------------------------------------------------


def test_words_are_numbered_and_carry_the_names_of_the_stream() -> None:
    intake = intake_of()
    intake.sequence = 1  # the start event was 0

    first, second = taken(intake, "Hel", "lo")

    assert (first.delta, first.chunk_index, first.sequence) == ("Hel", 0, 1)
    assert (second.delta, second.chunk_index, second.sequence) == ("lo", 1, 2)
    assert (first.provider, first.model) == ("test", "asked-model")
    assert (first.request_id, first.stream_id) == ("request-1", "stream-1")
    assert first.timestamp == NOW + 900.0


def test_words_are_in_the_response_as_soon_as_they_are_given() -> None:
    intake = intake_of()

    given = iter(intake.feed(["Hel", "lo"], NOW))

    next(given)
    assert intake.response.get_text() == "Hel"
    next(given)
    assert intake.response.get_text() == "Hello"


@pytest.mark.parametrize("fragments", [("Hello",), iter(["Hello"])])
def test_words_that_come_alone_make_the_same_event(fragments: Any) -> None:
    intake = intake_of(is_json=True)
    intake.sequence, intake.chunks = 3, 2
    assert taken(intake, Extras({"service_tier": "default"})) == []

    (event,) = intake.feed(fragments, NOW)

    assert (event.delta, event.sequence, event.chunk_index) == ("Hello", 3, 2)
    assert (event.provider, event.model) == ("test", "asked-model")
    assert (event.request_id, event.stream_id) == ("request-1", "stream-1")
    assert (event.timestamp, event.is_json) == (NOW + 900.0, True)
    assert event.metadata == {"service_tier": "default"}
    assert (intake.sequence, intake.chunks) == (4, 3)
    assert intake.response.get_text() == "Hello"
    assert intake.take_pending() == {}


@pytest.mark.parametrize("is_rewritten", [False, True])
@pytest.mark.parametrize("empty", ["", Text("", {}), Refusal(""), Commentary(""), Reasoning()])
def test_what_says_nothing_is_no_delta(empty: Fragment, is_rewritten: bool) -> None:
    assert taken(intake_of(is_rewritten=is_rewritten), empty) == []


def test_text_is_json_where_json_was_asked_for_and_other_deltas_never_are() -> None:
    events = taken(intake_of(is_json=True), "{", Text("}", {}), Reasoning("hm"))

    assert [event.is_json for event in events] == [True, True, False]


def test_what_is_attached_to_words_is_in_their_metadata() -> None:
    (event,) = taken(intake_of(), Text("Hi", {"logprobs": [-0.1]}))

    assert event.delta == "Hi"
    assert event.metadata == {"logprobs": [-0.1]}


def test_what_is_attached_to_no_words_waits_for_the_next_event() -> None:
    events = taken(intake_of(), Text("", {"citations": ["a"]}), "Hi", "there")

    assert [event.metadata for event in events] == [{"citations": ["a"]}, {}]


# --- other deltas -----------------------------------------------------------------------------


def test_reasoning_keeps_its_extra_keys() -> None:
    signed = Reasoning("", extra={"signature": "c2ln"})

    assert deltas(Reasoning("Hm"), signed) == [
        {"type": "reasoning", "text": "Hm"},
        {"type": "reasoning", "text": "", "signature": "c2ln"},
    ]


def test_parts_of_reasoning_are_kept_apart_by_a_blank_line() -> None:
    pieces = [Reasoning("a", 0), Reasoning("b", 0), Reasoning("", 1, {"k": 1}), Reasoning("c", 1)]

    assert [delta["text"] for delta in deltas(*pieces)] == ["a", "b", "", "\n\n", "c"]


def test_a_refusal_is_a_delta_of_its_own() -> None:
    assert deltas(Refusal("No.")) == [{"type": "refusal", "text": "No."}]


def test_commentary_is_a_delta_of_its_own_and_no_text() -> None:
    intake = intake_of()

    (event,) = taken(intake, Commentary("I look."))

    assert event.delta == {"type": "commentary", "text": "I look."}
    assert intake.response.get_text() == ""


@pytest.mark.parametrize(("is_json", "text"), [(False, "a\n\nb"), (True, "ab")])
def test_messages_are_joined_by_a_blank_line_unless_they_are_json(is_json: bool, text: str) -> None:
    assert (
        "".join(str(e.delta) for e in taken(intake_of(is_json=is_json), "a", MessageBreak(), "b"))
        == text
    )


def test_a_tool_call_repeats_its_id_and_name_in_every_piece() -> None:
    found = deltas(ToolCallPiece(0, "call_1", "add", ""), ToolCallPiece(0, arguments='{"a"'))

    assert found == [
        {"type": "tool_call", "index": 0, "id": "call_1", "name": "add", "arguments": ""},
        {"type": "tool_call", "index": 0, "id": "call_1", "name": "add", "arguments": '{"a"'},
    ]


def test_an_id_that_never_comes_is_made_and_differs_between_calls() -> None:
    first, second = deltas(ToolCallPiece(0, name="add"), ToolCallPiece(1, name="add"))

    assert first["id"].startswith("call_")
    assert first["id"] != second["id"]


def test_an_id_that_comes_late_replaces_the_one_that_was_made() -> None:
    intake = intake_of()

    _, late = taken(intake, ToolCallPiece(0, name="add"), ToolCallPiece(0, "call_1"))

    assert late.delta == {
        "type": "tool_call", "index": 0, "id": "call_1", "name": "add", "arguments": "",
    }  # fmt: skip


def test_an_id_that_another_call_has_is_no_name_for_this_one() -> None:
    pieces = [ToolCallPiece(index, "call_1", "add", "{") for index in (0, 1)]

    *begun, first, second = deltas(
        *pieces, ToolCallPiece(0, None, None, "}"), ToolCallPiece(1, "b")
    )

    assert [each["id"] == "call_1" for each in begun] == [True, False]
    assert begun[1]["id"].startswith("call_")
    assert (first["id"], second["id"]) == ("call_1", "b")


def test_a_piece_that_repeats_what_is_known_is_no_delta() -> None:
    call = ToolCallPiece(0, "call_1", "add")

    assert len(deltas(call, call, ToolCallPiece(0), ToolCallPiece(0, extra={"sig": 1}))) == 2


@pytest.mark.parametrize("name", ["type", "index", "id", "name", "arguments", "call_type"])
def test_a_field_of_a_call_takes_no_name_of_the_library(name: str) -> None:
    piece = ToolCallPiece(0, "call_1", "add", "{}")
    strange = ToolCallPiece(0, "call_1", "add", "{}", extra={name: "find", "signature": "s"})

    (plain,), (delta,) = deltas(piece), deltas(strange)
    (beside,) = deltas_of_others(strange)
    assert delta == beside == {**plain, "signature": "s"}


@pytest.mark.parametrize("name", ["type", "text"])
def test_a_field_of_a_thought_takes_no_name_of_the_library(name: str) -> None:
    strange = Reasoning("Hm", extra={name: "find", "signature": "s"})

    (delta,), (beside,) = deltas(strange), deltas_of_others(strange)
    assert delta == beside == {"type": "reasoning", "text": "Hm", "signature": "s"}


def test_a_call_of_another_kind_says_so() -> None:
    piece = ToolCallPiece(0, "c", "sh", "ls", type="custom", extra={"caller": "x"})

    (delta,) = deltas(piece)
    assert delta["call_type"] == "custom"
    assert delta["caller"] == "x"


def test_a_call_that_is_withdrawn_is_none_of_a_whole_answer() -> None:
    intake = intake_of()
    taken(
        intake,
        ToolCallPiece(0, "call_1", "add", "{}", is_whole=True),
        ToolCallPiece(1, "call_2", "add", "{}"),
        ToolCallPiece(1, is_withdrawn=True),
    )

    intake.collector.settle(has_finished=True, was_cut=False)

    assert [call["id"] for call in intake.response.tool_calls] == ["call_1"]
    assert [call["id"] for call in intake.response.incomplete_tool_calls] == ["call_2"]


def test_a_call_that_was_closed_without_news_is_closed_all_the_same() -> None:
    intake = intake_of()

    events = taken(intake, ToolCallPiece(0, "c", "add", "5"), ToolCallPiece(0, is_whole=True))
    intake.collector.settle(has_finished=False, was_cut=False)

    assert len(events) == 1
    assert [call["arguments"] for call in intake.response.tool_calls] == ["5"]


def test_the_first_of_each_rarer_kind_is_noted_with_its_time() -> None:
    intake = intake_of()

    taken(intake, "Hi", Reasoning("Hm"), ToolCallPiece(0, "c", "add"))
    list(intake.feed([Reasoning("m"), ToolCallPiece(0, arguments="{")], NOW + 1))

    assert intake.firsts == {"reasoning": NOW, "tool_call": NOW, "tool_argument": NOW + 1}


# --- what is no delta -------------------------------------------------------------------------


def test_usage_keeps_the_last_value_of_each_count_and_adds_nothing_up() -> None:
    intake = intake_of()

    first = Usage({"prompt_tokens": 9, "completion_tokens": 1}, {"in": 9})
    assert taken(intake, first, Usage({"completion_tokens": 4}, {"out": 4})) == []

    assert intake.usage == Usage({"prompt_tokens": 9, "completion_tokens": 4}, {"out": 4})


def test_the_last_finish_reason_counts() -> None:
    intake = intake_of()

    taken(intake, Finish("stop", "STOP"), Finish("length", "MAX_TOKENS"))

    assert intake.finish == Finish("length", "MAX_TOKENS")


def test_who_answers_is_told_by_the_last_who_says_something() -> None:
    intake = intake_of()

    taken(intake, Identity("r-1", None), Identity(None, "m-2024"), Identity("", ""))

    assert intake.metadata == {"response_id": "r-1", "response_model": "m-2024"}


def test_extras_ride_on_the_next_event_and_lists_are_joined() -> None:
    first = Extras({"sources": ["a"], "n": 1, "empty": []})
    second = Extras({"sources": ["b"], "n": 2, "empty": ["c"]})

    events = taken(intake_of(), first, second, Reasoning("Hm"), "Hi")

    assert events[0].metadata == {"sources": ["a", "b"], "n": 2, "empty": ["c"]}
    assert events[1].metadata == {}


def test_extras_that_nothing_follows_wait_to_be_taken() -> None:
    intake = intake_of()

    taken(intake, Extras({"n": 1}))

    assert intake.take_pending() == {"n": 1}
    assert intake.take_pending() == {}


def test_other_choices_pass_in_metadata_only() -> None:
    intake = intake_of()

    (event,) = taken(intake, OtherChoice(1, "B"), OtherChoice(2, "C"), "A")

    assert event.delta == "A"
    assert event.metadata == {"choices": [{"index": 1, "delta": "B"}, {"index": 2, "delta": "C"}]}
    assert intake.response.get_text() == "A"


# --- the end ----------------------------------------------------------------------------------


def test_nothing_after_the_end_marker_is_looked_at() -> None:
    intake = intake_of()

    assert [event.delta for event in taken(intake, "a", End(), "b")] == ["a"]
    assert intake.has_ended


def test_nothing_after_a_failure_is_looked_at() -> None:
    intake, error = intake_of(), OverloadedError("busy")

    assert [event.delta for event in taken(intake, "a", Failure(error), "b")] == ["a"]
    assert intake.failure is error


def test_bytes_that_make_no_sense_are_a_failure_after_what_came_before() -> None:
    intake = intake_of()

    assert [event.delta for event in intake.feed(breaking("a"), NOW)] == ["a"]
    assert isinstance(intake.failure, ProtocolError)


def test_a_frame_that_the_end_of_the_body_cut_is_no_failure_and_no_clean_end() -> None:
    intake = intake_of()

    assert [event.delta for event in intake.feed_tail(breaking("a"), NOW)] == ["a"]
    assert intake.failure is None
    assert intake.has_cut_tail


def test_a_failure_that_the_last_frame_tells_is_one() -> None:
    intake, error = intake_of(), OverloadedError("busy")

    assert list(intake.feed_tail([Failure(error)], NOW)) == []
    assert intake.failure is error
    assert not intake.has_cut_tail


# --- text transformers ------------------------------------------------------------------------


@pytest.mark.parametrize("fragment", ["Hi", Text("Hi", {}), Reasoning("Hi")])
def test_a_deferred_delta_counts_only_once_it_is_adopted(fragment: Fragment) -> None:
    intake = intake_of(is_rewritten=True)

    (event,) = taken(intake, fragment)
    assert (intake.chunks, intake.sequence) == (0, 0)

    intake.sequence = 3
    intake.adopt(event)
    assert (event.sequence, event.chunk_index) == (3, 0)
    assert (intake.chunks, intake.sequence) == (1, 4)


def test_deferred_words_are_in_the_response_once_they_are_adopted() -> None:
    intake = intake_of(is_rewritten=True)

    (event,) = taken(intake, "secret")
    assert intake.response.get_text() == ""

    event.delta = "******"
    intake.adopt(event)
    assert intake.response.get_text() == "******"


def test_a_call_that_is_closed_before_it_is_adopted_is_closed() -> None:
    intake = intake_of(is_rewritten=True)

    for event in taken(intake, ToolCallPiece(0, "c", "sh", "ls", "custom", is_whole=True)):
        intake.adopt(event)
    intake.collector.settle(has_finished=False, was_cut=False)

    assert [call["name"] for call in intake.response.tool_calls] == ["sh"]


# --- another attempt --------------------------------------------------------------------------

SAID: Sequence[Fragment] = (
    Identity("r-1", "m-1"),
    Usage({"prompt_tokens": 1}, {}),
    Extras({"n": 1}),
    OtherChoice(1, "x"),
    Finish("stop", "stop"),
    Failure(OverloadedError("busy")),
)


def test_nothing_of_a_failed_attempt_is_left() -> None:
    intake, fresh = intake_of(), intake_of()
    taken(intake, *SAID)
    list(intake.feed_tail(breaking(), NOW))

    intake.begin_attempt()

    for name in ("failure", "has_ended", "has_cut_tail", "usage", "finish", "fragments"):
        assert getattr(intake, name) == getattr(fresh, name), name
    assert (intake.metadata, intake.firsts, intake.take_pending()) == ({}, {}, {})
    assert intake.others.as_dict() == {}


def test_when_a_failed_attempt_began_to_think_does_not_count() -> None:
    """Its deltas were made, and a text transformer held them: nobody has got one."""
    intake = intake_of(is_rewritten=True)
    taken(intake, Reasoning("Hm"))
    assert intake.firsts != {}

    intake.begin_attempt()

    assert intake.firsts == {}


def test_a_call_that_a_failed_attempt_closed_is_open_again() -> None:
    intake = intake_of(is_rewritten=True)
    taken(intake, ToolCallPiece(0, "c", "sh", "ls", "custom", is_whole=True))

    intake.begin_attempt()

    for event in taken(intake, ToolCallPiece(0, "c", "sh", "l", "custom")):
        intake.adopt(event)
    intake.collector.settle(has_finished=False, was_cut=False)
    assert intake.response.tool_calls == []


def test_what_an_attempt_has_delivered_stays() -> None:
    intake = intake_of()
    taken(intake, "Hi", Reasoning("Hm"), ToolCallPiece(0, "c", "add", "5", is_whole=True), *SAID)

    intake.begin_attempt()

    intake.collector.settle(has_finished=False, was_cut=False)
    assert intake.chunks == 3
    assert intake.firsts.keys() == {"reasoning", "tool_argument"}
    assert intake.response.reasoning == "Hm"
    assert len(intake.response.tool_calls) == 1


@pytest.mark.parametrize(
    ("fragment", "shown"),
    [
        ("Hi", {"delta": "Hi"}),
        (Text("Hi", {"logprobs": [1]}), {"delta": "Hi", "metadata": {"logprobs": [1]}}),
        (Reasoning("Hm"), {"delta": {"type": "reasoning", "text": "Hm"}}),
        (
            Reasoning("Hm", extra={"signature": "s"}),
            {"delta": {"type": "reasoning", "text": "Hm", "signature": "s"}},
        ),
        (Extras({"annotations": [1]}), {"metadata": {"annotations": [1]}}),
        (Refusal("No"), {"delta": {"type": "refusal", "text": "No"}}),
        (Finish("stop", "end_turn"), {"finish_reason": "stop"}),
        (
            ToolCallPiece(0, "call_1", "add", "{", extra={"extra_content": 1}),
            {
                "delta": {
                    "type": "tool_call",
                    "index": 0,
                    "id": "call_1",
                    "name": "add",
                    "arguments": "{",
                    "extra_content": 1,
                }
            },
        ),
    ],
)
def test_a_piece_is_shown_with_its_index(fragment: Any, shown: dict[str, Any]) -> None:
    assert OtherChoices().take(OtherChoice(3, fragment)) == {"index": 3, **shown}


def test_each_choice_adds_up_on_its_own() -> None:
    pieces: list[tuple[int, Any]] = [
        (2, "B"),
        (1, "A"),
        (1, Text("a", {})),
        (2, ToolCallPiece(1, name="sub", arguments="{}")),
        (2, ToolCallPiece(0, "call_1", "add", "{")),
        (2, ToolCallPiece(0, arguments="}")),
        (1, Finish("length", "max_tokens")),
    ]
    choices = OtherChoices()
    for index, fragment in pieces:
        choices.take(OtherChoice(index, fragment))

    assert choices.as_dict() == {
        1: {"text": "Aa", "tool_calls": [], "finish_reason": "max_tokens"},
        2: {
            "text": "B",
            "tool_calls": [
                {"id": "call_1", "name": "add", "arguments": "{}"},
                {"id": None, "name": "sub", "arguments": "{}"},
            ],
            "finish_reason": None,
        },
    }


def test_without_other_choices_there_is_nothing() -> None:
    assert OtherChoices().as_dict() == {}


def test_a_call_that_is_gone_on_with_keeps_its_identifier_and_name() -> None:
    intake = intake_of()
    taken(intake, ToolCallPiece(0, "call_real", "add", '{"a":'))

    intake.begin_attempt()
    (event,) = taken(intake, ToolCallPiece(0, arguments=" 1}", is_whole=True))
    intake.collector.settle(has_finished=True, was_cut=False)

    assert (event.delta["id"], event.delta["name"]) == ("call_real", "add")  # type: ignore[index]
    assert intake.response.tool_calls == [
        {"id": "call_real", "name": "add", "arguments": '{"a": 1}'}
    ]


def test_reasoning_that_is_gone_on_with_keeps_its_parts_apart() -> None:
    intake = intake_of()
    taken(intake, Reasoning("a", 0))

    intake.begin_attempt()
    events = taken(intake, Reasoning("b", 0), Reasoning("c", 1))

    assert [event.delta["text"] for event in events] == ["b", "\n\n", "c"]  # type: ignore[index]


@pytest.mark.parametrize("is_rewritten", [False, True])
def test_calls_and_reasoning_of_which_nothing_was_delivered_are_forgotten(
    is_rewritten: bool,
) -> None:
    intake = intake_of(is_rewritten=is_rewritten)
    if is_rewritten:
        taken(intake, Reasoning("a", 0), ToolCallPiece(0, "call_1", "add"))

    intake.begin_attempt()
    reasoning, call = taken(intake, Reasoning("b", 1), ToolCallPiece(0, name="sub"))

    assert reasoning.delta == {"type": "reasoning", "text": "b"}
    assert isinstance(call.delta, dict)
    assert call.delta["id"] != "call_1"


def test_lists_that_meet_are_joined_without_copying_what_has_come_before() -> None:
    intake = intake_of()
    taken(intake, Extras({"sources": [0]}))
    kept = intake._pending["sources"]

    for number in range(1, 1_000):
        taken(intake, Extras({"sources": [number]}))

    assert intake.take_pending()["sources"] is kept
    assert kept == list(range(1_000))


def test_a_list_of_the_decoders_is_not_changed() -> None:
    intake, mine = intake_of(), ["a"]

    taken(intake, Extras({"sources": mine}), Extras({"sources": ["b"]}))

    assert mine == ["a"]
    assert intake.take_pending() == {"sources": ["a", "b"]}


def test_lists_and_objects_that_nobody_checks_are_left_out_where_words_are_hidden() -> None:
    intake = intake_of(hides_unchecked=True)
    attached = {"logprobs": [{"token": "secret"}], "citation": {"quote": "secret"}, "tier": "x"}

    taken(intake, Extras(attached), OtherChoice(1, "secret"))

    assert intake.take_pending() == {"tier": "x"}
