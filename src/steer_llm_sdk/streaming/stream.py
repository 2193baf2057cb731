"""The stream as its consumer sees it: `EventStream` yields its events.

Strategy. `State` names where a stream stands, and `_FOLLOWS` what may come next.

::

    NEW ──▶ OPENING ──▶ RUNNING ──▶ ENDED ──▶ CLOSED
     │         │           │          ▲
     │         │           └▶ LEAVING ┘
     └─────────┴────────────────────────────▶ CLOSED      before there was anything to end

One task pulls at a time: a second one is refused. What takes time and must not be done twice
(opening, the last batch, an asynchronous callback of the last events) is `Underway`, so that an
``anext`` that was given up loses nothing. A stream that is iterated outside of ``async with``
belongs to the task that iterates it: `Owner` tells of its end.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping
from enum import Enum
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias

from steer_llm_sdk.checks import with_hints
from steer_llm_sdk.engine.pouring import Sink
from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.engine.underway import Underway, WorkCancelledError
from steer_llm_sdk.errors import (
    CallbackError,
    ConfigurationError,
    SteerError,
    StreamCancelledError,
    StreamInUseError,
)
from steer_llm_sdk.models.events import AnyEvent, StreamEvent
from steer_llm_sdk.models.ports import ProcessorStream
from steer_llm_sdk.models.responses import STREAM_HINTS, StreamingResponse
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.stored import Live
from steer_llm_sdk.streaming.delivery import Delivery
from steer_llm_sdk.streaming.fanout import DEFAULT_MAXSIZE, Fanout, Observer, Overflow
from steer_llm_sdk.streaming.leaving import Leaving
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.ownership import Owner, abandon, tell_exhausted
from steer_llm_sdk.structured.output import StructuredOutput
from steer_llm_sdk.structured.parser import JSONEvent
from steer_llm_sdk.tasks import check_loop

# Makes the request of a stream possible, and gives what will send it: at once, or to be awaited
# where that takes time. Raises `ConfigurationError`.
OpenPump: TypeAlias = Callable[["EventStream"], Pump | Coroutine[Any, Any, Pump]]

# Runs work in a task that outlives its caller; closing the client waits for it.
Keep: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class State(Enum):
    """Where a stream stands, for its consumer."""

    __hash__ = object.__hash__  # an enum's own asks its name, at each step

    NEW = "nothing was asked of it"
    OPENING = "its provider is being prepared: keys, the embedded model"
    RUNNING = "its events are read"
    LEAVING = "its consumer has left: the last events are being delivered"
    ENDED = "its terminal event was delivered; the last batch may not be"
    CLOSED = "nothing more comes of it"


_FOLLOWS: Mapping[State, frozenset[State]] = {
    State.NEW: frozenset({State.OPENING, State.CLOSED}),
    State.OPENING: frozenset({State.RUNNING, State.CLOSED}),
    State.RUNNING: frozenset({State.LEAVING, State.ENDED}),
    State.LEAVING: frozenset({State.ENDED}),
    State.ENDED: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}

_RUNNING = State.RUNNING  # looked up for each event: an enum's own attribute is slow on 3.11


@with_hints(STREAM_HINTS)
class EventStream(Live, Generic[Answer]):
    """The events of one stream.

    ::

        async with client.stream_events("Hello", "gpt-4o") as stream:
            async for event in stream:
                ...
        print(stream.response.usage)

    The stream is pulled: nothing is read from the provider until an event is asked for. Leaving the
    ``async with`` early, by ``break`` or an exception, closes the provider's socket at once.
    Outside of one, the stream belongs to the task whose ``async for`` began it, and ends with it.

    One task pulls it at a time. An ``anext`` that is given up (`asyncio.wait_for`) loses nothing
    and sends nothing twice: the next one goes on where it stood.

    Args:
        open_pump: Gives what drives the stream, when its first event is asked for.
        keep: Runs what has to outlive a cancelled call.
        options: How the stream is run.
        manager: The callbacks, where there are any.
        structured: Reads the JSON that was asked for.
        raises: Whether a failed stream raises its error after the error event.
    """

    def __init__(
        self,
        open_pump: OpenPump,
        keep: Keep,
        options: StreamingOptions,
        manager: EventManager | None = None,
        *,
        structured: StructuredOutput | None = None,
        raises: bool = True,
    ) -> None:
        self._open_pump = open_pump
        self._keep = keep
        self._options = options
        self._manager = manager
        self._raises = raises
        self._structured = structured
        self._state = State.NEW
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = Owner(self)
        self._is_entered = False  # an `async with` will leave it
        self._is_pulled = False  # somebody waits for the next events
        self._opening: Underway[Pump] = Underway()
        self._pump: Pump | None = None
        self._response: StreamingResponse | None = None
        self._processing: ProcessorStream | None = None
        self._delivery: Delivery | None = None
        self._ready: Iterator[StreamEvent] = iter(())  # events that can be taken at once
        self._closing: Underway[None] = Underway()
        self._error: SteerError | None = None  # to be raised after the error event
        self._cancelled: StreamCancelledError | None = None
        self._leaving: Leaving | None = None
        self._fanout: Fanout | None = None  # hands the events out, once there are observers
        self._own: Observer | None = None  # then the consumer is one of its readers
        self._driver: asyncio.Task[None] | None = None

    # --- the consumer's side ------------------------------------------------------------------

    @property
    def response(self) -> StreamingResponse[Answer]:
        """What has arrived so far; whole when the stream has ended well."""
        if self._response is None:
            self._response = StreamingResponse()
        return self._response

    def partial_json(self) -> Any:
        """The JSON value so far; None before it begins. See `docs/guides/json.md`.

        Parsed when it is read, each piece once: what nobody reads costs nothing. The value grows in
        place: copy it to keep it as it is. After a fault in the text it stays what it was; the
        stream's end tells of the fault.

        Raises:
            ConfigurationError: No JSON was asked for (``response_format``).
        """
        return self._structure().snapshot()

    def read_json_events(self) -> list[JSONEvent]:
        """The fields and elements of the JSON value completed since the last call, in order.

        Raises:
            ConfigurationError: No JSON was asked for (``response_format``).
        """
        return self._structure().read_events()

    def subscribe(self, maxsize: int = DEFAULT_MAXSIZE, overflow: Overflow = "block") -> Observer:
        """One more reader of this stream, with a queue of its own: an async iterator of events.

        A task of the client's then pulls the stream, as soon as somebody reads, and hands each
        event to the observers and to whoever iterates the stream itself. An observer gets the
        events that come after it: subscribe before you iterate. When the last reader has left,
        the stream ends, unless an ``async with`` still holds it: then it waits for another one.

        Args:
            maxsize: How many events may wait to be read.
            overflow: What happens then: ``"block"`` slows the stream, ``"drop_oldest"`` and
                ``"drop_newest"`` drop a delta and count it, ``"coalesce"`` joins neighbours.

        Raises:
            ConfigurationError: `maxsize` is below 1, or `overflow` is none of these.
        """
        observer = Observer(maxsize, overflow, self._drive)
        if self._fanout is None:
            self._fanout = Fanout(self._next, self._end_unread)
            if self._state is State.CLOSED:
                self._fanout.end()
        return self._fanout.add(observer)

    def cancel(self, reason: str = "the stream was cancelled") -> None:
        """End the stream: the provider's socket is closed at once.

        Usage and a `StreamErrorEvent` with a `StreamCancelledError` still follow. May be called
        more than once, after the end too, and from any task of the loop.
        """
        self._stop(StreamCancelledError(reason))

    def fail(self, error: SteerError) -> None:
        """End the stream in this error, which its consumer has found in the answer.

        As `cancel` otherwise: leave the stream after it.
        """
        error.partial_response = self.response
        self._stop(error)

    async def aclose(self) -> None:
        """Leave the stream: cancels it when it has not ended, and delivers its last events."""
        if self._state in {State.NEW, State.OPENING}:
            self._opening.cancel()
            self._go(State.CLOSED)
            if self._fanout is not None:
                self._fanout.end()
        if self._state is State.CLOSED:
            return
        self.cancel("the stream was left before its end")
        if self._own is not None:
            self._own.close()
        await self._leave()

    async def __aenter__(self) -> Self:
        self._is_entered = True
        self._owner.release()
        if self._state is not State.CLOSED:
            await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_entered = False
        await self.aclose()

    def __aiter__(self) -> Self:
        if self._state is State.CLOSED:
            tell_exhausted()
        elif not self._is_entered:
            self._owner.take()
        return self

    async def __anext__(self) -> AnyEvent:
        event: Any  # one of the five: nobody makes another
        if self._fanout is None and self._state is _RUNNING:
            event = next(self._ready, None)  # nearly always: no further coroutine is made for it
            if event is not None:
                return event  # type: ignore[no-any-return]
        if self._fanout is not None:
            event = await self._read_own(self._fanout)
        elif self._state is State.LEAVING:
            raise StopAsyncIteration
        else:
            event = await self._next()
        if event is not None:
            return event  # type: ignore[no-any-return]
        if self._cancelled is None and (error := self.take_error()) is not None:
            raise error
        raise StopAsyncIteration

    def take_error(self) -> SteerError | None:
        """What is still to be raised: what the stream ended in, once, where it raises."""
        error, self._error = self._error, None
        return error if self._raises else None

    def take_ready(self) -> StreamEvent | None:
        """Take the next event if that needs no waiting; None otherwise: see `ready_events`."""
        if self._fanout is None and self._state is _RUNNING and not self._is_pulled:
            return next(self._ready, None)
        return None

    async def pour(self, sink: Sink) -> None:
        """Hand deltas to `sink` as they come; see `models.ports.pourer`."""
        if self._delivery is not None and self._fanout is None and not self._is_pulled:
            self._is_pulled = True
            try:
                await self._delivery.pour(sink)
            finally:
                self._is_pulled = False

    async def run(self) -> StreamingResponse[Answer]:
        """Run the stream to its end, for its callbacks and its response.

        Raises:
            SteerError: The stream failed, and it raises.
        """
        delivery = await self._open()
        next_batch, deliver = delivery.next_batch, (self._manager or EventManager()).deliver
        try:
            while (batch := await next_batch()) is not None:
                self._ready = ready = iter(batch)
                await deliver(ready, self._pump)
            await self._close()
        except CallbackError as error:
            self.fail(error)
            await self._leave()
            self._error = error
        except BaseException:
            await self.aclose()
            raise
        if self._error is not None and self._raises:
            raise self._error
        return self.response

    def belongs_to(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it runs in this loop, or has not begun to run."""
        return self._loop is None or self._loop is loop

    # --- how an event gets here ---------------------------------------------------------------

    async def _open(self) -> Delivery:
        """Prepare the provider, once: whoever comes while that takes time waits for the same."""
        if self._delivery is not None:
            return self._delivery
        try:
            if self._state is State.NEW:
                self._loop = asyncio.get_running_loop()
                self._go(State.OPENING)
                opened = self._open_pump(self)
                if isinstance(opened, Pump):
                    return self._begin(opened)
                self._opening.begin(opened)
            pump = await self._opening.settle()
        except WorkCancelledError:
            self._close_unopened()
            raise StreamCancelledError("the stream was closed before it began") from None
        except Exception:
            self._close_unopened()  # it cannot be made: nothing was sent
            raise
        return self._begin(pump)

    def _close_unopened(self) -> None:
        if self._state is State.OPENING:
            self._go(State.CLOSED)

    def _begin(self, pump: Pump) -> Delivery:
        if self._delivery is not None:  # another task has waited for the same
            return self._delivery
        self._go(State.RUNNING)
        self._pump = pump
        self._response = pump.response
        if pump.account is not None:  # here, since this is the task of whoever asked
            pump.account.begin(pump.response)
        if self._options.event_processor is not None:
            self._processing = self._options.event_processor.open_stream()
        if self._cancelled is not None:
            pump.stop(self._cancelled)
        self._delivery = Delivery(pump, self._processing)
        return self._delivery

    async def _read_own(self, fanout: Fanout) -> StreamEvent | None:
        if self._own is None:
            self._own = fanout.add_own(Observer(begin=self._drive))
        return await anext(self._own, None)

    async def _next(self) -> StreamEvent | None:
        """The next event for the consumer; None after the last. Given up, may be called again."""
        while (event := next(self._ready, None)) is None:
            if self._state is not State.CLOSED:
                check_loop(self._loop, "the stream")
            if self._is_pulled:
                raise StreamInUseError(
                    "another task waits for this stream's next event; one task pulls a stream at a "
                    "time: subscribe() gives each further reader a queue of its own"
                )
            if self._state is State.CLOSED:
                return None
            self._is_pulled = True
            try:
                delivery = self._delivery or await self._open()
                batch = await delivery.next_batch()
                if batch is None:
                    await self._close()
                    return None
            finally:
                self._is_pulled = False
            self._ready = iter(batch)
        return event

    def _drive(self) -> None:
        """Begin to hand the events out."""
        check_loop(self._loop, "the stream")
        if self._fanout is not None and self._driver is None:
            self._driver = self._keep(self._fanout.run())

    def _structure(self) -> StructuredOutput:
        if self._structured is None:
            raise ConfigurationError("partial JSON: no response_format was asked for")
        return self._structured

    # --- leaving ------------------------------------------------------------------------------

    def _go(self, state: State) -> None:
        if state not in _FOLLOWS[self._state]:
            raise AssertionError(f"a stream cannot go from {self._state.name} to {state.name}")
        self._state = state

    def _stop(self, error: SteerError) -> None:
        if isinstance(error, StreamCancelledError) and self._cancelled is None:
            self._cancelled = error
        if self._pump is not None and self._delivery is not None:
            self._pump.stop(error)
            if self._pump.is_stopped:
                self._ready = iter(())
                self._delivery.drop()
        if self._fanout is not None:
            self._fanout.hurry()

    async def _leave(self) -> None:
        """Deliver what is left, within `exit_grace`; the rest in a task that outlives the call."""
        if self._driver is None and self._is_pulled:
            return  # whoever pulls gets what is left
        if self._state is State.RUNNING:
            self._go(State.LEAVING)
        if self._leaving is None:
            self._leaving = Leaving(self._manager, self._driver)
        grace, stream_id = self._options.exit_grace, self.response.stream_id
        await self._leaving.within(grace, self._next, self._keep, stream_id)

    def disown(self, task: asyncio.Task[Any]) -> None:
        """The task that iterated the stream has ended: so does the stream, if no other reads it."""
        if not self._owner.is_(task) or self._state is State.CLOSED:
            return
        self._owner.release()
        if self._fanout is not None:
            if self._own is not None:
                self._own.close()
        elif not self._is_pulled:
            self._end_unread("the task that read the stream has ended")

    def _end_unread(self, reason: str) -> None:
        """End the stream, which nobody reads any more; its last events are still delivered."""
        if self._is_entered or self._state in {State.LEAVING, State.ENDED, State.CLOSED}:
            return
        self.cancel(reason)
        if self._driver is None and self._state is State.RUNNING:
            self._keep(self._leave())

    def leave_behind(self, reason: str) -> None:
        """End the stream with its loop, in which nobody can read it any more."""
        if self._driver is not None and self._driver.done():
            self._driver = None  # it was cancelled: it delivers nothing more
        cancelled = self._cancelled
        self.cancel(reason)
        self._end_unread(reason)
        self._cancelled = cancelled  # whoever reads on, in another loop, is told of the end

    async def _close(self) -> None:
        """After the terminal event: the last batch, and the end of all state.

        Given up, may be called again.
        """
        if self._state in {State.RUNNING, State.LEAVING}:
            self._go(State.ENDED)
            self._error = self.response.error
            self._owner.release()
            if self._pump is not None:
                await self._pump.close(self._manager.faults.count if self._manager else 0)
        if self._processing is not None and self._state is State.ENDED:
            if not self._closing.is_busy:
                self._closing.begin(self._processing.close())
            await self._closing.settle()
        if self._state is State.ENDED:
            self._go(State.CLOSED)

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if self._loop is None or self._loop.is_closed():
            return
        if self._state is State.OPENING:
            self._loop.call_soon_threadsafe(self._opening.cancel)
        if self._fanout is not None:
            self._loop.call_soon_threadsafe(self._fanout.hurry)
        abandon(self, self._pump, self._delivery, self._loop, _warn)
