"""What is told of a request that got no response: which host, which proxy, what was found.

Nothing here quotes a URL or a header: they may hold a key or a password.
"""

from __future__ import annotations

import errno
import functools
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from steer_llm_sdk.config import SOCKS_SCHEMES, USUAL_PORTS
from steer_llm_sdk.errors import ConnectError, ConnectionLostError, RequestTimeoutError

_USUAL_SOCKS_PORT = 1080

# How the other side says, by an alert of TLS, that it wants another certificate of this one. (TLS
# 1.2 has no word of its own for one that is missing.)
_CERTIFICATE_ALERT = re.compile(
    r"ALERT_(?:CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE)\w*"
)


@dataclass(frozen=True, slots=True)
class Way:
    """The way that a request goes.

    Attributes:
        host: The server's name; the rest of its URL may hold a password or a key.
        proxy: The host of the proxy, "" without one.
        proxy_port: Its port.
        is_socks: Whether it is a SOCKS proxy.
        has_login: Whether a user and a password are shown to it.
    """

    host: str
    proxy: str = ""
    proxy_port: int = 0
    is_socks: bool = False
    has_login: bool = False

    @property
    def place(self) -> str:
        """The proxy, as an error names it."""
        host = f"[{self.proxy}]" if ":" in self.proxy else self.proxy
        return f"the {'SOCKS ' if self.is_socks else ''}proxy {host}:{self.proxy_port}"

    @property
    def through(self) -> str:
        """What follows the words "no connection to …"."""
        return f"{self.host} through {self.place}" if self.proxy else self.host

    def owner(self, host: object, port: object) -> str:
        """Whose address it is: the proxy's, or the server's."""
        is_proxy = (host, port) == (self.proxy, self.proxy_port)
        return f"{self.place} before {self.host}" if is_proxy else self.host


@functools.lru_cache(maxsize=256)
def way_of(url: str, proxy: str | None) -> Way:
    """The way to a URL, through a proxy or straight."""
    try:
        host = urlsplit(url).hostname or "the server"
    except ValueError:
        host = "the server"
    if proxy is None:
        return Way(host)
    parts = urlsplit(proxy)
    is_socks = parts.scheme in SOCKS_SCHEMES
    usual = _USUAL_SOCKS_PORT if is_socks else USUAL_PORTS.get(parts.scheme, 0)
    return Way(
        host, parts.hostname or "", parts.port or usual, is_socks, parts.username is not None
    )


def came_late(way: Way, seconds: float) -> RequestTimeoutError:
    """No connection in time."""
    return RequestTimeoutError(
        f"no connection to {way.through} within {seconds:g} s (connect_timeout)",
        limit="connect_timeout",
        seconds=seconds,
    )


def not_trusted(owner: str, error: BaseException | None) -> ConnectError:
    """A certificate that is not valid, or not for whom it was shown."""
    found = getattr(error, "verify_message", None) or "it was not trusted"
    hint = "; ProviderSettings(verify=…) says whom to trust" if "issuer" in found else ""
    return ConnectError(
        f"the certificate of {owner} is not valid: {found.rstrip('.')}{hint}", is_retryable=False
    )


def no_tls(owner: str, error: BaseException | None) -> ConnectError:
    """What is there speaks no TLS, or not ours, or wants a certificate."""
    if failure := certificate_wanted(owner, str(error)):
        return failure
    reason = getattr(error, "reason", None) or type(error).__name__
    return ConnectError(f"no TLS connection to {owner} ({reason}): is it https there?")


def no_tls_asked(owner: str) -> ConnectError:
    """A server that speaks TLS was asked without it."""
    return ConnectError(
        f"{owner} answered in TLS, and was asked without it: is it https there?", is_retryable=False
    )


def certificate_wanted(owner: str, said: str) -> ConnectError | None:
    """The other side refused this side's certificate, or missed one; None where it did not."""
    alert = _CERTIFICATE_ALERT.search(said)
    if alert is None:
        return None
    words = alert[0].removeprefix("ALERT_").replace("_", " ").lower()
    return ConnectError(
        f"{owner} refused the certificate of this side, or misses one ({words}): "
        "see ProviderSettings(client_cert=…)",
        is_retryable=False,
    )


def not_reached(owner: str, error: OSError) -> ConnectError:
    """Nobody is there, or no name."""
    if isinstance(error, ssl.SSLError):
        return no_tls(owner, error)
    reason = error.strerror or type(error).__name__
    is_refused = error.errno == errno.ECONNREFUSED or "Connect call failed" in reason
    question = "; is a server running there?" if is_refused else ""
    return ConnectError(f"no connection to {owner}: {reason}{question}")


def refused_by_proxy(way: Way, status: int, headers: Mapping[str, str]) -> ConnectError:
    """An HTTP proxy's own answer, in place of a tunnel or of the server's answer."""
    # https://wiki.squid-cache.org/Features/CustomErrors: which of its error pages it sends.
    said = headers.get("X-Squid-Error", "").partition(" ")[0]
    why = f" ({said})" if said else ""
    if status == 407 and way.has_login:
        why = ": it does not take the user and password of the proxy's URL"
    elif status == 407:
        why = ": it wants a user and password; the proxy's URL can hold them"
    return ConnectError(
        f"no connection to {way.host}: {way.place} refused it with status {status}{why}",
        is_retryable=status >= 500,
    )


def no_tunnel(way: Way, name: str) -> ConnectError:
    """The proxy went away while a connection was asked for."""
    return ConnectError(
        f"no connection to {way.host}: {way.place} closed the connection before there was a way "
        f"through it ({name}): is it a proxy of that kind?"
    )


def refused_by_socks(way: Way, reason: str, *, is_retryable: bool) -> ConnectError:
    """What a SOCKS proxy said."""
    return ConnectError(f"no connection to {way.through}: {reason}", is_retryable=is_retryable)


def no_answer(way: Way, name: str) -> ConnectionLostError:
    """The connection was closed before the answer came."""
    asked = f"; it was asked through {way.place}" if way.proxy else ""
    return ConnectionLostError(
        f"{way.host} closed the connection before it answered ({name}){asked}"
    )
