"""A proxy on the loopback interface whose network can be cut, or passes nothing on any more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class CutProxy:
    """Passes bytes on to a port, until it is cut; then it refuses everybody, until it is mended.

    Args:
        port: Where the bytes go.

    Attributes:
        port: Where it listens.
        sent: What has come from its clients.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.sent = bytearray()
        self._target = port
        self._server: asyncio.Server | None = None
        self._frozen = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def freeze(self) -> None:
        """Pass nothing on, and tell nobody: connections stay open, and new ones are accepted."""
        self._frozen.set()

    async def thaw(self) -> None:
        """Pass on what comes by new connections; those of before are forgotten on the way."""
        self._frozen = asyncio.Event()

    async def mend(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break all connections, and accept none."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # it was accepted just before the cut
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer, self._frozen))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in the task: it may be cancelled before it begins.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frozen: asyncio.Event
    ) -> None:
        with suppress(OSError):  # nobody listens there now
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await asyncio.gather(
                    self._copy(reader, back, frozen, self.sent), self._copy(there, writer, frozen)
                )
            finally:
                back.transport.abort()

    @staticmethod
    async def _copy(
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        frozen: asyncio.Event,
        noted: bytearray | None = None,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if noted is not None:
                    noted += data
                if frozen.is_set():
                    continue  # lost on the way
                writer.write(data)
                await writer.drain()
        writer.close()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
