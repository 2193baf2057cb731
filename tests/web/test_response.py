"""`respond`, under a real server: what goes over HTTP, disconnects, back-pressure, resuming."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response
from uvicorn.importer import ImportFromStringError

from steer_llm_sdk import ConfigurationError, MissingAPIKeyError, ProviderSettings, SteerLLMClient
from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.ports import EventSource
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall, Stall
from steer_llm_sdk.web import Protocol, respond
from support.asgi import USUAL, serving
from support.encoded import parse
from support.journals import STREAM, Fed, Producing, read, said, until
from support.web_sources import SHAPES, Listed

Make = Callable[[], EventSource]


@pytest.fixture(autouse=True, params=["h11", "httptools"])
def http(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of what uvicorn serves with: they tell of a browser that leaves in ways of their own."""
    monkeypatch.setitem(USUAL, "http", request.param)


@asynccontextmanager
async def browsing(
    make: Make, protocol: Protocol = "sse", **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose one page responds with a source."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "HEAD"])
    async def page(request: Request) -> Response:
        return respond(request, make(), protocol, **options)

    async with serving(app) as address, httpx.AsyncClient(base_url=address) as client:
        yield client


@pytest.mark.parametrize("protocol", ["sse", "ag-ui", "vercel", "openai", "ndjson"])
async def test_a_browser_gets_what_was_encoded(protocol: Protocol) -> None:
    async with browsing(
        lambda: Listed(SHAPES["text"]), protocol, status_code=201, extra_headers={"x-own": "1"}
    ) as client:
        answer = await client.post("/")

    assert answer.status_code == 201
    assert answer.headers["x-own"] == "1"
    assert "charset" not in answer.headers["content-type"]
    assert "content-length" not in answer.headers
    values = parse(answer.content, protocol)
    assert "Hello" in str(values)


async def test_a_test_whose_server_is_missing_says_so_and_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(USUAL, "http", "steer_llm_sdk:no_server")

    with pytest.raises(ImportFromStringError, match="no_server"):
        async with serving(FastAPI()):
            pass


async def test_an_error_before_the_first_event_is_the_frameworks_to_answer() -> None:
    async with browsing(lambda: Listed([], raises=MissingAPIKeyError("no key"))) as client:
        answer = await client.get("/")

    assert answer.status_code == 500


async def test_a_relay_is_read_as_what_it_relays() -> None:
    call = ScriptedToolCall("weather", {"city": "Paris"}, id="call_1")
    script = Script(["Hello", " world"], reasoning=["Hm."], tool_calls=[call], usage=(9, 5))
    async with SteerLLMClient("key", transport=ScriptedProvider(script)) as upstream:
        first = await upstream.generate("Hi", "gpt-4o")
        async with browsing(lambda: upstream.stream_events("Hi", "gpt-4o"), "openai") as client:
            relay = ProviderSettings(kind="vllm", base_url=f"{client.base_url}/v1")
            async with SteerLLMClient(providers={"relay": relay}) as downstream:
                second = await downstream.generate("Hi", "relay:gpt-4o")

    assert second.get_text() == first.get_text() == "Hello world"
    assert second.reasoning == first.reasoning == "Hm."
    assert second.tool_calls == first.tool_calls
    assert second.finish_reason == first.finish_reason == "tool_calls"
    assert second.usage == first.usage


# --- the browser goes away ----------------------------------------------------------------------


async def leave_after_a_word(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/") as answer:
        async for line in answer.aiter_lines():
            if "Hel" in line:
                return


async def test_a_browser_that_goes_away_ends_the_request_to_the_provider() -> None:
    provider = ScriptedProvider("Hel", then=Stall(1))
    async with (
        SteerLLMClient("key", transport=provider) as upstream,
        browsing(lambda: upstream.stream_events("Hi", "gpt-4o")) as client,
    ):
        await leave_after_a_word(client)

        await until(lambda: provider.responses[0].was_aborted)


async def test_a_browser_that_goes_away_stops_what_a_journal_holds() -> None:
    journal = MemoryJournal()
    async with Producing(journal) as producing:
        producing.source.say("Hel")
        async with browsing(lambda: journal.attach(STREAM)) as client:
            await leave_after_a_word(client)
            events = await read(journal)

    assert isinstance(events[-1], StreamErrorEvent)
    assert str(events[-1].error) == "the browser went away"


async def test_a_browser_that_goes_away_may_leave_the_answer_to_go_on() -> None:
    journal = MemoryJournal()
    async with Producing(journal) as producing:
        producing.source.say("Hel")
        async with browsing(lambda: journal.attach(STREAM), on_disconnect="continue") as client:
            await leave_after_a_word(client)
            await until(lambda: not journal.here()._tails)
            producing.source.say("lo")
            producing.source.complete()
            rest = await client.get("/", headers={"Last-Event-ID": "1"})

    assert producing.source.cancelled is None
    events = [StreamEvent.from_dict(value) for value in parse(rest.content, "sse")]
    assert [event.sequence for event in events] == [2, 3]
    assert said(events) == "lo"


@pytest.mark.parametrize("known", ["9" * 16, "9" * 5000, "-1", "1.5", "\u0661", ""])
async def test_what_is_no_number_of_an_event_is_passed_by(known: str) -> None:
    journal = MemoryJournal()
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        producing.source.complete()
        async with browsing(lambda: journal.attach(STREAM)) as client:
            answer = await client.get("/", headers=[(b"last-event-id", known.encode())])

    assert answer.status_code == 200
    assert len(parse(answer.content, "sse")) == 3


async def test_to_continue_needs_a_journal() -> None:
    request: Any = None

    with pytest.raises(ConfigurationError, match="needs a journal"):
        respond(request, Listed([]), on_disconnect="continue")
    with pytest.raises(ConfigurationError, match="on_disconnect: expected"):
        respond(request, Listed([]), on_disconnect="ignore")  # type: ignore[arg-type]


# --- what applications add to it ------------------------------------------------------------------


@pytest.mark.parametrize("is_gone", [False, True])
async def test_what_is_to_be_done_after_a_response_is_done(*, is_gone: bool) -> None:
    app, done = FastAPI(), asyncio.Event()
    source = Fed()
    source.say("Hello")

    @app.get("/{way}")
    async def page(request: Request, way: str, tasks: BackgroundTasks) -> Response:
        response = respond(request, source)
        if way == "own":
            response.background = BackgroundTask(done.set)
        else:
            tasks.add_task(done.set)
        return response

    async with serving(app) as address, httpx.AsyncClient(base_url=address) as client:
        if is_gone:
            async with client.stream("GET", "/own") as answer:
                await anext(answer.aiter_lines())
        else:
            source.complete()
            await client.get("/fastapi")
        await asyncio.wait_for(done.wait(), 10)


async def test_own_headers_stand_in_the_place_of_the_protocols() -> None:
    own = {"Cache-Control": "no-store", "X-Own": "1"}
    async with browsing(lambda: Listed(SHAPES["text"]), extra_headers=own) as client:
        answer = await client.get("/")

    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers["x-own"] == "1"
    assert answer.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("own", [{"x": 1}, {"x": "a\r\nset-cookie: b"}, {"x y": "a"}, "x"])
def test_headers_that_http_cannot_carry_are_refused(own: Any) -> None:
    request: Any = None

    with pytest.raises(ConfigurationError, match=r"^extra_headers: "):
        respond(request, Listed([]), extra_headers=own)


async def test_what_the_system_refuses_an_application_is_answered_as_any_error() -> None:
    app = FastAPI()

    async def events() -> AsyncGenerator[StreamEvent, None]:
        raise ConnectionRefusedError("the database is away")
        yield

    @app.get("/")
    async def page(request: Request) -> Response:
        return respond(request, events())

    @app.exception_handler(ConnectionRefusedError)
    async def tell(_: Request, error: ConnectionRefusedError) -> Response:
        return PlainTextResponse(str(error), 503)

    async with serving(app) as address, httpx.AsyncClient(base_url=address) as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.text) == (503, "the database is away")


@pytest.mark.parametrize("what", ["stream", "run", "attached"])
async def test_what_was_left_before_it_was_written_is_told_of(what: str) -> None:
    journal = MemoryJournal()
    app = FastAPI()
    async with SteerLLMClient("key", transport=ScriptedProvider("Hello")) as client:
        stream_id = await client.start("Hi", "gpt-4o", journal=journal)
        sources: dict[str, Any] = {
            "stream": client.stream_events("Hi", "gpt-4o"),
            "run": client.run_events("Hi", "gpt-4o", tools=[]),
            "attached": journal.attach(stream_id),
        }

        @app.get("/")
        async def page(request: Request) -> Response:
            async with sources[what] as source:
                return respond(request, source)

        @app.exception_handler(ConfigurationError)
        async def tell(_: Request, error: ConfigurationError) -> Response:
            return PlainTextResponse(str(error), 500)

        async with serving(app) as address, httpx.AsyncClient(base_url=address) as browser:
            answer = await browser.get("/")

    assert answer.status_code == 500
    assert "async with" in answer.text


# --- coming again -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "status"), [(None, 200), ("1", 200), ("2", 204), ("99", 204), ("abc", 200), ("²", 200)]
)
async def test_a_browser_that_comes_again_gets_the_rest_and_then_is_told_to_stay_away(
    last: str | None, status: int
) -> None:
    journal = MemoryJournal()
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        producing.source.complete()
        await producing.finished()
    async with browsing(lambda: journal.attach(STREAM)) as client:
        known = {} if last is None else {b"last-event-id": last.encode()}
        answer = await client.get("/", headers=known)

    assert answer.status_code == status
    first = int(last) + 1 if last == "1" else 0
    expected = [] if status == 204 else list(range(first, 3))
    assert [value["sequence"] for value in parse(answer.content, "sse")] == expected


