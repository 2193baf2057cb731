"""The key and the password are nowhere, whatever goes wrong and however closely one looks.

Logging is at DEBUG, for asyncio's debug mode and the HTTP library too; what is looked through are
logs, warnings, messages, reprs, events, tracebacks, and the whole chain behind each error.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from steer_llm_sdk import ProviderSettings, SteerError, SteerLLMClient
from steer_llm_sdk.errors import ConfigurationError, ConnectError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.testing import (
    ErrorInStream,
    GarbageBody,
    GarbageStatus,
    HTTPError,
    LoopbackServer,
    ManualClock,
    ProxyAuthRequired,
    Redirect,
    Script,
    Stall,
)
from steer_llm_sdk.testing.scripts import Answering
from support.canary import KEY, PASSWORD, assert_nothing_tells, shown_of, shown_of_event
from support.canary import shown_of_log as shown_of_records
from support.every_format import MODELS
from support.fault_table import ROWS, Row
from support.tls import make_contexts

LOGIN = f"canary:{quote(PASSWORD, safe='')}"


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("asyncio", "aiohttp", "aiohttp.client", "steer_llm_sdk"):
        caplog.set_level(logging.DEBUG, logger=name)


@dataclass
class Seen:
    """What one call has shown of itself."""

    events: list[Any] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    error: BaseException | None = None

    def look(self, thing: object) -> None:
        self.shown += [repr(thing), str(thing)]

    def texts(self) -> Iterator[str]:
        yield from self.shown
        for event in self.events:
            yield from shown_of_event(event)
        if self.error is not None:
            yield from shown_of(self.error)


async def call(
    settings: ProviderSettings,
    provider: str = "openai",
    options: StreamingOptions | None = None,
    clock: ManualClock | None = None,
    **arguments: Any,
) -> Seen:
    """Make one call, and keep all that it shows; a `ManualClock` is moved until it ends."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0  # so that asyncio shows every callback that it runs
    seen = Seen()
    seen.look(settings)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with SteerLLMClient(providers={provider: settings}, clock=clock) as client:
            seen.look(client)
            work = client.stream_with_usage(
                "Hi", MODELS[provider], None, None, options, *([seen.events.append] * 4),
                provider=provider, **arguments,
            )  # fmt: skip
            task = asyncio.create_task(work)
            while clock is not None and not task.done():
                await asyncio.sleep(0)
                if clock.sleepers or _is_reading_for_long(clock):
                    await clock.advance(clock.next_in or 0)
            try:
                seen.look(await task)
            except SteerError as error:
                seen.error = error
                seen.look(error.partial_response)
            seen.look(client)
    seen.shown += [str(warning.message) for warning in warned]
    return seen


_spins: dict[int, int] = {}


def _is_reading_for_long(clock: ManualClock) -> bool:
    """Whether the loop has gone round so often that nothing more can be under way."""
    _spins[id(clock)] = _spins.get(id(clock), 0) + 1
    return _spins[id(clock)] % 2_000 == 0 and clock.next_in is not None


