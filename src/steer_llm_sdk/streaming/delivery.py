"""From the pump to whoever consumes the stream: its events, through the processor if there is one.

A batch of deltas is lazy: they are decoded, collected and numbered as they are asked for. So what
has not been asked for when the stream is stopped was never there: it is in no event and not in the
response, and the numbers have no gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from itertools import chain

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import ProcessorStream
from steer_llm_sdk.streaming.pump import Pump

_AFTER_DELTAS = frozenset({"usage", "complete", "error"})


class Delivery:
    """The events of one stream, on their way to its consumer.

    Args:
        pump: Where they come from.
        processing: What they pass through; None where there is no processor.

    Attributes:
        ready: Those that can be taken at once; replaced by `refill`.
    """

    def __init__(self, pump: Pump, processing: ProcessorStream | None) -> None:
        self.ready: Iterator[StreamEvent] = iter(())
        self._pump = pump
        self._processing = processing
        self._batch: Iterator[StreamEvent] = iter(())  # on its way into the processor
        self._has_more = False  # whether there may be more in `_batch`
        self._owed: Awaitable[list[StreamEvent]] | None = None  # what the processor is still at
        self._sequence = 0
        self._has_released = False  # what the processor held back has been released

    def refill(self) -> Awaitable[bool]:
        """Put more events into `ready`; False after the last. Cancelled, it can be called again."""
        return self._refill() if self._processing is None else self._process(self._processing)

    async def _refill(self) -> bool:
        batch = await self._pump.next_batch()
        if batch is None:
            return False
        self.ready = iter(batch)
        return True

    async def _process(self, processing: ProcessorStream) -> bool:
        if self._owed is not None:
            self.ready = self._numbered(await self._settle(self._owed))
            return True
        if self._has_more:
            self.ready = self._passed(processing)
            return True
        batch = await self._pump.next_batch()
        if batch is None:
            return False
        self._batch = iter(batch)
        self._has_more = True
        return True

    def drop(self) -> None:
        """The stream was stopped: forget the deltas that nobody has taken."""
        if self._pump.is_stopped:
            self.ready = iter(())
            self._batch = iter(())

    async def _settle(self, owed: Awaitable[list[StreamEvent]]) -> list[StreamEvent]:
        """What the processor is still at.

        At the stream's end it is not cancelled with whoever waits for it: the terminal event, and
        what was held back, must reach those who listen.
        """
        if not self._pump.is_over:
            self._owed = None
            return await owed
        self._owed = task = asyncio.ensure_future(owed)
        events = await asyncio.shield(task)
        self._owed = None
        return events

    def _passed(self, processing: ProcessorStream) -> Iterator[StreamEvent]:
        """The events of the batch that come through the processor.

        Ends early at one that has to be awaited: that is then in `_owed`, and the rest of the batch
        still has to come through.
        """
        pump = self._pump
        while (event := next(self._batch, None)) is not None:
            is_delta = event.__class__ is StreamDeltaEvent
            if not is_delta and event.type in _AFTER_DELTAS and not self._has_released:
                self._has_released = True
                self._batch = chain((event,), self._batch)
                passed = processing.finish()
            else:
                passed = processing.process(event)
            if not isinstance(passed, list):
                self._owed = passed
                return
            # As `_numbered`, without a generator for each event.
            for kept in passed:
                if kept.__class__ is StreamDeltaEvent and pump.is_stopped:
                    continue
                kept.sequence = self._sequence
                self._sequence += 1
                yield kept
        self._has_more = False

    def _numbered(self, events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
        """Events that came through the processor, numbered as they are delivered."""
        for event in events:
            if event.__class__ is StreamDeltaEvent and self._pump.is_stopped:
                continue
            event.sequence = self._sequence
            self._sequence += 1
            yield event
