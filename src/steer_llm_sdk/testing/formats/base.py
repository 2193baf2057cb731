"""What a wire format is to the test kit: a way to write an answer, and to write an error."""

from __future__ import annotations

import json
from typing import Any, Protocol

from steer_llm_sdk.testing.plan import ErrorSpelling, Piece, RecordedRequest
from steer_llm_sdk.testing.scripts import Script

# One moment for all answers, so that the same script gives the same bytes.
CREATED = 1_760_000_000


class Format(ErrorSpelling, Protocol):
    """One provider's way of answering."""

    name: str
    content_type: str

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """The body of a whole answer, as the provider would send it."""
        ...


def sse(value: Any, event: str | None = None) -> bytes:
    """One server-sent event with a JSON payload."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {compact(value)}\n\n".encode()


def compact(value: Any) -> str:
    """JSON as the providers send it: no needless space, no needless escapes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def model_of(script: Script, request: RecordedRequest) -> str:
    """The model that the answer names."""
    return script.model or request.model or "scripted-model"


def id_of(script: Script, request: RecordedRequest, prefix: str) -> str:
    """The identifier of the answer, the same in every run."""
    return script.response_id or f"{prefix}{request.number}"
