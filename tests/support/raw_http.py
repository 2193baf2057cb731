"""A client of plain sockets: it shows what really came over the wire."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from steer_llm_sdk.testing import LoopbackServer

PATHS = {
    "openai": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
    "cohere": "/v2/chat",
    "gemini-interactions": "/v1beta/interactions",
    "bedrock": "/model/amazon.nova-lite-v1%3A0/converse-stream",
    "bedrock-anthropic": "/model/anthropic.claude-sonnet-4-5/invoke-with-response-stream",
}
REQUEST = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}


class RawClient:
    """One connection."""

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)

    def ask(self, path: str = PATHS["openai"], body: Any = REQUEST) -> None:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode() + data)

    async def head(self) -> tuple[str, dict[str, str]]:
        """The status line and the headers."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode().rstrip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return first, {name.lower(): value for name, value in pairs}

    async def chunk(self) -> bytes:
        """One chunk of the body; ``b""`` for the one that ends it."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def answer(self) -> tuple[str, dict[str, str], bytes]:
        """A whole response."""
        status, headers = await self.head()
        if "content-length" in headers:
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while chunk := await self.chunk():
            body += chunk
        return status, headers, body

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return await self.reader.read()
