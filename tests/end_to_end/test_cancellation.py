"""A stream may be left in any state and by any means: socket, events, exceptions and tasks."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
import warnings
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import CallbackError, StreamCancelledError
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import BatchedEventProcessor
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import (
    CutAt,
    Delay,
    LoopbackServer,
    Script,
    ScriptedProvider,
    Stall,
    check_stream,
)
from support.leaving import SOON, Gate, Stage, no_task_is_left, plays, rounds, until
from support.tls import make_contexts

# `make soak` sets it to 1,000.
ROUNDS = int(os.environ.get("STEER_CANCELLATION_ROUNDS", "200"))


@pytest.mark.parametrize(
    ("state", "means", "by_callbacks"),
    [
        pytest.param(*play, id=f"{play[0]}-{play[1]}-{'callbacks' if play[2] else 'iterator'}")
        for play in plays()
    ],
)
async def test_leaving(state: str, means: str, by_callbacks: bool) -> None:
    async with Stage() as stage:
        await stage.play(state, means, by_callbacks=by_callbacks)


async def test_many_streams_left_at_random_through_one_client() -> None:
    random, possible = Random(4), plays()

    async with Stage() as stage:
        for _ in range(ROUNDS):
            state, means, by_callbacks = random.choice(possible)
            await stage.play(state, means, by_callbacks=by_callbacks)


# --- by the consumer's own code ---------------------------------------------------------------


@pytest.fixture
async def stalling() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(Script(["Hello", " world"], faults=[Stall(after=1)])) as server:
        yield server


def client_of(server: LoopbackServer) -> SteerLLMClient:
    return SteerLLMClient(
        providers={"openai": ProviderSettings(api_key="x", base_url=server.base_url())}
    )


async def closed_by_client(server: LoopbackServer, since: float) -> None:
    connection = server.connections[-1]
    await server.wait_for(lambda: connection.closed_at is not None)
    assert connection.closed_by == "client"
    assert connection.closed_at is not None
    assert connection.closed_at - since < SOON


def batching(batches: list[StreamEvent]) -> StreamingOptions:
    return StreamingOptions(event_processor=BatchedEventProcessor(batch_handler=batches.extend))


def is_cancelled(event: StreamEvent) -> bool:
    return isinstance(event, StreamErrorEvent) and isinstance(event.error, StreamCancelledError)


async def test_leaving_by_break(stalling: LoopbackServer) -> None:
    batched: list[StreamEvent] = []

    async with client_of(stalling) as client:
        async with client.stream_events(
            "?", "gpt-4o", streaming_options=batching(batched)
        ) as stream:
            async for event in stream:
                if event.type == "delta":
                    break
            left_at = time.monotonic()
        await closed_by_client(stalling, left_at)

    assert [event.type for event in batched] == ["start", "delta", "usage", "error"]
    assert is_cancelled(batched[-1])
    assert isinstance(stream.response.error, StreamCancelledError)


async def test_leaving_by_an_exception(stalling: LoopbackServer) -> None:
    batched: list[StreamEvent] = []

    async def leave(client: SteerLLMClient) -> None:
        options = batching(batched)
        async with client.stream_events("?", "gpt-4o", streaming_options=options) as stream:
            async for event in stream:
                if event.type == "delta":
                    raise LookupError

    async with client_of(stalling) as client:
        with pytest.raises(LookupError):
            await leave(client)
        await closed_by_client(stalling, time.monotonic())

    assert [event.type for event in batched] == ["start", "delta", "usage", "error"]


class Interrupted(BaseException):
    """As `KeyboardInterrupt`, which a test runner would take for its own."""


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("kind", ["start", "delta"])
async def test_a_callback_that_is_interrupted_ends_the_call(
    stalling: LoopbackServer, kind: str, is_async: bool
) -> None:
    heard: list[StreamEvent] = []
    left_at = 0.0

    def interrupt(event: StreamEvent) -> None:
        nonlocal left_at
        heard.append(event)
        left_at = time.monotonic()
        raise Interrupted

    async def interrupt_later(event: StreamEvent) -> None:
        interrupt(event)

    callbacks: dict[str, Any] = dict.fromkeys(
        ("on_start", "on_delta", "on_usage", "on_error"), heard.append
    )
    callbacks[f"on_{kind}"] = interrupt_later if is_async else interrupt
    async with client_of(stalling) as client:
        with pytest.raises(Interrupted):
            await client.stream_with_usage("?", "gpt-4o", **callbacks)
        if kind == "delta":
            await closed_by_client(stalling, left_at)
        await no_task_is_left()

    check_stream(heard)
    assert is_cancelled(heard[-1])


async def test_a_plain_callback_may_cancel_its_own_task(stalling: LoopbackServer) -> None:
    heard: list[StreamEvent] = []
    left_at = 0.0

    def cancel(event: StreamEvent) -> None:
        nonlocal left_at
        heard.append(event)
        left_at = time.monotonic()
        task.cancel()

    async with client_of(stalling) as client:
        task = asyncio.create_task(
            client.stream_with_usage(
                "?",
                "gpt-4o",
                on_start=heard.append,
                on_delta=cancel,
                on_usage=heard.append,
                on_error=heard.append,
            )
        )
        await asyncio.wait((task,))
        await closed_by_client(stalling, left_at)

    assert task.cancelled()
    assert check_stream(heard).text == "Hello"
    assert is_cancelled(heard[-1])


async def test_text_that_nobody_took_before_the_cancel_is_nowhere() -> None:
    """Both deltas come in one read; the first is taken, and the stream is cancelled."""
    provider = ScriptedProvider(Script(["Hello", " world"], faults=[CutAt(())]))
    heard: list[StreamEvent] = []

    client = SteerLLMClient(openai_api_key="test", transport=provider)
    async with client, client.stream_events("?", "gpt-4o") as stream:
        async for event in stream:
            heard.append(event)
            if event.type == "delta":
                stream.cancel()

    assert check_stream(heard).text == "Hello" == stream.response.get_text()


async def test_an_abandoned_iterator_with_a_processor_is_found_by_the_collector(
    stalling: LoopbackServer,
) -> None:
    async with client_of(stalling) as client:
        stream = client.stream_events("?", "gpt-4o", streaming_options=batching([]))
        while (await anext(stream)).type != "delta":
            pass
        with pytest.warns(ResourceWarning, match="abandoned"):  # noqa: PT031 - its last holder
            del stream
            gc.collect()
        left_at = time.monotonic()  # a collection takes long where much has been loaded
        await closed_by_client(stalling, left_at)
        await no_task_is_left()


async def test_an_abandoned_iterator_warns_and_closes_the_socket(stalling: LoopbackServer) -> None:
    async with client_of(stalling) as client:
        with pytest.warns(ResourceWarning, match="abandoned"):  # noqa: PT031 - its only holder
            async for event in client.stream_events("?", "gpt-4o"):
                if event.type == "delta":
                    break
        left_at = time.monotonic()
        await closed_by_client(stalling, left_at)
        await no_task_is_left()


async def test_an_abandoned_iterator_is_closed_where_its_warning_is_an_error(
    stalling: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    async with client_of(stalling) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            async for event in client.stream_events("?", "gpt-4o"):
                if event.type == "delta":
                    break
        await closed_by_client(stalling, time.monotonic())
        await no_task_is_left()

    assert [type(raised.exc_value) for raised in unraisable] == [ResourceWarning]
    assert client.stats.cancelled == 1


# --- the grace --------------------------------------------------------------------------------


class Slow:
    """A callback or batch handler that is called with the last events, and waits."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.heard: list[StreamEvent] = []

    async def callback(self, event: StreamEvent) -> None:
        await self.gate.wait()
        self.heard.append(event)

    async def batch(self, events: list[StreamEvent]) -> None:
        await self.gate.wait()
        self.heard += events


