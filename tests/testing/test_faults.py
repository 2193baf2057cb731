from __future__ import annotations

import asyncio
import email.utils
import gzip
import json

import pytest

from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.testing import (
    AnnounceClose,
    Close,
    CloseIdle,
    CutAt,
    Delay,
    Drip,
    EndEarly,
    EndlessLine,
    ErrorInStream,
    Fault,
    GarbageBody,
    GarbageStatus,
    Gzip,
    GzipBomb,
    HTTPError,
    KeepAlives,
    LoopbackServer,
    ManualClock,
    Pace,
    ProxyAuthRequired,
    Raise,
    Redirect,
    Reset,
    Script,
    Stall,
    UsageRefused,
)
from support.raw_http import PATHS, RawClient

ABC = ("a1", "b2", "c3")


def spoilt(*faults: Fault) -> LoopbackServer:
    return LoopbackServer(Script(ABC, faults=faults))


async def body_of(server: LoopbackServer, path: str = PATHS["openai"]) -> bytes:
    async with server, RawClient(server) as raw:
        raw.ask(path)
        return (await raw.answer())[2]


# --- statuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("openai", ["error", "code"]),
        ("openai-responses", ["error", "code"]),
        ("anthropic", ["error", "type"]),
        ("gemini", ["error", "status"]),
    ],
)
async def test_an_error_has_the_spelling_of_its_provider(wire: str, expected: list[str]) -> None:
    body = await body_of(LoopbackServer(HTTPError(429)), PATHS[wire])

    outer, inner = expected
    codes = {"rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"}
    assert json.loads(body)[outer][inner] in codes


async def test_an_error_may_be_a_page_bytes_or_nothing() -> None:
    bodies = [
        await body_of(LoopbackServer(HTTPError(502, body=form)))
        for form in ("html", "empty", b"\x00\x01")
    ]

    assert bodies[0].startswith(b"<!DOCTYPE html>")
    assert bodies[1:] == [b"", b"\x00\x01"]


async def test_an_error_may_say_when_to_come_back() -> None:
    when = email.utils.formatdate(1_760_000_000, usegmt=True)
    sent = {"retry-after": when, "retry-after-ms": "150"}

    async with LoopbackServer(HTTPError(429, headers=sent)) as server, RawClient(server) as raw:
        raw.ask()
        status, headers, _ = await raw.answer()

    assert status == "HTTP/1.1 429 Too Many Requests"
    assert headers | sent == headers


async def test_a_redirect_points_elsewhere() -> None:
    async with LoopbackServer(Redirect("http://evil.test/v1")) as server, RawClient(server) as raw:
        raw.ask()
        status, headers, body = await raw.answer()

    assert (status, body) == ("HTTP/1.1 307 Temporary Redirect", b"")
    assert headers["location"] == "http://evil.test/v1"


async def test_a_proxy_may_want_a_password_even_for_a_tunnel() -> None:
    async with LoopbackServer(ProxyAuthRequired()) as server, RawClient(server) as raw:
        raw.writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com\r\n\r\n")
        status, headers, _ = await raw.answer()

    assert status == "HTTP/1.1 407 Proxy Authentication Required"
    assert headers["proxy-authenticate"] == 'Basic realm="proxy"'
    assert server.requests[0].method == "CONNECT"


async def test_usage_is_refused_only_where_it_is_asked_for() -> None:
    async with spoilt(UsageRefused()) as server, RawClient(server) as raw:
        raw.ask()
        refused, _, body = await raw.answer()
        raw.ask(body={"model": "m", "stream": True})
        answered, _, _ = await raw.answer()

    assert refused == "HTTP/1.1 400 Bad Request"
    assert b"stream_options" in body
    assert answered == "HTTP/1.1 200 OK"


# --- inside the stream ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("openai", b'data: {"error":{"message":'),
        ("openai-responses", b"event: response.failed\n"),
        ("anthropic", b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"'),
        ("gemini", b'data: {"error":{"code":503,'),
        ("ollama", b'{"error":"'),
        ("cohere", b'"delta":{"finish_reason":"ERROR"'),
        ("gemini-interactions", b"event: error\n"),
        ("bedrock", b"serviceUnavailableException"),
    ],
)
async def test_an_error_inside_the_stream_follows_the_deltas(wire: str, expected: bytes) -> None:
    body = await body_of(spoilt(ErrorInStream(after=2)), PATHS[wire])

    assert b"b2" in body.partition(expected)[0]
    assert expected in body
    assert b"c3" not in body


