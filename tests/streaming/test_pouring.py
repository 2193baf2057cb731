"""`EventStream.pour`: deltas that are handed on as their bytes come, and what follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp.client_proto import ResponseHandler

from steer_llm_sdk import ProviderSettings, SteerLLMClient, StreamingOptions
from steer_llm_sdk.errors import StreamInUseError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.streaming.processor import EventTransformer
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import LoopbackServer, Pace, Script, Stall, check_stream
from support.journals import until

WORDS = [f"word {number} " for number in range(12)]
PACED = Pace(0.002)


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(Script(WORDS, faults=[PACED])) as server:
        yield server


async def begun(
    client: SteerLLMClient, options: StreamingOptions | None = None
) -> tuple[EventStream, list[StreamEvent]]:
    """A stream of which nothing is ready but what has been taken."""
    stream = client.stream_events("Hi", "gpt-4o", streaming_options=options)
    events: list[StreamEvent] = [await anext(stream), await anext(stream)]
    while (event := stream.take_ready()) is not None:
        events.append(event)
    return stream, events


def client_of(server: LoopbackServer) -> SteerLLMClient:
    return SteerLLMClient(providers={"openai": ProviderSettings(base_url=server.base_url())})


def keeping(events: list[StreamEvent], most: int = 1000) -> Callable[[list[StreamEvent]], bool]:
    """A sink that keeps events, and wants no more once it has so many."""

    def sink(given: list[StreamEvent]) -> bool:
        events.extend(given)
        return len(events) < most

    return sink


async def rest_of(stream: EventStream, events: list[StreamEvent]) -> None:
    """Pull what is left, and see that all of it is there."""
    events.extend([event async for event in stream])
    assert check_stream(events).text == "".join(WORDS)


async def test_all_deltas_are_handed_on_and_the_ending_is_pulled(server: LoopbackServer) -> None:
    async with client_of(server) as client:
        stream, events = await begun(client)
        await stream.pour(keeping(events))
        assert isinstance(events[-1], StreamDeltaEvent)
        assert len(events) == len(WORDS) + 1
        await rest_of(stream, events)


async def test_a_sink_that_wants_no_more_leaves_the_rest_to_be_pulled(
    server: LoopbackServer,
) -> None:
    async with client_of(server) as client:
        stream, events = await begun(client)
        await stream.pour(keeping(events, most=6))
        assert len(events) < len(WORDS)
        await rest_of(stream, events)


async def test_what_a_sink_raises_is_raised_and_nothing_else_is_lost(
    server: LoopbackServer,
) -> None:
    async with client_of(server) as client:
        stream, events = await begun(client)

        def sink(given: list[StreamEvent]) -> bool:
            events.extend(given)
            raise ValueError("full")

        with pytest.raises(ValueError, match="full"):
            await stream.pour(sink)
        await rest_of(stream, events)


async def test_whoever_gives_up_loses_nothing(server: LoopbackServer) -> None:
    async with client_of(server) as client:
        stream, events = await begun(client)
        for _ in range(3):
            pouring = asyncio.create_task(stream.pour(keeping(events)))
            await until(lambda: len(events) >= 5 or pouring.done())  # noqa: B023
            pouring.cancel()
            await asyncio.wait([pouring])
        await rest_of(stream, events)


async def test_what_had_come_too_fast_is_handed_on_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [f"{number:07d} " * 512 for number in range(2_000)]  # 8 MB
    pauses: list[bool] = []
    pause = ResponseHandler.pause_reading

    def counted(self: ResponseHandler) -> None:
        pauses.append(True)
        pause(self)

    monkeypatch.setattr(ResponseHandler, "pause_reading", counted)
    async with LoopbackServer(Script(words)) as server, client_of(server) as client:
        stream, events = await begun(client)
        await until(lambda: bool(pauses))  # nobody reads: all that fits is there
        await stream.pour(keeping(events, most=10_000))
        events.extend([event async for event in stream])

    assert check_stream(events).text == "".join(words)


async def test_nobody_else_pulls_meanwhile() -> None:
    async with (
        LoopbackServer(Script(WORDS, faults=[PACED, Stall(3)])) as server,
        client_of(server) as client,
    ):
        stream, events = await begun(client)
        pouring = asyncio.create_task(stream.pour(keeping(events)))
        await until(lambda: len(events) >= 4)

        assert stream.take_ready() is None
        with pytest.raises(StreamInUseError):
            await anext(stream)
        again = len(events)
        await stream.pour(keeping(events))
        assert len(events) == again

        stream.cancel()
        await asyncio.wait_for(pouring, 5)
        events.extend([event async for event in stream])
        assert check_stream(events).text == "".join(WORDS[:3])


@pytest.mark.parametrize(
    "options",
    [
        StreamingOptions(notices=True),
        StreamingOptions(text_transformers=[EventTransformer()]),
    ],
    ids=["notices", "transformers"],
)
async def test_what_may_have_to_wait_is_not_poured(
    options: StreamingOptions, server: LoopbackServer
) -> None:
    async with client_of(server) as client:
        stream, events = await begun(client, options)
        count = len(events)
        await stream.pour(keeping(events))
        assert len(events) == count
        await rest_of(stream, events)


async def test_a_stream_that_was_not_begun_is_not_poured(server: LoopbackServer) -> None:
    async with client_of(server) as client:
        stream = client.stream_events("Hi", "gpt-4o")
        events: list[StreamEvent] = []
        await stream.pour(keeping(events))
        assert events == []
        await rest_of(stream, events)
