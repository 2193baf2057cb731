"""The transport over aiohttp. Only this file and `receiving` know the HTTP library.

None of aiohttp's exceptions leaves this file, not even as a cause: their reprs can hold an
``Authorization`` header or a proxy's password. They are raised again, by a table, as the library's
own, outside of the ``except`` block that caught them.
"""

from __future__ import annotations

import asyncio
import io
import os
import ssl
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from steer_llm_sdk.errors import (
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    SteerError,
)
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.tasks import begin_guard, end_guard
from steer_llm_sdk.transport.base import Arrivals, SOCKSFailure
from steer_llm_sdk.transport.decompress import BodyDecoder, body_decoder
from steer_llm_sdk.transport.failures import (
    Way,
    came_late,
    certificate_wanted,
    no_answer,
    no_tls,
    no_tls_asked,
    no_tunnel,
    not_reached,
    not_trusted,
    refused_by_proxy,
    refused_by_socks,
    way_of,
)
from steer_llm_sdk.transport.proxies import proxy_of_environment
from steer_llm_sdk.transport.receiving import (
    LOST,
    Protocol,
    QuickBody,
    broken,
    quick_body,
    reason_of,
)

# How much of a body, and for how long, is read after the provider's terminal marker to keep the
# connection: servers end the body in the same packet or the next.
_DRAIN_SECONDS = 0.05
_DRAIN_BYTES = 64 * 1024

# A header line longer than this, or more headers, is no answer of a model provider.
_MAX_HEADER_BYTES = 16 * 1024

# asyncio's own is 256 kB, for which the C library maps fresh memory and gives it back again: that
# can take as long as all else that is done for a chunk that comes alone.
_READ_BYTES = 64 * 1024

# How an alert of TLS begins (https://www.rfc-editor.org/rfc/rfc8446#section-5.1), as aiohttp quotes
# what is no HTTP: a server that speaks TLS was asked without it.
_TLS_ALERT = r"b'\x15\x03"

# A body that is larger than this is written in pieces.
_WRITE_BYTES = 256 * 1024


class _Use:
    """What a request has of a connection.

    Attributes:
        is_connected: Whether it has got one.
        was_kept: Whether that had been opened for an earlier request.
    """

    __slots__ = ("is_connected", "was_kept")

    def __init__(self) -> None:
        self.is_connected = False
        self.was_kept = False


# Of the request that is being sent: the connector notes it, in the same task.
_USE: ContextVar[_Use] = ContextVar("use of a connection")


class HTTPTransport:
    """Connections of one event loop, kept alive and shared.

    Args:
        keepalive_seconds: How long an idle connection is kept.
    """

    def __init__(self, *, keepalive_seconds: float = 60.0) -> None:
        self._keepalive_seconds = keepalive_seconds
        # By the SOCKS proxy through which all of a session's connections go; "" for none.
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._guards: dict[str, AsyncGenerator[None, None]] = {}
        self._open: set[HTTPResponse] = set()

    async def open(self, request: HTTPRequest, *, connect_timeout: float | None) -> HTTPResponse:
        """Send a request, and wait for the headers. See `transport.base.Transport`.

        A kept-alive connection that turns out to have been closed by the server before any byte of
        the response is no failure: the request goes out again at once, on another connection. Once
        a byte has come, it is a failure like any other.
        """
        proxy = request.proxy or proxy_of_environment(request.url)
        way = way_of(request.url, proxy)
        session = self._live_session(proxy if proxy is not None and way.is_socks else "")
        through = None if way.is_socks else proxy
        while True:
            use = _Use()
            try:
                response = await self._send(session, request, through, connect_timeout, use)
            except (
                aiohttp.ServerDisconnectedError,
                aiohttp.ClientOSError,
                ConnectionError,
            ) as error:
                failure = _failure(error, way, connect_timeout)
                is_lost = not isinstance(failure, ConnectError)
                if use.was_kept and is_lost:
                    continue
                if is_lost and through is not None and not use.is_connected:
                    failure = no_tunnel(way, type(error).__name__)
            except (*LOST, SOCKSFailure, TimeoutError, ValueError) as error:
                failure = _failure(error, way, connect_timeout)
            else:
                if through is not None and _is_of_proxy(response):
                    response.close()
                    raise refused_by_proxy(way, response.status, response.headers)
                opened = HTTPResponse(response, self._open)
                self._open.add(opened)
                return opened
            raise failure

    async def close(self) -> None:
        """Close all connections; streams under way end in `ConnectionLostError`."""
        for response in tuple(self._open):
            response.abort(ConnectionLostError("the client was closed while the stream ran"))
        guards, self._guards, self._sessions = self._guards, {}, {}
        for guard in guards.values():
            await guard.aclose()

    def give_up(self) -> None:
        """Close what can be closed without the event loop, which does not run any more."""
        for socks in tuple(self._sessions):
            self._give_up_session(socks)
        for response in tuple(self._open):
            response.give_up()

    def _give_up_session(self, socks: str) -> None:
        connector = self._sessions.pop(socks).connector
        assert isinstance(connector, _Connector)  # noqa: S101 - made in `_make_session`
        connector.give_up()
        end_guard(self._guards.pop(socks))

    async def _send(
        self,
        session: aiohttp.ClientSession,
        request: HTTPRequest,
        proxy: str | None,
        connect_timeout: float | None,
        use: _Use,
    ) -> aiohttp.ClientResponse:
        token = _USE.set(use)
        try:
            return await session.request(
                request.method,
                URL(request.url, encoded=True),
                data=_body(request.body),
                headers=request.headers,
                allow_redirects=False,  # a redirect would carry the key to another place
                proxy=proxy,
                ssl=request.verify,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=connect_timeout, sock_connect=connect_timeout
                ),
            )
        finally:
            _USE.reset(token)

    def _live_session(self, socks: str) -> aiohttp.ClientSession:
        session = self._sessions.get(socks)
        if session is not None and session.closed:  # its loop is, without a word to it
            self._give_up_session(socks)
            session = None
        if session is None:
            session = self._sessions[socks] = self._make_session(socks)
            guard = self._guards[socks] = _guard_session(session, weakref.ref(self))
            begin_guard(guard)
        return session

    def _make_session(self, socks: str) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_make_connector(self._keepalive_seconds, socks),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # decompressed here, a bounded piece at a time
            trust_env=False,  # it would read ~/.netrc too; the proxies are read here
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    def forget(self, session: aiohttp.ClientSession) -> None:
        """The session has been closed: what knows its loop goes, so that the loop can go."""
        for socks in [each for each, known in self._sessions.items() if known is session]:
            del self._sessions[socks]
            self._guards.pop(socks, None)


