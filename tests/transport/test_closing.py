"""What is left of a connection when its stream, its client, its loop or its process ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.testing import LoopbackServer, Stall
from steer_llm_sdk.transport.http import HTTPTransport
from support.socks import socks_proxy
from support.tls import make_contexts


def request_to(server: LoopbackServer, **more: Any) -> HTTPRequest:
    return HTTPRequest(f"{server.base_url()}/chat/completions", b"{}", {}, **more)


async def read_whole(transport: HTTPTransport, request: HTTPRequest) -> None:
    """One answer, to its end: the connection is kept."""
    response = await transport.open(request, connect_timeout=5)
    while await response.read():
        pass
    await response.release()


# --- a stream that is stopped -----------------------------------------------------------------


async def test_an_answer_that_is_aborted_is_forgotten_by_its_transport() -> None:
    async with LoopbackServer(Stall(after=1)) as server:
        transport = HTTPTransport()
        for _ in range(3):
            response = await transport.open(request_to(server), connect_timeout=5)
            response.abort(ConnectionLostError("stopped"))
        left = len(transport._open)
        await transport.close()

    assert left == 0


async def test_an_answer_that_is_aborted_twice_tells_of_the_first_time() -> None:
    first = ConnectionLostError("first")
    async with LoopbackServer(Stall(after=1)) as server:
        transport = HTTPTransport()
        response = await transport.open(request_to(server), connect_timeout=5)
        response.abort(first)
        response.abort(ConnectionLostError("second"))

        with pytest.raises(ConnectionLostError) as caught:
            await response.read()
        await transport.close()

    assert caught.value is first


async def test_an_answer_that_is_aborted_while_its_request_still_goes_out_closes_its_socket() -> (
    None
):
    """The server has answered, and reads no further: what waits to be sent never goes out."""

    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\n")
        await done.wait()
        writer.transport.abort()

    done = asyncio.Event()
    server = await asyncio.start_server(answer_early, "127.0.0.1", 0)
    transport = HTTPTransport()
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    request = HTTPRequest(url, bytes(64 << 20), {})
    response = await transport.open(request, connect_timeout=5)
    connection = response._response.connection
    assert connection is not None
    assert connection.transport is not None
    sent = connection.transport.get_extra_info("socket")
    while not connection.transport.get_write_buffer_size():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    response.abort(ConnectionLostError("stopped"))
    for _ in range(3):
        await asyncio.sleep(0)
    descriptor = sent.fileno()
    done.set()
    await transport.close()
    server.close()

    assert descriptor == -1


# --- a client that is closed ------------------------------------------------------------------


async def test_a_transport_that_is_closed_closes_the_connections_by_every_proxy() -> None:
    async with LoopbackServer() as server, socks_proxy() as one, socks_proxy() as other:
        transport = HTTPTransport()
        for proxy in (None, one, other):
            await read_whole(transport, request_to(server, proxy=proxy))
        assert server.connections.open == 3

        await transport.close()

        await server.wait_for(lambda: server.connections.open == 0)


# --- a loop that has ended --------------------------------------------------------------------


def test_a_loop_that_is_closed_without_a_word_leaves_no_socket_to_the_next() -> None:
    """Nobody has told the transport: it looks by itself."""
    with LoopbackServer().in_thread() as server:
        transport = HTTPTransport()
        for _ in range(3):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(read_whole(transport, request_to(server)))
            loop.close()
        server.wait_until(lambda: server.connections.open == 1)
        transport.give_up()

    assert len(server.requests) == 3


def test_what_was_given_up_can_be_closed_and_used_again() -> None:
    with LoopbackServer(Stall(after=1)).in_thread() as server:
        transport = HTTPTransport()
        loop = asyncio.new_event_loop()
        response = loop.run_until_complete(transport.open(request_to(server), connect_timeout=5))
        loop.close()
        transport.give_up()

        asyncio.run(transport.close())
        server.answer_with(None)
        asyncio.run(read_whole(transport, request_to(server)))
        server.wait_until(lambda: server.connections.open == 0)
        del response

    assert len(server.requests) == 2


@pytest.mark.parametrize("has_tls", [False, True])
def test_a_transport_is_given_up_in_silence_though_its_loop_may_go_on(
    has_tls: bool, tmp_path: Path
) -> None:
    """Its client is collected between two calls of `run_until_complete`."""
    said: list[dict[str, Any]] = []
    serving, trusting = make_contexts(tmp_path) if has_tls else (None, True)
    with LoopbackServer(ssl=serving).in_thread() as server:
        transport = HTTPTransport()
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _, context: said.append(context))
        loop.run_until_complete(read_whole(transport, request_to(server, verify=trusting)))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            transport.give_up()
            del transport
            gc.collect()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        server.wait_until(lambda: server.connections.open == 0)

    assert said == []
    assert [str(each.message) for each in told] == []


def test_giving_up_closes_a_socket_of_tls_though_its_loop_is_closed(tmp_path: Path) -> None:
    serving, trusting = make_contexts(tmp_path)
    with LoopbackServer(Stall(after=1), ssl=serving).in_thread() as server:
        transport = HTTPTransport()
        request = request_to(server, verify=trusting)
        loop = asyncio.new_event_loop()
        response = loop.run_until_complete(transport.open(request, connect_timeout=5))
        loop.close()

        transport.give_up()

        server.wait_until(lambda: server.connections.open == 0)
        del response


# --- a process that forks ---------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_connections_of_its_own_and_leaves_the_parent_s_alone() -> None:
    with LoopbackServer().in_thread() as server:
        transport = HTTPTransport()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(read_whole(transport, request_to(server)))
        child = os.fork()
        if child == 0:  # whatever happens, it must not go on as a second pytest
            signal.alarm(20)
            try:
                asyncio.run(read_whole(transport, request_to(server)))
                del transport
                gc.collect()
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        loop.run_until_complete(read_whole(transport, request_to(server)))
        loop.run_until_complete(transport.close())
        loop.close()

    assert code == 0
    assert len(server.requests) == 3
    assert server.connections.opened == 2
