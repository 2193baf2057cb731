"""How the bytes of a response come in, where aiohttp does more than is needed here.

aiohttp serves whoever reads by lines, by numbers of bytes, or by the pieces of a chunked body: it
remembers where each piece ended, and looks after each one whether reading was paused. The pieces
say nothing here, and all that has come is taken at once.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from steer_llm_sdk.errors import ConnectionLostError, ProtocolError, SteerError

# What aiohttp, or what is under it, raises where a connection breaks, or brings what is no HTTP.
LOST = (
    aiohttp.ClientError,
    ConnectionError,
    HttpProcessingError,
    asyncio.IncompleteReadError,
    ssl.SSLError,
    OSError,
)

# aiohttp's reason; what follows it is quoted from what came, and that may be anything.
_REASON = re.compile(r"[A-Z](?:[\w` /-]|'t|: close)*")


class Protocol(ResponseHandler):
    """Tells a connection that broke inside a response from one that had been closed before it.

    aiohttp raises the same for both, and only the second may be asked again in silence.

    Attributes:
        listener: Is called whenever bytes have come, or none will come any more.
    """

    listener: Callable[[], object] | None = None
    _has_begun = False

    def resume_reading(self, *args: Any, **options: Any) -> None:
        """Go on reading where it was paused.

        aiohttp asks this after every piece of a body, and would have its parser read nothing then.
        """
        if self._reading_paused:
            super().resume_reading(*args, **options)

    def set_response_params(self, **params: Any) -> None:
        """A request is about to be answered."""
        self._has_begun = False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if data:  # aiohttp calls it without any, to go on with what it has
            self._has_begun = True
        super().data_received(data)
        if self.listener is not None:
            self.listener()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection was closed, by either side."""
        super().connection_lost(exc)
        if self.listener is not None:
            self.listener()

    def close(self) -> None:
        """Close the connection; one of TLS at once.

        To part in good order takes an answer of the other side, which nobody waits for when the
        client is closed next: the socket would stay open.
        """
        transport = self.transport
        if transport is not None and transport.get_extra_info("sslcontext") is not None:
            self.abort()
        else:
            super().close()

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """The connection broke, or what came over it is no HTTP."""
        is_closed = isinstance(exc, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
        if self._has_begun and is_closed:
            exc = aiohttp.ClientPayloadError("the connection broke inside the response")
        body = self._payload
        if isinstance(exc, HttpProcessingError) and body is not None and not body.is_eof():
            body.set_exception(exc)  # whoever reads it would wait for what cannot come
        super().set_exception(exc, *cause)


class QuickBody(aiohttp.StreamReader):
    """The body of a response, all of whose bytes are taken as they come, by `readany`.

    aiohttp makes the object, and this class takes its place: `quick_body`.
    """

    __slots__ = ()

    def feed_data(self, data: bytes, *_: int) -> bool:
        """Keep bytes that have come, and wake whoever waits for them."""
        if not data:
            return False
        length = len(data)
        self._buffer.append(data)
        self._size += length
        self.total_bytes += length
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if self._size > self._high_water:
            self._protocol.pause_reading()
        return False

    def begin_http_chunk_receiving(self) -> None:
        """A piece of a chunked body begins."""

    def end_http_chunk_receiving(self) -> None:
        """A piece of a chunked body has ended."""

    def set_exception(self, exc: BaseException, *_: Any) -> None:
        """Let no more come: the connection broke, or whoever reads has given up.

        What had come before the connection broke is still read.
        """
        if isinstance(exc, SteerError):
            self._buffer.clear()
        if self._exception is None:
            super().set_exception(broken(exc) if isinstance(exc, LOST) else exc)
        listener = getattr(self._protocol, "listener", None)
        if listener is not None:
            listener()

    @property
    def has_ended(self) -> bool:
        """Whether no more bytes come; see `transport.base.Arrivals`, as for the next two."""
        return self._eof or self._exception is not None

    def listen(self, listener: Callable[[], object] | None) -> None:
        """Have this called whenever bytes have come, or none will come any more; None: nothing."""
        self._protocol.listener = listener  # type: ignore[attr-defined]

    def take(self) -> bytes:
        """Take all bytes that have come; empty where none have."""
        buffer = self._buffer
        if len(buffer) == 1:
            data = buffer.popleft()
        else:
            data = b"".join(buffer)
            buffer.clear()
        self._size = 0
        if self._protocol._reading_paused:  # noqa: SLF001 - as aiohttp's own reader does
            # Soon, and not now: it parses what is left there, and whoever listens would be called
            # for that before these bytes are used, which came first.
            self._loop.call_soon(self._protocol.resume_reading)
        return data

    async def readany(self) -> bytes:
        """Take all bytes that have come, and wait where there are none; empty at the end.

        Raises:
            SteerError: No more come.
        """
        buffer = self._buffer
        while not buffer:
            if self._exception is not None:
                raise self._exception
            if self._eof:
                return b""
            if self._waiter is not None or self._protocol.transport is None:
                return await super().readany()  # tells what is wrong
            waiter = self._waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        return self.take()


def broken(error: BaseException) -> SteerError:
    """The library's error for a response that did not come to its end."""
    if isinstance(error, HttpProcessingError):
        return ProtocolError(f"the response did not go on as HTTP wants it{reason_of(error)}")
    return ConnectionLostError(
        f"the connection broke in the middle of the response ({type(error).__name__})"
    )


def reason_of(error: Any) -> str:
    """Why aiohttp does not take something for HTTP, to stand behind a statement that it is none."""
    found = _REASON.match(str(error.message))
    return "" if found is None else f": {found[0].strip()}"


# What it needs of aiohttp's own class, whose next version may keep its bytes otherwise.
_NEEDED = frozenset(
    ("_buffer", "_eof", "_exception", "_high_water", "_loop", "_protocol", "_size", "_waiter")
)
_IS_KNOWN = set(aiohttp.StreamReader.__slots__) >= _NEEDED


def quick_body(body: aiohttp.StreamReader) -> aiohttp.StreamReader:
    """The same body, of the class `QuickBody`; as it is, where aiohttp is none that this fits."""
    if _IS_KNOWN and type(body) is aiohttp.StreamReader:
        body.__class__ = QuickBody
    return body
