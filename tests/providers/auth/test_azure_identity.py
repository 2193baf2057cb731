"""Tokens of Entra's, by azure-identity itself: fetched, expiring, refused, and nowhere to be."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import aio as identity
from azure.identity import get_bearer_token_provider as get_plain_provider
from azure.identity.aio import get_bearer_token_provider

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.calls import keys
from steer_llm_sdk.errors import AuthenticationError, MissingAPIKeyError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script

SCOPE = "https://cognitiveservices.azure.com/.default"
QUICK = StreamingOptions(max_retries=1)
BUSY = HTTPError(500, headers={"retry-after-ms": "1"})


def token(name: str) -> str:
    """A token as Entra makes them: three parts, of which the first is JSON."""
    return f"eyJ0eXAiOiJKV1Qi.{name}-of-the-tests.c2ln"


@dataclass
class Login:
    """An `AsyncTokenCredential` with these tokens, one after another; an error is raised."""

    tokens: list[str | Exception]
    seconds: float = 3600
    scopes: list[str] = field(default_factory=list)

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        found = self.tokens.pop(0)
        if isinstance(found, Exception):
            raise found
        return AccessToken(token(found), int(time.time() + self.seconds))

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class PlainLogin:
    """A `TokenCredential`: its tokens are fetched in a thread."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return AccessToken(token("plain"), int(time.time() + 3600))


def client_of(server: LoopbackServer, ask: Callable[[], Any]) -> SteerLLMClient:
    names = ("azure", "azure-responses")
    settings = {name: ProviderSettings(base_url=server.url, api_key=ask) for name in names}
    return SteerLLMClient(providers=settings)


def sent(server: LoopbackServer) -> Sequence[str]:
    assert not any("api-key" in request.headers for request in server.requests)
    return [request.headers["authorization"] for request in server.requests]


@pytest.mark.parametrize("provider", ["azure", "azure-responses"])
async def test_a_token_goes_as_a_bearer(provider: str) -> None:
    login = Login(["first"])
    async with (
        LoopbackServer(Script(["Hello"])) as server,
        client_of(server, get_bearer_token_provider(login, SCOPE)) as client,
    ):
        for _ in range(2):
            await client.generate("Hi", f"{provider}:my-gpt")

    assert sent(server) == [f"Bearer {token('first')}"] * 2  # the library keeps it until it expires
    assert login.scopes == [SCOPE]


async def test_a_plain_login_is_asked_in_a_thread() -> None:
    ask = get_plain_provider(PlainLogin(), SCOPE)
    async with LoopbackServer(Script(["Hello"])) as server, client_of(server, ask) as client:
        await client.generate("Hi", "azure:my-gpt")

    assert sent(server) == [f"Bearer {token('plain')}"]


async def test_a_token_that_expires_while_it_is_retried_is_fetched_anew() -> None:
    login = Login(["first", "second"], seconds=1)
    async with (
        LoopbackServer([BUSY, Script(["Hello"])]) as server,
        client_of(server, get_bearer_token_provider(login, SCOPE)) as client,
    ):
        response = await client.generate("Hi", "azure:my-gpt", streaming_options=QUICK)

    assert response.get_text() == "Hello"
    assert sent(server) == [f"Bearer {token(name)}" for name in ("first", "second")]


async def test_a_token_that_was_refused_is_fetched_anew_and_none_of_them_is_told() -> None:
    refusal = HTTPError(401, message=f"not {token('first')}, and not {token('second')}")
    login = Login(["first", "second"], seconds=1)
    async with (
        LoopbackServer([HTTPError(401), refusal]) as server,
        client_of(server, get_bearer_token_provider(login, SCOPE)) as client,
    ):
        with pytest.raises(AuthenticationError, match=r"not \[key\], and not \[key\]") as caught:
            await client.generate("Hi", "azure:my-gpt")

    assert len(server.requests) == 2
    assert "of-the-tests" not in repr(vars(caught.value))


async def test_a_login_that_fails_before_the_stream_is_a_key_that_is_missing() -> None:
    login = Login([ClientAuthenticationError(message="AADSTS7000215: secret-of-the-login")])
    async with (
        LoopbackServer() as server,
        client_of(server, get_bearer_token_provider(login, SCOPE)) as client,
    ):
        with pytest.raises(MissingAPIKeyError, match="raised ClientAuthenticationError") as caught:
            await client.generate("Hi", "azure:my-gpt")

    assert not server.requests
    assert "secret-of-the-login" not in f"{caught.value!r} {caught.value.__context__!r}"


async def test_a_login_that_ends_while_it_is_retried_is_a_refusal() -> None:
    login = Login(["first", ClientAuthenticationError(message="the session has ended")], seconds=1)
    async with (
        LoopbackServer([BUSY]) as server,
        client_of(server, get_bearer_token_provider(login, SCOPE)) as client,
    ):
        with pytest.raises(AuthenticationError, match="raised ClientAuthenticationError"):
            await client.generate("Hi", "azure:my-gpt", streaming_options=QUICK)

    assert len(server.requests) == 1


async def test_a_login_that_is_not_configured_is_told() -> None:
    credential = identity.EnvironmentCredential()  # there is nothing in the environment
    async with (
        LoopbackServer() as server,
        client_of(server, get_bearer_token_provider(credential, SCOPE)) as client,
    ):
        with pytest.raises(MissingAPIKeyError, match=r"azure: .* raised CredentialUnavailable"):
            await client.generate("Hi", "azure:my-gpt")
    await credential.close()


# --- the metadata service of a machine ------------------------------------------------------------


@asynccontextmanager
async def metadata_service(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> AsyncIterator[list[str]]:
    """What App Service has beside each program; None: it never answers."""
    asked: list[str] = []
    released = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if answer is None:
            await released.wait()
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        writer.write(f"{head}{len(answer or b'')}\r\n\r\n".encode() + (answer or b""))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "the-header")
        yield asked
        released.set()


async def test_the_identity_of_a_machine_is_asked_for_its_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    until = int(time.time() + 3600)
    given = {"access_token": token("machine"), "expires_on": until, "resource": SCOPE}
    async with (
        metadata_service(monkeypatch, json.dumps(given).encode()) as asked,
        identity.ManagedIdentityCredential() as credential,
        LoopbackServer(Script(["Hello"])) as server,
        client_of(server, get_bearer_token_provider(credential, SCOPE)) as client,
    ):
        await client.generate("Hi", "azure:my-gpt")

    assert sent(server) == [f"Bearer {token('machine')}"]
    assert "resource=https" in asked[0]


async def test_a_metadata_service_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "_MAX_SECONDS", 0.05)
    async with (
        metadata_service(monkeypatch, None) as asked,
        identity.ManagedIdentityCredential() as credential,
        LoopbackServer() as server,
        client_of(server, get_bearer_token_provider(credential, SCOPE)) as client,
    ):
        with pytest.raises(MissingAPIKeyError, match=r"gave nothing within 0\.05 seconds"):
            await client.generate("Hi", "azure:my-gpt")

    assert not server.requests
    assert len(asked) <= 1
