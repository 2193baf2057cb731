"""Responses whose status says that the request failed, or that it has to go elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from steer_llm_sdk.testing.plan import Ending, Exchange, Piece, Plan
from steer_llm_sdk.testing.reports import ErrorKind, check_kind, make_report

_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


@dataclass(frozen=True, slots=True)
class HTTPError:
    """A response whose status says that the request failed.

    Attributes:
        status: The status.
        kind: Which error the body names; None: the one the status suggests.
        message: Its words; None: some that fit.
        headers: Further headers, such as ``{"retry-after": "2"}`` (seconds or a date) or
            ``{"retry-after-ms": "150"}``.
        body: ``"json"`` in the provider's spelling, an ``"html"`` page as proxies send it,
            ``"empty"``, or these bytes.
    """

    status: int = 500
    kind: ErrorKind | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Literal["json", "html", "empty"] | bytes = "json"

    def __post_init__(self) -> None:
        if not isinstance(self.status, int):
            raise TypeError(f"status: expected a whole number, found {self.status!r}")
        check_kind(self.kind)
        if not isinstance(self.body, bytes) and self.body not in ("json", "html", "empty"):
            raise TypeError(f"body: expected 'json', 'html', 'empty' or bytes, found {self.body!r}")

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Replace the answer by the error."""
        content_type, data = self._content(exchange)
        headers = {"content-type": content_type} if content_type else {}
        return replace(
            plan,
            status=self.status,
            headers=headers | dict(self.headers),
            pieces=(Piece(data),) if data else (),
            torn=None,
            is_chunked=plan.is_compressed or plan.ending is not Ending.WHOLE,
        )

    def _content(self, exchange: Exchange) -> tuple[str, bytes]:
        if isinstance(self.body, bytes):
            return "application/octet-stream", self.body
        if self.body == "empty":
            return "", b""
        report = make_report(self.kind, self.status, self.message)
        if self.body == "html":
            page = _HTML.format(f"{self.status} {report.message}")
            return "text/html; charset=utf-8", page.encode()
        return "application/json", json.dumps(exchange.spelling.error_body(report)).encode()


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect, to another origin: a client that follows it takes its key there."""

    location: str
    status: int = 307

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Replace the answer by the redirect."""
        error = HTTPError(self.status, headers={"location": self.location}, body="empty")
        return error.apply(plan, exchange)


@dataclass(frozen=True, slots=True)
class ProxyAuthRequired:
    """A proxy that wants a password (407)."""

    realm: str = "proxy"

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Replace the answer by the proxy's page."""
        wanted = {"proxy-authenticate": f'Basic realm="{self.realm}"'}
        message = "Proxy Authentication Required"
        return HTTPError(407, message=message, headers=wanted, body="html").apply(plan, exchange)


@dataclass(frozen=True, slots=True)
class UsageRefused:
    """A server that does not know ``stream_options``: 400 where the request has it."""

    message: str = "Unrecognized request argument supplied: stream_options"

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Replace the answer by the refusal where the request asks for usage."""
        asked = exchange.request.json
        if not isinstance(asked, Mapping) or "stream_options" not in asked:
            return plan
        return HTTPError(400, message=self.message).apply(plan, exchange)