async def test_an_early_end_is_clean_but_has_no_marker() -> None:
    body = await body_of(spoilt(EndEarly(after=3)))

    assert b"c3" in body
    assert b'finish_reason":"stop' not in body
    assert b"[DONE]" not in body


async def test_garbage_may_stand_in_the_body() -> None:
    body = await body_of(spoilt(GarbageBody(b"\x00garbage", after=1)))

    assert body.endswith(b"\x00garbage")
    assert b"a1" in body
    assert b"b2" not in body


async def test_keep_alives_may_come_before_the_answer_goes_on() -> None:
    body = await body_of(spoilt(KeepAlives(after=1, interval=0, count=3)), PATHS["anthropic"])

    between = body[body.index(b"a1") : body.index(b"b2")]
    assert between.count(b"event: ping") == 3


async def test_an_endless_line_may_have_an_end() -> None:
    body = await body_of(spoilt(EndlessLine(after=1, size=200_000)))

    assert body.endswith(b"x" * 196_608)


# --- broken connections -----------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Reset(), Close(), Raise(ConnectionLostError("gone"))])
async def test_the_connection_may_break_before_a_byte_of_the_answer(fault: Fault) -> None:
    async with spoilt(fault) as server, RawClient(server) as raw:
        raw.ask()
        (rest,) = await asyncio.gather(raw.rest(), return_exceptions=True)

    is_reset = not isinstance(fault, Close)
    assert isinstance(rest, ConnectionResetError) if is_reset else rest == b""
    assert server.connections[0].closed_by == "server"


@pytest.mark.parametrize("is_abrupt", [False, True])
async def test_a_reset_after_deltas_lets_them_arrive_first(is_abrupt: bool) -> None:
    async with spoilt(Reset(after=2, is_abrupt=is_abrupt)) as server, RawClient(server) as raw:
        raw.ask()
        await raw.head()
        chunks = [await raw.chunk() for _ in range(3)]
        with pytest.raises(ConnectionResetError):
            await raw.rest()

    assert b"b2" in chunks[-1]


async def test_a_reset_after_the_headers_comes_before_any_chunk() -> None:
    async with spoilt(Reset(after="headers")) as server, RawClient(server) as raw:
        raw.ask()
        status, _ = await raw.head()
        with pytest.raises(ConnectionResetError):
            await raw.rest()

    assert status == "HTTP/1.1 200 OK"


async def test_a_connection_closed_inside_a_chunk_leaves_half_of_it() -> None:
    async with spoilt(Close(after=1, mid_chunk=True)) as server, RawClient(server) as raw:
        raw.ask()
        await raw.head()
        chunks = [await raw.chunk() for _ in range(2)]
        size, _, half = (await raw.rest()).partition(b"\r\n")

    assert b"a1" in chunks[-1]
    assert 0 < len(half) < int(size, 16)


async def test_a_connection_closed_between_chunks_lacks_the_last_one() -> None:
    async with spoilt(Close(after=3)) as server, RawClient(server) as raw:
        raw.ask()
        await raw.head()
        rest = await raw.rest()

    assert b"c3" in rest
    assert not rest.endswith(b"0\r\n\r\n")


async def test_garbage_may_stand_in_place_of_the_status_line() -> None:
    async with spoilt(GarbageStatus(b"garbage\r\n\r\n")) as server, RawClient(server) as raw:
        raw.ask()

        assert await raw.rest() == b"garbage\r\n\r\n"


async def test_a_kept_connection_may_be_closed_without_a_word() -> None:
    async with spoilt(CloseIdle(on_next_request=False)) as server, RawClient(server) as raw:
        raw.ask()
        _, headers, body = await raw.answer()

        assert "connection" not in headers
        assert body.endswith(b"[DONE]\n\n")
        assert await raw.rest() == b""


