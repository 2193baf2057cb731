"""A server on loopback that refuses a conversation which does not keep its provider's rule."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

Body: TypeAlias = dict[str, Any]
# Looks at a request, and says what is wrong with it; None where nothing is.
Rule: TypeAlias = Callable[[Body], str | None]

_HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    "Connection: close\r\n\r\n"
)


def sse(*events: Mapping[str, Any], has_done: bool = False) -> bytes:
    """Write events whose names are their types."""
    frames = [
        (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    ]
    return "".join([*frames, "data: [DONE]\n\n" if has_done else ""]).encode()


@asynccontextmanager
async def rule_server(answers: Sequence[bytes], rule: Rule) -> AsyncIterator[str]:
    """Serve these answers one after another, as long as each request keeps the rule.

    Yields:
        The address, such as ``http://127.0.0.1:4711``.
    """
    left = iter(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
        wrong = rule(json.loads(await reader.readexactly(length)))
        status, kind = ("200 OK", "text/event-stream"), "400 Bad Request"
        if wrong is None:
            data, shown = next(left), status
        else:
            error = {"type": "error", "error": {"type": "invalid_request_error", "message": wrong}}
            data, shown = json.dumps(error).encode(), (kind, "application/json")
        filled = _HEAD.format(status=shown[0], kind=shown[1], length=len(data))
        writer.write(filled.encode() + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
