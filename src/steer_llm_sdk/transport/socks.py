"""Connections through a SOCKS proxy, opened by ``aiohttp-socks`` (the extra ``socks``).

A session has one such proxy, and resolves no names: the proxy does. TLS is begun here: while it is
under way, the library can be told neither to stop nor why it failed.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl as tls
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp_socks import ProxyConnector, ProxyType
from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

from steer_llm_sdk.transport.base import SOCKSFailure

_USUAL_PORT = 1080

# In seconds, for none: without a limit the library would set one of a minute.
_NO_LIMIT = 86_400.0 * 365

# https://www.rfc-editor.org/rfc/rfc1928#section-6, and whether another try may go better.
_REPLIES: Mapping[int, tuple[str, bool]] = {
    1: ("it failed", True),
    2: ("its rules do not allow it", False),
    3: ("it cannot reach that network", True),
    4: ("it cannot reach the host, or does not know the name", True),
    5: ("the server refused the connection", True),
    6: ("the server did not answer it in time", True),
    7: ("it makes no connections", False),
    8: ("it does not know such addresses", False),
    # SOCKS 4 says no more: https://www.openssh.com/txt/socks4.protocol
    0x5B: ("it refused, or failed", True),
    0x5C: ("it wants to ask this machine who the user is", False),
    0x5D: ("it does not take the user", False),
}


def proxy_arguments(url: str) -> dict[str, Any]:
    """What a connector is made with for the proxy at `url`."""
    parts = urlsplit(url)
    is_old = parts.scheme.startswith("socks4")
    return {
        "proxy_type": ProxyType.SOCKS4 if is_old else ProxyType.SOCKS5,
        "host": parts.hostname or "",
        "port": parts.port or _USUAL_PORT,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "rdns": parts.scheme != "socks4",
    }


@functools.cache
def through_socks(connector: type) -> Any:
    """The class of connectors `connector`, going through a proxy, with its own kind of protocol."""

    class Through(connector, ProxyConnector):  # type: ignore[misc] # a class that is handed in
        async def _connect_via_proxy(
            self,
            host: str,
            port: int,
            ssl: tls.SSLContext | None = None,
            timeout: float | None = None,  # noqa: ASYNC109 - it is aiohttp-socks'
        ) -> Any:
            transport, theirs = await self._plain_way(host, port, timeout)
            protocol: Any = self._factory()
            protocol.kept_writer = theirs._writer  # noqa: SLF001 - collected, it would close
            if ssl is None:
                transport.set_protocol(protocol)
            else:
                transport = await _begin_tls(transport, protocol, ssl, host)
            protocol.connection_made(transport)
            return transport, protocol

        async def _plain_way(self, host: str, port: int, seconds: float | None) -> Any:
            failure: Exception
            limit = _NO_LIMIT if seconds is None else seconds
            try:
                return await super()._connect_via_proxy(host=host, port=port, timeout=limit)
            except ProxyTimeoutError:
                failure = TimeoutError()
            except ProxyConnectionError as error:
                reason = getattr(error.__cause__, "strerror", None) or "nobody is there"
                failure = SOCKSFailure(f"it cannot be reached: {reason}")
            except ProxyError as error:
                failure = _said(error)
            except socket.gaierror:  # only of the oldest kind, which takes no names
                failure = SOCKSFailure(f"nobody here knows the name {host}; socks4a asks the proxy")
            except (EOFError, OSError) as error:  # it goes away, instead of an answer
                failure = SOCKSFailure(f"it closed the connection ({type(error).__name__})")
            raise failure

    return Through


async def _begin_tls(transport: Any, protocol: Any, context: tls.SSLContext, host: str) -> Any:
    loop = asyncio.get_running_loop()
    failure: tls.SSLError | None = None
    try:
        return await loop.start_tls(transport, protocol, context, server_hostname=host)
    except tls.SSLError as error:
        failure = error
    except BaseException:
        transport.abort()
        raise
    transport.abort()
    raise SOCKSFailure("", tls_error=failure)


def _said(error: ProxyError) -> SOCKSFailure:
    """What the proxy answered; the library's words, which hold no secret, where it has no code."""
    if (reply := _REPLIES.get(error.error_code or 0)) is not None:
        return SOCKSFailure(reply[0], is_retryable=reply[1])
    words = str(error)
    for part, reason in _WORDS.items():
        if part in words:
            return SOCKSFailure(reason, is_retryable=False)
    return SOCKSFailure(f"it answered what SOCKS does not know ({words})", is_retryable=False)


_WORDS: Mapping[str, str] = {
    "authentication failure": "it does not take the user and password of the proxy's URL",
    "No acceptable authentication": "it wants a user and password; the proxy's URL can hold them",
    "Unexpected SOCKS version": "what answers there is no SOCKS proxy of this version",
}
