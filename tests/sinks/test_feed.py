"""A client tells its sinks of every stream, and no sink can touch one."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, SteerError, SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.records import StreamRecord, ToolRecord
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks import Sink
from steer_llm_sdk.streaming.processor import EventFilter, EventProcessor, EventTransformer
from steer_llm_sdk.testing import (
    EndEarly,
    HTTPError,
    ManualClock,
    Reset,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    Stall,
    check_stream,
)
from support.sinks import Raising, Remembering, RememberingEvents

MODEL = "gpt-4o"
HELLO = Script(["Hello", " world"], usage=(3, 5))
SECRET_WORDS = ("prompt-word", "answer-word")


def client_of(*answers: Any, sinks: list[Sink], **settings: Any) -> SteerLLMClient:
    return SteerLLMClient("key", transport=ScriptedProvider(*answers), sinks=sinks, **settings)


async def test_a_stream_that_completed_is_told_with_all_that_is_known_of_it() -> None:
    sink = Remembering()
    async with client_of(HELLO, sinks=[sink]) as client:
        response = await client.generate(
            "Hi", MODEL, temperature=0.5, max_tokens=9, request_id="r-7", metadata={"user": "u1"}
        )

    (started,) = sink.started
    assert started.outcome == "running"
    assert (started.provider, started.model, started.ended_at) == ("openai", MODEL, None)
    told = sink.last
    assert (told.stream_id, told.request_id) == (response.stream_id, "r-7")
    assert (told.outcome, told.finish_reason, told.error_type) == ("completed", "stop", None)
    assert told.usage == response.usage
    counts: Any = told.usage
    assert counts["total_tokens"] == 8
    assert told.metrics == response.metrics
    assert told.cost_usd == response.cost_usd
    assert told.parameters == {"temperature": 0.5, "max_tokens": 9}
    assert told.metadata == {"user": "u1"}
    assert (told.server_address, told.server_port) == ("api.openai.com", 443)
    assert told.response_model == response.metadata["response_model"]
    assert (told.attempts, told.retries, told.is_json) == (1, (), False)
    assert told.ended_at is not None
    assert told.ended_at >= told.started_at
    assert told.content is None


async def test_times_are_those_of_the_clients_clock() -> None:
    sink, clock = Remembering(), ManualClock(time=1_700_000_000.0)
    answer = Script(["Hello"], faults=[Stall(after=1)])
    options = StreamingOptions(idle_timeout=30)
    client = client_of(answer, sinks=[sink], clock=clock)
    running = asyncio.create_task(client.generate("Hi", MODEL, streaming_options=options))
    await clock.advance(31)
    with pytest.raises(SteerError):
        await running
    await client.close()

    assert sink.last.started_at == 1_700_000_000.0
    assert sink.last.ended_at == pytest.approx(1_700_000_030.0)
    assert sink.last.error_type == "RequestTimeoutError"
    assert sink.last.is_retryable is True


class SetBack(ManualClock):
    """Each time that somebody looks at it, the clock on the wall has been set back by an hour."""

    looks = 0

    def time(self) -> float:
        self.looks += 1
        return super().time() - 3_600 * self.looks


async def test_a_clock_that_is_set_back_ends_no_stream_before_it_began() -> None:
    sink, clock = Remembering(), SetBack(time=1_700_000_000.0)
    async with client_of(HELLO, sinks=[sink], clock=clock) as client:
        await client.generate("Hi", MODEL)

    assert sink.last.ended_at == sink.last.started_at


async def test_what_a_server_said_before_it_was_asked_again_is_words() -> None:
    """It may quote the prompt."""
    plain, words = Remembering(), Remembering(content=True)
    busy = HTTPError(503, message="prompt-word is too much", headers={"retry-after": "0"})
    async with client_of(busy, HELLO, sinks=[plain, words]) as client:
        await client.generate("Hi", MODEL)

    assert len(plain.last.retries) == 1
    assert "prompt-word" not in plain.last.to_json()
    assert "prompt-word" in words.last.to_json()


async def test_a_failure_tells_its_class_and_status() -> None:
    sink = Remembering()
    async with client_of(HTTPError(400, message="prompt-word"), sinks=[sink]) as client:
        with pytest.raises(SteerError):
            await client.generate("Hi", MODEL)

    told = sink.last
    assert (told.outcome, told.error_type, told.error_status) == (
        "failed",
        "InvalidRequestError",
        400,
    )
    assert "prompt-word" not in told.to_json()


async def test_requests_that_were_sent_again_are_told() -> None:
    sink = Remembering()
    options = StreamingOptions(max_retries=1, fallback_models=["anthropic:claude-sonnet-4-5"])
    answers = [HTTPError(503, headers={"retry-after": "0"})] * 2 + [HELLO]
    client = client_of(*answers, sinks=[sink], anthropic_api_key="other")
    async with client:
        await client.generate("Hi", MODEL, streaming_options=options)

    told = sink.last
    assert sink.started[0].provider == "openai"
    assert (told.provider, told.model) == ("anthropic", "claude-sonnet-4-5")
    assert told.server_address == "api.anthropic.com"
    assert told.attempts == 3
    assert [retry["error_type"] for retry in told.retries] == ["OverloadedError"] * 2
    assert [retry["wait"] is None for retry in told.retries] == [False, True]
    assert len(sink.ended) == 1


WAYS_OUT = ["break", "cancel", "task", "exception", "dropped"]


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.filterwarnings("ignore:a stream was abandoned:ResourceWarning")
async def test_a_stream_that_is_left_is_told_once_and_as_cancelled(way: str) -> None:
    sink = RememberingEvents()
    client = client_of(Script(["a"] * 5, faults=[Stall(after=3)]), sinks=[sink])
    has_begun = asyncio.Event()

    async def leave() -> None:
        if way == "dropped":
            stream = client.stream_events("Hi", MODEL)
            await anext(stream)
            await anext(stream)
            del stream
            gc.collect()
            return
        async with client.stream_events("Hi", MODEL) as stream:
            async for event in stream:
                if event.type != "delta":
                    continue
                has_begun.set()
                if way == "cancel":
                    stream.cancel()
                elif way == "exception":
                    raise LookupError
                elif way == "break":
                    break

    if way == "task":
        task = asyncio.create_task(leave())
        await has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    elif way == "exception":
        with pytest.raises(LookupError):
            await leave()
    else:
        await leave()
    await asyncio.sleep(0)
    await client.close()

    assert len(sink.started) == 1
    assert [told.outcome for told in sink.ended] == ["cancelled"]
    assert sink.last.error_type == "StreamCancelledError"


async def test_a_stream_that_was_never_begun_is_not_told_of() -> None:
    sink = Remembering()
    async with client_of(HELLO, sinks=[sink]) as client:
        stream = client.stream_events("Hi", MODEL)
        await stream.aclose()
        with pytest.raises(ConfigurationError):
            await client.generate("Hi", "no-such-model")

    assert (sink.started, sink.ended) == ([], [])


def shown_by(sink: RememberingEvents) -> list[str]:
    records = [told.to_json() for told in (*sink.started, *sink.ended)]
    return records + [event.to_json() for event in sink.events]


# --- events -----------------------------------------------------------------------------------


class DropEverything(EventFilter):
    def should_process(self, event: StreamEvent) -> bool:
        return False


class ChangeInPlace(EventTransformer):
    def transform(self, event: StreamEvent) -> StreamEvent:
        event.metadata["mine"] = True
        if isinstance(event, StreamDeltaEvent):
            event.delta = "changed"
        return event


async def test_events_are_told_as_they_were_before_filters_and_transformers() -> None:
    sink = RememberingEvents(content=True)
    for processor in (EventProcessor([DropEverything()]), EventProcessor([], [ChangeInPlace()])):
        async with client_of(HELLO, sinks=[sink]) as client:
            options = StreamingOptions(event_processor=processor)
            await client.generate("Hi", MODEL, streaming_options=options)

        summary = check_stream(sink.events)
        assert (summary.text, summary.deltas) == ("Hello world", 2)
        assert "mine" not in sink.events[0].metadata
        sink.events.clear()


class HideArguments(EventTransformer):
    """Changes what a delta has, rather than the delta."""

    def transform(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamDeltaEvent) and isinstance(event.delta, dict):
            event.delta["arguments"] = "hidden"
        return event


async def test_a_transformer_changes_nothing_inside_of_what_sinks_were_told() -> None:
    sink = RememberingEvents(content=True)
    calls = Script([], tool_calls=[ScriptedToolCall("find", {"what": "x"})])
    options = StreamingOptions(event_processor=EventProcessor([], [HideArguments()]))
    async with client_of(calls, sinks=[sink]) as client:
        await client.generate("Hi", MODEL, streaming_options=options)

    assert "hidden" not in str([event.to_json() for event in sink.events])


def test_a_loop_that_ends_before_all_was_told_does_not_end_the_telling() -> None:
    """Whoever flushed is gone, and the thread that would wake it goes on."""
    hangs, go_on = threading.Event(), threading.Event()

    class Hanging(Remembering):
        def stream_ended(self, record: StreamRecord) -> None:
            hangs.set()
            go_on.wait(10)
            super().stream_ended(record)

    sink = Hanging()
    client = client_of(HELLO, HELLO, sinks=[sink])

    async def leave() -> None:
        await client.generate("Hi", MODEL)
        assert hangs.wait(10)
        flushing = asyncio.ensure_future(client._sinks.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.wait([flushing])

    async def stay() -> None:
        await client.generate("Hi", MODEL)
        await client.close()

    asyncio.run(leave())
    go_on.set()
    asyncio.run(stay())

    assert [told.outcome for told in sink.ended] == ["completed"] * 2


async def test_events_are_told_between_the_beginning_and_the_end() -> None:
    told: list[str] = []

    class Ordered(Sink):
        def stream_started(self, record: StreamRecord) -> None:
            told.append("started")

        def event(self, event: StreamEvent) -> None:
            told.append(event.type)

        def stream_ended(self, record: StreamRecord) -> None:
            told.append("ended")

    async with client_of(HELLO, sinks=[Ordered()]) as client:
        await client.generate("Hi", MODEL)

    assert told == ["started", "start", "delta", "delta", "usage", "complete", "ended"]


async def test_a_sink_that_says_so_gets_no_events() -> None:
    sink = RememberingEvents()
    sink.wants_events = False  # type: ignore[attr-defined]
    async with client_of(HELLO, sinks=[sink]) as client:
        await client.generate("Hi", MODEL)

    assert (sink.events, len(sink.ended)) == ([], 1)


@pytest.mark.parametrize(
    "answer",
    [
        Script(["answer-word"], reasoning=["answer-word"]),
        HTTPError(400, message="prompt-word answer-word"),
        Script(["answer-word"] * 3, faults=[EndEarly(after=2)]),
        Script(["answer-word"] * 3, faults=[Reset(after=2)]),
    ],
)
async def test_no_word_is_told_to_those_who_did_not_ask(answer: Any) -> None:
    plain, words = RememberingEvents(), RememberingEvents(content=True)
    options = StreamingOptions(max_retries=0, raise_on_error=False)
    async with client_of(answer, sinks=[plain, words]) as client:
        await client.generate("prompt-word", MODEL, streaming_options=options, system="prompt-word")

    shown = shown_by(plain)
    assert not [text for text in shown for word in SECRET_WORDS if word in text]
    content = words.last.content
    assert content is not None
    assert content["system"] == "prompt-word"
    assert content["messages"] == [{"role": "user", "content": "prompt-word"}]
    assert any("answer-word" in text for text in shown_by(words))


@pytest.mark.parametrize("text", ['{"a": answer-word}', '["answer-word"]'])
async def test_an_answer_that_is_not_the_json_asked_for_is_quoted_nowhere(text: str) -> None:
    sink = RememberingEvents()
    schema = {"type": "json_schema", "schema": {"type": "object"}}
    async with client_of(Script([text]), sinks=[sink]) as client:
        with pytest.raises(SteerError):
            await client.generate("Hi", MODEL, response_format=schema)

    assert sink.last.outcome == "failed"
    assert sink.last.is_json
    assert not [text for text in shown_by(sink) if "answer-word" in text]


# --- where it is called -----------------------------------------------------------------------


async def test_the_beginning_is_told_in_the_callers_context_and_the_rest_in_one_thread() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    seen: list[str] = []

    class Contextual(Remembering):
        def stream_started(self, record: StreamRecord) -> None:
            super().stream_started(record)
            seen.append(user.get())

    sink = Contextual()
    async with client_of(HELLO, HELLO, sinks=[sink]) as client:
        user.set("anna")
        await client.generate("Hi", MODEL)
        user.set("bert")
        async with client.stream_events("Hi", MODEL) as stream:
            async for _ in stream:
                pass

    assert seen == ["anna", "bert"]
    here = threading.current_thread().name
    assert {thread for what, thread in sink.calls if what == "stream_started"} == {here}
    others = {thread for what, thread in sink.calls if what != "stream_started"}
    assert others == {"steer-llm-sdk-sinks"}


async def test_closing_the_client_flushes_and_closes_its_sinks_after_all_was_told() -> None:
    sink = Remembering()
    client = client_of(HELLO, HELLO, sinks=[sink])
    await client.generate("Hi", MODEL)
    await client.close()

    assert [what for what, _ in sink.calls] == ["stream_started", "stream_ended", "flush", "close"]

    await client.generate("Hi", MODEL)
    await client.close()

    assert len(sink.ended) == 2


def test_the_blocking_client_tells_its_sinks_too() -> None:
    sink = Remembering()
    with SyncSteerLLMClient("key", transport=ScriptedProvider(HELLO), sinks=[sink]) as client:
        client.generate("Hi", MODEL)

    assert [told.outcome for told in sink.ended] == ["completed"]
    assert sink.calls[-1][0] == "close"


# --- it cannot touch a stream -----------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), SystemExit(3)])
async def test_what_a_sink_raises_is_counted_and_touches_nothing(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    other = Remembering()

    class RaisingLater(Raising):
        def stream_started(self, record: StreamRecord) -> None:
            if not isinstance(error, SystemExit):  # an exit that the caller's thread asks for
                super().stream_started(record)

    async with client_of(HELLO, HELLO, sinks=[RaisingLater(error), other]) as client:
        assert (await client.generate("Hi", MODEL)).ok
        assert (await client.generate("Hi", MODEL)).ok

    assert client.stats.completed == 2
    assert client.stats.sink_errors > 0
    assert [told.outcome for told in other.ended] == ["completed"] * 2
    assert "a sink raised in" in caplog.text


async def test_a_sink_that_hangs_holds_up_no_stream_and_drops_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.feed.MAX_WAITING", 3)
    monkeypatch.setattr("steer_llm_sdk.sinks.feed.CLOSING_GRACE", 0.05)
    go_on = threading.Event()

    class Hanging(Remembering):
        def stream_ended(self, record: StreamRecord) -> None:
            go_on.wait(10)
            super().stream_ended(record)

    sink = Hanging()
    client = client_of(*[HELLO] * 10, sinks=[sink])
    for _ in range(10):
        assert (await client.generate("Hi", MODEL)).ok
    await client.close()
    go_on.set()
    await client.close()

    assert client.stats.completed == 10
    assert len(sink.ended) + client.stats.sink_drops == 10
    assert client.stats.sink_drops in {6, 7}  # one is with the sink, three wait
    assert len(sink.started) == len(sink.ended)  # it is told of the whole of a stream, or of none


async def test_the_end_of_a_stream_is_told_although_its_events_were_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.feed.MAX_WAITING", 3)
    go_on = threading.Event()

    class Hanging(RememberingEvents):
        def event(self, event: StreamEvent) -> None:
            go_on.wait(10)
            super().event(event)

    sink, other = Hanging(), Remembering()
    client = client_of(Script(["a"] * 50), Script(["a"] * 50), sinks=[sink, other])
    for _ in range(2):
        assert (await client.generate("Hi", MODEL)).ok
    go_on.set()
    await client.close()

    assert 0 < len(sink.events) < 10
    assert client.stats.sink_drops == 2 * 53 - len(sink.events)
    for each in (sink, other):
        assert [told.outcome for told in each.ended] == ["completed"] * 2


async def test_of_a_stream_that_is_not_told_of_no_event_is_told_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.feed.MAX_WAITING", 3)
    hangs, go_on = threading.Event(), threading.Event()

    class Hanging(RememberingEvents):
        def stream_ended(self, record: StreamRecord) -> None:
            hangs.set()
            go_on.wait(10)
            super().stream_ended(record)

    client = client_of(*[HELLO] * 6, sinks=[Hanging()])
    await client.generate("Hi", MODEL)
    assert hangs.wait(10)
    for _ in range(4):
        await client.generate("Hi", MODEL)
    before = client.stats.sink_drops
    await client.generate("Hi", MODEL)
    after = client.stats.sink_drops
    go_on.set()
    await client.close()

    assert after == before + 1  # as a whole


def refuse(*_: object) -> Any:
    raise ZeroDivisionError


async def test_what_cannot_be_worked_out_leaves_no_stream_without_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("steer_llm_sdk.models.cost.price_usd", refuse)
    sink = Remembering()
    client = client_of(HELLO, HTTPError(401), sinks=[sink])
    async with client:
        response = await client.generate("Hi", MODEL)
        with pytest.raises(SteerError):
            await client.generate("Hi", MODEL)

    first, second = sink.ended
    assert (first.outcome, first.attempts, first.stream_id) == ("completed", 1, response.stream_id)
    assert first.ended_at is not None
    assert (second.outcome, second.error_type) == ("failed", "AuthenticationError")
    assert client.stats.sink_errors == 2
    assert "cannot be told" in caplog.text


async def test_words_that_cannot_be_told_leave_no_stream_without_an_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.records.content_of", refuse)
    sink = Remembering(content=True)
    client = client_of(HELLO, HELLO, sinks=[sink])
    async with client:
        for _ in range(2):
            await client.generate("Hi", MODEL)

    assert [(told.outcome, told.content) for told in sink.ended] == [("completed", None)] * 2
    assert client.stats.sink_errors == 4  # at the beginning, and at the end
    assert "cannot be told" in caplog.text


async def test_what_waits_to_be_told_holds_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.worker._LINGER", 30)
    sink = Remembering()
    client = client_of(HELLO, sinks=[sink])
    response = await client.generate("Hi", MODEL)
    chunks, answer = response.metrics["chunks"], weakref.ref(response)
    del response
    gc.collect()

    assert answer() is None
    assert sink.ended == []
    await client.close()
    assert (sink.last.usage or {})["completion_tokens"] == 5
    assert sink.last.metrics["chunks"] == chunks == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Remembering(), "expected a list of sinks, found Remembering"),
        ([Remembering], "the class Remembering: an instance is needed"),
        ([print], r"sinks\[0\]: expected a Sink"),
        ([None], "found NoneType"),
    ],
)
def test_what_is_no_sink_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        SteerLLMClient(sinks=given)


def test_a_sink_with_coroutine_functions_is_refused() -> None:
    class Asynchronous(Remembering):
        async def stream_ended(self, record: StreamRecord) -> None:  # type: ignore[override]
            pass

    with pytest.raises(ConfigurationError, match="expected stream_ended to be a plain method"):
        SteerLLMClient(sinks=[Asynchronous()])


@pytest.mark.parametrize("name", ["run_started", "tool_started", "tool_ended", "run_ended"])
def test_no_method_of_a_sink_is_a_coroutine_function(name: str) -> None:
    async def told(_self: Sink, _record: object) -> None:
        pass

    with pytest.raises(ConfigurationError, match=f"expected {name} to be a plain method"):
        SteerLLMClient(sinks=[type("Asynchronous", (Remembering,), {name: told})()])


def test_a_sink_that_does_nothing_is_told_what_it_could_do() -> None:
    class Misspelled(Sink):
        def stream_end(self, record: StreamRecord) -> None:
            pass

    with pytest.raises(ConfigurationError, match=r"stream_ended, event, .*; Misspelled has none"):
        SteerLLMClient(sinks=[Misspelled()])


def test_a_sink_may_be_told_of_functions_alone() -> None:
    class Tools(Sink):
        def tool_ended(self, record: ToolRecord) -> None:
            pass

    SteerLLMClient("key", sinks=[Tools(), Sink()])


def test_a_sink_need_not_be_derived() -> None:
    class Duck:
        def __init__(self) -> None:
            self.told: list[str] = []

        def stream_started(self, record: StreamRecord) -> None:
            self.told.append("started")

        def stream_ended(self, record: StreamRecord) -> None:
            self.told.append(record.outcome)

    duck = Duck()
    sinks: Any = [duck]
    with SyncSteerLLMClient("key", transport=ScriptedProvider(HELLO), sinks=sinks) as client:
        client.generate("Hi", MODEL)

    assert duck.told == ["started", "completed"]


def test_sinks_passed_to_a_call_are_told_where_they_belong() -> None:
    client: Any = SteerLLMClient("key")

    with pytest.raises(TypeError, match=r"it belongs to the client: SteerLLMClient\(sinks=…\)"):
        client.stream_events("Hi", MODEL, sinks=[])


def test_without_sinks_nothing_is_between_the_pump_and_the_consumer() -> None:
    async def stream() -> bool:
        client = client_of(HELLO, sinks=[])
        async with client.stream_events("Hi", MODEL) as events:
            await anext(events)
            pump, delivery = events._pump, events._delivery
            assert pump is not None
            assert delivery is not None
            return pump.account is None and delivery.next_batch == pump.next_batch

    assert asyncio.run(stream())
