"""A stream as its consumer has it: one task pulls it, and whoever it belongs to ends it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import InvalidJSONError, StreamCancelledError, StreamInUseError
from steer_llm_sdk.models.events import (
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
)
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import EventProcessor, EventTransformer
from steer_llm_sdk.streaming.stream import _FOLLOWS, EventStream, State
from steer_llm_sdk.testing import (
    Delay,
    LoopbackServer,
    Pace,
    Script,
    ScriptedProvider,
    Stall,
    check_stream,
)
from support.leaving import SOON, no_task_is_left, rounds, until


def scripted(script: Any = "Hello") -> tuple[SteerLLMClient, ScriptedProvider]:
    provider = ScriptedProvider(script)
    return SteerLLMClient("test", "test", transport=provider), provider


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(Script(["Hello", " world"], faults=[Stall(after=1)])) as server:
        yield server


@pytest.fixture
async def client(server: LoopbackServer) -> AsyncIterator[SteerLLMClient]:
    settings = ProviderSettings(api_key="x", base_url=server.base_url())
    async with SteerLLMClient(providers={"openai": settings}) as client:
        yield client


async def socket_is_closed(server: LoopbackServer, since: float) -> None:
    connection = server.connections[-1]
    await server.wait_for(lambda: connection.closed_at is not None)
    assert connection.closed_by == "client"
    assert connection.closed_at is not None
    assert connection.closed_at - since < SOON


# --- its states -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_what_may_not_follow_is_refused(state: State) -> None:
    client, _ = scripted()
    stream = client.stream_events("?", "gpt-4o")
    for other in State:
        stream._state = state
        if other in _FOLLOWS[state]:
            stream._go(other)
            assert stream._state is other
        else:
            with pytest.raises(AssertionError, match=f"from {state.name} to {other.name}"):
                stream._go(other)
    stream._state = State.CLOSED


async def test_a_stream_that_was_closed_before_it_began_sends_nothing() -> None:
    client, provider = scripted()
    stream = client.stream_events("?", "gpt-4o")

    await stream.aclose()
    await stream.aclose()

    async with stream:
        assert [event async for event in stream] == []
    assert [event async for event in stream] == []
    assert [event async for event in stream.subscribe()] == []
    assert not provider.requests


async def test_a_stream_that_was_cancelled_before_it_began_says_so_and_sends_nothing() -> None:
    client, provider = scripted()
    stream = client.stream_events("?", "gpt-4o")

    stream.cancel()
    events = [event async for event in stream]

    assert [event.type for event in events] == ["start", "error"]
    assert not provider.requests


async def test_an_impossible_call_raises_once_and_is_then_over() -> None:
    client, _ = scripted()
    stream = client.stream_events("?", "claude-x", seed=1)

    with pytest.raises(ConfigurationError, match="seed"):
        await anext(stream)
    assert [event async for event in stream] == []


async def test_closing_while_the_provider_is_prepared_sends_nothing() -> None:
    client, provider = scripted()
    opened = asyncio.Event()
    stream = client.stream_events("?", "gpt-4o")
    open_pump = stream._open_pump

    async def open_late() -> Any:
        await opened.wait()
        return open_pump(stream)

    stream._open_pump = lambda _: open_late()
    reading = asyncio.create_task(_read(stream))
    await rounds(3)
    await stream.aclose()

    with pytest.raises(StreamCancelledError, match="before it began"):
        await reading
    assert not provider.requests
    await no_task_is_left()


# --- one task at a time -----------------------------------------------------------------------


async def _read(stream: AsyncIterator[StreamEvent]) -> list[StreamEvent]:
    return [event async for event in stream]


async def test_a_second_task_is_refused_and_the_first_is_not_disturbed() -> None:
    async with LoopbackServer(Script(["Hello"], faults=[Delay(0.02)])) as server:
        settings = ProviderSettings(api_key="x", base_url=server.base_url())
        async with SteerLLMClient(providers={"openai": settings}) as client:
            stream = client.stream_events("?", "gpt-4o")
            first, second = await asyncio.gather(
                _read(stream), _read(stream), return_exceptions=True
            )

    assert isinstance(second, StreamInUseError)
    assert isinstance(second, ConfigurationError)
    assert "subscribe()" in str(second)
    assert isinstance(first, list)
    check_stream(first)
    assert len(server.requests) == 1


async def test_a_second_task_that_reads_an_observer_is_refused(client: SteerLLMClient) -> None:
    async with client.stream_events("?", "gpt-4o") as stream:
        observer = stream.subscribe()
        first = asyncio.create_task(_read(observer))
        await until(lambda: observer.delivered == 2)
        with pytest.raises(StreamInUseError, match="observer"):
            await anext(observer)
        stream.cancel()
        check_stream(await first)


# --- whose it is ------------------------------------------------------------------------------

Ending = Callable[[asyncio.Task[None], asyncio.Event], Awaitable[None]]


async def _cancel(task: asyncio.Task[None], _leave: asyncio.Event) -> None:
    task.cancel()


async def _let_end(_task: asyncio.Task[None], leave: asyncio.Event) -> None:
    leave.set()


class Reader:
    """Iterates a stream without ``async with``, and keeps hold of it in every way there is."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.iterator = aiter(stream)
        self.seen: list[Any] = []
        self.leave = asyncio.Event()
        self.how = "return"

    async def iterate(self) -> None:
        async for item in self.stream:
            self.seen.append(item)
            if getattr(item, "type", "delta") == "delta":
                if self.how == "wait for more":
                    continue
                await self.leave.wait()
                if self.how == "raise":
                    raise LookupError
                return


