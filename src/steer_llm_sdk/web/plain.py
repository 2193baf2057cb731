"""Our own events: as server-sent events, and a line each."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.journal.codec import delta_fields
from steer_llm_sdk.models.events import StreamErrorEvent, StreamEvent
from steer_llm_sdk.web.base import ErrorText
from steer_llm_sdk.web.frames import COMMENT, json_bytes


class _PlainEncoder:
    """Writes each event as it is.

    Args:
        error_text: What is said of an error.
    """

    heartbeat = b""

    def __init__(self, error_text: ErrorText) -> None:
        self._error_text = error_text
        self._named: StreamEvent | None = None

    def feed(self, event: StreamEvent) -> bytes:
        """Write an event: see `Encoder`."""
        self._named = event
        if (fields := delta_fields(event)) is not None:  # as nearly all are
            return self.frame(event.sequence, b'{"type":"delta",' + fields)
        return self.frame(event.sequence, self._told(event))

    def _told(self, event: StreamEvent) -> bytes:
        data = event.to_dict()
        if isinstance(event, StreamErrorEvent):
            data["error"]["message"] = self._error_text(event.error)
        if self._error_text is not str:
            _keep_to_what_is_told(data)
        return json_bytes(data)

    def end(self) -> bytes:
        """Write nothing: the terminal event was the ending."""
        return b""

    def fail(self, error: Exception) -> bytes:
        """Write an error event, as there was none.

        No place of the stream is its own: it has the sequence of the event before, and no
        identifier, so that whoever goes on behind it misses nothing.
        """
        named = self._named or StreamEvent(sequence=-1)
        told = error if isinstance(error, SteerError) else SteerError(type(error).__name__)
        event = StreamErrorEvent(
            provider=named.provider,
            model=named.model,
            request_id=named.request_id,
            stream_id=named.stream_id,
            timestamp=named.timestamp,
            sequence=named.sequence,
            error=told,
            is_retryable=told.is_retryable,
        )
        return self.frame(None, self._told(event))

    def frame(self, sequence: int | None, data: bytes) -> bytes:
        """Frame the JSON of one event; None is the sequence of what is none of the stream's."""
        raise NotImplementedError


def _keep_to_what_is_told(data: dict[str, Any]) -> None:
    """Leave out of an event what else it has of the words of errors, where others were chosen."""
    if "error" in data:
        data["error"].pop("body", None)
    retries = data["metadata"].get("retries")
    for attempt in retries if isinstance(retries, list) else ():
        if isinstance(attempt, dict):  # an application may have written something else there
            attempt.pop("message", None)


class SSEEncoder(_PlainEncoder):
    """Server-sent events. The identifier of each is its sequence, for ``Last-Event-ID``."""

    heartbeat = COMMENT

    def frame(self, sequence: int | None, data: bytes) -> bytes:
        """Frame the JSON of one event: see `_PlainEncoder`."""
        if sequence is None:
            return b"data: %b\n\n" % data
        return b"id: %d\ndata: %b\n\n" % (sequence, data)


class LinesEncoder(_PlainEncoder):
    """A line of JSON each. A heartbeat is an empty line, which readers pass over."""

    heartbeat = b"\n"

    def frame(self, sequence: int | None, data: bytes) -> bytes:  # noqa: ARG002 - it is in the data
        """Frame the JSON of one event: see `_PlainEncoder`."""
        return data + b"\n"
