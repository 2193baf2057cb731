"""The rules of a stream's events, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.shapes import TokenUsage

_KINDS = {"text", "commentary", "reasoning", "tool_call", "refusal", "file", "notice"}
_FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "refusal", "other", None}
_TERMINAL = (StreamCompleteEvent, StreamErrorEvent)
_SHARED = ("stream_id", "request_id", "provider", "model")
_NEIGHBOURS = 2


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """What a stream came to.

    Attributes:
        text: The concatenation of `get_text()` over all deltas.
        kinds: How each event is called, in order: ``start``, each delta's kind, ``usage``, and
            ``complete`` or ``error``.
        deltas: The number of deltas.
        usage: The usage event's numbers; None where there was none.
        error: The error of a stream that failed; None where it completed.
        finish_reason: Why it completed.
    """

    text: str
    kinds: tuple[str, ...]
    deltas: int
    usage: TokenUsage | None
    error: Exception | None
    finish_reason: str | None

    @property
    def is_complete(self) -> bool:
        """Whether it ended in a `StreamCompleteEvent`."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class _Stream:
    events: Sequence[StreamEvent]
    is_filtered: bool

    def of(self, kind: type[StreamEvent]) -> list[int]:
        return [at for at, event in enumerate(self.events) if isinstance(event, kind)]

    def deltas(self) -> list[int]:
        """Those of the answer; notices are in no count."""
        return [at for at in self.of(StreamDeltaEvent) if not _is_notice(self.events[at])]


def _is_notice(event: StreamEvent) -> bool:
    return isinstance(event, StreamDeltaEvent) and event.kind == "notice"


# A rule yields the place of each event that breaks it, and what is wrong with it.
_Violations: TypeAlias = Iterable[tuple[int, str]]


def check_stream(events: Iterable[StreamEvent], *, is_filtered: bool = False) -> StreamSummary:
    """Check all that is promised of the order and the fields of a stream's events.

    One start, then deltas, then at most one usage (exactly one before complete), then exactly one
    terminal event and nothing after it; ``sequence`` 0, 1, 2 …; ``chunk_index`` from 0 without a
    gap; timestamps that never decrease; one stream, request, provider and model (the start names
    who was asked first, where a fallback answered); totals that agree.

    Args:
        events: All events of one stream, as they were delivered.
        is_filtered: Whether filters or transformers stood before: then events may be missing and
            the numbers may have gaps, but never go back.

    Returns:
        What the stream came to.

    Raises:
        AssertionError: A rule is broken; the message shows the event and its neighbours.
    """
    stream = _Stream(list(events), is_filtered)
    for rule in _RULES:
        for at, violation in rule(stream):
            raise AssertionError(f"{violation}\n{_shown(stream.events, at)}")
    return _summary(stream)


def _all_are_events(stream: _Stream) -> _Violations:
    if not stream.events:
        yield 0, "a stream has at least a start and a terminal event; found no events"
    for at, event in enumerate(stream.events):
        if not isinstance(event, StreamEvent):
            yield at, f"expected an event, found {type(event).__name__}"


def _starts_once(stream: _Stream) -> _Violations:
    starts = stream.of(StreamStartEvent)
    if not starts and not stream.is_filtered:
        yield 0, "expected a start event at the beginning"
    yield from ((at, "a start event stands at the beginning only") for at in starts if at > 0)


def _ends_once(stream: _Stream) -> _Violations:
    last = len(stream.events) - 1
    for at, event in enumerate(stream.events):
        if isinstance(event, _TERMINAL) and at < last:
            yield at + 1, "nothing may follow the terminal event"
    if not isinstance(stream.events[last], _TERMINAL):
        yield last, "expected a complete or error event at the end"


def _reports_usage_once(stream: _Stream) -> _Violations:
    found = stream.of(StreamUsageEvent)
    yield from ((at, "expected one usage event, found another") for at in found[1:])
    if found and found[0] != len(stream.events) - 2:
        yield found[0], "the usage event stands right before the terminal event"
    is_complete = isinstance(stream.events[-1], StreamCompleteEvent)
    if is_complete and not found and not stream.is_filtered:
        yield len(stream.events) - 1, "expected a usage event before complete"


def _counts_up(stream: _Stream) -> _Violations:
    yield from _numbers(stream, range(len(stream.events)), "sequence")
    yield from _numbers(stream, stream.deltas(), "chunk_index")


def _numbers(stream: _Stream, places: Sequence[int], name: str) -> _Violations:
    previous = -1
    for expected, at in enumerate(places):
        number = getattr(stream.events[at], name)
        if stream.is_filtered and number <= previous:
            yield at, f"{name}: expected more than {previous}, found {number!r}"
        if not stream.is_filtered and number != expected:
            yield at, f"{name}: expected {expected}, found {number!r}"
        previous = number


