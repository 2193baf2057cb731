"""Amazon's event messages, cut everywhere, beside botocore's own parser."""

from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import FrameTooLargeError, ProtocolError
from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from steer_llm_sdk.wire.aws_events import EventMessage, EventStreamFraming, read_headers
from support.framings import cut_bodies, frames_and_fault, frames_of, growth, one_by_one

LIMIT = 1 << 20

HELLO = event_message(b'{"text":"Hello"}', string_headers(event_type="delta", message_type="event"))
DONE = event_message(b"", string_headers(event_type="stop"))
BODY = HELLO + HELLO + DONE


def framing(limit: int = LIMIT) -> EventStreamFraming:
    return EventStreamFraming(limit)


def header(name: str, kind: int, value: bytes) -> bytes:
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value


def sized(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


ALL_TYPES = b"".join(
    [
        header("true", 0, b""),
        header("false", 1, b""),
        header("byte", 2, b"\xff"),
        header("short", 3, b"\x80\x00"),
        header("int", 4, b"\x7f\xff\xff\xff"),
        header("long", 5, b"\xff" * 8),
        header("bytes", 6, sized(b"\x00\x01")),
        header("string", 7, sized("grün".encode())),
        header("time", 8, struct.pack(">q", 1_700_000_000_000)),
        header("uuid", 9, bytes(range(16))),
    ]
)


def with_lengths(length: int, header_bytes: int) -> bytes:
    """A prelude whose checksum is right, whatever its lengths are."""
    prelude = struct.pack(">II", length, header_bytes)
    return prelude + struct.pack(">I", crc32(prelude))


def test_a_message_is_its_payload_its_type_and_its_headers() -> None:
    (frame,) = frames_of(framing(), [HELLO])

    assert isinstance(frame, EventMessage)
    assert (frame.data, frame.event) == (b'{"text":"Hello"}', "delta")
    assert frame.headers == {":event-type": "delta", ":message-type": "event"}


def test_a_message_without_an_event_type_has_an_empty_one() -> None:
    odd = header(":event-type", 4, b"\x00\x00\x00\x07")

    frames = frames_of(framing(), [event_message(b"x"), event_message(b"y", odd)])

    assert [frame.event for frame in frames] == ["", ""]


def test_messages_are_the_same_however_the_body_is_cut() -> None:
    whole = frames_of(framing(), [BODY])

    assert [frame.event for frame in whole] == ["delta", "delta", "stop"]
    assert frames_of(framing(), one_by_one(BODY)) == whole
    for place in range(len(BODY) + 1):
        assert frames_of(framing(), [BODY[:place], BODY[place:]]) == whole, place


def test_one_message_alone_comes_in_a_tuple() -> None:
    alone = framing().feed(HELLO)

    assert isinstance(alone, tuple)
    assert len(alone) == 1


def test_a_body_that_ends_inside_a_message_is_cut() -> None:
    for place in range(1, len(HELLO)):
        found, fault = frames_and_fault(framing(), [HELLO, HELLO[:place]])
        assert (len(found), fault) == (1, ProtocolError), place


def test_a_changed_byte_is_found_wherever_it_stands() -> None:
    for place in range(len(HELLO)):
        changed = bytearray(BODY)
        changed[len(HELLO) + place] ^= 0x41
        found, fault = frames_and_fault(framing(), [bytes(changed)])
        assert found == frames_of(framing(), [HELLO]), place
        assert fault is not None, place


def test_a_changed_byte_of_a_lone_message_raises_when_its_frame_is_asked_for() -> None:
    frames = framing().feed(HELLO[:-1] + b"\x00")

    with pytest.raises(ProtocolError, match="checksum"):
        next(iter(frames))


def test_messages_before_a_broken_one_are_given() -> None:
    found, fault = frames_and_fault(framing(), [HELLO + DONE + b"data: no message at all"])

    assert [frame.event for frame in found] == ["delta", "stop"]
    assert fault is ProtocolError


def test_what_is_no_prelude_is_quoted_where_it_may_be() -> None:
    with pytest.raises(ProtocolError, match="found b'data: no mes'") as caught:
        frames_of(framing(), [b"data: no message"])

    assert caught.value.quote == "b'data: no mes'"


@pytest.mark.parametrize("size", [1, 5, 12, 100])
def test_a_body_that_begins_with_no_message_is_read_to_its_end(size: int) -> None:
    """So that all of a page or of an error is there to be told, however the network cut it."""
    document = b'{"message": "the model is overloaded", "__type": "ThrottlingException"}'
    reader = framing()
    for at in range(0, len(document), size):
        assert list(reader.feed(document[at : at + size])) == []

    with pytest.raises(ProtocolError, match="expected the prelude of an event message"):
        list(reader.feed_eof())


def test_a_body_that_begins_with_no_message_is_not_read_beyond_the_limit() -> None:
    reader = framing(limit=64)
    assert list(reader.feed(b"{" * 64)) == []

    with pytest.raises(ProtocolError, match="expected the prelude of an event message"):
        list(reader.feed(b"{"))


def test_a_message_above_the_limit_is_refused_by_its_prelude_alone() -> None:
    found, fault = frames_and_fault(framing(len(HELLO)), [HELLO, with_lengths(len(HELLO) + 1, 0)])

    assert (len(found), fault) == (1, FrameTooLargeError)


@pytest.mark.parametrize(
    ("length", "header_bytes"), [(15, 0), (0, 0), (20, 5), (1 << 19, 128 * 1024 + 1)]
)
def test_lengths_that_cannot_be_are_refused(length: int, header_bytes: int) -> None:
    with pytest.raises(ProtocolError, match=f"{length} bytes cannot have {header_bytes}"):
        frames_of(framing(), [with_lengths(length, header_bytes)])


def test_the_smallest_message_has_neither_headers_nor_a_payload() -> None:
    assert frames_of(framing(16), [event_message(b"")]) == [EventMessage(b"")]


def test_every_type_of_header_is_read() -> None:
    assert read_headers(ALL_TYPES) == {
        "true": True,
        "false": False,
        "byte": -1,
        "short": -32768,
        "int": 2**31 - 1,
        "long": -1,
        "bytes": b"\x00\x01",
        "string": "grün",
        "time": 1_700_000_000_000,
        "uuid": bytes(range(16)),
    }


@pytest.mark.parametrize("place", range(1, len(ALL_TYPES)))
def test_headers_that_are_cut_short_are_told(place: int) -> None:
    try:
        read = read_headers(ALL_TYPES[:place])
    except ProtocolError as error:
        assert "cannot be read" in str(error)  # noqa: PT017
    else:
        assert read.items() <= read_headers(ALL_TYPES).items()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (header("a", 10, b""), "'a' of an event message has the type 10"),
        (header("a", 0, b"") * 2, "'a' twice"),
        (header("a", 7, sized(b"\xff")), "UnicodeDecodeError"),
        (b"\x02\xff\xfe\x00", "UnicodeDecodeError"),
    ],
)
def test_headers_that_are_none_are_told(raw: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words) as caught:
        frames_of(framing(), [event_message(b"", raw)])

    assert caught.value.__context__ is None


