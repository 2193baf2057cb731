"""Connections that break, and connections that are not kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.testing.plan import Ending, Exchange, Plan, Point, Reuse


@dataclass(frozen=True, slots=True)
class _Break:
    """The connection ends at a point; how it does is the subclass's ending."""

    _ending: ClassVar[Ending]

    after: Point = "request"
    mid_chunk: bool = False
    is_abrupt: bool = False

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Cut the answer at the point."""
        return plan.cut(
            self.after, self._ending, mid_chunk=self.mid_chunk, is_abrupt=self.is_abrupt
        )


class Reset(_Break):
    """The connection is reset (RST); the arguments are those of `Close`."""

    __slots__ = ()
    _ending = Ending.RESET


class Close(_Break):
    """The connection is closed (FIN) before the body's end.

    Attributes:
        after: Where.
        mid_chunk: Whether a chunk has begun that is then not finished.
        is_abrupt: Whether it follows the last bytes so closely that the client may see both at
            once; else the client first gets a chance to read.
    """

    __slots__ = ()
    _ending = Ending.CLOSE


@dataclass(frozen=True, slots=True)
class GarbageStatus:
    """Bytes in place of the status line and the headers; then the connection is closed."""

    line: bytes = b"\x16\x03\x01 garbage, not HTTP\r\n\r\n"

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Replace the answer by the garbage."""
        return replace(plan, head=self.line, pieces=(), torn=None, ending=Ending.CLOSE)


@dataclass(frozen=True, slots=True)
class CloseIdle:
    """The answer is whole; then the connection is closed without having said so.

    Attributes:
        on_next_request: Close it only when the next request arrives on it, without a byte of an
            answer, as if the two had crossed; that request takes no answer from the list. Else it
            is closed at once.
    """

    on_next_request: bool = True

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Close the connection after the answer."""
        how = Reuse.DROP_NEXT if self.on_next_request else Reuse.CLOSE_AT_ONCE
        return replace(plan, reuse=how)


@dataclass(frozen=True, slots=True)
class AnnounceClose:
    """The answer is whole, and says ``Connection: close``: nothing is wrong with it."""

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Announce the close in the headers."""
        return replace(plan, reuse=Reuse.ANNOUNCED)


@dataclass(frozen=True, slots=True)
class Raise:
    """A `ScriptedProvider` raises this error; a server, which cannot, resets the connection."""

    error: SteerError
    after: Point = "request"

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        """Cut the answer at the point."""
        return replace(plan.cut(self.after, Ending.RESET), error=self.error)
