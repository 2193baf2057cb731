"""The transport over real sockets: what it keeps, what it refuses, and what it limits."""

from __future__ import annotations

import asyncio
import gc
import io
import socket
import threading
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    FrameTooLargeError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    ServerError,
    SteerError,
)
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    CloseIdle,
    EndlessLine,
    GarbageStatus,
    Gzip,
    GzipBomb,
    HTTPError,
    LoopbackServer,
    ManualClock,
    Redirect,
    Script,
    ScriptedProvider,
    Stall,
)
from steer_llm_sdk.testing.plan import Ending, Exchange, Fault, Piece, Plan
from steer_llm_sdk.testing.scripts import ScriptLike
from steer_llm_sdk.transport.http import HTTPTransport, _body
from support.stalled import stalled_response
from support.tls import make_contexts

ONCE = StreamingOptions(max_retries=0)


def client_of(server: LoopbackServer, **options: Any) -> SteerLLMClient:
    settings = ProviderSettings(base_url=server.base_url(), **options)
    return SteerLLMClient(providers={"openai": settings})


async def fail_at(server: LoopbackServer, options: StreamingOptions = ONCE) -> SteerError:
    """The error of one call."""
    async with client_of(server) as client:
        with pytest.raises(SteerError) as caught:
            await client.generate("Hi", "gpt-4o", streaming_options=options)
    return caught.value


@dataclass(frozen=True)
class NeverEnds:
    """The answer is whole, but the body's end does not come."""

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        return replace(plan, ending=Ending.STALL)


@dataclass(frozen=True)
class Encoded:
    """The body is said to be compressed in a way that nobody asked for, and begins so."""

    name: str
    begin: bytes = b"\x1b\xff\x01"

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        headers = {**plan.headers, "content-encoding": self.name}
        return replace(plan, headers=headers, pieces=(Piece(self.begin), *plan.pieces))


# --- connections are kept ---------------------------------------------------------------------


async def test_streams_one_after_another_share_a_connection() -> None:
    async with LoopbackServer() as server, client_of(server) as client:
        for _ in range(5):
            await client.generate("Hi", "gpt-4o")

    assert server.connections.opened == 1
    assert len(server.requests) == 5


async def test_a_connection_is_kept_after_an_error_too() -> None:
    answers: list[ScriptLike] = [
        HTTPError(400),
        HTTPError(401, body="html"),
        HTTPError(404, body="empty"),
        Script(),
    ]
    async with LoopbackServer(answers) as server, client_of(server) as client:
        for _ in range(4):
            await client.stream_with_usage("Hi", "gpt-4o", on_error=lambda _: None)

    assert server.connections.opened == 1


async def test_an_iterated_stream_gives_its_connection_back() -> None:
    async with LoopbackServer() as server, client_of(server) as client:
        for _ in range(3):
            async with client.stream_events("Hi", "gpt-4o") as stream:
                async for _event in stream:
                    pass

    assert server.connections.opened == 1


async def test_streams_at_once_have_a_connection_each_and_it_is_used_again() -> None:
    async with LoopbackServer() as server, client_of(server) as client:
        for _ in range(3):
            await asyncio.gather(*(client.generate("Hi", "gpt-4o") for _ in range(4)))

    assert server.connections.opened == 4


ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 102\r\n\r\n"
    b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize(
    ("beginning", "requests"), [(b"", 3), (b"H", 2), (b"HTTP/1.1 200 OK\r\nContent-", 2)]
)
@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_kept_connection_is_asked_again_only_before_any_byte_of_the_response(
    beginning: bytes, requests: int, is_reset: bool
) -> None:
    seen = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            seen += 1
            writer.write(beginning if seen == 2 else ANSWER)
            await writer.drain()
            if seen == 2:
                break
        if is_reset:
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with SteerLLMClient(providers={"openai": ProviderSettings(base_url=base_url)}) as client:
        await client.generate("Hi", "gpt-4o")
        response = await client.stream_with_usage(
            "Hi", "gpt-4o", streaming_options=ONCE, on_error=lambda _: None
        )
    server.close()

    assert seen == requests
    assert response.ok == (requests == 3)


