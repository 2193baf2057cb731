"""The time limits of a stream, with a clock that the test moves; the defaults, lived through."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConnectError, RequestTimeoutError, SteerError, StreamStalledError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    Delay,
    HTTPError,
    KeepAlives,
    ManualClock,
    Pace,
    Script,
    ScriptedProvider,
    Stall,
    check_stream,
)
from support.every_format import MODELS, settings_of

MINUTE = 60.0
ONCE = StreamingOptions(max_retries=0)


class Ended:
    """A stream that has been lived through, and how long that took."""

    def __init__(self, events: list[StreamEvent], seconds: float) -> None:
        self.events = events
        self.seconds = seconds
        self.summary = check_stream(events)

    @property
    def limit(self) -> str:
        error = self.summary.error
        assert isinstance(error, RequestTimeoutError)
        return error.limit


async def live_through(
    answer: Any,
    options: StreamingOptions = ONCE,
    provider: str = "openai",
    on_delta: Callable[[ManualClock], Any] = lambda _: None,
) -> Ended:
    clock = ManualClock()
    network = ScriptedProvider(answer, clock=clock)
    events: list[StreamEvent] = []

    async def keep(event: Any) -> None:
        events.append(event)
        if event.type == "delta" and (waited := on_delta(clock)) is not None:
            await waited

    async with SteerLLMClient(
        providers=settings_of(),
        transport=network,
        clock=clock,
    ) as client:
        begun = clock.monotonic()
        work = client.stream_with_usage(
            "Hi", MODELS[provider], None, None, options, *([keep] * 5), provider=provider
        )
        task = asyncio.ensure_future(work)
        while not task.done():
            await clock.advance(clock.next_in or 0)
    return Ended(events, clock.monotonic() - begun)


# --- each limit -------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["request", "headers"])
async def test_a_provider_that_never_begins_is_given_up(after: Any) -> None:
    ended = await live_through(
        Script(faults=[Stall(after)]), ONCE.replace(first_event_timeout=7, idle_timeout=None)
    )

    assert (ended.limit, ended.seconds) == ("first_event_timeout", 7)


async def test_the_first_event_need_not_be_a_delta() -> None:
    named = Script(faults=[Stall(0)])  # the event that names the model has come

    ended = await live_through(named, ONCE.replace(first_event_timeout=7, idle_timeout=20))

    assert (ended.limit, ended.seconds) == ("idle_timeout", 20)


async def test_a_provider_that_falls_silent_is_given_up() -> None:
    ended = await live_through(Script(faults=[Stall(1)]), ONCE.replace(idle_timeout=8))

    assert (ended.limit, ended.seconds) == ("idle_timeout", 8)
    assert ended.summary.text == "Hello"


async def test_keep_alives_alone_are_no_answer() -> None:
    ended = await live_through(
        Script(faults=[KeepAlives(1, interval=5)]), ONCE.replace(idle_timeout=8, stall_timeout=31)
    )

    assert isinstance(ended.summary.error, StreamStalledError)
    assert (ended.limit, ended.seconds) == ("stall_timeout", 31)
    assert ended.summary.text == "Hello"


async def test_the_whole_may_have_a_limit() -> None:
    slow = Script(["x"] * 100, faults=[Pace(1)])

    ended = await live_through(slow, ONCE.replace(total_timeout=10.5))

    assert (ended.limit, ended.seconds) == ("total_timeout", 10.5)
    assert ended.summary.text == "x" * 10


async def test_the_whole_includes_every_attempt() -> None:
    slow_failure = Script(faults=[Delay(20), HTTPError(503)])
    options = StreamingOptions(max_retries=9, total_timeout=50)

    ended = await live_through(slow_failure, options)

    assert ended.limit == "total_timeout"
    assert ended.seconds == pytest.approx(50, abs=0.01)


async def test_each_attempt_has_its_own_first_event_limit() -> None:
    options = StreamingOptions(max_retries=2, first_event_timeout=10)

    ended = await live_through(Script(faults=[Stall()]), options)

    assert ended.limit == "first_event_timeout"
    assert 30 < ended.seconds < 32
    assert ended.events[-1].metadata["attempt"] == 3


@pytest.mark.parametrize(
    "name", ["first_event_timeout", "idle_timeout", "stall_timeout", "total_timeout"]
)
async def test_time_spent_in_callbacks_never_counts(name: str) -> None:
    def take_an_hour(clock: ManualClock) -> Any:
        clock.jump(3600.0)

    ended = await live_through(Script(["x"] * 5), ONCE.replace(**{name: 5}), on_delta=take_an_hour)

    assert ended.summary.is_complete
    assert ended.seconds == 5 * 3600


async def test_time_spent_in_async_callbacks_never_counts_either() -> None:
    ended = await live_through(
        Script(["x"] * 5),
        ONCE.replace(idle_timeout=5, total_timeout=5),
        on_delta=lambda clock: clock.sleep(3600.0),
    )

    assert ended.summary.is_complete
    assert ended.seconds == 5 * 3600


async def test_no_timer_is_left_when_a_stream_has_ended() -> None:
    clock = ManualClock()
    async with SteerLLMClient("test", transport=ScriptedProvider(), clock=clock) as client:
        await client.generate("Hi", "gpt-4o")

    assert clock.timers == 0


# --- the defaults -----------------------------------------------------------------------------


@pytest.mark.parametrize("provider", MODELS)
async def test_a_reasoning_model_that_gives_signs_of_life_for_minutes_lives(provider: str) -> None:
    thinking = Script(["At last"], faults=[KeepAlives(0, interval=15.0, count=18)])

    ended = await live_through(thinking, StreamingOptions(), provider)

    assert ended.summary.text == "At last"
    assert ended.summary.is_complete
    assert ended.seconds == 18 * 15.0


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "anthropic"])
async def test_one_that_has_begun_may_take_longer_still(provider: str) -> None:
    thinking = Script(["At last"], faults=[KeepAlives(0, interval=15.0, count=36)])

    ended = await live_through(thinking, StreamingOptions(), provider)

    assert ended.summary.is_complete
    assert ended.seconds == 9 * MINUTE


@pytest.mark.parametrize("provider", MODELS)
async def test_a_dead_one_whose_proxy_keeps_the_connection_does_not(provider: str) -> None:
    dead = Script(["Hello", "!"], faults=[KeepAlives(1, interval=15.0)])

    ended = await live_through(dead, StreamingOptions(), provider)

    assert (ended.limit, ended.seconds) == ("stall_timeout", 10 * MINUTE)
    assert ended.summary.text == "Hello"


@pytest.mark.parametrize("provider", MODELS)
async def test_a_dead_one_that_says_nothing_does_not(provider: str) -> None:
    ended = await live_through(
        Script(["Hello", "!"], faults=[Stall(1)]), StreamingOptions(), provider
    )

    assert (ended.limit, ended.seconds) == ("idle_timeout", 5 * MINUTE)


async def test_a_slow_model_may_take_all_day() -> None:
    slow = Script(["word "] * 200, faults=[Pace(290.0)])

    ended = await live_through(slow, StreamingOptions())

    assert ended.summary.is_complete
    assert ended.seconds == 200 * 290.0


# --- connecting: a real socket -----------------------------------------------------------------


async def test_a_host_that_does_not_answer_is_given_up() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        # What fills the backlog: connections that nobody accepts. The next gets no answer.
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        settings = {"openai": ProviderSettings(base_url=f"http://127.0.0.1:{port}/v1")}
        async with SteerLLMClient(providers=settings) as client:
            with pytest.raises(RequestTimeoutError) as caught:
                await client.generate(
                    "Hi", "gpt-4o", streaming_options=ONCE.replace(connect_timeout=0.2)
                )
        for each in waiting:
            each.close()

    assert caught.value.limit == "connect_timeout"
    assert caught.value.seconds == 0.2
    assert str(caught.value) == "no connection to 127.0.0.1 within 0.2 s (connect_timeout)"


async def test_a_port_where_nobody_listens_is_told_at_once(unused_tcp_port: int) -> None:
    settings = {"openai": ProviderSettings(base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")}
    async with SteerLLMClient(providers=settings) as client:
        with pytest.raises(
            ConnectError, match=r"no connection to 127\.0\.0\.1: Conn.* is a server running"
        ) as caught:
            await client.generate("Hi", "gpt-4o", streaming_options=ONCE)

    assert caught.value.is_retryable
    assert isinstance(caught.value, SteerError)
