"""Where keys and endpoints come from: arguments first, then the environment."""

from __future__ import annotations

import base64
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from steer_llm_sdk.checks import (
    PATH,
    POSITIVE,
    SECRET,
    TEXT,
    Kind,
    check_values,
    did_you_mean,
    with_advice,
)
from steer_llm_sdk.errors import ConfigurationError

_LOOPBACK = re.compile(r"localhost|.+\.localhost|127(\.\d+){3}|0\.0\.0\.0|::1?")


# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2: what the name of a header is made of.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What would end a header, or the whole request, before its time.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The body's length is the transport's to say: another would cut the body or let it wait for ever.
_HEADERS_OF_TRANSPORT = frozenset({"content-length", "transfer-encoding"})

# An IPv6 address without brackets: nothing else has two colons.
_IPV6 = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")

# What stands around a key in a shell or a file, and before it in a header.
_QUOTED = re.compile(r"""(["']).*\1""")
_SCHEMED = re.compile(r"bearer\s", re.IGNORECASE)

# A URL in which a slash or the colon is missing, or the host.
_HALF_SCHEME = re.compile(r"https?(?::/|//|:?$)", re.IGNORECASE)

USUAL_PORTS = {"http": 80, "https": 443}
SOCKS_SCHEMES = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_PROXY_SCHEMES = frozenset({"http", "https"}) | SOCKS_SCHEMES


def _is_verify(value: object) -> bool:
    if isinstance(value, bool) or PATH.accepts(value):
        return True
    # A context can only be there where its module has been loaded.
    module = sys.modules.get("ssl")
    return module is not None and isinstance(value, module.SSLContext)


def _is_client_cert(value: object) -> bool:
    if PATH.accepts(value):
        return True
    if not isinstance(value, tuple | list) or not 1 <= len(value) <= 3:
        return False
    files, rest = value[:2], value[2:]  # a password is the rest
    return all(map(PATH.accepts, files)) and all(isinstance(each, str | PathLike) for each in rest)


# A key, or what gives one.
KEY = Kind(
    "a str, or a function that gives one",
    lambda value: isinstance(value, str) or (callable(value) and not isinstance(value, type)),
    hides_value=True,
)

_KINDS: Mapping[str, Kind] = {
    "api_key": KEY.or_none(),
    "base_url": TEXT.or_none(),
    "kind": TEXT.or_none(),
    "proxy": SECRET.or_none(),
    "max_streams": POSITIVE.or_none(),
    "requests_per_minute": POSITIVE.or_none(),
    "tokens_per_minute": POSITIVE.or_none(),
    "verify": Kind("True, False, a path or an ssl.SSLContext", _is_verify),
    "client_cert": Kind(
        "a path, or (certificate, key) as paths", _is_client_cert, hides_value=True
    ).or_none(),
    "model_path": PATH.or_none(),
}

_LIMITS = ("max_streams", "requests_per_minute", "tokens_per_minute")

# What a setting is called here and elsewhere.
SETTINGS: Mapping[str, str] = {
    "api_base": "base_url",
    "api_key": "api_key",
    "apikey": "api_key",
    "base_url": "base_url",
    "ca_bundle": "verify",
    "cert": "client_cert",
    "client_cert": "client_cert",
    "default_headers": "headers",
    "endpoint": "base_url",
    "extra_headers": "headers",
    "headers": "headers",
    "host": "base_url",
    "key": "api_key",
    "kind": "kind",
    "max_streams": "max_streams",
    "model_path": "model_path",
    "requests_per_minute": "requests_per_minute",
    "rpm": "requests_per_minute",
    "tokens_per_minute": "tokens_per_minute",
    "tpm": "tokens_per_minute",
    "proxies": "proxy",
    "proxy": "proxy",
    "ssl": "verify",
    "ssl_verify": "verify",
    "token": "api_key",
    "url": "base_url",
    "verify": "verify",
    "verify_ssl": "verify",
}

# What other libraries take as a setting, and how it is said here.
TOLD_OTHERWISE: Mapping[str, str] = {
    "api_version": "a version stands in the query: base_url='https://…?api-version=…'",
    "location": "the environment has it (GOOGLE_CLOUD_LOCATION), or the path of the base_url",
    "organization": "it is a header: headers={'OpenAI-Organization': …}",
    "region": "the environment has it (AWS_REGION), or the host of the base_url",
}


