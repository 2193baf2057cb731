"""Rich bodies, as in `support.rich_bodies`, of the formats whose answers are events with names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from support.planted import packed


def _sse(name: str, *events: Any) -> bytes:
    """Events that say their own name, in this field."""
    lines = (f"event: {event[name]}\ndata: {json.dumps(event)}\n\n" for event in events)
    return "".join(lines).encode() + b"data: [DONE]\n\n"


# --- Cohere -----------------------------------------------------------------------------------


def _cohere(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    at = {} if index is None else {"index": index}
    return {"type": kind, **at, "delta": {"message": message}}


_CALL = {
    "id": "call-1",
    "type": "function",
    "function": {"name": "save", "arguments": ""},
    "note": "words",
}
_SOURCE = {"type": "tool", "id": "t:0", "tool_output": {"words": "words"}}
COHERE = _sse(
    "type",
    {"id": "m-1", **_cohere("message-start", role="assistant", content=[], note="words")},
    _cohere("content-start", 0, content={"type": "thinking", "thinking": ""}),
    _cohere("content-delta", 0, content={"thinking": "think "}),
    _cohere("content-delta", 0, content={"thinking": "more"}),
    _cohere("content-end", 0),
    _cohere("content-start", 1, content={"type": "text", "text": "", "note": "words"}),
    {**_cohere("content-delta", 1, content={"text": "one "}), "logprobs": {"text": "one "}},
    _cohere("content-delta", 1, content={"text": "two", "note": "words"}),
    _cohere(
        "citation-start",
        0,
        citations={"start": 0, "end": 3, "text": "one", "sources": [_SOURCE]},
    ),
    _cohere("content-end", 1),
    _cohere("tool-plan-delta", tool_plan="aside "),
    _cohere("tool-plan-delta", tool_plan="and more", note="words"),
    _cohere("tool-call-start", 0, tool_calls=_CALL),
    _cohere("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a": "'}}),
    _cohere(
        "tool-call-delta", 0, tool_calls={"function": {"arguments": 'words"}'}, "note": "words"}
    ),
    _cohere("tool-call-end", 0),
    {"type": "of-the-future", "words": "words"},
    {
        "type": "message-end",
        "note": "words",
        "delta": {
            "finish_reason": "COMPLETE",
            "note": "words",
            "usage": {
                "billed_units": {"input_tokens": 3, "output_tokens": 5},
                "tokens": {"input_tokens": 3, "output_tokens": 5},
                "note": "words",
            },
        },
    },
)


# --- Gemini's interactions --------------------------------------------------------------------


def _begin(index: int, **step: Any) -> dict[str, Any]:
    return {"event_type": "step.start", "index": index, "step": step}


def _change(index: int, **delta: Any) -> dict[str, Any]:
    return {"event_type": "step.delta", "index": index, "delta": delta}


def _stop(index: int) -> dict[str, Any]:
    return {"event_type": "step.stop", "index": index, "event_id": "e-1"}


def _summary(text: str) -> dict[str, Any]:
    return _change(0, type="thought_summary", content={"type": "text", "text": text})


_ANNOTATION = {"type": "url_citation", "url": "https://a.example", "title": "words"}
_INTERACTION = {"id": "i-1", "object": "interaction", "model": "m-1", "note": "words"}
INTERACTIONS = _sse(
    "event_type",
    {
        "event_type": "interaction.created",
        "interaction": {**_INTERACTION, "status": "in_progress"},
        "note": "words",
    },
    _begin(0, type="thought"),
    _summary("think "),
    _summary("more"),
    _change(0, type="thought_signature", signature="sig"),
    _stop(0),
    _begin(1, type="model_output", content=[{"type": "image", "data": "words"}]),
    _change(1, type="text", text="one "),
    _change(1, type="text", text="two", note="words"),
    _change(1, type="text_annotation_delta", annotations=[_ANNOTATION]),
    _change(1, type="of_the_future", words="words"),
    _stop(1),
    _begin(2, type="function_call", id="call-1", name="save", arguments={}, note="words"),
    _change(2, type="arguments_delta", arguments='{"a": "'),
    _change(2, type="arguments_delta", arguments='words"}', note="words"),
    _stop(2),
    _begin(3, type="google_search_call", id="s-1", arguments={"queries": ["words"]}),
    _change(3, type="google_search_call", arguments={"queries": ["words"]}, signature="sig"),
    _stop(3),
    {
        "event_type": "interaction.completed",
        "interaction": {
            **_INTERACTION,
            "status": "requires_action",
            "usage": {
                "total_input_tokens": 3,
                "total_output_tokens": 5,
                "total_tokens": 8,
                "input_tokens_by_modality": [{"modality": "text", "tokens": 3}],
                "note": "words",
            },
        },
    },
)


# --- Amazon's event messages ------------------------------------------------------------------


def _message(kind: str, **payload: Any) -> bytes:
    headers = string_headers(event_type=kind, content_type="application/json", message_type="event")
    return event_message(json.dumps(payload).encode(), headers)


def _delta(at: int, **delta: Any) -> bytes:
    return _message("contentBlockDelta", contentBlockIndex=at, delta=delta, p="abcdef")


def _end(at: int) -> bytes:
    return _message("contentBlockStop", contentBlockIndex=at, note="words")


def _start(at: int, **start: Any) -> bytes:
    return _message("contentBlockStart", contentBlockIndex=at, start=start)


_CITATION = {
    "title": "words",
    "source": "words",
    "sourceContent": [{"text": "words"}],
    "location": {"web": {"url": "words", "domain": "words"}},
}
_USE = {"toolUseId": "call-1", "name": "save", "note": "words"}
_SEARCH = {"toolUseId": "srv-1", "name": "search", "type": "server_tool_use"}
BEDROCK = b"".join(
    [
        _message("messageStart", role="assistant", note="words"),
        _delta(0, reasoningContent={"text": "think "}),
        _delta(0, reasoningContent={"text": "more"}),
        _delta(0, reasoningContent={"signature": "sig"}),
        _delta(0, reasoningContent={"redactedContent": "b3BhcXVl"}),
        _end(0),
        _delta(1, text="one "),
        _delta(1, text="two", note="words"),
        _delta(1, citation=_CITATION),
        _end(1),
        _start(2, toolUse=_USE, note="words"),
        _delta(2, toolUse={"input": '{"a": "'}),
        _delta(2, toolUse={"input": 'words"}', "note": "words"}),
        _end(2),
        _start(3, toolUse=_SEARCH),
        _delta(3, toolUse={"input": '{"query": "words"}'}),
        _end(3),
        _start(4, toolResult={"toolUseId": "srv-1", "type": "search_result", "status": "success"}),
        _delta(4, toolResult=[{"text": "words"}, {"json": {"a": "words"}}]),
        _end(4),
        _start(5, image={"format": "png"}),
        _delta(5, image={"source": {"bytes": "aaaa"}}),
        _end(5),
        _message("ofTheFuture", words="words"),
        _message(
            "messageStop",
            stopReason="end_turn",
            additionalModelResponseFields={"stop_sequence": "words"},
        ),
        _message(
            "metadata",
            usage={"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "note": "words"},
            metrics={"latencyMs": 420},
            trace={
                "promptRouter": {"invokedModelId": "m-2"},
                "guardrail": {"modelOutput": ["words"], "actionReason": "words"},
            },
            performanceConfig={"latency": "standard"},
        ),
    ]
)


def in_chunks(events: bytes) -> bytes:
    """Anthropic's events as they come through Bedrock."""
    lines = (line for line in events.split(b"\n") if line.startswith(b"data: "))
    headers = string_headers(
        event_type="chunk", content_type="application/json", message_type="event"
    )
    return b"".join(event_message(packed(line.removeprefix(b"data: ")), headers) for line in lines)