@pytest.mark.parametrize("protocol", ["ag-ui", "vercel", "openai"])
async def test_where_events_have_no_numbers_the_whole_is_told_again(protocol: Any) -> None:
    journal = MemoryJournal()
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        producing.source.complete()
        await producing.finished()
    async with browsing(lambda: journal.attach(STREAM), protocol) as client:
        whole = await client.get("/")
        again = await client.get("/", headers={"Last-Event-ID": "1"})

    assert len(parse(again.content, protocol)) == len(parse(whole.content, protocol))


@pytest.mark.parametrize("is_attached", [True, False])
async def test_a_head_is_answered_without_a_word_and_ends_nothing(is_attached: bool) -> None:
    journal = MemoryJournal()
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        listed = Listed([])
        async with browsing(lambda: journal.attach(STREAM) if is_attached else listed) as client:
            answer = await client.head("/")

        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "text/event-stream"
        assert listed.was_left is not is_attached
        assert producing.source.cancelled is None
        assert not journal.here()._tails


async def test_a_stream_that_is_not_there_is_not_found() -> None:
    journal = MemoryJournal()
    async with browsing(lambda: journal.attach("nowhere")) as client:
        answer = await client.get("/")

    assert answer.status_code == 404
    assert "nowhere" in answer.text


# --- a slow browser -----------------------------------------------------------------------------


class Endless:
    """A source that says as much as is asked for."""

    def __init__(self) -> None:
        self.given = 0

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        await asyncio.sleep(0)
        self.given += 1
        return StreamDeltaEvent(delta="x" * 1000, sequence=self.given)

    async def aclose(self) -> None:
        pass


async def test_a_browser_that_does_not_read_slows_the_source() -> None:
    source = Endless()
    async with browsing(lambda: source) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        before = -1
        while source.given != before:
            before = source.given
            await asyncio.sleep(0.1)
        writer.transport.abort()

    # What fits into the buffers of two sockets, and no more.
    assert 0 < source.given < 30_000
