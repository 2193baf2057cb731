from __future__ import annotations

import pytest

from steer_llm_sdk.models.fragments import ToolCallPiece
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_chat.tool_calls import ToolCallIndexes
from steer_llm_sdk.testing.formats.base import sse
from support.pure_road import travel

Piece = tuple[int | None, str | None, str | None, str]


def settle(*pieces: Piece) -> list[tuple[int, str | None, str | None, str]]:
    calls = ToolCallIndexes()
    settled = [calls.settle(*piece) for piece in pieces]
    return [(p.index, p.id, p.name, p.arguments) for p in settled if p is not None]


def test_the_pieces_of_one_call_share_its_number() -> None:
    settled = settle((0, "a", "f", ""), (0, None, None, "{"), (0, None, None, "}"))

    assert settled == [(0, "a", "f", ""), (0, None, None, "{"), (0, None, None, "}")]


def test_parallel_calls_are_told_apart_by_their_index() -> None:
    settled = settle((0, "a", "f", ""), (1, "b", "g", ""), (0, None, None, "1"), (1, None, "", "2"))

    assert [(index, text) for index, _, _, text in settled] == [
        (0, ""),
        (1, ""),
        (0, "1"),
        (1, "2"),
    ]


def test_an_index_that_starts_at_one_is_counted_from_zero() -> None:
    settled = settle((1, "a", "f", ""), (2, "b", "g", ""), (1, None, None, "{}"))

    assert [index for index, *_ in settled] == [0, 1, 0]


def test_whole_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    settled = settle((None, "a", "f", "{}"), (None, "b", "f", "{}"))

    assert [index for index, *_ in settled] == [0, 1]


def test_whole_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    settled = settle((None, None, "f", "{}"), (None, None, "f", "{}"))

    assert [index for index, *_ in settled] == [0, 1]


def test_a_new_id_is_a_new_call_even_at_the_same_index() -> None:
    settled = settle((0, "a", "f", "{}"), (0, "b", "f", "{}"), (0, None, None, " "))

    assert [index for index, *_ in settled] == [0, 1, 1]


def test_a_new_name_without_an_id_at_the_same_index_is_a_new_call() -> None:
    settled = settle((0, None, "f", "{}"), (0, None, "g", "{}"))

    assert [index for index, *_ in settled] == [0, 1]


def test_an_id_and_a_name_that_are_repeated_are_given_once() -> None:
    settled = settle((0, "a", "f", "{"), (0, "a", "f", "}"), (0, "a", "f", ""))

    assert settled == [(0, "a", "f", "{"), (0, None, None, "}")]


def test_a_name_that_is_repeated_without_an_id_continues_the_call_at_its_index() -> None:
    settled = settle((0, None, "f", "{"), (0, None, "f", "}"))

    assert settled == [(0, None, "f", "{"), (0, None, None, "}")]


def test_a_name_that_is_repeated_behind_whole_arguments_begins_another_call() -> None:
    settled = settle((0, None, "f", '{"x":'), (0, None, "f", "1}"), (0, None, "f", '{"x":2}'))

    assert [(index, name) for index, _, name, _ in settled] == [(0, "f"), (0, None), (1, "f")]


def test_an_id_that_two_functions_have_is_no_name_for_the_second() -> None:
    calls = ToolCallIndexes()

    pieces = [
        calls.settle(0, "a", "f", '{"x"'),
        calls.settle(1, "a", "g", '{"y"'),
        calls.settle(0, "a", None, ": 1}"),
        calls.settle(1, "a", None, ": 2}"),
    ]

    assert [piece and (piece.index, piece.name) for piece in pieces] == [
        (0, "f"),
        (1, "g"),
        (0, None),
        (1, None),
    ]


def test_an_id_that_two_calls_of_one_function_have_is_no_name_for_the_second() -> None:
    pieces = [
        (0, "a", "f", '{"x":'),
        (0, None, None, " 1}"),
        (1, "a", "f", '{"x"'),
        (1, "a", "f", ":2}"),
    ]

    settled = settle(*pieces)

    assert [(index, text) for index, _, _, text in settled] == [
        (0, '{"x":'),
        (0, " 1}"),
        (1, '{"x"'),
        (1, ":2}"),
    ]


def test_an_id_that_two_calls_have_may_come_before_the_arguments_of_the_second() -> None:
    pieces = [(0, "a", "f", ""), (0, None, None, "{}"), (1, "a", "f", ""), (1, None, None, "{}")]

    settled = settle(*pieces, (1, None, None, " "), (0, None, None, " "))

    assert settled == [
        (0, "a", "f", ""),
        (0, None, None, "{}"),
        (1, "a", "f", "{}"),
        (1, None, None, " "),
        (0, None, None, " "),
    ]


@pytest.mark.parametrize("rest", ["}", ' , "y": {}}', ""])
def test_an_id_and_a_name_that_come_back_at_an_index_that_has_drifted_are_no_new_call(
    rest: str,
) -> None:
    settled = settle((0, "a", "f", '{"x": {}'), (1, "a", "f", rest))

    assert {index for index, *_ in settled} == {0}


