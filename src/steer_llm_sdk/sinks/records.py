"""Makes the records of a stream, out of what was asked for and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from steer_llm_sdk.models.cost import cost_usd
from steer_llm_sdk.models.messages import InputImage, InputText, Message
from steer_llm_sdk.models.records import StreamRecord, record_of
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import Gaps, StreamingResponse, measures_of
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
    """What a stream came to, as it is noted where it ends: what takes long is worked out elsewhere.

    It holds neither the answer nor what was asked for: those are large, and are freed where the
    stream was, as soon as its caller lets go of them.

    Attributes:
        known: The fields of the record that are known at once.
        retries: What became of the requests before the last.
        measure: Computes how fast the stream was.
        gaps: … and the times between its deltas.
        provider_usage: What the provider said of usage, and of costs.
    """

    known: dict[str, Any]
    retries: Sequence[Mapping[str, Any]]
    measure: Callable[[], dict[str, Any]]
    gaps: Callable[[], Gaps]
    provider_usage: object


def asked_of(plan: Plan, response: StreamingResponse, started_at: float) -> dict[str, Any]:
    """The fields of a record that are known when the stream begins.

    Args:
        plan: What was asked for.
        response: The response, which is still empty.
        started_at: The Unix time.
    """
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
        "metrics": {},
    }


def ending_of(
    asked: Mapping[str, Any],
    response: StreamingResponse,
    *,
    duration: float,
    attempts: int,
    retries: Sequence[Mapping[str, Any]],
    base_url: str,
) -> Ending:
    """Note what a stream came to.

    Args:
        asked: What was known when it began, from `asked_of`.
        response: What it came to.
        duration: How long it took, in seconds.
        attempts: How many requests were sent.
        retries: What became of those before the last.
        base_url: Where the last one went.
    """
    error, told, usage = response.error, response.metadata, response.usage
    known = dict(asked)
    known["provider"] = response.provider  # another one may have answered
    known["model"] = response.model
    host, port = server_of(base_url)
    if host is not None:
        known["server_address"] = host
        known["server_port"] = port
    known["ended_at"] = known["started_at"] + duration
    known["attempts"] = attempts
    known["finish_reason"] = response.finish_reason
    known["usage"] = None if usage is None else dict(usage)
    known["usage_is_estimated"] = response.usage_is_estimated
    known["response_model"] = told.get("response_model")
    known["response_id"] = told.get("response_id")
    known["provider_request_id"] = told.get("provider_request_id")
    known["provider_finish_reason"] = told.get("provider_finish_reason")
    if "recovered" in told:
        known["recoveries"] = len(told["recovered"])
    if error is None:
        known["outcome"] = "completed"
    else:
        known |= _told_of(error)
    measure, gaps = measures_of(response)
    return Ending(known, tuple(retries), measure, gaps, told.get("provider_usage"))


def ended_record(ending: Ending, worked_out: Mapping[str, Any]) -> StreamRecord:
    """The record of a stream that has ended, without words.

    Args:
        ending: What it came to.
        worked_out: What `worked_out` gives; nothing, where it could not be.
    """
    return record_of({**ending.known, **worked_out})


def worked_out(ending: Ending) -> dict[str, Any]:
    """How fast a stream was, what it cost, and what became of its earlier requests."""
    known = ending.known
    return {
        "metrics": ending.measure(),
        "gaps": ending.gaps(),
        "retries": tuple(map(_without_message, ending.retries)),
        "cost_usd": cost_usd(
            known["provider"],
            known["response_model"],
            known["model"],
            known["usage"],
            ending.provider_usage,
        ),
    }


def with_prompt(record: StreamRecord, plan: Plan) -> StreamRecord:
    """The record with the prompt."""
    return record.replace(content=content_of(plan.targets[0].chat))


def with_answer(
    record: StreamRecord,
    plan: Plan,
    response: StreamingResponse,
    retries: Sequence[Mapping[str, Any]],
) -> StreamRecord:
    """The record of a stream that has ended with the prompt, the answer and what errors say."""
    content = content_of(plan.targets[0].chat)
    content |= {
        "text": response.get_text(),
        "reasoning": response.reasoning,
        "refusal": response.refusal,
        "tool_calls": plain(response.tool_calls),
    }
    message = None if response.error is None else str(response.error)
    told = tuple(plain(each) for each in retries)
    return record.replace(content=content, error_message=message, retries=told)


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


def _told_of(error: SteerError) -> dict[str, Any]:
    return {
        "outcome": "cancelled" if isinstance(error, StreamCancelledError) else "failed",
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
