"""Hand-made events for the tests of what happens to events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.shapes import TokenUsage
from steer_llm_sdk.pipeline.transformers import EventTransformer

BEGAN = 1_700_000_000.0


def delta(
    text: str = "x", index: int = 0, at: float = 0.0, stream_id: str = "s"
) -> StreamDeltaEvent:
    """A text delta, `at` seconds after the start."""
    return StreamDeltaEvent(
        delta=text, chunk_index=index, timestamp=BEGAN + at, stream_id=stream_id, provider="openai"
    )


def start(stream_id: str = "s") -> StreamStartEvent:
    return StreamStartEvent(timestamp=BEGAN, stream_id=stream_id, provider="openai")


def counts(tokens: int) -> TokenUsage:
    said: Any = {"completion_tokens": tokens}
    found: TokenUsage = said
    return found


def usage(tokens: int = 10, stream_id: str = "s") -> StreamUsageEvent:
    return StreamUsageEvent(usage=counts(tokens), stream_id=stream_id)


def complete(
    at: float = 1.0, tokens: int | None = None, stream_id: str = "s"
) -> StreamCompleteEvent:
    return StreamCompleteEvent(
        timestamp=BEGAN + at,
        duration_ms=at * 1000,
        final_usage=None if tokens is None else counts(tokens),
        stream_id=stream_id,
        provider="openai",
    )


def failure(stream_id: str = "s") -> StreamErrorEvent:
    return StreamErrorEvent(error=ValueError("broken"), stream_id=stream_id)


def texts(events: Sequence[StreamEvent]) -> list[str]:
    """The texts of the deltas among some events."""
    return [event.get_text() for event in events if isinstance(event, StreamDeltaEvent)]


class Hold(EventTransformer):
    """Holds every delta until the end."""

    def __init__(self) -> None:
        self._held: list[StreamEvent] = []

    def for_stream(self) -> Hold:
        return Hold()

    def transform(self, event: StreamEvent) -> StreamEvent | None:
        if not isinstance(event, StreamDeltaEvent):
            return event
        self._held.append(event)
        return None

    def finish(self) -> list[StreamEvent]:
        return self._held


class Mark(EventTransformer):
    """Adds its name to every event it sees."""

    def __init__(self, name: str) -> None:
        self._name = name

    def transform(self, event: StreamEvent) -> StreamEvent:
        event.metadata.setdefault("marks", []).append(self._name)
        return event


class AsyncMark(EventTransformer):
    """As `Mark`, as a coroutine."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def transform(self, event: StreamEvent) -> StreamEvent:
        event.metadata.setdefault("marks", []).append(self._name)
        return event
