"""What a server sends that is no HTTP is told at once, with what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.http_exceptions import TransferEncodingError

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConnectError, ProtocolError, SteerError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.transport import receiving
from support.stalled import stalled_response

ONCE = StreamingOptions(max_retries=0)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b'data: {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'


@asynccontextmanager
async def sending(
    *pieces: bytes, taken: asyncio.Event | None = None
) -> AsyncIterator[SteerLLMClient]:
    """A client of a server that sends these bytes and hangs up; each piece once `taken` is set."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            if taken is not None:
                await taken.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = {"openai": ProviderSettings(base_url=f"http://127.0.0.1:{port}/v1")}
    async with server, SteerLLMClient(providers=settings) as client:
        yield client


async def failure_of(client: SteerLLMClient) -> SteerError:
    with pytest.raises(SteerError) as caught:
        await client.generate("Hi", "gpt-4o", streaming_options=ONCE)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (HELLO, "Bad status line"),
        (STREAM + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n", "Duplicate Content-Length"),
        (STREAM + b"Bad Name: 1\r\n\r\n", "Invalid header token"),
        (
            STREAM + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding can't be present with Content-Length",
        ),
        (CHUNKED + b"fatal error\r\n", "Invalid character in chunk size"),
    ],
    ids=["no head", "two lengths", "a header", "two framings", "a chunk"],
)
async def test_an_answer_that_is_no_http_says_why(answer: bytes, found: str) -> None:
    async with sending(answer) as client:
        error = await failure_of(client)

    assert isinstance(error, ProtocolError)
    assert str(error) == f"127.0.0.1 did not answer as HTTP wants it: {found}"


async def test_a_server_of_tls_that_is_asked_without_it_is_told() -> None:
    async with sending(b"\x15\x03\x01\x00\x02\x02\x46") as client:
        error = await failure_of(client)

    assert isinstance(error, ConnectError)
    assert not error.is_retryable
    assert "is it https there?" in str(error)


async def test_a_body_that_stops_being_http_ends_at_once_with_what_had_come() -> None:
    """As behind a proxy whose backend dies in the middle: aiohttp lets the reader wait."""
    chunk = b"%x\r\n%s\r\n" % (len(HELLO), HELLO)
    taken = asyncio.Event()
    async with sending(CHUNKED + chunk, b"<b>Fatal error</b>\r\n", taken=taken) as client:
        options = StreamingOptions(max_retries=0, raise_on_error=False)
        stream = client.stream_events("Hi", "gpt-4o", streaming_options=options)
        while (await anext(stream)).type != "delta":
            pass
        taken.set()
        events = [await asyncio.wait_for(anext(stream), 5)]
        events += [event async for event in stream]

    error = stream.response.error
    assert isinstance(error, ProtocolError)
    assert [event.type for event in events] == ["usage", "error"]
    assert str(error).endswith("as HTTP wants it: Invalid character in chunk size")
    assert stream.response.get_text() == "Hello"


@pytest.mark.parametrize("is_known", [True, False], ids=["its class is known", "it is not"])
async def test_what_the_parser_in_python_raises_reaches_nobody(
    is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives its own exception to the body, where aiohttp has no extension of C."""
    monkeypatch.setattr(receiving, "_IS_KNOWN", is_known)
    async with stalled_response() as response:
        response._content.set_exception(TransferEncodingError("<b>sk-secret</b>"))

        with pytest.raises(ProtocolError, match=r"as HTTP wants it$"):
            await response.read()
