"""Builds a request for the Responses API.

https://platform.openai.com/docs/api-reference/responses

What differs from the library's own form: the system prompt is ``instructions``; the conversation is
a flat list of *items*, in which calls and the answers to them stand beside the messages; functions
are written flat; the format of the answer is ``text.format``.

What has no spelling: ``stop`` and ``seed`` are refused with an error. A speaker's ``name``, and
what other providers keep in a message or a call of theirs, is left out. Everything else can be said
in ``extra_body``, which is merged last (``store``, ``include``, ``text`` …).

A part in this API's own spelling is passed unchanged: inside its message when it is content
(``input_file``), as an item of its own otherwise (``reasoning``, with its encrypted content).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.models.messages import (
    InputPart,
    InputRaw,
    InputText,
    Message,
    ToolCall,
    split_system,
)
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.call_ids import up_to
from steer_llm_sdk.providers.files import audio_format, file_name, with_files_spelled
from steer_llm_sdk.providers.openai_responses.outputs import OUTPUTS
from steer_llm_sdk.providers.openai_responses.turns import answer_items
from steer_llm_sdk.providers.reasoning import effort_at, join_fields, spell_reasoning
from steer_llm_sdk.providers.strict_schema import strict_format, strict_parameters
from steer_llm_sdk.providers.writing import bearer, build_headers, encode_body, without_none

_Item = dict[str, Any]

# Parts that stand inside a message; whatever else comes as a part is an item of its own.
_CONTENT_TYPES = frozenset(
    {"input_text", "input_image", "input_file", "input_audio", "output_text", "refusal"}
)

# https://platform.openai.com/docs/guides/reasoning. Organisations that are not verified may have no
# summaries of it, so these are asked for by ``extra_body`` alone.
_REASONING = effort_at("reasoning", "effort")

# The API takes no longer ones.
_CALL_IDS = up_to(64)

# What a call of this API may have beside its id, name and arguments, and wants back.
_KEPT_OF_CALLS = ("caller", "namespace", "status")


def build_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the HTTP request that asks `endpoint` for a stream.

    Raises:
        ConfigurationError: A stop sequence or a seed is asked for, the arguments of an earlier
            shell or patch call are not JSON, or something cannot be written as JSON.
    """
    _refuse_unsupported(chat, endpoint.provider)
    encoded = encode_body(_build_whole(chat, endpoint.provider), endpoint.provider)
    return HTTPRequest(_url(endpoint.base_url), encoded, _headers(chat, endpoint))


# What an answer would be like makes no difference to its prompt, and is refused.
_COUNTED = frozenset({
    "conversation", "input", "instructions", "model", "parallel_tool_calls", "personality",
    "previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation",
})  # fmt: skip


