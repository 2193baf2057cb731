"""How the tests of recorded streams are run: many in one test, and each that fails is named."""

from __future__ import annotations

import pytest

from support.corpus import Recorded, judge_each


def stream(name: str) -> Recorded:
    return Recorded(name, b"", {}, {})


def fails_for_b(stream: Recorded, word: str) -> None:
    assert not stream.id.startswith("b"), word


def test_every_stream_is_judged_and_all_that_fail_are_named() -> None:
    streams = [stream(name) for name in ("a", "b1", "c", "b2")]

    with pytest.raises(ExceptionGroup, match="2 of 4 recorded streams failed: b1, b2") as caught:
        judge_each(fails_for_b, streams, word="spoilt")

    assert [str(each).split("\n")[0] for each in caught.value.exceptions] == ["spoilt"] * 2
    assert [each.__notes__ for each in caught.value.exceptions] == [
        ["with the recorded stream b1"],
        ["with the recorded stream b2"],
    ]


def test_streams_of_which_none_fails_pass() -> None:
    judge_each(fails_for_b, [stream("a"), stream("c")], word="spoilt")
