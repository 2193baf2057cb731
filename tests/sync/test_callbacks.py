"""Callbacks of the blocking client: in which thread they run, and what comes of their errors."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from steer_llm_sdk import (
    CallbackError,
    ConfigurationError,
    ProviderSettings,
    SteerError,
    SteerLLMClient,
    StreamingResponse,
    SyncSteerLLMClient,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import create_event_processor
from steer_llm_sdk.sync.callbacks import outcome
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedProvider, Stall

MODEL = "gpt-4o"
THREAD = "steer-llm-sdk"
KINDS = ("start", "delta", "usage", "complete", "error")
STRICT = StreamingOptions(raise_callback_errors=True)


@pytest.fixture
def client() -> Iterator[SyncSteerLLMClient]:
    with scripted() as running:
        yield running


def scripted() -> SyncSteerLLMClient:
    return SyncSteerLLMClient("test", transport=ScriptedProvider("Hello", " world"))


# --- where they run ---------------------------------------------------------------------------


def test_plain_callbacks_run_in_the_callers_thread_and_asynchronous_ones_in_the_loop_s(
    client: SyncSteerLLMClient,
) -> None:
    threads: list[str] = []

    async def on_usage(_: StreamEvent) -> None:
        await asyncio.sleep(0)
        threads.append(threading.current_thread().name)

    client.stream_with_usage(
        "Hi",
        MODEL,
        on_delta=lambda _: threads.append(threading.current_thread().name),
        on_usage=on_usage,
    )

    caller = threading.current_thread().name
    assert threads == [caller, caller, THREAD]


def coroutine_function(seen: list[str]) -> Callable[[StreamDeltaEvent], Any]:
    async def on_delta(event: StreamDeltaEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.get_text())

    return on_delta


def plain_function_that_returns_a_coroutine(seen: list[str]) -> Callable[..., Any]:
    finish = coroutine_function(seen)

    def on_delta(event: StreamDeltaEvent) -> Any:
        return finish(event)

    return on_delta


def partial_of_a_coroutine_function(seen: list[str]) -> Callable[..., Any]:
    async def on_delta(prefix: str, event: StreamDeltaEvent) -> None:
        await asyncio.sleep(0)
        seen.append(prefix + event.get_text())

    return partial(on_delta, "")


def object_with_an_asynchronous_call(seen: list[str]) -> Callable[..., Any]:
    class Shown:
        async def __call__(self, event: StreamDeltaEvent) -> None:
            await asyncio.sleep(0)
            seen.append(event.get_text())

    return Shown()


ASYNCHRONOUS = [
    coroutine_function,
    plain_function_that_returns_a_coroutine,
    partial_of_a_coroutine_function,
    object_with_an_asynchronous_call,
]


@pytest.mark.parametrize("make", ASYNCHRONOUS)
def test_an_asynchronous_callback_is_finished_before_the_next_event(
    make: Callable[[list[str]], Callable[..., Any]], client: SyncSteerLLMClient
) -> None:
    seen: list[str] = []

    client.stream_with_usage(
        "Hi", MODEL, on_delta=make(seen), on_complete=lambda _: seen.append("end")
    )

    assert seen == ["Hello", " world", "end"]


@pytest.mark.parametrize("make", ASYNCHRONOUS)
async def test_so_it_is_where_a_loop_runs_in_the_callers_thread(
    make: Callable[[list[str]], Callable[..., Any]], client: SyncSteerLLMClient
) -> None:
    """As in a notebook."""
    seen: list[str] = []

    response = client.stream_with_usage("Hi", MODEL, on_delta=make(seen))

    assert seen == ["Hello", " world"]
    assert "callback_errors" not in response.metadata


def test_asynchronous_callbacks_of_all_calls_share_a_loop(client: SyncSteerLLMClient) -> None:
    loops = []

    async def on_delta(_: StreamEvent) -> None:
        loops.append(asyncio.get_running_loop())

    for _ in range(2):
        client.stream_with_usage("Hi", MODEL, on_delta=on_delta)

    assert len(loops) == 4
    assert len(set(loops)) == 1


def test_an_asynchronous_callback_sees_the_callers_context(client: SyncSteerLLMClient) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")
    seen: list[str] = []

    async def on_delta(_: StreamEvent) -> None:
        seen.append(variable.get())

    client.stream_with_usage("Hi", MODEL, on_delta=on_delta)

    assert seen == ["mine", "mine"]


def test_a_plain_callback_may_call_the_client_again(client: SyncSteerLLMClient) -> None:
    answers: list[str] = []

    client.stream_with_usage(
        "Hi", MODEL, on_complete=lambda _: answers.append(client.generate("?", MODEL).get_text())
    )

    assert answers == ["Hello world"]


def test_an_asynchronous_one_is_told_that_it_would_wait_for_itself(
    client: SyncSteerLLMClient,
) -> None:
    errors: list[Exception] = []

    async def on_complete(_: StreamEvent) -> None:
        try:
            client.generate("?", MODEL)
        except ConfigurationError as error:
            errors.append(error)

    client.stream_with_usage("Hi", MODEL, on_complete=on_complete)

    assert "in another thread" in str(errors[0])


def test_an_untyped_callback_gets_its_dict(client: SyncSteerLLMClient) -> None:
    texts = []

    def on_delta(data: dict[str, Any]) -> None:
        texts.append(data["text"])

    client.stream_with_usage("Hi", MODEL, on_delta=on_delta)

    assert texts == ["Hello", " world"]


def test_a_processor_stands_before_the_callbacks(client: SyncSteerLLMClient) -> None:
    events: list[StreamEvent] = []
    options = StreamingOptions(event_processor=create_event_processor(event_types=["complete"]))

    client.stream_with_usage(
        "Hi", MODEL, streaming_options=options, on_delta=events.append, on_complete=events.append
    )

    assert [event.type for event in events] == ["complete"]


# --- when they raise --------------------------------------------------------------------------


class FaultError(Exception):
    """Raised by a callback."""


def raises_now(error: BaseException) -> Callable[[StreamEvent], Any]:
    def callback(_: StreamEvent) -> None:
        raise error

    return callback


def raises_later(error: BaseException) -> Callable[[StreamEvent], Any]:
    async def callback(_: StreamEvent) -> None:
        await asyncio.sleep(0)
        raise error

    return callback


def cancels_what_it_awaits(_: BaseException) -> Callable[[StreamEvent], Any]:
    async def callback(_: StreamEvent) -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(task.cancel)
        await task

    return callback


RAISING = [raises_now, raises_later]
ERRORS = [
    FaultError("mine"),
    asyncio.CancelledError("mine"),
    CancelledError("mine"),
    TimeoutError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("make", RAISING)
async def test_a_callback_that_raises_is_logged_and_the_stream_goes_on(
    make: Callable[[BaseException], Callable[[StreamEvent], Any]],
    error: BaseException,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def run() -> StreamingResponse:
        with scripted() as client:
            response = client.stream_with_usage("Hi", MODEL, on_delta=make(error))
            assert client.stats.callback_errors == 2
        return response

    with caplog.at_level(logging.ERROR, "steer_llm_sdk"):
        responses = [run(), await asyncio.to_thread(run)]  # with a loop in the thread, and without

    for response in responses:
        assert response.ok
        assert response.get_text() == "Hello world"
        assert response.metadata["callback_errors"] == 2
    assert type(error).__name__ in caplog.text


def test_a_callback_may_cancel_what_it_awaits(client: SyncSteerLLMClient) -> None:
    response = client.stream_with_usage(
        "Hi", MODEL, on_delta=cancels_what_it_awaits(asyncio.CancelledError())
    )

    assert response.ok
    assert response.metadata["callback_errors"] == 2


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("make", RAISING)
def test_an_exit_reaches_the_caller_and_the_client_works_on(
    make: Callable[[BaseException], Callable[[StreamEvent], Any]],
    error: BaseException,
    client: SyncSteerLLMClient,
) -> None:
    with pytest.raises(type(error)):
        client.stream_with_usage("Hi", MODEL, on_delta=make(error))

    assert client.generate("Hi", MODEL).ok


# --- … and that is to end the stream ----------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of a call: what was raised or returned, and who was told what."""

    raised: str
    message: str
    told: tuple[str, ...]
    text: str
    error: str
    statistics: Mapping[str, int]
    callback_errors: object


