"""Builds a chat-completions request from the library's form.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputPart, InputRaw, InputText, Message, ToolCall
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.dialects import Dialect
from steer_llm_sdk.providers.files import with_files_spelled
from steer_llm_sdk.providers.openai_chat.files import spell_file
from steer_llm_sdk.providers.openai_chat.results import with_words_in_results
from steer_llm_sdk.providers.openai_chat.turns import answer_calls, answer_fields
from steer_llm_sdk.providers.reasoning import join_fields, spell_reasoning
from steer_llm_sdk.providers.strict_schema import strict_format, strict_parameters
from steer_llm_sdk.providers.writing import bearer, build_headers, encode_body, without_none


def build_request(
    chat: ChatRequest, endpoint: Endpoint, dialect: Dialect, wire: str
) -> HTTPRequest:
    """Build the HTTP request in a server's dialect.

    Args:
        chat: What is asked.
        endpoint: Where it goes.
        dialect: How the server spells it.
        wire: The name of the wire format: earlier answers that came by it are sent back in full.

    Raises:
        ConfigurationError: The server has no way to say what is asked for, or a value of the
            request cannot be written as JSON.
    """
    url, host = _place(endpoint.base_url)
    dialect = dialect.at(host)
    reasoning = spell_reasoning(chat.reasoning, dialect.reasoning, endpoint.provider)
    chat = with_files_spelled(
        chat, "openai", lambda file: spell_file(file, endpoint.provider, dialect)
    )
    body = _build_body(chat, endpoint.provider, dialect, wire) | reasoning
    body = join_fields(body, chat.extra_body, *reasoning)
    encoded = encode_body(body, endpoint.provider)
    headers = build_headers(endpoint, chat.extra_headers, bearer(endpoint))
    return HTTPRequest(url, encoded, headers)


def _build_body(chat: ChatRequest, provider: str, dialect: Dialect, wire: str) -> dict[str, Any]:
    asks_for_usage = dialect.asks_for_usage and chat.include_usage
    optional = {
        "stream_options": {"include_usage": True} if asks_for_usage else None,
        "temperature": chat.temperature,
        dialect.max_tokens_field: chat.max_tokens,
        "top_p": chat.top_p,
        "stop": list(chat.stop) or None,
        dialect.seed_field: chat.seed,
        "tools": [_build_tool(tool, provider, dialect) for tool in chat.tools] or None,
        "tool_choice": _build_tool_choice(chat.tool_choice, dialect),
        "parallel_tool_calls": chat.parallel_tool_calls if chat.tools else None,
        "response_format": _build_format(chat.response_format, provider, dialect),
    }
    return {
        "model": chat.model,
        "messages": list(_build_messages(chat, dialect, wire)),
        "stream": True,
        **without_none(optional),
        **(dialect.beside_tools if chat.tools else {}),
    }


# --- where to, and as whom --------------------------------------------------------------------


@lru_cache(maxsize=64)
def _place(base_url: str) -> tuple[str, str | None]:
    """The endpoint under a base URL, and its host; a query (Azure's) stays behind the path.

    It is the same for nearly every request of a client.
    """
    parts = urlsplit(base_url)
    path = f"{parts.path.rstrip('/')}/chat/completions"
    return urlunsplit(parts._replace(path=path)), parts.hostname


# --- the conversation -------------------------------------------------------------------------


def _build_messages(chat: ChatRequest, dialect: Dialect, wire: str) -> Iterable[dict[str, Any]]:
    if chat.system:
        yield {"role": "system", "content": chat.system}
    ids = dialect.call_ids
    messages: Iterable[Message] = chat.messages if ids is None else ids.fit(chat.messages)
    if not dialect.shows_in_results:
        messages = with_words_in_results(messages)
    for message in messages:
        yield _build_message(message, dialect, wire)


def _build_message(message: Message, dialect: Dialect, wire: str) -> dict[str, Any]:
    knows_role = message.role != "developer" or dialect.knows_developer_role
    calls = answer_calls(message, wire) if message.answer else message.tool_calls
    said = answer_fields(message, wire) if message.answer else {"content": _build_content(message)}
    fields = {
        "name": message.name,
        "tool_calls": [_build_call(call) for call in calls] or None,
        "tool_call_id": message.tool_call_id,
    }
    return {
        "role": message.role if knows_role else "system",
        **said,
        **without_none(fields),
        **message.extra,
    }


def _build_content(message: Message) -> str | list[dict[str, Any]] | None:
    if not message.parts and message.tool_calls:
        return None
    words = message.only_text
    return words if words is not None else [_build_part(part) for part in message.parts]


def _build_part(part: InputPart) -> dict[str, Any]:
    if isinstance(part, InputText):
        return {"type": "text", "text": part.text}
    if isinstance(part, InputRaw):
        return dict(part.value)
    image = {"url": part.as_url}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _build_call(call: ToolCall) -> dict[str, Any]:
    if call.type == "custom":
        inner: dict[str, Any] = {"custom": {"name": call.name, "input": call.arguments}}
    else:
        # A call without arguments is an empty object: some servers reject an empty text.
        inner = {"function": {"name": call.name, "arguments": call.arguments or "{}"}}
    return {**(call.extra or {}), "id": call.id, "type": call.type, **inner}


# --- tools and formats ------------------------------------------------------------------------


def _build_tool(tool: Tool | RawTool, provider: str, dialect: Dialect) -> dict[str, Any]:
    if isinstance(tool, RawTool):
        return dict(tool.value)
    may_leave_out = not dialect.knows_limits
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": strict_parameters(tool, provider, may_leave_out=may_leave_out),
        "strict": tool.strict,
    }
    return {**tool.extra, "type": "function", "function": without_none(function)}


def _build_tool_choice(choice: ToolChoice | RawTool | None, dialect: Dialect) -> object:
    if choice is None:
        return None
    if isinstance(choice, RawTool):
        return choice.value
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return dialect.required_tool_choice if choice.mode == "required" else choice.mode


def _build_format(wanted: JSONFormat | RawTool | None, provider: str, dialect: Dialect) -> object:
    if wanted is None:
        return None
    if isinstance(wanted, RawTool):
        return wanted.value
    if wanted.schema is None:
        return {"type": "json_object"}
    if not dialect.takes_json_schema:
        raise ConfigurationError(
            f"{provider} takes no JSON schema: ask for "
            '{"type": "json_object"} and describe the wanted object in a message'
        )
    schema, strict = strict_format(wanted, provider, may_leave_out=not dialect.knows_limits)
    fields = {
        "name": wanted.name,
        "description": wanted.description,
        "schema": schema,
        "strict": strict,
    }
    return {"type": "json_schema", "json_schema": without_none(fields)}