# --- the end of the body is not waited for ----------------------------------------------------


async def test_the_terminal_event_comes_before_the_body_is_released() -> None:
    network = ScriptedProvider()
    released: list[bool] = []

    def look(_event: Any) -> None:
        released.append(network.responses[0].was_released)

    async with SteerLLMClient("test", transport=network) as client:
        await client.stream_with_usage("Hi", "gpt-4o", on_complete=look)
        released.append(network.responses[0].was_released)

    assert released == [False, True]


async def test_a_body_whose_end_does_not_come_is_closed_after_the_terminal_event() -> None:
    async with LoopbackServer([NeverEnds(), Script()]) as server, client_of(server) as client:
        first = await client.generate("Hi", "gpt-4o")
        await server.wait_for(lambda: server.connections.open == 0)
        second = await client.generate("Hi", "gpt-4o")

    assert first.ok
    assert first.get_text() == second.get_text() == "Hello world"
    assert server.connections[0].closed_by == "client"
    assert server.connections.opened == 2


_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n"
    b"Content-Type: text/html\r\n\r\nno"
)


def test_a_client_that_is_closed_leaves_no_socket_of_tls(tmp_path: Path) -> None:
    """The server, which keeps no connection, never answers that it is closed."""
    context, trusting = make_contexts(tmp_path)
    done = threading.Event()

    def serve(listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        with context.wrap_socket(accepted, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(_ANSWER)
            done.wait()

    async def stream(url: str) -> None:
        settings = ProviderSettings(api_key="k", base_url=url, verify=trusting)
        async with SteerLLMClient(providers={"openai": settings}) as client:
            with pytest.raises(ProviderError):
                await client.generate("Hi", "gpt-4o", streaming_options=ONCE)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            asyncio.run(stream(f"https://127.0.0.1:{listening.getsockname()[1]}/v1"))
            gc.collect()
        done.set()
        server.join()

    assert [str(each.message) for each in told] == []


async def test_a_stream_that_is_dropped_after_its_terminal_event_leaves_no_socket() -> None:
    async with LoopbackServer(NeverEnds()) as server, client_of(server) as client:
        stream = client.stream_events("Hi", "gpt-4o")
        async for event in stream:
            if event.type == "complete":
                break
        assert server.connections.open == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del stream
            gc.collect()
        await server.wait_for(lambda: server.connections.open == 0)

    assert client.stats.completed == 1


# --- where the key does not go ----------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    elsewhere: list[str] = []
    async with (
        LoopbackServer() as other,
        LoopbackServer(lambda _: Redirect(elsewhere[0], status)) as server,
    ):
        elsewhere.append(f"{other.url}/v1/chat/completions")
        error = await fail_at(server)

    assert isinstance(error, ProviderError)
    assert error.status == status
    assert not error.is_retryable
    assert "redirects are not followed" in str(error)
    assert other.connections.opened == 0


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    serving, _ = make_contexts(tmp_path)
    async with LoopbackServer(ssl=serving) as server:
        error = await fail_at(server, StreamingOptions())

    assert isinstance(error, ConnectError)
    assert not error.is_retryable
    assert "certificate of 127.0.0.1 is not valid" in str(error)
    assert error.partial_response is not None
    assert "retries" not in error.partial_response.metadata
    assert server.requests == []


async def test_it_is_when_verification_is_turned_off(tmp_path: Path) -> None:
    serving, _ = make_contexts(tmp_path)
    async with LoopbackServer(ssl=serving) as server, client_of(server, verify=False) as client:
        response = await client.generate("Hi", "gpt-4o")

    assert response.ok


async def test_https_where_none_is_spoken_says_so() -> None:
    async def answer_in_plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer_in_plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = {"openai": ProviderSettings(base_url=f"https://127.0.0.1:{port}/v1")}
    async with SteerLLMClient(providers=settings) as client:
        with pytest.raises(ConnectError, match="no TLS connection to 127"):
            await client.generate("Hi", "gpt-4o", streaming_options=ONCE)
    server.close()


async def test_cookies_are_neither_kept_nor_sent() -> None:
    script = Script(headers={"set-cookie": "tracking=1; Path=/"})
    async with LoopbackServer(script) as server, client_of(server) as client:
        for _ in range(2):
            await client.generate("Hi", "gpt-4o")

    assert all("cookie" not in request.headers for request in server.requests)


async def test_nothing_goes_out_that_was_not_asked_for() -> None:
    """Above all no wish for compression: a proxy would hold words back to press them together."""
    async with LoopbackServer() as server:
        transport = HTTPTransport()
        url = f"{server.base_url()}/chat/completions"
        response = await transport.open(HTTPRequest(url, b"{}", {"x-mine": "1"}), connect_timeout=5)
        await response.release()
        await transport.close()

    assert set(server.requests[0].headers) - {"content-type"} == {
        "x-mine",
        "host",
        "accept",
        "content-length",
    }


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a" * 20_000 + b": x\r\n\r\n",
    ],
    ids=["a value", "a status line", "a name"],
)
async def test_a_header_without_an_end_is_refused(head: bytes) -> None:
    async with LoopbackServer(GarbageStatus(head)) as server:
        error = await fail_at(server)

    assert isinstance(error, ProtocolError)
    assert "a" * 100 not in str(error)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 16_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"O" * 16_000 + b"\r\n",
    ],
    ids=["a value", "a status line"],
)
async def test_a_header_of_sixteen_thousand_bytes_is_taken(head: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"Content-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    transport = HTTPTransport()
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    response = await transport.open(HTTPRequest(url, b"", {}), connect_timeout=5)
    await response.release()
    await transport.close()
    server.close()

    assert response.status == 200


async def peak_of(work: Callable[[], Any]) -> int:
    """The most memory in bytes that was taken while something ran."""
    tracemalloc.start()
    try:
        await work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("after", [0, 1])
async def test_a_line_without_an_end_takes_its_limit_and_no_more(after: int) -> None:
    options = ONCE.replace(max_frame_bytes=1024 * 1024)
    async with LoopbackServer(EndlessLine(after)) as server:
        error = await fail_at(server, options)

    assert isinstance(error, FrameTooLargeError)
    assert not error.is_retryable


async def test_a_body_that_unpacks_to_gigabytes_takes_its_limit_and_no_more() -> None:
    async def read() -> None:
        options = ONCE.replace(max_frame_bytes=512 * 1024)
        assert isinstance(await fail_at(server, options), FrameTooLargeError)

    async with LoopbackServer(GzipBomb(256 * 1024 * 1024)) as server:
        await fail_at(server, ONCE.replace(max_frame_bytes=1024))  # imports are not counted
        peak = await peak_of(read)

    assert peak < 16 * 1024 * 1024


async def test_an_error_s_body_that_unpacks_to_gigabytes_is_read_as_far_as_it_may_be() -> None:
    async def read() -> None:
        error = await fail_at(server)
        assert isinstance(error, OverloadedError)
        assert len(error.body or "") <= 2_000

    bomb: list[Fault] = [HTTPError(503), GzipBomb(256 * 1024 * 1024)]
    async with LoopbackServer(Script(faults=bomb)) as server:
        await fail_at(server)
        peak = await peak_of(read)

    assert peak < 16 * 1024 * 1024


async def test_an_error_s_body_without_an_end_still_tells_its_status() -> None:
    async with LoopbackServer(Script(faults=[HTTPError(500), EndlessLine()])) as server:
        error = await fail_at(server)

    assert isinstance(error, ServerError)


async def test_an_error_s_body_that_does_not_come_still_tells_its_status() -> None:
    clock = ManualClock()
    network = ScriptedProvider(Script(faults=[HTTPError(401), Stall("headers")]), clock=clock)
    async with SteerLLMClient("test", transport=network, clock=clock) as client:
        task = asyncio.ensure_future(client.generate("Hi", "gpt-4o"))
        await clock.advance(9.5)
        assert not task.done()
        await clock.advance(1.0)
        with pytest.raises(ProviderError) as caught:
            await task

    assert caught.value.status == 401


# --- compression ------------------------------------------------------------------------------


async def test_a_compressed_error_is_read() -> None:
    async with LoopbackServer(Script(faults=[HTTPError(503), Gzip()])) as server:
        error = await fail_at(server)

    assert isinstance(error, OverloadedError)
    assert "overloaded" in str(error)


@pytest.mark.parametrize("name", ["br", "zstd", "x-unknown"])
async def test_a_compression_that_was_not_asked_for_is_refused(name: str) -> None:
    async with LoopbackServer(Encoded(name)) as server:
        error = await fail_at(server)

    assert isinstance(error, ProtocolError)
    assert name in str(error)


async def test_an_error_that_is_only_said_to_be_packed_is_read() -> None:
    # As proxies send it that unpack what they fetch, and pass on its headers.
    async with LoopbackServer(Script(faults=[HTTPError(401), Encoded("br", begin=b"")])) as server:
        error = await fail_at(server)

    assert isinstance(error, AuthenticationError)
    assert "compressed" not in str(error)
    assert error.body


async def test_an_error_in_an_unknown_compression_still_tells_its_status() -> None:
    async with LoopbackServer(Script(faults=[HTTPError(401), Encoded("br")])) as server:
        error = await fail_at(server)
        await server.wait_for(lambda: server.connections.open == 0)

    assert isinstance(error, ProviderError)
    assert error.status == 401


# --- used alone -------------------------------------------------------------------------------


async def test_a_response_that_is_aborted_raises_what_it_was_aborted_with() -> None:
    async with LoopbackServer(Stall(after=1)) as server:
        transport = HTTPTransport()
        url = f"{server.base_url()}/chat/completions"
        response = await transport.open(HTTPRequest(url, b"{}", {}), connect_timeout=5)
        await response.read()
        mine = ConnectionLostError("mine")
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)

        response.abort(mine)

        with pytest.raises(ConnectionLostError) as first:
            await reading
        with pytest.raises(ConnectionLostError) as second:
            await response.read()
        await response.release()
        await server.wait_for(lambda: server.connections.open == 0)
        await transport.close()

    assert first.value is second.value is mine


