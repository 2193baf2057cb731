from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.client import SteerLLMClient
from steer_llm_sdk.errors import (
    ConnectionLostError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    SteerError,
    StreamCancelledError,
)
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    Close,
    CutAt,
    Delay,
    Drip,
    EndEarly,
    EndlessLine,
    ErrorInStream,
    Fault,
    GarbageStatus,
    Gzip,
    HTTPError,
    LoopbackServer,
    ManualClock,
    Pace,
    RecordedRequest,
    Reset,
    Script,
    ScriptedProvider,
    ScriptedResponse,
    ScriptedToolCall,
    Stall,
)
from steer_llm_sdk.transport.base import Transport
from support.raw_http import PATHS

REQUEST = HTTPRequest(
    "https://api.test/v1/chat/completions",
    json.dumps({"model": "m", "stream": True}).encode(),
    {"Authorization": "Bearer sk-secret"},
)


async def opened(provider: ScriptedProvider, request: HTTPRequest = REQUEST) -> ScriptedResponse:
    return await provider.open(request, connect_timeout=None)


async def read_all(response: ScriptedResponse) -> bytes:
    body = b""
    while piece := await response.read():
        body += piece
    return body


async def body_of(provider: ScriptedProvider, request: HTTPRequest = REQUEST) -> bytes:
    return await read_all(await opened(provider, request))


async def failure_of(provider: ScriptedProvider) -> tuple[bytes, SteerError]:
    body = b""
    try:
        response = await opened(provider)
        while piece := await response.read():
            body += piece
    except SteerError as error:
        return body, error
    raise AssertionError("expected an error, found the end of the body")


# --- what it says -----------------------------------------------------------------------------


