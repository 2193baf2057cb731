"""Answers that come late, slowly, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from steer_llm_sdk.testing.plan import Ending, Exchange, Piece, Plan, Point


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more is said, and the connection stays open until the client or server closes it."""

    after: Point = "request"
    mid_chunk: bool = False

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Cut the answer at the point."""
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

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Insert the keep-alives; where they never end, cut the answer before them."""
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

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Add the pause at the point."""
        at = plan.position(self.after)
        if self.after == "request" or at >= len(plan.pieces):
            return replace(plan, head_wait=plan.head_wait + self.seconds)
        late = replace(plan.pieces[at], wait=plan.pieces[at].wait + self.seconds)
        return replace(plan, pieces=(*plan.pieces[:at], late, *plan.pieces[at + 1 :]))


@dataclass(frozen=True, slots=True)
class Pace:
    """A pause of `interval` seconds before each delta."""

    interval: float

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Add the pause to each delta."""
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

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Set the size of the writes."""
        return replace(plan, drip=self.size, drip_wait=self.interval)
