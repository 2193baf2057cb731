"""`EventManager` on its own: who is called, with what, in which order, and what a fault does."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from steer_llm_sdk import __version__
from steer_llm_sdk.errors import CallbackError, ConfigurationError, OverloadedError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.streaming.manager import KINDS, EventManager

LOGGERS = "steer_llm_sdk"


def listener_of(seen: list[Any], kind: str) -> Callable[[StreamEvent], None]:
    def listen(event: StreamEvent) -> None:
        seen.append((kind, event))

    return listen


# --- who is called ----------------------------------------------------------------------------


async def test_each_kind_of_event_goes_to_its_own_listeners() -> None:
    seen: list[Any] = []
    manager = EventManager(*(listener_of(seen, kind) for kind in KINDS))

    await manager.emit_start()
    await manager.emit_delta("Hi")
    await manager.emit_usage({"prompt_tokens": 1})
    await manager.emit_complete(finish_reason="stop")
    await manager.emit_error(OverloadedError("busy"))

    assert [kind for kind, _ in seen] == list(KINDS)
    assert [event.type for _, event in seen] == list(KINDS)


async def test_several_listeners_are_called_one_after_another_in_their_order() -> None:
    seen: list[str] = []

    async def slow(_event: StreamDeltaEvent) -> None:
        seen.append("slow begins")
        await asyncio.sleep(0)
        seen.append("slow ends")

    def quick(_event: StreamDeltaEvent) -> None:
        seen.append("quick")

    manager = EventManager(on_delta=slow)
    manager.add("delta", quick)
    await manager.emit_delta("a")
    await manager.emit_delta("b")

    assert seen == ["slow begins", "slow ends", "quick"] * 2


async def test_a_listener_that_was_removed_is_called_no_more() -> None:
    seen: list[Any] = []
    first, second = listener_of(seen, "first"), listener_of(seen, "second")
    manager = EventManager(on_delta=first)
    manager.add("delta", second)

    manager.remove("delta", first)
    manager.remove("delta", first)  # it is not there any more
    await manager.emit_delta("Hi")

    assert [name for name, _ in seen] == ["second"]


async def test_one_of_two_registrations_of_a_callback_is_removed() -> None:
    seen: list[Any] = []
    listener = listener_of(seen, "x")
    manager = EventManager(on_delta=listener)
    manager.add("delta", listener)

    manager.remove("delta", listener)
    await manager.emit_delta("Hi")

    assert len(seen) == 1


async def test_an_untyped_callback_is_removed_by_what_was_registered() -> None:
    seen: list[Any] = []

    def old(data):  # type: ignore[no-untyped-def] # an old, untyped callback
        seen.append(data["text"])

    manager = EventManager(on_delta=old)
    await manager.emit_delta("Hi")
    manager.remove("delta", old)
    await manager.emit_delta("there")

    assert seen == ["Hi"]


async def test_a_bound_method_is_removed_by_an_equal_one() -> None:
    class Screen:
        def __init__(self) -> None:
            self.shown = ""

        def show(self, event: StreamDeltaEvent) -> None:
            self.shown += event.get_text()

    screen = Screen()
    manager = EventManager(on_delta=screen.show)
    await manager.emit_delta("Hi")
    manager.remove("delta", screen.show)
    await manager.emit_delta("there")

    assert screen.shown == "Hi"


async def test_a_listener_may_remove_itself_while_it_is_called() -> None:
    seen: list[str] = []
    manager = EventManager()

    def once(event: StreamDeltaEvent) -> None:
        seen.append(event.get_text())
        manager.remove("delta", once)

    manager.add("delta", once)
    manager.add("delta", lambda event: seen.append("other"))
    await manager.emit_delta("a")
    await manager.emit_delta("b")

    assert seen == ["a", "other", "other"]


def test_it_is_known_whether_anybody_listens_and_whether_that_must_be_awaited() -> None:
    async def waits(_event: StreamDeltaEvent) -> None: ...

    manager = EventManager(on_start=print)

    assert (manager.has_listeners("start"), manager.is_async("start")) == (True, False)
    assert (manager.has_listeners("delta"), manager.is_async("delta")) == (False, False)
    manager.add("delta", waits)
    assert (manager.has_listeners("delta"), manager.is_async("delta")) == (True, True)


def test_a_kind_that_does_not_exist_is_refused() -> None:
    manager = EventManager()

    for ask in (manager.has_listeners, lambda kind: manager.add(kind, print)):
        with pytest.raises(ConfigurationError, match=r"start, delta, .*found 'deltas'"):
            ask("deltas")
    with pytest.raises(ConfigurationError, match="'deltas'"):
        manager.remove("deltas", print)


def test_what_cannot_be_called_is_refused() -> None:
    not_callable: Any = "print"

    with pytest.raises(ConfigurationError, match=r"on_delta: expected something to call.*str"):
        EventManager(on_delta=not_callable)


# --- what can be called -----------------------------------------------------------------------


class Callable_:  # noqa: N801 - a class whose instances are called
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def __call__(self, event: StreamDeltaEvent) -> None:
        self.seen.append(event.get_text())


class AsyncCallable(Callable_):
    async def __call__(self, event: StreamDeltaEvent) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.seen.append(event.get_text())


def plain(seen: list[str]) -> Callable[[StreamDeltaEvent], Any]:
    return lambda event: seen.append(event.get_text())


def asynchronous(seen: list[str]) -> Callable[[StreamDeltaEvent], Any]:
    async def listen(event: StreamDeltaEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.get_text())

    return listen


def partial_of(make: Callable[[list[str]], Any]) -> Callable[[list[str]], Any]:
    def append(listener: Any, event: StreamDeltaEvent) -> Any:
        return listener(event)

    return lambda seen: functools.partial(append, make(seen))


def awaitable(seen: list[str]) -> Callable[[StreamDeltaEvent], Awaitable[None]]:
    def listen(event: StreamDeltaEvent) -> Awaitable[None]:
        written: asyncio.Future[None] = asyncio.ensure_future(asynchronous(seen)(event))
        return written

    return listen


@pytest.mark.parametrize(
    "make",
    [
        plain,
        asynchronous,
        Callable_,
        AsyncCallable,
        partial_of(plain),
        partial_of(asynchronous),
        awaitable,
    ],
)
async def test_any_callable_works_and_is_finished_before_the_next_event(
    make: Callable[[list[str]], Any],
) -> None:
    seen: list[str] = []
    manager = EventManager(on_delta=make(seen))

    await manager.emit_delta("a")
    assert seen == ["a"]
    await manager.emit_delta("b")
    assert seen == ["a", "b"]


async def test_what_a_plain_listener_returns_does_not_matter() -> None:
    manager = EventManager(on_delta=lambda event: "x")

    await manager.emit_delta("a")

    assert manager.faults.count == 0


# --- faults -----------------------------------------------------------------------------------


async def test_a_listener_that_raises_is_logged_once_with_its_traceback_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def bad_listener(_event: StreamDeltaEvent) -> None:
        raise ValueError("my fault")

    seen: list[str] = []
    manager = EventManager(on_delta=bad_listener)
    manager.add("delta", Callable_(seen))
    with caplog.at_level(logging.ERROR, LOGGERS):
        for text in "abc":
            await manager.emit_delta(text)

    assert seen == ["a", "b", "c"]
    assert manager.faults.count == 3
    (record,) = caplog.records
    assert "bad_listener" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_an_asynchronous_listener_that_raises_is_logged_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def bad_listener(_event: StreamDeltaEvent) -> None:
        raise ValueError("my fault")

    manager = EventManager(on_delta=bad_listener)
    with caplog.at_level(logging.ERROR, LOGGERS):
        await manager.emit_delta("a")

    assert manager.faults.count == 1
    assert len(caplog.records) == 1


async def test_each_listener_that_raises_is_logged_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = EventManager()
    for _ in range(2):
        manager.add("delta", lambda event: event.no_such_attribute)
    with caplog.at_level(logging.ERROR, LOGGERS):
        await manager.emit_delta("a")

    assert len(caplog.records) == 2


async def test_a_fault_can_be_raised_instead_with_what_caused_it() -> None:
    def bad_listener(_event: StreamDeltaEvent) -> None:
        raise ValueError("my fault")

    seen: list[str] = []
    manager = EventManager(on_delta=bad_listener, raise_errors=True)
    manager.add("delta", Callable_(seen))

    with pytest.raises(
        CallbackError, match=r"bad_listener raised ValueError.*delta.*my fault"
    ) as e:
        await manager.emit_delta("a")

    assert isinstance(e.value.__cause__, ValueError)
    assert manager.faults.count == 1
    assert seen == []


async def test_a_fault_that_has_no_words_can_be_raised_too() -> None:
    class WordlessError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def bad_listener(_event: StreamDeltaEvent) -> None:
        raise WordlessError

    manager = EventManager(on_delta=bad_listener, raise_errors=True)

    with pytest.raises(CallbackError, match="bad_listener raised WordlessError for"):
        await manager.emit_delta("a")


async def test_a_callback_that_awaits_something_cancelled_has_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def awaits_the_cancelled(_event: StreamDeltaEvent) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    seen: list[str] = []
    manager = EventManager(on_delta=awaits_the_cancelled)
    manager.add("delta", Callable_(seen))
    with caplog.at_level(logging.ERROR, LOGGERS):
        await manager.emit_delta("a")

    assert seen == ["a"]
    assert manager.faults.count == 1
    assert len(caplog.records) == 1


async def test_the_cancellation_of_the_task_itself_passes_through() -> None:
    began = asyncio.Event()

    async def waits(_event: StreamDeltaEvent) -> None:
        began.set()
        await asyncio.Event().wait()

    manager = EventManager(on_delta=waits)
    task = asyncio.create_task(manager.emit_delta("a"))
    await began.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert manager.faults.count == 0


# --- slow listeners ---------------------------------------------------------------------------


def burn(seconds: float) -> Callable[[StreamEvent], None]:
    def slow_listener(_event: StreamEvent) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass

    return slow_listener


async def test_a_plain_listener_that_blocks_the_loop_is_named_in_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = EventManager(on_delta=burn(0.002), slow_warning_ms=1.0)
    with caplog.at_level(logging.WARNING, LOGGERS):
        await manager.emit_delta("a")

    (record,) = caplog.records
    assert "slow_listener" in record.getMessage()
    assert "delta event" in record.getMessage()


async def test_a_listener_is_named_as_slow_once(caplog: pytest.LogCaptureFixture) -> None:
    manager = EventManager(on_delta=burn(0.002), on_start=burn(0.002), slow_warning_ms=1.0)
    with caplog.at_level(logging.WARNING, LOGGERS):
        await manager.emit_start()
        await manager.emit_delta("a")
        await manager.emit_delta("b")

    assert len(caplog.records) == 2  # two listeners


async def test_the_warning_can_be_turned_off(caplog: pytest.LogCaptureFixture) -> None:
    manager = EventManager(on_delta=burn(0.002), slow_warning_ms=0)
    with caplog.at_level(logging.WARNING, LOGGERS):
        await manager.emit_delta("a")

    assert caplog.records == []


# --- several events at once -------------------------------------------------------------------


class Stopped:
    is_stopped = False


async def test_no_more_events_are_asked_for_once_the_stream_was_stopped() -> None:
    seen: list[str] = []
    stream = Stopped()

    def stop(event: StreamDeltaEvent) -> None:
        seen.append(event.get_text())
        stream.is_stopped = True

    manager = EventManager(on_delta=stop)
    events = iter([manager.create_delta_event(text) for text in "abc"])
    await manager.deliver(events, stream)

    assert seen == ["a"]
    assert [event.get_text() for event in events] == ["b", "c"]


# --- making events ----------------------------------------------------------------------------


async def test_events_that_are_made_here_carry_the_managers_names() -> None:
    manager = EventManager(
        provider="test", model="m", request_id="r-1", trace_id="t-1", metadata={"user": "u"}
    )

    before = time.time()
    start = await manager.emit_start(metadata={"user": "v", "n": 1})

    assert isinstance(start, StreamStartEvent)
    assert (start.provider, start.model, start.request_id) == ("test", "m", "r-1")
    assert start.stream_id == manager.stream_id
    assert before <= start.timestamp <= time.time()
    assert start.metadata == {"sdk_version": __version__, "user": "v", "trace_id": "t-1", "n": 1}


def test_fields_that_are_given_count_more_than_those_that_are_filled_in() -> None:
    event = EventManager(model="m").create_delta_event("Hi", model="other", chunk_index=3)

    assert (event.delta, event.model, event.chunk_index) == ("Hi", "other", 3)


def test_a_request_without_an_identifier_gets_one() -> None:
    assert EventManager().request_id != EventManager().request_id


def test_events_do_not_share_their_metadata() -> None:
    manager = EventManager(metadata={"n": 1})

    first, second = manager.create_start_event(), manager.create_start_event()
    first.metadata["n"] = 2

    assert second.metadata["n"] == 1


@pytest.mark.parametrize(
    ("error", "is_retryable"), [(OverloadedError("busy"), True), (ValueError("no"), False)]
)
def test_an_error_event_is_as_retryable_as_its_error(error: Exception, is_retryable: bool) -> None:
    event = EventManager().create_error_event(error)

    assert event.error is error
    assert event.error_type == type(error).__name__
    assert event.is_retryable is is_retryable


def test_whether_an_error_is_retryable_can_be_said() -> None:
    assert EventManager().create_error_event(ValueError("no"), is_retryable=True).is_retryable


def test_usage_is_copied() -> None:
    usage = {"prompt_tokens": 1}

    event = EventManager().create_usage_event(usage)
    usage["prompt_tokens"] = 2

    assert event.usage == {"prompt_tokens": 1}


# --- older habits -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["start", "usage", "complete", "error"])
async def test_an_emitter_takes_an_event_or_anything_and_hands_it_on(kind: str) -> None:
    heard: list[object] = []

    async def later(data: object) -> None:
        heard.append(data)

    manager = EventManager()
    manager.add(kind, heard.append)
    manager.add(kind, later)
    emit = getattr(manager, f"emit_{kind}")
    event = {
        "start": StreamStartEvent(),
        "usage": StreamUsageEvent(),
        "complete": StreamCompleteEvent(),
        "error": StreamErrorEvent(),
    }[kind]

    assert await emit(event) is event
    assert await emit("as of old") == "as of old"
    assert heard == [event, event, "as of old", "as of old"]


async def test_a_callback_that_raises_at_something_handed_on_is_reported() -> None:
    def fails(_: object) -> None:
        raise ValueError("no")

    manager = EventManager(on_start=fails)
    await manager.emit_start("x")

    assert manager.faults.count == 1


async def test_a_delta_of_none_says_nothing() -> None:
    heard: list[StreamDeltaEvent] = []

    async def on_delta(event: StreamDeltaEvent) -> None:
        heard.append(event)

    await EventManager(on_delta=on_delta).emit_delta(None)

    assert [(event.kind, event.get_text()) for event in heard] == [("text", "")]
