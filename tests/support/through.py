"""Streams through a proxy: some wire formats, by both clients."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import trustme

from steer_llm_sdk import ProviderSettings, SteerLLMClient, StreamingResponse, SyncSteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import LoopbackServer, Script, Stall
from support.daemons import PROVIDER, Daemon

# Server-sent events, a JSON document a line, and binary messages.
WIRES = {"openai": "gpt-4o", "ollama": "llama3.2", "bedrock": "amazon.nova-lite-v1:0"}

CLIENTS = ("async", "blocking")

ONCE = StreamingOptions(max_retries=0, connect_timeout=10)
KEPT = StreamingOptions(max_retries=0, connect_timeout=10, raise_on_error=False)

# An answer that is never whole.
UNFINISHED = Script(["Hello", " world"], faults=[Stall(after=1)])

TEXT = ("Hello", " through", " a proxy: ", "ä€🎈" * 700, " and back")


class Authority:
    """A certificate authority of one's own, and what it has signed.

    Attributes:
        file: The file that says whom to trust.
        files: The files of a server's certificate and its key.
        mine: The file of this side's certificate with its key.
    """

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.file = folder / "authority.pem"
        self.ca.cert_pem.write_to_path(str(self.file))
        server = self.ca.issue_cert(PROVIDER, "127.0.0.1")
        self.files = folder / "server.pem", folder / "server.key"
        self.files[0].write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
        server.private_key_pem.write_to_path(str(self.files[1]))
        self.mine = folder / "mine.pem"
        own = self.ca.issue_cert("client@example.com")
        own.private_key_and_cert_chain_pem.write_to_path(str(self.mine))

    def server(self) -> ssl.SSLContext:
        """The context of a server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.files)
        return context


def named(server: LoopbackServer, wire: str) -> str:
    """A base URL by the name that the proxies alone know."""
    return server.base_url(wire).replace("127.0.0.1", PROVIDER)


def client_of(base_url: str, wire: str = "openai", **settings: Any) -> SteerLLMClient:
    """A client of a server that speaks this format."""
    made = ProviderSettings(**{"api_key": "k", "base_url": base_url, **settings})
    return SteerLLMClient(providers={wire: made})


async def leave_in_the_middle(server: LoopbackServer, base_url: str, **settings: Any) -> None:
    """Read a word, and leave: the server, which has more to say, sees the connection go."""
    async with client_of(base_url, **settings) as client:
        async with client.stream("Hi", "gpt-4o", streaming_options=ONCE) as texts:
            assert await anext(texts) == "Hello"
        await server.wait_for(lambda: server.connections.open == 0)


async def kill_in_the_middle(daemon: Daemon, base_url: str, **settings: Any) -> StreamingResponse:
    """Read a word, and end the proxy."""
    async with (
        client_of(base_url, **settings) as client,
        client.stream_events("Hi", "gpt-4o", streaming_options=KEPT) as stream,
    ):
        async for event in stream:
            if event.type == "delta":
                daemon.kill()
    return stream.response


async def ask(client: str, base_url: str, wire: str = "openai", **settings: Any) -> str:
    """The words of an answer, or what was raised."""
    return (await answer(client, base_url, wire, **settings)).get_text()


async def answer(
    client: str, base_url: str, wire: str = "openai", *, call: Any = None, **settings: Any
) -> StreamingResponse:
    """An answer, by the client of this kind."""
    providers = {wire: ProviderSettings(**{"api_key": "k", "base_url": base_url, **settings})}
    given = {"provider": wire, "streaming_options": ONCE, **(call or {})}
    if client == "blocking":
        return await asyncio.to_thread(_block, providers, WIRES[wire], given)
    async with SteerLLMClient(providers=providers) as made:
        return await made.generate("Hi", WIRES[wire], **given)


def _block(providers: Any, model: str, given: Any) -> StreamingResponse:
    with SyncSteerLLMClient(providers=providers) as made:
        return made.generate("Hi", model, **given)
