"""Makes the records of a stream, out of what was asked for and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from steer_llm_sdk.config import USUAL_PORTS
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.errors import (
    ConfigurationError,
    IncompleteStreamError,
    ProviderError,
    SteerError,
    StreamCancelledError,
    TransportError,
)
from steer_llm_sdk.models.messages import InputImage, InputText, Message
from steer_llm_sdk.models.records import Outcome, StreamRecord, record_of
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse, gaps_of
from steer_llm_sdk.sinks.runs import OF_RUN
from steer_llm_sdk.stored import plain

# Their messages are the library's own, and quote nothing of a prompt or an answer.
_WITHOUT_QUOTES = (
    ConfigurationError,
    IncompleteStreamError,
    StreamCancelledError,
    TransportError,
)


@dataclass(slots=True)
class Ending:
    """What a stream came to, as it is noted in its event loop: the rest is worked out elsewhere."""

    response: StreamingResponse
    error: SteerError | None
    usage: Mapping[str, int] | None
    metadata: Mapping[str, Any]
    ended_at: float
    attempts: int
    retries: Sequence[Mapping[str, Any]]
    base_url: str


def begun_record(plan: Plan, response: StreamingResponse, started_at: float) -> StreamRecord:
    """The record of a stream that begins.

    Args:
        plan: What was asked for.
        response: The response, which is still empty.
        started_at: The Unix time.
    """
    return record_of(_asked(plan, response, started_at) | {"metrics": {}})


def ended_record(plan: Plan, started_at: float, ending: Ending) -> StreamRecord:
    """The record of a stream that has ended, without words."""
    response, error, told = ending.response, ending.error, ending.metadata
    record = _asked(plan, response, started_at)
    host, port = server_of(ending.base_url)
    if host is not None:
        record["server_address"] = host
        record["server_port"] = port
    if error is not None:
        record |= _told_of(error)
    if ending.retries:
        record["retries"] = tuple(map(_without_message, ending.retries))
    if "recovered" in told:
        record["recoveries"] = len(told["recovered"])
    record["response_model"] = told.get("response_model")
    record["response_id"] = told.get("response_id")
    record["provider_request_id"] = told.get("provider_request_id")
    record["ended_at"] = ending.ended_at
    record["outcome"] = _outcome(error)
    record["finish_reason"] = response.finish_reason
    record["provider_finish_reason"] = told.get("provider_finish_reason")
    record["attempts"] = ending.attempts
    record["usage"] = ending.usage
    record["usage_is_estimated"] = response.usage_is_estimated
    record["cost_usd"] = response.cost_usd
    record["metrics"] = response.metrics
    record["gaps"] = gaps_of(response)
    return record_of(record)


def short_record(plan: Plan, started_at: float, ending: Ending) -> StreamRecord:
    """The record of a stream that has ended, with what needs no working out."""
    error = ending.error
    return begun_record(plan, ending.response, started_at).replace(
        ended_at=ending.ended_at,
        outcome=_outcome(error),
        attempts=ending.attempts,
        error_type=None if error is None else type(error).__name__,
    )


def _asked(plan: Plan, response: StreamingResponse, started_at: float) -> dict[str, Any]:
    """What is known of a stream when it begins."""
    target, metadata = plan.targets[0], plan.metadata
    host, port = server_of(target.base_url)
    return {
        "stream_id": response.stream_id,
        "request_id": response.request_id,
        "provider": response.provider,
        "model": response.model,
        "server_address": host,
        "server_port": port,
        "started_at": started_at,
        "is_json": plan.is_json,
        "parameters": _parameters(target.chat),
        "metadata": _own_metadata(metadata),
        "run_id": plan.run_id,
        "turn": metadata.get("turn"),
    }


def with_words(record: StreamRecord, plan: Plan, ending: Ending | None) -> StreamRecord:
    """The record with the prompt and, where the stream has ended, with the answer."""
    content = content_of(plan.targets[0].chat)
    if ending is None:
        return record.replace(content=content)
    response, error = ending.response, ending.error
    content |= {
        "text": response.get_text(),
        "reasoning": response.reasoning,
        "refusal": response.refusal,
        "tool_calls": plain(response.tool_calls),
    }
    message = None if error is None else str(error)
    retries = tuple(plain(each) for each in ending.retries)
    return record.replace(content=content, error_message=message, retries=retries)


def content_of(chat: ChatRequest) -> dict[str, Any]:
    """What was asked, as plain data: attachments by their kind alone."""
    return {
        "system": chat.system,
        "messages": [_message(each) for each in chat.messages],
        "tools": [plain(each) for each in chat.tools],
    }


@lru_cache(maxsize=256)
def server_of(url: str) -> tuple[str | None, int | None]:
    """The host and the port of a URL; None where there is none."""
    parts = urlsplit(url)
    return parts.hostname, parts.port or USUAL_PORTS.get(parts.scheme)


def _own_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(metadata)
    for name in OF_RUN:
        own.pop(name, None)
    return own


def _parameters(chat: ChatRequest) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if chat.temperature is not None:
        given["temperature"] = chat.temperature
    if chat.max_tokens is not None:
        given["max_tokens"] = chat.max_tokens
    if chat.top_p is not None:
        given["top_p"] = chat.top_p
    if chat.seed is not None:
        given["seed"] = chat.seed
    if chat.stop:
        given["stop"] = list(chat.stop)
    return given


def _outcome(error: SteerError | None) -> Outcome:
    if error is None:
        return "completed"
    return "cancelled" if isinstance(error, StreamCancelledError) else "failed"


def _told_of(error: SteerError) -> dict[str, Any]:
    return {
        "error_type": type(error).__name__,
        "error_message": message_without_quotes(error),
        "error_status": getattr(error, "status", None),
        "is_retryable": error.is_retryable,
    }


def message_without_quotes(error: SteerError) -> str | None:
    """What an error says, as far as it cannot quote a prompt or an answer; else None."""
    if isinstance(error, ProviderError):
        what = error.code or type(error).__name__
        return f"{error.provider or 'provider'} ({error.status or '?'}): {what}"
    return str(error) if isinstance(error, _WITHOUT_QUOTES) else None


def _without_message(retry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in retry.items() if name != "message"}


def _message(message: Message) -> dict[str, Any]:
    only_text = message.only_text
    said: dict[str, Any] = {
        "role": message.role,
        "content": [_part(each) for each in message.parts] if only_text is None else only_text,
    }
    if message.tool_calls:
        said["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    return said


def _part(part: object) -> dict[str, Any]:
    if isinstance(part, InputText):
        return {"type": "text", "text": part.text}
    if isinstance(part, InputImage):
        return {"type": "image", "media_type": part.media_type, "url": part.url}
    kind = getattr(part, "value", {}).get("type")
    return {"type": str(kind or type(part).__name__)}
