"""Builds a request for Ollama: https://docs.ollama.com/api/chat.

What differs from the library's own form: a message is flat, its words one string and its images a
list of base64; arguments of tool calls are objects; a tool's answer names the function; how to
generate stands in ``options``, and ``format`` is a schema or ``"json"``.

What has no spelling: an image by URL, a part in another provider's spelling and the choice of a
tool are refused with an error (that no tool be called is said by sending none). An image's
``detail``, a speaker's ``name`` and a tool's ``strict`` are hints for other providers, and are left
out. Everything else (``keep_alive``) can be said in ``extra_body``, which is merged
last; what it says in ``options`` is joined with what is said there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.models.messages import InputImage, InputPart, InputText, Message, ToolCall
from steer_llm_sdk.models.parts import Part, ReasoningPart
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest, JSONFormat, RawTool, Tool
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.files import refused, with_files_spelled
from steer_llm_sdk.providers.openai_chat.turns import answer_calls
from steer_llm_sdk.providers.reading import as_object
from steer_llm_sdk.providers.reasoning import effort_at, join_fields, spell_reasoning
from steer_llm_sdk.providers.strict_schema import strict_format
from steer_llm_sdk.providers.writing import (
    arguments_object,
    bearer,
    build_headers,
    encode_body,
    refuse_one_call_alone,
    without_none,
)

_ROLES = {"developer": "system"}

_Object = dict[str, Any]

# https://docs.ollama.com/capabilities/thinking: a word for models that know words; the others take
# it for "yes".
_REASONING = effort_at("think", none={"think": False}, minimal="low")


def build_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the HTTP request that asks `endpoint` for a stream.

    Raises:
        ConfigurationError: An image is not base64, a message has a part that is neither words nor
            an image, a tool is to be chosen, several calls are forbidden, the arguments of an
            earlier call are no JSON object, or something in the request cannot be written as JSON.
    """
    chat = with_files_spelled(chat, "ollama", lambda file: _no_file(file, endpoint.provider))
    body = encode_body(_build_body(chat, endpoint.provider), endpoint.provider)
    url = f"{endpoint.base_url.rstrip('/')}/api/chat"
    headers = build_headers(
        endpoint, chat.extra_headers, bearer(endpoint), accept="application/x-ndjson"
    )
    return HTTPRequest(url, body, headers)


def _build_body(chat: ChatRequest, provider: str) -> _Object:
    refuse_one_call_alone(chat, provider)
    fields: _Object = {
        "model": chat.model,
        "messages": list(_build_messages(chat, provider)),
        "stream": True,
        "tools": _build_tools(chat, provider) or None,
        "format": _build_format(chat.response_format, provider),
        "options": _build_options(chat) or None,
    }
    fields |= spell_reasoning(chat.reasoning, _REASONING, provider)
    return join_fields(without_none(fields), chat.extra_body, "options")


def _build_options(chat: ChatRequest) -> _Object:
    return without_none(
        {
            "temperature": chat.temperature,
            "top_p": chat.top_p,
            "num_predict": chat.max_tokens,
            "stop": list(chat.stop) or None,
            "seed": chat.seed,
        }
    )


def _build_format(wanted: JSONFormat | RawTool | None, provider: str) -> object:
    if isinstance(wanted, JSONFormat):
        # Its grammars know lengths and defaults.
        schema, _ = strict_format(wanted, provider, may_leave_out=False)
        return "json" if schema is None else schema
    return None if wanted is None else wanted.value


def _build_tools(chat: ChatRequest, provider: str) -> list[object]:
    choice = chat.tool_choice
    mode = "tool" if isinstance(choice, RawTool) else choice.mode if choice else "auto"
    if mode == "none":
        return []
    if mode != "auto":
        raise ConfigurationError(
            f"{provider}: the choice of a tool has no spelling here: expected 'auto' or 'none'"
        )
    return [_build_tool(tool) for tool in chat.tools]


def _build_tool(tool: Tool | RawTool) -> object:
    if isinstance(tool, RawTool):
        return tool.value
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": without_none(function)}


def _build_messages(chat: ChatRequest, provider: str) -> Iterator[_Object]:
    if chat.system:
        yield {"role": "system", "content": chat.system}
    names: dict[str, str] = {}  # of the functions, by the ids of their calls
    for message in chat.messages:
        names |= {call.id: call.name for call in message.tool_calls}
        yield _build_message(message, names, provider)


def _build_message(message: Message, names: Mapping[str, str], provider: str) -> _Object:
    images = [data for part in message.parts for data in _image_data(part, provider)]
    is_answer = message.role == "tool"
    calls = list(answer_calls(message, "ollama")) or message.tool_calls
    identifier = message.tool_call_id or None
    fields = {
        "role": _ROLES.get(message.role, message.role),
        "content": message.text,
        "thinking": _thinking(message.answer) or message.extra.get("thinking"),
        "images": images or None,
        "tool_calls": [_build_call(call, provider) for call in calls] or None,
        "tool_name": message.name or names.get(identifier or "") if is_answer else None,
        "tool_call_id": identifier,
    }
    return without_none(fields)


def _thinking(answer: Iterable[Part]) -> str:
    """The reasoning of an earlier answer, where it came by this format."""
    thoughts = (part for part in answer if isinstance(part, ReasoningPart))
    return "".join(part.text for part in thoughts if part.data_for("ollama") is not None)


def _no_file(file: InputFile, provider: str) -> NoReturn:
    raise refused(file, provider, "words or an image")


def _image_data(part: InputPart, provider: str) -> Iterator[str]:
    if isinstance(part, InputText):
        return
    if not isinstance(part, InputImage):
        raise ConfigurationError(
            f"{provider}: expected words or an image, found a part of the type "
            f"{part.value.get('type')!r}, which has no spelling here"
        )
    if part.data is None:
        raise ConfigurationError(
            f"{provider}: expected an image as base64, found one by URL, which has no spelling here"
        )
    yield part.data


def _build_call(call: ToolCall, provider: str) -> _Object:
    """Build a call, with what stood beside it and beside its function."""
    beside = dict(call.extra or {})
    named = {"name": call.name, "arguments": arguments_object(call, provider)}
    function = {**as_object(beside.pop("function", None)), **named}
    return {**beside, **({"id": call.id} if call.id else {}), "function": function}
