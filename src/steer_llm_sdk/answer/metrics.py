"""How fast a stream was: the numbers of `response.metrics` and of ``metadata["metrics_summary"]``.

Times are taken from the events' timestamps; nothing here reads a clock. With *start* the start
event, *first* and *last* the first and the last delta, *end* the terminal event, and *tokens* the
completion tokens (reasoning included):

=============================== ==============================================================
``ttft_ms``                     TTFT: first − start, whatever the first delta's kind
``time_to_first_…_ms``          byte, event, reasoning, text, tool_argument: each − start
``duration_ms``, ``e2e_ms``     E2E: end − start
``tokens_per_second``           *effective*: tokens / (end − start)
``decode_tokens_per_second``    *decode*: (tokens − 1) / (last − first)
``tpot_ms``                     TPOT: (end − first) / (tokens − 1)
``itl_ms``                      ITL: the mean gap between neighbouring deltas
``gap_{p50,p90,p99,max}_ms``    the percentiles of these gaps, by nearest rank
``stalls``, ``stall_ms``        how many gaps were above the threshold, and their sum
``chunks``                      the deltas
=============================== ==============================================================

What is not known is None. A chunk may carry several tokens, which is why gaps and ITL speak of
deltas and TPOT of tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import accumulate, repeat
from math import log2
from operator import sub
from typing import Any

from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.responses import Gaps, StreamingResponse, growing_text, set_measure

# Up to this many gaps are kept as they are and the percentiles are exact; beyond it they are
# counted in buckets, so that a million deltas take no more memory than a thousand.
EXACT_GAPS = 512
# Buckets to an octave: neighbours differ by a factor of 1.044, so a percentile is off by 2.2 %.
_BUCKETS = 16
_SHORTEST_GAP = 1e-7
# Makes the number of every bucket positive; 0 is the bucket of what is shorter than the shortest.
_OFFSET = 1000

_FIRSTS = {
    what: f"time_to_first_{what}_ms"
    for what in ("byte", "event", "reasoning", "text", "tool_argument")
}
_SHARES = {f"gap_p{share}_ms": share for share in (50, 90, 99)}

# The keys of every summary, and what is known where nothing has come.
_NOTHING_KNOWN: Mapping[str, Any] = {
    "ttft_ms": None,
    **dict.fromkeys(_FIRSTS.values()),
    "duration_ms": None,
    "e2e_ms": None,
    "tokens_per_second": None,
    "decode_tokens_per_second": None,
    "tpot_ms": None,
    "itl_ms": None,
    **dict.fromkeys(_SHARES),
    "gap_max_ms": None,
    "stalls": 0,
    "stall_ms": 0.0,
    "chunks": 0,
    "queued_ms": 0.0,
}


class StreamMetrics:
    """Collects the times of one stream, in constant memory.

    Args:
        stall_threshold_ms: A gap between two deltas above this counts as a stall, in milliseconds.

    Attributes:
        start: The timestamp of the start event, in seconds; None before it.
        first: The timestamp of the first delta, in seconds; None before it.
        queued: How long attempts have waited for their turn, in seconds.
        stamps: The timestamps of the latest deltas, at most `EXACT_GAPS`; always the same list.
    """

    __slots__ = (
        "_end",
        "_firsts",
        "_gaps",
        "_stall_threshold",
        "first",
        "queued",
        "stamps",
        "start",
    )

    def __init__(self, stall_threshold_ms: float = 1000.0) -> None:
        self.start: float | None = None
        self.first: float | None = None
        self.queued = 0.0
        self._end: float | None = None
        self._firsts: dict[str, float] = {}
        self.stamps: list[float] = []
        self._stall_threshold = stall_threshold_ms / 1000
        self._gaps: _Gaps | None = None

    def on_start(self, timestamp: float) -> None:
        """The call begins; only the first time counts."""
        if self.start is None:
            self.start = timestamp

    def on_first(self, what: str, timestamp: float) -> None:
        """The first ``"byte"`` or ``"event"`` of the response came; only the first time counts."""
        self._firsts.setdefault(what, timestamp)

    def on_delta(self, what: str, timestamp: float) -> None:
        """A delta came. The gaps are counted when many have come, or at the end.

        Args:
            what: What `delta_content` gives for it.
            timestamp: When, in seconds.
        """
        if what not in self._firsts:
            self._on_first_delta(what, timestamp)
        stamps = self.stamps
        stamps.append(timestamp)
        if len(stamps) > EXACT_GAPS:
            self._fold()

    def on_deltas(self, count: int, timestamp: float) -> None:
        """Several deltas came at once; `on_first` has been told of their kinds.

        Args:
            count: How many.
            timestamp: When, in seconds.
        """
        if self.first is None:
            self.first = timestamp
            self.on_first("event", timestamp)
        stamps = self.stamps
        stamps.extend(repeat(timestamp, count))
        if len(stamps) > EXACT_GAPS:
            self._fold()

    def on_end(self, timestamp: float) -> None:
        """The terminal event came. From now on nothing changes: other threads may look."""
        self._end = timestamp
        if self._gaps is not None:
            self._fold()

    def summary(self, usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The numbers, by the formulas of this module.

        Args:
            usage: The stream's usage, for ``completion_tokens``.

        Returns:
            A dict of always the same keys; None stands for what is not known.
        """
        start, end = self.start, self._end
        known = dict(_NOTHING_KNOWN)
        if start is not None:
            if self.first is not None:
                known["ttft_ms"] = (self.first - start) * 1000
            for what, at in self._firsts.items():
                if what in _FIRSTS:
                    known[_FIRSTS[what]] = (at - start) * 1000
            if end is not None:
                known["duration_ms"] = known["e2e_ms"] = (end - start) * 1000
        tokens = None if usage is None else usage.get("completion_tokens")
        if tokens is not None:
            self._rate(tokens, known)
        self._sum_up_gaps(known)
        known["chunks"] = self.chunks
        known["queued_ms"] = self.queued * 1000
        return known

    def gaps(self) -> Gaps:
        """The times between neighbouring deltas in seconds, each with how often it came.

        Those of a long stream are the values of their buckets.
        """
        if self._gaps is None:
            return tuple(zip(_gaps_between(self.stamps), repeat(1)))
        return self._fold().values()

    @property
    def chunks(self) -> int:
        """The number of deltas so far."""
        return len(self.stamps) + (self._gaps.count if self._gaps is not None else 0)

    def _on_first_delta(self, what: str, timestamp: float) -> None:
        self._firsts[what] = timestamp
        if self.first is None:
            self.first = timestamp
            self.on_first("event", timestamp)

    def _fold(self) -> _Gaps:
        """Count the gaps of the timestamps so far; the last one stays, for the next gap."""
        if self._gaps is None:
            self._gaps = _Gaps(self._stall_threshold)
        self._gaps.add(_gaps_between(self.stamps))
        del self.stamps[:-1]
        return self._gaps

    def _sum_up_gaps(self, known: dict[str, Any]) -> None:
        if self._gaps is not None:
            gaps = self._fold()
            gaps.tell(known, gaps.bucket_value)
        elif len(self.stamps) > 1:
            exact = sorted(_gaps_between(self.stamps))
            tally = _Tally(self._stall_threshold)
            tally.count_in(exact)
            tally.tell(known, exact.__getitem__)

    def _rate(self, tokens: int, known: dict[str, Any]) -> None:
        start, first, end = self.start, self.first, self._end
        if start is not None and end is not None and tokens >= 0:
            known["tokens_per_second"] = _ratio(tokens, end - start)
        if first is None:
            return
        if self.stamps and tokens > 0:
            known["decode_tokens_per_second"] = _ratio(tokens - 1, self.stamps[-1] - first)
        if end is not None:
            known["tpot_ms"] = _ratio((end - first) * 1000, tokens - 1)


