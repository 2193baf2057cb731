"""What a wire format does for the test kit: it writes answers, as streams and whole, and errors."""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import Report
from steer_llm_sdk.testing.scripts import Script

# One moment for all answers, so that the same script gives the same bytes.
CREATED = 1_760_000_000

_DOCUMENT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


class Format(ABC):
    """One provider's way of answering. It is an `ErrorSpelling`.

    Attributes:
        name: The name by which it is chosen.
        content_type: Of a stream; a whole answer is ``application/json``.
        keep_alive: Sent to keep a connection alive; it has no meaning.
        frame_begin: How a frame begins that may go on without an end.
        finish_words: The format's words for finish reasons, where they are not the library's own.
    """

    name: ClassVar[str]
    content_type: ClassVar[str]
    keep_alive: ClassVar[bytes]
    frame_begin: ClassVar[bytes] = b'data: {"a":"'
    finish_words: ClassVar[Mapping[str, str]]

    @abstractmethod
    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """Write the body of a streamed answer, as the provider sends it."""

    @abstractmethod
    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build the JSON of the same answer for a request that asks for no stream."""

    @abstractmethod
    def error_body(self, report: Report) -> Any:
        """Build the JSON body of a response whose status is an error."""

    def error_in_stream(self, report: Report) -> list[Piece]:
        """Write an error inside a stream."""
        return [Piece(self.frame(self.error_body(report)))]

    def frame(self, value: Any) -> bytes:
        """Write a JSON value as one frame of a stream."""
        return sse(value)

    def is_streamed(self, request: RecordedRequest) -> bool:
        """Return whether the request asks for a stream; if it is no JSON object, it gets one."""
        return not isinstance(request.json, Mapping) or request.json.get("stream") is True

    def document_pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """Write the document in as many pieces as the stream has deltas.

        So a fault after the second delta has its place in it. It is cut between two JSON tokens,
        where white space may stand.
        """
        tokens = list(_DOCUMENT.iterencode(self.document(script, request)))
        deltas = sum(piece.is_delta for piece in self.pieces(script, request)) or 1
        ends = [len(tokens) * at // deltas for at in range(deltas + 1)]
        texts = ["".join(tokens[start:end]) for start, end in itertools.pairwise(ends)]
        return [Piece(text.encode(), is_delta=True) for text in texts if text]

    def finish_of(self, script: Script) -> str | None:
        """Return a script's finish reason in the format's own word."""
        reason = script.finish_reason
        return reason and self.finish_words.get(reason, reason)


def sse(value: Any, event: str | None = None) -> bytes:
    """Write one server-sent event with a JSON payload."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {compact(value)}\n\n".encode()


def compact(value: Any) -> str:
    """Write JSON as the providers send it: no needless space, no needless escapes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def model_of(script: Script, request: RecordedRequest) -> str:
    """Return the model that the answer names."""
    return script.model or request.model or "scripted-model"


def id_of(script: Script, request: RecordedRequest, prefix: str) -> str:
    """Return the identifier of the answer, the same in every run."""
    return script.response_id or f"{prefix}{request.number}"


def texts_of(script: Script) -> Iterator[str]:
    """Yield the words of an answer in a format in which a refusal is text like any other."""
    yield from script.refusal
    yield from script.deltas


def whole(**fields: str | list[Any]) -> dict[str, Any]:
    """Return the fields that are not empty: a document leaves the others out."""
    return {name: value for name, value in fields.items() if value}
