"""What can go wrong with an answer. Faults compose: each changes the plan that the last one left.

``after`` says where: ``"request"`` (the request has been read, the status line not sent),
``"headers"``, or a number of deltas (0: after whatever the format sends before the first).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.testing.plan import Ending, Exchange, Piece, Plan, Point, Reuse
from steer_llm_sdk.testing.reports import ErrorKind, make_report

_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_BLOCK = 64 * 1024


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

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:
        """The answer is replaced by the error."""
        content_type, data = self._content(exchange)
        headers = {"content-type": content_type} if content_type else {}
        return replace(
            plan,
            status=self.status,
            headers=headers | dict(self.headers),
            pieces=(Piece(data),) if data else (),
            is_chunked=False,
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
class ErrorInStream:
    """The provider reports an error inside the stream, in its own spelling, and ends the body."""

    after: int = 0
    kind: ErrorKind = "overloaded"
    message: str | None = None

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:
        """The answer up to the point, then the error."""
        report = make_report(self.kind, None, self.message)
        error = exchange.spelling.error_in_stream(report)
        return plan.cut(self.after, Ending.WHOLE).then(*error)


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (RST).

    Attributes:
        after: Where.
        mid_chunk: Whether a chunk has begun that is then not finished.
        is_abrupt: Whether it follows the last bytes so closely that the client may see both at
            once; else the client first gets a chance to read.
    """

    after: Point = "request"
    mid_chunk: bool = False
    is_abrupt: bool = False

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The answer up to the point."""
        return plan.cut(
            self.after, Ending.RESET, mid_chunk=self.mid_chunk, is_abrupt=self.is_abrupt
        )


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is closed (FIN) before the body's end.

    Attributes:
        after: Where.
        mid_chunk: Whether a chunk has begun that is then not finished.
        is_abrupt: Whether it follows the last bytes so closely that the client may see both at
            once; else the client first gets a chance to read.
    """

    after: Point = "request"
    mid_chunk: bool = False
    is_abrupt: bool = False

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The answer up to the point."""
        return plan.cut(
            self.after, Ending.CLOSE, mid_chunk=self.mid_chunk, is_abrupt=self.is_abrupt
        )


@dataclass(frozen=True, slots=True)
class EndEarly:
    """The body ends as HTTP wants it, but without the provider's terminal marker."""

    after: Literal["headers"] | int = 0

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The answer up to the point."""
        return plan.cut(self.after, Ending.WHOLE)


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more is said, and the connection stays open until the client or server closes it."""

    after: Point = "request"
    mid_chunk: bool = False

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The answer up to the point."""
        return plan.cut(self.after, Ending.STALL, mid_chunk=self.mid_chunk)


@dataclass(frozen=True, slots=True)
class KeepAlives:
    """Bytes that keep the connection alive, and nothing else.

    Attributes:
        after: Where they begin.
        interval: Seconds between them.
        count: How many are sent before the answer goes on; None: they never end.
    """

    after: Literal["headers"] | int = 0
    interval: float = 0.01
    count: int | None = None

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:
        """The answer with keep-alives in it, or up to them."""
        signs = Piece(exchange.spelling.keep_alive, wait=self.interval, repeat=self.count)
        if self.count is None:
            return plan.cut(self.after, Ending.STALL).then(signs)
        at = plan.position(self.after)
        return replace(plan, pieces=(*plan.pieces[:at], signs, *plan.pieces[at:]))


@dataclass(frozen=True, slots=True)
class Delay:
    """A pause of `seconds` at a point."""

    seconds: float
    after: Point = "request"

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The same answer, later."""
        at = plan.position(self.after)
        if self.after == "request" or at >= len(plan.pieces):
            return replace(plan, head_wait=plan.head_wait + self.seconds)
        late = replace(plan.pieces[at], wait=plan.pieces[at].wait + self.seconds)
        return replace(plan, pieces=(*plan.pieces[:at], late, *plan.pieces[at + 1 :]))


@dataclass(frozen=True, slots=True)
class Pace:
    """A pause of `interval` seconds before each delta."""

    interval: float

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The same answer, slower."""
        paced = (replace(p, wait=self.interval) if p.is_delta else p for p in plan.pieces)
        return replace(plan, pieces=tuple(paced))


@dataclass(frozen=True, slots=True)
class Drip:
    """At most `size` bytes are written at once, headers and framing included.

    Attributes:
        size: The most bytes of one write.
        interval: Seconds between writes; 0 only lets the other side run in between.
    """

    size: int = 1
    interval: float = 0.0

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The same bytes, in small writes."""
        return replace(plan, drip=self.size, drip_wait=self.interval)