async def test_closing_the_transport_ends_what_is_under_way() -> None:
    async with LoopbackServer(Stall(after=1)) as server:
        transport = HTTPTransport()
        url = f"{server.base_url()}/chat/completions"
        response = await transport.open(HTTPRequest(url, b"{}", {}), connect_timeout=5)
        await response.read()

        await transport.close()

        with pytest.raises(ConnectionLostError, match="client was closed"):
            await response.read()
        await server.wait_for(lambda: server.connections.open == 0)


@pytest.mark.parametrize("url", ["ftp://x.example/", "http://", "nonsense"])
async def test_what_is_no_url_is_an_error_that_is_not_tried_again(url: str) -> None:
    transport = HTTPTransport()
    with pytest.raises(ConnectError) as caught:
        await transport.open(HTTPRequest(url, b"", {}), connect_timeout=5)
    await transport.close()

    assert not caught.value.is_retryable


async def test_a_header_with_a_line_end_is_not_sent() -> None:
    async with LoopbackServer() as server, client_of(server) as client:
        with pytest.raises(SteerError) as caught:
            await client.generate("Hi", "gpt-4o", extra_headers={"x": "a\r\nevil: b"})

    assert not caught.value.is_retryable
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "is_retryable"), [(403, False), (407, False), (499, False), (500, True), (502, True)]
)
async def test_a_proxy_that_fails_may_be_asked_again_and_one_that_refuses_may_not(
    status: int, is_retryable: bool
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    settings = ProviderSettings(
        base_url="https://127.0.0.1:9/v1",
        proxy=f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}",
    )
    async with SteerLLMClient(providers={"openai": settings}) as client:
        with pytest.raises(ConnectError, match=f"with status {status}") as caught:
            await client.generate("Hi", "gpt-4o", streaming_options=ONCE)
    proxy.close()

    assert caught.value.is_retryable == is_retryable


