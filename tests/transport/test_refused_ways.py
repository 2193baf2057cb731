"""Whose fault it is that no answer comes: the proxy's, or that of the server behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from steer_llm_sdk.errors import ConnectError, ConnectionLostError, SteerError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.testing import LoopbackServer
from steer_llm_sdk.transport.failures import way_of
from steer_llm_sdk.transport.http import HTTPTransport, _failure
from support.socks import socks_proxy

NOWHERE = "http://models.example/v1/chat/completions"


class Proxy:
    """A proxy that gives every request the same answer, and keeps the connection open.

    Attributes:
        port: Where it listens.
        left: Set when a client has closed its connection.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.left = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def proxy_that_says(answer: bytes) -> AsyncIterator[Proxy]:
    """Run one; with ``b""`` it closes the connection instead."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer:
            writer.write(answer)
            await reader.read()
        proxy.left.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    yield proxy
    server.close()


async def error_through(proxy: str) -> SteerError:
    transport = HTTPTransport()
    with pytest.raises(SteerError) as caught:
        await transport.open(HTTPRequest(NOWHERE, b"", {}, proxy=proxy), connect_timeout=5)
    await transport.close()
    return caught.value


async def test_a_proxy_that_wants_a_password_is_named() -> None:
    async with proxy_that_says(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        error = await error_through(proxy.url)

    assert isinstance(error, ConnectError)
    assert f"the proxy 127.0.0.1:{proxy.port} refused it with status 407" in str(error)
    assert "user and password" in str(error)


async def test_a_proxy_s_refusal_is_not_read_to_its_end() -> None:
    """The error is kept, as applications keep it: its traceback does not keep the socket."""
    async with proxy_that_says(b"HTTP/1.1 407 No\r\nContent-Length: 9\r\n\r\nonly") as proxy:
        transport = HTTPTransport()
        request = HTTPRequest(NOWHERE, b"", {}, proxy=proxy.url)
        with pytest.raises(ConnectError) as caught:
            await transport.open(request, connect_timeout=5)

        await asyncio.wait_for(proxy.left.wait(), 5)
        await transport.close()

    assert caught.value.__traceback__ is not None


async def test_a_server_that_goes_away_behind_a_proxy_is_no_proxy_of_another_kind() -> None:
    async with proxy_that_says(b"") as proxy:
        error = await error_through(proxy.url)

    assert isinstance(error, ConnectionLostError)
    assert "models.example closed the connection before it answered" in str(error)
    assert f"it was asked through the proxy 127.0.0.1:{proxy.port}" in str(error)


def test_a_limit_of_the_system_s_is_none_of_this_library_s() -> None:
    """Without a `connect_timeout`, the system still gives up at some time."""
    error = _failure(TimeoutError(), way_of(NOWHERE, None), None)

    assert isinstance(error, ConnectionLostError)
    assert "TimeoutError" in str(error)


async def test_a_socks_proxy_may_take_as_long_as_the_caller_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library that speaks to it has a limit of its own, which stands for none that is given."""
    monkeypatch.setattr("python_socks.async_.asyncio.v2._proxy.DEFAULT_TIMEOUT", 0.01)
    async with LoopbackServer() as server, socks_proxy(seconds=0.05) as proxy:
        transport = HTTPTransport()
        url = f"{server.base_url()}/chat/completions"
        for limit in (5, None):
            request = HTTPRequest(url, b"{}", {}, proxy=proxy)
            response = await transport.open(request, connect_timeout=limit)
            response.abort(ConnectionLostError("enough"))
        await transport.close()

    assert len(server.requests) == 2
