"""Which proxy the environment names for a URL: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

No standard says how NO_PROXY is spelled. Here it is read as curl and Go read it: names with and
without a leading dot, ports, addresses, networks (``10.0.0.0/8``), and ``*``.
"""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.request
from urllib.parse import SplitResult, urlsplit

from steer_llm_sdk.config import USUAL_PORTS, clean_proxy, is_loopback
from steer_llm_sdk.errors import ConfigurationError, ConnectError

# The spellings that are in use.
_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)


def proxy_of_environment(url: str) -> str | None:
    """The proxy that the environment names for `url`; none for this machine itself.

    Raises:
        ConnectError: What it names is no proxy.
    """
    # To go through the whole environment takes 0.1 ms, as long as all else before a request.
    if not any(name in os.environ for name in _VARIABLES):
        return None
    proxies = urllib.request.getproxies_environment()
    parts = urlsplit(url)
    scheme = parts.scheme if parts.scheme in proxies else "all"
    proxy = proxies.get(scheme)
    if proxy is None or is_loopback(parts.hostname or "") or _is_excepted(parts, proxies):
        return None
    failure = ""
    try:
        return clean_proxy(proxy, f"the variable {scheme.upper()}_PROXY")
    except ConfigurationError as error:
        failure = str(error)
    raise ConnectError(failure, is_retryable=False)


def _is_excepted(parts: SplitResult, proxies: dict[str, str]) -> bool:
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or USUAL_PORTS.get(parts.scheme)
    exceptions = re.split(r"[\s,]+", proxies.get("no", ""))
    return any(_excepts(each, host, port) for each in exceptions if each)


def _excepts(exception: str, host: str, port: int | None) -> bool:
    """Whether one word of NO_PROXY speaks of a host at a port."""
    if exception == "*":
        return True
    network = _network(exception)
    if network is not None:
        return _is_within(host, network)
    name, colon, its_port = exception.rpartition(":")
    if colon and its_port.isdecimal() and (":" not in name or name.startswith("[")):
        return int(its_port) == port and _excepts(name, host, port)
    name = exception.lower().removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> _Network | None:
    """An address, with or without the brackets of a URL, or a network."""
    try:
        return ipaddress.ip_network(re.sub(r"^\[(.*)\]$", r"\1", text), strict=False)
    except ValueError:
        return None


def _is_within(host: str, network: _Network) -> bool:
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False
