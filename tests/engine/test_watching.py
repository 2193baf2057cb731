"""Notices and budgets: what they tell and when, and that nothing else changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from steer_llm_sdk import (
    BudgetExceededError,
    ConfigurationError,
    EventStream,
    ProviderSettings,
    SteerError,
    SteerLLMClient,
    SyncSteerLLMClient,
)
from steer_llm_sdk.answer.budget import RunningCount, count_prompt
from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.engine.watching import WatchedPump
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.shaping import RateLimiter, SamplingFilter
from steer_llm_sdk.streaming.processor import (
    EventProcessor,
    EventTransformer,
    MetricsTransformer,
    RedactTransformer,
)
from steer_llm_sdk.testing import (
    Delay,
    EndEarly,
    HTTPError,
    KeepAlives,
    LoopbackServer,
    ManualClock,
    Pace,
    Script,
    ScriptedProvider,
    Stall,
    check_stream,
)
from support.opening import pump_under

MODEL = "gpt-4o"
NOTICES = StreamingOptions(notices=True, stall_notice_after=10)
TRY_LATER = HTTPError(503, headers={"retry-after": "5"})


def client_of(*answers: Any, clock: ManualClock | None = None, **keys: Any) -> SteerLLMClient:
    provider = ScriptedProvider(*answers, clock=clock)
    return SteerLLMClient("key", transport=provider, clock=clock, **keys)


async def events_of(stream: EventStream) -> list[StreamEvent]:
    found: list[StreamEvent] = []
    try:
        async with stream:
            async for event in stream:
                found.append(event)  # noqa: PERF401 - what came before an error is kept
    except SteerError:
        pass
    return found


def notices_in(events: Sequence[StreamEvent]) -> list[dict[str, Any]]:
    return [
        event.delta
        for event in events
        if isinstance(event, StreamDeltaEvent) and isinstance(event.delta, dict)
        if event.kind == "notice"
    ]


async def advance_until_done(
    clock: ManualClock, task: asyncio.Task[Any] | Awaitable[Any], step: float = 1.0
) -> Any:
    running = asyncio.ensure_future(task)
    for _ in range(500):
        await clock.advance(step)
        if running.done():
            return running.result()
    raise AssertionError("it does not end")


# --- notices ----------------------------------------------------------------------------------


async def test_a_stream_that_waits_for_its_turn_says_so_at_once() -> None:
    clock = ManualClock()
    holds = Script(["a"], faults=[Stall(1)])
    client = client_of(holds, Script(["Hello"], faults=[Delay(15)]), clock=clock, max_streams=1)
    held = client.stream_events("Hi", MODEL)
    await anext(held)
    await anext(held)
    streams = [client.stream_events("Hi", MODEL, streaming_options=NOTICES) for _ in range(2)]
    queued: list[Any] = []
    for stream in streams:
        assert (await anext(stream)).type == "start"
        asked = asyncio.ensure_future(anext(stream))  # in a task that holds no place itself
        queued.append(await asyncio.wait_for(asked, 5))  # no time passes meanwhile
    told = {"type": "notice", "notice": "queued", "provider": "openai", "model": MODEL}
    assert [event.delta for event in queued] == [told | {"ahead": 0}, told | {"ahead": 1}]

    following = asyncio.ensure_future(events_of(streams[0]))
    await clock.advance(30)  # a wait for one's turn is no silence of the provider's
    assert not following.done()
    await held.aclose()
    rest = await advance_until_done(clock, following)
    assert [(n["notice"], n.get("seconds")) for n in notices_in(rest)] == [
        ("stalled", pytest.approx(10, abs=1.5)),
        ("resumed", pytest.approx(15, abs=1.5)),
    ]
    assert streams[0].response.ok
    await streams[1].aclose()


async def test_a_stream_whose_turn_it_is_tells_nothing_of_a_queue() -> None:
    client = client_of(Script(["Hello"]), max_streams=1)

    events = await events_of(client.stream_events("Hi", MODEL, streaming_options=NOTICES))

    assert notices_in(events) == []


async def test_a_pause_that_the_provider_asks_for_is_told_to_those_that_wait() -> None:
    clock = ManualClock()
    busy = HTTPError(429, headers={"retry-after": "30"})
    client = client_of([busy], Script(["Hello"]), clock=clock, max_streams=9)
    once = StreamingOptions(max_retries=0, raise_on_error=False)
    await client.generate("Hi", MODEL, streaming_options=once)

    stream = client.stream_events("Hi", MODEL, streaming_options=NOTICES)
    events = await advance_until_done(clock, events_of(stream))

    assert [notice["notice"] for notice in notices_in(events)] == ["queued"]
    assert stream.response.metrics["queued_ms"] == pytest.approx(30_000)


async def test_a_retry_is_told_before_the_pause() -> None:
    clock = ManualClock()
    client = client_of(TRY_LATER, Script(["Hello"]), clock=clock)
    stream = client.stream_events("Hi", MODEL, streaming_options=NOTICES)
    assert (await anext(stream)).type == "start"
    notice: Any = await anext(stream)

    assert notice.kind == "notice"
    assert 5.0 <= notice.delta.pop("wait") < 10  # as asked, and a jitter
    assert notice.delta == {
        "type": "notice",
        "notice": "retry",
        "error_type": "OverloadedError",
        "attempt": 1,
        "provider": "openai",
        "model": MODEL,
    }
    assert (notice.chunk_index, notice.sequence, notice.get_text()) == (-1, 1, "")
    rest = await advance_until_done(clock, events_of(stream))
    assert [event.type for event in rest] == ["delta", "usage", "complete"]
    assert rest[0].chunk_index == 0


async def test_another_model_is_told_of() -> None:
    options = NOTICES.replace(max_retries=0, fallback_models=["anthropic:claude-sonnet-4-5"])
    client = client_of(TRY_LATER, Script(["Hello"]), anthropic_api_key="other")

    events = await events_of(client.stream_events("Hi", MODEL, streaming_options=options))

    (told,) = notices_in(events)
    assert (told["notice"], told["provider"], told["model"]) == (
        "fallback",
        "anthropic",
        "claude-sonnet-4-5",
    )


async def test_a_silence_is_told_of_once_and_so_is_its_end() -> None:
    clock = ManualClock()
    script = Script(["one", "two"], faults=[Delay(45, after=1)])
    client = client_of(script, clock=clock)
    stream = client.stream_events("Hi", MODEL, streaming_options=NOTICES)
    events = await advance_until_done(clock, events_of(stream))

    summary = check_stream(events)
    assert summary.kinds == ("start", "text", "notice", "notice", "text", "usage", "complete")
    stalled, resumed = notices_in(events)
    assert (stalled["notice"], resumed["notice"]) == ("stalled", "resumed")
    assert 10 <= stalled["seconds"] < 12
    assert 40 <= resumed["seconds"] <= 50
    assert summary.text == "onetwo"


async def test_keep_alives_end_no_silence() -> None:
    clock = ManualClock()
    script = Script(["one"], faults=[KeepAlives(after=1, interval=1.0)])
    client = client_of(script, clock=clock)
    options = NOTICES.replace(stall_timeout=30.0, max_retries=0)
    stream = client.stream_events("Hi", MODEL, streaming_options=options)

    events = await advance_until_done(clock, events_of(stream))

    assert [told["notice"] for told in notices_in(events)] == ["stalled"]
    assert events[-1].error_type == "StreamStalledError"


async def test_no_silence_is_told_of_where_none_was_asked_for() -> None:
    clock = ManualClock()
    client = client_of(Script(["one"], faults=[Stall(after=1)]), clock=clock)
    options = StreamingOptions(notices=True, stall_notice_after=None, idle_timeout=60)

    events = await advance_until_done(
        clock, events_of(client.stream_events("Hi", MODEL, streaming_options=options))
    )

    assert notices_in(events) == []


async def test_an_answer_that_was_cut_and_goes_on_is_told_of() -> None:
    options = NOTICES.replace(recovery="continue", max_retries=1)
    script = Script(["Hello", " wor", "ld"], faults=[EndEarly(after=2)])
    client = SteerLLMClient(
        anthropic_api_key="k", transport=ScriptedProvider(script, Script(["ld"]))
    )

    model = "anthropic:claude-3-5-sonnet-20241022"
    events = await events_of(client.stream_events("Hi", model, streaming_options=options))

    assert [told["notice"] for told in notices_in(events)] == ["cut", "recovered"]
    assert check_stream(events).is_complete


async def test_usage_is_told_as_it_grows() -> None:
    clock = ManualClock()
    script = Script(["word "] * 10, faults=[Pace(1.0)])
    options = StreamingOptions(notices=True, live_usage=3.0)
    stream = client_of(script, clock=clock).stream_events("Hi", MODEL, streaming_options=options)
    events = await advance_until_done(clock, events_of(stream), 0.5)

    told = notices_in(events)
    assert {each["notice"] for each in told} == {"usage"}
    assert 2 <= len(told) <= 4
    completions = [each["usage"]["completion_tokens"] for each in told]
    assert completions == sorted(set(completions))
    assert all(each["is_estimated"] for each in told)
    assert sum(event.type == "usage" for event in events) == 1


async def test_usage_is_told_while_nothing_more_comes() -> None:
    clock = ManualClock()
    client = client_of(Script(["one", "two"], faults=[Delay(45, after=1)]), clock=clock)
    options = StreamingOptions(notices=True, live_usage=3.0, stall_notice_after=None)
    stream = client.stream_events("Hi", MODEL, streaming_options=options)

    events = await advance_until_done(clock, events_of(stream))

    kinds = check_stream(events).kinds
    assert kinds == ("start", "text", "notice", "text", "usage", "complete")
    assert events[2].timestamp - events[0].timestamp < 10


def test_live_usage_without_notices_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="add notices=True"):
        StreamingOptions(live_usage=1.0)


@pytest.mark.parametrize("way", ["generate", "sync", "processor", "text_transformers"])
async def test_notices_change_no_count_and_no_text(way: str) -> None:
    answers: Any = [HTTPError(503, headers={"retry-after": "0"}), Script(["a", "b"], usage=(3, 5))]
    options = NOTICES
    if way == "processor":
        options = options.replace(event_processor=EventProcessor([], [MetricsTransformer()]))
    if way == "text_transformers":
        options = options.replace(text_transformers=[RedactTransformer(["b"])])
    seen: list[StreamEvent] = []
    if way == "sync":

        def ask() -> Any:
            with SyncSteerLLMClient("k", transport=ScriptedProvider(*answers)) as client:
                return client.stream_with_usage(
                    "Hi", MODEL, streaming_options=options, on_delta=seen.append
                )

        response = await asyncio.to_thread(ask)
    else:
        response = await client_of(*answers).stream_with_usage(
            "Hi", MODEL, streaming_options=options, on_delta=seen.append
        )

    assert next(event.kind for event in seen if isinstance(event, StreamDeltaEvent)) == "notice"
    assert response.get_text() in {"ab", "a[REDACTED]"}
    assert response.metrics["chunks"] == 2
    assert response.usage is not None
    assert response.usage["completion_tokens"] == 5


async def test_text_transformers_may_take_their_time() -> None:
    class Slow(EventTransformer):
        async def transform(self, event: StreamEvent) -> StreamEvent:
            await asyncio.sleep(0)
            return event

    options = NOTICES.replace(text_transformers=[Slow()], budget_tokens=10_000)
    stream = client_of(Script(["a", "b"])).stream_events("Hi", MODEL, streaming_options=options)

    assert check_stream(await events_of(stream)).text == "ab"


@pytest.mark.parametrize("is_rewritten", [False, True])
async def test_notices_keep_the_order_of_times_where_the_loop_is_held_up(
    *, is_rewritten: bool
) -> None:
    """A read may be over, and its events not yet given, when a notice becomes due."""
    options = StreamingOptions(
        notices=True,
        stall_notice_after=0.004,
        live_usage=0.003,
        text_transformers=[Dawdling()] if is_rewritten else [],
    )
    stalls: list[str] = []
    async with LoopbackServer(Script(list("abcdefgh"), faults=[Pace(0.006)])) as server:
        settings = ProviderSettings(base_url=server.base_url())
        async with SteerLLMClient(providers={"openai": settings}) as client:

            async def read() -> None:
                events: list[StreamEvent] = []
                async with client.stream_events("?", MODEL, streaming_options=options) as stream:
                    async for event in stream:
                        events.append(event)
                        time.sleep(0.001)  # noqa: ASYNC251 - as callbacks do that hold up the loop
                assert check_stream(events).text == "abcdefgh"
                stalls.extend(notice["notice"] for notice in notices_in(events))

            await asyncio.gather(*(read() for _ in range(20)))

    assert "stalled" in stalls
    assert "resumed" in stalls


class Dawdling(EventTransformer):
    """A text transformer that takes its time."""

    async def transform(self, event: StreamEvent) -> StreamEvent:
        await asyncio.sleep(0.002)
        return event


async def test_a_processor_measures_and_drops_no_notice() -> None:
    answers = [HTTPError(503, headers={"retry-after": "0"}), Script(["a", "b"])]
    processor = EventProcessor(
        [SamplingFilter(0.5)], [RateLimiter(1, surplus="drop"), MetricsTransformer()]
    )
    options = NOTICES.replace(event_processor=processor)

    stream = client_of(*answers).stream_events("Hi", MODEL, streaming_options=options)
    events = await events_of(stream)

    notice, first = (event for event in events if event.type == "delta")
    assert "ttft" not in notice.metadata
    assert "ttft" in first.metadata
    assert events[-1].metadata["metrics_summary"]["chunks"] == 1


async def test_an_anext_that_is_given_up_while_notices_are_awaited_loses_nothing() -> None:
    async with LoopbackServer(Script(["a", "b", "c"], faults=[Pace(0.05)])) as server:
        settings = {"openai": ProviderSettings(api_key="k", base_url=server.base_url())}
        options = StreamingOptions(notices=True, stall_notice_after=0.02)
        async with SteerLLMClient(providers=settings) as client:
            stream = client.stream_events("Hi", MODEL, streaming_options=options)
            events: list[StreamEvent] = []
            while not events or events[-1].type != "complete":
                try:
                    events.append(await asyncio.wait_for(anext(stream), 0.01))
                except TimeoutError:
                    continue

        assert len(server.requests) == 1
    summary = check_stream(events)
    assert summary.text == "abc"
    assert "notice" in summary.kinds


@pytest.mark.parametrize("is_redacted", [False, True])
@pytest.mark.parametrize("budget", [None, 60])
async def test_no_notice_follows_the_terminal_event(
    budget: int | None, *, is_redacted: bool
) -> None:
    options = StreamingOptions(
        notices=True,
        live_usage=0.5,
        budget_tokens=budget,
        text_transformers=[RedactTransformer(["nothing"])] if is_redacted else [],
    )
    clock = ManualClock()
    stream = client_of(Script(WORDS), clock=clock).stream_events(
        "Hi", MODEL, streaming_options=options
    )
    pump = await pump_under(stream)
    events: list[StreamEvent] = []
    while (batch := await pump.next_batch()) is not None:
        for event in batch:
            events.append(event)
            if event.type in {"usage", "complete", "error"}:
                clock.jump(1.0)  # something would be due

    assert notices_in(events) == []
    assert events[-1].type == ("complete" if budget is None else "error")


async def test_a_call_from_a_callback_with_notices_is_told_not_hung() -> None:
    told: list[str] = []
    provider = ScriptedProvider("a")
    async with SteerLLMClient("k", transport=provider, max_streams=1) as client:

        async def ask_again(_event: object) -> None:
            try:
                await client.generate("Hi", MODEL, streaming_options=NOTICES)
            except ConfigurationError as error:
                told.append(str(error))

        await client.stream_with_usage("Hi", MODEL, streaming_options=NOTICES, on_delta=ask_again)

    assert "would wait for itself" in told[0]


@pytest.mark.parametrize("rounds", range(2, 7))
async def test_a_wait_with_notices_that_is_given_up_soon_gets_on_all_the_same(rounds: int) -> None:
    clock = ManualClock()
    client = client_of(Script(["a", "b", "c"]), clock=clock)
    stream = client.stream_events("Hi", MODEL, streaming_options=NOTICES)
    events: list[StreamEvent] = []
    for _ in range(1_000):
        task = asyncio.ensure_future(anext(stream))
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            events.append(task.result())
            if events[-1].type == "complete":
                break

    assert check_stream(events).text == "abc"


async def test_an_observer_is_told_each_notice_for_itself() -> None:
    answers = [HTTPError(503, headers={"retry-after": "0"})] * 2 + [Script(["a"])]
    client = client_of(*answers)
    async with client.stream_events("Hi", MODEL, streaming_options=NOTICES) as stream:
        observer = stream.subscribe(maxsize=1, overflow="coalesce")
        async for _ in stream:
            pass
        seen = [event async for event in observer]

    assert len(notices_in(seen)) == 2


async def test_a_stream_without_notices_is_not_watched() -> None:
    for options, kind in ((StreamingOptions(), Pump), (NOTICES, WatchedPump)):
        client = client_of(Script(["a"]))
        async with client.stream_events("Hi", MODEL, streaming_options=options) as stream:
            await anext(stream)
            assert type(stream._pump) is kind


# --- budgets ----------------------------------------------------------------------------------

WORDS = [f"word{number} " for number in range(50)]
PROMPT = count_prompt(ChatRequest(MODEL, read_messages("Hi")))


def cut_after(budget: int) -> int:
    """How many deltas come, by the count alone: the last is the first that is too many."""
    count = RunningCount(PROMPT)
    for number, word in enumerate(WORDS, 1):
        count.add(StreamDeltaEvent(delta=word))
        if PROMPT + count.completion > budget:
            return number
    return len(WORDS)


@pytest.mark.parametrize("budget", [PROMPT + 1, PROMPT + 17, 60, 61, 62])
@pytest.mark.parametrize("is_redacted", [False, True])
async def test_an_answer_is_cut_at_the_first_delta_that_exceeds_the_budget(
    budget: int, *, is_redacted: bool
) -> None:
    transformers = [RedactTransformer(["nothing"])] if is_redacted else []
    options = StreamingOptions(budget_tokens=budget, text_transformers=transformers)
    client = client_of(Script(WORDS))

    stream = client.stream_events("Hi", MODEL, streaming_options=options)
    events = await events_of(stream)

    summary = check_stream(events)
    assert isinstance(summary.error, BudgetExceededError)
    if not is_redacted:  # which holds back what may be the beginning of a word
        assert summary.deltas == cut_after(budget)
        assert summary.text == "".join(WORDS[: cut_after(budget)])
    assert summary.text == stream.response.get_text()
    assert summary.usage is not None
    assert summary.error.spent > budget
    assert summary.error.partial_response is stream.response


async def test_a_budget_that_suffices_changes_nothing() -> None:
    options = StreamingOptions(budget_tokens=10_000, budget_usd=10.0)

    response = await client_of(Script(WORDS)).generate("Hi", MODEL, streaming_options=options)

    assert response.get_text() == "".join(WORDS)


async def test_a_prompt_beyond_the_budget_sends_nothing() -> None:
    provider = ScriptedProvider(Script(WORDS))
    client = SteerLLMClient("k", transport=provider)
    options = StreamingOptions(budget_tokens=PROMPT - 1)

    events = await events_of(client.stream_events("Hi", MODEL, streaming_options=options))

    assert [event.type for event in events] == ["start", "error"]
    assert events[-1].error_type == "BudgetExceededError"  # type: ignore[attr-defined]
    assert provider.requests == []


async def test_money_is_a_budget_too() -> None:
    options = StreamingOptions(budget_usd=0.0002)
    stream = client_of(Script(WORDS)).stream_events("Hi", MODEL, streaming_options=options)

    summary = check_stream(await events_of(stream))

    error = summary.error
    assert isinstance(error, BudgetExceededError)
    assert (error.budget, error.limit) == ("budget_usd", 0.0002)
    assert 0.0002 < error.spent < 0.00025
    assert 0 < summary.deltas < len(WORDS)


@pytest.mark.parametrize("model", ["local:smollm2", "mine:unheard-of"])
async def test_money_for_a_model_without_a_price_is_refused(model: str) -> None:
    provider = ScriptedProvider(Script(WORDS))
    settings = {"mine": ProviderSettings(kind="vllm", base_url="http://127.0.0.1:1/v1")}
    settings["local"] = ProviderSettings(base_url="http://127.0.0.1:1/v1")
    client = SteerLLMClient(transport=provider, providers=settings)
    options = StreamingOptions(budget_usd=1.0)

    with pytest.raises(ConfigurationError, match="budget_usd: the price of"):
        await client.generate("Hi", model, streaming_options=options)

    assert provider.requests == []


@pytest.mark.parametrize("value", [0, -1, True, "1"])
def test_a_budget_is_a_number_above_zero(value: Any) -> None:
    for name in ("budget_usd", "budget_tokens"):
        with pytest.raises(ConfigurationError, match=name):
            StreamingOptions(**{name: value})


async def test_the_socket_is_closed_at_the_delta_that_exceeds_the_budget() -> None:
    async with LoopbackServer(Script(WORDS, faults=[Stall(after=30)])) as server:
        settings = {"openai": ProviderSettings(api_key="k", base_url=server.base_url())}
        options = StreamingOptions(budget_tokens=PROMPT + 10)
        last = cut_after(PROMPT + 10) - 1
        client = SteerLLMClient(providers=settings)
        async with client, client.stream_events("Hi", MODEL, streaming_options=options) as stream:
            async for event in stream:
                if isinstance(event, StreamDeltaEvent) and event.chunk_index == last:
                    break
            # The consumer is still at this delta.
            await server.wait_for(lambda: server.connections.open == 0)
        (connection,) = server.connections
        assert connection.closed_by == "client"
