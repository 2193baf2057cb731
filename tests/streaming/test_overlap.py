from __future__ import annotations

import itertools

import pytest

from steer_llm_sdk.models.fragments import End, Extras, Finish, Fragment, Identity, Usage
from steer_llm_sdk.streaming.overlap import Overlap


def passed(overlap: Overlap, *fragments: Fragment) -> list[Fragment]:
    """What comes through, each fragment in a read of its own."""
    return list(itertools.chain.from_iterable(overlap.pass_through([each]) for each in fragments))


def text_of(fragments: list[Fragment]) -> str:
    return "".join(each for each in fragments if isinstance(each, str))


@pytest.mark.parametrize("size", range(1, 12))
def test_an_echo_is_taken_away_however_it_is_cut(size: int) -> None:
    whole = "no no Grüße, 世界"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    assert text_of(passed(Overlap("no no "), *pieces)) == "Grüße, 世界"


@pytest.mark.parametrize("size", range(1, 12))
def test_a_server_that_does_not_echo_loses_nothing(size: int) -> None:
    whole = "no, Grüße"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    assert text_of(passed(Overlap("no no "), *pieces)) == whole


def test_an_echo_is_taken_away_once() -> None:
    assert text_of(passed(Overlap("no "), "no ", "no ", "no")) == "no no"


def test_words_that_begin_like_the_echo_are_let_through_when_the_answer_is_finished() -> None:
    finish = Finish("stop", "stop")

    assert passed(Overlap("no no "), "no", finish, End()) == ["no", finish, End()]


@pytest.mark.parametrize(
    "aside", [Identity("r1", "m"), Usage({}, {}), Extras({"a": 1})], ids=["id", "usage", "extras"]
)
def test_what_is_said_beside_the_answer_does_not_end_the_echo(aside: Fragment) -> None:
    assert passed(Overlap("no no"), "no", aside, " no", aside, "!") == [aside, aside, "!"]


def test_a_body_that_is_cut_in_the_echo_brings_nothing() -> None:
    assert passed(Overlap("no no"), "no", " ") == []


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        (["two"], "two"),
        ([" \n two"], "two"),
        ([" ", "\n", " ", "two"], "two"),
        ([" \n", "two"], "two"),
        ([" \n  two"], " two"),
        (["\n two"], "\n two"),
        ([" ", "two", " \n "], "two \n "),
    ],
)
def test_as_much_of_the_trimmed_white_space_as_comes_is_taken_away(
    pieces: list[str], kept: str
) -> None:
    assert text_of(passed(Overlap(trimmed=" \n "), *pieces)) == kept