@pytest.mark.parametrize("listens", ["callback", "batch"])
@pytest.mark.parametrize("is_impatient", [False, True], ids=["past the grace", "cancelled again"])
async def test_the_call_returns_and_the_client_waits_for_what_is_left(
    stalling: LoopbackServer,
    caplog: pytest.LogCaptureFixture,
    listens: str,
    is_impatient: bool,
) -> None:
    slow = Slow()
    options = StreamingOptions(exit_grace=60 if is_impatient else 0.01)
    if listens == "batch":
        processor = BatchedEventProcessor(batch_handler=slow.batch)
        options = options.replace(event_processor=processor)
    begun = asyncio.Event()

    client = client_of(stalling)
    task = asyncio.create_task(
        client.stream_with_usage(
            "?",
            "gpt-4o",
            streaming_options=options,
            on_delta=lambda _: begun.set(),
            on_error=slow.callback if listens == "callback" else None,
        )
    )
    await begun.wait()
    left_at = time.monotonic()
    task.cancel()
    await slow.gate.reached.wait()
    if is_impatient:
        task.cancel()
    await asyncio.wait((task,), timeout=5)

    assert task.cancelled()
    assert slow.heard == []
    await closed_by_client(stalling, left_at)
    asyncio.get_running_loop().call_later(0.01, slow.gate.open)
    await client.close()
    assert is_cancelled(slow.heard[-1])
    assert is_impatient == ("still being delivered" not in caplog.text)


def test_what_the_end_of_the_loop_leaves_undelivered_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = ScriptedProvider(Script(["Hello"], faults=[Stall(after=1)]))
    client = SteerLLMClient(openai_api_key="test", transport=provider)
    slow = Slow()

    async def leave_at_once() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(
            client.stream_with_usage(
                "?",
                "gpt-4o",
                streaming_options=StreamingOptions(exit_grace=0.0),
                on_delta=lambda _: begun.set(),
                on_error=slow.callback,
            )
        )
        await begun.wait()
        task.cancel()
        await slow.gate.reached.wait()
        await asyncio.wait((task,))

    asyncio.run(leave_at_once())

    assert slow.heard == []
    assert client.stats.undelivered == 1
    assert "were not delivered" in caplog.text


