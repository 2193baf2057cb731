"""Certificates of both sides and SOCKS proxies, on real sockets."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from steer_llm_sdk import ConfigurationError, ConnectError, ProviderSettings, SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import LoopbackServer, Script

ONCE = StreamingOptions(max_retries=0, connect_timeout=5)
HELLO = Script(["Hello"])


class Authority:
    """A certificate authority of one's own, and the files that it writes."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.file))
        mine = self.ca.issue_cert("client@example.com")
        self.both = folder / "client.pem"
        mine.private_key_and_cert_chain_pem.write_to_path(str(self.both))
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        mine.cert_chain_pems[0].write_to_path(str(self.certificate))
        mine.private_key_pem.write_to_path(str(self.key))

    def server(self, *, wants_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert("127.0.0.1").configure_cert(context)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


async def ask(server: LoopbackServer, **settings: Any) -> str:
    settings = {"base_url": server.base_url("openai"), **settings}
    async with SteerLLMClient("k", providers={"openai": ProviderSettings(**settings)}) as client:
        response = await client.generate("Hi", "gpt-4o", streaming_options=ONCE)
    return response.get_text()


# --- the server's certificate -------------------------------------------------------------------


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(authority: Authority) -> None:
    async with LoopbackServer(HELLO, ssl=authority.server()) as server:
        with pytest.raises(ConnectError, match=r"the certificate of 127\.0\.0\.1 is not valid"):
            await ask(server)


@pytest.mark.parametrize("kind", ["path", "text", "context", "off"])
async def test_whom_to_trust_can_be_said(authority: Authority, kind: str) -> None:
    verify: Any = {
        "path": authority.file,
        "text": str(authority.file),
        "context": ssl.create_default_context(cafile=str(authority.file)),
        "off": False,
    }[kind]

    async with LoopbackServer(HELLO, ssl=authority.server()) as server:
        assert await ask(server, verify=verify) == "Hello"


@pytest.mark.parametrize("name", ["nowhere.pem", "key.pem"])
async def test_a_file_that_holds_no_certificates_is_refused(
    authority: Authority, name: str
) -> None:
    settings = ProviderSettings(verify=authority.folder / name)
    client = SteerLLMClient("k", providers={"openai": settings})

    with pytest.raises(ConfigurationError, match=f"openai: verify: .*found .*{name}") as caught:
        await client.generate("Hi", "gpt-4o")

    assert caught.value.__context__ is None


async def test_a_folder_of_certificates_is_taken(authority: Authority) -> None:
    settings = ProviderSettings(verify=authority.folder, base_url="https://127.0.0.1:9/v1")
    client = SteerLLMClient("k", providers={"openai": settings})

    with pytest.raises(ConnectError):  # nobody is there: the folder was read
        await client.generate("Hi", "gpt-4o", streaming_options=ONCE)


@pytest.mark.parametrize("verify", [5, "", None])
async def test_what_is_neither_is_refused(verify: Any) -> None:
    client = SteerLLMClient("k", providers={"openai": ProviderSettings(verify=verify)})

    with pytest.raises(ConfigurationError, match=r"verify: expected True, False, a path or an ssl"):
        await client.generate("Hi", "gpt-4o")


# --- this side's certificate --------------------------------------------------------------------


async def test_a_server_may_want_a_certificate(authority: Authority) -> None:
    context = authority.server(wants_certificate=True)
    async with LoopbackServer(HELLO, ssl=context) as server:
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            await ask(server, verify=authority.file)

        for shown in (authority.both, (authority.certificate, str(authority.key))):
            assert await ask(server, verify=authority.file, client_cert=shown) == "Hello"
        assert await ask(server, verify=False, client_cert=str(authority.both)) == "Hello"


@pytest.mark.parametrize("name", ["nowhere.pem", "ca.pem"])
async def test_a_certificate_that_cannot_be_shown_is_refused(
    authority: Authority, name: str
) -> None:
    settings = ProviderSettings(client_cert=authority.folder / name)
    client = SteerLLMClient("k", providers={"openai": settings})

    with pytest.raises(ConfigurationError, match=f"openai: client_cert: expected .*{name}"):
        await client.generate("Hi", "gpt-4o")


@pytest.mark.parametrize("given", [5, (), ("a", "b", "c", "d"), ""])
async def test_what_is_no_certificate_is_refused(given: Any) -> None:
    client = SteerLLMClient("k", providers={"openai": ProviderSettings(client_cert=given)})

    with pytest.raises(ConfigurationError, match="client_cert: expected a path, or "):
        await client.generate("Hi", "gpt-4o")


# --- SOCKS --------------------------------------------------------------------------------------


class SocksServer:
    """A SOCKS5 proxy: as much of RFC 1928 and RFC 1929 as a client of ours asks of one."""

    def __init__(self, login: bytes | None = None, refusal: int = 0) -> None:
        self.login = login
        self.refusal = refusal
        self.asked: list[tuple[str, int]] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SocksServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await self._greet(reader, writer):
                await self._connect(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x02" if self.login else b"\x05\x00")
        if self.login is None:
            return True
        await reader.readexactly(1)
        user = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        is_right = user + b":" + password == self.login
        writer.write(b"\x01\x00" if is_right else b"\x01\x01")
        return is_right

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        *_, kind = await reader.readexactly(4)
        if kind == 1:
            host = ".".join(str(byte) for byte in await reader.readexactly(4))
        else:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        self.asked.append((host, port))
        writer.write(bytes([5, self.refusal, 0, 1]) + bytes(6))
        if self.refusal:
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_streams_go_through_a_socks_proxy(scheme: str) -> None:
    async with LoopbackServer([HELLO, HELLO]) as server, SocksServer().running() as socks:
        base_url = server.base_url("openai").replace("127.0.0.1", "localhost")
        settings = ProviderSettings(base_url=base_url, proxy=f"{scheme}://{socks.url}")
        async with SteerLLMClient("k", providers={"openai": settings}) as client:
            for _ in range(2):
                response = await client.generate("Hi", "gpt-4o", streaming_options=ONCE)
                assert response.get_text() == "Hello"

    # The proxy resolves the name; the second stream took the connection of the first.
    assert [host for host, _ in socks.asked] == ["localhost"]


async def test_tls_goes_through_a_socks_proxy(authority: Authority) -> None:
    async with (
        LoopbackServer(HELLO, ssl=authority.server()) as server,
        SocksServer().running() as socks,
    ):
        found = await ask(server, verify=authority.file, proxy=f"socks5://{socks.url}")

    assert found == "Hello"
    assert len(socks.asked) == 1


async def test_a_socks_proxy_may_want_a_password() -> None:
    async with LoopbackServer(HELLO) as server, SocksServer(b"me:se/cret").running() as socks:
        assert await ask(server, proxy=f"socks5://me:se%2Fcret@{socks.url}") == "Hello"

        with pytest.raises(ConnectError, match="it does not take the user and pass") as caught:
            await ask(server, proxy=f"socks5://me:wrong-password@{socks.url}")

    assert "wrong-password" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_a_socks_proxy_that_refuses_or_is_not_there_is_named() -> None:
    async with LoopbackServer(HELLO) as server:
        async with SocksServer(refusal=5).running() as socks:
            with pytest.raises(
                ConnectError, match=f"the SOCKS proxy {socks.url}: the server refused"
            ):
                await ask(server, proxy=f"socks5://{socks.url}")
        with pytest.raises(ConnectError, match=r"SOCKS proxy 127\.0\.0\.1:9: it cannot be reached"):
            await ask(server, proxy="socks5://127.0.0.1:9")


async def test_the_environment_may_name_a_socks_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LoopbackServer(HELLO) as server, SocksServer().running() as socks:
        monkeypatch.setenv("ALL_PROXY", f"socks5://{socks.url}")
        monkeypatch.setattr(
            "steer_llm_sdk.transport.http.proxy_of_environment",
            lambda _url: f"socks5://{socks.url}",  # this machine itself is never asked through one
        )

        assert await ask(server) == "Hello"

    assert len(socks.asked) == 1


async def test_without_its_library_a_socks_proxy_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steer_llm_sdk.config.find_spec", lambda _name: None)
    settings = ProviderSettings(proxy="socks5://127.0.0.1:9")
    client = SteerLLMClient("k", providers={"openai": settings})

    with pytest.raises(ConfigurationError, match=r"needs the extra 'socks' .*steer-llm-sdk\[socks"):
        await client.generate("Hi", "gpt-4o")
