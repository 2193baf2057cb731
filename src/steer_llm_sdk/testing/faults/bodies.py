"""Bodies that are cut, garbled, endless or compressed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from steer_llm_sdk.testing.faults.statuses import HTTPError
from steer_llm_sdk.testing.plan import Ending, Exchange, Piece, Plan
from steer_llm_sdk.testing.reports import ErrorKind, check_kind, make_report

_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class ErrorInStream:
    """The provider reports an error inside the stream, in its own spelling, and ends the body.

    Where the answer is one JSON document, the error is the response's own.
    """

    after: int = 0
    kind: ErrorKind = "overloaded"
    message: str | None = None

    def __post_init__(self) -> None:
        check_kind(self.kind)

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Cut the answer at the point, and append the error."""
        report = make_report(self.kind, None, self.message)
        if not exchange.is_streamed:
            return HTTPError(report.status, self.kind, self.message).apply(plan, exchange)
        error = exchange.spelling.error_in_stream(report)
        return plan.cut(self.after, Ending.WHOLE).then(*error)


@dataclass(frozen=True, slots=True)
class EndEarly:
    """The body ends as HTTP wants it, but without the provider's terminal marker."""

    after: Literal["headers"] | int = 0

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Cut the answer at the point."""
        return plan.cut(self.after, Ending.WHOLE)


@dataclass(frozen=True, slots=True)
class GarbageBody:
    """Bytes that are not the provider's format; then the body ends as HTTP wants it."""

    data: bytes = b"\x00\xff\xfe garbage {]\n\ndata: {not json\n\n"
    after: Literal["headers"] | int = 0

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Cut the answer at the point, and append the garbage."""
        return plan.cut(self.after, Ending.WHOLE).then(Piece(self.data))


@dataclass(frozen=True, slots=True)
class EndlessLine:
    """A line that never ends, as fast as the client reads it; with `size`, it is that long.

    Where frames are no lines but say how long they are, it is one that says 2 GiB.
    """

    after: Literal["headers"] | int = 0
    size: int | None = None

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Cut the answer at the point, and append the line."""
        blocks = None if self.size is None else max(1, self.size // _BLOCK)
        begin = Piece(exchange.spelling.frame_begin)
        line = Piece(b"x" * _BLOCK, repeat=blocks)
        return plan.cut(self.after, Ending.WHOLE).then(begin, line)


@dataclass(frozen=True, slots=True)
class Gzip:
    """The same body, compressed: nothing is wrong with it."""

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Compress the body."""
        return replace(plan, is_compressed=True, is_chunked=True)


@dataclass(frozen=True, slots=True)
class GzipBomb:
    """A body of few bytes that unpacks to `size`; the status is 200 unless `HTTPError` set one."""

    size: int = 64 * 1024 * 1024

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Replace the body by one long line, compressed."""
        line = Piece(b"0" * _BLOCK, repeat=max(1, self.size // _BLOCK))
        return replace(plan, pieces=(Piece(b"data: "), line), is_compressed=True, is_chunked=True)


@dataclass(frozen=True, slots=True)
class CutAt:
    """The body is cut into chunks at these offsets, whatever stands there."""

    offsets: tuple[int, ...]

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Add these cuts to those that there are."""
        return replace(plan, cuts=tuple(sorted({*plan.cuts, *self.offsets})))
