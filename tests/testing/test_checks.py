from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.shapes import TokenUsage
from steer_llm_sdk.testing import check_stream

USAGE: TokenUsage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def numbered(*events: StreamEvent) -> list[StreamEvent]:
    for at, event in enumerate(events):
        event.sequence, event.timestamp = at, 100.0 + at
        event.stream_id, event.request_id, event.provider = "s", "r", "openai"
    return list(events)


def whole() -> list[StreamEvent]:
    return numbered(
        StreamStartEvent(),
        StreamDeltaEvent(delta={"type": "reasoning", "text": "hm"}, chunk_index=0),
        StreamDeltaEvent(delta="Hello", chunk_index=1),
        StreamDeltaEvent(delta=" world", chunk_index=2),
        StreamUsageEvent(usage=USAGE),
        StreamCompleteEvent(total_chunks=3, final_usage=USAGE, finish_reason="stop"),
    )


def failed() -> list[StreamEvent]:
    error = ConnectionLostError("cut")
    return numbered(StreamStartEvent(), StreamErrorEvent(error=error, is_retryable=True))


def test_a_whole_stream_passes_and_is_summed_up() -> None:
    summary = check_stream(whole())

    assert summary.text == "Hello world"
    assert summary.kinds == ("start", "reasoning", "text", "text", "usage", "complete")
    assert (summary.deltas, summary.usage, summary.finish_reason) == (3, USAGE, "stop")
    assert summary.is_complete


def test_a_failed_stream_passes_without_usage() -> None:
    summary = check_stream(failed())

    assert isinstance(summary.error, ConnectionLostError)
    assert not summary.is_complete


def put(at: int, **fields: Any) -> Callable[[list[StreamEvent]], None]:
    def change(events: list[StreamEvent]) -> None:
        for name, value in fields.items():
            setattr(events[at], name, value)

    return change


def insert(at: int, event: StreamEvent) -> Callable[[list[StreamEvent]], None]:
    def change(events: list[StreamEvent]) -> None:
        events.insert(at, event)
        numbered(*events)

    return change


def drop(at: int) -> Callable[[list[StreamEvent]], None]:
    def change(events: list[StreamEvent]) -> None:
        del events[at]
        numbered(*events)

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (list.clear, "found no events"),
        (lambda events: events.insert(1, "delta"), "expected an event, found str"),
        (drop(0), "expected a start event"),
        (insert(2, StreamStartEvent()), "stands at the beginning only"),
        (drop(5), "expected a complete or error event at the end"),
        (insert(6, StreamCompleteEvent()), "nothing may follow the terminal event"),
        (insert(6, StreamDeltaEvent(delta="late")), "nothing may follow the terminal event"),
        (drop(4), "expected a usage event before complete"),
        (insert(4, StreamUsageEvent()), "expected one usage event, found another"),
        (insert(2, StreamDeltaEvent(delta="x", chunk_index=9)), "chunk_index: expected 1, found 9"),
        (put(3, sequence=2), "sequence: expected 3, found 2"),
        (put(3, timestamp=1.0), "timestamp: expected at least 102.0, found 1.0"),
        (put(4, stream_id="other"), "stream_id: expected 's'"),
        (put(4, request_id="other"), "request_id: expected 'r'"),
        (put(4, provider="other"), "provider: expected 'openai'"),
        (put(0, provider="other"), "provider: expected 'openai'"),
        (put(4, model="other"), "model: expected ''"),
        (put(2, delta=""), "a delta is never empty"),
        (put(2, delta={"type": "dance"}), "found 'dance'"),
        (put(5, total_chunks=2), "total_chunks: expected 3, the number of deltas; found 2"),
        (put(5, final_usage=None), "final_usage: expected the usage event's"),
        (put(5, finish_reason="end_turn"), "finish_reason: found 'end_turn'"),
        (put(5, duration_ms=-1.0), "duration_ms: expected at least 0"),
    ],
)
def test_a_broken_rule_is_named(spoil: Callable[[list[StreamEvent]], None], message: str) -> None:
    events = whole()
    spoil(events)

    with pytest.raises(AssertionError, match=message.replace("(", r"\(")):
        check_stream(events)


def test_after_a_fallback_only_the_start_names_who_was_asked_first() -> None:
    events = whole()
    put(0, provider="anthropic", model="claude-x")(events)
    put(5, metadata={"attempt": 2, "retries": [{"provider": "anthropic"}]})(events)

    assert check_stream(events).is_complete
    put(2, provider="anthropic")(events)
    with pytest.raises(AssertionError, match="provider: expected 'openai'"):
        check_stream(events)


def test_usage_stands_before_the_end() -> None:
    events = whole()
    usage = events.pop(4)
    events.insert(2, usage)

    with pytest.raises(AssertionError, match="right before the terminal event"):
        check_stream(numbered(*events))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error": ValueError("x")}, "expected a SteerError, found ValueError"),
        ({"error_type": "Other"}, "expected 'ConnectionLostError', found 'Other'"),
        ({"is_retryable": False}, "is_retryable: False, but the error says True"),
    ],
)
def test_an_error_event_that_disagrees_with_its_error_is_named(
    fields: dict[str, Any], message: str
) -> None:
    events = failed()
    put(1, **fields)(events)

    with pytest.raises(AssertionError, match=message):
        check_stream(events)


def test_the_message_shows_the_event_and_its_neighbours() -> None:
    events = whole()
    put(3, sequence=9)(events)

    with pytest.raises(AssertionError) as caught:
        check_stream(events)

    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert [line[:5] for line in lines[1:]] == ["  [1]", "  [2]", "> [3]", "  [4]", "  [5]"]
    assert "delta=' world'" in lines[3]


def test_a_filtered_stream_may_have_gaps_but_never_goes_back() -> None:
    events = [whole()[2], whole()[3], whole()[5]]

    assert check_stream(events, is_filtered=True).text == "Hello world"
    events[1].sequence = 1
    with pytest.raises(AssertionError, match="sequence: expected more than 2, found 1"):
        check_stream(events, is_filtered=True)