def assert_no_canary(seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    assert_nothing_tells(seen.texts())
    assert_nothing_tells(shown_of_records(caplog.records))


@asynccontextmanager
async def served(answers: Answering, provider: str = "openai", **fields: Any) -> Any:
    async with LoopbackServer(answers) as server:
        yield (
            server,
            ProviderSettings(
                base_url=server.base_url(provider), api_key=KEY, headers={"x-secret": KEY}, **fields
            ),
        )


# --- every fault of the table -----------------------------------------------------------------


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
async def test_no_fault_tells_the_key(row: Row, caplog: pytest.LogCaptureFixture) -> None:
    provider = list(MODELS)[ROWS.index(row) % len(MODELS)]
    clock = ManualClock() if row.stalls_with is None else None
    options = StreamingOptions(**row.options, max_retries=1)
    if row.stalls_with is not None:
        limits = {"first_event_timeout": 0.2, "idle_timeout": 0.2, "stall_timeout": 0.2}
        options = options.replace(**limits, max_retries=0)

    async with served(row.answers(), provider) as (server, settings):
        seen = await call(settings, provider, options, clock)

    assert any(KEY in str(request.headers) for request in server.requests)
    assert any(record.name == "asyncio" for record in caplog.records)
    assert_no_canary(seen, caplog)


# --- bodies that give the key back ------------------------------------------------------------

SAID = f"Incorrect API key provided: {KEY}. It is '{KEY}', is it not?"


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HTTPError(401, message=SAID), id="in an error's message"),
        pytest.param(HTTPError(401, body=f"<html><title>{SAID}".encode()), id="in a page"),
        pytest.param(HTTPError(500, body=SAID.encode()), id="in a plain text"),
        pytest.param(
            HTTPError(400, body=f'{{"error":{{"code":"{KEY}","message":"x"}}}}'.encode()),
            id="as the code",
        ),
        pytest.param(
            HTTPError(400, headers={"x-request-id": KEY, "request-id": KEY}), id="as the request id"
        ),
        pytest.param(HTTPError(200, body=f"<html>{SAID}".encode()), id="in a page that is a 200"),
        pytest.param(HTTPError(407, message=SAID, body="html"), id="in a proxy's page"),
        pytest.param(ErrorInStream(0, message=SAID), id="inside a stream"),
        pytest.param(ErrorInStream(1, message=SAID), id="inside a stream, after a delta"),
        pytest.param(GarbageBody(f"data: {{{KEY}\n\n{KEY}\n".encode(), after=1), id="in garbage"),
        pytest.param(GarbageStatus(f"{KEY} is no status\r\n\r\n".encode()), id="in a status line"),
        pytest.param(
            GarbageStatus(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode()), id="in a bad header"
        ),
        pytest.param(Redirect(f"http://127.0.0.1:9/?key={KEY}"), id="in a redirect"),
    ],
)
async def test_a_provider_that_gives_the_key_back_is_not_quoted(
    answer: Any, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(answer, provider) as (_, settings):
        seen = await call(settings, provider, StreamingOptions(max_retries=1), ManualClock())

    assert seen.error is not None
    assert_no_canary(seen, caplog)


# --- proxies and passwords --------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_refuses_does_not_make_its_password_known(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with LoopbackServer(ProxyAuthRequired()) as proxy:
        settings = ProviderSettings(
            base_url=f"{scheme}://api.example/v1",
            api_key=KEY,
            proxy=f"http://{LOGIN}@127.0.0.1:{proxy.port}",
        )
        seen = await call(settings)

    assert isinstance(seen.error, ConnectError)
    assert "407" in str(seen.error)
    assert not seen.error.is_retryable
    assert len(proxy.requests) == 1
    assert_no_canary(seen, caplog)


async def test_a_proxy_that_is_not_there_does_not_make_its_password_known(
    caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    settings = ProviderSettings(
        base_url="https://api.example/v1",
        api_key=KEY,
        proxy=f"http://{LOGIN}@127.0.0.1:{unused_tcp_port}",
    )

    seen = await call(settings, clock=ManualClock())

    assert isinstance(seen.error, ConnectError)
    assert f"the proxy 127.0.0.1:{unused_tcp_port} before api.example" in str(seen.error)
    assert_no_canary(seen, caplog)


async def test_a_password_in_a_base_url_is_used_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with LoopbackServer([HTTPError(500), Script()]) as server:
        settings = ProviderSettings(base_url=f"http://{LOGIN}@127.0.0.1:{server.port}/v1")
        seen = await call(settings, clock=ManualClock())

    assert seen.error is None
    assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert any("holds a user or password" in text for text in seen.shown)
    assert_no_canary(seen, caplog)


@pytest.mark.parametrize(
    "proxy", [f"http://{LOGIN}@127.0.0.1:no-port", f"socks9://{LOGIN}@127.0.0.1:1", LOGIN]
)
async def test_a_proxy_that_is_no_url_is_not_shown(
    proxy: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ProviderSettings(base_url="https://api.example/v1", api_key=KEY, proxy=proxy)

    seen = await call(settings, clock=ManualClock())

    assert isinstance(seen.error, ConfigurationError)
    assert_no_canary(seen, caplog)


# --- TLS, limits, leaving, callbacks ----------------------------------------------------------


async def test_a_certificate_that_is_not_trusted_gets_no_key(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    serving, _ = make_contexts(tmp_path)
    async with LoopbackServer(ssl=serving) as server:
        settings = ProviderSettings(base_url=server.base_url(), api_key=KEY)
        seen = await call(settings)

    assert isinstance(seen.error, ConnectError)
    assert not seen.error.is_retryable
    assert server.requests == []
    assert_no_canary(seen, caplog)


async def test_a_call_that_is_cancelled_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with served(Stall(after=1)) as (server, settings):
        task = asyncio.create_task(call(settings))
        await server.wait_for(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task

    seen = Seen(error=caught.value)
    assert_no_canary(seen, caplog)


@pytest.mark.parametrize("raises", [False, True])
async def test_a_callback_that_raises_tells_nothing(
    raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Any) -> None:
        raise ValueError(event)

    seen = Seen()
    options = StreamingOptions(raise_callback_errors=raises)
    async with (
        served(Script()) as (_, settings),
        SteerLLMClient(providers={"openai": settings}) as client,
    ):
        try:
            response = await client.stream_with_usage(
                "Hi", "gpt-4o", streaming_options=options, on_delta=fail
            )
            seen.look(response)
        except SteerError as error:
            seen.error = error

    assert (seen.error is not None) == raises
    assert_no_canary(seen, caplog)


async def test_a_key_that_no_header_can_hold_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    settings = ProviderSettings(base_url="http://127.0.0.1:1/v1", api_key=f"{KEY}\n{KEY}")

    seen = await call(settings)

    assert isinstance(seen.error, ConfigurationError)
    assert_no_canary(seen, caplog)


def test_what_holds_a_key_does_not_show_it() -> None:
    url = f"https://{LOGIN}@api.example/v1?key={quote(KEY, safe='')}"
    things = [
        ProviderSettings(api_key=KEY, base_url=url, headers={"a": KEY}, proxy=url),
        Endpoint("openai", "https://api.example/v1", KEY, {"a": KEY}),
        HTTPRequest("https://api.example/v1", KEY.encode(), {"authorization": KEY}, proxy=url),
        SteerLLMClient(KEY, KEY, KEY, providers={"openai": ProviderSettings(api_key=KEY)}),
    ]

    assert_nothing_tells(f"{thing!r} {thing!s}" for thing in things)
    assert "https://api.example/v1" in repr(things[0])
