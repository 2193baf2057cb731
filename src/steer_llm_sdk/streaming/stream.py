"""The stream as its consumer sees it: `EventStream` yields its events."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeAlias

from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.errors import (
    CallbackError,
    ConfigurationError,
    SteerError,
    StreamCancelledError,
)
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.ports import ProcessorStream
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.delivery import Delivery
from steer_llm_sdk.streaming.fanout import DEFAULT_MAXSIZE, Fanout, Observer, Overflow
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.structured.output import StructuredOutput
from steer_llm_sdk.structured.parser import JSONEvent

_log = logging.getLogger("steer_llm_sdk")

# Makes the request possible, and gives what will send it; raises `ConfigurationError`.
OpenPump: TypeAlias = Callable[[], Awaitable[Pump]]

# Runs work in a task that outlives its caller; closing the client waits for it.
Keep: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class EventStream:
    """The events of one stream.

    ::

        async with client.stream_events("Hello", "gpt-4o") as stream:
            async for event in stream:
                ...
        print(stream.response.usage)

    The stream is pulled: nothing is read from the provider until an event is asked for. Leaving the
    ``async with`` early, by ``break`` or an exception, closes the provider's socket at once.

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
        self._pump: Pump | None = None
        self._response: StreamingResponse | None = None
        self._processing: ProcessorStream | None = None
        self._delivery: Delivery | None = None
        self._ready: Iterator[StreamEvent] = iter(())  # events that can be taken at once
        self._is_pulled = False  # somebody waits for the next events
        self._has_ended = False  # the terminal event has been delivered
        self._is_closed = False  # … and the last batch
        self._leaving: asyncio.Task[None] | None = None  # delivers what is left
        self._error: SteerError | None = None
        self._cancelled: StreamCancelledError | None = None
        self._fanout: Fanout | None = None  # hands the events out, once there are observers
        self._own: Observer | None = None  # then the consumer is one of its readers
        self._driver: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- the consumer's side ------------------------------------------------------------------

    @property
    def response(self) -> StreamingResponse:
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
        events that come after it: subscribe before you iterate.

        Args:
            maxsize: How many events may wait to be read.
            overflow: What happens then: ``"block"`` slows the stream, ``"drop_oldest"`` and
                ``"drop_newest"`` drop a delta and count it, ``"coalesce"`` joins neighbours.

        Raises:
            ConfigurationError: `maxsize` is below 1, or `overflow` is none of these.
        """
        observer = Observer(maxsize, overflow, self._drive)
        if self._fanout is None:
            self._fanout = Fanout(self._next)
        return self._fanout.add(observer)

    def _drive(self) -> None:
        """Begin to hand the events out."""
        if self._fanout is not None and self._driver is None:
            self._driver = self._keep(self._fanout.run())

    def _structure(self) -> StructuredOutput:
        if self._structured is None:
            raise ConfigurationError("partial JSON: no response_format was asked for")
        return self._structured

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
        if self._is_closed:
            return
        if self._pump is None:
            self._is_closed = True
            return
        self.cancel("the stream was left before its end")
        if self._own is not None:
            self._own.close()
        await self._leave()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._leaving is not None and self._fanout is None:
            raise StopAsyncIteration
        event = await (self._next() if self._fanout is None else self._read_own(self._fanout))
        if event is not None:
            return event
        if self._error is not None and self._raises and self._cancelled is None:
            error, self._error = self._error, None
            raise error
        raise StopAsyncIteration

    async def run(self) -> StreamingResponse:
        """Run the stream to its end, for its callbacks and its response.

        Raises:
            SteerError: The stream failed, and it raises.
        """
        delivery = await self._open()
        next_batch, deliver = delivery.next_batch, (self._manager or EventManager()).deliver
        try:
            while True:
                # As `_refill`, without one coroutine more for each network read.
                self._is_pulled = True
                try:
                    batch = await next_batch()
                finally:
                    self._is_pulled = False
                if batch is None:
                    break
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

    # --- how an event gets here ---------------------------------------------------------------

    async def _open(self) -> Delivery:
        if self._delivery is None:
            self._loop = asyncio.get_running_loop()
            pump = self._pump = await self._open_pump()
            self._response = pump.response
            if self._options.event_processor is not None:
                self._processing = self._options.event_processor.open_stream()
            if self._cancelled is not None:
                pump.stop(self._cancelled)
            self._delivery = Delivery(pump, self._processing)
        return self._delivery

    async def _read_own(self, fanout: Fanout) -> StreamEvent | None:
        if self._own is None:
            self._own = fanout.add(Observer(begin=self._drive))
        return await anext(self._own, None)

    async def _next(self) -> StreamEvent | None:
        """The next event that the consumer is to see; None when there is none any more."""
        while (event := next(self._ready, None)) is None:
            if not await self._refill():
                return None
        return event

    async def _refill(self) -> bool:
        """Put more events into `_ready`; False after the last. Cancelled, may be called again."""
        delivery = self._delivery or await self._open()
        self._is_pulled = True
        try:
            batch = await delivery.next_batch()
        finally:
            self._is_pulled = False
        if batch is None:
            await self._close()
            return False
        self._ready = iter(batch)
        return True

    def belongs_to(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it runs in this loop, or has not begun to run."""
        return self._loop is None or self._loop is loop

    # --- leaving ------------------------------------------------------------------------------

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
        """Deliver what is left, in a task that outlives a cancellation, within `exit_grace`."""
        if self._is_pulled and self._driver is None:
            return  # by another task, which gets what is left
        if self._leaving is None:
            self._leaving = self._driver or self._keep(self._drain())
        grace = self._options.exit_grace
        _, late = await asyncio.wait((self._leaving,), timeout=grace)
        if late:
            _log.warning(
                "the last events of a stream are still being delivered after %g s (%s): "
                "client.close() waits for them",
                grace,
                self.response.stream_id,
            )

    async def _drain(self) -> None:
        manager = self._manager or EventManager()
        while (event := await self._next()) is not None:
            with suppress(CallbackError):  # the stream ends in one already, or in something worse
                await manager.deliver((event,))

    async def _close(self) -> None:
        """After the terminal event: the last batch, and the end of all state.

        May be cancelled, and called again.
        """
        if self._pump is not None and not self._has_ended:
            self._has_ended = True
            self._error = self.response.error
            await self._pump.close(self._manager.faults.count if self._manager else 0)
        if self._processing is not None and not self._is_closed:
            await self._processing.close()
        self._is_closed = True

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        abandon(self, self._pump, self._loop, _warn)


def abandon(
    source: object,
    pump: Pump | None,
    loop: asyncio.AbstractEventLoop | None,
    warn: Callable[..., None],
) -> None:
    """Called by the garbage collector, from whichever thread it runs in.

    Args:
        source: The stream.
        pump: What drove it; None where it was never begun.
        loop: Where its socket lives.
        warn: `warnings.warn`, passed since the module may be gone when the interpreter ends.
    """
    if pump is None or (pump.is_over and not pump.is_open):
        return
    if not pump.is_over and not pump.is_stopped:
        warn(
            f"a stream was abandoned before its end ({pump.response.stream_id}): iterate it to the "
            "end, call cancel(), or use 'async with'",
            ResourceWarning,
            source=source,
            stacklevel=3,
        )
    if loop is not None and not loop.is_closed():
        error = StreamCancelledError("the stream was abandoned")
        loop.call_soon_threadsafe(pump.discard, error)
