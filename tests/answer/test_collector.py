"""What was delivered, put together: which calls may be run, and which may not."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.answer.collector import Collector
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.responses import StreamingResponse


def piece(arguments: str, index: int = 0, **more: Any) -> dict[str, Any]:
    head = {"type": "tool_call", "index": index, "id": f"call_{index}", "name": "add"}
    return {**head, "arguments": arguments, **more}


def settled(
    *deltas: str | dict[str, Any],
    closed: tuple[int, ...] = (),
    has_finished: bool = True,
    was_cut: bool = False,
) -> StreamingResponse:
    collector = Collector(StreamingResponse())
    for delta in deltas:
        collector.add(StreamDeltaEvent(delta=delta))
    for index in closed:
        collector.close_call(index)
    collector.settle(has_finished=has_finished, was_cut=was_cut)
    return collector.response


def is_runnable(*deltas: dict[str, Any], **options: Any) -> bool:
    response = settled(*deltas, **options)
    assert len(response.tool_calls) + len(response.incomplete_tool_calls) == 1
    return bool(response.tool_calls)


def test_words_reasoning_and_refusals_are_kept_apart() -> None:
    response = settled(
        "Hel",
        {"type": "reasoning", "text": "Hm"},
        {"type": "reasoning", "signature": "c2ln"},
        "lo",
        {"type": "refusal", "text": "No"},
        {"type": "refusal", "text": "."},
    )

    assert response.get_text() == "Hello"
    assert response.reasoning == "Hm"
    assert response.refusal == "No."


def test_the_pieces_of_parallel_calls_find_together() -> None:
    response = settled(piece('{"a"', 0), piece("{}", 1), piece(":1}", 0))

    assert response.tool_calls == [
        {"id": "call_0", "name": "add", "arguments": '{"a":1}'},
        {"id": "call_1", "name": "add", "arguments": "{}"},
    ]


def test_calls_stand_in_the_order_of_their_indexes() -> None:
    response = settled(piece("{}", 1), piece("{}", 0))

    assert [call["id"] for call in response.tool_calls] == ["call_0", "call_1"]


def test_an_id_and_a_name_that_come_late_count() -> None:
    late = piece("{}", id="call_9", name="sub")

    response = settled(piece("", name=None), late, piece("", id=None, name=None))

    assert response.tool_calls == [{"id": "call_9", "name": "sub", "arguments": "{}"}]


def test_extra_keys_and_another_type_are_kept() -> None:
    response = settled(piece("ls", call_type="custom", signature="c2ln"))

    assert response.tool_calls == [
        {"id": "call_0", "name": "add", "arguments": "ls", "type": "custom", "signature": "c2ln"}
    ]


# --- which may be run -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "is_whole"),
    [
        ('{"a": 1}', True),
        ("5", True),
        ("[1]", True),
        ('{"a": ', False),
        ('{"a": NaN}', False),
        ("ls -l", False),
        ("[" * 100_000, False),
    ],
)
def test_a_finished_call_may_be_run_when_its_arguments_parse(
    arguments: str, is_whole: bool
) -> None:
    assert is_runnable(piece(arguments)) == is_whole


@pytest.mark.parametrize("nothing", ["", "  ", "null", " null\n"])
def test_nothing_and_null_stand_for_no_arguments(nothing: str) -> None:
    assert settled(piece(nothing)).tool_calls[0]["arguments"] == "{}"


@pytest.mark.parametrize("nothing", ["", "null"])
def test_nothing_is_no_whole_call_where_the_answer_was_cut(nothing: str) -> None:
    assert not is_runnable(piece(nothing), was_cut=True)
    assert settled(piece(nothing), was_cut=True).incomplete_tool_calls[0]["arguments"] == nothing


def test_a_call_without_a_name_may_not_be_run() -> None:
    assert not is_runnable(piece("{}", name=None))


def test_an_object_shows_its_own_end_where_the_answer_was_cut_just_after_it() -> None:
    assert is_runnable(piece('{"a": 1}'), was_cut=True)


@pytest.mark.parametrize("arguments", ["5", '"wor"', ""])
def test_what_does_not_show_its_end_may_be_cut(arguments: str) -> None:
    assert not is_runnable(piece(arguments), was_cut=True)
    assert is_runnable(piece(arguments), was_cut=True, closed=(0,))


def test_only_the_last_call_of_an_answer_that_was_cut_may_be_cut() -> None:
    response = settled(piece("5", 0), piece("5", 1), was_cut=True)

    assert [call["id"] for call in response.tool_calls] == ["call_0"]
    assert [call["id"] for call in response.incomplete_tool_calls] == ["call_1"]


@pytest.mark.parametrize("arguments", ["{}", "5", ""])
def test_of_a_stream_that_broke_off_only_closed_calls_may_be_run(arguments: str) -> None:
    assert not is_runnable(piece(arguments), has_finished=False)
    assert is_runnable(piece(arguments), has_finished=False, closed=(0,))


def test_of_a_stream_that_broke_off_a_whole_call_may_be_run_where_another_one_followed() -> None:
    response = settled(
        piece('{"a":1}', 0),
        piece("{}", 1),
        piece("5", 2),
        piece('{"b":2}', 3),
        has_finished=False,
    )

    assert [call["id"] for call in response.tool_calls] == ["call_0"]
    assert [call["id"] for call in response.incomplete_tool_calls] == ["call_1", "call_2", "call_3"]


def test_a_closed_call_that_does_not_parse_may_not_be_run() -> None:
    assert not is_runnable(piece('{"a"'), closed=(0,))


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_call_that_the_whole_answer_does_not_have_may_not_be_run(*, is_closed: bool) -> None:
    collector = Collector(StreamingResponse())
    for index in range(2):
        collector.add(StreamDeltaEvent(delta=piece("{}", index)))
    if is_closed:
        collector.close_call(1)
    collector.withdraw_call(1)

    collector.settle(has_finished=True, was_cut=False)

    assert [call["id"] for call in collector.response.tool_calls] == ["call_0"]
    assert [call["id"] for call in collector.response.incomplete_tool_calls] == ["call_1"]


def test_free_text_needs_the_end_of_the_answer_or_its_own() -> None:
    custom = piece("print(1", call_type="custom")

    assert is_runnable(custom)
    assert is_runnable(custom, has_finished=False, closed=(0,))
    assert not is_runnable(custom, was_cut=True)
    assert not is_runnable(custom, has_finished=False)


# --- deltas that transformers made ------------------------------------------------------------


def test_a_delta_of_another_type_is_let_be() -> None:
    response = settled({"type": "weather", "text": "sun"}, {"words": "x"})

    assert (response.get_text(), response.reasoning, response.tool_calls) == ("", "", [])


def test_a_delta_with_holes_breaks_nothing() -> None:
    response = settled(
        {"type": "reasoning", "text": None},
        {"type": "tool_call", "index": "first", "name": "add", "arguments": None},
        {"type": "tool_call", "arguments": "{}"},
    )

    assert response.reasoning == ""
    assert response.tool_calls == [{"id": "", "name": "add", "arguments": "{}"}]


def test_settling_twice_gives_the_same() -> None:
    collector = Collector(StreamingResponse())
    collector.add(StreamDeltaEvent(delta=piece("{}")))

    collector.settle(has_finished=True, was_cut=False)
    collector.settle(has_finished=True, was_cut=False)

    assert len(collector.response.tool_calls) == 1
