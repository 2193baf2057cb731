"""The body of a response, read as aiohttp's own class would give it, with less ado."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.testing import LoopbackServer, Script
from steer_llm_sdk.transport import receiving
from steer_llm_sdk.transport.receiving import QuickBody, quick_body

WORDS = [f"word {number} " for number in range(300)]

# What happens to a body: bytes, pieces of a chunked body, its end, a fault; and what its reader
# does: it reads, or gives up.
STEPS = st.lists(
    st.one_of(
        st.binary(max_size=40).map(lambda data: ("bytes", data)),
        st.sampled_from([("piece", b""), ("read", b""), ("give up", b"")]),
    ),
    max_size=30,
)
ENDS = st.sampled_from(["eof", "fault", "none"])


class Wire(BaseProtocol):
    """A protocol that notes whether its reading was paused."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.transport = asyncio.Transport()
        self.noted: list[str] = []

    def pause_reading(self) -> None:
        self._reading_paused = True
        self.noted.append("pause")

    def resume_reading(self, *_: Any, **__: Any) -> None:
        if self._reading_paused:
            self.noted.append("resume")
        self._reading_paused = False


async def play(steps: list[tuple[str, bytes]], end: str, *, is_quick: bool) -> tuple[Any, ...]:
    """What a reader gets, and when reading was paused."""
    wire = Wire()
    body = aiohttp.StreamReader(wire, 16, loop=asyncio.get_running_loop())
    body = quick_body(body) if is_quick else body
    assert (type(body) is QuickBody) == is_quick
    got: list[bytes] = []
    reading: asyncio.Task[bytes] | None = None

    async def settle() -> None:
        nonlocal reading
        for _ in range(3):
            await asyncio.sleep(0)
        if reading is not None and reading.done():
            got.append(reading.result())
            reading = None

    in_piece = False
    for what, data in steps:
        if what == "bytes":
            if not in_piece:
                body.begin_http_chunk_receiving()
                in_piece = True
            body.feed_data(data)
        elif what == "piece" and in_piece:
            body.end_http_chunk_receiving()
            in_piece = False
        elif what == "read" and reading is None:
            reading = asyncio.create_task(body.readany())
        elif what == "give up" and reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
            reading = None
        await settle()
    if end == "fault":
        body.set_exception(aiohttp.ClientPayloadError("broken"))
    elif end == "eof":
        body.feed_eof()
    failure = ""
    if not is_quick and end == "fault":  # aiohttp would not give what had come before
        got.append(body._read_nowait(-1))
    for _ in range(3):
        try:
            reading = reading or asyncio.create_task(body.readany())
            done, _ = await asyncio.wait([reading], timeout=0.01 if end == "none" else 5)
            if not done:
                reading.cancel()
                failure = "waits"
                break
            got.append(reading.result())
            reading = None
        except (aiohttp.ClientPayloadError, ConnectionLostError):
            failure = "broken"
            break
    changes = [key for key, _ in groupby(wire.noted)]  # an older aiohttp pauses more than once
    return b"".join(got), failure, changes, body.total_bytes, body.at_eof()


@given(STEPS, ENDS)
def test_it_gives_what_aiohttp_gives(steps: list[tuple[str, bytes]], end: str) -> None:
    async def both() -> tuple[Any, Any]:
        return await play(steps, end, is_quick=True), await play(steps, end, is_quick=False)

    quick, plain = asyncio.run(both())

    assert quick == plain


async def test_a_second_reader_is_refused() -> None:
    body = quick_body(aiohttp.StreamReader(Wire(), 16, loop=asyncio.get_running_loop()))
    first = asyncio.create_task(body.readany())
    await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="another coroutine"):
        await body.readany()

    body.feed_data(b"word")
    assert await first == b"word"


async def test_a_closed_connection_is_not_waited_for() -> None:
    wire = Wire()
    body = quick_body(aiohttp.StreamReader(wire, 16, loop=asyncio.get_running_loop()))
    wire.transport = None

    with pytest.raises(RuntimeError, match="closed"):
        await body.readany()


def test_another_class_of_body_stays_what_it_is() -> None:
    assert quick_body(aiohttp.streams.EMPTY_PAYLOAD) is aiohttp.streams.EMPTY_PAYLOAD
    assert type(aiohttp.streams.EMPTY_PAYLOAD) is aiohttp.streams.EmptyStreamReader


@pytest.mark.parametrize("is_known", [True, False])
async def test_an_aiohttp_that_keeps_its_bytes_otherwise_is_read_too(
    monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    """The names that are needed are those of aiohttp today, or else this test fails."""
    assert receiving._IS_KNOWN
    pieces: list[int] = []
    ended = aiohttp.StreamReader.end_http_chunk_receiving

    def counted(self: aiohttp.StreamReader) -> None:
        pieces.append(1)
        ended(self)

    monkeypatch.setattr(aiohttp.StreamReader, "end_http_chunk_receiving", counted)
    monkeypatch.setattr(receiving, "_IS_KNOWN", is_known)
    async with LoopbackServer(Script(WORDS)) as server:
        settings = ProviderSettings(base_url=server.base_url())
        async with SteerLLMClient(providers={"openai": settings}) as client:
            response = await client.stream_with_usage("Hello", model="gpt-4o")

    assert response.get_text() == "".join(WORDS)
    assert (len(pieces) > len(WORDS) / 2) != is_known