def _time_never_goes_back(stream: _Stream) -> _Violations:
    for at in range(1, len(stream.events)):
        before, now = stream.events[at - 1].timestamp, stream.events[at].timestamp
        if now < before:
            yield at, f"timestamp: expected at least {before!r}, found {now!r}"


def _belongs_together(stream: _Stream) -> _Violations:
    last = stream.events[-1]
    for at, event in enumerate(stream.events):
        # The start tells who was asked first; where a fallback answered, it is the only one to.
        has_fallback = (at == 0 or _is_notice(event)) and "retries" in last.metadata
        for name in _SHARED[:2] if has_fallback else _SHARED:
            expected, found = getattr(last, name), getattr(event, name)
            if found != expected:
                yield at, f"{name}: expected {expected!r} as in the last event, found {found!r}"


def _deltas_say_something(stream: _Stream) -> _Violations:
    for at in stream.of(StreamDeltaEvent):
        event = stream.events[at]
        if isinstance(event, StreamDeltaEvent) and not event.delta:
            yield at, "a delta is never empty"
        if isinstance(event, StreamDeltaEvent) and event.kind not in _KINDS:
            yield at, f"kind: expected one of {sorted(_KINDS)}, found {event.kind!r}"


def _totals_agree(stream: _Stream) -> _Violations:
    last = stream.events[-1]
    if not isinstance(last, StreamCompleteEvent):
        return
    at = len(stream.events) - 1
    deltas = len(stream.deltas())
    if last.total_chunks != deltas and not stream.is_filtered:
        yield (
            at,
            f"total_chunks: expected {deltas}, the number of deltas; found {last.total_chunks}",
        )
    usage = _usage(stream)
    if usage is not None and last.final_usage != usage:
        yield at, f"final_usage: expected the usage event's {usage}, found {last.final_usage}"
    if last.finish_reason not in _FINISH_REASONS:
        yield at, f"finish_reason: found {last.finish_reason!r}"
    if last.duration_ms < 0:
        yield at, f"duration_ms: expected at least 0, found {last.duration_ms}"


def _error_agrees(stream: _Stream) -> _Violations:
    last = stream.events[-1]
    if not isinstance(last, StreamErrorEvent):
        return
    at, error = len(stream.events) - 1, last.error
    if not isinstance(error, SteerError):
        yield at, f"error: expected a SteerError, found {type(error).__name__}"
        return
    if last.error_type != type(error).__name__:
        yield at, f"error_type: expected {type(error).__name__!r}, found {last.error_type!r}"
    if last.is_retryable != error.is_retryable:
        yield at, f"is_retryable: {last.is_retryable}, but the error says {error.is_retryable}"


# In an order in which a later rule may rely on the earlier ones.
_RULES: tuple[Callable[[_Stream], _Violations], ...] = (
    _all_are_events,
    _starts_once,
    _ends_once,
    _reports_usage_once,
    _counts_up,
    _time_never_goes_back,
    _belongs_together,
    _deltas_say_something,
    _totals_agree,
    _error_agrees,
)


def _usage(stream: _Stream) -> TokenUsage | None:
    found = (event for event in stream.events if isinstance(event, StreamUsageEvent))
    return next((event.usage for event in found), None)


def _summary(stream: _Stream) -> StreamSummary:
    found = (stream.events[at] for at in stream.deltas())
    deltas = [event for event in found if isinstance(event, StreamDeltaEvent)]
    last = stream.events[-1]
    return StreamSummary(
        text="".join(event.get_text() for event in deltas),
        kinds=tuple(
            event.kind if isinstance(event, StreamDeltaEvent) else event.type
            for event in stream.events
        ),
        deltas=len(deltas),
        usage=_usage(stream),
        error=last.error if isinstance(last, StreamErrorEvent) else None,
        finish_reason=last.finish_reason if isinstance(last, StreamCompleteEvent) else None,
    )


def _shown(events: Sequence[object], at: int) -> str:
    start, end = max(0, at - _NEIGHBOURS), at + _NEIGHBOURS + 1
    rows = enumerate(events[start:end], start)
    return "\n".join(f"{'>' if i == at else ' '} [{i}] {_row(event)}" for i, event in rows)


def _row(event: object) -> str:
    if not isinstance(event, StreamEvent):
        return repr(event)
    # The fields that differ from a fresh event's are what there is to see.
    shown = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
    shown.pop("metadata")
    return (
        f"{event.type}({', '.join(f'{name}={value!r}' for name, value in shown.items() if value)})"
    )
