"""An application under uvicorn, on the loopback interface."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

# What uvicorn reads requests and writes responses with, unless a test says otherwise.
USUAL: dict[str, Any] = {"http": "auto"}


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an application in this event loop; gives its address."""
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, **USUAL
    )
    config.load()  # what it lacks is told here, and not in a task that nobody waits for
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells by this flag alone
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await running
        listening.close()
