from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from steer_llm_sdk.testing import LoopbackServer, Reset, Script
from support.tls import make_contexts

REQUEST = b"POST /api/chat HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


async def ask(server: LoopbackServer, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    writer.write(REQUEST)
    try:
        return await reader.readuntil(b"0\r\n\r\n")
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_it_serves_over_tls_to_who_trusts_its_certificate(tmp_path: Path) -> None:
    serving, trusting = make_contexts(tmp_path)

    async with LoopbackServer(Script(["Hello"]), ssl=serving) as server:
        answer = await ask(server, trusting)
        await server.wait_for(lambda: server.connections.open == 0)

    assert server.url.startswith("https://127.0.0.1:")
    assert b'"content":"Hello"' in answer
    assert server.connections[0].closed_by == "client"


async def test_it_may_break_over_tls_too(tmp_path: Path) -> None:
    serving, trusting = make_contexts(tmp_path)

    async with LoopbackServer(Reset(after=1), ssl=serving) as server:
        with pytest.raises(ConnectionResetError):
            await ask(server, trusting)


async def test_who_does_not_trust_it_sends_nothing(tmp_path: Path) -> None:
    serving, _ = make_contexts(tmp_path)

    async with LoopbackServer(ssl=serving) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(server, ssl.create_default_context())

    assert server.requests == []