_EXCEPTION = {
    "message": "words",
    "originalMessage": "words",
    "originalStatusCode": 500,
    "Message": "words",
    "__type": "x#ModelStreamErrorException",
    "note": "words",
}
EVENT_ERRORS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "cohere": (
        {"type": "error", "message": "words", "id": "words", "error_type": "words"},
        {
            "type": "message-end",
            "delta": {"finish_reason": "ERROR", "error": "words", "error_type": "words"},
        },
        {"message": "words", "id": "words"},
    ),
    "gemini-interactions": (
        {"event_type": "error", "error": {"code": "words", "message": "words", "note": "words"}},
        {
            "event_type": "interaction.completed",
            "interaction": {
                "status": "failed",
                "errors": [{"code": "words", "message": "words", "details": "words"}],
            },
        },
    ),
    "bedrock": (_EXCEPTION,),
    "bedrock-anthropic": (_EXCEPTION,),
}


def header_errors(secret: str) -> Iterator[bytes]:
    """Errors of Bedrock that stand in the headers of a message, with a secret in one of them."""
    for code, message in ((secret, "it broke"), ("throttlingException", f"because of {secret}")):
        yield event_message(
            b"", string_headers(error_code=code, error_message=message, message_type="error")
        )
    yield event_message(b"{}", string_headers(exception_type=secret, message_type="exception"))
