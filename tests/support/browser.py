"""A real browser: Chromium without a window, driven by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--remote-debugging-port=0",
)  # fmt: skip

_PATIENCE = 60.0


class BrowserError(Exception):
    """What the browser says that went wrong."""


class Tab:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is said to it."""
        return self._socket.closed

    async def send(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol."""
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            said = json.loads((await self._socket.receive(_PATIENCE)).data)
            if said.get("id") == number:
                if "error" in said:
                    raise BrowserError(said["error"]["message"])
                return said["result"]

    async def open(self, url: str) -> None:
        """Go to a page."""
        await self.send("Page.navigate", url=url)

    async def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of this size."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise BrowserError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true; it may fail before, while the page is loaded."""
        async with asyncio.timeout(_PATIENCE):
            while not await self._is_so(expression):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.02)

    async def _is_so(self, expression: str) -> bool:
        try:
            return bool(await self.ask(f"Boolean({expression})"))
        except BrowserError:
            return False

    async def screenshot(self, path: Path) -> None:
        """Keep what is seen."""
        found = await self.send("Page.captureScreenshot")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(found["data"]))


class Browser:
    """The browser: opens tabs."""

    def __init__(
        self, session: aiohttp.ClientSession, address: str, sockets: AsyncExitStack
    ) -> None:
        self._session = session
        self._address = address
        self._sockets = sockets

    async def new_tab(self) -> Tab:
        """Open a tab."""
        async with self._session.put(f"{self._address}/json/new?about:blank") as answer:
            made = await answer.json()
        connecting = self._session.ws_connect(made["webSocketDebuggerUrl"], max_msg_size=0)
        return Tab(await self._sockets.enter_async_context(connecting))


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Run a browser until the block is left."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        running = await asyncio.create_subprocess_exec(
            *(CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = await _read_port(Path(folder) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session, AsyncExitStack() as sockets:
                yield Browser(session, f"http://127.0.0.1:{port}", sockets)
        finally:
            running.kill()
            await running.wait()


async def _read_port(path: Path) -> int:
    async with asyncio.timeout(_PATIENCE):
        while True:
            if path.exists() and (lines := path.read_text().splitlines()):  # noqa: ASYNC240
                return int(lines[0])
            await asyncio.sleep(0.05)