# --- what had arrived -------------------------------------------------------------------------


async def test_bytes_that_came_with_a_reset_are_given_before_it() -> None:
    """They are in aiohttp's buffer when the connection breaks."""
    async with stalled_response() as response:
        response._content.feed_data(b"the last words")
        response._content.set_exception(ConnectionResetError("reset by peer"))

        assert await response.read() == b"the last words"
        with pytest.raises(ConnectionLostError, match="ConnectionResetError"):
            await response.read()


@pytest.mark.parametrize(("size", "reads"), [(64 * 1024, 1), (64 * 1024 - 1, 2)])
async def test_so_much_of_a_body_is_read_to_keep_its_connection(size: int, reads: int) -> None:
    rest = Rest(size)
    async with LoopbackServer(NeverEnds()) as server:
        transport = HTTPTransport()
        request = HTTPRequest(f"{server.base_url()}/chat/completions", b"{}", {})
        response: Any = await transport.open(request, connect_timeout=5)
        response._content = rest
        await response.release()
        await transport.close()

    assert rest.reads == reads


class Rest:
    """What is left of a body: so many bytes at once, then nothing."""

    def __init__(self, size: int) -> None:
        self.reads = 0
        self._size = size

    def at_eof(self) -> bool:
        return False

    async def readany(self) -> bytes:
        self.reads += 1
        size, self._size = self._size, 0
        return b"x" * size