@dataclass(frozen=True, slots=True)
class CutAt:
    """The body is cut into chunks at these offsets, whatever stands there."""

    offsets: tuple[int, ...]

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The same bytes, in other chunks."""
        return replace(plan, cuts=tuple(sorted(set(self.offsets))))


@dataclass(frozen=True, slots=True)
class GarbageStatus:
    """Bytes in place of the status line and the headers; then the connection is closed."""

    line: bytes = b"\x16\x03\x01 garbage, not HTTP\r\n\r\n"

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The garbage alone."""
        return replace(plan, head=self.line, pieces=(), torn=None, ending=Ending.CLOSE)


@dataclass(frozen=True, slots=True)
class GarbageBody:
    """Bytes that are not the provider's format; then the body ends as HTTP wants it."""

    data: bytes = b"\x00\xff\xfe garbage {]\n\ndata: {not json\n\n"
    after: Literal["headers"] | int = 0

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The answer up to the point, then the garbage."""
        return plan.cut(self.after, Ending.WHOLE).then(Piece(self.data))


@dataclass(frozen=True, slots=True)
class EndlessLine:
    """A line that never ends, as fast as the client reads it; with `size`, it is that long."""

    after: Literal["headers"] | int = 0
    size: int | None = None

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The answer up to the point, then the line."""
        blocks = None if self.size is None else max(1, self.size // _BLOCK)
        line = Piece(b"x" * _BLOCK, repeat=blocks)
        return plan.cut(self.after, Ending.WHOLE).then(Piece(b'data: {"a":"'), line)


@dataclass(frozen=True, slots=True)
class GzipBomb:
    """A body of few bytes that unpacks to `size`; the status is 200 unless `HTTPError` set one."""

    size: int = 64 * 1024 * 1024

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """One endless line, compressed."""
        line = Piece(b"0" * _BLOCK, repeat=max(1, self.size // _BLOCK))
        return replace(plan, pieces=(Piece(b"data: "), line), is_compressed=True, is_chunked=True)


@dataclass(frozen=True, slots=True)
class Gzip:
    """The same body, compressed: nothing is wrong with it."""

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The same answer, compressed."""
        return replace(plan, is_compressed=True, is_chunked=True)


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect, to another origin: a client that follows it takes its key there."""

    location: str
    status: int = 307

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:
        """The redirect alone."""
        error = HTTPError(self.status, headers={"location": self.location}, body="empty")
        return error.apply(plan, exchange)


@dataclass(frozen=True, slots=True)
class ProxyAuthRequired:
    """A proxy that wants a password (407)."""

    realm: str = "proxy"

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:
        """The proxy's page."""
        wanted = {"proxy-authenticate": f'Basic realm="{self.realm}"'}
        message = "Proxy Authentication Required"
        return HTTPError(407, message=message, headers=wanted, body="html").apply(plan, exchange)


@dataclass(frozen=True, slots=True)
class UsageRefused:
    """A server that does not know ``stream_options``: 400 where the request has it."""

    message: str = "Unrecognized request argument supplied: stream_options"

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:
        """The refusal, or the answer unchanged where the request does not ask for usage."""
        asked = exchange.request.json
        if not isinstance(asked, Mapping) or "stream_options" not in asked:
            return plan
        return HTTPError(400, message=self.message).apply(plan, exchange)


@dataclass(frozen=True, slots=True)
class CloseIdle:
    """The answer is whole; then the connection is closed without having said so.

    Attributes:
        on_next_request: Close it only when the next request arrives on it, without a byte of an
            answer, as if the two had crossed; that request takes no answer from the list. Else it
            is closed at once.
    """

    on_next_request: bool = True

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The same answer on a connection that does not last."""
        how = Reuse.DROP_NEXT if self.on_next_request else Reuse.CLOSE_AT_ONCE
        return replace(plan, reuse=how)


@dataclass(frozen=True, slots=True)
class AnnounceClose:
    """The answer is whole, and says ``Connection: close``: nothing is wrong with it."""

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The same answer on a connection of its own."""
        return replace(plan, reuse=Reuse.ANNOUNCED)


@dataclass(frozen=True, slots=True)
class Raise:
    """A `ScriptedProvider` raises this error; a server, which cannot, resets the connection."""

    error: SteerError
    after: Point = "request"

    def apply(self, plan: Plan, exchange: Exchange) -> Plan:  # noqa: ARG002 (the interface)
        """The answer up to the point."""
        return replace(plan.cut(self.after, Ending.RESET), error=self.error)