@pytest.mark.parametrize("how", ["return", "raise", "wait for more", "cancelled in between"])
@pytest.mark.parametrize("kind", ["events", "texts", "observer"])
async def test_the_end_of_its_task_is_the_end_of_the_stream(
    client: SteerLLMClient, server: LoopbackServer, how: str, kind: str
) -> None:
    gc.disable()  # which must not be needed
    try:
        held = client.stream_events("?", "gpt-4o") if kind != "texts" else None
        text = client.stream("?", "gpt-4o") if kind == "texts" else None
        source: Any = text or (held.subscribe() if kind == "observer" and held else held)
        reader = Reader(source)
        reader.how = how
        task = asyncio.create_task(reader.iterate())
        await until(lambda: reader.seen and getattr(reader.seen[-1], "type", "delta") == "delta")
        await rounds()
        left_at = time.monotonic()
        if how in {"return", "raise"}:
            reader.leave.set()
        else:
            task.cancel()
        await asyncio.wait((task,))
        await socket_is_closed(server, left_at)
        await no_task_is_left()
    finally:
        gc.enable()

    response = held.response if held is not None else source.response
    assert isinstance(response.error, StreamCancelledError)
    assert client.stats.cancelled == 1
    if how == "raise":
        assert isinstance(task.exception(), LookupError)


async def test_a_generator_around_a_stream_ends_with_the_task_that_reads_it(
    client: SteerLLMClient, server: LoopbackServer
) -> None:
    """As a web framework does: it keeps the generator, and only its task ends."""

    async def body() -> AsyncIterator[str]:
        async for text in client.stream("?", "gpt-4o"):
            yield text

    generator = body()

    async def respond() -> None:
        async for _ in generator:
            pass

    task = asyncio.create_task(respond())
    await until(lambda: len(server.requests) == 1 and client.stats.running == 1)
    await rounds()
    left_at = time.monotonic()
    task.cancel()
    await asyncio.wait((task,))

    await socket_is_closed(server, left_at)
    await no_task_is_left()


async def test_a_task_for_each_event_owns_nothing() -> None:
    """`asyncio.wait_for` makes one on Python 3.11, and so does a loop that is run step by step."""
    script = Script(["Hello", " world"], faults=[Pace(0.1)])
    async with LoopbackServer(script) as server:
        settings = ProviderSettings(api_key="x", base_url=server.base_url())
        async with SteerLLMClient(providers={"openai": settings}) as client:

            async def body() -> AsyncIterator[str]:
                async for text in client.stream("?", "gpt-4o"):
                    yield text

            generator, words = body(), []
            while True:
                try:
                    words.append(await asyncio.ensure_future(anext(generator)))
                except StopAsyncIteration:
                    break

    assert words == ["Hello", " world"]


async def test_another_task_that_goes_on_reading_keeps_the_stream(client: SteerLLMClient) -> None:
    stream = client.stream_events("?", "gpt-4o")

    async def read_one() -> None:
        async for _ in stream:
            return

    await asyncio.create_task(read_one())
    reading = asyncio.create_task(_read(stream))
    await until(lambda: stream.response.get_text() == "Hello")
    await asyncio.sleep(2 * 0.03)

    assert stream.response.error is None
    stream.cancel()
    await reading


async def test_within_async_with_the_block_decides(client: SteerLLMClient) -> None:
    async with client.stream_events("?", "gpt-4o") as stream:

        async def read_some() -> None:
            async for event in stream:
                if event.type == "delta":
                    return

        await asyncio.create_task(read_some())
        await asyncio.sleep(2 * 0.03)
        assert stream.response.error is None

    assert isinstance(stream.response.error, StreamCancelledError)


async def test_a_long_lived_task_keeps_nothing_of_the_streams_it_read() -> None:
    client, _ = scripted()
    task = asyncio.current_task()
    assert task is not None
    # repr shows the callbacks of a task.
    before = repr(task).count("_note_end")

    for _ in range(5):
        assert [event async for event in client.stream_events("?", "gpt-4o")]

    assert repr(task).count("_note_end") == before