async def test_it_says_its_deltas_and_records_the_request() -> None:
    provider = ScriptedProvider("Hello", " world")

    body = await body_of(provider)

    assert b'"content":"Hello"' in body
    assert b'"content":" world"' in body
    assert body.endswith(b"data: [DONE]\n\n")
    (request,) = provider.requests
    assert (request.path, request.model) == ("/v1/chat/completions", "m")
    assert request.headers["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in repr(request)


async def test_it_is_a_transport() -> None:
    transport: Transport = ScriptedProvider()

    response = await transport.open(REQUEST, connect_timeout=1)

    assert response.status == 200
    assert response.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("wire", PATHS)
async def test_it_speaks_every_format(wire: str) -> None:
    request = HTTPRequest(f"https://api.test{PATHS[wire]}", b'{"model": "m", "stream": true}', {})

    body = await body_of(ScriptedProvider("Hello"), request)
    inside = [base64.b64decode(found) for found in re.findall(rb'"bytes":"([^"]*)"', body)]
    assert any(b"Hello" in data for data in (body, *inside))


async def test_scripts_are_taken_in_order_and_the_last_repeats() -> None:
    provider = ScriptedProvider(HTTPError(503), Script(["one"]), Script(["two"]))

    statuses = [(await opened(provider)).status, (await opened(provider)).status]
    bodies = [await body_of(provider), await body_of(provider)]

    assert statuses == [503, 200]
    assert all(b"two" in body for body in bodies)


async def test_a_function_may_answer() -> None:
    def answer(request: RecordedRequest) -> Script:
        return Script([f"to {request.model}"])

    assert b"to m" in await body_of(ScriptedProvider(answer))


def test_deltas_and_scripts_do_not_mix() -> None:
    with pytest.raises(TypeError, match="deltas alone, or scripts alone"):
        ScriptedProvider("Hello", Script())
    with pytest.raises(TypeError, match="goes with deltas only"):
        ScriptedProvider(Script(), then=500)


# --- how it fails -----------------------------------------------------------------------------


async def test_it_fails_after_its_deltas_with_the_error_it_was_given() -> None:
    error = RateLimitError("slow down")

    body, found = await failure_of(ScriptedProvider("Hello", then=error))

    assert b"Hello" in body
    assert found is error


async def test_without_deltas_it_fails_before_the_answer() -> None:
    error = OverloadedError("busy")

    with pytest.raises(OverloadedError) as caught:
        await opened(ScriptedProvider(then=error))

    assert caught.value is error


async def test_a_status_is_the_responses_own_or_an_error_inside_the_stream() -> None:
    assert (await opened(ScriptedProvider(then=429))).status == 429
    body = await body_of(ScriptedProvider("Hello", then=429))

    assert b"Hello" in body
    assert b"rate_limit_exceeded" in body
    assert b"[DONE]" not in body


@pytest.mark.parametrize("fault", [Reset(after=1), Close(after=1), Close(after=1, mid_chunk=True)])
async def test_a_broken_connection_is_what_a_real_transport_makes_of_it(fault: Fault) -> None:
    body, error = await failure_of(ScriptedProvider(Script(["a1", "b2"], faults=[fault])))

    assert isinstance(error, ConnectionLostError)
    assert b"a1" in body
    assert b'"b2"' not in body


async def test_it_may_break_before_the_headers() -> None:
    with pytest.raises(ConnectionLostError):
        await opened(ScriptedProvider(Reset()))


async def test_garbage_in_place_of_http_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        await opened(ScriptedProvider(GarbageStatus()))


async def test_an_early_end_is_an_end() -> None:
    body = await body_of(ScriptedProvider(Script(["a1", "b2"], faults=[EndEarly(after=1)])))

    assert b"a1" in body
    assert b"[DONE]" not in body


@pytest.mark.parametrize("faults", [[Drip(size=1)], [CutAt((1, 2, 3))], [Gzip()]])
async def test_cuts_and_compression_change_no_byte(faults: Sequence[Fault]) -> None:
    whole = await body_of(ScriptedProvider("Hello"))

    assert await body_of(ScriptedProvider(Script(["Hello"], faults=faults))) == whole


async def test_an_endless_line_goes_on_until_it_is_aborted() -> None:
    response = await opened(ScriptedProvider(EndlessLine()))
    read = 0
    while read < 1_000_000:
        read += len(await response.read())

    response.abort(StreamCancelledError("enough"))
    with pytest.raises(StreamCancelledError):
        await response.read()
    assert response.was_aborted


# --- waiting, and being stopped ---------------------------------------------------------------


async def test_a_delay_is_over_when_the_clock_has_been_moved() -> None:
    clock = ManualClock()
    script = Script(["Hello"], faults=[Delay(3), Delay(30, after=0)])
    reading = asyncio.create_task(body_of(ScriptedProvider(script, clock=clock)))

    await clock.advance(32.9)
    assert not reading.done()
    await clock.advance(0.1)
    assert b"Hello" in await reading


@pytest.mark.parametrize("fault", [Stall(after=1), Delay(5, after=1)])
async def test_a_read_that_waits_is_ended_by_abort(fault: Fault) -> None:
    clock = ManualClock()
    response = await opened(ScriptedProvider(Script(["a", "b"], faults=[fault]), clock=clock))
    reading = asyncio.create_task(read_all(response))
    await clock.advance(1)

    response.abort(StreamCancelledError("no more"))

    with pytest.raises(StreamCancelledError, match="no more"):
        await reading
    assert clock.timers == 0


@given(st.lists(st.floats(0, 3), max_size=12), st.sampled_from([(), (Drip(40),), (Gzip(),)]))
def test_a_read_that_is_given_up_loses_nothing(
    patience: list[float], more: tuple[Fault, ...]
) -> None:
    script = Script(["a", "b"], faults=[Delay(5, "headers"), Pace(2), Delay(1, after=2), *more])

    async def read_impatiently() -> bytes:
        clock, left, body = ManualClock(), iter(patience), b""
        response = await opened(ScriptedProvider(script, clock=clock))
        while True:
            reading = asyncio.create_task(response.read())
            await clock.advance(next(left, 10.0))
            if not reading.done():
                reading.cancel()
                await asyncio.wait((reading,))
                continue
            if not (piece := reading.result()):
                return body
            body += piece

    whole = asyncio.run(body_of(ScriptedProvider("a", "b")))
    assert asyncio.run(read_impatiently()) == whole


async def test_a_heartbeat_shorter_than_a_delay_does_not_begin_the_wait_anew() -> None:
    clock = ManualClock()
    script = Script(["a"], faults=[Delay(5, "headers")])
    response = await opened(ScriptedProvider(script, clock=clock))

    for _ in range(4):
        reading = asyncio.create_task(response.read())
        await clock.advance(1)
        reading.cancel()
        await asyncio.wait((reading,))
        assert reading.cancelled()
    reading = asyncio.create_task(response.read())
    await clock.advance(1)

    assert b"role" in await reading


async def test_the_first_abort_decides_and_one_after_the_end_is_no_abort() -> None:
    response = await opened(ScriptedProvider("Hello"))
    await read_all(response)
    response.abort(StreamCancelledError("first"))
    response.abort(StreamCancelledError("second"))
    await response.release()

    with pytest.raises(StreamCancelledError, match="first"):
        await response.read()
    assert not response.was_aborted
    assert response.was_released


async def test_closing_it_ends_the_streams_under_way() -> None:
    provider = ScriptedProvider(Stall(after=1))
    reading = asyncio.create_task(body_of(provider))
    await ManualClock().advance(0)

    await provider.close()

    with pytest.raises(ConnectionLostError):
        await reading
    with pytest.raises(ConnectionLostError):
        await opened(provider)


# --- with the client --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("openai-responses:gpt-4o", "openai-responses"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("ollama:llama3.2", "ollama"),
    ],
)
async def test_a_client_streams_from_it(
    model: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "test")
    scripted = ScriptedProvider("Hello", " world")
    async with SteerLLMClient("test", "test", transport=scripted) as client:
        response = await client.generate("hi", model)

    assert response.provider == provider
    assert response.get_text() == "Hello world"
    assert response.usage is not None
    assert (response.usage["prompt_tokens"], response.usage["completion_tokens"]) == (12, 7)
    assert len(scripted.requests) == 1


