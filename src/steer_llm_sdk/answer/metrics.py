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
from itertools import accumulate, pairwise, repeat
from math import log2
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

_FIRSTS = ("byte", "event", "reasoning", "text", "tool_argument")
_SHARES = (50, 90, 99)
_NO_GAPS = dict.fromkeys(("itl_ms", *(f"gap_p{share}_ms" for share in _SHARES), "gap_max_ms"))


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
        duration_ms = _ms_between(self.start, self._end)
        gaps, percentiles = self._all_gaps()
        return {
            "ttft_ms": _ms_between(self.start, self.first),
            **{f"time_to_first_{what}_ms": self._ms_to_first(what) for what in _FIRSTS},
            "duration_ms": duration_ms,
            "e2e_ms": duration_ms,
            **self._rates((usage or {}).get("completion_tokens")),
            **percentiles,
            "stalls": gaps.stalls,
            "stall_ms": gaps.stall_seconds * 1000,
            "chunks": self.chunks,
            "queued_ms": self.queued * 1000,
        }

    def gaps(self) -> Gaps:
        """The times between neighbouring deltas in seconds, each with how often it came.

        Those of a long stream are the values of their buckets.
        """
        if self._gaps is None:
            return tuple((gap, 1) for gap in _gaps_between(self.stamps))
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

    def _all_gaps(self) -> tuple[_Gaps, dict[str, float | None]]:
        if self._gaps is not None:
            gaps = self._fold()
            return gaps, gaps.percentiles(gaps.bucket_value)
        exact = sorted(_gaps_between(self.stamps))
        gaps = _Gaps(self._stall_threshold)
        gaps.tally(exact)
        return gaps, gaps.percentiles(exact.__getitem__)

    def _ms_to_first(self, what: str) -> float | None:
        return _ms_between(self.start, self._firsts.get(what))

    def _rates(self, tokens: int | None) -> dict[str, float | None]:
        later = None if tokens is None else tokens - 1
        last = self.stamps[-1] if self.stamps else None
        per_token = _ratio(_ms_between(self.first, self._end), later)
        return {
            "tokens_per_second": _per_second(tokens, self.start, self._end),
            "decode_tokens_per_second": _per_second(later, self.first, last),
            "tpot_ms": per_token,
        }


class _Gaps:
    """The times between neighbouring deltas, in buckets that grow by the same factor each."""

    __slots__ = (
        "_buckets",
        "_total",
        "count",
        "longest",
        "stall_seconds",
        "stall_threshold",
        "stalls",
    )

    def __init__(self, stall_threshold: float) -> None:
        self.stall_threshold = stall_threshold
        self.count = 0
        self.longest = 0.0
        self.stalls = 0
        self.stall_seconds = 0.0
        self._total = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, gaps: list[float]) -> None:
        self.tally(gaps)
        self._buckets.update(
            [int(log2(gap) * _BUCKETS + _OFFSET) if gap > _SHORTEST_GAP else 0 for gap in gaps]
        )

    def tally(self, gaps: list[float]) -> None:
        """Count gaps whose places are known otherwise: they get no buckets."""
        longest = max(gaps, default=0.0)
        if longest > self.stall_threshold:
            stalls = [gap for gap in gaps if gap > self.stall_threshold]
            self.stalls += len(stalls)
            self.stall_seconds += sum(stalls)
        self.count += len(gaps)
        self.longest = max(self.longest, longest)
        self._total += sum(gaps)

    def percentiles(self, value_at: Callable[[int], float]) -> dict[str, float | None]:
        """The gaps in milliseconds; `value_at` gives the gap of a rank, 0 being the shortest."""
        if not self.count:
            return dict(_NO_GAPS)
        ranks = {share: -(-share * self.count // 100) - 1 for share in _SHARES}
        return {
            "itl_ms": self._total / self.count * 1000,
            **{f"gap_p{share}_ms": value_at(rank) * 1000 for share, rank in ranks.items()},
            "gap_max_ms": self.longest * 1000,
        }

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
    # A clock that was set back on hand-made events gives no negative gap.
    return [after - before if after > before else 0.0 for before, after in pairwise(stamps)]


def _ms_between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else (end - begin) * 1000


def _per_second(tokens: int | None, begin: float | None, end: float | None) -> float | None:
    milliseconds = _ms_between(begin, end)
    if tokens is None or milliseconds is None or tokens < 0:
        return None
    return _ratio(tokens * 1000, milliseconds)


def _ratio(amount: float | None, divisor: float | None) -> float | None:
    if amount is None or divisor is None or divisor <= 0:
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
        """The stream is over."""
        self.count_deltas()
        self._metrics.on_end(now)

    def _measure(self) -> dict[str, Any]:
        self.count_deltas()
        return self._metrics.summary(self._response.usage)