async def test_the_error_is_there_when_the_block_is_left(client: SteerLLMClient) -> None:
    stream = client.stream_events("?", "gpt-4o")
    errors: list[Any] = []

    async def read() -> None:
        try:
            async with stream:
                async for event in stream:
                    if event.type == "delta":
                        task.get_loop().call_soon(task.cancel)
                        task.get_loop().call_soon(task.cancel)
        finally:
            errors.append(stream.response.error)

    task = asyncio.create_task(read())
    await asyncio.wait((task,))

    assert task.cancelled()
    assert isinstance(errors[0], StreamCancelledError)


# --- its observers ----------------------------------------------------------------------------


async def test_a_stream_whose_observers_have_all_left_ends(
    client: SteerLLMClient, server: LoopbackServer
) -> None:
    stream = client.stream_events("?", "gpt-4o")
    async with stream.subscribe() as one:
        other = stream.subscribe()
        await anext(one)
        await anext(one)
        await anext(other)
    assert stream.response.error is None
    left_at = time.monotonic()
    del other

    await socket_is_closed(server, left_at)
    assert isinstance(stream.response.error, StreamCancelledError)
    await no_task_is_left()


async def test_within_async_with_a_stream_waits_for_its_next_observer() -> None:
    client, provider = scripted(Script(["Hello"] * 300))
    async with client.stream_events("?", "gpt-4o") as stream:
        async with stream.subscribe(maxsize=1) as one:
            first = await anext(one)
        await rounds()
        so_far = len(stream.response.get_text())
        await rounds()
        assert len(stream.response.get_text()) == so_far  # nobody reads: nothing is pulled
        rest = await _read(stream.subscribe())

    assert first.type == "start"
    assert rest[-1].type == "complete"
    assert stream.response.ok
    assert len(provider.requests) == 1
    await no_task_is_left()


async def test_the_consumer_reads_on_when_its_observers_have_left(client: SteerLLMClient) -> None:
    async with client.stream_events("?", "gpt-4o") as stream:
        observer = stream.subscribe()
        seen = [await anext(stream)]
        observer.close()
        seen.append(await anext(stream))
        stream.cancel()
        seen += [event async for event in stream]

    check_stream(seen)


async def test_an_abandoned_stream_whose_observers_have_left_is_closed(
    client: SteerLLMClient, server: LoopbackServer
) -> None:
    stream = client.stream_events("?", "gpt-4o")
    observer = stream.subscribe()
    await anext(stream)
    await anext(stream)
    observer.close()
    await rounds()
    with pytest.warns(ResourceWarning, match="abandoned"):  # noqa: PT031 - its last holder
        del stream
        gc.collect()
        server.connections[-1]
        stream_is_gone = time.monotonic()
        await socket_is_closed(server, stream_is_gone)
    await no_task_is_left()


@pytest.mark.parametrize("who", ["consumer", "observer"])
async def test_an_impossible_call_is_told_to_every_reader(
    who: str, caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = scripted()
    stream = client.stream_events("?", "claude-x", seed=1)
    observer = stream.subscribe()
    readers: list[EventStream | Any] = [stream, observer]
    if who == "observer":
        readers.reverse()

    for reader in readers:
        with pytest.raises(ConfigurationError, match="seed"):
            await anext(reader)
    assert not caplog.records


# --- where its events leave -------------------------------------------------------------------


class Odd(EventTransformer):
    """Makes events where none may be."""

    def transform(self, event: StreamEvent) -> StreamEvent | list[StreamEvent]:
        extra = StreamDeltaEvent(delta="late")
        if event.type in {"usage", "complete"}:
            return [event, extra, event]
        if event.type == "delta":
            return [event, StreamErrorEvent(error=ValueError("early")), StreamStartEvent()]
        return event


class SlowOdd(Odd):
    async def transform(self, event: StreamEvent) -> StreamEvent | list[StreamEvent]:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().transform(event)


@pytest.mark.parametrize("odd", [Odd(), SlowOdd()], ids=["plain", "asynchronous"])
async def test_a_transformer_cannot_break_the_order(
    odd: EventTransformer, caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = scripted(Script(["Hello", " world"]))
    options = StreamingOptions(event_processor=EventProcessor(transformers=[odd]))

    events = await _read(client.stream_events("?", "gpt-4o", streaming_options=options))

    assert [event.type for event in events] == ["start", "delta", "delta", "usage", "complete"]
    assert [event.sequence for event in events] == [0, 1, 2, 3, 4]
    assert "may follow" in caplog.text


async def test_what_its_consumer_has_found_is_raised_behind_the_error_event() -> None:
    client, _ = scripted(Script(["a", "b", "c"]))
    found = InvalidJSONError("no number")
    seen: list[str] = []
    stream = client.stream_events("Hi", "gpt-4o")

    async def read() -> None:
        async for event in stream:
            seen.append(event.type)
            if event.type == "delta":
                stream.fail(found)

    with pytest.raises(InvalidJSONError, match="no number"):
        await read()
    await client.close()

    assert seen == ["start", "delta", "usage", "error"]
    assert stream.response.error is found