# --- large bodies -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_000, 256 * 1024, 300_000, 3_000_000])
async def test_a_body_of_any_size_arrives_whole_and_without_a_warning(size: int) -> None:
    prompt = "x" * size
    async with LoopbackServer() as server, client_of(server) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                assert (await client.generate(prompt, "gpt-4o")).ok

    assert [request.json["messages"][0]["content"] for request in server.requests] == [prompt] * 2
    assert all(
        int(request.headers["content-length"]) == len(request.body) for request in server.requests
    )


async def test_a_large_body_goes_out_again_when_a_kept_connection_was_closed() -> None:
    prompt = "x" * 2_000_000
    answers: list[ScriptLike] = [Script(faults=[CloseIdle()]), Script(), Script()]
    async with LoopbackServer(answers) as server, client_of(server) as client:
        for _ in range(2):
            assert (await client.generate(prompt, "gpt-4o")).ok

    assert all(prompt in request.body.decode() for request in server.requests)


async def test_a_body_at_most_so_large_is_written_at_once() -> None:
    assert _body(b"x" * 256 * 1024) == b"x" * 256 * 1024
    large = _body(b"x" * (256 * 1024 + 1))
    assert isinstance(large, io.BytesIO)
    assert large.read() == b"x" * (256 * 1024 + 1)


# --- used beyond its loop ---------------------------------------------------------------------


def test_a_transport_that_serves_another_loop_opens_connections_there() -> None:
    with LoopbackServer().in_thread() as server:
        transport = HTTPTransport()
        request = HTTPRequest(f"{server.base_url()}/chat/completions", b"{}", {})

        async def ask() -> int:
            response = await transport.open(request, connect_timeout=5)
            while await response.read():
                pass
            await response.release()
            return response.status

        for _ in range(2):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(ask()) == 200
            loop.close()
            transport.give_up()
        server.wait_until(lambda: server.connections.open == 0)


def test_giving_up_closes_the_sockets_of_streams_under_way() -> None:
    with LoopbackServer(Stall(after=1)).in_thread() as server:
        transport = HTTPTransport()
        request = HTTPRequest(f"{server.base_url()}/chat/completions", b"{}", {})

        async def begin() -> Any:
            response = await transport.open(request, connect_timeout=5)
            await response.read()
            return response

        loop = asyncio.new_event_loop()
        response = loop.run_until_complete(begin())
        loop.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            transport.give_up()
            transport.give_up()
            server.wait_until(lambda: server.connections.open == 0)
            del response
            gc.collect()
