"""The codec of recordings: what is written is read again, and no secret passes in any cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import ConnectionLostError, ProtocolError
from steer_llm_sdk.wire.recording import (
    Chunk,
    Mask,
    bare_url,
    line,
    named_headers,
    read_exchanges,
    write_bytes,
)

HEAD = line("recording", version=1, recorded_at=1.0)
REQUEST = line(
    "request", exchange=0, at=0.0, method="POST", url="https://h/p", headers={}, body="b"
)


def test_an_exchange_is_read_as_it_was_written() -> None:
    error = ConnectionLostError("it broke")
    lines = [
        HEAD,
        line("request", exchange=0, at=0, method="POST", url="u", headers={"a": "b"}, body=None),
        line("response", exchange=0, at=1, status=200, headers={"date": "d"}),
        line("request", exchange=1, at=1.5, method="GET", url="v", body=write_bytes(b"\xff")),
        line("chunk", exchange=0, at=2, data=write_bytes("ä".encode())),
        line("chunk", exchange=0, at=3, data=write_bytes(b"\xc3")),
        line("error", exchange=0, at=4, error=error.to_dict()),
        line("of the future", exchange=0, at=5),
        line("left", exchange=1, at=6),
    ]

    first, second = read_exchanges(lines)

    assert (first.at, first.method, first.url, first.body) == (0, "POST", "u", None)
    assert first.request_headers == {"a": "b"}
    assert (first.head_at, first.status, first.headers) == (1, 200, {"date": "d"})
    assert first.chunks == [Chunk(2, "ä".encode()), Chunk(3, b"\xc3")]
    assert (first.end_at, first.error, first.was_left) == (4, error, False)
    assert (second.body, second.head_at, second.was_left) == (b"\xff", None, True)


def test_a_clean_end_is_no_error() -> None:
    (exchange,) = read_exchanges([HEAD, REQUEST, line("end", exchange=0, at=2)])

    assert (exchange.end_at, exchange.error, exchange.was_left) == (2, None, False)


def test_a_last_line_that_was_cut_is_passed_over() -> None:
    (exchange,) = read_exchanges([HEAD, REQUEST, '{"type": "chu'])

    assert exchange.chunks == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "found none"),
        (['{"type": "re'], "found none"),
        (['{"type": "stream"}\n'], "begins with"),
        ([line("recording", version=2)], "a recording of version 2"),
        ([line("recording", version="1")], "a recording of version '1'"),
        ([HEAD, "no\n", REQUEST], "line 2 of a recording is not JSON"),
        ([HEAD, "[]\n"], "line 2 of a recording is no object"),
        ([HEAD, line("request", at=0)], "line 2 of a recording lacks what a 'request' has"),
        ([HEAD, line("end", exchange=0, at=1)], "line 2 of a recording lacks what a 'end' has"),
        ([HEAD, REQUEST, line("chunk", exchange=0, at=1)], "line 3 of a recording lacks"),
    ],
)
def test_what_is_no_recording_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        read_exchanges(lines)


@given(st.binary())
def test_any_bytes_can_be_written(data: bytes) -> None:
    chunk = line("chunk", exchange=0, at=1, data=write_bytes(data))

    (exchange,) = read_exchanges([HEAD, REQUEST, chunk])

    assert exchange.chunks == [Chunk(1, data)]


def test_only_headers_with_a_name_for_it_are_written() -> None:
    headers = {
        "Authorization": "Bearer key",
        "x-api-key": "key",
        "Content-Type": "text/event-stream",
        "X-RateLimit-Remaining": "3",
        "x-anything": "key",
    }

    assert named_headers(headers) == {
        "content-type": "text/event-stream",
        "x-ratelimit-remaining": "3",
    }


def test_urls_are_written_bare() -> None:
    assert bare_url("https://me:secret@host:8/v1/x?key=secret#f") == "https://host:8/v1/x"


SECRETS = ("sk-secret-key", "secret/other")


@given(st.lists(st.integers(0, 60), max_size=8))
def test_a_secret_is_hidden_however_the_body_was_cut(cuts: list[int]) -> None:
    body = b'{"error": "wrong sk-secret-key"} secret/other sk-secret-ke'
    ends = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[begin:end] for begin, end in pairwise(ends)]
    mask = Mask(SECRETS)

    given_out = [chunk for at, piece in enumerate(pieces) for chunk in mask.feed(Chunk(at, piece))]
    given_out += mask.finish()

    assert [chunk.at for chunk in given_out] == list(range(len(pieces)))
    assert [len(chunk.data) for chunk in given_out] == [len(piece) for piece in pieces]
    expected = body.replace(b"sk-secret-key", b"*" * 13).replace(b"secret/other", b"*" * 12)
    assert b"".join(chunk.data for chunk in given_out) == expected


def test_without_secrets_nothing_is_held_back() -> None:
    chunk = Chunk(0, b"data")

    assert Mask([]).feed(chunk) == [chunk]


def masked(secrets: list[str], *pieces: bytes) -> bytes:
    mask = Mask(secrets)
    given = [chunk for piece in pieces for chunk in mask.feed(Chunk(0.0, piece))]
    return b"".join(chunk.data for chunk in [*given, *mask.finish()])


@pytest.mark.parametrize("first", range(1, 11))
@pytest.mark.parametrize("second", range(1, 11))
def test_a_secret_in_three_pieces_is_hidden_wherever_it_is_cut(first: int, second: int) -> None:
    secret = b"sk-12345678"
    pieces = secret[:first], secret[first : first + second], secret[first + second :]

    assert masked([secret.decode()], b"a " + pieces[0], pieces[1], pieces[2]) == b"a " + b"*" * 11


def test_of_a_secret_that_begins_like_another_nothing_is_left() -> None:
    secrets = ["sk-12345678", "sk-12345678-longer"]

    assert masked(secrets, b"sk-12345678-longer") == b"*" * 18
