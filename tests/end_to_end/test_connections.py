"""Certificates of both sides and SOCKS proxies, on real sockets."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from steer_llm_sdk import ConfigurationError, ConnectError, ProviderSettings, SteerLLMClient
from steer_llm_sdk.config import clean_proxy
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


def hash_of(certificate: Path) -> str:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the command openssl is not installed")
    asked = [program, "x509", "-hash", "-noout", "-in", str(certificate)]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


async def test_a_folder_of_certificates_is_taken(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL finds those alone that are named by a hash."""
    (tmp_path / f"{hash_of(authority.file)}.0").write_bytes(authority.file.read_bytes())

    async with LoopbackServer(HELLO, ssl=authority.server()) as server:
        assert await ask(server, verify=tmp_path) == "Hello"


async def refusal_of(**settings: Any) -> str:
    """What is said of settings that cannot be used."""
    client = SteerLLMClient("k", providers={"openai": ProviderSettings(**settings)})
    with pytest.raises(ConfigurationError) as caught:
        await client.generate("Hi", "gpt-4o")
    return str(caught.value)


async def test_a_folder_in_which_nothing_is_found_is_refused(authority: Authority) -> None:
    assert "run 'openssl rehash' on it" in await refusal_of(verify=authority.folder)


@pytest.mark.parametrize(
    ("word", "instead"),
    [("true", "True"), ("YES", "True"), ("1", "True"), ("false", "False"), ("off", "False")],
)
async def test_a_word_from_a_file_of_settings_is_told_what_to_be(word: str, instead: str) -> None:
    assert (await refusal_of(verify=word)).endswith(f"found {word!r}: write {instead}")


async def test_a_context_for_servers_is_refused(authority: Authority) -> None:
    assert "found one for servers" in await refusal_of(verify=authority.server())


async def test_a_home_is_found(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(authority.folder))

    async with LoopbackServer(HELLO, ssl=authority.server()) as server:
        assert await ask(server, verify="~/ca.pem", client_cert="~/client.pem") == "Hello"


@pytest.mark.parametrize(
    ("host", "is_old", "found"),
    [
        ("127.0.0.1", True, "certificate has expired"),
        ("other.example", False, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
async def test_what_is_not_valid_of_a_certificate_is_told(
    authority: Authority, host: str, found: str, *, is_old: bool
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    dates: Any = {"not_before": datetime(2019, 1, 1), "not_after": datetime(2020, 1, 1)}  # noqa: DTZ001
    authority.ca.issue_cert(host, **(dates if is_old else {})).configure_cert(context)

    async with LoopbackServer(HELLO, ssl=context) as server:
        with pytest.raises(ConnectError, match=f"127.* is not valid: {found}") as caught:
            await ask(server, verify=authority.file)

    assert not caught.value.is_retryable


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


def encrypted(key: Path, password: bytes) -> bytes:
    known = serialization.load_pem_private_key(key.read_bytes(), None)
    return known.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )


async def test_what_is_wrong_with_a_certificate_is_told(authority: Authority) -> None:
    certificate, key = authority.certificate, authority.key
    locked, other = authority.folder / "locked.key", authority.folder / "other.key"
    locked.write_bytes(encrypted(key, b"geheim"))
    trustme.CA().issue_cert("x.example").private_key_pem.write_to_path(str(other))
    wrong: list[tuple[Any, str]] = [
        ((key, certificate), "there is no certificate (PEM) in the first"),
        ((certificate, certificate), "no key (PEM) in the second"),
        (certificate, "there is no key (PEM) in it"),
        ((certificate, other), "the key is that of another certificate"),
        ((certificate, locked), "the key's password is missing"),
        ((certificate, locked, "geheimer"), "the key's password is another"),
        ((certificate, "geheim"), f"found {str(certificate)!r}, something: the second is no file"),
        (authority.folder, "Is a directory"),
    ]

    for given, found in wrong:
        said = await refusal_of(client_cert=given)
        assert said.endswith(found)
        assert "geheim" not in said

    async with LoopbackServer(HELLO, ssl=authority.server(wants_certificate=True)) as server:
        shown = (certificate, locked, "geheim")
        assert await ask(server, verify=authority.file, client_cert=shown) == "Hello"


class AlertingServer:
    """Wants a certificate, and says by TLS what it does not like, as most servers do."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        accepted, _ = self._listening.accept()
        with self._context.wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        ) as connection:
            with suppress(ssl.SSLError):
                connection.do_handshake()
            connection.shutdown(socket.SHUT_WR)  # from here on it is a plain socket
            with suppress(OSError):
                while connection.recv(65536):
                    pass

    def __enter__(self) -> str:
        self._thread.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listening.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_that_the_server_refuses_or_misses_is_told(
    version: ssl.TLSVersion, authority: Authority, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().issue_cert("me@x.example").private_key_and_cert_chain_pem.write_to_path(
        str(stranger)
    )
    context = authority.server(wants_certificate=True)
    context.minimum_version = context.maximum_version = version

    for shown in (None, stranger):
        with AlertingServer(context) as url:
            settings = ProviderSettings(base_url=url, verify=authority.file, client_cert=shown)
            async with SteerLLMClient("k", providers={"openai": settings}) as client:
                with pytest.raises(ConnectError, match="refused the certificate of th") as caught:
                    await client.generate("Hi", "gpt-4o", streaming_options=ONCE)
        assert "ProviderSettings(client_cert=…)" in str(caught.value)
        assert not caught.value.is_retryable


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


async def test_what_a_plain_proxy_passes_on_is_the_servers_answer() -> None:
    """Without TLS a proxy is sent the whole address: whoever answers is taken for the server."""
    async with LoopbackServer(HELLO) as proxy:
        found = await ask(proxy, base_url="http://127.0.0.9:9/v1", proxy=proxy.url)

    assert found == "Hello"


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


def test_socks_4_takes_a_user_alone() -> None:
    """It has no passwords: https://www.openssh.com/txt/socks4.protocol."""
    assert clean_proxy("socks4://me@127.0.0.1:9", "p") == "socks4://me@127.0.0.1:9"


@pytest.mark.parametrize("login", ["me", "me:", ":secret", "m%C3%A9:secret", f"me:{'x' * 256}"])
async def test_a_login_that_socks_cannot_carry_is_refused(login: str) -> None:
    said = await refusal_of(proxy=f"socks5://{login}@127.0.0.1:9")

    assert "expected the user and password of a socks5 proxy to be both there, in ASCII" in said
    assert "secret" not in said


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
