from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self

import anthropic
import openai
import pytest

from steer_llm_sdk import ProviderSettings, SteerError, StreamingOptions, SyncSteerLLMClient
from steer_llm_sdk.testing import (
    CloseIdle,
    HTTPError,
    LoopbackServer,
    RecordedRequest,
    Script,
    ScriptedToolCall,
    Stall,
)
from support.raw_http import PATHS, RawClient

WEATHER = ScriptedToolCall("weather", ['{"city":', ' "Paris"}'], id="call_w")
WHOLE = Script(
    ["Hello", " wörld"],
    reasoning=["Let me", " think."],
    tool_calls=[WEATHER],
    usage=(20, 9),
    cached_tokens=5,
    reasoning_tokens=2,
)


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(WHOLE) as running:
        yield running


async def test_the_openai_sdk_reads_a_chat_completion(server: LoopbackServer) -> None:
    async with openai.AsyncOpenAI(api_key="x", base_url=server.base_url("openai")) as client:
        stream = client.chat.completions.stream(
            model="gpt-x",
            messages=[{"role": "user", "content": "hi"}],
            stream_options={"include_usage": True},
        )
        async with stream as events:
            final = await events.get_final_completion()

    choice = final.choices[0]
    assert final.model == "gpt-x"
    assert choice.message.content == "Hello wörld"
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].id == "call_w"
    assert choice.message.tool_calls[0].function.name == "weather"
    assert choice.message.tool_calls[0].function.arguments == '{"city": "Paris"}'
    assert final.usage is not None
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (20, 9)


async def test_without_being_asked_openai_sends_no_usage(server: LoopbackServer) -> None:
    async with openai.AsyncOpenAI(api_key="x", base_url=server.base_url("openai")) as client:
        stream = await client.chat.completions.create(model="gpt-x", messages=[], stream=True)
        chunks = [chunk async for chunk in stream]

    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


async def test_the_openai_sdk_reads_a_response(server: LoopbackServer) -> None:
    base_url = server.base_url("openai-responses")
    async with (
        openai.AsyncOpenAI(api_key="x", base_url=base_url) as client,
        client.responses.stream(model="gpt-x", input="hi") as events,
    ):
        final = await events.get_final_response()

    reasoning, message, call = final.output
    assert reasoning.type == "reasoning"
    assert reasoning.summary[0].text == "Let me think."
    assert message.type == "message"
    assert final.output_text == "Hello wörld"
    assert call.type == "function_call"
    assert (call.call_id, call.arguments) == ("call_w", '{"city": "Paris"}')
    assert final.usage is not None
    assert final.usage.output_tokens_details.reasoning_tokens == 2


async def test_the_anthropic_sdk_reads_a_message(server: LoopbackServer) -> None:
    base_url = server.base_url("anthropic")
    async with anthropic.AsyncAnthropic(api_key="x", base_url=base_url) as client:
        stream = client.messages.stream(
            model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )
        async with stream as events:
            final = await events.get_final_message()

    thinking, text, tool = final.content
    assert thinking.type == "thinking"
    assert thinking.thinking == "Let me think."
    assert text.type == "text"
    assert text.text == "Hello wörld"
    assert tool.type == "tool_use"
    assert (tool.id, tool.input) == ("call_w", {"city": "Paris"})
    assert final.stop_reason == "tool_use"
    assert final.usage.input_tokens == 15
    assert final.usage.cache_read_input_tokens == 5


@pytest.mark.parametrize(
    ("finish", "expected"), [("length", "length"), ("content_filter", "content_filter")]
)
async def test_the_openai_sdk_reads_the_finish_reason(finish: str, expected: str) -> None:
    async with (
        LoopbackServer(Script(["x"], finish=finish)) as server,
        openai.AsyncOpenAI(api_key="x", base_url=server.base_url()) as client,
    ):
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        reasons = [chunk.choices[0].finish_reason async for chunk in stream]

    assert reasons[-1] == expected