def build_count_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the request that asks how many tokens a prompt takes.

    https://platform.openai.com/docs/api-reference/responses/input-tokens

    Raises:
        ConfigurationError: As in `build_request`.
    """
    _refuse_unsupported(chat, endpoint.provider)
    body = _build_whole(chat, endpoint.provider)
    counted = {key: body[key] for key in body if key in _COUNTED}
    parts = urlsplit(_url(endpoint.base_url))
    url = urlunsplit(parts._replace(path=f"{parts.path}/input_tokens"))
    encoded = encode_body(counted, endpoint.provider)
    return HTTPRequest(url, encoded, _headers(chat, endpoint))


def _build_whole(chat: ChatRequest, provider: str) -> dict[str, Any]:
    """The body with the caller's own fields.

    ``text`` holds more than the format, and ``reasoning`` more than the effort.
    """
    spelled = with_files_spelled(chat, "openai-responses", lambda file: _spell_file(file, provider))
    body = _build_body(spelled, provider)
    return join_fields(body, chat.extra_body, "text", "reasoning")


def resume_request(
    chat: ChatRequest, endpoint: Endpoint, response_id: str, after: int
) -> HTTPRequest:
    """Build the HTTP request for the rest of a stream that the server keeps.

    Args:
        chat: The request that was being answered.
        endpoint: Where it went.
        response_id: The response's identifier.
        after: The sequence number of the last event that came.
    """
    parts = urlsplit(_url(endpoint.base_url))
    query = "&".join(filter(None, (parts.query, f"stream=true&starting_after={after}")))
    path = f"{parts.path}/{quote(response_id, safe='')}"
    url = urlunsplit(parts._replace(path=path, query=query))
    return HTTPRequest(url, b"", _headers(chat, endpoint), method="GET")


def _url(base_url: str) -> str:
    """The endpoint under a base URL; a query (Azure's ``api-version``) stays behind the path."""
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/responses"))


def _headers(chat: ChatRequest, endpoint: Endpoint) -> dict[str, str]:
    return build_headers(endpoint, chat.extra_headers, bearer(endpoint))


def _refuse_unsupported(chat: ChatRequest, provider: str) -> None:
    asked = {"stop": bool(chat.stop), "seed": chat.seed is not None}
    for name, is_asked in asked.items():
        if is_asked:
            raise ConfigurationError(
                f"{provider}: {name} has no spelling in the Responses API; if the server "
                "understands one, pass it in extra_body"
            )


def _build_body(chat: ChatRequest, provider: str) -> dict[str, Any]:
    instructions, messages = split_system(_CALL_IDS.fit(chat.messages), chat.system)
    return without_none(
        {
            "model": chat.model,
            "input": _build_items(
                messages, provider, is_stored=chat.extra_body.get("store") is not False
            ),
            "stream": True,
            "instructions": instructions or None,
            "temperature": chat.temperature,
            "top_p": chat.top_p,
            "max_output_tokens": chat.max_tokens,
            "tools": [_build_tool(tool, provider) for tool in chat.tools] or None,
            "tool_choice": _build_tool_choice(chat.tool_choice, chat.tools),
            "parallel_tool_calls": chat.parallel_tool_calls if chat.tools else None,
            "text": _build_format(chat.response_format, provider),
            **spell_reasoning(chat.reasoning, _REASONING, provider),
        }
    )


# --- the conversation -------------------------------------------------------------------------


def _build_items(messages: Sequence[Message], provider: str, *, is_stored: bool) -> list[_Item]:
    calls = {call.id: call for message in messages for call in message.tool_calls}
    items: list[_Item] = []
    for message in messages:
        if message.role == "tool":
            call = calls.get(message.tool_call_id or "")
            items.append(_build_answer(message, call))
        elif message.answer:
            build = partial(_build_call, provider=provider)
            items += answer_items(message.answer, build, is_stored=is_stored)
        else:
            items += _build_message(message)
            items += [_build_call(call, provider) for call in message.tool_calls]
    return items


def _build_message(message: Message) -> Iterator[_Item]:
    """The message, and the items that stood among its parts, in their order."""
    text = message.only_text
    if text is not None:
        if text or not message.tool_calls:
            yield _message(message, text)
        return
    content: list[_Item] = []
    for part in message.parts:
        item = _build_part(part, message.role)
        if str(item.get("type")) in _CONTENT_TYPES:
            content.append(item)
            continue
        if content:
            yield _message(message, content)
        content = []
        yield item
    if content:
        yield _message(message, content)


def _message(message: Message, content: str | list[_Item]) -> _Item:
    # llama.cpp tells the items apart by their type alone, so it is said where it could be left out.
    phase = message.extra.get("phase")
    about = {"type": "message", "role": message.role, "content": content}
    return about if phase is None else {**about, "phase": phase}


def _build_part(part: InputPart, role: str) -> _Item:
    if isinstance(part, InputText):
        return {"type": _text_type(role), "text": part.text}
    if isinstance(part, InputRaw):
        return _build_raw(part.value, role)
    # The official types require `detail`, and some copies check it.
    return {"type": "input_image", "image_url": part.as_url, "detail": part.detail or "auto"}


def _spell_file(file: InputFile, provider: str) -> _Item:
    """https://platform.openai.com/docs/guides/pdf-files, and audio in its two formats."""
    if file.is_audio:
        name = audio_format(file, ("wav", "mp3"), provider)
        return {"type": "input_audio", "input_audio": {"data": file.data, "format": name}}
    if file.data is None:
        return {"type": "input_file", "file_url": file.url}
    return {"type": "input_file", "filename": file_name(file), "file_data": file.as_url}


def _build_raw(value: Mapping[str, Any], role: str) -> _Item:
    """A part of the caller's own: unchanged, but for what chat completions spells otherwise."""
    kind, file = value.get("type"), value.get("file")
    if kind == "text":
        return {**value, "type": _text_type(role)}
    if kind == "file" and isinstance(file, Mapping):
        return {**file, "type": "input_file"}
    return dict(value)


def _text_type(role: str) -> str:
    return "output_text" if role == "assistant" else "input_text"


# --- calls and the answers to them ------------------------------------------------------------


def _build_call(call: ToolCall, provider: str) -> _Item:
    kept = {key: value for key, value in (call.extra or {}).items() if key in _KEPT_OF_CALLS}
    if call.type == "custom":
        about = {"type": "custom_tool_call", "name": call.name, "input": call.arguments}
    elif call.type in {"shell", "apply_patch"}:
        about = _build_action(call, provider)
    else:
        # A call without arguments is an empty object: an empty text would not be JSON.
        arguments = call.arguments or "{}"
        about = {"type": "function_call", "name": call.name, "arguments": arguments}
    return {**about, "call_id": call.id, **kept}


def _build_action(call: ToolCall, provider: str) -> _Item:
    try:
        action = msgspec.json.decode(call.arguments)
    except (ValueError, RecursionError):
        raise ConfigurationError(
            f"{provider}: the arguments of the {call.type} call {call.id!r} are not JSON"
        ) from None
    if call.type == "apply_patch":
        return {"type": "apply_patch_call", "status": "completed", "operation": action}
    return {"type": f"{_shell(call)}_call", "status": "completed", "action": action}


def _build_answer(message: Message, call: ToolCall | None) -> _Item:
    """An answer to `call`; to a function, when the conversation does not show the call."""
    kind = call.type if call is not None else "function"
    if (build := OUTPUTS.get(kind)) is not None:
        return build(message)
    answered = {"call_id": message.tool_call_id}
    if kind == "custom":
        return {"type": "custom_tool_call_output", **answered, "output": _output(message)}
    if kind == "apply_patch":
        status = "failed" if message.is_error else "completed"
        about = {"type": "apply_patch_call_output", "status": status}
        return {**about, **answered, "output": message.text}
    if call is not None and kind == "shell":
        return _build_shell_output(message, call)
    return {"type": "function_call_output", **answered, "output": _output(message)}


def _build_shell_output(message: Message, call: ToolCall) -> _Item:
    """What the commands said: the caller's own list of outcomes, or all of it as one."""
    if _shell(call) == "local_shell":
        return {"type": "local_shell_call_output", "id": call.id, "output": message.text}
    outcome = {"type": "exit", "exit_code": int(message.is_error)}
    whole = [{"stdout": message.text, "stderr": "", "outcome": outcome}]
    output = _outcomes(message.text) or whole
    return {"type": "shell_call_output", "call_id": call.id, "output": output}


def _outcomes(text: str) -> list[Any] | None:
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except (ValueError, RecursionError):
        return None


def _shell(call: ToolCall) -> str:
    return "local_shell" if call.name == "local_shell" else "shell"


def _output(message: Message) -> str | list[_Item]:
    text = message.only_text
    return text if text is not None else [_build_part(part, "tool") for part in message.parts]


# --- tools and formats ------------------------------------------------------------------------


def _build_tool(tool: Tool | RawTool, provider: str) -> _Item:
    if isinstance(tool, RawTool):
        return dict(tool.value)
    fields = {
        "name": tool.name,
        "description": tool.description,
        "parameters": strict_parameters(tool, provider, may_leave_out=True),
        "strict": tool.strict,
    }
    return {**tool.extra, "type": "function", **without_none(fields)}


def _build_tool_choice(
    choice: ToolChoice | RawTool | None, tools: Sequence[Tool | RawTool]
) -> object:
    if choice is None:
        return None
    if isinstance(choice, RawTool):
        return choice.value
    return _choose(choice.name, tools) if choice.mode == "tool" else choice.mode


def _choose(name: str | None, tools: Sequence[Tool | RawTool]) -> _Item:
    """One tool: a function or a custom tool by its name, one of the provider's by its type."""
    for tool in tools:
        if isinstance(tool, RawTool) and tool.value.get("name") == name:
            return {"type": tool.value.get("type"), "name": name}
        if isinstance(tool, RawTool) and tool.value.get("type") == name:
            return {"type": name}
    return {"type": "function", "name": name}


def _build_format(wanted: JSONFormat | RawTool | None, provider: str) -> _Item | None:
    if wanted is None:
        return None
    if isinstance(wanted, RawTool):
        return {"format": wanted.value}
    if wanted.schema is None:
        return {"format": {"type": "json_object"}}
    schema, strict = strict_format(wanted, provider, may_leave_out=True)
    fields = {
        "type": "json_schema",
        "name": wanted.name,
        "schema": schema,
        "description": wanted.description,
        "strict": strict,
    }
    return {"format": without_none(fields)}
