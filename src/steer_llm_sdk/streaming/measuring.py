"""Feeds one stream's metrics: once a network read, not once a delta."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.streaming.intake import Intake
from steer_llm_sdk.streaming.metrics import StreamMetrics


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
        self._counted = 0  # deltas that the metrics know of
        self._has_text = False  # … and that there was text among them
        self._metrics.on_start(begun)
        response.measure = self._measure

    def note_response(self, now: float) -> None:
        """The headers of a response have come."""
        self._metrics.on_first("byte", now)

    def count_deltas(self) -> None:
        """Tell the metrics of the deltas of the last read."""
        intake, metrics = self._intake, self._metrics
        chunks = intake.chunks
        count = chunks - self._counted
        if not count:
            return
        self._counted = chunks
        if not self._has_text and (self._response.text_parts or self._response.text_blocks):
            self._has_text = True
            metrics.on_first("text", self.read_at)
        if intake.firsts:
            for what, first in intake.firsts.items():
                metrics.on_first(what, first)
        metrics.on_deltas(count, self.read_at)

    def end(self, now: float) -> None:
        """The stream is over."""
        self.count_deltas()
        self._metrics.on_end(now)

    def _measure(self) -> dict[str, Any]:
        self.count_deltas()
        return self._metrics.summary(self._response.usage)