Call = Callable[..., Any]


def outcome_of(run: Callable[..., StreamingResponse], stats: Any, callbacks: Any) -> Outcome:
    told: list[str] = []
    listeners: dict[str, Any] = {}
    for kind, callback in callbacks.items():
        listeners[f"on_{kind}"] = _telling(told, callback)
    raised: SteerError | None = None
    response: Any
    try:
        response = run(streaming_options=STRICT, **listeners)
    except SteerError as error:
        raised, response = error, error.partial_response
    return Outcome(
        type(raised).__name__,
        str(raised),
        tuple(told),
        response.get_text(),
        type(response.error).__name__,
        dict(stats().errors),
        response.metadata.get("callback_errors"),
    )


def _telling(told: list[str], callback: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def listener(event: StreamEvent) -> Any:
        told.append(f"{event.type} {getattr(event, 'error_type', '')}".strip())
        return None if callback is None else callback(event)

    return listener


def asynchronous_outcome(callbacks: Any) -> Outcome:
    client = SteerLLMClient("test", transport=ScriptedProvider("a", "b", "c"))

    def run(**more: Any) -> StreamingResponse:
        return asyncio.run(client.stream_with_usage("Hi", MODEL, **more))

    return outcome_of(run, lambda: client.stats, callbacks)


def blocking_outcome(callbacks: Any) -> Outcome:
    with SyncSteerLLMClient("test", transport=ScriptedProvider("a", "b", "c")) as client:
        run = partial(client.stream_with_usage, "Hi", MODEL)
        return outcome_of(run, lambda: client.stats, callbacks)


@pytest.mark.parametrize("has_on_error", [False, True])
@pytest.mark.parametrize("make", RAISING)
@pytest.mark.parametrize("error", ERRORS[:2], ids=repr)
@pytest.mark.parametrize("kind", ["start", "delta", "usage", "complete"])
def test_a_callback_error_ends_the_stream_as_in_the_asynchronous_client(
    kind: str,
    error: BaseException,
    make: Callable[[BaseException], Callable[[StreamEvent], Any]],
    has_on_error: bool,
) -> None:
    callbacks = dict.fromkeys(KINDS if has_on_error else KINDS[:-1])
    raising = {**callbacks, kind: make(error)}

    blocking = blocking_outcome(raising)

    assert blocking == asynchronous_outcome(raising)
    assert blocking.callback_errors == 1
    assert blocking.raised == ("NoneType" if has_on_error else "CallbackError")


def test_the_error_event_s_own_callback_may_raise_too() -> None:
    callbacks = {"delta": raises_now(FaultError()), "error": raises_now(FaultError())}

    blocking = blocking_outcome(callbacks)

    assert blocking == asynchronous_outcome(callbacks)
    assert blocking.told == ("delta", "error CallbackError")
    assert blocking.callback_errors == 2


def test_a_callback_error_closes_the_socket() -> None:
    with LoopbackServer(Script(["Hello"], faults=[Stall(1)])).in_thread() as server:
        settings = ProviderSettings(api_key="x", base_url=server.base_url("openai"))
        with SyncSteerLLMClient(providers={"openai": settings}) as client:
            with pytest.raises(CallbackError, match="mine") as caught:
                client.stream_with_usage(
                    "Hi", MODEL, streaming_options=STRICT, on_delta=raises_now(FaultError("mine"))
                )

            server.wait_until(lambda: server.connections.open == 0)

    assert isinstance(caught.value.__cause__, FaultError)
    assert caught.value.partial_response is not None
    assert caught.value.partial_response.get_text() == "Hello"


async def test_the_end_of_the_loop_is_no_failure_of_a_listener() -> None:
    waiting = asyncio.create_task(outcome(asyncio.Event().wait()))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_a_listener_awaits_may_be_cancelled() -> None:
    work = asyncio.ensure_future(asyncio.Event().wait())
    waiting = asyncio.create_task(outcome(work))
    await asyncio.sleep(0)

    work.cancel()

    assert isinstance(await waiting, asyncio.CancelledError)
