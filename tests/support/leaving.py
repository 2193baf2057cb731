"""Streams that are left before their end: every state, every means, and what must hold after.

`Stage.play` brings a stream into a state, leaves it by some means, and checks all that is promised
of that: the socket, the events, the exception, the tasks.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import BatchedEventProcessor, EventTransformer
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script, Stall, check_stream
from steer_llm_sdk.testing.plan import Ending, Exchange, Plan
from steer_llm_sdk.testing.scripts import ScriptLike

# A provider's socket is closed this soon, in seconds.
SOON = 0.1
# Rounds of the event loop in which bytes that are on their way arrive: both ends are in one loop.
_ROUNDS = 40

TERMINAL = (StreamCompleteEvent, StreamErrorEvent)


class StallBeforeBodyEnd:
    """The provider has said all, its terminal marker included; only HTTP's own end is missing."""

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        return replace(plan, is_chunked=True, ending=Ending.STALL)


class Gate:
    """User code that waits, until it is let through."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._opened = asyncio.Event()

    async def wait(self) -> None:
        self.reached.set()
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()


class _Waiting(EventTransformer):
    """Holds every delta back, or lets it through, and waits at one place."""

    def __init__(self, gate: Gate, where: str) -> None:
        self._gate = gate
        self._where = where
        self._held: list[StreamEvent] = []

    def for_stream(self) -> _Waiting:
        return _Waiting(self._gate, self._where)

    async def transform(self, event: StreamEvent) -> StreamEvent | None:
        if not isinstance(event, StreamDeltaEvent):
            if isinstance(event, TERMINAL) and self._where == "terminal":
                await self._gate.wait()
            return event
        if self._where == "delta":
            await self._gate.wait()
        if self._where != "finish":
            return event
        self._held.append(event)
        return None

    async def finish(self) -> list[StreamEvent]:
        if self._where == "finish":
            await self._gate.wait()
        return self._held


@dataclass(frozen=True)
class State:
    """Where a stream stands when it is left.

    Attributes:
        answer: What the server does.
        waits: Where the user's own code waits: nowhere, if empty.
        holds_socket: Whether there is a socket that has to be closed.
        has_text: Whether text has come.
        may_complete: Whether the answer was whole already, so that it may end in complete.
        is_silent: The server never answers the TLS handshake.
    """

    answer: ScriptLike = field(default_factory=Script)
    waits: str = ""
    holds_socket: bool = True
    has_text: bool = False
    may_complete: bool = False
    is_silent: bool = False


_WHOLE: dict[str, Any] = {"holds_socket": False, "has_text": True, "may_complete": True}

STATES: Mapping[str, State] = {
    "connecting": State(is_silent=True),
    "waiting for headers": State(Stall("request")),
    "waiting for the first event": State(Stall("headers")),
    "in the body of an error": State(Script(faults=[HTTPError(500), StallBeforeBodyEnd()])),
    "between retries": State(HTTPError(503, headers={"retry-after": "30"}), holds_socket=False),
    "streaming": State(Stall(1), has_text=True),
    "in a callback": State(Stall(1), waits="callback", has_text=True),
    "in a transformer": State(Stall(1), waits="delta", has_text=True),
    "held up by a batch handler": State(Stall(2), waits="batch", has_text=True),
    "before the body's end": State(Script(faults=[StallBeforeBodyEnd()]), may_complete=True),
    "in the last callback": State(waits="last callback", **_WHOLE),
    "in a text transformer's end": State(waits="text finish", **_WHOLE),
    "in a transformer's end": State(waits="finish", **_WHOLE),
    "in a transformer of the last event": State(waits="terminal", **_WHOLE),
    "in the last batch": State(waits="batch", **_WHOLE),
}

Leave = Callable[["Play"], Awaitable[None]]


@dataclass
class Play:
    """One stream that is being left."""

    client: SteerLLMClient
    gate: Gate
    task: asyncio.Task[StreamingResponse] = field(init=False)
    scope: asyncio.Timeout = field(init=False)
    stream: EventStream | None = None
    heard: list[StreamEvent] = field(default_factory=list)
    batched: list[StreamEvent] = field(default_factory=list)


async def _cancel_stream(play: Play) -> None:
    assert play.stream is not None
    play.stream.cancel()


async def _cancel_task(play: Play) -> None:
    play.task.cancel()


async def _cancel_task_twice(play: Play) -> None:
    play.task.cancel()
    await asyncio.sleep(0)
    play.task.cancel()


async def _cancel_stream_then_task(play: Play) -> None:
    assert play.stream is not None
    play.stream.cancel()
    await asyncio.sleep(0)
    play.task.cancel()


async def _close_client(play: Play) -> None:
    asyncio.get_running_loop().call_soon(play.gate.open)
    await play.client.close()


async def _time_out(play: Play) -> None:
    play.scope.reschedule(asyncio.get_running_loop().time())
    await asyncio.sleep(0)


MEANS: Mapping[str, Leave] = {
    "stream.cancel()": _cancel_stream,
    "task.cancel()": _cancel_task,
    "task.cancel() twice": _cancel_task_twice,
    "stream.cancel(), then task.cancel()": _cancel_stream_then_task,
    "client.close()": _close_client,
    "asyncio.timeout": _time_out,
}
# How the call then ends.
_RAISES: Mapping[str, type[BaseException] | None] = {
    "stream.cancel()": None,
    "task.cancel()": asyncio.CancelledError,
    "task.cancel() twice": asyncio.CancelledError,
    "stream.cancel(), then task.cancel()": asyncio.CancelledError,
    "client.close()": None,
    "asyncio.timeout": TimeoutError,
}
_ONLY_WITH_A_STREAM = {"stream.cancel()", "stream.cancel(), then task.cancel()"}
_ONLY_WITH_CALLBACKS = {"in a callback", "in the last callback"}
# A cancel that comes once all has been delivered finds the call about to return.
_MAY_RETURN = {"stream.cancel(), then task.cancel()", "asyncio.timeout", "task.cancel() twice"}


def plays() -> list[tuple[str, str, bool]]:
    """Every state and means that go together; by callbacks, or else by iterating."""
    return [
        (state, means, by_callbacks)
        for state in STATES
        for means in MEANS
        for by_callbacks in (True, False)
        if not (by_callbacks and means in _ONLY_WITH_A_STREAM)
        and not (not by_callbacks and state in _ONLY_WITH_CALLBACKS)
    ]


class SilentServer:
    """Accepts connections, reads what comes, and says nothing."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed_at: list[float] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Silent(self), "127.0.0.1", 0)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class _Silent(asyncio.Protocol):
    def __init__(self, server: SilentServer) -> None:
        self._server = server

    def data_received(self, data: bytes) -> None:
        """Once a connection: the first message of the handshake waits for its answer."""
        self._server.opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed_at.append(time.monotonic())


