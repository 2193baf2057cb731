"""A body for each wire format that has every field which may repeat the model's words.

Made of the shapes that the providers document, with short words; the recorded streams have more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from support.rich_events import BEDROCK, COHERE, EVENT_ERRORS, INTERACTIONS, in_chunks


def _sse(*values: Any, named: bool = False, done: bool = False) -> bytes:
    lines = []
    for value in values:
        name = f"event: {value['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(value)}\n\n")
    return "".join(lines).encode() + (b"data: [DONE]\n\n" if done else b"")


def _chat(delta: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    first = {"index": 0, "delta": delta or {}, "finish_reason": None, **choice}
    return {"id": "chat-1", "object": "chat.completion.chunk", "model": "m-1", "choices": [first]}


_TOKENS = [{"token": "one", "logprob": -0.1, "bytes": [111, 110], "top_logprobs": []}]
_DETAILS = [
    {"type": "reasoning.text", "text": "think", "signature": "sig", "format": "f", "index": 0},
    {"type": "reasoning.encrypted", "data": "opaque", "id": "rs-1"},
    {"type": "reasoning.summary", "summary": "think", "data": "x"},
]
_CALL = {
    "index": 0,
    "id": "call-1",
    "type": "function",
    "function": {"name": "save", "arguments": '{"a": "'},
    "extra_content": {"google": {"thought_signature": "sig", "thoughts": "words"}},
}
_OPENAI = _sse(
    _chat({"role": "assistant", "content": "", "refusal": None}),
    _chat({"reasoning_content": "think ", "reasoning_details": _DETAILS}),
    _chat({"reasoning_content": "more ", "reasoning_details": _DETAILS}),
    _chat({"content": "one "}, logprobs={"content": _TOKENS, "refusal": None}),
    _chat({"content": "two "}, logprobs={"content": _TOKENS, "refusal": _TOKENS}),
    _chat({"content": "three", "annotations": [{"url_citation": {"title": "t", "url": "u"}}]}),
    _chat({"content": [{"type": "text", "text": "four"}, {"type": "image", "alt": "five"}]}),
    _chat({"refusal": "no "}),
    _chat({"refusal": "never"}),
    _chat({"strange": "words", "stranger": {"text": "words"}, "audio": {"transcript": "words"}}),
    _chat({"tool_calls": [_CALL]}),
    _chat({"tool_calls": [{"index": 0, "function": {"arguments": "words"}}]}),
    _chat({"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]}),
    {
        "id": "chat-1",
        "system_fingerprint": "fp",
        "service_tier": "default",
        "citations": ["https://a.example/words"],
        "search_results": [{"title": "words", "snippet": "words"}],
        "choices": [
            {"index": 1, "delta": {"content": "other "}, "logprobs": {"content": _TOKENS}},
            {"index": 2, "delta": {"reasoning": "other", "tool_calls": [_CALL]}},
        ],
    },
    _chat(
        {},
        finish_reason="stop",
        native_finish_reason="end",
        stop_reason="words",
        content_filter_results={"hate": {"severity": "safe", "text": "words"}},
    ),
    {
        "id": "chat-1",
        "choices": [],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 5,
            "total_tokens": 8,
            "cost": 0.1,
            "note": "words",
            "completion_tokens_details": {"reasoning_tokens": 1, "said": ["words"]},
        },
    },
    done=True,
)


def _response(**more: Any) -> dict[str, Any]:
    return {"id": "resp-1", "object": "response", "model": "m-1", "status": "completed", **more}


_PART = {"type": "output_text", "text": "one two", "logprobs": _TOKENS}
_ANNOTATION = {"type": "url_citation", "title": "words", "url": "https://a.example", "index": 0}
_MESSAGE = {
    "id": "msg-1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{**_PART, "annotations": [_ANNOTATION]}],
}
_THOUGHT = {
    "id": "rs-1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "think more"}],
    "encrypted_content": "opaque",
    "status": "completed",
}
_FUNCTION = {
    "id": "fc-1",
    "type": "function_call",
    "call_id": "call-1",
    "name": "save",
    "arguments": '{"a": "words"}',
    "status": "completed",
    "namespace": "tools",
}
_SEARCH = {
    "id": "ws-1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "words"},
}


def _item(kind: str, index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": item}


def _of_message(kind: str, **more: Any) -> dict[str, Any]:
    place = {"item_id": "msg-1", "output_index": 1, "content_index": 0}
    return {"type": f"response.{kind}", **place, **more}


def _of_thought(kind: str, **more: Any) -> dict[str, Any]:
    place = {"item_id": "rs-1", "output_index": 0, "summary_index": 0}
    return {"type": f"response.reasoning_summary_{kind}", **place, **more}


def _of_call(kind: str, **more: Any) -> dict[str, Any]:
    place = {"item_id": "fc-1", "output_index": 2}
    return {"type": f"response.function_call_arguments.{kind}", **place, **more}


_RESPONSES = _sse(
    {"type": "response.created", "response": _response(status="in_progress", output=[])},
    _item("added", 0, {**_THOUGHT, "summary": [], "status": "in_progress"}),
    _of_thought("text.delta", delta="think "),
    _of_thought("text.delta", delta="more"),
    _of_thought("text.done", text="think more"),
    _item("done", 0, _THOUGHT),
    _item("added", 1, {**_MESSAGE, "content": [], "status": "in_progress"}),
    _of_message("output_text.delta", delta="one ", logprobs=_TOKENS),
    _of_message("output_text.delta", delta="two", logprobs=_TOKENS),
    _of_message("output_text.annotation.added", annotation=_ANNOTATION, annotation_index=0),
    _of_message("output_text.done", text="one two", logprobs=_TOKENS),
    _of_message("refusal.delta", delta="no "),
    _of_message("refusal.delta", delta="never"),
    _item("done", 1, _MESSAGE),
    _item("added", 2, {**_FUNCTION, "arguments": "", "status": "in_progress"}),
    _of_call("delta", delta='{"a": "'),
    _of_call("delta", delta='words"}'),
    _of_call("done", arguments='{"a": "words"}'),
    _item("done", 2, _FUNCTION),
    _item("done", 3, _SEARCH),
    {"type": "response.strange", "words": "words", "delta": {"text": "words"}},
    {
        "type": "response.completed",
        "response": _response(
            output=[_THOUGHT, _MESSAGE, _FUNCTION, _SEARCH],
            output_text="one two",
            service_tier="default",
            metadata={"note": "words"},
            usage={
                "input_tokens": 3,
                "output_tokens": 5,
                "total_tokens": 8,
                "input_tokens_details": {"cached_tokens": 1, "note": "words"},
            },
        ),
    },
    named=True,
)


def _start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _piece(index: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def _stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


_CITED = {"type": "char_location", "cited_text": "words", "document_title": "title"}
_ANTHROPIC = _sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg-1",
            "type": "message",
            "role": "assistant",
            "model": "m-1",
            "content": [],
            "usage": {"input_tokens": 3, "output_tokens": 1, "service_tier": "standard"},
        },
    },
    _start(0, {"type": "thinking", "thinking": "", "signature": ""}),
    _piece(0, "thinking_delta", thinking="think "),
    _piece(0, "thinking_delta", thinking="more"),
    _piece(0, "signature_delta", signature="sig"),
    _stop(0),
    _start(1, {"type": "redacted_thinking", "data": "opaque"}),
    _stop(1),
    _start(2, {"type": "text", "text": "", "citations": [_CITED]}),
    _piece(2, "text_delta", text="one "),
    _piece(2, "citations_delta", citation=_CITED),
    _piece(2, "text_delta", text="two"),
    _stop(2),
    _start(
        3,
        {
            "type": "tool_use",
            "id": "call-1",
            "name": "save",
            "input": {},
            "caller": {"type": "direct", "said": "words"},
        },
    ),
    _piece(3, "input_json_delta", partial_json='{"a": "'),
    _piece(3, "input_json_delta", partial_json='words"}'),
    _stop(3),
    _start(4, {"type": "server_tool_use", "id": "srv-1", "name": "web_search", "input": {}}),
    _piece(4, "input_json_delta", partial_json='{"query": "words"}'),
    _stop(4),
    _start(
        5,
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srv-1",
            "content": [{"type": "web_search_result", "title": "words", "url": "u"}],
        },
    ),
    _stop(5),
    {
        "type": "message_delta",
        "delta": {
            "stop_reason": "end_turn",
            "stop_sequence": "words",
            "container": {"id": "c-1", "note": "words"},
            "stop_details": {"explanation": "words"},
        },
        "usage": {"output_tokens": 5, "note": "words", "iterations": [{"type": "words"}]},
        "context_management": {"applied_edits": [{"type": "words"}]},
    },
    {"type": "message_stop"},
    named=True,
)


def _gemini(*parts: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    return {
        "candidates": [
            {"content": {"parts": list(parts), "role": "model"}, "index": 0, **candidate}
        ],
        "modelVersion": "m-1",
        "responseId": "resp-1",
    }


_GEMINI = _sse(
    _gemini({"text": "think ", "thought": True}),
    _gemini({"text": "more", "thought": True, "thoughtSignature": "sig"}),
    _gemini(
        {"text": "one "}, logprobsResult={"chosenCandidates": [{"token": "one", "tokenId": 1}]}
    ),
    _gemini({"text": "two", "thoughtSignature": "sig"}, avgLogprobs=-0.1),
    _gemini(
        {"executableCode": {"language": "PYTHON", "code": "words"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "words"}},
        {"inlineData": {"mimeType": "image/png", "data": "aaaa"}},
        citationMetadata={"citationSources": [{"uri": "words", "license": "words"}]},
        groundingMetadata={
            "webSearchQueries": ["words"],
            "searchEntryPoint": {"renderedContent": "words"},
            "groundingChunks": [{"web": {"uri": "u", "title": "words"}}],
        },
        urlContextMetadata={"urlMetadata": [{"retrievedUrl": "words"}]},
    ),
    _gemini(
        {
            "functionCall": {"name": "save", "args": {"a": "words"}, "id": "call-1"},
            "thoughtSignature": "sig",
        }
    ),
    {
        **_gemini(
            finishReason="STOP",
            finishMessage="words",
            safetyRatings=[{"category": "c", "probability": "words"}],
        ),
        "candidates": [
            {
                "content": {"parts": [{"text": ""}]},
                "finishReason": "STOP",
                "finishMessage": "words",
            },
            {"content": {"parts": [{"text": "other"}]}, "index": 1, "finishMessage": "words"},
        ],
        "promptFeedback": {"blockReasonMessage": "words"},
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 5,
            "totalTokenCount": 8,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
        },
    },
)


def _ollama(message: dict[str, Any], **more: Any) -> bytes:
    about = {"model": "m-1", "created_at": "2026-01-01T00:00:00Z"}
    said = {"role": "assistant", "content": "", **message}
    return json.dumps({**about, "message": said, "done": False, **more}).encode() + b"\n"


_OLLAMA_CALL = {"id": "call-1", "function": {"name": "save", "arguments": {"a": "words"}}}
_OLLAMA = b"".join(
    [
        _ollama({"thinking": "think "}),
        _ollama({"thinking": "more"}),
        _ollama({"content": "one "}, logprobs=[{"token": "one", "logprob": -0.1}]),
        _ollama({"content": "two", "images": ["words"]}),
        _ollama({"tool_calls": [_OLLAMA_CALL], "tool_name": "words"}),
        _ollama(
            {}, done=True, done_reason="stop", prompt_eval_count=3, eval_count=5, strange="words"
        ),
    ]
)


def _mistral(content: Any) -> dict[str, Any]:
    return _chat({"content": content})


_MISTRAL = _sse(
    _mistral([{"type": "thinking", "thinking": [{"type": "text", "text": "think"}]}]),
    _mistral([{"type": "text", "text": "one "}, {"type": "reference", "reference_ids": ["words"]}]),
    _mistral("two "),
    _mistral("three"),
    _chat({"tool_calls": [_CALL]}),
    _chat({"tool_calls": [{"index": 0, "function": {"arguments": 'words"}'}}]}),
    {
        **_chat({}, finish_reason="stop"),
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8, "note": "words"},
    },
    done=True,
)

RICH: Mapping[str, bytes] = {
    "openai-chat": _OPENAI,
    "openai-responses": _RESPONSES,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "mistral": _MISTRAL,
    "ollama": _OLLAMA,
    "cohere": COHERE,
    "gemini-interactions": INTERACTIONS,
    "bedrock": BEDROCK,
    "bedrock-anthropic": in_chunks(_ANTHROPIC),
}


def _openai_error(**more: Any) -> dict[str, Any]:
    return {"error": {"message": "words", "type": "server_error", "code": "c", **more}}


_ANTHROPIC_ERROR = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": "words", "details": {"why": "words"}},
    "request_id": "words",
}

# What each format sends when it fails: inside the stream, and as the body of a status.
ERRORS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "openai-chat": (
        _openai_error(param="words", metadata={"raw": "words", "provider_name": "p"}),
        {**_openai_error(), "request_id": "words", "user_id": "words"},
        {"detail": "words"},
        {"message": "words", "code": 500},
    ),
    "openai-responses": (
        {"type": "error", "code": "server_error", "message": "words", "param": "words"},
        {
            "type": "response.failed",
            "response": _response(
                status="failed", error={"code": "server_error", "message": "words"}
            ),
        },
        {
            "type": "response.incomplete",
            "response": _response(status="incomplete", incomplete_details={"reason": "words"}),
        },
    ),
    "anthropic": (_ANTHROPIC_ERROR,),
    "gemini": (
        {
            "error": {
                "code": 503,
                "message": "words",
                "status": "UNAVAILABLE",
                "details": [{"@type": "t", "reason": "words", "metadata": {"m": "words"}}],
            }
        },
        {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "words"}},
        {
            "candidates": [
                {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "words", "index": 0}
            ]
        },
    ),
    "mistral": (
        {"object": "error", "message": "words", "type": "t", "code": "words"},
        {"detail": [{"loc": ["words"], "msg": "words"}]},
    ),
    "ollama": ({"error": "words"}, {"error": {"message": "words", "type": "words"}}),
    **EVENT_ERRORS,
    "bedrock-anthropic": (*EVENT_ERRORS["bedrock-anthropic"], _ANTHROPIC_ERROR),
}
