"""The format of recordings: JSON lines, one thing that happened each.

::

    {"type": "recording", "version": 1, "recorded_at": 1795618901.8}
    {"type": "request", "exchange": 0, "at": 0.0, "method": …, "url": …, "headers": …, "body": …}
    {"type": "response", "exchange": 0, "at": 0.31, "status": 200, "headers": …}
    {"type": "chunk", "exchange": 0, "at": 0.32, "data": …}
    {"type": "end", "exchange": 0, "at": 1.7}

``at`` is in seconds since the first line. Requests are numbered (one may be sent again, and several
at once), and an exchange ends in ``end`` (the body ended cleanly), ``error`` (it broke; its
``error`` is what `SteerError.to_dict` gives) or ``left`` (the consumer went). Bytes that are no
UTF-8 by themselves are ``{"base64": "…"}``. Of headers only those are written that `HEADERS` names:
none of them can hold a key. docs/recordings.md has the format for other readers.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from steer_llm_sdk.errors import ProtocolError, SteerError

VERSION = 1
ENCODING = "utf-8-sig"  # some editors begin a file with a mark

# What a decoder, a retry or a reader may want to know, and what is nobody's secret.
HEADERS = frozenset({
    "accept", "anthropic-version", "cf-ray", "content-type", "date", "openai-processing-ms",
    "openai-version", "request-id", "retry-after", "retry-after-ms", "x-amzn-requestid",
    "x-request-id", "x-should-retry",
})  # fmt: skip
_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a body, and when they came."""

    at: float
    data: bytes


@dataclass(slots=True)
class Exchange:
    """One request, and what came of it. Times are in seconds since the recording began.

    Attributes:
        at: When the request was sent.
        method: Its method.
        url: Its URL, without a user, a password and a query.
        request_headers: Those that are written.
        body: What was sent; None where it was left out.
        head_at: When the response's head came; None where it did not.
        status: The HTTP status.
        headers: Those of the response that are written.
        chunks: The body, as it came.
        end_at: When the exchange ended.
        error: How it broke; None where it ended well, or was left.
        was_left: Whether the consumer went before the end.
    """

    at: float
    method: str
    url: str
    request_headers: Mapping[str, str]
    body: bytes | None
    head_at: float | None = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: list[Chunk] = field(default_factory=list)
    end_at: float | None = None
    error: SteerError | None = None
    was_left: bool = False


def named_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be written, by their names in lower case."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {
        name: value
        for name, value in lower.items()
        if name in HEADERS or name.startswith(_PREFIXES)
    }


def bare_url(url: str) -> str:
    """A URL without a user, a password and a query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def line(kind: str, **values: Any) -> str:
    """One line of a recording, with its end."""
    return json.dumps({"type": kind, **values}, separators=(",", ":")) + "\n"


def write_bytes(data: bytes) -> str | dict[str, str]:
    """Bytes as a line holds them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode("ascii")}


def read_exchanges(lines: Iterable[str]) -> list[Exchange]:
    """Read a recording.

    A last line that was cut, as by a process that was killed, is passed over; so are blank lines,
    and those of a kind that is not known.

    Raises:
        ProtocolError: It is no recording, or one of a newer version.
    """
    exchanges: list[Exchange] = []
    has_begun = False
    for number, text in enumerate(lines, 1):
        if text.isspace():
            continue
        read = _read_line(text, number)
        if read is None:
            break
        if not has_begun:
            _check_head(read)
            has_begun = True
            continue
        _take(read, exchanges, number)
    if not has_begun:
        raise ProtocolError("a recording has a first line; found none")
    return exchanges


def _read_line(text: str, number: int) -> dict[str, Any] | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        if not text.endswith("\n"):
            return None
        raise ProtocolError(f"line {number} of a recording is not JSON") from None
    if not isinstance(read, dict):
        raise ProtocolError(f"line {number} of a recording is no object")
    return read


def _check_head(head: Mapping[str, Any]) -> None:
    if head.get("type") != "recording":
        raise ProtocolError('a recording begins with {"type": "recording"}; found another line')
    version = head.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ProtocolError(
            f"a recording of version {version!r}; this library reads those up to {VERSION}"
        )


def _take(read: Mapping[str, Any], exchanges: list[Exchange], number: int) -> None:
    kind = read.get("type")
    try:
        if kind == "request":
            exchanges.append(_read_request(read))
        elif kind in _TAKE:
            _TAKE[kind](exchanges[read["exchange"]], read)
    except (KeyError, IndexError, TypeError, ValueError):
        raise ProtocolError(f"line {number} of a recording lacks what a {kind!r} has") from None


def _read_request(read: Mapping[str, Any]) -> Exchange:
    body = read.get("body")
    return Exchange(
        at=float(read["at"]),
        method=str(read["method"]),
        url=str(read["url"]),
        request_headers=dict(read.get("headers", {})),
        body=None if body is None else _read_bytes(body),
    )


def _take_response(exchange: Exchange, read: Mapping[str, Any]) -> None:
    exchange.head_at = float(read["at"])
    exchange.status = int(read["status"])
    exchange.headers = dict(read.get("headers", {}))


def _take_chunk(exchange: Exchange, read: Mapping[str, Any]) -> None:
    exchange.chunks.append(Chunk(float(read["at"]), _read_bytes(read["data"])))


def _take_end(exchange: Exchange, read: Mapping[str, Any]) -> None:
    exchange.end_at = float(read["at"])


def _take_error(exchange: Exchange, read: Mapping[str, Any]) -> None:
    exchange.end_at = float(read["at"])
    exchange.error = SteerError.from_dict(read["error"])


def _take_left(exchange: Exchange, read: Mapping[str, Any]) -> None:
    exchange.end_at = float(read["at"])
    exchange.was_left = True


_TAKE = {
    "response": _take_response,
    "chunk": _take_chunk,
    "end": _take_end,
    "error": _take_error,
    "left": _take_left,
}


def _read_bytes(data: Any) -> bytes:
    return data.encode() if isinstance(data, str) else b64decode(data["base64"])


class Mask:
    """Hides secrets in a body of which only pieces are seen, however they were cut.

    What is hidden keeps its length. The end of what has come is held back, as long as a secret may
    have begun in it.

    Args:
        secrets: What is hidden, in every spelling.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        spelled = {secret.encode() for secret in secrets}
        self._secrets = sorted(spelled, key=len, reverse=True)
        self._held: list[Chunk] = []

    def feed(self, chunk: Chunk) -> list[Chunk]:
        """Take a chunk: gives those that are known to hold no secret any more."""
        self._held.append(chunk)
        self._hide()
        longest = len(self._secrets[0]) if self._secrets else 1
        behind, ready = sum(len(each.data) for each in self._held), 0
        for each in self._held:
            behind -= len(each.data)
            if behind < longest - 1:
                break
            ready += 1
        given, self._held = self._held[:ready], self._held[ready:]
        return given

    def finish(self) -> list[Chunk]:
        """Give what was held back: nothing more comes."""
        given, self._held = self._held, []
        return given

    def _hide(self) -> None:
        whole = b"".join(each.data for each in self._held)
        hidden = whole
        for secret in self._secrets:
            hidden = hidden.replace(secret, b"*" * len(secret))
        if hidden == whole:
            return
        at, masked = 0, []
        for each in self._held:
            masked.append(Chunk(each.at, hidden[at : at + len(each.data)]))
            at += len(each.data)
        self._held = masked
