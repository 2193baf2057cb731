"""Server-sent events: a suite after the WHATWG's text, cut everywhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import FrameTooLargeError
from steer_llm_sdk.wire.frame import Frame
from steer_llm_sdk.wire.sse import SSEFraming
from support.framings import cut_bodies, frames_and_fault, frames_of, growth, one_by_one

LIMIT = 1 << 20


def read_slowly(body: bytes) -> list[Frame]:
    """The reference: line by line, as the specification words it, and the departures."""
    found: list[Frame] = []
    lines: list[bytes] = []
    for line in [*re.split(rb"\r\n|\n|\r", body.removeprefix(b"\xef\xbb\xbf")), b""]:
        if line:
            lines.append(line)
            continue
        found += _dispatch(lines)
        lines = []
    return found


def _bare(name: bytes) -> bytes:
    return name.replace(b"\xef\xbb\xbf", b"").strip(b" \t\0")


def _dispatch(lines: list[bytes]) -> list[Frame]:
    whole = b"\n".join(lines).strip()
    if whole.startswith((b"{", b"[")):
        return [Frame(whole)]
    data = b""
    event = error = b""
    is_bare = False
    for line in lines:
        is_bare = is_bare or (data != b"" and line.startswith((b"{", b"[")))
        if is_bare:
            data += line + b"\n"
            continue
        if line.startswith(b":"):
            continue
        name, value = _bare(line), b""
        if b":" in line:
            at = line.index(b":")
            name, value = _bare(line[:at]), line[at + 1 :]
            if value.startswith(b" "):
                value = value[1:]
        if name == b"data":
            data += value + b"\n"
        if name == b"event":
            event = value
        if name == b"error":
            error = value
    payload = data[:-1]
    if error and not data:
        payload, event = error, b"error"
    return [Frame(payload, event.decode("utf-8", "replace"))] if payload.strip() else []


CASES = {
    "an LF after each line": (b"data: a\n\ndata: b\n\n", ["a", "b"]),
    "a CR after each line": (b"data: a\r\rdata: b\r\r", ["a", "b"]),
    "a CR LF after each line": (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "line ends of all three kinds": (b"data: a\r\n\ndata: b\r\r\ndata: c\n\r", ["a", "b", "c"]),
    "a BOM": (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
    "two BOMs": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", ["a", "b"]),
    "a BOM that is none": (b"\xef\xbbdata: a\n\ndata: b\n\n", ["b"]),
    "a BOM in the midst": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", ["a", "b"]),
    "comments": (b": OPENROUTER PROCESSING\n\n:x\ndata: a\n:y\n\n:408: 408 Timeout\n\n", ["a"]),
    "data in several lines": (b"data: a\ndata: b\ndata:c\n\n", ["a\nb\nc"]),
    "data of which one line is empty": (b"data\ndata: a\ndata:\n\n", ["\na\n"]),
    "data without a colon": (b"data\n\ndata: a\n\n", ["a"]),
    "empty data": (b"data:\n\ndata: \n\ndata: a\n\n", ["a"]),
    "blank data": (b"data:  \n\ndata\ndata\n\ndata: \t\n\ndata: a\n\n", ["a"]),
    "no space after the colon": (b'data:{"a":1}\n\n', ['{"a":1}']),
    "two spaces after the colon": (b"data:  a\n\n", [" a"]),
    "a space at the end of the data": (b"data: a \n\n", ["a "]),
    "a colon in the data": (b"data: a: b\n\n", ["a: b"]),
    "fields that nobody knows": (
        b"datum: x\nid: 7\nretry: 9\ndata: a\nDATA: z\nda ta: y\n\n",
        ["a"],
    ),
    "only fields that carry no data": (b"id: 7\n\nevent: ping\n\nretry: 3\n\n", []),
    "many empty lines": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", ["a", "b"]),
    "separators of Unicode": (
        "data: a\u2028b\u2029c\u0085d\n\n".encode(),
        ["a\u2028b\u2029c\u0085d"],
    ),
    "other controls": (b"data: a\x0bb\x0cc\x1cd\x00e\n\n", ["a\x0bb\x0cc\x1cd\x00e"]),
    "words of several bytes": ("data: naïve 日本 🙂\n\n".encode(), ["naïve 日本 🙂"]),
    "a last event without its empty line": (b"data: a\n\ndata: b\n", ["a", "b"]),
    "a last event without its line end": (b"data: a\n\ndata: b", ["a", "b"]),
    "a last event with a CR alone": (b"data: a\r\n\r\ndata: b\r", ["a", "b"]),
    "a bare JSON error after the stream": (
        b'data: a\r\n\r\n{\r\n "error": {\r\n  "code": 429\r\n }\r\n}\r\n',
        ["a", '{\n "error": {\n  "code": 429\n }\n}'],
    ),
    "a bare JSON error behind an event without its empty line": (
        b'data: a\nid: 1\n{\n "error": {\n  "code": 429\n }\n}\n\ndata: b\n\n',
        ['a\n{\n "error": {\n  "code": 429\n }\n}', "b"],
    ),
    "a bare JSON error before the data": (b'id: 1\n{"error": 1}\ndata: a\n\n', ["a"]),
    "a bare list between events": (
        b'data: a\n\n[{"error": 1}]\n\ndata: b\n\n',
        ["a", '[{"error": 1}]', "b"],
    ),
    "nothing": (b"", []),
}
NAMED = {
    "a name before the data": (b"event: ping\ndata: a\n\ndata: b\n\n", [("ping", "a"), ("", "b")]),
    "a name after the data": (b"data: a\nevent: ping\n\n", [("ping", "a")]),
    "a name without a space": (b"event:ping\ndata:a\n\n", [("ping", "a")]),
    "a name twice, of which the last counts": (b"event: a\nevent: b\ndata: c\n\n", [("b", "c")]),
    "a name and data of two lines": (b"event: x\ndata: a\ndata: b\n\n", [("x", "a\nb")]),
    "a name and a comment": (b"event: x\n: y\ndata: a\n\n", [("x", "a")]),
    "a name without data": (b"event: x\n\nevent: y\ndata: \n\ndata: a\n\n", [("", "a")]),
    "an error for a field": (b"data: a\n\nerror: {}\n\n", [("", "a"), ("error", "{}")]),
    "an error beside data": (b"error: x\ndata: a\nerror:\n\n", [("", "a")]),
    "an error that says nothing": (b"error:\n\nerror\n\ndata: a\n\n", [("", "a")]),
    "a name that is not UTF-8": (b"event: \xff\ndata: a\n\n", [("\ufffd", "a")]),
}
ALL = {name: [("", data) for data in expected] for name, (_, expected) in CASES.items()} | {
    name: expected for name, (_, expected) in NAMED.items()
}
BODIES = {name: body for name, (body, _) in (CASES | NAMED).items()}


def expected_frames(name: str) -> list[Frame]:
    return [Frame(data.encode(), event) for event, data in ALL[name]]


@pytest.mark.parametrize("name", ALL)
def test_a_body_gives_what_the_specification_says(name: str) -> None:
    assert frames_of(SSEFraming(LIMIT), [BODIES[name]]) == expected_frames(name)


@pytest.mark.parametrize("name", ALL)
def test_a_body_cut_in_two_anywhere_gives_the_same(name: str) -> None:
    body = BODIES[name]

    for place in range(len(body) + 1):
        assert frames_of(SSEFraming(LIMIT), [body[:place], body[place:]]) == expected_frames(
            name
        ), place


@pytest.mark.parametrize("name", ALL)
def test_a_body_byte_by_byte_gives_the_same(name: str) -> None:
    assert frames_of(SSEFraming(LIMIT), one_by_one(BODIES[name])) == expected_frames(name)


@pytest.mark.parametrize("name", ALL)
def test_the_reference_reader_agrees(name: str) -> None:
    assert read_slowly(BODIES[name]) == expected_frames(name)


_WORDS = [
    b"data",
    b"event",
    b": ",
    b":",
    b" ",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"x",
    b"error",
    b"\xef\xbb\xbf",
]
_ODD = [b"data: ", b"event: ", b"{", b"[", b"\xe2\x80\xa8", b"\xc2\x85", b"\x00", b"\xff", b"\t"]
BODY = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(_WORDS + _ODD), max_size=30).map(b"".join),
)


@given(cut_bodies(BODY))
def test_any_bytes_cut_anywhere_give_what_the_reference_gives(
    cut: tuple[bytes, list[bytes]],
) -> None:
    body, pieces = cut

    assert (
        frames_of(SSEFraming(LIMIT), pieces)
        == frames_of(SSEFraming(LIMIT), one_by_one(body))
        == read_slowly(body)
    )


@given(cut_bodies(BODY), st.integers(0, 20))
def test_the_limit_falls_on_the_same_event_however_the_body_is_cut(
    cut: tuple[bytes, list[bytes]], limit: int
) -> None:
    body, pieces = cut

    assert frames_and_fault(SSEFraming(limit), pieces) == frames_and_fault(
        SSEFraming(limit), [body]
    )


def test_an_event_of_exactly_the_limit_passes() -> None:
    body = b"data: 1234\n\n"

    assert frames_of(SSEFraming(10), one_by_one(body)) == [Frame(b"1234")]


@pytest.mark.parametrize(
    ("alone", "frame"),
    [
        (b"data: a\n\n", Frame(b"a")),
        (b"event: delta\ndata: a\n\n", Frame(b"a", "delta")),
        (b"event: d\xff\ndata: a\n\n", Frame(b"a", "d\ufffd")),
    ],
)
def test_an_event_that_comes_alone_is_one_frame_and_no_iterator(alone: bytes, frame: Frame) -> None:
    framing = SSEFraming(LIMIT)
    assert list(framing.feed(b"data: first\n\n")) == [Frame(b"first")]

    assert framing.feed(alone) == (frame,)


@pytest.mark.parametrize(
    "chunk",
    [
        b"data:  \n\n",  # blank
        b": alive\n\n",
        b"event: ping\n\n",
        b"data: a\n",
        b"data: a",
        b"\n\n",
        b"event: x",
        b"",
    ],
)
def test_what_comes_alone_and_is_no_whole_event_is_no_frame(chunk: bytes) -> None:
    framing = SSEFraming(LIMIT)
    assert list(framing.feed(b"data: first\n\n")) == [Frame(b"first")]

    assert list(framing.feed(chunk)) == []


def test_an_event_alone_keeps_to_the_limit() -> None:
    framing = SSEFraming(10)
    assert list(framing.feed(b"data: 1234\n\n")) == [Frame(b"1234")]
    assert list(framing.feed(b"data: 5678\n\n")) == [Frame(b"5678")]

    with pytest.raises(FrameTooLargeError):
        list(framing.feed(b"data: 56789\n\n"))


def test_an_event_above_the_limit_is_an_error_after_the_events_before_it() -> None:
    framing = SSEFraming(10)
    frames = iter(framing.feed(b"data: a\n\ndata: 12345\n\ndata: b\n\n"))

    assert next(frames) == Frame(b"a")
    with pytest.raises(FrameTooLargeError, match="more than 10 bytes"):
        next(frames)


def test_an_event_that_never_ends_is_an_error_as_soon_as_it_exceeds_the_limit() -> None:
    framing = SSEFraming(10)
    assert list(framing.feed(b"data: a\n\ndata: 1234")) == [Frame(b"a")]

    with pytest.raises(FrameTooLargeError):
        list(framing.feed(b"56"))


def test_a_last_event_above_the_limit_is_an_error_at_the_end() -> None:
    framing = SSEFraming(10)
    assert list(framing.feed(b"data: 12345")) == []

    with pytest.raises(FrameTooLargeError):
        list(framing.feed_eof())


def test_bytes_are_taken_even_when_the_frames_are_not_asked_for() -> None:
    framing = SSEFraming(LIMIT)
    framing.feed(b"data: a")

    assert list(framing.feed(b"b\n\n")) == [Frame(b"ab")]


def test_an_empty_chunk_changes_nothing() -> None:
    body = b"\xef\xbb\xbfdata: a\r\n\r\ndata: b\r\n\r\n"
    pieces = [piece for byte in one_by_one(body) for piece in (b"", byte, b"")]

    assert frames_of(SSEFraming(LIMIT), pieces) == [Frame(b"a"), Frame(b"b")]


@pytest.mark.parametrize("size", [1, 65_536])
def test_the_work_is_linear_in_the_bytes_of_one_large_event(size: int) -> None:
    def body(length: int) -> bytes:
        return b"data: " + b"x" * length + b"\n\n"

    assert growth(lambda: SSEFraming(1 << 30), body, size) < 80


def test_events_of_one_line_end_are_frames_where_each_line_is_a_payload() -> None:
    framing = SSEFraming(10_000)

    frames = [*framing.feed(b'data: {"a":1}\ndata: {"b":2}\ndata: [DONE]\n'), *framing.feed_eof()]

    assert [frame.data for frame in frames] == [b'{"a":1}', b'{"b":2}', b"[DONE]"]


def test_json_that_is_written_on_several_lines_is_one_frame() -> None:
    framing = SSEFraming(10_000)

    frames = [*framing.feed(b'data: {\ndata: "a": {}\ndata: }\n\n')]

    assert [frame.data for frame in frames] == [b'{\n"a": {}\n}']


def test_a_carriage_return_between_two_lines_that_come_alone_ends_a_line() -> None:
    framing = SSEFraming(10_000)
    list(framing.feed(b"data: first\n\n"))

    assert [frame.data for frame in framing.feed(b"data: a\rdata: b\n\n")] == [b"a\nb"]


def test_white_space_around_a_fields_name_means_nothing() -> None:
    body = b" event: a\n data: 1\n\n\tdata : 2\n\n  data:3\n  data: 4\n\n"

    assert frames_of(SSEFraming(LIMIT), [body]) == [
        Frame(b"1", "a"),
        Frame(b"2"),
        Frame(b"3\n4"),
    ]
