"""Protocols of what is handed from one room to another, so that neither imports the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse


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


class StreamAccount(Protocol):
    """Keeps the account of one stream, for the client's sinks. It never raises, and never waits.

    Attributes:
        wants_events: Whether it is to be told of events.
    """

    wants_events: bool

    def begin(self, response: StreamingResponse) -> None:
        """Note that the stream begins. Called in the context of whoever asked for it."""
        ...

    def note(self, event: StreamEvent) -> StreamEvent:
        """Note an event before it passes filters; gives the event itself, so that it can go on."""
        ...

    def end(
        self,
        response: StreamingResponse,
        *,
        attempts: int,
        retries: Sequence[Mapping[str, Any]],
        base_url: str,
        last: Sequence[StreamEvent],
    ) -> None:
        """Note that the stream has ended. Called once.

        Args:
            response: What it came to.
            attempts: How many requests were sent.
            retries: What became of those before the last.
            base_url: Where the last one went.
            last: The usage and the terminal event; none where nobody is left to get them.
        """
        ...


class EventSource(Protocol):
    """Events, and one end: a stream, a run of several, or what a journal follows.

    One task pulls at a time. An ``anext`` that is given up loses nothing: the next one goes on.
    """

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        """Return the source itself."""
        ...

    async def __anext__(self) -> StreamEvent:
        """Wait for the next event.

        Raises:
            StopAsyncIteration: There is none any more.
            SteerError: The stream has failed; its error event has been given before.
        """
        ...

    async def aclose(self) -> None:
        """Leave the source, at its end or before."""
        ...


class Producer(EventSource, Protocol):
    """A source whose generation can be ended: a stream or a run."""

    def cancel(self, reason: str = ...) -> None:
        """End it; its last events still come."""
        ...


def ready_events(source: EventSource) -> Callable[[], StreamEvent | None] | None:
    """How the events of a source are taken that need no waiting; None where it does not tell.

    Such a source has `take_ready`: it gives the next event, or None where that has to be waited
    for. An `isinstance` of a protocol would cost each stream two hundred steps.
    """
    return getattr(source, "take_ready", None)


# Hands deltas to what it is given, as they come; that says False when it wants no more so.
Pour: TypeAlias = Callable[[Callable[[list[StreamEvent]], bool]], Awaitable[None]]


def pourer(source: EventSource) -> Pour | None:
    """How the deltas of a source are had with no task woken for them; None where it cannot.

    Such a source has `pour`. Its awaitable ends when there is something else to be done than to
    hand deltas on, at once where there is; then `anext` goes on. Nothing that `take_ready` gives
    may be left when it is asked.
    """
    return getattr(source, "pour", None)


class RunOutcome(Protocol):
    """What a run has come to."""

    @property
    def error(self) -> SteerError | None:
        """What it failed in."""
        ...

    @property
    def responses(self) -> Sequence[object]:
        """The answers of its turns."""
        ...

    @property
    def usage(self) -> Mapping[str, int]:
        """The tokens of all turns."""
        ...

    @property
    def cost_usd(self) -> float | None:
        """What they cost."""
        ...
