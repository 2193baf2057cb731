"""Messages and tools come from anywhere, as JSON: what is wrong is refused, or sent as it is.

Nothing of it ends in an error of Python's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, ProviderSettings, SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions

PNG = "iVBORw0KGgo="
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image", "data": PNG, "media_type": "image/png"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

PARTS: list[dict[str, Any]] = [
    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
    {"type": "text", "text": "a"},
    {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    IMAGE,
    {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "title": "t"},
    {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
    {"type": "file", "file": {"filename": "a.pdf", "file_data": PNG}},
    {"type": "input_file", "file_url": "https://x/a.pdf"},
]

MESSAGES: dict[str, dict[str, Any]] = {
    "words": {"role": "user", "content": "q"},
    **{f"part {at}": {"role": "user", "content": [part]} for at, part in enumerate(PARTS)},
    "blocks": {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "h", "signature": "s"},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
        ],
    },
    "calls": {"role": "assistant", "content": "a", "reasoning_content": "r", "tool_calls": [CALL]},
    "answer": {"role": "tool", "tool_call_id": "c", "name": "f", "content": "x"},
    "result": {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "r"}]}
        ],
    },
    "shown": {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "c", "content": [IMAGE]}],
    },
    "earlier": {
        "role": "assistant",
        "version": 1,
        "content": [
            {"type": "text", "text": "a", "citations": []},
            {"type": "reasoning", "text": "r", "provider_data": {"wire": "anthropic"}},
            {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}", "is_complete": True},
            {"type": "file", "media_type": "image/png", "data": PNG},
        ],
    },
    "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    "output": {"type": "function_call_output", "call_id": "c", "output": "x"},
    "reasoning": {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e"},
    "words of an item": {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "a", "annotations": []}],
    },
    "content": {
        "role": "model",
        "parts": [
            {"text": "a", "thoughtSignature": "s"},
            {"functionCall": {"id": "c", "name": "f", "args": {}}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
            {"fileData": {"fileUri": "https://x/a.png", "mimeType": "image/png"}},
        ],
    },
    "response": {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "c", "name": "f", "response": {}, "parts": [{"text": "a"}]}}
        ],
    },
}

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}},
    {"name": "f", "description": "d", "input_schema": SCHEMA},
    {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
]
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "x", "description": "d", "strict": True, "schema": SCHEMA},
}

NONSENSE: list[Any] = [None, True, 5, "x", [], [[]], [{}], {}, {"type": []}, {"type": {}}]
ASKED = [
    ("openai", "gpt-4o"), ("openai-responses", "gpt-5"), ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-flash"), ("gemini-interactions", "gemini-2.5-flash"), ("ollama", "x"),
    ("mistral", "x"), ("cohere", "x"), ("deepseek", "x"),
]  # fmt: skip
KEYS = {name: ProviderSettings(api_key="k") for name, _ in ASKED if name != "gemini-interactions"}
CLIENT = SteerLLMClient(providers=KEYS)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all that is in a value."""
    if place:
        yield place
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    for key, each in inner.items() if isinstance(inner, dict) else ():
        yield from places(each, (*place, key))


def spoiled(value: Any) -> Iterator[Any]:
    """The value with nonsense in each place."""
    for place in places(value):
        for nonsense in NONSENSE:
            copied = inner = copy.deepcopy(value)
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = copy.deepcopy(nonsense)
            yield copied


def ask(messages: Any, **arguments: Any) -> None:
    """Write the request of each provider; what is refused is refused in words of ours."""
    for provider, model in ASKED:
        try:
            given: Any = {"provider": provider, **arguments}
            plan = CLIENT._plan(messages, model, None, None, StreamingOptions(), given)
            plan.targets[0].request()
        except ConfigurationError:
            continue


def after_a_call(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "q"}, MESSAGES["calls"], message]


@pytest.mark.parametrize("context", [lambda message: [message], after_a_call])
@pytest.mark.parametrize("what", MESSAGES)
def test_nonsense_in_a_message(what: str, context: Callable[[Any], Any]) -> None:
    for message in spoiled(MESSAGES[what]):
        ask(context(message))


@pytest.mark.parametrize("tool", TOOLS)
def test_nonsense_in_a_tool(tool: dict[str, Any]) -> None:
    for given in spoiled(tool):
        ask("q", tools=[given])


def test_nonsense_in_a_response_format() -> None:
    for given in spoiled(FORMAT):
        ask("q", response_format=given)


def test_nonsense_in_the_choice_of_a_tool() -> None:
    for given in spoiled({"type": "function", "function": {"name": "f"}}):
        ask("q", tools=TOOLS[:1], tool_choice=given)
