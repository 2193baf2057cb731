"""A server of prebuilt answers, in a process of its own.

Run: ``python benchmarks/load_server.py``; it prints its port, and ends when its input is closed.

The path says what comes: ``/<mode>/<chunks>/<payload>/…``, and its end says in which wire format::

    /burst/5000/text/v1/chat/completions      as fast as the socket takes it
    /paced-20/150/text/v1/messages            a chunk every 20 ms
    /stamped-50/100/text/v1/chat/completions  the same; each chunk carries the time it was sent
    /held/1/text/v1/chat/completions          one chunk, and then nothing: the stream stays open

Bodies are built once, and cut into the pieces of a chunked body, one a frame, as servers of models
do. The protocol is asyncio's own, without streams or tasks, and each paced stream begins at a
random moment of the interval, so that the server is not what is measured.
"""

from __future__ import annotations

import asyncio
import functools
import random
import sys
import time
from collections.abc import Iterator

from _payloads import frames, stamped

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"x-request-id: req_bench\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LAST = b"0\r\n\r\n"
_SLICE = 256 * 1024

# Stamped streams wait until all of them are open: what is measured is the delay of chunks.
_OPENING_SECONDS = 2.0

_ENDINGS = {
    "/chat/completions": "openai",
    "/responses": "responses",
    "/messages": "anthropic",
    ":streamGenerateContent": "gemini",
}


def _in_chunk(frame: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(frame), frame)


@functools.cache
def _chunks(wire: str, payload: str, count: int) -> list[bytes]:
    return [_in_chunk(frame) for frame in frames(wire, payload, count)]


@functools.cache
def _burst(wire: str, payload: str, count: int) -> bytes:
    return _HEAD + b"".join(_chunks(wire, payload, count)) + _LAST


@functools.cache
def _stamp_parts(wire: str) -> tuple[bytes, bytes, bytes, bytes]:
    opening, around, closing = stamped(wire)
    before, _, after = around.partition(b"|")
    size = len(before) + len(after) + 20
    return (
        _HEAD + _in_chunk(opening),
        b"%x\r\n%s" % (size, before),
        after + b"\r\n",
        _in_chunk(closing) + _LAST,
    )


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._pending: Iterator[bytes] = iter(())  # slices of a burst that wait for the socket
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) >= length:
            self._received = rest[length:]
            self._answer(head.split(b" ", 2)[1].decode())

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._write_burst()

    def _answer(self, target: str) -> None:
        path = target.partition("?")[0]
        wire = next(wire for ending, wire in _ENDINGS.items() if path.endswith(ending))
        mode, count, payload = path.split("/")[1:4]
        mode, _, interval = mode.partition("-")
        if mode == "burst":
            body = _burst(wire, payload, int(count))
            self._pending = (body[at : at + _SLICE] for at in range(0, len(body), _SLICE))
            self._write_burst()
        elif mode == "held":
            opening = _chunks(wire, payload, 1)
            self._transport.write(_HEAD + b"".join(opening[: _OPENING[wire] + 1]))
        else:
            self._pace(mode, wire, payload, int(count), float(interval) / 1000)

    def _write_burst(self) -> None:
        for piece in self._pending:
            self._transport.write(piece)
            if self._is_paused:
                return

    def _pace(self, mode: str, wire: str, payload: str, count: int, interval: float) -> None:
        begin = self._loop.time() + random.random() * interval
        if mode == "stamped":
            begin += _OPENING_SECONDS
            head, before, after, end = _stamp_parts(wire)
            self._transport.write(head)
            self._loop.call_at(begin, self._stamp, begin, interval, count, before, after, end)
        else:
            chunks = _chunks(wire, payload, count)
            self._transport.write(_HEAD)
            self._loop.call_at(begin, self._write_paced, begin, interval, iter(chunks))

    def _write_paced(self, now: float, interval: float, chunks: Iterator[bytes]) -> None:
        chunk = next(chunks, _LAST)
        self._transport.write(chunk)
        if chunk is not _LAST and not self._transport.is_closing():
            due = now + interval
            self._loop.call_at(due, self._write_paced, due, interval, chunks)

    def _stamp(
        self, now: float, interval: float, left: int, before: bytes, after: bytes, end: bytes
    ) -> None:
        if left == 0:
            self._transport.write(end)
            return
        self._transport.write(b"%s%020d%s" % (before, time.monotonic_ns(), after))
        if not self._transport.is_closing():
            due = now + interval
            self._loop.call_at(due, self._stamp, due, interval, left - 1, before, after, end)


# How many frames come before the first delta.
_OPENING = {"openai": 1, "responses": 4, "anthropic": 3, "gemini": 0}


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(sys.stdin, lambda: over.set() if not sys.stdin.readline() else None)
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
