"""A response whose first words were read, and whose rest does not come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.testing import LoopbackServer, Stall
from steer_llm_sdk.transport.http import HTTPTransport


@asynccontextmanager
async def stalled_response() -> AsyncIterator[Any]:
    """Open a response, read its first words, and in the end release it."""
    async with LoopbackServer(Stall(after=1)) as server:
        transport = HTTPTransport()
        url = f"{server.base_url()}/chat/completions"
        response = await transport.open(HTTPRequest(url, b"{}", {}), connect_timeout=5)
        await response.read()
        yield response
        await response.release()
        await transport.close()
