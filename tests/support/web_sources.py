"""Sources whose events are made by hand, one for each shape that an answer has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from steer_llm_sdk import ContentFilterError, RateLimitError, SteerError, StreamCancelledError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)

STREAM = "s1"

USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "reasoning_tokens": 2}


class Listed:
    """A source that gives these events, then raises what it is to raise."""

    def __init__(self, events: Sequence[StreamEvent], raises: Exception | None = None) -> None:
        self.was_left = False
        self._events = iter(events)
        self._raises = raises

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        event = next(self._events, None)
        if event is not None:
            return event
        if self._raises is not None:
            raise self._raises
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.was_left = True


def turn(
    *deltas: str | dict[str, Any],
    end: str | SteerError = "stop",
    metadata: dict[str, Any] | None = None,
    first: int = 0,
) -> list[StreamEvent]:
    """The events of one turn."""
    named: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "stream_id": STREAM}
    events: list[StreamEvent] = [
        StreamStartEvent(**named, timestamp=1_700_000_000.0, metadata=metadata or {})
    ]
    events += [StreamDeltaEvent(**named, delta=delta) for delta in deltas]
    counts: Any = dict(USAGE)
    events.append(StreamUsageEvent(**named, usage=counts))
    if isinstance(end, str):
        reason: Any = end
        events.append(StreamCompleteEvent(**named, finish_reason=reason, final_usage=counts))
    else:
        events.append(StreamErrorEvent(**named, error=end, is_retryable=end.is_retryable))
    for sequence, event in enumerate(events, first):
        event.sequence = sequence
    return events


def call(index: int, arguments: str, id: str = "", name: str = "") -> dict[str, Any]:  # noqa: A002
    """A piece of a tool call."""
    piece = {"type": "tool_call", "index": index, "arguments": arguments}
    return piece | ({"id": id, "name": name} if id else {})


def reasoning(text: str, **more: str) -> dict[str, Any]:
    return {"type": "reasoning", "text": text, **more}


_CALLS = (
    call(0, "", "call_a", "weather"),
    call(0, '{"city":'),
    call(1, "", "call_b", "time"),
    call(1, "{"),
    call(0, ' "Paris"}'),
    call(1, "}"),
)

RESULTS = {
    "turn": 2,
    "tool_results": [
        {"id": "call_a", "name": "weather", "content": "sunny", "is_error": False},
        {"id": "call_b", "name": "time", "content": "no clock", "is_error": True},
    ],
}


def of_turn(number: int, *results: tuple[str, str]) -> dict[str, Any]:
    """The metadata of a start event, with what functions have answered by then."""
    told = [
        {"id": call_id, "name": "weather", "arguments": "{}", "content": said, "is_error": False}
        for call_id, said in results
    ]
    return {"turn": number, "tool_results": told}


def _run_of(*turns: tuple[str | None, dict[str, Any] | None]) -> list[StreamEvent]:
    """Turns one after another: of each the arguments of its only call, and its metadata."""
    events: list[StreamEvent] = []
    for arguments, metadata in turns:
        said = ["Done."] if arguments is None else [call(0, arguments, "call_0", "weather")]
        end = "stop" if arguments is None else "tool_calls"
        events += turn(*said, end=end, metadata=metadata, first=len(events))
    return events


_FIRST_TURN = turn(reasoning("Hm."), "Let me see.", *_CALLS, end="tool_calls")


def with_parts(events: list[StreamEvent], *parts: int | None) -> list[StreamEvent]:
    """The same events, whose deltas tell their parts."""
    deltas = [event for event in events if isinstance(event, StreamDeltaEvent)]
    for event, part in zip(deltas, parts, strict=True):
        event.part = part
    return events


# A name that came in pieces: deltas tell it as far as it has come.
NAME_IN_PIECES = turn(
    call(0, "", "call_a", "get_"),
    call(0, "", "call_a", "get_weather"),
    call(0, "{}", "call_a", "get_weather"),
    end="tool_calls",
)

# What an answer can be, by name.
SHAPES: dict[str, list[StreamEvent]] = {
    "text": turn("Hello", " wörld 🎉"),
    "nothing": turn(),
    "reasoning": turn(reasoning("Let"), reasoning(" me see.", signature="sig=="), "42"),
    "two messages": with_parts(turn("One", ".", "\n\n", "Two"), 0, 0, None, 1),
    "two thoughts": with_parts(
        turn(reasoning("a"), reasoning("\n\n"), reasoning("b"), "42"), 0, None, 1, 2
    ),
    "reasoning between words": turn("a", reasoning("b"), "c", reasoning("d")),
    "parallel calls": turn("Let me see.", *_CALLS, end="tool_calls"),
    "parallel calls without words": turn(*_CALLS, end="tool_calls"),
    "a call without arguments": turn(call(0, "", "call_a", "time"), end="tool_calls"),
    "a call that was cut": turn(
        "So", call(0, '{"city": "Pa', "call_a", "weather"), end=RateLimitError("slow down")
    ),
    "a run": [
        *_FIRST_TURN,
        *turn("It is sunny.", metadata=RESULTS, first=len(_FIRST_TURN)),
    ],
    "a refusal": turn({"type": "refusal", "text": "I cannot."}, end="refusal"),
    "commentary": turn({"type": "commentary", "text": "Looking."}, "Found."),
    "a file": turn("Here:", {"type": "file", "media_type": "image/png", "data": "iVBORw0KGgo="}),
    "a file elsewhere": turn({"type": "file", "media_type": "image/png", "url": "https://x/y.png"}),
    "a notice": turn({"type": "notice", "notice": "retry"}, "Hello"),
    "half a character": turn("a\ud83d", "b"),
    "cut for its length": turn("Hel", end="length"),
    "filtered": turn("Hel", end="content_filter"),
    "an error": turn("Hel", end=ContentFilterError("blocked", code="policy")),
    "cancelled": turn("Hel", end=StreamCancelledError("the user has stopped it")),
}

# Runs whose calls and results do not belong together by their identifiers alone.
RUNS: dict[str, list[StreamEvent]] = {
    "a run whose calls have one name": _run_of(
        ('{"a":1}', None),
        ('{"a":2}', of_turn(2, ("call_0", "one"))),
        (None, of_turn(3, ("call_0", "two"))),
    ),
    "a run that goes on": _run_of((None, of_turn(1, ("call_9", "approved")))),
    "a run whose calls are hidden": [
        event
        for event in _run_of(('{"a":1}', None), (None, of_turn(2, ("call_0", "secret"))))
        if getattr(event, "kind", None) != "tool_call"
    ],
}
