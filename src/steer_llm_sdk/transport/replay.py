"""Plays a recording back: `ReplayTransport`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from steer_llm_sdk.checks import NUMBER, Kind
from steer_llm_sdk.clock import Clock, SystemClock
from steer_llm_sdk.errors import ConfigurationError, ConnectionLostError, ProtocolError, SteerError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.wire.recording import ENCODING, Chunk, Exchange, bare_url, read_exchanges

_CUT = Kind(
    "a number of bytes above 0, or a list of offsets",
    lambda value: (
        (isinstance(value, int) and not isinstance(value, bool) and value > 0)
        or (
            isinstance(value, list | tuple)
            and all(isinstance(each, int) and each >= 0 for each in value)
        )
    ),
).or_none()


class ReplayTransport:
    """Answers requests from a recording, in its order; after the last, it begins again.

    Where several answers are left, a request gets that of the same request, if there is one. What
    broke when it was recorded breaks again, with the same error.

    ::

        client = SteerLLMClient("no-key", transport=ReplayTransport("stream.jsonl", speed=0))

    Args:
        path: The recording.
        speed: How fast: 1.0 as it was, 2.0 twice as fast, 0 without any waiting.
        cut: How the bodies are cut, rather than as they came: into pieces of so many bytes, or at
            these offsets.
        clock: By which is waited.

    Raises:
        ConfigurationError: The recording cannot be read, or an argument is not what it has to be.
        ProtocolError: It is no recording, or one of a newer version.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        speed: float = 1.0,
        cut: int | Sequence[int] | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        NUMBER.check("speed", speed)
        _CUT.check("cut", cut)
        self._exchanges = _read(Path(path))
        self._left = list(self._exchanges)
        self._speed = speed
        self._cut = cut
        self._clock = clock or SystemClock()

    async def open(
        self,
        request: HTTPRequest,
        *,
        connect_timeout: float | None,  # noqa: ARG002 - there is nothing to connect to
    ) -> ReplayedResponse:
        """Answer a request: see `Transport.open`."""
        exchange = self._take(request)
        if exchange.head_at is None:
            await self._clock.sleep(self._seconds(exchange.at, exchange.end_at))
            if exchange.error is not None:
                raise exchange.error
            await self._wait_for_ever()  # as whoever left, or had to, did before
        await self._clock.sleep(self._seconds(exchange.at, exchange.head_at))
        return ReplayedResponse(exchange, self._pieces(exchange), self._clock, self._speed)

    async def close(self) -> None:
        """Nothing is open."""

    async def _wait_for_ever(self) -> None:
        await asyncio.get_running_loop().create_future()

    def _take(self, request: HTTPRequest) -> Exchange:
        if not self._left:
            self._left = list(self._exchanges)
        if not self._left:
            raise ConfigurationError("the recording has no requests")
        url = bare_url(request.url)
        same = (each for each in self._left if (each.url, each.body) == (url, request.body))
        exchange = next(same, self._left[0])
        self._left.remove(exchange)
        return exchange

    def _seconds(self, begin: float, end: float | None) -> float:
        return 0.0 if not self._speed or end is None else max(0.0, end - begin) / self._speed

    def _pieces(self, exchange: Exchange) -> Iterator[Chunk]:
        if self._cut is None:
            return iter(exchange.chunks)
        if isinstance(self._cut, int):
            return _in_pieces(exchange.chunks, self._cut)
        return _at_offsets(exchange.chunks, sorted(set(self._cut)))


def _read(path: Path) -> list[Exchange]:
    try:
        with path.open(encoding=ENCODING) as lines:
            return read_exchanges(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the recording cannot be read: {error}") from None
    except ProtocolError as error:
        raise ProtocolError(f"{path}: {error}") from None


def _in_pieces(chunks: Sequence[Chunk], size: int) -> Iterator[Chunk]:
    for chunk in chunks:
        for at in range(0, len(chunk.data), size):
            yield Chunk(chunk.at, chunk.data[at : at + size])


def _at_offsets(chunks: Sequence[Chunk], offsets: Sequence[int]) -> Iterator[Chunk]:
    """The body, cut at these offsets alone: a piece comes when its last byte came."""
    whole = b"".join(chunk.data for chunk in chunks)
    ends = [each for each in offsets if 0 < each < len(whole)]
    for begin, end in pairwise([0, *ends, len(whole)]):
        yield Chunk(_time_of(chunks, end), whole[begin:end])


def _time_of(chunks: Sequence[Chunk], offset: int) -> float:
    come = 0
    for chunk in chunks:
        come += len(chunk.data)
        if come >= offset:
            return chunk.at
    return 0.0


class ReplayedResponse:
    """A response of a recording.

    Attributes:
        status: The HTTP status.
        headers: Those that were recorded.
    """

    def __init__(
        self, exchange: Exchange, pieces: Iterator[Chunk], clock: Clock, speed: float
    ) -> None:
        self.status = exchange.status
        self.headers = dict(exchange.headers)
        self._exchange = exchange
        self._pieces = pieces
        self._clock = clock
        self._speed = speed
        self._begun = clock.monotonic()
        # Kept until it has been given out: a `read` that is given up loses nothing.
        self._next: Chunk | None = None
        self._aborted: SteerError | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """Read the next piece of the body: see `TransportResponse.read`."""
        self._next = self._next or next(self._pieces, None)
        exchange = self._exchange
        if self._next is not None:
            await self._wait_until(self._next.at)
            data, self._next = self._next.data, None
            return data
        await self._wait_until(exchange.end_at or 0.0)
        if exchange.error is not None:
            raise exchange.error
        if exchange.was_left or exchange.end_at is None:
            raise ConnectionLostError("the recording ends here: the stream was left")
        return b""

    def abort(self, error: SteerError) -> None:
        """End a `read` under way, and every later one, in `error`."""
        if self._aborted is None:
            self._aborted = error
            if self._waiting is not None:
                _wake(self._waiting)

    async def release(self) -> None:
        """Nothing is open."""

    async def _wait_until(self, at: float) -> None:
        """Wait until what came then is due."""
        since = self._exchange.head_at or 0.0
        due = self._begun + (max(0.0, at - since) / self._speed if self._speed else 0.0)
        delay = due - self._clock.monotonic()
        if self._aborted is None and delay <= 0:
            await asyncio.sleep(0)  # as with a socket, others get their turn
        elif self._aborted is None:
            await self._wait(delay)
        if self._aborted is not None:
            raise self._aborted

    async def _wait(self, delay: float) -> None:
        self._waiting = waiting = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(delay, partial(_wake, waiting))
        try:
            await waiting
        finally:
            self._waiting = None
            timer.cancel()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
