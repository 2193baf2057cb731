"""A proxy of SOCKS 5 that asks for no password, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_NO_PASSWORD = b"\x05\x00"
_CONNECTED = b"\x05\x00\x00\x01" + bytes(6)


@asynccontextmanager
async def socks_proxy(seconds: float = 0.0) -> AsyncIterator[str]:
    """Run one.

    Args:
        seconds: How long it takes for a connection.

    Yields:
        Its URL.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(_NO_PASSWORD)
        asked = await reader.readexactly(4)
        size = 4 if asked[3] == 1 else (await reader.readexactly(1))[0]
        host = await reader.readexactly(size)
        port = int.from_bytes(await reader.readexactly(2), "big")
        name = ".".join(map(str, host)) if asked[3] == 1 else host.decode()
        await asyncio.sleep(seconds)
        there, back = await asyncio.open_connection(name, port)
        writer.write(_CONNECTED)
        await asyncio.gather(_pass(reader, back), _pass(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"socks5://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
