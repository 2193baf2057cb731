"""Callbacks by kind of event: `EventManager`.

Any callable will do. If what it returns is awaitable, it is awaited; callbacks run one at a time,
in the order of the events, each finished before the next event. One that raises is logged with its
traceback and counted, and the stream goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, Protocol

from steer_llm_sdk._version import __version__
from steer_llm_sdk.checks import is_asynchronous, refuse_yielding
from steer_llm_sdk.errors import CallbackError, ConfigurationError
from steer_llm_sdk.models.callbacks import (
    CompleteCallback,
    DeltaCallback,
    ErrorCallback,
    StartCallback,
    UsageCallback,
)
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.pipeline.user_errors import (
    USER_ERRORS,
    UserErrorLog,
    await_user_code,
    to_await,
)
from steer_llm_sdk.stored import words_of
from steer_llm_sdk.streaming.legacy import adapt_callback

_log = logging.getLogger("steer_llm_sdk")

KINDS = ("start", "delta", "usage", "complete", "error")

Listener = Callable[[Any], Any]


class Stoppable(Protocol):
    """A stream that its consumer may have stopped."""

    is_stopped: bool


class EventManager:
    """Calls the listeners of each kind of event. Usable on its own, without a client.

    Args:
        on_start: Called with the `StreamStartEvent`.
        on_delta: Called with each `StreamDeltaEvent`.
        on_usage: Called with the `StreamUsageEvent`.
        on_complete: Called with the `StreamCompleteEvent`.
        on_error: Called with the `StreamErrorEvent`.
        provider: For the events that are made here.
        model: For the events that are made here.
        request_id: For the events that are made here; made, when not given.
        stream_id: For the events that are made here; made, when not given.
        trace_id: Goes into the metadata of the events that are made here.
        metadata: Goes into the metadata of the events that are made here.
        raise_errors: Raise a `CallbackError` when a listener raises, rather than to log it.
        slow_warning_ms: A plain listener that blocks the loop for longer is named in a warning,
            once. 0 turns that off.

    Attributes:
        faults: How often listeners have raised (``faults.count``).
    """

    def __init__(
        self,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        *,
        provider: str = "",
        model: str = "",
        request_id: str | None = None,
        stream_id: str | None = None,
        trace_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        raise_errors: bool = False,
        slow_warning_ms: float = 50.0,
    ) -> None:
        self.faults = UserErrorLog()
        self.provider = provider
        self.model = model
        self.request_id = request_id or uuid.uuid4().hex
        self.stream_id = stream_id or uuid.uuid4().hex
        self._metadata = {"sdk_version": __version__, **(metadata or {})}
        if trace_id is not None:
            self._metadata["trace_id"] = trace_id
        self._raise_errors = raise_errors
        self._slow_seconds = slow_warning_ms / 1000 or float("inf")
        self._named_as_slow: list[Listener] = []  # a listener need not be hashable
        # By kind: what was registered; and each as it is run, and whether it is asynchronous.
        self._registered: dict[str, list[Listener]] = {kind: [] for kind in KINDS}
        self._listeners: dict[str, tuple[tuple[Listener, bool], ...]] = dict.fromkeys(KINDS, ())
        given = (on_start, on_delta, on_usage, on_complete, on_error)
        for kind, callback in zip(KINDS, given, strict=True):
            if callback is not None:
                self.add(kind, callback)

    # --- listeners ----------------------------------------------------------------------------

    def add(self, kind: str, callback: Listener) -> None:
        """Call `callback` for each event of `kind`, after the listeners that are already there.

        Raises:
            ConfigurationError: There is no such kind of event, or it cannot be called.
        """
        if not callable(callback):
            raise ConfigurationError(
                f"on_{kind}: expected something to call, found {type(callback).__name__}"
            )
        refuse_yielding(f"on_{kind}", callback)
        self._of_kind(kind).append(callback)
        adapted = adapt_callback(callback, kind)
        self._listeners[kind] += ((adapted, is_asynchronous(adapted)),)

    def remove(self, kind: str, callback: Listener) -> None:
        """Call `callback` no more; without effect when it is not registered."""
        registered, listeners = self._of_kind(kind), self._listeners[kind]
        if callback in registered:
            at = registered.index(callback)
            del registered[at]
            self._listeners[kind] = listeners[:at] + listeners[at + 1 :]

    def has_listeners(self, kind: str) -> bool:
        """Whether any callback is registered for this kind of event."""
        return bool(self._of_kind(kind))

    def is_async(self, kind: str) -> bool:
        """Whether a listener of this kind of event may have to be awaited."""
        return any(is_async for _, is_async in self._listeners[kind])

    def _of_kind(self, kind: str) -> list[Listener]:
        if kind not in self._registered:
            raise ConfigurationError(
                f"expected a kind of event ({', '.join(KINDS)}), found {kind!r}"
            )
        return self._registered[kind]

    # --- calling them -------------------------------------------------------------------------

    async def emit_event(self, event: StreamEvent) -> None:
        """Call the listeners of an event, one after another, each finished before the next.

        Raises:
            CallbackError: A listener raised, and `raise_errors` is set.
        """
        await self.deliver((event,))

    async def deliver(self, events: Iterable[StreamEvent], stream: Stoppable | None = None) -> None:
        """Call the listeners of several events, in their order.

        Args:
            events: The events; asked for one by one.
            stream: No more are asked for once this has been stopped.

        Raises:
            CallbackError: A listener raised, and `raise_errors` is set.
        """
        by_kind, slow_seconds, clock = self._listeners, self._slow_seconds, time.perf_counter
        for event in events:
            # Nearly all are deltas: the type of an object is found faster than its attribute.
            kind = "delta" if type(event) is StreamDeltaEvent else event.type
            for listener, is_async in by_kind[kind]:
                try:
                    if is_async:
                        await listener(event)
                        continue
                    before = clock()
                    result = listener(event)
                    blocked = clock() - before
                    if blocked > slow_seconds:
                        self._warn_of_slow(listener, event, blocked)
                    if result is not None and (awaited := to_await(result)) is not None:
                        await awaited
                except asyncio.CancelledError as error:
                    if _is_being_cancelled():
                        raise
                    self._report(listener, event, error)
                except Exception as error:  # noqa: BLE001 - the caller's own code
                    self._report(listener, event, error)
            if stream is not None and stream.is_stopped:
                return

    def call_one_by_one(self, event: StreamEvent) -> Iterator[Coroutine[Any, Any, None]]:
        """Call the listeners of an event; yields what is to be run before the next is called.

        So an asynchronous listener can be run in a task of its own, while plain ones are called
        where they are asked for.

        Raises:
            CallbackError: As it goes on: a listener raised, and `raise_errors` is set.
        """
        for listener, is_async in self._listeners[event.type]:
            if is_async:
                yield self._run(listener, event, None)
                continue
            before = time.perf_counter()
            try:
                result = listener(event)
                awaited = None if result is None else to_await(result)
            except USER_ERRORS as error:
                self._report(listener, event, error)
                continue
            blocked = time.perf_counter() - before
            if blocked > self._slow_seconds:
                self._warn_of_slow(listener, event, blocked)
            if awaited is not None:
                yield self._run(listener, event, awaited)

    async def _run(
        self, listener: Listener, event: StreamEvent, begun: Awaitable[Any] | None
    ) -> None:
        """Run an asynchronous listener, or what a plain one returned, to its end."""
        _, error = await await_user_code(listener(event) if begun is None else begun)
        if error is not None:
            self._report(listener, event, error)

    def _report(self, listener: Listener, event: Any, error: BaseException) -> None:
        if self._raise_errors:
            self.faults.count += 1
            raise CallbackError(
                f"the callback {_name(listener)} raised {type(error).__name__} "
                f"for {_kind_of(event)}: {words_of(error)}"
            ) from error
        self.faults.report("callback", listener, "the stream goes on", error)

    def _warn_of_slow(self, listener: Listener, event: StreamEvent, seconds: float) -> None:
        if listener in self._named_as_slow:
            return
        self._named_as_slow.append(listener)
        _log.warning(
            "the callback %s blocked the event loop for %.0f ms at a %s event: make it async, or "
            "hand the work to a thread",
            _name(listener),
            seconds * 1000,
            event.type,
        )

    # --- making events ------------------------------------------------------------------------

    async def emit_start(self, data: Any = None, **fields: Any) -> Any:
        """Emit a start event: `data` where it is one, else one that is made of `fields`.

        Anything else is handed to the callbacks as it is; so in the methods below.

        Returns:
            What was emitted.
        """
        made = self.create_start_event(**fields) if data is None else data
        return await self._emit("start", made)

    async def emit_delta(self, delta: Any, **fields: Any) -> StreamDeltaEvent:
        """Emit a delta: an event, or what one is made of."""
        is_made = isinstance(delta, StreamDeltaEvent)
        event = delta if is_made else self.create_delta_event(delta, **fields)
        await self.emit_event(event)
        return event

    async def emit_usage(self, usage: Any, **fields: Any) -> Any:
        """Emit a usage event: an event, or the counts that one is made of."""
        is_counts = isinstance(usage, Mapping)
        return await self._emit(
            "usage", self.create_usage_event(usage, **fields) if is_counts else usage
        )

    async def emit_complete(self, data: Any = None, **fields: Any) -> Any:
        """Emit a complete event: an event, or one that is made of `fields`."""
        made = self.create_complete_event(**fields) if data is None else data
        return await self._emit("complete", made)

    async def emit_error(self, error: Any, **fields: Any) -> Any:
        """Emit an error event: an event, or the exception that one is made of."""
        is_raised = isinstance(error, Exception)
        return await self._emit(
            "error", self.create_error_event(error, **fields) if is_raised else error
        )

    def create_start_event(self, **fields: Any) -> StreamStartEvent:
        """A start event: its names, time and metadata are filled in."""
        return StreamStartEvent(**self._filled(fields))

    def create_delta_event(self, delta: str | dict[str, Any], **fields: Any) -> StreamDeltaEvent:
        """A delta; `fields` are those of the event."""
        return StreamDeltaEvent(delta=delta, **self._filled(fields))

    def create_usage_event(self, usage: Mapping[str, Any], **fields: Any) -> StreamUsageEvent:
        """A usage event; `fields` are those of the event."""
        counts: Any = dict(usage)
        return StreamUsageEvent(usage=counts, **self._filled(fields))

    def create_complete_event(self, **fields: Any) -> StreamCompleteEvent:
        """A complete event; `fields` are those of the event."""
        return StreamCompleteEvent(**self._filled(fields))

    def create_error_event(self, error: Exception, **fields: Any) -> StreamErrorEvent:
        """An error event; whether it is retryable is taken from the error, when it tells."""
        fields.setdefault("is_retryable", bool(getattr(error, "is_retryable", False)))
        return StreamErrorEvent(error=error, **self._filled(fields))

    async def _emit(self, kind: str, data: Any) -> Any:
        if isinstance(data, StreamEvent):
            await self.emit_event(data)
            return data
        for listener in self._registered[kind]:
            try:
                result = listener(data)
                awaited = None if result is None else to_await(result)
            except USER_ERRORS as error:
                self._report(listener, data, error)
                continue
            if awaited is not None:
                _, raised = await await_user_code(awaited)
                if raised is not None:
                    self._report(listener, data, raised)
        return data

    def _filled(self, fields: dict[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {
            "provider": self.provider,
            "model": self.model,
            "request_id": self.request_id,
            "stream_id": self.stream_id,
            "timestamp": time.time(),
        }
        metadata = {**self._metadata, **(fields.pop("metadata", None) or {})}
        return known | fields | {"metadata": metadata}


def _is_being_cancelled() -> bool:
    """Whether this task is being cancelled, rather than something that a listener awaited."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _kind_of(event: object) -> str:
    return f"a {event.type} event" if isinstance(event, StreamEvent) else f"{event!r:.80}"


def _name(listener: Listener) -> str:
    return str(getattr(listener, "__qualname__", None) or type(listener).__qualname__)
