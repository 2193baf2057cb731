"""`SyncSteerLLMClient`: the same methods, blocking.

One thread runs an event loop for the client; a call hands its stream to that thread and takes
events out of a queue. Callbacks run in the caller's thread. The queue is bounded: a caller who does
not take events slows the reading, as in the asynchronous client.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections.abc import Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from steer_llm_sdk.client import Callback, SteerLLMClient
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.transport.base import Transport

_Result = TypeVar("_Result")

# Events on their way from the loop's thread to the caller's; beyond this the reading pauses.
_QUEUE_EVENTS = 256


class _LoopThread:
    """An event loop in a thread of its own, started on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._lock:
            if self._loop is None:
                ready: queue.SimpleQueue[asyncio.AbstractEventLoop] = queue.SimpleQueue()
                self._thread = threading.Thread(
                    target=_run_loop, args=(ready,), name="steer-llm-sdk", daemon=True
                )
                self._thread.start()
                self._loop = ready.get()
            return self._loop

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._loop is not None

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run `work` in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop()).result()

    def stop(self) -> None:
        """End the loop and its thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join()


def _run_loop(ready: queue.SimpleQueue[asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.call_soon(ready.put, loop)
        loop.run_forever()


class SyncEventStream:
    """The events of one stream, for a plain ``for`` loop. Use it in a ``with``."""

    def __init__(self, stream: EventStream, thread: _LoopThread) -> None:
        self._stream = stream
        self._thread = thread
        self._events: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self._waiting = 0  # events in the queue; changed in either thread, under the lock
        self._lock = threading.Lock()
        self._room: asyncio.Event | None = None
        self._task: asyncio.Future[None] | None = None
        self._error: BaseException | None = None

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far; whole when the stream has ended well."""
        return self._stream.response

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once. From any thread."""
        self._thread.loop().call_soon_threadsafe(self._stream.cancel, reason)

    def close(self) -> None:
        """Leave the stream; its last events are dropped when it had not ended."""
        if self._task is None:
            return
        self._thread.run(self._finish())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        if self._task is None:
            self._thread.run(self._begin())
        event = self._events.get()
        if event is None:
            self._events.put(None)
            error, self._error = self._error, None
            if error is not None:
                raise error
            raise StopIteration
        self._make_room()
        return event

    async def _begin(self) -> None:
        self._room = asyncio.Event()
        self._task = asyncio.ensure_future(self._pull(self._room))

    async def _pull(self, room: asyncio.Event) -> None:
        try:
            async for event in self._stream:
                with self._lock:
                    self._waiting += 1
                    is_full = self._waiting >= _QUEUE_EVENTS
                    if is_full:
                        room.clear()
                self._events.put(event)
                if is_full:
                    await room.wait()
        except (SteerError, asyncio.CancelledError) as error:
            self._error = error
        finally:
            self._events.put(None)

    def _make_room(self) -> None:
        with self._lock:
            self._waiting -= 1
            is_drained = self._waiting == _QUEUE_EVENTS // 2
        if is_drained and self._room is not None:
            self._thread.loop().call_soon_threadsafe(self._room.set)

    async def _finish(self) -> None:
        self._stream.cancel("the stream was left before its end")
        if self._room is not None:
            self._room.set()
        if self._task is not None:
            await asyncio.wait((self._task,))
        await self._stream.aclose()


class SyncTextStream:
    """The words of one stream, for a plain ``for`` loop. Use it in a ``with``."""

    def __init__(self, events: SyncEventStream) -> None:
        self._events = events

    @property
    def response(self) -> StreamingResponse:
        """What has arrived so far; whole when the stream has ended well."""
        return self._events.response

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once. From any thread."""
        self._events.cancel(reason)

    def close(self) -> None:
        """Leave the stream."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            event = next(self._events)
            if isinstance(event, StreamDeltaEvent) and (text := event.get_text()):
                return text


class SyncSteerLLMClient:
    """`SteerLLMClient` for code without an event loop: the same methods, blocking.

    It may be used from several threads at once. Callbacks run in the caller's thread; an
    asynchronous one is run to its end there.

    Args:
        openai_api_key: As in `SteerLLMClient`.
        anthropic_api_key: As in `SteerLLMClient`.
        xai_api_key: As in `SteerLLMClient`.
        providers: As in `SteerLLMClient`.
        transport: As in `SteerLLMClient`.
        clock: As in `SteerLLMClient`.
    """

    def __init__(
        self,
        openai_api_key: str | None = None,
        anthropic_api_key: str | None = None,
        xai_api_key: str | None = None,
        *,
        providers: Mapping[str, ProviderSettings] | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = SteerLLMClient(
            openai_api_key,
            anthropic_api_key,
            xai_api_key,
            providers=providers,
            transport=transport,
            clock=clock,
        )
        self._thread = _LoopThread()
        # A client that nobody closes ends with the process, or when it is collected.
        self._finalizer = weakref.finalize(self, _shut_down, self._client, self._thread)

    def stream_with_usage(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: Callback | None = None,
        on_delta: Callback | None = None,
        on_usage: Callback | None = None,
        on_complete: Callback | None = None,
        on_error: Callback | None = None,
        **arguments: Any,
    ) -> StreamingResponse:
        """Stream an answer, with a callback for each kind of event: see `SteerLLMClient`."""
        options = streaming_options or StreamingOptions()
        manager = EventManager(
            on_start,
            on_delta,
            on_usage,
            on_complete,
            on_error,
            raise_errors=options.raise_callback_errors,
            slow_warning_ms=0,  # the caller's thread has no loop to block
        )
        raises = on_error is None if options.raise_on_error is None else options.raise_on_error
        events = self.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        with events, asyncio.Runner() as runner:
            for event in _without_error(events):
                _deliver(manager, event, runner)
        error = events.response.error
        if error is not None and raises:
            raise error
        return events.response

    def stream_events(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Any,
    ) -> SyncEventStream:
        """Stream an answer as an iterator of events: see `SteerLLMClient`."""
        events = self._client.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        return SyncEventStream(events, self._thread)

    def stream(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Any,
    ) -> SyncTextStream:
        """Stream the words of an answer: ``for text in client.stream(…)``."""
        return SyncTextStream(
            self.stream_events(
                messages, model, temperature, max_tokens, streaming_options, **arguments
            )
        )

    def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Any,
    ) -> StreamingResponse:
        """Get a whole answer: see `SteerLLMClient`."""
        return self._thread.run(
            self._client.generate(
                messages, model, temperature, max_tokens, streaming_options, **arguments
            )
        )

    def close(self) -> None:
        """End the streams that still run, close the connections, and end the thread."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _shut_down(client: SteerLLMClient, thread: _LoopThread) -> None:
    if thread.is_running:
        thread.run(client.close())
        thread.stop()


def _without_error(events: SyncEventStream) -> Iterator[StreamEvent]:
    """The events of a stream; the error that follows its error event is left to the response."""
    try:
        yield from events
    except SteerError:
        if events.response.error is None:
            raise


def _deliver(manager: EventManager, event: StreamEvent, runner: asyncio.Runner) -> None:
    if manager.is_async(event.type):
        runner.run(manager.deliver((event,)))
        return
    # Nothing in it waits, so it runs through at once, without an event loop.
    try:
        manager.deliver((event,)).send(None)
    except StopIteration:
        return
