"""Runs one stream's filters, transformers and batches, and counts what all streams bring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import perf_counter

from steer_llm_sdk.answer.order import AFTER_DELTAS, FOLLOWS
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent, StreamStartEvent
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.pipeline.batching import Batcher
from steer_llm_sdk.pipeline.chain import Processed, TransformerChain, resolve
from steer_llm_sdk.pipeline.filters import EventFilter, decision_of, is_kept
from steer_llm_sdk.pipeline.user_errors import USER_ERRORS, UserErrorLog


@dataclass(slots=True)
class ProcessorMetrics:
    """Counts what a processor has done, all of its streams together.

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
        """Copy the figures as they are now."""
        return replace(self)

    def count_error(self, kind: str) -> None:
        """Count that a ``"filter"``, a ``"transformer"`` or a ``"handler"`` raised."""
        name = f"{kind}_errors"
        setattr(self, name, getattr(self, name) + 1)

    def count_dropped(self, events: int) -> None:
        """Count the events of a batch that was dropped."""
        self.events_dropped += events

    def note_begin(self, now: float) -> None:
        """Note that a stream begins at `now` (`time.perf_counter`); only the first counts."""
        if self._began_at is None:
            self._began_at = now

    def count_time(self, began: float) -> None:
        """Count the time since `began`, a reading of `time.perf_counter`."""
        self._ended_at = ended = perf_counter()
        self.processing_time_ms += (ended - began) * 1000


class StreamPipeline:
    """Runs one stream's filters, transformers and batches: a `ProcessorStream`."""

    __slots__ = (
        "_batcher",
        "_chain",
        "_errors",
        "_filters",
        "_has_begun",
        "_has_kept",
        "_metrics",
        "_transform",
    )

    def __init__(
        self,
        filters: list[EventFilter],
        transformers: list[Transformer],
        metrics: ProcessorMetrics,
        new_batcher: Callable[[UserErrorLog], Batcher | None],
    ) -> None:
        self._metrics = metrics
        self._errors = UserErrorLog(metrics.count_error)
        # Bound once, so that nothing is looked up for each event.
        self._filters = tuple((decision_of(one), one) for one in filters)
        self._chain = TransformerChain(transformers, self._errors)
        self._transform = self._chain.process
        self._batcher = new_batcher(self._errors)
        self._has_begun = False
        self._has_kept = False

    def process(self, event: StreamEvent) -> Processed:
        """Filter, transform and batch one event; gives the events that it became."""
        began = perf_counter()
        metrics = self._metrics
        metrics.events_processed += 1
        if not self._has_begun:
            self._begin(event, began)
        if self._filters and not self._is_kept(event):
            metrics.events_filtered += 1
            metrics.count_time(began)
            return []
        processed = self._transform(event)
        if not isinstance(processed, list):
            return self._process_awaitable(event, processed, began)
        if len(processed) != 1 or not self._has_kept:
            processed = self._in_order(event, processed)
        # As `count_time`, without the call: this is the path of every token.
        metrics._ended_at = ended = perf_counter()  # noqa: SLF001 - our own figures
        metrics.processing_time_ms += (ended - began) * 1000
        return processed if self._batcher is None else self._batch(processed)

    def finish(self) -> Processed:
        """Take what the transformers hold, and batch it."""
        processed = self._chain.finish()
        if not isinstance(processed, list):
            return self._finish_awaitable(processed)
        self._has_kept = self._has_kept or bool(processed)
        return processed if self._batcher is None else self._batch(processed)

    async def close(self) -> None:
        """Hand over the last batch."""
        if not self._has_kept:
            self._errors.warn_of_silence()
        if self._batcher is not None:
            await self._batcher.flush()

    async def process_in_order(self, event: StreamEvent) -> list[StreamEvent]:
        """Process one event; where no delta can follow it, what was held back comes first."""
        released: list[StreamEvent] = []
        if event.type in AFTER_DELTAS:
            released = await resolve(self.finish())
        return released + await resolve(self.process(event))

    def _begin(self, event: StreamEvent, now: float) -> None:
        self._has_begun = True
        self._metrics.note_begin(now)
        if isinstance(event, StreamStartEvent):
            self._chain.observe_start(event)

    def _is_kept(self, event: StreamEvent) -> bool:
        if isinstance(event, StreamErrorEvent):
            return True
        for decide, one in self._filters:
            try:
                answer = decide(event)
                if answer is True:
                    continue
                if not is_kept("filter", answer):
                    if answer is None and not self._has_kept:
                        self._errors.note_silence(one)
                    return False
            except USER_ERRORS as error:
                self._errors.report("filter", one, "the event is dropped", error)
                return False
        return True

    def _in_order(self, event: StreamEvent, processed: list[StreamEvent]) -> list[StreamEvent]:
        """Drop what a transformer put behind an event that it may not follow."""
        if processed and event.type != "error":  # an error is kept whatever they say
            self._has_kept = True
        if event.type not in AFTER_DELTAS:
            return processed
        kept: list[StreamEvent] = []
        for one in processed:
            if not kept or one.type in FOLLOWS[kept[-1].type]:
                kept.append(one)
                continue
            error = ValueError(f"a {one.type} event may not follow a {kept[-1].type} event")
            self._errors.report("transformer", self._chain, "it is dropped", error)
        return kept

    async def _process_awaitable(
        self, event: StreamEvent, processed: Awaitable[list[StreamEvent]], began: float
    ) -> list[StreamEvent]:
        events = self._in_order(event, await processed)
        self._metrics.count_time(began)
        return await resolve(self._batch(events))

    async def _finish_awaitable(self, processed: Awaitable[list[StreamEvent]]) -> list[StreamEvent]:
        events = await processed
        self._has_kept = self._has_kept or bool(events)
        return await resolve(self._batch(events))

    def _batch(self, events: list[StreamEvent]) -> Processed:
        if self._batcher is None:
            return events
        self._metrics.events_batched += len(events)
        wait = self._batcher.add(events)
        return events if wait is None else _after(wait, events)


async def _after(wait: Awaitable[None], events: list[StreamEvent]) -> list[StreamEvent]:
    await wait
    return events