async def test_a_callback_that_closes_the_client_while_it_is_left_does_not_wait_for_itself(
    stalling: LoopbackServer,
) -> None:
    client = client_of(stalling)

    async def close(_event: StreamEvent) -> None:
        await client.close()

    begun = asyncio.Event()
    task = asyncio.create_task(
        client.stream_with_usage("?", "gpt-4o", on_delta=lambda _: begun.set(), on_error=close)
    )
    await begun.wait()
    task.cancel()
    await asyncio.wait((task,), timeout=1)

    assert task.cancelled()
    await no_task_is_left()


# --- by others --------------------------------------------------------------------------------


async def test_another_task_may_leave_the_stream_and_its_consumer_gets_the_end(
    stalling: LoopbackServer,
) -> None:
    heard: list[StreamEvent] = []

    async def consume(stream: EventStream) -> None:
        heard.extend([event async for event in stream])

    async with client_of(stalling) as client:
        stream = client.stream_events("?", "gpt-4o")
        task = asyncio.create_task(consume(stream))
        await until(lambda: stream.response.get_text() == "Hello")
        await rounds()
        left_at = time.monotonic()
        await stream.aclose()
        await task
        await closed_by_client(stalling, left_at)

    check_stream(heard)
    assert is_cancelled(heard[-1])


async def test_an_observer_that_reads_no_more_holds_up_no_ending() -> None:
    script = Script(["Hello"] * 10, faults=[Stall(after=9)])

    async with LoopbackServer(script) as server:
        client = client_of(server)
        async with client.stream_events("?", "gpt-4o") as stream:
            quick, slow = stream.subscribe(), stream.subscribe(maxsize=1)
            seen = [await anext(quick) for _ in range(2)]
            await rounds()
        await closed_by_client(server, time.monotonic())
        await client.close()
        await no_task_is_left()

    seen += [event async for event in quick]
    late = [event async for event in slow]
    assert is_cancelled(check_last(seen))
    assert is_cancelled(check_last(late))


def check_last(events: Sequence[StreamEvent]) -> StreamEvent:
    check_stream(events)
    return events[-1]


async def test_leaving_over_tls(tmp_path: Path) -> None:
    serving, _ = make_contexts(tmp_path)
    answer = Script(["Hello", " world"], faults=[Stall(after=1)])

    async with LoopbackServer(answer, ssl=serving) as server:
        settings = ProviderSettings(api_key="x", base_url=server.base_url(), verify=False)
        async with SteerLLMClient(providers={"openai": settings}) as client:
            async with client.stream("?", "gpt-4o") as texts:
                async for _ in texts:
                    break
                left_at = time.monotonic()
            await closed_by_client(server, left_at)


async def test_a_callback_that_raises_at_usage_hides_no_terminal_event(
    stalling: LoopbackServer,
) -> None:
    heard: list[StreamEvent] = []

    def fail(event: StreamEvent) -> None:
        heard.append(event)
        raise ValueError

    async with client_of(stalling) as client:
        with pytest.raises(CallbackError):
            await client.stream_with_usage(
                "?",
                "gpt-4o",
                streaming_options=StreamingOptions(raise_callback_errors=True, raise_on_error=True),
                on_start=heard.append,
                on_delta=fail,
                on_usage=fail,
                on_error=fail,
            )

    check_stream(heard)
    assert [event.type for event in heard] == ["start", "delta", "usage", "error"]


async def test_a_next_that_is_given_up_may_be_asked_for_again(stalling: LoopbackServer) -> None:
    async with client_of(stalling) as client, client.stream_events("?", "gpt-4o") as stream:
        seen = [await anext(stream), await anext(stream)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        stream.cancel()
        seen += [event async for event in stream]

    check_stream(seen)


async def test_a_loop_that_was_held_up_takes_no_waiting_bytes_for_silence() -> None:
    """The bytes came while the loop was blocked for longer than the limit."""
    script = Script(["Hel", "lo", " world"], faults=[Delay(0.1, after=1), Delay(1.6, after=2)])
    options = StreamingOptions(idle_timeout=1.0)
    heard: list[StreamEvent] = []

    async def consume(client: SteerLLMClient) -> None:
        async with client.stream_events("?", "gpt-4o", streaming_options=options) as stream:
            async for event in stream:
                heard.append(event)  # noqa: PERF401 - one by one, to be seen from outside

    with LoopbackServer(script).in_thread() as server:
        async with client_of(server) as client:
            task = asyncio.create_task(consume(client))
            await until(lambda: heard and heard[-1].type == "delta")
            blocked_until = time.monotonic() + 1.4
            while time.monotonic() < blocked_until:
                pass
            await task

    assert check_stream(heard).is_complete
