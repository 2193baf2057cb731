"""Builds a request for Cohere's chat, version 2: https://docs.cohere.com/reference/chat-stream.

What differs from OpenAI's: a tool is chosen by a word alone, so that one by its name is the only
one that is sent; ``top_p`` is ``p``; JSON is ``json_object``, with a schema or without; and what
the model planned before it called comes back as ``tool_plan``, which an assistant's message may
have. Everything else (``documents``, ``citation_options``, …) can be said in ``extra_body``, which
is merged last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.models.messages import InputImage, InputPart, InputText, Message, ToolCall
from steer_llm_sdk.models.parts import CommentaryPart, RefusalPart, TextPart
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.cohere.schema import build_schema
from steer_llm_sdk.providers.files import refused, spell_files
from steer_llm_sdk.providers.reasoning import ReasoningSpelling, join_fields, spell_reasoning
from steer_llm_sdk.providers.writing import (
    bearer,
    build_headers,
    encode_body,
    refuse_one_call_alone,
    without_none,
)

# https://docs.cohere.com/docs/reasoning: a budget in tokens, or none at all.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 24576}
_REASONING = ReasoningSpelling(
    {
        "none": {"thinking": {"type": "disabled"}},
        **{
            word: {"thinking": {"type": "enabled", "token_budget": budget}}
            for word, budget in _BUDGETS.items()
        },
    },
    budget=("thinking", "token_budget"),
)

_WORDS = (TextPart, RefusalPart)

_Object = dict[str, Any]


def build_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the HTTP request that asks `endpoint` for a stream.

    Raises:
        ConfigurationError: Several calls are forbidden, or something in the request cannot be
            written as JSON.
    """
    refuse_one_call_alone(chat, endpoint.provider)
    body = join_fields(_build_body(chat, endpoint.provider), chat.extra_body, "thinking")
    url = f"{endpoint.base_url.rstrip('/')}/v2/chat"
    headers = build_headers(endpoint, chat.extra_headers, bearer(endpoint))
    return HTTPRequest(url, encode_body(body, endpoint.provider), headers)


def _build_body(chat: ChatRequest, provider: str) -> _Object:
    tools = _chosen(chat)
    messages = spell_files(chat.messages, "cohere", lambda file: _no_file(file, provider))
    system = [{"role": "system", "content": chat.system}] if chat.system else []
    fields = {
        "model": chat.model,
        "messages": [*system, *(_build_message(message) for message in messages)],
        "stream": True,
        "temperature": chat.temperature,
        "max_tokens": chat.max_tokens,
        "p": chat.top_p,
        "stop_sequences": list(chat.stop) or None,
        "seed": chat.seed,
        "tools": [_build_tool(tool, provider) for tool in tools] or None,
        "strict_tools": any(isinstance(tool, Tool) and tool.strict for tool in tools) or None,
        "tool_choice": _build_tool_choice(chat.tool_choice),
        "response_format": _build_format(chat.response_format, provider),
        **_build_thinking(chat, provider),
    }
    return without_none(fields)


def _build_thinking(chat: ChatRequest, provider: str) -> _Object:
    fields = spell_reasoning(chat.reasoning, _REASONING, provider)
    if isinstance(chat.reasoning, int):
        fields["thinking"] = {"type": "enabled", **fields["thinking"]}
    return fields


# --- the conversation ---------------------------------------------------------------------------


def _build_message(message: Message) -> _Object:
    if message.answer:
        return _build_answer(message)
    role = "system" if message.role == "developer" else message.role
    fields = {
        "role": role,
        "content": _build_content(message),
        "tool_calls": [_build_call(call) for call in message.tool_calls] or None,
        "tool_call_id": message.tool_call_id,
    }
    return {**without_none(fields), **message.extra}


def _build_answer(message: Message) -> _Object:
    """An earlier answer: its words, its calls, and the plan that it said before them."""
    plan = "".join(part.text for part in message.answer if isinstance(part, CommentaryPart))
    words = "".join(part.text for part in message.answer if isinstance(part, _WORDS))
    fields = {
        "role": "assistant",
        "content": words or None,
        "tool_plan": plan or None,
        "tool_calls": [_build_call(call) for call in message.tool_calls] or None,
    }
    return without_none(fields)


def _build_content(message: Message) -> str | list[_Object] | None:
    if not message.parts and message.tool_calls:
        return None
    words = message.only_text
    return words if words is not None else [_build_part(part) for part in message.parts]


def _no_file(file: InputFile, provider: str) -> NoReturn:
    raise refused(file, provider, "words or images")


def _build_part(part: InputPart) -> _Object:
    if isinstance(part, InputText):
        return {"type": "text", "text": part.text}
    if isinstance(part, InputImage):
        image = {"url": part.as_url, "detail": part.detail}
        return {"type": "image_url", "image_url": without_none(image)}
    return dict(part.value)


def _build_call(call: ToolCall) -> _Object:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {**(call.extra or {}), "id": call.id, "type": "function", "function": function}


# --- tools and formats ----------------------------------------------------------------------------


def _chosen(chat: ChatRequest) -> Sequence[Tool | RawTool]:
    """The tools; the one alone that is asked for by its name."""
    choice = chat.tool_choice
    if not isinstance(choice, ToolChoice) or choice.mode != "tool":
        return chat.tools
    return [tool for tool in chat.tools if not isinstance(tool, Tool) or tool.name == choice.name]


def _build_tool(tool: Tool | RawTool, provider: str) -> _Object:
    if isinstance(tool, RawTool):
        return dict(tool.value)
    # Only a strict tool has to be one that their grammar can follow.
    parameters = build_schema(tool.parameters, provider) if tool.strict else tool.parameters
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {**tool.extra, "type": "function", "function": without_none(function)}


def _build_tool_choice(choice: ToolChoice | RawTool | None) -> object:
    if isinstance(choice, RawTool):
        return choice.value
    words = {"required": "REQUIRED", "tool": "REQUIRED", "none": "NONE"}
    return None if choice is None else words.get(choice.mode)


def _build_format(wanted: JSONFormat | RawTool | None, provider: str) -> object:
    if isinstance(wanted, RawTool):
        return wanted.value
    if wanted is None:
        return None
    schema = build_schema(wanted.schema, provider, closes=wanted.is_of_type)
    return without_none({"type": "json_object", "json_schema": schema})
