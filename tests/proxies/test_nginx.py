"""Streams through nginx before a provider: TLS, certificates of both sides, gzip, buffering.

Skipped without nginx (Debian's package ``nginx-light``), unless ``STEER_DEMANDS_PROXIES`` is set.
"""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk import ConnectError
from steer_llm_sdk.errors import (
    ConnectionLostError,
    IncompleteStreamError,
    InvalidRequestError,
    PermissionDeniedError,
    ServerError,
)
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script, Stall
from support.daemons import NGINX, Daemon, needs, nginx
from support.through import (
    CLIENTS,
    KEPT,
    ONCE,
    TEXT,
    UNFINISHED,
    WIRES,
    Authority,
    ask,
    client_of,
    kill_in_the_middle,
    leave_in_the_middle,
)

pytestmark = needs(NGINX, "nginx-light")

# How documentation tells people to pass streams on.
STREAMING = """
    proxy_pass http://provider;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
"""
GZIP = """
    gzip on; gzip_min_length 0; gzip_proxied any;
    gzip_types text/event-stream application/x-ndjson application/vnd.amazon.eventstream;
"""


def before(server: LoopbackServer, site: str = STREAMING, more: str = "", **given: Any) -> Any:
    """nginx before a server, whose connections it keeps."""
    upstream = f"upstream provider {{ server 127.0.0.1:{server.port}; keepalive 4; }}"
    return nginx(site, f"{upstream}\n{more}", **given)


def url_of(proxy: Daemon, wire: str, scheme: str = "http") -> str:
    path = "/v1" if wire == "openai" else ""
    return f"{scheme}://{proxy.place}{path}"


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("more", ["", GZIP], ids=["plain", "gzip"])
async def test_all_words_come_in_every_format(
    buffering: str, more: str, plain: LoopbackServer
) -> None:
    site = STREAMING.replace("buffering off", f"buffering {buffering}")
    call = {"extra_headers": {"accept-encoding": "gzip"}} if more else {}
    with before(plain, site, more) as proxy:
        for wire in WIRES:
            for client in CLIENTS:
                assert await ask(client, url_of(proxy, wire), wire, call=call) == "".join(TEXT)

    assert plain.connections.opened == 1  # its own way of keeping them


async def test_as_it_is_by_itself_all_words_come_too(plain: LoopbackServer) -> None:
    """HTTP/1.0 to the provider, everything buffered, every connection closed."""
    with before(plain, "proxy_pass http://provider;") as proxy:
        for wire in WIRES:
            assert await ask("async", url_of(proxy, wire), wire) == "".join(TEXT)


@pytest.mark.parametrize("more", ["", GZIP], ids=["plain", "gzip"])
async def test_words_come_as_they_are_sent_and_leaving_is_noticed(more: str) -> None:
    async with LoopbackServer(UNFINISHED) as server:
        with before(server, more=more) as proxy:
            await leave_in_the_middle(
                server, url_of(proxy, "openai"), headers={"accept-encoding": "gzip"}
            )


async def test_streams_one_after_another_share_a_connection(plain: LoopbackServer) -> None:
    with before(plain) as proxy:
        async with client_of(url_of(proxy, "openai")) as client:
            for _ in range(3):
                response = await client.generate("Hi", "gpt-4o", streaming_options=ONCE)
                assert response.get_text() == "".join(TEXT)

    assert plain.connections.opened == 1


# --- certificates -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


def tls(authority: Authority, protocol: str) -> str:
    certificate, key = authority.files
    return f"""
        ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_client_certificate {authority.file}; ssl_verify_client on;
        ssl_protocols {protocol};
    """


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
async def test_it_may_want_a_certificate(
    protocol: str, plain: LoopbackServer, authority: Authority, stranger: Authority
) -> None:
    with before(plain, more=tls(authority, protocol), listen="ssl") as proxy:
        for client in CLIENTS:
            for wire in WIRES:
                url = url_of(proxy, wire, "https")
                found = await ask(
                    client, url, wire, client_cert=authority.mine, verify=authority.file
                )
                assert found == "".join(TEXT)

            # nginx tells of it in a page of its own.
            url = url_of(proxy, "openai", "https")
            with pytest.raises(InvalidRequestError, match=r"400.*No required SSL cert"):
                await ask(client, url, verify=authority.file)
            with pytest.raises(InvalidRequestError, match=r"400.*The SSL certificate error"):
                await ask(client, url, client_cert=stranger.mine, verify=authority.file)
            with pytest.raises(ConnectError, match="is not valid: unable to get local issuer"):
                await ask(client, url, client_cert=authority.mine, verify=stranger.file)


