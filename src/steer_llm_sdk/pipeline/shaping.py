"""Transformers and filters that make fewer events, or better cut ones."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from math import ceil
from typing import ClassVar, Literal

from steer_llm_sdk.checks import ABOVE_0, POSITIVE, Kind, one_of
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.pipeline.channels import Channel, channel_of, make_next, read_text, replace_text
from steer_llm_sdk.pipeline.filters import EventFilter
from steer_llm_sdk.pipeline.transformers import EventTransformer, Several

# The text down to the end of the last whole unit in it.
_UNIT_ENDS = {"word": re.compile(r"(?s).*\s"), "line": re.compile(r"(?s).*\n")}

_UNIT = one_of("word", "line", None)
_SURPLUS = one_of("join", "drop")
_MILLISECONDS = Kind("milliseconds above 0", ABOVE_0.accepts).or_none()
_SHARE = Kind("above 0 and up to 1", lambda value: ABOVE_0.accepts(value) and value <= 1)


class _Joiner(EventTransformer, ABC):
    """Joins neighbouring deltas of one channel; what it holds never overtakes an event of another.

    A subclass says how much of it goes on now. Each piece is looked at once, so that a text that is
    held for long takes no more time than another.
    """

    redacts: ClassVar[bool] = False

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._held = TextPieces()
        self._last: StreamDeltaEvent | None = None
        self._began_at = 0.0

    def transform(self, event: StreamEvent) -> Several:
        """Take up a delta's text, and let go what is due; anything else goes on after it."""
        channel = channel_of(event.delta) if isinstance(event, StreamDeltaEvent) else None
        if channel is None or not isinstance(event, StreamDeltaEvent):
            return Several([*self.finish(), event])
        released = Several()
        if channel != self._channel:
            released = self.finish()
            self._channel = channel
        kept = self._join(event, channel)
        return Several(released if kept is None else [*released, kept])

    def finish(self) -> Several:
        """Release the text that is held."""
        text = self._held.take()
        if not text or self._last is None or self._channel is None:
            return Several()
        return Several([make_next(self._last, self._channel, text)])

    def _join(self, event: StreamDeltaEvent, channel: Channel) -> StreamDeltaEvent | None:
        if not self._held:
            self._began_at = event.timestamp
        self._last = event
        piece = read_text(event.delta, channel)
        end = self._due(piece, event.timestamp)
        if end is None:
            self._held.append(piece)
            return replace_text(event, channel, "")
        text = self._held.take() + piece[:end]
        self._held.append(piece[end:])
        self._began_at = event.timestamp
        return replace_text(event, channel, text)

    @abstractmethod
    def _due(self, piece: str, timestamp: float) -> int | None:
        """Count the characters of a piece that go on now, after all that is held; None: hold it."""


class CoalesceTransformer(_Joiner):
    """Joins neighbouring deltas of the same kind, so that they end where words or lines do.

    The words of the answer, the reasoning, and each tool call's arguments stay apart and in order.
    What is held comes out before the next event of another kind, and at the end.

    Args:
        unit: ``"word"``: each delta ends after white space; ``"line"``: after a line's end. None:
            they are joined by time alone.
        interval_ms: Let go whatever is held when a delta comes this long after the first that is
            held, in milliseconds. No timer runs: the next event decides.
        max_length: Let go whatever is held when it is longer than this many characters.

    Raises:
        ConfigurationError: Neither a unit nor an interval is given, or one that makes no sense.
    """

    def __init__(
        self,
        unit: Literal["word", "line"] | None = None,
        *,
        interval_ms: float | None = None,
        max_length: int = 4096,
    ) -> None:
        super().__init__()
        if unit is None and interval_ms is None:
            raise ConfigurationError('unit: expected "word" or "line", or an interval_ms')
        _UNIT.check("unit", unit)
        _MILLISECONDS.check("interval_ms", interval_ms)
        POSITIVE.check("max_length", max_length)
        self._unit: Literal["word", "line"] | None = unit
        self._interval_ms = interval_ms
        self._max_length = max_length

    def for_stream(self) -> CoalesceTransformer:
        """An instance that holds the text of one stream."""
        return CoalesceTransformer(
            self._unit, interval_ms=self._interval_ms, max_length=self._max_length
        )

    def _due(self, piece: str, timestamp: float) -> int | None:
        if len(self._held) + len(piece) > self._max_length or self._is_over(timestamp):
            return len(piece)
        # What is held has no end of a unit in it: else it would not be held.
        found = _UNIT_ENDS[self._unit].match(piece) if self._unit is not None else None
        return found.end() if found is not None else None

    def _is_over(self, timestamp: float) -> bool:
        if self._interval_ms is None:
            return False
        return (timestamp - self._began_at) * 1000 >= self._interval_ms


class RateLimiter(_Joiner):
    """Lets at most so many deltas a second pass, by their timestamps; other events always pass.

    Args:
        per_second: How many deltas may pass in a second.
        burst: How many may pass at once after a pause.
        surplus: What happens to the others: ``"join"`` adds their text to the next delta that may
            pass, so that nothing is lost; ``"drop"`` drops them.

    Raises:
        ConfigurationError: A number or `surplus` makes no sense.
    """

    redacts: ClassVar[bool] = False

    def __init__(
        self, per_second: float, burst: int = 1, surplus: Literal["join", "drop"] = "join"
    ) -> None:
        super().__init__()
        ABOVE_0.check("per_second", per_second)
        POSITIVE.check("burst", burst)
        _SURPLUS.check("surplus", surplus)
        self._per_second = per_second
        self._burst = burst
        self._surplus: Literal["join", "drop"] = surplus
        self._allowance = float(burst)
        self._seen_at: float | None = None

    def for_stream(self) -> RateLimiter:
        """An instance that counts one stream's deltas."""
        return RateLimiter(self._per_second, self._burst, self._surplus)

    def transform(self, event: StreamEvent) -> Several:
        """Let the event pass when the rate allows it; none when not."""
        if self._surplus == "join":
            return super().transform(event)
        is_counted = isinstance(event, StreamDeltaEvent) and event.kind != "notice"
        if is_counted and not self._may_pass(event.timestamp):
            return Several()
        return Several([event])

    def _due(self, piece: str, timestamp: float) -> int | None:
        return len(piece) if self._may_pass(timestamp) else None

    def _may_pass(self, timestamp: float) -> bool:
        elapsed = 0.0 if self._seen_at is None else max(0.0, timestamp - self._seen_at)
        self._seen_at = timestamp
        self._allowance = min(self._burst, self._allowance + elapsed * self._per_second)
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


class SamplingFilter(EventFilter):
    """Lets a share of the deltas pass, evenly spread; other events always pass.

    The delta's `chunk_index` decides, so the first delta always passes, and one filter serves any
    number of streams.

    Args:
        share: The share of the deltas that pass, above 0 and up to 1: 0.1 lets every tenth pass.

    Raises:
        ConfigurationError: It is out of bounds.
    """

    def __init__(self, share: float) -> None:
        _SHARE.check("share", share)
        self._share = share

    def should_process(self, event: StreamEvent) -> bool:
        """Whether the event is among the sample."""
        if not isinstance(event, StreamDeltaEvent) or event.kind == "notice":
            return True
        share, index = self._share, event.chunk_index
        # Rounded, because 3 * 0.1 is a little more than 0.3 and would count as one more.
        return ceil(round((index + 1) * share, 9)) > ceil(round(index * share, 9))
