"""Protocols of what is handed from one room to another, so that neither imports the other."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, runtime_checkable

from steer_llm_sdk.models.events import StreamEvent


class ProcessorStream(Protocol):
    """One stream's way through a processor: it holds that stream's state, and no other's."""

    def process(self, event: StreamEvent) -> list[StreamEvent] | Awaitable[list[StreamEvent]]:
        """Process one event: it gives none, one or several.

        A plain list where everything on the way was synchronous, so that nothing is awaited
        without need; otherwise something to await. Never raises what user code raised.
        """
        ...

    def finish(self) -> list[StreamEvent] | Awaitable[list[StreamEvent]]:
        """Release what was held back: called once, after the last delta and before usage."""
        ...

    async def close(self) -> None:
        """Hand over the last batch and free the state: called once, after the terminal event."""
        ...


@runtime_checkable
class Processor(Protocol):
    """An `EventProcessor`, as `StreamingOptions.event_processor` takes it."""

    def open_stream(self) -> ProcessorStream:
        """Make the state for one more stream."""
        ...


@runtime_checkable
class Transformer(Protocol):
    """An `EventTransformer`, as `StreamingOptions.text_transformers` takes it."""

    def transform(self, event: StreamEvent) -> Any:
        """Transform one event: give an event, a list of them, None, or an awaitable of these."""
        ...

    def for_stream(self) -> Transformer:
        """Make the instance that serves one stream."""
        ...