class _Tally:
    """How long the times between neighbouring deltas are, all together.

    Args:
        stall_threshold: A gap above this counts as a stall, in seconds.
    """

    __slots__ = ("count", "longest", "stall_seconds", "stall_threshold", "stalls", "total")

    def __init__(self, stall_threshold: float) -> None:
        self.stall_threshold = stall_threshold
        self.count = 0
        self.longest = 0.0
        self.stalls = 0
        self.stall_seconds = 0.0
        self.total = 0.0

    def count_in(self, gaps: list[float]) -> None:
        """Count some more."""
        longest = max(gaps, default=0.0)
        if longest > self.stall_threshold:
            stalls = [gap for gap in gaps if gap > self.stall_threshold]
            self.stalls += len(stalls)
            self.stall_seconds += sum(stalls)
        self.count += len(gaps)
        self.longest = max(self.longest, longest)
        self.total += sum(gaps)

    def tell(self, known: dict[str, Any], value_at: Callable[[int], float]) -> None:
        """Write the numbers of at least one gap into a summary.

        Args:
            known: The summary.
            value_at: Gives the gap of a rank in seconds, 0 being the shortest.
        """
        count = self.count
        known["itl_ms"] = self.total / count * 1000
        for name, share in _SHARES.items():
            known[name] = value_at(-(-share * count // 100) - 1) * 1000
        known["gap_max_ms"] = self.longest * 1000
        known["stalls"] = self.stalls
        known["stall_ms"] = self.stall_seconds * 1000


class _Gaps(_Tally):
    """… and each of them, in buckets that grow by the same factor each."""

    __slots__ = ("_buckets",)

    def __init__(self, stall_threshold: float) -> None:
        super().__init__(stall_threshold)
        self._buckets: Counter[int] = Counter()

    def add(self, gaps: list[float]) -> None:
        self.count_in(gaps)
        self._buckets.update(
            [int(log2(gap) * _BUCKETS + _OFFSET) if gap > _SHORTEST_GAP else 0 for gap in gaps]
        )

    def bucket_value(self, rank: int) -> float:
        ordered = sorted(self._buckets)
        ends = accumulate(self._buckets[bucket] for bucket in ordered)
        bucket = next(bucket for bucket, end in zip(ordered, ends, strict=True) if rank < end)
        return _value_of(bucket)

    def values(self) -> Gaps:
        return tuple((_value_of(bucket), self._buckets[bucket]) for bucket in sorted(self._buckets))


def _value_of(bucket: int) -> float:
    return float(2 ** ((bucket + 0.5 - _OFFSET) / _BUCKETS)) if bucket else 0.0


def delta_content(event: StreamDeltaEvent) -> str:
    """The delta's kind; ``"tool_argument"`` for a piece of a tool call's arguments."""
    delta = event.delta
    if isinstance(delta, str):
        return "text"
    return "tool_argument" if delta.get("arguments") else event.kind


def _gaps_between(stamps: list[float]) -> list[float]:
    gaps = list(map(sub, stamps[1:], stamps))
    if gaps and min(gaps) < 0:  # a clock that was set back, on hand-made events
        return [max(gap, 0.0) for gap in gaps]
    return gaps


def _ratio(amount: float, divisor: float) -> float | None:
    if divisor <= 0:
        return None
    try:
        return amount / divisor
    except OverflowError:  # a count that somebody has put into the usage
        return None


class Measuring:
    """The metrics of one stream, as it goes.

    Args:
        intake: What has been said so far.
        response: What it adds up to; its `metrics` are measured here.
        begun: When the call began, in monotonic seconds.
    """

    def __init__(self, intake: Intake, response: StreamingResponse, begun: float) -> None:
        self.read_at = 0.0  # when the last bytes came
        self._intake = intake
        self._response = response
        self._metrics = StreamMetrics()
        self._stamps = self._metrics.stamps
        self._counted = 0  # deltas that the metrics know of
        self._has_text = False  # … and that there was text among them
        self._metrics.on_start(begun)
        set_measure(response, self._measure, self._metrics.gaps)

    def note_queued(self, seconds: float) -> None:
        """An attempt has waited for its turn."""
        self._metrics.queued += seconds

    def note_response(self, now: float) -> None:
        """The headers of a response have come."""
        self._metrics.on_first("byte", now)

    def count_deltas(self) -> None:
        """Tell the metrics of the deltas of the last read."""
        intake = self._intake
        count = intake.chunks - self._counted
        if count == 1 and self._has_text and not intake.firsts and len(self._stamps) < EXACT_GAPS:
            self._counted += 1
            self._stamps.append(self.read_at)  # as `on_deltas`, which has been called before
        elif count:
            self._counted = intake.chunks
            if not self._has_text or intake.firsts:
                self._note_firsts()
            self._metrics.on_deltas(count, self.read_at)

    def _note_firsts(self) -> None:
        if not self._has_text and growing_text(self._response):
            self._has_text = True
            self._metrics.on_first("text", self.read_at)
        for what, first in self._intake.firsts.items():
            self._metrics.on_first(what, first)

    def end(self, now: float) -> None:
        """The stream is over, and the response has its usage.

        From now on the response holds its times alone, and nothing of what has read the stream:
        that holds the response, and such a circle waits for a garbage collection.
        """
        self.count_deltas()
        metrics = self._metrics
        metrics.on_end(now)
        set_measure(self._response, partial(metrics.summary, self._response.usage), metrics.gaps)

    def _measure(self) -> dict[str, Any]:
        self.count_deltas()
        return self._metrics.summary(self._response.usage)
