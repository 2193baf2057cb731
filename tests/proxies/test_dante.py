"""Streams through dante, a SOCKS proxy: with and without TLS, with a password, and refused.

Skipped without dante (Debian's packages ``dante-server`` and ``libnss-wrapper``), unless
``STEER_DEMANDS_PROXIES`` is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from steer_llm_sdk import ConnectError
from steer_llm_sdk.errors import ConnectionLostError, RequestTimeoutError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import LoopbackServer
from support.daemons import DANTE, PASSWORD, PROVIDER, USER, Daemon, dante, needs
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
    needs(DANTE, "dante-server libnss-wrapper"),
    pytest.mark.filterwarnings("ignore:.*plain http to"),
]

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Daemon]:
    with dante() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def guarded() -> Iterator[Daemon]:
    with dante(wants_password=True) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def closed() -> Iterator[Daemon]:
    with dante(refuses=True) as daemon:
        yield daemon


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wire", WIRES)
async def test_streams_with_tls_go_by_the_proxy(
    client: str, wire: str, proxy: Daemon, secure: LoopbackServer, authority: Authority
) -> None:
    url = named(secure, wire)

    found = await ask(client, url, wire, proxy=f"socks5://{proxy.place}", verify=authority.file)

    assert found == "".join(TEXT)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wire", WIRES)
async def test_streams_without_tls_go_by_the_proxy(
    client: str, wire: str, proxy: Daemon, plain: LoopbackServer
) -> None:
    # Nobody but the proxy knows the name.
    found = await ask(client, named(plain, wire), wire, proxy=f"socks5h://{proxy.place}")

    assert found == "".join(TEXT)


async def test_the_oldest_kind_takes_addresses(
    proxy: Daemon, secure: LoopbackServer, authority: Authority
) -> None:
    url = f"socks4://{proxy.place}"
    settings: Any = {"proxy": url, "verify": authority.file}

    assert await ask("async", secure.base_url("openai"), **settings) == "".join(TEXT)
    with pytest.raises(ConnectError, match=f"nobody here knows the name {PROVIDER}; socks4a"):
        await ask("async", named(secure, "openai"), **settings)


async def test_streams_one_after_another_share_a_connection(
    proxy: Daemon, secure: LoopbackServer, authority: Authority
) -> None:
    url = f"socks5://{proxy.place}"
    async with client_of(named(secure, "openai"), proxy=url, verify=authority.file) as client:
        for _ in range(3):
            await client.generate("Hi", "gpt-4o", streaming_options=ONCE)

    assert len(secure.requests) == 3
    assert secure.connections.opened == 1


async def test_the_environment_may_name_it(
    proxy: Daemon, secure: LoopbackServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://{proxy.place}")

    assert await ask("async", named(secure, "openai"), verify=authority.file) == "".join(TEXT)


# --- what is sent on, and when ------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_words_come_as_they_are_sent_and_leaving_is_noticed(
    scheme: str, proxy: Daemon, authority: Authority
) -> None:
    context = authority.server() if scheme == "https" else None
    async with LoopbackServer(UNFINISHED, ssl=context) as server:
        through: Any = {"proxy": f"socks5://{proxy.place}", "verify": authority.file}
        await leave_in_the_middle(server, named(server, "openai"), **through)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_dies_in_the_middle_is_a_broken_connection(
    scheme: str, authority: Authority
) -> None:
    context = authority.server() if scheme == "https" else None
    with dante() as proxy:
        async with LoopbackServer(UNFINISHED, ssl=context) as server:
            through: Any = {"proxy": f"socks5://{proxy.place}", "verify": authority.file}
            response = await kill_in_the_middle(proxy, named(server, "openai"), **through)

    assert isinstance(response.error, ConnectionLostError)
    assert response.get_text() == "Hello"


# --- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_password_is_shown_and_a_wrong_one_is_told(
    client: str, guarded: Daemon, secure: LoopbackServer, authority: Authority
) -> None:
    url, verify = named(secure, "openai"), authority.file
    right = f"socks5://{LOGIN}@{guarded.place}"
    assert await ask(client, url, proxy=right, verify=verify) == "".join(TEXT)

    for login, why in (
        ("", "it wants a user and password; the proxy's URL can hold them"),
        ("me:wr0ng@", "it does not take the user and password of the proxy's URL"),
    ):
        said = f"no connection to {PROVIDER} through the SOCKS proxy {guarded.place}: {why}"
        with pytest.raises(ConnectError, match=said) as caught:
            await ask(client, url, proxy=f"socks5://{login}{guarded.place}", verify=verify)
        assert "wr0ng" not in str(caught.value)
        assert not caught.value.is_retryable

    assert len(secure.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_rule_that_refuses_is_the_proxys(
    client: str, closed: Daemon, secure: LoopbackServer
) -> None:
    said = f"through the SOCKS proxy {closed.place}: its rules do not allow it"

    with pytest.raises(ConnectError, match=said) as caught:
        await ask(client, named(secure, "openai"), proxy=f"socks5://{closed.place}")

    assert not caught.value.is_retryable


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1:9/v1", "the server refused the connection"),
        ("https://nobody.test/v1", "it cannot reach the host, or does not know the name"),
    ],
)
async def test_a_server_that_the_proxy_does_not_reach_may_be_asked_again(
    url: str, why: str, proxy: Daemon
) -> None:
    with pytest.raises(ConnectError, match=why) as caught:
        await ask("async", url, proxy=f"socks5://{proxy.place}")

    assert caught.value.is_retryable


async def test_a_certificate_is_checked_behind_the_proxy_too(
    proxy: Daemon, secure: LoopbackServer
) -> None:
    with pytest.raises(ConnectError, match=r"certificate of provider\.test is not valid") as caught:
        await ask("async", named(secure, "openai"), proxy=f"socks5://{proxy.place}")

    assert not caught.value.is_retryable
    assert secure.requests == []


async def test_tls_that_is_never_answered_ends_with_its_time_limit(
    proxy: Daemon, plain: LoopbackServer
) -> None:
    """The library that opens the connection would wait on, whoever cancels it."""
    url = named(plain, "openai").replace("http:", "https:")
    options = StreamingOptions(max_retries=0, connect_timeout=0.3, total_timeout=20)
    async with client_of(url, proxy=f"socks5://{proxy.place}") as client:
        with pytest.raises(RequestTimeoutError, match=r"SOCKS proxy .* within 0\.3 s"):
            await client.generate("Hi", "gpt-4o", streaming_options=options)
    await plain.wait_for(lambda: plain.connections.open == 0)


# --- a proxy of another kind --------------------------------------------------------------------


async def test_what_is_no_http_proxy_is_told(proxy: Daemon, secure: LoopbackServer) -> None:
    said = f"no connection to {PROVIDER}: the proxy {proxy.place} closed the connection before"

    with pytest.raises(ConnectError, match=said):
        await ask("async", named(secure, "openai"), proxy=f"http://{proxy.place}")
