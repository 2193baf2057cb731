"""From the pump to whoever consumes the stream: its events, through the processor if there is one.

A batch of deltas is lazy: they are decoded, collected and numbered as they are asked for. So what
has not been asked for when the stream is stopped was never there: it is in no event and not in the
response, and the numbers have no gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from functools import partial
from itertools import chain

from steer_llm_sdk.answer.order import AFTER_DELTAS
from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.ports import ProcessorStream


class Delivery:
    """The events of one stream, on their way to its consumer.

    Args:
        pump: Where they come from.
        processing: What they pass through; None where there is no processor.

    Attributes:
        next_batch: Gives an awaitable of events that can be taken at once, perhaps none; of None
            after the last. Cancelled while it waits, it can be called again.
    """

    def __init__(self, pump: Pump, processing: ProcessorStream | None) -> None:
        # Without a processor there is nothing in between, not even a call.
        self.next_batch = pump.next_batch
        if processing is not None:
            self.next_batch = partial(self._process, processing)
        self._pump = pump
        self._batch: Iterator[StreamEvent] = iter(())  # on its way into the processor
        self._has_more = False  # whether there may be more in `_batch`
        self._owed: Awaitable[list[StreamEvent]] | None = None  # what the processor is still at
        self._sequence = 0
        self._has_released = False  # what the processor held back has been released

    async def _process(self, processing: ProcessorStream) -> Iterable[StreamEvent] | None:
        if self._owed is not None:
            return self._numbered(await self._settle(self._owed))
        if self._has_more:
            return self._passed(processing)
        batch = await self._pump.next_batch()
        if batch is None:
            return None
        self._batch = iter(batch)
        self._has_more = True
        return ()

    def drop(self) -> None:
        """The stream was stopped: forget the deltas that are on their way into the processor."""
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
            if not is_delta and event.type in AFTER_DELTAS and not self._has_released:
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
