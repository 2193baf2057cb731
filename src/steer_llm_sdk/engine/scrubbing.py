"""What must be in no message: the key, the passwords, and every spelling in which they come back.

Providers and proxies quote a wrong key in their answers ("Incorrect API key provided: …"). Shapes
of keys are known to `steer_llm_sdk.providers.failures`; here the very values that went out with a
request are looked for.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from steer_llm_sdk.errors import ProviderError, SteerError
from steer_llm_sdk.models.requests import HTTPRequest

_HIDDEN = "[key]"

# Headers whose values are secrets, by their names.
SECRET_HEADERS = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)

# A shorter value is no key, and may well be a word of the message ("test", "ollama").
_LEAST_CHARS = 8


class Secrets:
    """The secrets of one request; they are only spelled out when a text has to be looked through.

    Args:
        request: What was sent.
        keys: Keys that went out earlier.
    """

    __slots__ = ("_headers", "_keys", "_urls")

    def __init__(self, request: HTTPRequest, keys: Iterable[str] = ()) -> None:
        self._headers = request.headers
        self._keys = keys
        self._urls = (request.url, request.proxy or "")

    def conceal(self, text: str) -> str:
        """The text without any of them, and without the beginning of one where it was cut."""
        for secret in sorted(set(self.spellings()), key=len, reverse=True):
            text = _without_cut(text.replace(secret, _HIDDEN), secret)
        return text

    def conceal_in(self, error: SteerError) -> None:
        """Take them out of an error's message, and of what a provider's error quotes."""
        error.args = tuple(self.conceal(a) if isinstance(a, str) else a for a in error.args)
        if error.quote:
            error.quote = self.conceal(error.quote)
        if isinstance(error, ProviderError):
            for name in ("code", "request_id", "body"):
                value = getattr(error, name)
                if isinstance(value, str):
                    setattr(error, name, self.conceal(value))

    def spellings(self) -> Iterator[str]:
        """Every spelling of every secret."""
        for value in self._values():
            quoted = (quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1])
            for spelling in (value, *quoted):
                if len(spelling) >= _LEAST_CHARS:
                    yield spelling

    def _values(self) -> Iterator[str]:
        yield from self._keys
        for name, value in self._headers.items():
            if SECRET_HEADERS.search(name):
                yield value
                yield from value.split()[1:]  # what stands behind "Bearer"
        for url in self._urls:
            parts = urlsplit(url)
            yield from (value for name, value in parse_qsl(parts.query) if "key" in name.lower())
            if parts.password:
                user, password = unquote(parts.username or ""), unquote(parts.password)
                yield password
                yield base64.b64encode(f"{user}:{password}".encode()).decode()


def _without_cut(text: str, secret: str) -> str:
    """The text without a beginning of the secret that stands where the text was shortened."""
    for length in range(len(secret) - 1, _LEAST_CHARS - 1, -1):
        beginning = secret[:length]
        text = text.replace(f"{beginning}…", f"{_HIDDEN}…")
        if text.endswith(beginning):
            text = text.removesuffix(beginning) + _HIDDEN
    return text
