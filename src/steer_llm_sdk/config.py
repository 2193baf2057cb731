"""Where keys and endpoints come from: arguments first, then the environment."""

from __future__ import annotations

import base64
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from steer_llm_sdk.errors import ConfigurationError

_LOOPBACK = re.compile(r"localhost|.+\.localhost|127(\.\d+){3}|0\.0\.0\.0|::1?")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProviderSettings:
    """How one provider is reached. Keys, passwords and proxies are not part of the repr.

    Attributes:
        api_key: The key; else the provider's environment variable is read.
        base_url: The endpoint; else the provider's environment variable, else its own.
        kind: The provider whose ways it has: adds a provider under a new name
            (``providers={"mine": ProviderSettings(kind="vllm", base_url=…)}``).
        headers: Headers for every request.
        proxy: The URL of an HTTP proxy.
        verify: Whether the server's certificate is verified. Only turn it off for a test.
        model_path: The ``.gguf`` file of the embedded model.
    """

    api_key: str | None = None
    base_url: str | None = None
    kind: str | None = None
    headers: Mapping[str, str] | None = None
    proxy: str | None = None
    verify: bool = True
    model_path: str | None = None

    def __repr__(self) -> str:
        shown = {
            "base_url": self.base_url and shown_url(self.base_url),
            "kind": self.kind,
            "verify": self.verify,
            "model_path": self.model_path,
        }
        fields = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({fields})"


def first_set(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The value of the first variable that is set to something."""
    values = (environment.get(name, "").strip() for name in names)
    return next((value for value in values if value), None)


def clean_base_url(base_url: str, provider: str, default: str | None = None) -> str:
    """A base URL without its trailing slash, checked.

    A host without a scheme (``127.0.0.1:11434``, as ``OLLAMA_HOST`` is often written) gets
    ``http://``, and the port of the `default` address where it has none. A user and password in
    the URL, and plain http to a host other than this machine, are warned of.

    Raises:
        ConfigurationError: It is no http or https URL.
    """
    url = base_url.strip().rstrip("/")
    if "://" not in url:
        url = _with_port(f"http://{url}", default)
    parts = _split(url)
    host = parts.hostname if parts is not None else None
    if parts is None or not host or parts.scheme not in {"http", "https"}:
        raise ConfigurationError(
            f"{provider}: expected base_url to be an http or https URL, found {shown_url(url)!r}"
        )
    if parts.username or parts.password:
        warnings.warn(
            f"{provider}: the base URL holds a user or password; pass a key or headers instead",
            stacklevel=2,
        )
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        warnings.warn(
            f"{provider}: plain http to {host}: the key and the messages can be read on the way",
            stacklevel=2,
        )
    return url


def shown_url(url: str) -> str:
    """A URL as it may be shown: without a user, a password and a query."""
    return re.sub(r"//[^/]*@", "//", url).partition("?")[0]


def split_credentials(url: str) -> tuple[str, str | None]:
    """A URL without its user and password, and these as an ``Authorization`` header.

    https://www.rfc-editor.org/rfc/rfc7617. So they are in no URL that is shown or logged.
    """
    parts = urlsplit(url)
    if not parts.username and not parts.password:
        return url, None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return bare.geturl(), f"Basic {credentials}"


def _with_port(url: str, default: str | None) -> str:
    parts, usual = _split(url), _split(default or "")
    if parts is None or usual is None or parts.port is not None or usual.port is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{usual.port}"))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises, when it is no number
    except ValueError:
        return None
    return parts


def check_key(key: str, provider: str) -> str:
    """A key without the white space around it.

    Raises:
        ConfigurationError: It holds what no header may hold. The key itself is not shown.
    """
    stripped = key.strip()
    if not stripped.isascii() or not stripped.isprintable() or not stripped:
        raise ConfigurationError(
            f"{provider}: the API key is empty or has characters that no header may hold"
        )
    return stripped