async def test_a_closed_connection_may_be_announced() -> None:
    async with spoilt(AnnounceClose()) as server, RawClient(server) as raw:
        raw.ask()
        _, headers, _ = await raw.answer()

        assert headers["connection"] == "close"
        assert await raw.rest() == b""


# --- slowness ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["request", "headers", 0, 2])
async def test_a_stall_says_no_more(after: str | int) -> None:
    fault = Stall(after=after)  # type: ignore[arg-type]  # the parameters are plain strings
    async with spoilt(fault) as server, RawClient(server) as raw:
        raw.ask()
        await server.wait_for(lambda: server.requests)
        chunks_before = {"request": 0, "headers": 0}.get(str(after), 1)
        if after != "request":
            await raw.head()
        seen = [await raw.chunk() for _ in range(chunks_before + (after if after == 2 else 0))]
        rest = asyncio.ensure_future(raw.rest())
        await asyncio.wait([rest], timeout=0)

        assert not rest.done()
        assert server.connections.open == 1
        await server.close()
        await asyncio.gather(rest, return_exceptions=True)

    assert sum(len(chunk) > 0 for chunk in seen) == len(seen)


async def test_keep_alives_may_never_end() -> None:
    async with spoilt(KeepAlives(after="headers", interval=0)) as server, RawClient(server) as raw:
        raw.ask()
        await raw.head()
        chunks = {await raw.chunk() for _ in range(100)}

    assert chunks == {b": keep-alive\n\n"}


async def test_a_drip_gives_the_same_bytes_one_by_one() -> None:
    whole = await body_of(spoilt())

    assert await body_of(spoilt(Drip())) == whole
    assert await body_of(spoilt(Drip(size=7))) == whole


async def test_cuts_stand_where_they_are_asked_for() -> None:
    whole = await body_of(spoilt())

    async with spoilt(CutAt((1, 50, 10**9))) as server, RawClient(server) as raw:
        raw.ask()
        await raw.head()
        chunks = [await raw.chunk() for _ in range(4)]

    assert [len(chunk) for chunk in chunks] == [1, 49, len(whole) - 50, 0]
    assert b"".join(chunks) == whole


async def test_delays_wait_for_the_clock_of_the_server() -> None:
    clock = ManualClock()
    script = Script(ABC, faults=[Delay(30), Pace(5)])

    async with LoopbackServer(script, clock=clock) as server, RawClient(server) as raw:
        raw.ask()
        await clock.until_sleeping()
        started = clock.monotonic()
        await clock.advance(30)
        await raw.head()
        await raw.chunk()
        waits = []
        for _ in ABC:
            await clock.until_sleeping()
            waits.append(clock.next_in)
            await clock.advance(5)
            await raw.chunk()

    assert clock.monotonic() - started == 45
    assert waits == [5, 5, 5]


async def test_a_delay_may_stand_between_deltas() -> None:
    clock = ManualClock()
    script = Script(ABC, faults=[Delay(10, after=2)])

    async with LoopbackServer(script, clock=clock) as server, RawClient(server) as raw:
        raw.ask()
        await raw.head()
        before = [await raw.chunk() for _ in range(3)]
        await clock.until_sleeping()
        await clock.advance(10)
        after = await raw.chunk()

    assert b"b2" in before[-1]
    assert b"c3" in after


# --- compression ------------------------------------------------------------------------------


async def test_a_compressed_body_unpacks_to_the_same() -> None:
    whole = await body_of(spoilt())

    assert gzip.decompress(await body_of(spoilt(Gzip()))) == whole


async def test_a_bomb_is_small_until_it_is_unpacked() -> None:
    body = await body_of(spoilt(GzipBomb(size=4 * 1024 * 1024)))

    assert len(body) < 10_000
    assert len(gzip.decompress(body)) == 4 * 1024 * 1024 + len(b"data: ")


async def test_faults_compose() -> None:
    whole = await body_of(spoilt(EndEarly(after=2)))
    composed = spoilt(EndEarly(after=2), Drip(size=3), Gzip())

    assert gzip.decompress(await body_of(composed)) == whole