def _place_of(name: str) -> str | None:
    if name in SETTINGS:
        return did_you_mean(SETTINGS[name])
    if name in TOLD_OTHERWISE:
        return TOLD_OTHERWISE[name]
    if name in {"timeout", "max_retries"}:
        return "limits and retries are options of a call: StreamingOptions(…)"
    return None


@with_advice(_place_of)
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProviderSettings:
    """How one provider is reached. Keys, passwords and proxies are not part of the repr.

    What it holds is checked by the first call that uses it, before anything is sent.

    Attributes:
        api_key: The key; else the provider's environment variable is read. Or a function that gives
            it, plain (run in a thread) or async, for tokens that expire: it is asked before each
            request, and once more after a 401.
        base_url: The endpoint; else the provider's environment variable, else its own.
        kind: The provider whose ways it has: adds a provider under a new name
            (``providers={"mine": ProviderSettings(kind="vllm", base_url=…)}``).
        headers: Headers for every request.
        proxy: The URL of an HTTP proxy, or of a SOCKS one (``socks5://…``, the extra ``socks``).
        verify: Whether the server's certificate is verified (only turn it off for a test); or the
            file or folder of the certificates to trust, or an `ssl.SSLContext`.
        client_cert: The file of this side's certificate with its key; or the two files, and the
            key's password as a third.
        model_path: The ``.gguf`` file of the embedded model.
        max_streams: How many streams may run there at once; others wait for their turn.
        requests_per_minute: How many requests may be sent there in any minute.
        tokens_per_minute: How many tokens they may be, prompts (as estimated) and answers.
    """

    api_key: str | Callable[[], Any] | None = None
    base_url: str | None = None
    kind: str | None = None
    headers: Mapping[str, str] | None = None
    proxy: str | None = None
    verify: Any = True
    client_cert: Any = None
    model_path: str | None = None
    max_streams: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __repr__(self) -> str:
        shown = {
            "base_url": self.base_url and shown_url(str(self.base_url)),
            "kind": self.kind,
            "verify": self.verify,
            "client_cert": None if self.client_cert is None else "…",
            "model_path": self.model_path,
            **{name: getattr(self, name) for name in _LIMITS if getattr(self, name) is not None},
        }
        fields = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({fields})"


def check_settings(settings: ProviderSettings, provider: str) -> None:
    """Check what does not depend on the environment.

    Raises:
        ConfigurationError: A setting is not what it has to be; no secret is shown.
    """
    check_values(_KINDS, settings, f"{provider}: ")
    check_headers(f"{provider}: headers", settings.headers)


def check_headers(where: str, headers: object) -> None:
    """Check headers: names and values that HTTP can carry. Values are never shown.

    Raises:
        ConfigurationError: They are no mapping, or one of them cannot be sent.
    """
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            f"{where}: expected a mapping of names to values, found {type(headers).__name__}"
        )
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{where}: expected the name of a header, found {name!r:.80}")
        if name.lower() in _HEADERS_OF_TRANSPORT:
            raise ConfigurationError(
                f"{where}: {name!r} is said by the library itself: leave it out"
            )
        if not isinstance(value, str):
            raise ConfigurationError(
                f"{where}: expected the value of {name!r} to be a str, "
                f"found {type(value).__name__}{_HEADER_HINTS.get(type(value), '')}"
            )
        if _CONTROL.search(value):
            raise ConfigurationError(
                f"{where}: the value of {name!r} has a line break or another control character"
            )