async def test_a_client_retries_when_the_clock_is_moved() -> None:
    clock, scripted = ManualClock(), ScriptedProvider(HTTPError(503), Script(["at last"]))
    async with SteerLLMClient("test", transport=scripted, clock=clock) as client:
        answering = asyncio.create_task(client.generate("hi", "gpt-4o"))
        await clock.advance(60)
        response: Any = await answering

    assert response.get_text() == "at last"
    assert len(scripted.requests) == 2


async def test_a_stalled_stream_runs_into_its_limit_when_the_clock_is_moved() -> None:
    clock, scripted = ManualClock(), ScriptedProvider(Script(faults=[Stall(after=1)]))
    options = StreamingOptions(idle_timeout=5, max_retries=0)
    async with SteerLLMClient("test", transport=scripted, clock=clock) as client:
        answering = asyncio.create_task(client.generate("hi", "gpt-4o", streaming_options=options))
        await clock.advance(6)
        error = (await asyncio.gather(answering, return_exceptions=True))[0]

    assert isinstance(error, SteerError)
    assert getattr(error, "limit", None) == "idle_timeout"
    assert scripted.responses[0].was_aborted


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (Script, {"deltas": ["a", 5]}, r"deltas: expected a list of strings, found \['a', 5\]"),
        (Script, {"reasoning": None}, "reasoning: expected a list of strings, found None"),
        (Script, {"tool_calls": [{"name": "f"}]}, r"a list of ScriptedToolCall\(…\), found \["),
        (Script, {"tool_calls": ScriptedToolCall("f")}, "expected a list of ScriptedToolCall"),
        (Script, {"usage": 5}, r"usage: expected \(prompt tokens, completion tokens\)"),
        (Script, {"usage": {"prompt_tokens": 5}}, "usage: expected"),
        (Script, {"usage": (1, 2, 3)}, "usage: expected"),
        (Script, {"faults": Reset(after=1)}, "faults: expected a list of faults, found Reset"),
        (Script, {"faults": [Reset]}, "faults: expected a list of faults, found .*class"),
        (ScriptedToolCall, {"name": "f", "arguments": 5}, "arguments: expected JSON text, pieces"),
        (HTTPError, {"status": "404"}, "status: expected a whole number, found '404'"),
        (HTTPError, {"kind": "busy"}, "kind: expected one of authentication, .*'busy'"),
        (HTTPError, {"body": "xml"}, "body: expected 'json', 'html', 'empty' or bytes"),
        (ErrorInStream, {"kind": "busy"}, "kind: expected one of authentication, .*'busy'"),
        (ScriptedProvider, {"then": "cut"}, "then: expected an error of the library"),
        (ScriptedProvider, {"then": ValueError()}, "found ValueError"),
        (LoopbackServer, {"answers": "Hello"}, r"found 'Hello': write Script\(\['Hello'\]\)"),
    ],
)
def test_what_cannot_be_scripted_is_refused_when_it_is_written(
    kind: Any, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        kind(**given)


@pytest.mark.parametrize("after", ["begin", -1, None])
async def test_a_point_that_is_none_is_refused(after: Any) -> None:
    provider = ScriptedProvider(Script(["a"], faults=[Reset(after=after)]))

    with pytest.raises(TypeError, match="after: expected 'request', 'headers' or a number"):
        await opened(provider)


def test_a_list_of_scripts_is_told_how_they_are_given() -> None:
    with pytest.raises(TypeError, match="pass several answers to ScriptedProvider one by one"):
        ScriptedProvider([Script(["a"]), Script(["b"])])  # type: ignore[list-item]
