"""A proxy on the loopback interface whose network can be cut, or passes nothing on any more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class CutProxy:
    """Passes bytes on to a port, until it is cut; then it refuses everybody, until it is mended.

    Args:
        port: Where the bytes go.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self._target = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._frozen = asyncio.Event()

    async def freeze(self) -> None:
        """Pass nothing on, and tell nobody: connections stay open, and new ones are accepted."""
        self._frozen.set()

    async def thaw(self) -> None:
        """Pass on what comes by new connections; those of before are forgotten on the way."""
        self._frozen = asyncio.Event()

    async def mend(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break all connections, and accept none."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frozen = self._frozen
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, back}
        await asyncio.gather(_copy(reader, back, frozen), _copy(there, writer, frozen))
        self._open -= {writer, back}

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frozen: asyncio.Event
) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            if frozen.is_set():
                continue  # lost on the way
            writer.write(data)
            await writer.drain()
    writer.close()