class Stage:
    """A server and a client for many streams.

    Use it in an ``async with``: at its end there is no task, no warning and no open socket left.
    """

    def __init__(self) -> None:
        self.server = LoopbackServer()
        self._silent = SilentServer()
        self.complaints: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        await self.server.start()
        await self._silent.start()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self._complain(context))
        self.client = SteerLLMClient(
            providers={
                "openai": ProviderSettings(api_key="x", base_url=self.server.base_url()),
                "silent": ProviderSettings(kind="vllm", base_url=self._silent.url),
            }
        )
        return self

    def _complain(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.server.wait_for(lambda: self.server.connections.open == 0)
        await no_task_is_left()
        await self.server.close()
        self._silent.close()
        gc.collect()
        await rounds()
        assert not self.complaints

    async def play(self, state_name: str, means: str, *, by_callbacks: bool) -> Play:
        """Bring a stream into a state, leave it, and check what is promised."""
        state = STATES[state_name]
        play = Play(self.client, Gate())
        silent_before = self._silent.opened
        requests_before = len(self.server.requests)
        self.server.answer_with(state.answer)
        arguments = ("?", "silent:m" if state.is_silent else "gpt-4o")
        options = _options(state, play)
        run = self._call if by_callbacks else self._iterate
        play.task = asyncio.create_task(run(play, arguments, options, state))
        if state.is_silent:
            await until(lambda: self._silent.opened > silent_before)
        else:
            await until(lambda: len(self.server.requests) > requests_before)
        if state.waits:
            await asyncio.wait_for(play.gate.reached.wait(), 5)
        await rounds()

        left_at = time.monotonic()
        await MEANS[means](play)
        asyncio.get_running_loop().call_soon(play.gate.open)
        await asyncio.wait((play.task,), timeout=5)
        assert play.task.done(), "the call hangs"
        await self._socket_is_closed(state, left_at)
        await no_task_is_left()
        _raised_what_it_should(play, means, state)
        _told_everyone(play, means, state, by_callbacks=by_callbacks)
        return play

    async def _call(
        self, play: Play, arguments: tuple[str, str], options: StreamingOptions, state: State
    ) -> StreamingResponse:
        async def on_delta(event: StreamEvent) -> None:
            play.heard.append(event)
            if state.waits == "callback":
                await play.gate.wait()

        async def on_complete(event: StreamEvent) -> None:
            play.heard.append(event)
            if state.waits == "last callback":
                await play.gate.wait()

        keep = play.heard.append
        async with asyncio.timeout(None) as play.scope:
            return await self.client.stream_with_usage(
                *arguments,
                streaming_options=options,
                on_start=keep,
                on_delta=on_delta,
                on_usage=keep,
                on_complete=on_complete,
                on_error=keep,
            )

    async def _iterate(
        self, play: Play, arguments: tuple[str, str], options: StreamingOptions, _state: State
    ) -> StreamingResponse:
        stream = self.client.stream_events(*arguments, streaming_options=options)
        play.stream = stream
        async with asyncio.timeout(None) as play.scope, stream:
            async for event in stream:
                play.heard.append(event)
        return stream.response

    async def _socket_is_closed(self, state: State, left_at: float) -> None:
        if state.is_silent:
            await until(lambda: len(self._silent.closed_at) == self._silent.opened)
            assert self._silent.closed_at[-1] - left_at < SOON
        elif state.holds_socket:
            connection = self.server.connections[-1]
            await self.server.wait_for(lambda: connection.closed_at is not None)
            assert connection.closed_by == "client"
            assert connection.closed_at is not None
            assert connection.closed_at - left_at < SOON


def _options(state: State, play: Play) -> StreamingOptions:
    async def handle(batch: list[StreamEvent]) -> None:
        if state.waits == "batch":
            await play.gate.wait()
        play.batched.extend(batch)

    in_processor = state.waits in {"delta", "finish", "terminal"}
    processor = BatchedEventProcessor(
        transformers=[_Waiting(play.gate, state.waits)] if in_processor else [],
        batch_size=1 if state.waits == "batch" and state.holds_socket else 100,
        batch_handler=handle,
        max_waiting_batches=1,
    )
    text = [_Waiting(play.gate, "finish")] if state.waits == "text finish" else []
    return StreamingOptions(event_processor=processor, text_transformers=text)


def _raised_what_it_should(play: Play, means: str, state: State) -> None:
    error = None if play.task.cancelled() else play.task.exception()
    raised = asyncio.CancelledError if play.task.cancelled() else type(error) if error else None
    expected = _RAISES[means]
    assert raised is expected or (means in _MAY_RETURN and raised is None), (raised, expected)
    if raised is None:
        response = play.task.result()
        is_complete = state.may_complete and response.error is None
        assert is_complete or isinstance(response.error, StreamCancelledError)


def _told_everyone(play: Play, means: str, state: State, *, by_callbacks: bool) -> None:
    """One terminal event to everyone who still listens, and usage before it where text had come."""
    assert _one_ending(play.batched, state), play.batched
    still_listens = by_callbacks or _RAISES[means] is None
    if still_listens:
        check_stream(play.heard)
        assert _one_ending(play.heard, state), play.heard
    else:
        check_stream_so_far(play.heard)


def check_stream_so_far(heard: list[StreamEvent]) -> None:
    """In order, whoever stopped listening."""
    assert [event.sequence for event in heard] == list(range(len(heard)))
    assert sum(isinstance(event, TERMINAL) for event in heard) <= 1


def _one_ending(events: list[StreamEvent], state: State) -> bool:
    endings = [event for event in events if isinstance(event, TERMINAL)]
    if len(endings) != 1 or events[-1] is not endings[0]:
        return False
    has_usage = any(isinstance(event, StreamUsageEvent) for event in events)
    is_cancelled = isinstance(getattr(endings[0], "error", None), StreamCancelledError)
    return (is_cancelled or state.may_complete) and (has_usage or not state.has_text)


async def rounds(count: int = _ROUNDS) -> None:
    """Let bytes that are on their way arrive, and what waits for them run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def no_task_is_left() -> None:
    """Every task but this one and the server's own ends by itself, at once."""
    async with asyncio.timeout(1):
        while _others():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


def _others() -> list[asyncio.Task[Any]]:
    current = asyncio.current_task()
    return [task for task in asyncio.all_tasks() if task is not current and not _is_server(task)]


def _is_server(task: asyncio.Task[Any]) -> bool:
    return "Connection._serve" in getattr(task.get_coro(), "__qualname__", "")
