"""Sinks that remember, for tests."""

from __future__ import annotations

import threading
from typing import Any

from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.sinks import Sink


class Remembering(Sink):
    """Remembers the records that it is told of, and in which thread."""

    def __init__(self, *, content: bool = False) -> None:
        self.content = content
        self.started: list[StreamRecord] = []
        self.ended: list[StreamRecord] = []
        self.calls: list[tuple[str, str]] = []

    def stream_started(self, record: StreamRecord) -> None:
        self._note("stream_started")
        self.started.append(record)

    def stream_ended(self, record: StreamRecord) -> None:
        self._note("stream_ended")
        self.ended.append(record)

    def flush(self) -> None:
        self._note("flush")

    def close(self) -> None:
        self._note("close")

    def _note(self, what: str) -> None:
        self.calls.append((what, threading.current_thread().name))

    @property
    def last(self) -> StreamRecord:
        return self.ended[-1]


class RememberingEvents(Remembering):
    """… and the events."""

    def __init__(self, *, content: bool = False) -> None:
        super().__init__(content=content)
        self.events: list[StreamEvent] = []

    def event(self, event: StreamEvent) -> None:
        self.events.append(event)


class Raising(Sink):
    """Raises whatever it is told."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def stream_started(self, record: StreamRecord) -> None:
        raise self._error

    def event(self, event: StreamEvent) -> None:
        raise self._error

    def stream_ended(self, record: StreamRecord) -> None:
        raise self._error

    def flush(self) -> None:
        raise self._error


def record(**changes: Any) -> StreamRecord:
    """A stream that completed."""
    usual: dict[str, Any] = {
        "stream_id": "s1",
        "request_id": "r1",
        "provider": "openai",
        "model": "gpt-4o",
        "response_model": "gpt-4o-2024",
        "server_address": "api.openai.com",
        "server_port": 443,
        "started_at": 1_760_000_000.0,
        "ended_at": 1_760_000_002.0,
        "outcome": "completed",
        "finish_reason": "stop",
        "attempts": 1,
        "usage": {"prompt_tokens": 10, "completion_tokens": 21, "total_tokens": 31},
        "cost_usd": 0.002,
        "metrics": {
            "ttft_ms": 500.0,
            "duration_ms": 2000.0,
            "tpot_ms": 75.0,
            "tokens_per_second": 10.5,
            "decode_tokens_per_second": 20.0,
            "chunks": 3,
        },
        "gaps": ((0.75, 2),),
    }
    return StreamRecord(**usual | changes)
