"""Our own events: as server-sent events, and a line each."""

from __future__ import annotations

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
        self._next = 0
        self._named: StreamEvent | None = None

    def feed(self, event: StreamEvent) -> bytes:
        """Write an event: see `Encoder`."""
        self._next = event.sequence + 1
        self._named = event
        if (fields := delta_fields(event)) is not None:  # as nearly all are
            return self.frame(event.sequence, b'{"type":"delta",' + fields)
        data = event.to_dict()
        if isinstance(event, StreamErrorEvent):
            data["error"]["message"] = self._error_text(event.error)
        return self.frame(event.sequence, json_bytes(data))

    def end(self) -> bytes:
        """Write nothing: the terminal event was the ending."""
        return b""

    def fail(self, error: Exception) -> bytes:
        """Write an error event, as there was none."""
        named = self._named or StreamEvent()
        told = error if isinstance(error, SteerError) else SteerError(type(error).__name__)
        event = StreamErrorEvent(
            provider=named.provider,
            model=named.model,
            request_id=named.request_id,
            stream_id=named.stream_id,
            timestamp=named.timestamp,
            sequence=self._next,
            error=told,
            is_retryable=told.is_retryable,
        )
        return self.feed(event)

    def frame(self, sequence: int, data: bytes) -> bytes:
        """Frame the JSON of one event."""
        raise NotImplementedError


class SSEEncoder(_PlainEncoder):
    """Server-sent events. The identifier of each is its sequence, for ``Last-Event-ID``."""

    heartbeat = COMMENT

    def frame(self, sequence: int, data: bytes) -> bytes:
        """Frame the JSON of one event."""
        return b"id: %d\ndata: %b\n\n" % (sequence, data)


class LinesEncoder(_PlainEncoder):
    """A line of JSON each. A heartbeat is an empty line, which readers pass over."""

    heartbeat = b"\n"

    def frame(self, sequence: int, data: bytes) -> bytes:  # noqa: ARG002 - it is in the data
        """Frame the JSON of one event."""
        return data + b"\n"
