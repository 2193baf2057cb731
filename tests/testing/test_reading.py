from __future__ import annotations

import pytest

from steer_llm_sdk.testing.plan import RecordedRequest
from steer_llm_sdk.testing.reading import MAX_HEAD_BYTES, BadRequestError, RequestReader

SIZED = b'POST /a?b=c HTTP/1.1\r\nX-Key: v\r\nContent-Length: 8\r\n\r\n{"m": 1}'
CHUNKED = (
    b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\n{} \n\r\n1\r\n \r\n0\r\n\r\n"
)


def read(data: bytes) -> RecordedRequest | None:
    reader = RequestReader()
    reader.feed(data)
    return reader.next_request(1, 1)


@pytest.mark.parametrize("whole", [SIZED, CHUNKED])
def test_a_request_is_there_once_its_last_byte_is(whole: bytes) -> None:
    assert [read(whole[:end]) for end in range(len(whole))] == [None] * len(whole)
    assert read(whole) is not None


def test_a_request_is_read_into_its_parts() -> None:
    request = read(SIZED)

    assert request is not None
    assert (request.method, request.path, request.query) == ("POST", "/a", "b=c")
    assert request.headers["x-key"] == "v"
    assert (request.body, request.json) == (b'{"m": 1}', {"m": 1})


def test_requests_in_one_packet_come_one_by_one() -> None:
    reader = RequestReader()
    reader.feed(SIZED + CHUNKED)

    found = [reader.next_request(number, 1) for number in (1, 2, 3)]

    assert [request.body if request else None for request in found] == [
        b'{"m": 1}',
        b"{} \n ",
        None,
    ]


def test_the_whole_url_that_a_proxy_gets_is_reduced_to_its_path() -> None:
    request = read(b"POST http://api.test/v1/responses HTTP/1.1\r\n\r\n")

    assert request is not None
    assert request.path == "/v1/responses"


def test_a_body_that_is_no_json_stays_bytes() -> None:
    request = read(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")

    assert request is not None
    assert (request.body, request.json) == (b"abc", None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello\r\n\r\n", "expected a request line"),
        (b"GET / SPDY/3\r\n\r\n", "expected a request line"),
        (b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", "content-length: expected a number"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "expected a chunk's size"),
        (b"x" * (MAX_HEAD_BYTES + 1), "no end of the headers"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read(data)
