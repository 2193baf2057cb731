"""Bedrock's ``ConverseStream``, and Anthropic's messages by ``InvokeModelWithResponseStream``.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from steer_llm_sdk.testing.formats.anthropic import Anthropic
from steer_llm_sdk.testing.formats.base import Format, compact, texts_of
from steer_llm_sdk.testing.formats.event_messages import (
    event_message,
    event_prelude,
    string_headers,
)
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import ErrorKind, Report
from steer_llm_sdk.testing.scripts import Script

CONTENT_TYPE = "application/vnd.amazon.eventstream"

# In a response; inside a stream the first letter is a small one.
ERRORS: Mapping[ErrorKind, str] = {
    "authentication": "UnrecognizedClientException",
    "permission": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "invalid_request": "ValidationException",
    "context_length": "ValidationException",
    "rate_limit": "ThrottlingException",
    "quota": "ServiceQuotaExceededException",
    "overloaded": "ServiceUnavailableException",
    "server": "InternalServerException",
    "content_filter": "ValidationException",
}


class _Amazon(Format):
    """What both operations have in common: their messages, and how errors are told."""

    content_type = CONTENT_TYPE
    # There is none; an event of a type that nobody knows means nothing either.
    keep_alive = event_message(b"{}", string_headers(event_type="ping", message_type="event"))
    frame_begin = event_prelude(2**31 - 1)

    def error_body(self, report: Report) -> Any:
        """``{"__type", "message"}``; Amazon says the type in a header, too."""
        return {"__type": ERRORS[report.kind], "message": report.message}

    def error_in_stream(self, report: Report) -> list[Piece]:
        """An exception: a message with the error's name in its headers."""
        name = ERRORS[report.kind]
        headers = string_headers(
            exception_type=name[:1].lower() + name[1:],
            content_type="application/json",
            message_type="exception",
        )
        payload = compact({"message": report.message}).encode()
        return [Piece(event_message(payload, headers))]


class Bedrock(_Amazon):
    """``POST …/model/<model>/converse-stream``, and ``…/converse``."""

    name = "bedrock"
    finish_words: ClassVar = {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "guardrail_intervened",
        "refusal": "end_turn",
    }

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """``messageStart``, a block after another, ``messageStop``, ``metadata``."""
        del request  # no model and no identifier is told
        pieces = [_event("messageStart", role="assistant"), *_blocks(script)]
        reason = self.finish_of(script)
        if reason is not None:
            pieces.append(_event("messageStop", stopReason=reason))
        if script.has_end:
            pieces.append(_event("metadata", **_metadata(script)))
        return pieces

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build a response of ``Converse``: the message, why it stopped, and the usage."""
        del request
        message = {"role": "assistant", "content": list(_whole_blocks(script))}
        answer: dict[str, Any] = {
            "output": {"message": message},
            "stopReason": self.finish_of(script),
        }
        return answer | _metadata(script)

    def is_streamed(self, request: RecordedRequest) -> bool:
        """Return whether the path is that of a stream: the body does not say."""
        return not request.path.endswith("/converse")


class BedrockAnthropic(_Amazon, Anthropic):
    """``POST …/model/<model>/invoke-with-response-stream``, and ``…/invoke``."""

    name = "bedrock-anthropic"
    content_type = CONTENT_TYPE
    keep_alive = _Amazon.keep_alive

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """Anthropic's events, each in base64 in a message of its own."""
        return [
            Piece(_chunk(piece.data), is_delta=piece.is_delta)
            for piece in Anthropic.pieces(self, script, request)
        ]

    def is_streamed(self, request: RecordedRequest) -> bool:
        """Return whether the path is that of a stream: the body does not say."""
        return not request.path.endswith("/invoke")


def _event(kind: str, *, is_delta: bool = False, **fields: Any) -> Piece:
    headers = string_headers(event_type=kind, content_type="application/json", message_type="event")
    # Amazon pads its events, so that their length does not tell what is in them.
    payload = compact({**fields, "p": "abcdefgh"}).encode()
    return Piece(event_message(payload, headers), is_delta=is_delta)


def _chunk(event: bytes) -> bytes:
    _, _, data = event.partition(b"data: ")
    packed = base64.b64encode(data.strip()).decode()
    headers = string_headers(
        event_type="chunk", content_type="application/json", message_type="event"
    )
    return event_message(compact({"bytes": packed, "p": "abcd"}).encode(), headers)


def _blocks(script: Script) -> Iterator[Piece]:
    at = 0
    for deltas in _spoken(script):
        yield from (_delta(at, delta) for delta in deltas)
        yield _event("contentBlockStop", contentBlockIndex=at)
        at += 1
    for number, call in enumerate(script.tool_calls, 1):
        use = {"toolUseId": call.id or f"tooluse_{number}", "name": call.name}
        start = {"toolUse": use}
        yield _event("contentBlockStart", is_delta=True, contentBlockIndex=at, start=start)
        for piece in call.pieces:
            yield _delta(at, {"toolUse": {"input": piece}})
        yield _event("contentBlockStop", contentBlockIndex=at)
        at += 1


def _spoken(script: Script) -> Iterator[list[Mapping[str, Any]]]:
    """The blocks that are not announced: reasoning with its signature, and text."""
    if script.reasoning:
        thoughts = [{"reasoningContent": {"text": text}} for text in script.reasoning]
        yield [*thoughts, {"reasoningContent": {"signature": "c2lnbmF0dXJl"}}]
    if texts := [{"text": text} for text in texts_of(script)]:
        yield [*texts]


def _delta(at: int, delta: Mapping[str, Any]) -> Piece:
    is_signature = "signature" in delta.get("reasoningContent", ())
    return _event("contentBlockDelta", is_delta=not is_signature, contentBlockIndex=at, delta=delta)


def _whole_blocks(script: Script) -> Iterator[Mapping[str, Any]]:
    if script.reasoning:
        words = {"text": "".join(script.reasoning), "signature": "c2lnbmF0dXJl"}
        yield {"reasoningContent": {"reasoningText": words}}
    if text := "".join(texts_of(script)):
        yield {"text": text}
    for number, call in enumerate(script.tool_calls, 1):
        use = {"toolUseId": call.id or f"tooluse_{number}", "name": call.name}
        yield {"toolUse": use | {"input": call.value}}


def _metadata(script: Script) -> dict[str, Any]:
    metrics: dict[str, Any] = {"metrics": {"latencyMs": 420}}
    if script.usage is None:
        return metrics
    prompt, completion = script.usage
    cached = script.cached_tokens or 0
    # `inputTokens` leaves out what came from the cache.
    usage = {
        "inputTokens": prompt - cached,
        "outputTokens": completion,
        "totalTokens": prompt + completion,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": 0,
    }
    return {"usage": usage} | metrics
