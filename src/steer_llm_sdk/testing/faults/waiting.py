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
        signs = Piece(exchange.keep_alive, wait=self.interval, repeat=self.count)
        if self.count is None:
            return plan.cut(self.after, Ending.STALL).then(signs)
        return plan.insert(self.after, signs)


@dataclass(frozen=True, slots=True)
class Delay:
    """A pause of `seconds` at a point."""

    seconds: float
    after: Point = "request"

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Add the pause at the point."""
        if self.after == "request":
            return replace(plan, head_wait=plan.head_wait + self.seconds)
        return plan.insert(self.after, Piece(b"", wait=self.seconds))


@dataclass(frozen=True, slots=True)
class Pace:
    """A pause of `interval` seconds before each delta."""

    interval: float

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Add the pause to each delta."""
        return replace(plan, pieces=tuple(self._slow_down(piece) for piece in plan.pieces))

    def _slow_down(self, piece: Piece) -> Piece:
        return replace(piece, wait=piece.wait + self.interval) if piece.is_delta else piece


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
        """Make the writes as small as this, where they are not smaller yet."""
        size = self.size if plan.drip is None else min(self.size, plan.drip)
        return replace(plan, drip=size, drip_wait=max(self.interval, plan.drip_wait))
