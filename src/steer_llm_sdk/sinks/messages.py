"""Prompts and answers in the form that OpenTelemetry's conventions have for them, as JSON.

https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai/gen-ai-input-messages.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.stored import write_json


def input_messages(content: Mapping[str, Any]) -> str:
    """The messages that were sent: each ``{"role", "parts"}``."""
    return write_json([_message(each) for each in content.get("messages", ())])


def system_instructions(content: Mapping[str, Any]) -> str | None:
    """The system prompt, where it was given beside the messages."""
    system = content.get("system")
    return write_json([_text(system)]) if system else None


def output_messages(content: Mapping[str, Any], finish_reason: str | None) -> str | None:
    """The answer: one message, with why the model stopped; None before there is one."""
    parts = list(_said(content))
    if not parts:
        return None
    return write_json(
        [{"role": "assistant", "parts": parts, "finish_reason": finish_reason or "error"}]
    )


def _said(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if content.get("reasoning"):
        yield {"type": "reasoning", "content": content["reasoning"]}
    for words in (content.get("text"), content.get("refusal")):
        if words:
            yield _text(words)
    yield from (_call(call) for call in content.get("tool_calls", ()))


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    words = message.get("content")
    parts = [_text(words)] if isinstance(words, str) else [_part(each) for each in words or ()]
    if message.get("tool_call_id") is not None:
        answer = words if isinstance(words, str) else parts
        parts = [{"type": "tool_call_response", "id": message["tool_call_id"], "response": answer}]
    elif words == "":
        parts = []
    parts += [_call(call) for call in message.get("tool_calls", ())]
    return {"role": message["role"], "parts": parts}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return _text(part["text"])
    if part.get("url"):
        return {"type": "uri", "modality": "image", "uri": part["url"]}
    return dict(part)


def _text(words: str) -> dict[str, Any]:
    return {"type": "text", "content": words}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": call.get("name"),
        "arguments": _value(call.get("arguments")),
    }


def _value(arguments: Any) -> Any:
    """The arguments as a value, where they are JSON."""
    try:
        return json.loads(arguments)
    except (TypeError, ValueError, RecursionError):
        return arguments
