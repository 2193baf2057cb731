"""Lines of JSON, cut everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import FrameTooLargeError
from steer_llm_sdk.wire.frame import Frame
from steer_llm_sdk.wire.ndjson import NDJSONFraming
from support.framings import cut_bodies, frames_and_fault, frames_of, growth, one_by_one

LIMIT = 1 << 20

CASES = {
    "an LF after each line": (b'{"a":1}\n{"b":2}\n', ['{"a":1}', '{"b":2}']),
    "a CR LF after each line": (b'{"a":1}\r\n{"b":2}\r\n', ['{"a":1}', '{"b":2}']),
    "blank lines": (b"\n\n1\n\r\n \t\n2\n\n", ["1", "2"]),
    "blanks around a line": (b'  {"a":1}\t\n', ['{"a":1}']),
    "a last line without its line end": (b"1\n2", ["1", "2"]),
    "a last line with a CR alone": (b"1\n2\r", ["1", "2"]),
    "separators of Unicode": (
        '"a\u2028b\u2029c\u0085d"\n"e"\n'.encode(),
        ['"a\u2028b\u2029c\u0085d"', '"e"'],
    ),
    "a CR that ends no line": (b"1\r2\n", ["1\r2"]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_body_gives_its_lines_however_it_is_cut(name: str) -> None:
    body, expected = CASES[name]
    frames = [Frame(line.encode()) for line in expected]

    assert frames_of(NDJSONFraming(LIMIT), one_by_one(body)) == frames
    for place in range(len(body) + 1):
        assert frames_of(NDJSONFraming(LIMIT), [body[:place], body[place:]]) == frames, place


BODY = st.lists(st.sampled_from([b"1", b"\n", b"\r", b" ", b"\xe2\x80\xa8", b"{}"])).map(b"".join)


@given(cut_bodies(BODY | st.binary()), st.integers(0, 10) | st.just(LIMIT))
def test_any_bytes_cut_anywhere_give_the_same_lines_and_the_same_error(
    cut: tuple[bytes, list[bytes]], limit: int
) -> None:
    body, pieces = cut
    lines = body.split(b"\n")
    fit = [len(line) <= limit for line in lines]
    good = lines if all(fit) else lines[: fit.index(False)]

    frames, fault = frames_and_fault(NDJSONFraming(limit), pieces)

    assert frames == [Frame(line.strip()) for line in good if line.strip()]
    assert fault == (None if all(fit) else FrameTooLargeError)


def test_a_line_above_the_limit_is_an_error_after_the_lines_before_it() -> None:
    frames = NDJSONFraming(3).feed(b"1\n1234\n2\n")

    assert next(frames) == Frame(b"1")
    with pytest.raises(FrameTooLargeError, match="more than 3 bytes"):
        next(frames)


def test_a_line_that_never_ends_is_an_error_as_soon_as_it_exceeds_the_limit() -> None:
    framing = NDJSONFraming(3)
    assert list(framing.feed(b"1\n123")) == [Frame(b"1")]

    with pytest.raises(FrameTooLargeError):
        list(framing.feed(b"4"))


@pytest.mark.parametrize("size", [1, 65_536])
def test_the_work_is_linear_in_the_bytes_of_one_large_line(size: int) -> None:
    def body(length: int) -> bytes:
        return b'"' + b"x" * length + b'"\n'

    assert growth(lambda: NDJSONFraming(1 << 30), body, size) < 80
