"""Connections through a SOCKS proxy, opened by ``aiohttp-socks`` (the extra ``socks``).

A session has one such proxy, and resolves no names: the proxy does.
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp_socks import ProxyConnector, ProxyType
from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

from steer_llm_sdk.transport.base import SOCKSFailure

_USUAL_PORT = 1080


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
        async def _connect_via_proxy(self, *args: Any, **given: Any) -> Any:
            failure = ""
            made: Any = None
            try:
                made = await super()._connect_via_proxy(*args, **given)
            except (ProxyError, ProxyConnectionError, ProxyTimeoutError) as error:
                failure = type(error).__name__
            if failure == ProxyTimeoutError.__name__:
                raise TimeoutError
            if failure:
                raise SOCKSFailure(failure)
            transport, theirs = made
            protocol: Any = self._factory()
            protocol.kept_writer = theirs._writer  # noqa: SLF001 - collected, it would close
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            return transport, protocol

    return Through
