"""From the pump to whoever consumes the stream: its events, through the processor if there is one.

A batch of deltas is lazy: they are decoded, collected and numbered as they are asked for. So what
has not been asked for when the stream is stopped was never there: it is in no event and not in the
response, and the numbers have no gap.

What comes through a processor leaves here, in the order in which a stream's events may follow one
another, whatever a transformer has made of them: see `_admits`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain

from steer_llm_sdk.engine.pouring import Sink, pour
from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.engine.underway import Underway, WorkCancelledError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.ports import ProcessorStream
from steer_llm_sdk.pipeline.chain import Processed

_log = logging.getLogger("steer_llm_sdk.streaming")

# Where in a stream each type of event stands. There are many deltas, and one of any other.
_PLACES: Mapping[str, int] = {"start": 0, "delta": 1, "usage": 2, "complete": 3, "error": 3}
_DELTA = _PLACES["delta"]


class Delivery:
    """The events of one stream, on their way to its consumer.

    Args:
        pump: Where they come from.
        processing: What they pass through; None where there is no processor.

    Attributes:
        next_batch: Gives an awaitable of events that can be taken at once, perhaps none; of None
            after the last. Given up while it waits, it can be called again.
    """

    def __init__(self, pump: Pump, processing: ProcessorStream | None) -> None:
        # Without a processor there is nothing in between, not even a call.
        self.next_batch = self._next_source = _source(pump)
        if processing is not None:
            self.next_batch = partial(self._process, processing)
        self._is_straight = self.next_batch == pump.next_batch
        self._pump = pump
        self._batch: Iterator[StreamEvent] = iter(())  # on its way into the processor
        self._has_more = False  # whether there may be more in `_batch`
        self._owed: Underway[list[StreamEvent]] = Underway()  # what the processor is still at
        self._source = 0  # the place of the event that is, or was last, in the processor
        self._place = -1  # the place of the event that was delivered last
        self._sequence = 0
        self._has_warned = False
        self._has_released = False  # what the processor held back has been released

    async def _process(self, processing: ProcessorStream) -> Iterable[StreamEvent] | None:
        if self._owed.is_busy:
            return self._numbered(await self._settle())
        if self._has_more:
            return self._passed(processing)
        batch = await self._next_source()
        if batch is None:
            return None
        self._batch = iter(batch)
        self._has_more = True
        return ()

    async def pour(self, sink: Sink) -> None:
        """Hand deltas to `sink` as they come: see `engine.pouring`. At once over where it cannot.

        What passes through a processor, or is told to sinks, is pulled.
        """
        if self._is_straight:
            await pour(self._pump, sink)

    def drop(self) -> None:
        """The stream was stopped: forget the deltas that are on their way through the processor."""
        self._batch = iter(())
        if self._source == _DELTA:
            self._owed.cancel()

    async def _settle(self) -> list[StreamEvent]:
        try:
            return await self._owed.settle()
        except WorkCancelledError:
            return []

    def _passed(self, processing: ProcessorStream) -> Iterator[StreamEvent]:
        """The events of the batch that come through the processor.

        Ends early at one that has to be awaited: that is then in `_owed`, and the rest of the batch
        still has to come through.
        """
        pump = self._pump
        while (event := next(self._batch, None)) is not None:
            if event.__class__ is StreamDeltaEvent:
                self._source = _DELTA
                passed = processing.process(event)
            else:
                passed = self._passed_rare(processing, event)
            if not isinstance(passed, list):
                self._owed.begin(_wait_for(passed))
                return
            # As `_numbered`, without a generator for each event.
            for kept in passed:
                is_next = kept.__class__ is StreamDeltaEvent and self._place == _DELTA
                if (pump.is_stopped or not is_next) and not self._admits(kept):
                    continue
                kept.sequence = self._sequence
                self._sequence += 1
                yield kept
        self._has_more = False

    def _passed_rare(self, processing: ProcessorStream, event: StreamEvent) -> Processed:
        """Pass what is no plain delta; what was held back comes before the end of the deltas."""
        self._source = place = _PLACES[event.type]
        if place <= _DELTA or self._has_released:
            return processing.process(event)
        self._has_released = True
        self._batch = chain((event,), self._batch)
        return processing.finish()

    def _numbered(self, events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
        """Events that came through the processor, numbered as they are delivered."""
        for event in events:
            if self._admits(event):
                event.sequence = self._sequence
                self._sequence += 1
                yield event

    def _admits(self, event: StreamEvent) -> bool:
        """Whether an event may follow those that were delivered; one that may not is dropped.

        A transformer may make any event of any other. It cannot end a stream that goes on, nor
        deliver anything behind its end.
        """
        place = _PLACES.get(event.type, _DELTA)
        if place == _DELTA:
            if self._place > _DELTA:
                _log.warning(
                    "a transformer made a delta after the stream's last one; it is dropped"
                )
                return False
            self._place = _DELTA
            return not self._pump.is_stopped
        if not self._place < place <= self._source:
            self._warn(event)
            return False
        self._place = place
        return True

    def _warn(self, event: StreamEvent) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "a transformer made a %s event where none may follow; it is dropped", event.type
            )


def _source(pump: Pump) -> Callable[[], Awaitable[Iterable[StreamEvent] | None]]:
    """What gives the pump's events; where sinks ask for them, these are told on the way."""
    account = pump.account
    if account is None or not account.wants_events:
        return pump.next_batch
    return partial(_noted, pump, account.note)


async def _noted(
    pump: Pump, note: Callable[[StreamEvent], StreamEvent]
) -> Iterable[StreamEvent] | None:
    batch = await pump.next_batch()
    # The last events are told with the stream's end.
    return batch if batch is None or pump.is_over else map(note, batch)


async def _wait_for(passed: Awaitable[list[StreamEvent]]) -> list[StreamEvent]:
    return await passed
