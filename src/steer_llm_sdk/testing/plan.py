"""The answer to one request as a value, before anything of it is sent.

A format writes a script as a `Plan`; each fault changes the plan; then a `LoopbackServer` sends it
over a socket, or a `ScriptedProvider` without one. So every fault is a pure function from plan to
plan, and works with both of them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import unquote

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.testing.reports import Report

# Where in an answer something happens: once the request has been read (so before the status line),
# after the headers, or after that many deltas (0: after what comes before the first).
Point: TypeAlias = Literal["request", "headers"] | int

_MODEL_IN_PATH = re.compile(r"/models?/([^/:]+)")


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it arrived.

    Attributes:
        method: The HTTP method.
        path: The path without the query; a proxy's absolute form is reduced to its path.
        query: What stands behind the ``?``, undecoded.
        headers: Names in lower case; not part of the repr, since they hold the key.
        body: The raw body.
        json: The body as JSON, None when it is something else.
        number: Counts the requests from 1.
        connection: The number of the connection it came on, from 1; 0 without a socket.
        is_dropped: The connection was closed without a byte of an answer (`CloseIdle`).
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    json: Any = field(default=None, repr=False)
    number: int = 1
    connection: int = 0
    is_dropped: bool = False

    @property
    def model(self) -> str:
        """The model that is asked for: in the body, or in the path of Gemini and Bedrock."""
        named = self.json.get("model") if isinstance(self.json, Mapping) else None
        if isinstance(named, str):
            return named
        found = _MODEL_IN_PATH.search(self.path)
        return unquote(found[1]) if found else ""

    @property
    def asks_for_usage(self) -> bool:
        """Whether ``stream_options.include_usage`` is set, as OpenAI's chat format has it."""
        body = self.json if isinstance(self.json, Mapping) else {}
        options = body.get("stream_options")
        return isinstance(options, Mapping) and options.get("include_usage") is True


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the body that is sent as one chunk.

    Attributes:
        data: The bytes; without any, the piece is a pause of `wait` seconds.
        is_delta: Whether a piece of the answer's content is in it.
        wait: Seconds to wait before it, on the player's clock.
        repeat: How often it is sent; None: until the client goes away.
    """

    data: bytes
    is_delta: bool = False
    wait: float = 0.0
    repeat: int | None = 1


class Ending(enum.Enum):
    """How an answer ends after its last piece."""

    WHOLE = "the body ends as it should"
    CLOSE = "the connection is closed, the body without its end"
    RESET = "the connection is reset"
    STALL = "nothing more is sent"


class Reuse(enum.Enum):
    """Whether the connection is kept after a whole answer."""

    KEEP = "it is kept for the next request"
    ANNOUNCED = "it is closed, as `Connection: close` says"
    CLOSE_AT_ONCE = "it is closed, without having said so"
    DROP_NEXT = "it is closed when the next request arrives, without an answer"


@dataclass(frozen=True, slots=True)
class Plan:
    """One answer.

    Attributes:
        status: The HTTP status.
        headers: The headers, without those of the framing.
        pieces: The body.
        ending: What happens after the last piece.
        sends_head: Whether even the status line is sent.
        head: Raw bytes in place of the status line and the headers.
        is_chunked: Chunked transfer encoding; else ``Content-Length``.
        torn: A piece of which only the first half is sent, after the others.
        head_wait: Seconds to wait before the status line.
        cuts: Offsets in the body at which it is cut into chunks, instead of by piece.
        drip: The most bytes that are written at once; None for no limit.
        drip_wait: Seconds to wait between two such writes; 0 lets the other side run.
        is_compressed: Whether the body is sent with gzip.
        reuse: Whether the connection is kept.
        is_abrupt: Whether the ending follows the last bytes at once, so that both may reach the
            client together; else it first gets a chance to read them.
        error: What a `ScriptedProvider` raises in place of the ending.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    ending: Ending = Ending.WHOLE
    sends_head: bool = True
    head: bytes | None = None
    is_chunked: bool = True
    torn: Piece | None = None
    head_wait: float = 0.0
    cuts: tuple[int, ...] = ()
    drip: int | None = None
    drip_wait: float = 0.0
    is_compressed: bool = False
    reuse: Reuse = Reuse.KEEP
    is_abrupt: bool = False
    error: SteerError | None = None

    def position(self, after: Point) -> int:
        """Count the pieces up to a point, that point's delta included.

        A point beyond the last delta counts as the last delta.

        Args:
            after: The point.

        Raises:
            TypeError: It is none.
        """
        if after in ("request", "headers"):
            return 0
        if not isinstance(after, int) or after < 0:
            raise TypeError(
                f"after: expected 'request', 'headers' or a number of deltas, found {after!r}"
            )
        ends = [at + 1 for at, piece in enumerate(self.pieces) if piece.is_delta]
        if after > 0 and ends:
            return ends[min(after, len(ends)) - 1]
        return ends[0] - 1 if ends else len(self.pieces)

    def cut(
        self, after: Point, ending: Ending, *, mid_chunk: bool = False, is_abrupt: bool = False
    ) -> Plan:
        """Return the plan up to a point, with another ending there.

        Args:
            after: The point.
            ending: What happens there.
            mid_chunk: Whether half of the next piece is still sent.
            is_abrupt: Whether the client gets no chance to read before that.
        """
        at = self._behind_pauses(self.position(after))
        rest = self.pieces[at] if at < len(self.pieces) else Piece(b": cut here\n\n")
        return replace(
            self,
            pieces=self.pieces[:at],
            ending=ending,
            sends_head=self.sends_head and after != "request",
            # A length would say where the body ends, and so call the cut body whole.
            is_chunked=self.is_chunked or ending is not Ending.WHOLE,
            torn=rest if mid_chunk and after != "request" else None,
            is_abrupt=is_abrupt,
            error=None,
        )

    def insert(self, after: Point, piece: Piece) -> Plan:
        """Return the plan with another piece at a point.

        Args:
            after: The point.
            piece: The piece.
        """
        at = self.position(after)
        return replace(self, pieces=(*self.pieces[:at], piece, *self.pieces[at:]))

    def _behind_pauses(self, at: int) -> int:
        while at < len(self.pieces) and not self.pieces[at].data:
            at += 1
        return at

    def then(self, *pieces: Piece) -> Plan:
        """Return the plan with more pieces at its end."""
        return replace(self, pieces=self.pieces + pieces)


class ErrorSpelling(Protocol):
    """How a format spells errors and keep-alives."""

    @property
    def keep_alive(self) -> bytes:
        """The bytes that are sent to keep a connection alive; they have no meaning."""
        ...

    @property
    def frame_begin(self) -> bytes:
        """How a frame begins that may go on without an end."""
        ...

    def error_in_stream(self, report: Report) -> list[Piece]:
        """Write an error inside a body that has begun with status 200."""
        ...

    def error_body(self, report: Report) -> Any:
        """Build the JSON body of a response whose status is an error."""
        ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """The request, and the format of its answer: what a fault may depend on.

    Attributes:
        request: The request.
        spelling: The format of the answer.
        is_streamed: Whether the answer is a stream; else it is one JSON document.
    """

    request: RecordedRequest
    spelling: ErrorSpelling
    is_streamed: bool = True

    @property
    def keep_alive(self) -> bytes:
        """Bytes that keep the connection alive: white space, where the answer is a document."""
        return self.spelling.keep_alive if self.is_streamed else b"\n"


class Fault(Protocol):
    """One thing that goes wrong with an answer, or slows it down."""

    def apply(self, plan: Plan, exchange: Exchange, /) -> Plan:
        """Return the plan with this fault in it."""
        ...
