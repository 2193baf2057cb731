"""Errors that a provider can report, before a format spells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

ErrorKind: TypeAlias = Literal[
    "authentication",
    "permission",
    "not_found",
    "invalid_request",
    "context_length",
    "rate_limit",
    "quota",
    "overloaded",
    "server",
    "content_filter",
]

STATUS_OF: Mapping[ErrorKind, int] = {
    "authentication": 401,
    "permission": 403,
    "not_found": 404,
    "invalid_request": 400,
    "context_length": 400,
    "rate_limit": 429,
    "quota": 429,
    "overloaded": 503,
    "server": 500,
    "content_filter": 400,
}

KIND_OF: Mapping[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "quota",
    403: "permission",
    404: "not_found",
    413: "invalid_request",
    422: "invalid_request",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}

MESSAGE_OF: Mapping[ErrorKind, str] = {
    "authentication": "Incorrect API key provided.",
    "permission": "This key may not use this model.",
    "not_found": "The model does not exist.",
    "invalid_request": "The request is not valid.",
    "context_length": "This model's maximum context length is 8192 tokens.",
    "rate_limit": "Rate limit reached, please slow down.",
    "quota": "You exceeded your current quota, please check your plan and billing details.",
    "overloaded": "The model is currently overloaded, please try again later.",
    "server": "The server had an error while processing the request.",
    "content_filter": "The prompt was blocked by the content filter.",
}


@dataclass(frozen=True, slots=True)
class Report:
    """An error to be written: its kind, its status, and its message."""

    kind: ErrorKind
    status: int
    message: str


def check_kind(kind: ErrorKind | None) -> None:
    """Refuse a kind of error that no provider reports.

    Raises:
        TypeError: It is none of `ErrorKind`.
    """
    if kind is not None and kind not in STATUS_OF:
        raise TypeError(f"kind: expected one of {', '.join(STATUS_OF)}; found {kind!r}")


def make_report(
    kind: ErrorKind | None = None, status: int | None = None, message: str | None = None
) -> Report:
    """Fill in what is not given: the kind from the status, the status and words from the kind."""
    if kind is None:
        kind = "server" if status is None else KIND_OF.get(status, _kind_of_range(status))
    return Report(kind, status or STATUS_OF[kind], message or MESSAGE_OF[kind])


def _kind_of_range(status: int) -> ErrorKind:
    return "server" if status >= 500 else "invalid_request"