# --- what goes wrong behind it ------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
async def test_nobody_behind_it_is_a_server_error(client: str, plain: LoopbackServer) -> None:
    with before(plain) as proxy:
        await plain.close()

        with pytest.raises(ServerError, match=r"openai \(502\): an HTML page: 502 Bad Gateway"):
            await ask(client, url_of(proxy, "openai"))


@pytest.mark.parametrize("client", CLIENTS)
async def test_no_answer_in_its_time_is_a_server_error(client: str) -> None:
    said = r"\(504\): an HTML page: 504 Gateway Time-out"
    async with LoopbackServer(Script(TEXT, faults=[Stall()])) as server:
        with (
            before(server, f"{STREAMING} proxy_read_timeout 100ms;") as proxy,
            pytest.raises(ServerError, match=said),
        ):
            await ask(client, url_of(proxy, "openai"))


@pytest.mark.parametrize("client", CLIENTS)
async def test_its_own_refusal_is_told_by_its_page(client: str, plain: LoopbackServer) -> None:
    said = r"\(403\): an HTML page: 403 Forbidden"
    with before(plain, "deny all;") as proxy, pytest.raises(PermissionDeniedError, match=said):
        await ask(client, url_of(proxy, "openai"))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_silence_that_it_does_not_bear_is_no_end(
    wire: str, buffering: str, version: str
) -> None:
    """It closes the connection: whatever had come is kept, and nothing is called complete."""
    site = STREAMING.replace("buffering off", f"buffering {buffering}").replace("1.1", version)
    async with LoopbackServer(UNFINISHED) as server:
        with before(server, f"{site} proxy_read_timeout 1s;") as proxy:  # also of the head
            async with client_of(url_of(proxy, wire), wire) as client:
                response = await client.generate(
                    "Hi", WIRES[wire], provider=wire, streaming_options=KEPT
                )

    assert isinstance(response.error, ConnectionLostError | IncompleteStreamError)
    assert response.get_text() == "Hello"
    assert not response.ok


async def test_it_dies_in_the_middle_of_a_stream() -> None:
    async with LoopbackServer(UNFINISHED) as server:
        with before(server) as proxy:
            response = await kill_in_the_middle(proxy, url_of(proxy, "openai"))

    assert isinstance(response.error, ConnectionLostError)
    assert response.get_text() == "Hello"


async def test_an_error_of_the_provider_comes_through_as_it_is() -> None:
    refusal = HTTPError(429, headers={"retry-after": "7"})
    async with LoopbackServer(Script(TEXT, faults=[refusal])) as server:
        with before(server, more=GZIP) as proxy:
            async with client_of(url_of(proxy, "openai")) as client:
                response = await client.generate("Hi", "gpt-4o", streaming_options=KEPT)

    assert response.error is not None
    assert getattr(response.error, "retry_after", None) == 7


# --- what it is not -----------------------------------------------------------------------------


async def test_what_is_no_socks_proxy_is_told(plain: LoopbackServer) -> None:
    with before(plain) as proxy:
        said = f"through the SOCKS proxy {proxy.place}: what answers there is no SOCKS proxy"

        with pytest.raises(ConnectError, match=said) as caught:
            await ask("async", "https://127.0.0.1:9/v1", proxy=f"socks5://{proxy.place}")

    assert not caught.value.is_retryable


async def test_what_makes_no_tunnels_is_told(plain: LoopbackServer) -> None:
    with before(plain) as proxy:
        said = f"the proxy {proxy.place} refused it with status 40[05]"

        with pytest.raises(ConnectError, match=said):
            await ask("async", "https://127.0.0.1:9/v1", proxy=proxy.place)
