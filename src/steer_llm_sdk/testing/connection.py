"""The connections of the loopback server: each one served, and a record of all of them."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.tasks import until_ended
from steer_llm_sdk.testing.plan import Ending, Plan, RecordedRequest, Reuse
from steer_llm_sdk.testing.reading import BadRequestError, RequestReader
from steer_llm_sdk.testing.rendering import render

# On, for zero seconds: closing the socket sends RST, and drops what was not yet sent.
_LINGER_ZERO = struct.pack("ii", 1, 0)
# A client in the same event loop reads within three rounds.
_ROUNDS_TO_READ = 10


@dataclass(slots=True)
class ConnectionRecord:
    """The record of one connection. Times are of `time.monotonic`.

    Attributes:
        number: From 1, in the order of acceptance.
        opened_at: When it was accepted.
        requests: How many requests came on it.
        closed_at: When the server saw it closed; None while it is open.
        closed_by: Who closed it first.
    """

    number: int
    opened_at: float
    requests: int = 0
    closed_at: float | None = None
    closed_by: Literal["client", "server"] | None = None


class Connections:
    """All connections of a server, in the order of acceptance."""

    def __init__(self) -> None:
        self._records: list[ConnectionRecord] = []
        self._live: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[ConnectionRecord]:
        return iter(tuple(self._records))

    def __getitem__(self, at: int) -> ConnectionRecord:
        return self._records[at]

    @property
    def opened(self) -> int:
        """How many were ever accepted."""
        return len(self._records)

    @property
    def open(self) -> int:
        """How many are open now."""
        return sum(record.closed_at is None for record in self)

    @property
    def closed_by_client(self) -> int:
        """How many the client closed."""
        return sum(record.closed_by == "client" for record in self)

    def accept(self, connection: Connection) -> ConnectionRecord:
        """Record a new connection."""
        record = ConnectionRecord(len(self._records) + 1, time.monotonic())
        self._records.append(record)
        self._live.add(connection)
        return record

    def discard(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._live.discard(connection)

    async def close(self) -> None:
        """Close those that are open, and wait for their tasks."""
        live = tuple(self._live)
        for connection in live:
            connection.hang_up()
        await asyncio.gather(*(connection.wait_closed() for connection in live))


class Host(Protocol):
    """The part of the server that a connection uses."""

    connections: Connections
    requests: list[RecordedRequest]

    @property
    def clock(self) -> Clock:
        """The clock for delays."""
        ...

    async def plan(self, request: RecordedRequest) -> Plan:
        """Return the answer to a request."""
        ...

    async def stall(self) -> None:
        """Wait until the server is closed."""
        ...

    def note_change(self) -> None:
        """Wake those who wait for a condition."""
        ...

    def note_error(self, error: BaseException) -> None:
        """Keep an error of the function that answers, or of a script, for `close` to raise."""
        ...


class Connection(asyncio.Protocol):
    """Reads requests and answers them, one after another, until either side hangs up."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._reader = RequestReader()
        self._arrived = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._lost = asyncio.Event()
        self._drops_next = False

    # --- called by the event loop -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the task that serves this connection."""
        # Not asserted: uvloop's transports are none of asyncio's classes.
        self._transport = transport = cast("asyncio.Transport", transport)
        # So that what was written has left this process, whenever writing is allowed. (Not 0: at
        # that, asyncio's TLS never allows it again.)
        transport.set_write_buffer_limits(high=1, low=0)
        self._record = self._host.connections.accept(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())
        self._task.add_done_callback(self._ended)
        self._host.note_change()

    def data_received(self, data: bytes) -> None:
        """Buffer the bytes, and wake the task."""
        self._reader.feed(data)
        self._arrived.set()

    def eof_received(self) -> None:
        """The client closed its side: so does the transport, since this returns None."""
        self._closed_by("client")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the interface)
        """Both sides are closed."""
        self._closed_by("client")
        self._lost.set()
        self._may_write.set()
        self._task.cancel()

    def pause_writing(self) -> None:
        """The client reads more slowly than this writes."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._may_write.set()

    # --- called by the server -----------------------------------------------------------------

    def hang_up(self) -> None:
        """Close at once."""
        self._closed_by("server")
        self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed and its task has ended."""
        await self._lost.wait()
        await until_ended(self._task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._host.connections.discard(self)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._host.note_error(error)
            self.hang_up()

    # --- one request after another ------------------------------------------------------------

    async def _serve(self) -> None:
        keeps = True
        while keeps:
            request = await self._next_request()
            if request is None:
                break
            keeps = await self._answer(await self._host.plan(request))
        self._closed_by("server")
        self._transport.close()

    async def _next_request(self) -> RecordedRequest | None:
        number = len(self._host.requests) + 1
        while True:
            self._arrived.clear()
            try:
                request = self._reader.next_request(number, self._record.number)
            except BadRequestError as error:
                self._refuse(error)
                return None
            if request is not None:
                return self._enter(request)
            await self._arrived.wait()

    def _enter(self, request: RecordedRequest) -> RecordedRequest | None:
        self._record.requests += 1
        number = len(self._host.requests) + 1
        entered = replace(request, number=number, is_dropped=self._drops_next)
        self._host.requests.append(entered)
        self._host.note_change()
        return None if self._drops_next else entered

    def _refuse(self, error: BadRequestError) -> None:
        text = str(error).encode()
        head = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(text) + text)

    async def _answer(self, plan: Plan) -> bool:
        """Send an answer; return whether the connection is kept for another request."""
        for write in render(plan):
            # Even without a wait, the other side gets its turn: so cuts arrive as cuts.
            await self._host.clock.sleep(write.wait) if write.wait else await asyncio.sleep(0)
            await self._may_write.wait()
            self._transport.write(write.data)
        await self._may_write.wait()
        if plan.ending is Ending.STALL:
            await self._host.stall()
        if plan.ending is not Ending.WHOLE and not plan.is_abrupt:
            await self._let_the_client_read()
        if plan.ending is Ending.RESET:
            self._reset()
        self._drops_next = plan.reuse is Reuse.DROP_NEXT
        keeps = plan.reuse in {Reuse.KEEP, Reuse.DROP_NEXT}
        return keeps and plan.ending is Ending.WHOLE

    async def _let_the_client_read(self) -> None:
        for _ in range(_ROUNDS_TO_READ):
            await asyncio.sleep(0)

    def _reset(self) -> None:
        linger = self._transport.get_extra_info("socket")
        linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._closed_by("server")
        self._transport.abort()

    def _closed_by(self, side: Literal["client", "server"]) -> None:
        if self._record.closed_at is None:
            self._record.closed_at = time.monotonic()
            self._record.closed_by = side
            self._host.note_change()