async def test_the_sdks_read_the_errors() -> None:
    async with LoopbackServer(HTTPError(429, kind="quota")) as server:
        async with openai.AsyncOpenAI(
            api_key="x", base_url=server.base_url(), max_retries=0
        ) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model="m", messages=[], stream=True)
        async with anthropic.AsyncAnthropic(
            api_key="x", base_url=server.url, max_retries=0
        ) as other:
            with pytest.raises(anthropic.RateLimitError) as also_caught:
                await other.messages.create(
                    model="m",
                    max_tokens=9,
                    messages=[{"role": "user", "content": "hi"}],
                    stream=True,
                )

    assert caught.value.code == "insufficient_quota"
    assert also_caught.value.body == {
        "type": "error",
        "error": {
            "type": "billing_error",
            "message": "You exceeded your current quota, please check your plan and billing "
            "details.",
        },
        "request_id": "req_scripted",
    }


async def test_answers_are_taken_in_order_and_the_last_repeats() -> None:
    async with LoopbackServer([HTTPError(503), Script(["ok"])]) as server, RawClient(server) as raw:
        statuses = []
        for _ in range(3):
            raw.ask()
            statuses.append((await raw.answer())[0])

    assert statuses == [
        "HTTP/1.1 503 Service Unavailable",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
    ]


async def test_a_function_answers_by_the_request() -> None:
    async def answer(request: RecordedRequest) -> Script:
        await asyncio.sleep(0)
        return Script([f"you asked {request.model}"])

    async with LoopbackServer(answer) as server, RawClient(server) as raw:
        raw.ask(body={"model": "m7"})
        _, _, body = await raw.answer()

    assert b"you asked m7" in body


async def test_an_error_of_the_answering_function_is_raised_where_the_server_is_closed() -> None:
    def answer(request: RecordedRequest) -> Script:
        raise KeyError("a bug in the test")

    server = await LoopbackServer(answer).start()
    async with RawClient(server) as raw:
        raw.ask()
        await asyncio.gather(raw.rest(), return_exceptions=True)

    with pytest.raises(KeyError, match="a bug in the test"):
        await server.close()


async def test_a_server_can_be_told_to_answer_otherwise(server: LoopbackServer) -> None:
    server.answer_with(HTTPError(500))

    async with RawClient(server) as raw:
        raw.ask()
        status, _, _ = await raw.answer()

    assert status == "HTTP/1.1 500 Internal Server Error"


async def test_a_path_of_no_format_is_not_found_and_takes_no_answer() -> None:
    async with LoopbackServer([HTTPError(503), Script()]) as server, RawClient(server) as raw:
        raw.ask("/v1/embeddings")
        first, _, _ = await raw.answer()
        raw.ask()
        second, _, _ = await raw.answer()

    assert first == "HTTP/1.1 404 Not Found"
    assert second == "HTTP/1.1 503 Service Unavailable"


async def test_a_format_can_be_chosen_whatever_the_path() -> None:
    async with LoopbackServer(format="ollama") as server, RawClient(server) as raw:
        raw.ask("/anything")
        _, headers, _ = await raw.answer()

    assert headers["content-type"] == "application/x-ndjson"


def test_an_unknown_format_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="expected 'auto' or one of"):
        LoopbackServer(format="smoke-signals")


def test_what_is_no_answer_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="expected a Script or a fault"):
        LoopbackServer(["Hello"])  # type: ignore[list-item]  # the mistake that is tested


async def test_requests_are_recorded_with_their_connection(server: LoopbackServer) -> None:
    async with RawClient(server) as first, RawClient(server) as second:
        first.ask(PATHS["gemini"], {"contents": []})
        await first.answer()
        second.ask()
        await second.answer()
        first.ask()
        await first.answer()

    one, two, three = server.requests
    assert (one.method, one.query, one.model) == ("POST", "alt=sse", "gemini-2.5-flash")
    assert one.json == {"contents": []}
    assert one.headers["host"] == "localhost"
    assert [request.number for request in (one, two, three)] == [1, 2, 3]
    assert one.connection == three.connection != two.connection
    assert [record.requests for record in server.connections] == [2, 1]


