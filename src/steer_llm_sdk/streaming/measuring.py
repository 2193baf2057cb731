"""Feeds one stream's metrics: once a network read, not once a delta."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.streaming.intake import Intake
from steer_llm_sdk.streaming.metrics import EXACT_GAPS, StreamMetrics


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
        response.measure = self._measure

    def note_response(self, now: float) -> None:
        """The headers of a response have come."""
        self._metrics.on_first("byte", now)

    def count_deltas(self) -> None:
        """Tell the metrics of the deltas of the last read."""
        intake = self._intake
        chunks = intake.chunks
        count = chunks - self._counted
        if not count:
            return
        self._counted = chunks
        if not self._has_text or intake.firsts:
            self._note_firsts()
        elif count == 1 and len(self._stamps) < EXACT_GAPS:
            self._stamps.append(self.read_at)  # as `on_deltas`, which has been called before
            return
        self._metrics.on_deltas(count, self.read_at)

    def _note_firsts(self) -> None:
        if not self._has_text and (self._response.text_parts or self._response.text_blocks):
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
