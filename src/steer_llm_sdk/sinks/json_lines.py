"""A file of JSON lines: `JSONLinesSink`."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from steer_llm_sdk.checks import FLAG, PATH
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.records import StreamRecord, values_of
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.forking import ForkSafe
from steer_llm_sdk.stored import VERSION, VERSION_KEY, plain, to_json


class JSONLinesSink(ForkSafe, Sink):
    """Appends a line for each stream to a file: ``{"type": "stream", …}`` and the record's fields.

    Several processes may write to one file: a batch of lines is written at once.

    Args:
        path: The file; it is made when the first stream has ended.
        content: Whether prompts and answers are written, too.
        events: Whether each event is written, too: ``{"type": "delta", …}``.

    Raises:
        ConfigurationError: An argument is not what it has to be.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, content: bool = False, events: bool = False
    ) -> None:
        PATH.check("path", path)
        FLAG.check("content", content)
        FLAG.check("events", events)
        self.path = Path(path)
        self.content = content
        self.wants_events = events
        self._lines: list[bytes] = []
        self._is_torn = False  # the last write was cut inside a line
        super().__init__()

    def event(self, event: StreamEvent) -> None:
        """Note an event."""
        line = event.to_json().encode()
        with self.lock:
            self._lines.append(line)

    def stream_ended(self, record: StreamRecord) -> None:
        """Note a stream."""
        line = _line(record)
        with self.lock:
            self._lines.append(line)

    def flush(self) -> None:
        """Write what was noted.

        Raises:
            OSError: It cannot be written; it is lost.
        """
        with self.lock:
            lines, self._lines = self._lines, []
            if lines:
                lines.append(b"")
                self._write(b"\n".join(lines))

    def forget(self) -> None:
        """Forget what the parent still has to write."""
        self._lines = []

    def _write(self, data: bytes) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            data = b"\n" + data if self._is_torn else data
            written = os.write(file, data)
            self._is_torn = written < len(data)
            if self._is_torn:
                raise OSError(f"wrote {written} bytes of {len(data)} to {self.path}")
        finally:
            os.close(file)


# Of a record's fields those that may hold what the caller gave; the library's own are plain data.
_GIVEN = ("request_id", "parameters", "retries", "metadata", "content")


def _line(record: StreamRecord) -> bytes:
    """The record as `to_json` writes it, by a quicker writer where that can."""
    told = values_of(record)
    for name in _GIVEN:
        told[name] = plain(told[name])
    try:
        return msgspec.json.encode({"type": "stream", **told, VERSION_KEY: VERSION})
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):  # half a character
        return to_json({"type": "stream", **record.to_dict()}).encode()
