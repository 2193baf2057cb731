"""A text that grows piece by piece, and is read meanwhile."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk.models.text import TextPieces


def test_a_text_is_all_that_was_added_whenever_it_is_asked_for() -> None:
    text = TextPieces()
    assert (str(text), len(text), bool(text)) == ("", 0, False)

    for piece in ("Hel", "", "lo"):
        text.append(piece)
    assert (str(text), len(text), bool(text)) == ("Hello", 5, True)
    assert str(text) == "Hello"

    text.pieces.append(" there")
    assert (str(text), len(text)) == ("Hello there", 11)


def test_text_that_was_joined_meanwhile_is_not_lost() -> None:
    text = TextPieces("x")

    for letter in "abc":
        text.pieces += [letter] * 300
        text.join()
        assert not text.pieces

    assert str(text) == "x" + "a" * 300 + "b" * 300 + "c" * 300


def test_a_few_pieces_are_left_as_they_are() -> None:
    text = TextPieces()
    text.pieces += ["a", "b"]

    text.join()

    assert text.pieces == ["a", "b"]


@pytest.mark.parametrize("is_joined_between", [True, False])
def test_a_text_can_be_read_from_where_an_earlier_look_ended(is_joined_between: bool) -> None:
    text = TextPieces("x")
    mark, seen = 0, []
    for pieces in (["a", "b"], [], ["c"], ["de"]):
        text.pieces += pieces
        new, mark = text.text_since(mark)
        seen.append(new)
        if is_joined_between:
            str(text)

    assert seen == ["xab", "", "c", "de"]
    assert text.text_since(0) == ("xabcde", 6)
    assert text.text_since(3) == ("cde", 6)


def test_a_text_that_is_taken_is_gone() -> None:
    text = TextPieces()
    text.append("a" * 2_000)
    text.text_since(0)
    text.append("b")

    assert text.take() == "a" * 2_000 + "b"
    assert (str(text), len(text), text.text_since(0)) == ("", 0, ("", 0))
    text.append("c")
    assert text.take() == "c"


class Interrupted(list[str]):
    """Pieces at whose reading another thread comes in between, as far as it can."""

    def __init__(self, pieces: list[str], work: Callable[[], object]) -> None:
        super().__init__(pieces)
        self.other: threading.Thread | None = threading.Thread(target=work)

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        other, self.other = self.other, None
        if other is not None:
            self.append("!")
            other.start()
            other.join(0.05)
        return found


READS: dict[str, Callable[[TextPieces], object]] = {
    "str": str,
    "len": len,
    "text_since": lambda text: text.text_since(0),
}


@pytest.mark.parametrize("first", ["str", "text_since"])
@pytest.mark.parametrize("second", READS)
def test_a_text_that_is_read_in_one_thread_while_it_arrives_in_another_is_whole(
    first: str, second: str
) -> None:
    text = TextPieces("a")
    str(text)
    pieces = Interrupted(["b", "c"], lambda: READS[second](text))
    text.pieces = pieces

    READS[first](text)

    assert pieces.other is None
    assert str(text) == "abc!"
    assert text.text_since(0) == ("abc!", 4)


@pytest.mark.parametrize("is_read", [True, False])
def test_a_long_text_is_kept_in_few_pieces_however_often_it_is_read(is_read: bool) -> None:
    text = TextPieces()
    mark = 0
    for _ in range(20_000):
        text.append("words ")
        if is_read:
            mark = text.text_since(mark)[1]

    assert len(text._blocks) + len(text.pieces) < 400
    assert str(text) == "words " * 20_000


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_grows_on_its_own(copied: Callable[[TextPieces], TextPieces]) -> None:
    text = TextPieces("a")

    other = copied(text)
    other.append("b")

    assert (str(text), str(other)) == ("a", "ab")