async def _guard_session(
    session: aiohttp.ClientSession, owner: weakref.ref[HTTPTransport]
) -> AsyncGenerator[None, None]:
    """Own a session, until its loop ends.

    So the connections of a client that nobody closed are closed by ``asyncio.run`` itself, in
    silence, while their loop still runs; and those of a client that is collected, by its loop.
    """
    try:
        yield
    finally:
        transport = owner()
        if transport is not None:
            transport.forget(session)
        await session.close()


class _Connector(aiohttp.TCPConnector):
    """Ends with its loop and its process, without a word: a client need not be closed.

    In a child process its sockets are shared with the parent, as is what the loop waits with: they
    are not touched there.

    Args:
        loop: The running loop.
        keepalive_seconds: How long an idle connection is kept.
        more: What another class of connectors is made with.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, keepalive_seconds: float, **more: Any
    ) -> None:
        self._home = loop
        self._process_id = os.getpid()
        self._is_given_up = False
        # The only way to the sockets of a loop that is closed. Not the transports themselves: those
        # of uvloop for TLS cannot be held weakly.
        self._protocols: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()
        super().__init__(limit=0, keepalive_timeout=keepalive_seconds, **more)
        protocol: Callable[..., ResponseHandler] = Protocol
        self._factory = partial(protocol, loop=loop)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - it is aiohttp's
    ) -> Connection:
        """Get a connection, a new one or one that was kept."""
        connection = await super().connect(req, traces, timeout)
        protocol, use = connection.protocol, _USE.get()
        if protocol is not None and connection.transport is not None:
            use.was_kept = protocol in self._protocols
            if not use.was_kept:
                _read_in_small_pieces(connection.transport)
                self._protocols.add(protocol)
        use.is_connected = True
        return connection

    @property
    def closed(self) -> bool:
        """Whether no request can be sent by it any more."""
        is_elsewhere = self._process_id != os.getpid()
        return super().closed or self._is_given_up or is_elsewhere or self._home.is_closed()

    def give_up(self) -> None:
        """Close the sockets: the event loop does not run any more."""
        self._is_given_up = True
        if self._process_id != os.getpid():
            return
        is_closed = self._home.is_closed()
        for protocol in tuple(self._protocols):
            if protocol.transport is not None:
                _drop_socket(protocol.transport, is_loop_closed=is_closed)

    def __del__(self, *_: object) -> None:
        if not self.closed:
            super().__del__()


def _make_connector(keepalive_seconds: float, socks: str) -> _Connector:
    """Make what opens connections: straight, or through a SOCKS proxy.

    Raises:
        ConnectError: The environment names a SOCKS proxy, and what speaks to it is not installed.
    """
    loop = asyncio.get_running_loop()
    if not socks:
        return _Connector(loop, keepalive_seconds)
    try:
        from steer_llm_sdk.transport.socks import proxy_arguments, through_socks
    except ImportError:
        failure = ConnectError(
            "a SOCKS proxy needs the extra 'socks' (pip install \"steer-llm-sdk[socks]\")",
            is_retryable=False,
        )
    else:
        made: _Connector = through_socks(_Connector)(
            loop, keepalive_seconds, **proxy_arguments(socks)
        )
        return made
    raise failure


class HTTPResponse:
    """A response whose headers have arrived. See `transport.base.TransportResponse`."""

    def __init__(self, response: aiohttp.ClientResponse, registry: set[HTTPResponse]) -> None:
        self._response = response
        self._content = quick_body(response.content)
        self._registry = registry
        self._failure: SteerError | None = None
        decoder = body_decoder(response.headers.get("Content-Encoding"))
        self.status: int = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.headers.items()
        }
        quick = self._content if isinstance(self._content, QuickBody) else None
        # The method itself, rather than one that calls it: it runs for every piece of the body.
        read_raw = self._read_raw if quick is None else quick.readany
        self.read: Callable[[], Coroutine[Any, Any, bytes]] = read_raw
        self.arrivals: Arrivals | None = quick if decoder is None else None
        if decoder is not None:
            self.read = partial(_read_packed, decoder, read_raw)

    async def _read_raw(self) -> bytes:
        """As `QuickBody.readany`, where the body is none."""
        if self._failure is not None:
            raise self._failure
        try:
            chunk = await self._content.readany()
        except LOST as error:
            self._failure = broken(error)
            chunk = self._left_over()
        if not chunk and self._failure is not None:
            raise self._failure
        return chunk

    def abort(self, error: SteerError) -> None:
        """Close the socket at once; reads raise `error`."""
        self._registry.discard(self)
        if self._failure is None:
            self._failure = error
        self._content.set_exception(error)
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._response.close()

    def give_up(self) -> None:
        """Forget the connection: its loop does not run any more."""
        self._registry.discard(self)
        if self._response.connection is not None:
            with suppress(RuntimeError):
                self._response.connection.close()

    async def release(self) -> None:
        """Keep the connection when the rest of the body comes within a moment, else close it."""
        self._registry.discard(self)
        try:
            if not self._content.at_eof():
                await self._drain()
        finally:
            self._response.close()

    async def _drain(self) -> None:
        left = _DRAIN_BYTES
        with suppress(TimeoutError, SteerError, *LOST):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while left > 0 and (chunk := await self._content.readany()):
                    left -= len(chunk)

    def _left_over(self) -> bytes:
        """What had arrived before the connection broke: aiohttp would throw it away."""
        read = getattr(self._content, "_read_nowait", None)
        return bytes(read(-1)) if read is not None else b""


async def _read_packed(
    decoder: BodyDecoder, read_raw: Callable[[], Coroutine[Any, Any, bytes]]
) -> bytes:
    while True:  # an input that gives no output yet is not the end of the body
        chunk = b"" if decoder.has_held_input else await read_raw()
        is_end = not chunk and not decoder.has_held_input
        piece = decoder.feed(chunk)
        if piece or is_end:
            return piece


def _read_in_small_pieces(transport: Any) -> None:
    """Have the event loop ask the socket for no more than a model sends at a time."""
    if getattr(transport, "max_size", 0) > _READ_BYTES:
        transport.max_size = _READ_BYTES


def _drop_socket(transport: asyncio.Transport, *, is_loop_closed: bool) -> None:
    """Close a socket whose loop does not run any more."""
    with suppress(RuntimeError):  # the rest was to happen in the loop
        transport.abort()
    if not is_loop_closed:
        return
    # Nothing public does what the loop would have done.
    inner: Any = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
    with suppress(AttributeError, RuntimeError):
        inner._call_connection_lost(None)  # noqa: SLF001


def _body(body: bytes) -> bytes | io.BytesIO:
    """A large body is written piece by piece: at once, it would hold up the event loop."""
    return io.BytesIO(body) if len(body) > _WRITE_BYTES else body


def _is_of_proxy(response: aiohttp.ClientResponse) -> bool:
    """Whether it is the proxy that answers, in place of a server that is asked without TLS."""
    return response.status == 407 or "X-Squid-Error" in response.headers


def _failure(error: BaseException, way: Way, connect_timeout: float | None) -> SteerError:
    """The library's error for one of aiohttp's, which is not kept."""
    if isinstance(error, SOCKSFailure):
        if error.tls_error is None:
            return refused_by_socks(way, str(error), is_retryable=error.is_retryable)
        error = error.tls_error
    if isinstance(error, asyncio.TimeoutError) and connect_timeout is not None:
        return came_late(way, connect_timeout)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return not_trusted(way.owner(error.host, error.port), error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):  # its error of TLS is one of them
        return not_reached(way.owner(error.host, error.port), error.os_error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return not_trusted(way.host, error)
    if isinstance(error, ssl.SSLError):
        return no_tls(way.host, error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return refused_by_proxy(way, error.status, error.headers or {})
    if isinstance(error, aiohttp.ClientResponseError):
        return _no_http(way, error)
    if isinstance(error, ValueError | aiohttp.NonHttpUrlClientError):
        return ConnectError(
            f"no request can be sent to {way.host}: the URL, a header or the proxy is not valid",
            is_retryable=False,
        )
    return certificate_wanted(way.host, str(error)) or no_answer(way, type(error).__name__)


def _no_http(way: Way, error: aiohttp.ClientResponseError) -> SteerError:
    if _TLS_ALERT in error.message:
        return no_tls_asked(way.host)
    return ProtocolError(f"{way.host} did not answer as HTTP wants it{reason_of(error)}")
