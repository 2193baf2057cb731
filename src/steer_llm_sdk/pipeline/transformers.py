"""Transformers change events on their way to those who watch the stream."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Generator
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

from steer_llm_sdk.answer.metrics import StreamMetrics, delta_content
from steer_llm_sdk.checks import NUMBER
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamEvent,
    StreamStartEvent,
)
from steer_llm_sdk.models.ports import Transformer

Transformed: TypeAlias = StreamEvent | list[StreamEvent] | None


class Several(list[StreamEvent]):
    """Several events, or none. It may be awaited, as what an ``async def`` transform gives is."""

    def __await__(self) -> Generator[None, None, list[StreamEvent] | None]:
        return self or None
        yield  # makes it a generator


class EventTransformer:
    """Changes events, turns one into several, or drops it.

    A subclass overrides `transform`, and the other methods when it keeps state. It need not call
    ``super().__init__()``.

    Attributes:
        fails_closed: Whether a delta is dropped when `transform` raises; otherwise it goes on
            unchanged. True of what must let nothing unseen pass, such as a redactor.
        redacts: Whether it may take words away that nobody is to see. Among the
            `StreamingOptions.text_transformers` all that the provider says beside the answer then
            passes it too, and what cannot be read that way is left out. False of the shipped ones
            that take nothing away; true of any class with a `transform` of its own, unless it says
            otherwise.
    """

    fails_closed: ClassVar[bool] = False
    redacts: ClassVar[bool] = True

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own = vars(cls)
        if "redacts" not in own and own.keys() & {"transform", "finish"}:
            cls.redacts = True

    def transform(self, event: StreamEvent) -> Transformed | Awaitable[Transformed]:
        """Transform one event. May be ``async def``.

        Args:
            event: The event; it may be changed in place.

        Returns:
            An event, a list of events, or None to drop it. A `StreamErrorEvent` cannot be dropped.
        """
        raise NotImplementedError

    def finish(self) -> Transformed | Awaitable[Transformed]:
        """Give what is still held back. May be ``async def``.

        Called once in each stream: after the last delta and before usage, however it ends.
        """
        return Several()

    def for_stream(self) -> Transformer:
        """The instance that serves one stream: override it to keep state per stream."""
        return self

    def observe_start(self, event: StreamStartEvent) -> None:
        """See the start event as it comes, before a filter may drop it."""


class CorrelationTransformer(EventTransformer):
    """Writes ``metadata["correlation_id"]``: one identifier for all events of a stream.

    Args:
        correlation_id: The identifier. By default each stream gets its own, or keeps the one that
            stands in the metadata already.
    """

    redacts: ClassVar[bool] = False

    def __init__(self, correlation_id: str | None = None) -> None:
        self._given = correlation_id
        self._id = correlation_id or _new_id()

    def for_stream(self) -> CorrelationTransformer:
        """An instance with an identifier of its own."""
        return CorrelationTransformer(self._given)

    def observe_start(self, event: StreamStartEvent) -> None:
        """Take up the identifier that the start event brings."""
        self._id = event.metadata.get("correlation_id", self._id)

    def transform(self, event: StreamEvent) -> StreamEvent:
        """Write the identifier, unless the event has one: that is then the stream's."""
        self._id = event.metadata.setdefault("correlation_id", self._id)
        return event


class TimestampTransformer(EventTransformer):
    """Writes ``metadata["timestamp"]`` (Unix seconds) and ``["datetime"]`` (ISO 8601, UTC)."""

    redacts: ClassVar[bool] = False

    def __init__(self) -> None:
        self._second = -1.0
        self._prefix = ""
        self._last: float | None = None
        self._text = ""  # the last event's time: all that come in one read of the network share it

    def for_stream(self) -> TimestampTransformer:
        """An instance that remembers the second it wrote last."""
        return TimestampTransformer()

    def transform(self, event: StreamEvent) -> StreamEvent:
        """Write the event's own time, or the clock's on a hand-made event that has none."""
        timestamp = event.timestamp or time.time()
        if timestamp != self._last:
            self._last, self._text = timestamp, self._format(timestamp)
        metadata = event.metadata
        metadata["timestamp"] = timestamp
        metadata["datetime"] = self._text
        return event

    def _format(self, timestamp: float) -> str:
        """As `datetime.isoformat` writes it; the part down to the second is made once a second."""
        fraction = timestamp % 1.0
        microsecond = round(fraction * 1e6)
        if timestamp - fraction != self._second or microsecond > 999_999:
            return self._begin_second(timestamp)
        if microsecond > 99_999:  # nine times of ten: padding with zeros costs more than the rest
            return f"{self._prefix}{microsecond}+00:00"
        return f"{self._prefix}{microsecond:06d}+00:00"

    def _begin_second(self, timestamp: float) -> str:
        moment = datetime.fromtimestamp(timestamp, UTC)
        text = moment.isoformat(timespec="microseconds")
        self._second, self._prefix = moment.timestamp() // 1, text[:-12]
        return text


class MetricsTransformer(EventTransformer):
    """Writes how fast the stream is.

    The first delta gets ``metadata["ttft"]`` (seconds from the start) and ``["is_first_token"]``;
    the complete event ``["total_duration"]`` (seconds) and ``["metrics_summary"]``: see
    `steer_llm_sdk.answer.metrics` for its keys.

    Args:
        stall_threshold_ms: A gap between two deltas above this counts as a stall, in milliseconds.
    """

    redacts: ClassVar[bool] = False

    def __init__(self, stall_threshold_ms: float = 1000.0) -> None:
        NUMBER.check("stall_threshold_ms", stall_threshold_ms)
        self._stall_threshold_ms = stall_threshold_ms
        self._metrics = StreamMetrics(stall_threshold_ms)
        self._on_delta = self._metrics.on_delta

    def for_stream(self) -> MetricsTransformer:
        """An instance that measures one stream."""
        return MetricsTransformer(self._stall_threshold_ms)

    def observe_start(self, event: StreamStartEvent) -> None:
        """Note when the stream began."""
        self._metrics.on_start(event.timestamp or time.time())

    def transform(self, event: StreamEvent) -> StreamEvent:
        """Note the event's time; write what it completes into its metadata."""
        if not isinstance(event, StreamDeltaEvent):
            return self._transform_other(event)
        what = "text" if type(event.delta) is str else delta_content(event)
        if what == "notice":
            return event
        if self._metrics.first is None:
            self._mark_first(event)
        self._on_delta(what, event.timestamp or time.time())
        return event

    def _mark_first(self, event: StreamDeltaEvent) -> None:
        event.metadata["is_first_token"] = True
        start = self._metrics.start
        if start is not None:
            event.metadata["ttft"] = (event.timestamp or time.time()) - start

    def _transform_other(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, StreamStartEvent):
            self.observe_start(event)
        if isinstance(event, StreamCompleteEvent):
            self._write_summary(event)
        return event

    def _write_summary(self, event: StreamCompleteEvent) -> None:
        metrics, end = self._metrics, event.timestamp or time.time()
        if metrics.start is None:
            metrics.on_start(end - event.duration_ms / 1000)
        metrics.on_end(end)
        summary = metrics.summary(event.final_usage)
        event.metadata["total_duration"] = summary["duration_ms"] / 1000
        event.metadata["metrics_summary"] = summary


def _new_id() -> str:
    from uuid import uuid4

    return str(uuid4())