def plain_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers that were checked, as plain texts: a member of an enum has other words for people."""
    given = (headers or {}).items()
    return {str.__str__(name): str.__str__(value) for name, value in given}


_HEADER_HINTS: Mapping[type, str] = {
    bool: ": write what the server expects, such as 'true'",
    bytes: ": decode it first",
    float: ": write str(…)",
    int: ": write str(…)",
    type(None): ": leave the header out, or give it a value",
}


def clean_proxy(proxy: str, provider: str) -> str:
    """A proxy's URL, checked; one without a scheme gets ``http://``.

    ``socks://`` is SOCKS 5: so GNOME and Chromium write it, also into ``ALL_PROXY``.

    Raises:
        ConfigurationError: It is no URL of a proxy. Its user and password are not shown.
    """
    url = proxy.strip()
    url = url if "://" in url else f"http://{url}"
    url = re.sub("^socks://", "socks5h://", url, flags=re.IGNORECASE)
    parts = _split(url)
    if parts is None or not parts.hostname or parts.scheme not in _PROXY_SCHEMES:
        raise ConfigurationError(
            f"{provider}: expected proxy to be a URL such as 'http://proxy.example:3128', found "
            "another text, which is not shown, since it may hold a password"
        )
    if parts.scheme in SOCKS_SCHEMES and find_spec("aiohttp_socks") is None:
        raise ConfigurationError(
            f"{provider}: a {parts.scheme} proxy needs the extra 'socks' "
            '(pip install "steer-llm-sdk[socks]")'
        )
    if parts.scheme in SOCKS_SCHEMES and not _is_socks_login(parts):
        raise ConfigurationError(
            f"{provider}: expected the user and password of a {parts.scheme} proxy to be both "
            "there, in ASCII and of at most 255 characters each; found others, which are not shown"
        )
    return url


def _is_socks_login(parts: SplitResult) -> bool:
    """Whether SOCKS can carry it: https://www.rfc-editor.org/rfc/rfc1929#section-2."""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    is_whole = bool(user) == bool(password) or parts.scheme.startswith("socks4")
    return is_whole and all(each.isascii() and len(each) <= 255 for each in (user, password))


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    return _LOOPBACK.fullmatch(host) is not None


def first_set(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The value of the first variable that is set to something."""
    values = (environment.get(name, "").strip() for name in names)
    return next((value for value in values if value), None)


def clean_base_url(
    base_url: str, provider: str, default: str | None = None, said_by: str = "base_url"
) -> str:
    """A base URL without its trailing slash, checked.

    A host without a scheme (``127.0.0.1:11434``, as ``OLLAMA_HOST`` is often written) gets
    ``http://``, and the port of the `default` address where it has none; a port alone
    (``:11435``) is one of this machine. A user and password in
    the URL, and plain http to a host other than this machine, are warned of.

    Raises:
        ConfigurationError: It is no http or https URL; says by whom it was said.
    """
    url = base_url.strip().rstrip("/")
    if "://" not in url and not _HALF_SCHEME.match(url):
        url = _with_port(f"http://{_whole_host(url)}", default)
    parts = _split(url)
    host = parts.hostname if parts is not None else None
    if parts is None or not host or parts.scheme not in {"http", "https"}:
        raise ConfigurationError(
            f"{provider}: expected {said_by} to be an http or https URL, found {shown_url(url)!r}"
        )
    if parts.username or parts.password:
        warnings.warn(
            f"{provider}: the base URL holds a user or password; pass a key or headers instead",
            stacklevel=2,
        )
    if parts.scheme == "http" and not is_loopback(host):
        warnings.warn(
            f"{provider}: plain http to {host}: the key and the messages can be read on the way",
            stacklevel=2,
        )
    return url


def shown_url(url: str) -> str:
    """A URL as it may be shown: without a user, a password and a query.

    What is no URL may have any character in its password, so all before the last ``@`` goes.
    """
    return re.sub(r"//.*@", "//", url.partition("?")[0], flags=re.DOTALL)


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


def _whole_host(place: str) -> str:
    """A host as a URL wants it: an IPv6 address in brackets, and one before a port alone."""
    if re.match(r":\d", place):
        return f"127.0.0.1{place}"
    return f"[{place}]" if _IPV6.fullmatch(place) else place


def _with_port(url: str, default: str | None) -> str:
    parts, usual = _split(url), _split(default or "")
    if parts is None or usual is None or parts.port is not None or usual.port is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{usual.port}"))


def _split(url: str) -> SplitResult | None:
    if not url.isprintable() or " " in url:  # urlsplit would take line breaks out in silence
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises, when it is no number
    except ValueError:
        return None
    return parts


def check_key(key: str, provider: str) -> str:
    """A key without the white space around it.

    Raises:
        ConfigurationError: It holds what no header may hold, or what belongs to the place where it
            was written down. The key itself is not shown.
    """
    stripped = key.strip()
    if not stripped.isascii() or not stripped.isprintable() or not stripped:
        raise ConfigurationError(
            f"{provider}: the API key is empty or has characters that no header may hold"
        )
    if _QUOTED.fullmatch(stripped):  # as of a file that nothing has parsed, or a form
        raise ConfigurationError(f"{provider}: the API key has quotation marks around it")
    if _SCHEMED.match(stripped):
        raise ConfigurationError(
            f"{provider}: the API key begins with 'Bearer': pass what stands behind that"
        )
    return stripped
