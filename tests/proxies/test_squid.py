"""Streams through squid, an HTTP proxy: with and without TLS, with a password, and refused.

Skipped without squid (Debian's package ``squid``), unless ``STEER_DEMANDS_PROXIES`` is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from steer_llm_sdk import ConnectError
from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.testing import LoopbackServer, Script
from support.daemons import PASSWORD, SQUID, USER, Daemon, needs, squid
from support.through import (
    CLIENTS,
    ONCE,
    TEXT,
    UNFINISHED,
    WIRES,
    Authority,
    ask,
    client_of,
    kill_in_the_middle,
    leave_in_the_middle,
    named,
)

pytestmark = [
    needs(SQUID, "squid"),
    pytest.mark.filterwarnings("ignore:.*plain http to"),
]

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"

RULES = """
    acl closed dstdomain closed.test
    http_access deny closed
    http_access allow all
"""


@pytest.fixture(scope="module")
def proxy() -> Iterator[Daemon]:
    with squid(RULES) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def guarded() -> Iterator[Daemon]:
    with squid("http_access allow everybody_known\nhttp_access deny all") as daemon:
        yield daemon


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wire", WIRES)
async def test_streams_go_through_a_tunnel(
    client: str, wire: str, proxy: Daemon, secure: LoopbackServer, authority: Authority
) -> None:
    url = named(secure, wire)

    found = await ask(client, url, wire, proxy=f"http://{proxy.place}", verify=authority.file)

    assert found == "".join(TEXT)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wire", WIRES)
async def test_streams_without_tls_go_by_the_proxy(
    client: str, wire: str, proxy: Daemon, plain: LoopbackServer
) -> None:
    found = await ask(client, named(plain, wire), wire, proxy=proxy.place)

    assert found == "".join(TEXT)
    assert "squid.test" in plain.requests[0].headers["via"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_proxy_itself_may_speak_tls(
    client: str, secure: LoopbackServer, authority: Authority
) -> None:
    with squid(certificate=authority.files) as proxy:
        url = f"https://{proxy.place}"
        found = await ask(client, named(secure, "openai"), proxy=url, verify=authority.file)
        assert found == "".join(TEXT)

        said = rf"the certificate of the proxy {proxy.place} before provider\.test is not valid"
        with pytest.raises(ConnectError, match=said):
            await ask(client, named(secure, "openai"), proxy=url)


async def test_streams_one_after_another_share_a_tunnel(
    proxy: Daemon, secure: LoopbackServer, authority: Authority
) -> None:
    async with client_of(
        named(secure, "openai"), proxy=proxy.place, verify=authority.file
    ) as client:
        for _ in range(3):
            await client.generate("Hi", "gpt-4o", streaming_options=ONCE)

    assert len(secure.requests) == 3
    assert secure.connections.opened == 1


async def test_the_environment_may_name_it(
    proxy: Daemon,
    secure: LoopbackServer,
    plain: LoopbackServer,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.place)  # many write it without a scheme
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.place}")

    assert await ask("async", named(secure, "openai"), verify=authority.file) == "".join(TEXT)
    assert await ask("async", named(plain, "openai")) == "".join(TEXT)

    monkeypatch.setenv("NO_PROXY", f".test:{secure.port}")
    with pytest.raises(ConnectError, match=r"no connection to provider\.test: "):
        await ask("async", named(secure, "openai"), verify=authority.file)
    assert await ask("async", named(plain, "openai")) == "".join(TEXT)


# --- what is sent on, and when ------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_words_come_as_they_are_sent_and_leaving_is_noticed(
    scheme: str, proxy: Daemon, authority: Authority
) -> None:
    context = authority.server() if scheme == "https" else None
    async with LoopbackServer(UNFINISHED, ssl=context) as server:
        through: Any = {"proxy": proxy.place, "verify": authority.file}
        await leave_in_the_middle(server, named(server, "openai"), **through)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_dies_in_the_middle_is_a_broken_connection(
    scheme: str, authority: Authority
) -> None:
    context = authority.server() if scheme == "https" else None
    with squid() as proxy:
        async with LoopbackServer(UNFINISHED, ssl=context) as server:
            through: Any = {"proxy": proxy.place, "verify": authority.file}
            response = await kill_in_the_middle(proxy, named(server, "openai"), **through)

    assert isinstance(response.error, ConnectionLostError)
    assert response.get_text() == "Hello"


# --- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_password_is_shown_and_a_wrong_one_is_told(
    client: str, scheme: str, guarded: Daemon, authority: Authority
) -> None:
    context = authority.server() if scheme == "https" else None
    async with LoopbackServer(Script(TEXT), ssl=context) as server:
        url = named(server, "openai")
        right = f"http://{LOGIN}@{guarded.place}"
        assert await ask(client, url, proxy=right, verify=authority.file) == "".join(TEXT)

        for login, why in (
            ("", "it wants a user and password; the proxy's URL can hold them"),
            ("me:wr0ng@", "it does not take the user and password of the proxy's URL"),
        ):
            with pytest.raises(ConnectError, match=f"refused it with status 407: {why}") as caught:
                await ask(
                    client, url, proxy=f"http://{login}{guarded.place}", verify=authority.file
                )
            assert f"the proxy {guarded.place}" in str(caught.value)
            assert "wr0ng" not in str(caught.value)
            assert not caught.value.is_retryable

    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_rule_that_refuses_is_the_proxys(client: str, scheme: str, proxy: Daemon) -> None:
    said = rf"closed\.test: the proxy {proxy.place} refused it with status 403 \(ERR_ACCESS_DENIED"

    with pytest.raises(ConnectError, match=said) as caught:
        await ask(client, f"{scheme}://closed.test/v1", proxy=proxy.place)

    assert not caught.value.is_retryable


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_that_the_proxy_does_not_reach_may_be_asked_again(
    client: str, scheme: str, proxy: Daemon
) -> None:
    said = r"the proxy .* refused it with status 503 \(ERR_CONNECT_FAIL\)"

    with pytest.raises(ConnectError, match=said) as caught:
        await ask(client, f"{scheme}://127.0.0.1:9/v1", proxy=proxy.place)

    assert caught.value.is_retryable


async def test_a_certificate_is_checked_behind_the_proxy_too(
    proxy: Daemon, secure: LoopbackServer
) -> None:
    with pytest.raises(ConnectError, match=r"certificate of provider\.test is not valid: .*issuer"):
        await ask("async", named(secure, "openai"), proxy=proxy.place)

    assert secure.requests == []


# --- a proxy of another kind --------------------------------------------------------------------


async def test_no_tls_to_a_proxy_that_speaks_none(proxy: Daemon, secure: LoopbackServer) -> None:
    said = rf"no TLS connection to the proxy {proxy.place} before provider\.test"

    with pytest.raises(ConnectError, match=said):
        await ask("async", named(secure, "openai"), proxy=f"https://{proxy.place}")
