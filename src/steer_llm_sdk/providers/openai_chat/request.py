"""A chat-completions request, spelled from the library's form.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

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


def spell_request(chat: ChatRequest, endpoint: Endpoint, dialect: Dialect) -> HTTPRequest:
    """Spell a request in a server's dialect.

    Raises:
        ConfigurationError: The server has no way to say what is asked for, or a value of the
            request cannot be written as JSON.
    """
    dialect = dialect.at(urlsplit(endpoint.base_url).hostname)
    body = _body(chat, endpoint.provider, dialect) | dict(chat.extra_body)
    try:
        encoded = msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"the request cannot be written as JSON: {error}") from None
    headers = _headers(endpoint, chat.extra_headers, dialect)
    return HTTPRequest(_url(endpoint.base_url, dialect), encoded, headers)


def _body(chat: ChatRequest, provider: str, dialect: Dialect) -> dict[str, Any]:
    asks_for_usage = dialect.asks_for_usage and chat.include_usage
    optional = {
        "stream_options": {"include_usage": True} if asks_for_usage else None,
        "temperature": chat.temperature,
        dialect.max_tokens_field: chat.max_tokens,
        "top_p": chat.top_p,
        "stop": list(chat.stop) or None,
        dialect.seed_field: chat.seed,
        "tools": [_tool(tool) for tool in chat.tools] or None,
        "tool_choice": _tool_choice(chat.tool_choice, dialect),
        "response_format": _response_format(chat.response_format, provider, dialect),
    }
    said = {key: value for key, value in optional.items() if value is not None}
    return {
        "model": chat.model,
        "messages": list(_messages(chat, dialect)),
        "stream": True,
        **said,
    }


# --- where to, and as whom --------------------------------------------------------------------


def _url(base_url: str, dialect: Dialect) -> str:
    """The endpoint under a base URL; a query (Azure's ``api-version``) stays behind the path."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/") or dialect.base_path
    return urlunsplit(parts._replace(path=f"{path}/chat/completions"))


def _headers(endpoint: Endpoint, extra: Mapping[str, str], dialect: Dialect) -> dict[str, str]:
    """The headers, their names in lower case, so that the caller's replace the library's."""
    headers = {"content-type": "application/json", "accept": "text/event-stream"}
    if endpoint.api_key:
        is_bearer = dialect.key_header == "authorization"
        headers[dialect.key_header] = (
            f"Bearer {endpoint.api_key}" if is_bearer else endpoint.api_key
        )
    for given in (endpoint.headers, extra):
        headers.update({name.lower(): value for name, value in given.items()})
    return headers


# --- the conversation -------------------------------------------------------------------------


def _messages(chat: ChatRequest, dialect: Dialect) -> Iterable[dict[str, Any]]:
    if chat.system:
        yield {"role": "system", "content": chat.system}
    for message in chat.messages:
        yield _message(message, dialect)


def _message(message: Message, dialect: Dialect) -> dict[str, Any]:
    knows_role = message.role != "developer" or dialect.knows_developer_role
    spelled: dict[str, Any] = {
        "role": message.role if knows_role else "system",
        "content": _content(message),
    }
    if message.name is not None:
        spelled["name"] = message.name
    if message.tool_calls:
        spelled["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        spelled["tool_call_id"] = message.tool_call_id
    return spelled | dict(message.extra)


def _content(message: Message) -> str | list[dict[str, Any]] | None:
    if not message.parts and message.tool_calls:
        return None
    words = message.only_text
    return words if words is not None else [_part(part) for part in message.parts]


def _part(part: InputPart) -> dict[str, Any]:
    if isinstance(part, InputText):
        return {"type": "text", "text": part.text}
    if isinstance(part, InputRaw):
        return dict(part.value)
    image = {"url": part.as_url}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    if call.type == "custom":
        inner: dict[str, Any] = {"custom": {"name": call.name, "input": call.arguments}}
    else:
        # A call without arguments is an empty object: some servers reject an empty text.
        inner = {"function": {"name": call.name, "arguments": call.arguments or "{}"}}
    return {"id": call.id, "type": call.type, **inner, **(call.extra or {})}


# --- tools and formats ------------------------------------------------------------------------


def _tool(tool: Tool | RawTool) -> dict[str, Any]:
    if isinstance(tool, RawTool):
        return dict(tool.value)
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    said = {key: value for key, value in function.items() if value is not None}
    return {**tool.extra, "type": "function", "function": said}


def _tool_choice(choice: ToolChoice | RawTool | None, dialect: Dialect) -> object:
    if choice is None:
        return None
    if isinstance(choice, RawTool):
        return choice.value
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return dialect.required_tool_choice if choice.mode == "required" else choice.mode


def _response_format(
    wanted: JSONFormat | RawTool | None, provider: str, dialect: Dialect
) -> object:
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
    schema = {
        "name": wanted.name,
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    said = {key: value for key, value in schema.items() if value is not None}
    return {"type": "json_schema", "json_schema": said}
