"""The event processor: filters, then transformers, then batches.

It stands between the provider and those who watch a stream. What it drops they do not see, and
what it changes they all see; the response is collected before it. One processor serves any number
of streams at once: `open_stream` gives each the state of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any

from steer_llm_sdk.checks import FLAG, Kind, listed
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import AnyEvent, StreamCompleteEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.models.streaming import refuse_no_transformer
from steer_llm_sdk.pipeline.background import BackgroundQueue
from steer_llm_sdk.pipeline.batching import Batcher, BatchHandler, BatchOptions, BatchOverflow
from steer_llm_sdk.pipeline.chain import resolve
from steer_llm_sdk.pipeline.filters import (
    CompositeFilter,
    EventFilter,
    EventType,
    PredicateFilter,
    ProviderFilter,
    TypeFilter,
    decision_of,
)
from steer_llm_sdk.pipeline.redaction import RedactTransformer
from steer_llm_sdk.pipeline.shaping import CoalesceTransformer, RateLimiter, SamplingFilter
from steer_llm_sdk.pipeline.stream_pipeline import ProcessorMetrics, StreamPipeline
from steer_llm_sdk.pipeline.transformers import (
    CorrelationTransformer,
    EventTransformer,
    MetricsTransformer,
    TimestampTransformer,
)
from steer_llm_sdk.pipeline.user_errors import UserErrorLog

__all__ = [
    "BatchedEventProcessor",
    "CoalesceTransformer",
    "CompositeFilter",
    "CorrelationTransformer",
    "EventFilter",
    "EventProcessor",
    "EventTransformer",
    "MetricsTransformer",
    "PredicateFilter",
    "ProcessorMetrics",
    "ProviderFilter",
    "RateLimiter",
    "RedactTransformer",
    "SamplingFilter",
    "TimestampTransformer",
    "TypeFilter",
    "create_event_processor",
]

_EVENT = Kind("an event", lambda value: isinstance(value, StreamEvent), hides_value=True)
_TERMINAL = (StreamCompleteEvent, StreamErrorEvent)
# Of hand-made events no one says that a stream is over; beyond this many the oldest is given up.
_MOST_HAND_MADE_STREAMS = 1024


class EventProcessor:
    """Filters events and transforms what passes.

    Use it for a stream with ``StreamingOptions(event_processor=…)``, or by hand: then the state of
    a stream is found by the events' `stream_id`, and freed at its terminal event.

    Args:
        filters: All must let an event pass, in order, before any transformer sees it.
        transformers: In order, each given what the one before it made of the event.
        background: Whether `submit_event` only queues the event for a worker.

    Attributes:
        metrics: What it has done so far.
        background: Whether `submit_event` only queues the event.
    """

    def __init__(
        self,
        filters: Iterable[EventFilter] | None = None,
        transformers: Iterable[Transformer] | None = None,
        background: bool = False,
    ) -> None:
        FLAG.check("background", background)
        self.metrics = ProcessorMetrics()
        self.background = background
        self._filters: list[EventFilter] = []
        self._transformers: list[Transformer] = []
        self._hand_made: OrderedDict[str, StreamPipeline] = OrderedDict()
        self._background = BackgroundQueue(self.process_events) if background else None
        for one in listed("filters", filters):
            self.add_filter(one)
        for another in listed("transformers", transformers):
            self.add_transformer(another)

    def add_filter(self, event_filter: EventFilter) -> None:
        """Add a filter after the others. Streams that are open do not notice.

        Raises:
            ConfigurationError: It has no plain ``should_process``.
        """
        decision_of(event_filter)
        self._filters.append(event_filter)

    def add_transformer(self, transformer: Transformer) -> None:
        """Add a transformer after the others. Streams that are open do not notice.

        Raises:
            ConfigurationError: It has no ``transform`` or no ``for_stream``, or is a class.
        """
        refuse_no_transformer("transformers", transformer)
        self._transformers.append(transformer)

    def open_stream(self) -> StreamPipeline:
        """Open the state of one more stream; whoever opens it closes it."""
        return StreamPipeline(self._filters, self._transformers, self.metrics, self._new_batcher)

    async def process_event(self, event: StreamEvent) -> StreamEvent | None:
        """Process one hand-made event.

        Returns:
            The event to go on with; None when it was dropped, or is held back.

        Raises:
            ValueError: It became several: use `process_events`.
        """
        events = await self.process_events(event)
        if len(events) > 1:
            raise ValueError(
                f"expected at most one event, found {len(events)}: process_events returns them all"
            )
        return events[0] if events else None

    async def process_events(self, event: StreamEvent) -> list[StreamEvent]:
        """Process one hand-made event; gives the events that it became: none, one or several.

        Raises:
            ConfigurationError: It is no event.
        """
        _EVENT.check("event", event)
        stream = self._stream_of(event)
        try:
            return await stream.process_in_order(event)
        finally:
            if isinstance(event, _TERMINAL):
                self._hand_made.pop(event.stream_id, None)
                await stream.close()

    async def process_stream(self, events: AsyncIterable[StreamEvent]) -> AsyncIterator[AnyEvent]:
        """Process the events of one stream.

        Args:
            events: The events; closed too when this iteration is left early.
        """
        stream = self.open_stream()
        one: Any  # a pipeline gives events of the same kinds
        try:
            async for event in events:
                for one in await stream.process_in_order(event):
                    yield one
            for one in await resolve(stream.finish()):
                yield one
        finally:
            try:
                await _close_source(events)
                await resolve(stream.finish())  # left early: what was held back reaches the batch
            finally:
                await stream.close()

    async def submit_event(self, event: StreamEvent) -> None:
        """Process one event for what its transformers and batches do with it.

        With ``background=True`` it is queued for the worker, which this starts when needed; it
        waits only while the queue is full. Otherwise it is processed at once.
        """
        if self._background is None:
            await self.process_events(event)
        else:
            await self._background.put(event)

    async def start(self) -> None:
        """Start the worker of ``background=True``."""
        if self._background is not None:
            self._background.start()

    async def stop(self) -> None:
        """Wait until every event that was submitted is processed, and end the worker."""
        if self._background is not None:
            await self._background.stop()

    def _stream_of(self, event: StreamEvent) -> StreamPipeline:
        stream = self._hand_made.get(event.stream_id)
        if stream is None:
            stream = self._hand_made[event.stream_id] = self.open_stream()
            if len(self._hand_made) > _MOST_HAND_MADE_STREAMS:
                self._hand_made.popitem(last=False)
        return stream

    def _new_batcher(self, errors: UserErrorLog) -> Batcher | None:  # noqa: ARG002 - for the subclass
        """Make what batches one stream: nothing here."""
        return None


class BatchedEventProcessor(EventProcessor):
    """An `EventProcessor` that also hands the events it lets through to a handler, in batches.

    Each event goes on at once *and* is added to its stream's batch. Every event is handed over
    exactly once and in order, or counted in ``metrics.events_dropped``.

    Args:
        filters: As in `EventProcessor`.
        transformers: As in `EventProcessor`.
        batch_size: The events of a full batch.
        batch_timeout_ms: A batch is handed over this long after its first event, full or not, in
            milliseconds; None: only when it is full, and at the end.
        batch_handler: Called with each batch (a list of events), one batch of a stream at a time;
            async or not.
        background: As in `EventProcessor`.
        max_waiting_batches: How many batches of a stream may wait for the handler.
        overflow: What happens beyond that: ``"block"`` holds up the stream, ``"drop_oldest"``
            drops the batch that has waited longest.

    Attributes:
        batch_size: The events of a full batch.
        batch_timeout_ms: How long a batch waits to be full, in milliseconds; None: for ever.
        batch_handler: What is called with each batch.

    Raises:
        ConfigurationError: There is no handler, or a number makes no sense.
    """

    def __init__(
        self,
        filters: Iterable[EventFilter] | None = None,
        transformers: Iterable[Transformer] | None = None,
        batch_size: int = 100,
        batch_timeout_ms: float | None = 1000,
        batch_handler: BatchHandler | None = None,
        background: bool = False,
        *,
        max_waiting_batches: int = 16,
        overflow: BatchOverflow = "block",
    ) -> None:
        super().__init__(filters, transformers, background)
        if batch_handler is None:
            raise ConfigurationError("batch_handler: batches need a handler to be given to")
        self._options = BatchOptions(
            handler=batch_handler,
            size=batch_size,
            timeout_ms=batch_timeout_ms,
            max_waiting=max_waiting_batches,
            overflow=overflow,
        )
        self.batch_size = batch_size
        self.batch_timeout_ms = batch_timeout_ms
        self.batch_handler = batch_handler
        self._pending: set[Batcher] = set()

    async def flush(self) -> None:
        """Hand over every batch, full or not, of the streams of this event loop; wait for it.

        Called by the handler itself it does not wait for the batch in hand.
        """
        from asyncio import get_running_loop

        loop = get_running_loop()
        for batcher in [one for one in self._pending if one.belongs_to(loop)]:
            await batcher.flush()

    async def stop(self) -> None:
        """Process what was submitted, then hand over every batch; wait for it."""
        await super().stop()
        await self.flush()

    def _new_batcher(self, errors: UserErrorLog) -> Batcher:
        return Batcher(self._options, errors, self.metrics.count_dropped, self._pending)


def create_event_processor(
    event_types: Iterable[EventType] | None = None,
    providers: Iterable[str] | None = None,
    predicate: Callable[[AnyEvent], object] | None = None,
    add_correlation: bool = True,
    add_timestamp: bool = True,
    add_metrics: bool = False,
    background: bool = False,
    batch_size: int | None = None,
    batch_timeout_ms: float | None = 1000,
    batch_handler: BatchHandler | None = None,
) -> EventProcessor:
    """Make a processor of the usual parts.

    Args:
        event_types: Let only these pass; see `TypeFilter`.
        providers: Let only events of these providers pass; see `ProviderFilter`.
        predicate: Let only events pass for which this is true; see `PredicateFilter`.
        add_correlation: Write ``metadata["correlation_id"]``.
        add_timestamp: Write ``metadata["timestamp"]`` and ``["datetime"]``.
        add_metrics: Write ``metadata["ttft"]``, ``["total_duration"]``, ``["metrics_summary"]``.
        background: Whether `EventProcessor.submit_event` only queues the event for a worker.
        batch_size: The events of a full batch; 100 when only a handler is given.
        batch_timeout_ms: A batch is handed over this long after its first event, in milliseconds.
        batch_handler: Called with each batch.

    Returns:
        An `EventProcessor`; a `BatchedEventProcessor` when there is a batch handler.

    Raises:
        ConfigurationError: There is a batch size and no handler, or an argument makes no sense.
    """
    filters: list[EventFilter] = []
    if event_types is not None:
        filters.append(TypeFilter(event_types))
    if providers is not None:
        filters.append(ProviderFilter(providers))
    if predicate is not None:
        filters.append(PredicateFilter(predicate))
    chosen = (
        (add_correlation, CorrelationTransformer),
        (add_timestamp, TimestampTransformer),
        (add_metrics, MetricsTransformer),
    )
    transformers: list[Transformer] = [make() for is_wanted, make in chosen if is_wanted]
    if batch_size is None and batch_handler is None:
        return EventProcessor(filters, transformers, background)
    return BatchedEventProcessor(
        filters,
        transformers,
        100 if batch_size is None else batch_size,
        batch_timeout_ms,
        batch_handler,
        background,
    )


async def _close_source(events: Any) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
