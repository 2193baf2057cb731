"""The road from bytes to events without a socket, an event loop or a clock.

What the pump does with a body, in the same order: framing, decoder, intake, verdict, usage and the
terminal event. One second passes with every network read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from steer_llm_sdk.answer.lifecycle import Lifecycle
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import COMPLETION, PROMPT, Estimate
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.body_reader import BodyReader

MAX_FRAME_BYTES = 32 * 1024 * 1024
ESTIMATE = Estimate({PROMPT: 1, COMPLETION: 1}, "characters", 0.5)


@dataclass(frozen=True)
class Travelled:
    """What came of one body."""

    events: list[StreamEvent]
    response: StreamingResponse
    lifecycle: Lifecycle

    @property
    def outcome(self) -> str:
        """``"complete"``, or the name of the error's class."""
        last = self.events[-1]
        return last.error_type if isinstance(last, StreamErrorEvent) else last.type


def new_response(provider: str = "test") -> StreamingResponse:
    """A response with all its names."""
    return StreamingResponse(
        provider=provider, model="asked-model", request_id="request-1", stream_id="stream-1"
    )


def new_lifecycle(provider: str = "test") -> Lifecycle:
    """A lifecycle that begins at 100 s, when the wall clock shows 1,000 s."""
    return Lifecycle(new_response(provider), now=100.0, wall=1_000.0)


def travel(
    wire: WireFormat,
    chunks: Iterable[bytes],
    *,
    provider: str = "test",
    has_clean_end: bool = True,
) -> Travelled:
    """Send a body along the road.

    Args:
        wire: The format that it is read in.
        chunks: The body as the network cuts it.
        provider: The name that events carry.
        has_clean_end: Whether it ends as HTTP wants it, rather than by a broken connection.
    """
    lifecycle = new_lifecycle(provider)
    now = lifecycle.begun
    events: list[StreamEvent] = [lifecycle.begin({})]
    lifecycle.begin_attempt(provider, "asked-model", wire)
    intake = lifecycle.intake
    decoder = wire.decoder(provider)
    reader = BodyReader(wire, decoder, MAX_FRAME_BYTES)
    for chunk in chunks:
        if intake.has_ended or intake.failure is not None:
            break
        now += 1
        events += intake.feed(reader.feed(chunk), now)
    if not intake.has_ended and intake.failure is None:
        now += 1
        events += intake.feed_tail(reader.feed_eof(), now)
        events += intake.feed(chain.from_iterable(decoder.decode_eof() for _ in (None,)), now)
    error = lifecycle.verdict(wire.markers, has_clean_end=has_clean_end)
    ending = lifecycle.settle(error)
    is_reported = intake.usage is not None and {PROMPT, COMPLETION} <= intake.usage.counts.keys()
    usage = lifecycle.usage_event(now, None if is_reported and error is None else ESTIMATE)
    events += [] if usage is None else [usage]
    events.append(lifecycle.terminal_event(now, ending))
    return Travelled(events, lifecycle.response, lifecycle)


def feed_all(lifecycle: Lifecycle, fragments: Sequence[Fragment], now: float = 101.0) -> list[str]:
    """Feed fragments as one network read; gives the kinds of the deltas."""
    return [event.kind for event in lifecycle.intake.feed(fragments, now)]