def test_more_kinds_of_headers_than_are_kept_are_read_all_the_same() -> None:
    names = [f"event-{number}" for number in range(40)] * 2
    long = "x" * 600
    body = b"".join(event_message(b"", string_headers(event_type=n)) for n in [*names, long, long])

    assert [frame.event for frame in frames_of(framing(), [body])] == [*names, long, long]


@pytest.mark.parametrize("size", [1, 1000])
def test_the_work_is_linear_in_the_bytes(size: int) -> None:
    assert growth(lambda: framing(1 << 26), lambda n: event_message(b"x" * n), size) < 64


# --- beside botocore --------------------------------------------------------------------------

VALUES = st.one_of(
    st.just((0, b"")),
    st.just((1, b"")),
    st.binary(min_size=1, max_size=1).map(lambda value: (2, value)),
    st.binary(min_size=2, max_size=2).map(lambda value: (3, value)),
    st.binary(min_size=4, max_size=4).map(lambda value: (4, value)),
    st.binary(min_size=8, max_size=8).map(lambda value: (5, value)),
    st.binary(max_size=20).map(lambda value: (6, sized(value))),
    st.text(max_size=20).map(lambda value: (7, sized(value.encode()))),
    st.binary(min_size=8, max_size=8).map(lambda value: (8, value)),
    st.binary(min_size=16, max_size=16).map(lambda value: (9, value)),
)
HEADERS = st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4).map(
    lambda found: b"".join(header(name, *value) for name, value in found.items())
)
MESSAGES = st.builds(event_message, st.binary(max_size=40), HEADERS)
BODIES = st.lists(MESSAGES, max_size=4).map(b"".join)


def by_botocore(body: bytes) -> list[tuple[bytes, dict[str, Any]]]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [(message.payload, message.headers) for message in buffer]


def by_us(chunks: list[bytes]) -> list[tuple[bytes, dict[str, Any]]]:
    found = frames_of(framing(), chunks)
    return [(frame.data, dict(frame.headers)) for frame in found if isinstance(frame, EventMessage)]


@given(cut_bodies(BODIES))
def test_any_messages_are_read_as_botocore_reads_them(case: tuple[bytes, list[bytes]]) -> None:
    body, chunks = case

    assert by_us(chunks) == by_botocore(body)


@given(BODIES, st.integers(0, 200), st.integers(1, 255))
def test_what_botocore_refuses_is_refused(body: bytes, place: int, change: int) -> None:
    changed = bytearray(body)
    if place < len(body):
        changed[place] ^= change
    try:
        wanted: Any = by_botocore(bytes(changed))
    except ParserError:
        wanted = None

    found, fault = frames_and_fault(framing(), [bytes(changed)])
    if wanted is None:
        assert fault is not None
    else:  # a length that grew has botocore wait; the end of the body tells
        assert len(found) == len(wanted)
