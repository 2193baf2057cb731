"""One stream's way through a processor, and the figures of all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import perf_counter

from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.pipeline.batching import Batcher
from steer_llm_sdk.pipeline.chain import Passed, TransformerChain, settle
from steer_llm_sdk.pipeline.filters import EventFilter
from steer_llm_sdk.pipeline.user_errors import FAULTS, FaultLog

# What a stream held back is due before these.
_AFTER_DELTAS = (StreamUsageEvent, StreamCompleteEvent, StreamErrorEvent)


@dataclass(slots=True)
class ProcessorMetrics:
    """What a processor has done, all of its streams together.

    Attributes:
        events_processed: The events that came in.
        events_filtered: Of these, the ones that a filter dropped.
        events_batched: The events that were added to a batch.
        events_dropped: The events in batches that were dropped because the handler was behind.
        processing_time_ms: The time spent on them, awaiting included, in milliseconds.
        filter_errors: How often a filter raised.
        transformer_errors: How often a transformer raised.
        handler_errors: How often a batch handler raised.
    """

    events_processed: int = 0
    events_filtered: int = 0
    events_batched: int = 0
    events_dropped: int = 0
    processing_time_ms: float = 0.0
    filter_errors: int = 0
    transformer_errors: int = 0
    handler_errors: int = 0
    _began_at: float | None = None
    _ended_at: float = 0.0

    @property
    def events_transformed(self) -> int:
        """The events that no filter dropped: they went through the transformers."""
        return self.events_processed - self.events_filtered

    @property
    def events_per_second(self) -> float:
        """The events that came in, over the time from the first of them to the last."""
        if self._began_at is None or self._ended_at <= self._began_at:
            return 0.0
        return self.events_processed / (self._ended_at - self._began_at)

    @property
    def average_processing_time_ms(self) -> float:
        """The time spent on one event, in milliseconds."""
        return self.processing_time_ms / self.events_processed if self.events_processed else 0.0

    def snapshot(self) -> ProcessorMetrics:
        """A copy that stays as it is."""
        return replace(self)

    def count_fault(self, kind: str) -> None:
        """Count that a ``"filter"``, a ``"transformer"`` or a ``"handler"`` raised."""
        name = f"{kind}_errors"
        setattr(self, name, getattr(self, name) + 1)

    def count_dropped(self, events: int) -> None:
        """Count the events of a batch that was dropped."""
        self.events_dropped += events

    def note_begin(self, now: float) -> None:
        """A stream begins at `now`, a reading of `time.perf_counter`; only the first counts."""
        if self._began_at is None:
            self._began_at = now

    def count_time(self, began: float) -> None:
        """Count the time since `began`, a reading of `time.perf_counter`."""
        self._ended_at = ended = perf_counter()
        self.processing_time_ms += (ended - began) * 1000


class Passage:
    """One stream's way through a processor: a `ProcessorStream`."""

    __slots__ = ("_batcher", "_chain", "_faults", "_filters", "_has_begun", "_metrics", "_pass")

    def __init__(
        self,
        filters: list[EventFilter],
        transformers: list[Transformer],
        metrics: ProcessorMetrics,
        new_batcher: Callable[[FaultLog], Batcher | None],
    ) -> None:
        self._metrics = metrics
        self._faults = FaultLog(metrics.count_fault)
        # Bound once, so that nothing is looked up for each event.
        self._filters = tuple((one.should_process, one) for one in filters)
        self._chain = TransformerChain(transformers, self._faults)
        self._pass = self._chain.process
        self._batcher = new_batcher(self._faults)
        self._has_begun = False

    def process(self, event: StreamEvent) -> Passed:
        """What becomes of one event."""
        began = perf_counter()
        metrics = self._metrics
        metrics.events_processed += 1
        if not self._has_begun:
            self._begin(event, began)
        if self._filters and not self._passes(event):
            metrics.events_filtered += 1
            metrics.count_time(began)
            return []
        passed = self._pass(event)
        if not isinstance(passed, list):
            return self._process_later(passed, began)
        # As `count_time`, without the call: this is the path of every token.
        metrics._ended_at = ended = perf_counter()  # noqa: SLF001 - our own figures
        metrics.processing_time_ms += (ended - began) * 1000
        return passed if self._batcher is None else self._batch(passed)

    def finish(self) -> Passed:
        """What was held back."""
        passed = self._chain.finish()
        if not isinstance(passed, list):
            return self._finish_later(passed)
        return passed if self._batcher is None else self._batch(passed)

    async def close(self) -> None:
        """Hand over the last batch."""
        if self._batcher is not None:
            await self._batcher.flush()

    async def process_last(self, event: StreamEvent) -> list[StreamEvent]:
        """What becomes of one event, after what was held back when no delta can follow it."""
        released: list[StreamEvent] = []
        if isinstance(event, _AFTER_DELTAS):
            released = await settle(self.finish())
        return released + await settle(self.process(event))

    def _begin(self, event: StreamEvent, now: float) -> None:
        self._has_begun = True
        self._metrics.note_begin(now)
        if isinstance(event, StreamStartEvent):
            self._chain.observe_start(event)

    def _passes(self, event: StreamEvent) -> bool:
        if isinstance(event, StreamErrorEvent):
            return True
        for should_process, one in self._filters:
            try:
                if not should_process(event):
                    return False
            except FAULTS as error:
                self._faults.report("filter", one, "the event is dropped", error)
                return False
        return True

    async def _process_later(
        self, passed: Awaitable[list[StreamEvent]], began: float
    ) -> list[StreamEvent]:
        events = await passed
        self._metrics.count_time(began)
        return await self._batch_later(events)

    async def _finish_later(self, passed: Awaitable[list[StreamEvent]]) -> list[StreamEvent]:
        return await self._batch_later(await passed)

    def _batch(self, events: list[StreamEvent]) -> Passed:
        waits = self._add(events)
        return events if waits is None else _after(waits, events)

    async def _batch_later(self, events: list[StreamEvent]) -> list[StreamEvent]:
        return await settle(self._batch(events))

    def _add(self, events: list[StreamEvent]) -> Awaitable[None] | None:
        if self._batcher is None:
            return None
        self._metrics.events_batched += len(events)
        return self._batcher.add(events)


async def _after(waits: Awaitable[None], events: list[StreamEvent]) -> list[StreamEvent]:
    await waits
    return events