def test_an_id_that_comes_back_is_believed_before_the_index() -> None:
    settled = settle((0, "a", "f", ""), (1, "b", "g", ""), (1, "a", None, "x"), (7, "b", None, "y"))

    assert [(index, text) for index, _, _, text in settled[2:]] == [(0, "x"), (1, "y")]


def test_arguments_at_an_index_that_has_drifted_continue_the_last_call() -> None:
    settled = settle((0, "a", "f", ""), (1, None, None, "{"), (2, None, None, "}"))

    assert [index for index, *_ in settled] == [0, 0, 0]


def test_arguments_without_an_index_continue_the_last_call() -> None:
    settled = settle((0, "a", "f", ""), (1, "b", "g", ""), (None, None, None, "{}"))

    assert settled[-1] == (1, None, None, "{}")


def test_an_id_that_comes_after_its_call_has_begun_belongs_to_it() -> None:
    settled = settle((0, None, "f", ""), (0, "a", "f", "{}"))

    assert settled == [(0, None, "f", ""), (0, "a", None, "{}")]


def test_an_id_with_another_name_does_not_belong_to_the_call_that_waits_for_one() -> None:
    settled = settle((0, None, "f", ""), (0, "a", "g", "{}"))

    assert settled == [(0, None, "f", ""), (1, "a", "g", "{}")]


def test_a_name_that_comes_after_the_id_belongs_to_the_call() -> None:
    settled = settle((0, "a", None, ""), (0, None, "f", ""))

    assert settled == [(0, "a", None, ""), (0, None, "f", "")]


def test_ids_that_are_invented_for_every_piece_do_not_make_calls() -> None:
    settled = settle((0, "a", "f", ""), (0, "b", None, "{"), (0, "c", None, "}"), (1, "d", "g", ""))

    assert [(index, known) for index, known, _, _ in settled] == [
        (0, "a"),
        (0, None),
        (0, None),
        (1, "d"),
    ]


def test_an_empty_piece_opens_no_call() -> None:
    settled = settle((0, None, None, ""), (0, "", "", ""), (3, "a", "f", ""))

    assert settled == [(0, "a", "f", "")]


def test_arguments_alone_open_a_call_when_there_is_none() -> None:
    assert settle((None, None, None, "{}")) == [(0, None, None, "{}")]


def test_the_kind_and_the_extra_of_a_piece_pass() -> None:
    calls = ToolCallIndexes()

    piece = calls.settle(0, "a", "f", "text", kind="custom", extra={"signature": "s"})

    assert piece == ToolCallPiece(0, "a", "f", "text", "custom", extra={"signature": "s"})


@pytest.mark.parametrize("known", [None, "a"], ids=["no id", "the id again"])
def test_a_name_in_pieces_is_one_name_of_one_call(known: str | None) -> None:
    settled = settle((0, "a", "get_", ""), (0, known, "wea", ""), (0, known, "ther", "{}"))

    assert settled == [
        (0, "a", "get_", ""),
        (0, None, "get_wea", ""),
        (0, None, "get_weather", "{}"),
    ]


def test_a_name_as_far_as_it_has_come_is_not_added_to_itself() -> None:
    settled = settle(
        (0, "a", "get_", ""), (0, None, "get_weather", ""), (0, "a", "get_weather", "")
    )

    assert settled == [(0, "a", "get_", ""), (0, None, "get_weather", "")]


def test_a_name_behind_arguments_is_no_piece_of_the_name_before() -> None:
    settled = settle((0, "a", "f", "{}"), (0, None, "g", "{}"), (0, "a", "h", "{}"))

    assert [(index, name) for index, _, name, _ in settled] == [(0, "f"), (1, "g"), (2, "h")]


def test_a_name_at_an_index_that_is_not_the_last_is_no_piece() -> None:
    settled = settle((0, "a", "f", ""), (1, "b", "g", ""), (0, None, "h", ""))

    assert [(index, name) for index, _, name, _ in settled] == [(0, "f"), (1, "g"), (2, "h")]


def test_names_without_ids_and_arguments_at_one_index_are_calls_of_their_own() -> None:
    settled = settle(
        (0, None, "f", ""), (0, None, "g", ""), (None, "b", "x", ""), (None, "b", "y", "")
    )

    assert [(index, name) for index, _, name, _ in settled] == [
        (0, "f"),
        (1, "g"),
        (2, "x"),
        (3, "y"),
    ]


def test_the_response_has_the_whole_of_a_name_in_pieces() -> None:
    functions = [{"name": "get_", "arguments": ""}, {"name": "weather"}, {"arguments": "{}"}]
    pieces = [{"index": 0, "function": function} for function in functions]
    deltas = [{"tool_calls": [piece]} for piece in ({**pieces[0], "id": "a"}, *pieces[1:])]
    body = b"".join(sse({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas)

    travelled = travel(OpenAIChat(), [body, b"data: [DONE]\n\n"])

    assert travelled.outcome == "complete"
    assert travelled.response.tool_calls == [{"id": "a", "name": "get_weather", "arguments": "{}"}]