async def test_a_closed_client_is_noticed_while_the_server_stalls() -> None:
    async with LoopbackServer(Stall(after="headers")) as server:
        async with RawClient(server) as raw:
            raw.ask()
            await raw.head()
            assert server.connections.open == 1
        await server.wait_for(lambda: server.connections.open == 0)

    record = server.connections[0]
    assert record.closed_by == "client"
    assert record.closed_at is not None
    assert record.closed_at >= record.opened_at


async def test_closing_the_server_ends_every_stall() -> None:
    async with LoopbackServer(Stall()) as server, RawClient(server) as raw:
        raw.ask()
        await server.wait_for(lambda: server.requests)

        await server.close()

        assert server.connections[0].closed_by == "server"
        assert server.connections.open == 0
        await asyncio.gather(raw.rest(), return_exceptions=True)


async def test_waiting_for_what_never_happens_ends_in_a_timeout(server: LoopbackServer) -> None:
    with pytest.raises(TimeoutError):
        await server.wait_for(lambda: False, timeout=0.001)


async def test_what_is_no_http_gets_a_400(server: LoopbackServer) -> None:
    async with RawClient(server) as raw:
        raw.writer.write(b"what is this\r\n\r\n")

        assert (await raw.rest()).startswith(b"HTTP/1.1 400 Bad Request")


async def test_a_chunked_request_is_read() -> None:
    async with LoopbackServer() as server, RawClient(server) as raw:
        head = b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw.writer.write(head + b'9\r\n{"model":\r\n')
        await raw.writer.drain()
        raw.writer.write(b'5\r\n"mm"}\r\n0\r\n\r\n')
        await raw.answer()

    assert server.requests[0].json == {"model": "mm"}


async def test_an_idle_connection_can_vanish_under_the_next_request() -> None:
    async with LoopbackServer([CloseIdle(), Script(["again"])]) as server:
        async with RawClient(server) as raw:
            raw.ask()
            await raw.answer()
            raw.ask()
            assert await raw.rest() == b""
        async with RawClient(server) as raw:
            raw.ask()
            _, _, body = await raw.answer()

    assert b"again" in body
    assert [request.is_dropped for request in server.requests] == [False, True, False]


def test_in_a_thread_too_an_error_of_the_answering_function_is_raised_at_the_end() -> None:
    def answer(_: RecordedRequest) -> Script:
        raise ZeroDivisionError("a mistake in a test")

    def serve() -> None:
        with LoopbackServer(answer).in_thread() as server:
            settings = {"openai": ProviderSettings(base_url=server.base_url())}
            with SyncSteerLLMClient(providers=settings) as client, suppress(SteerError):
                client.generate("Hi", "gpt-4o", streaming_options=StreamingOptions(max_retries=0))

    with pytest.raises(ZeroDivisionError, match="a mistake in a test"):
        serve()


def test_why_a_server_did_not_start_is_told() -> None:
    class Broken(LoopbackServer):
        async def start(self) -> Self:
            raise OSError("no port is free")

    with pytest.raises(RuntimeError, match="did not start") as caught, Broken().in_thread():
        raise AssertionError("it serves")

    assert isinstance(caught.value.__cause__, OSError)


def test_in_a_thread_it_serves_a_blocking_client() -> None:
    with LoopbackServer([Script(["Hello"]), HTTPError(401)]).in_thread() as server:
        request = urllib.request.Request(
            server.url + PATHS["ollama"], data=b'{"model": "m"}', method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        caught.value.close()
        server.wait_until(lambda: server.connections.open == 0)

    assert b'"content":"Hello"' in body
    assert caught.value.code == 401
    assert len(server.requests) == 2
