"""Builds a request for Gemini's interactions: https://ai.google.dev/api/interactions-api.

What differs from the library's own form: the conversation is a list of *steps*, in which calls and
the answers to them stand beside the words of the user and of the model; the system prompt is
``system_instruction``; how to generate is an object of its own.

A step of this API's own (a thought with its signature) is passed unchanged, where it stands. An
image's ``detail``, a speaker's ``name`` and a tool's ``strict`` are hints for other providers, and
are left out. Everything else (``previous_interaction_id``, ``store``, …) can be said in
``extra_body``, which is merged last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.models.messages import (
    InputImage,
    InputPart,
    InputRaw,
    InputText,
    Message,
    ToolCall,
    split_system,
)
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
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
from steer_llm_sdk.providers.files import spell_files
from steer_llm_sdk.providers.gemini.schema import build_schema
from steer_llm_sdk.providers.reasoning import (
    effort_at,
    join_fields,
    spell_reasoning,
    without_word,
)
from steer_llm_sdk.providers.writing import (
    arguments_object,
    build_headers,
    encode_body,
    google_key,
    refuse_one_call_alone,
    without_none,
)

_REASONING = without_word(effort_at("generation_config", "thinking_level"), "none")

_MODES = {"auto": "auto", "none": "none", "required": "any"}

# What stands inside a step of words; whatever else comes as a part is a step of its own.
_CONTENT = frozenset({"text", "image", "audio", "document", "video"})

_WORDS = (TextPart, CommentaryPart, RefusalPart)

# What stored answers call this format.
WIRE = "gemini-interactions"

_Object = dict[str, Any]


def build_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the HTTP request that asks `endpoint` for a stream. The key is in a header only.

    Raises:
        ConfigurationError: Several calls are forbidden, the arguments of an earlier call are no
            JSON object, or something in the request cannot be written as JSON.
    """
    refuse_one_call_alone(chat, endpoint.provider)
    body = join_fields(_build_body(chat, endpoint.provider), chat.extra_body, "generation_config")
    headers = build_headers(endpoint, chat.extra_headers, google_key(endpoint))
    url = f"{endpoint.base_url.rstrip('/')}/v1beta/interactions"
    return HTTPRequest(url, encode_body(body, endpoint.provider), headers)


def _build_body(chat: ChatRequest, provider: str) -> _Object:
    spelled = spell_files(chat.messages, "interactions", _spell_file)
    system, messages = split_system(spelled, chat.system)
    fields = {
        "model": chat.model,
        "input": list(_build_input(messages, provider)),
        "stream": True,
        "system_instruction": system or None,
        "tools": [_build_tool(tool, provider) for tool in chat.tools] or None,
        "generation_config": _build_generation(chat, provider) or None,
        "response_format": _build_format(chat.response_format, provider),
    }
    return without_none(fields)


def _build_generation(chat: ChatRequest, provider: str) -> _Object:
    reasoning = spell_reasoning(chat.reasoning, _REASONING, provider)
    thinking = reasoning.get("generation_config", {})
    return without_none(
        {
            "temperature": chat.temperature,
            "top_p": chat.top_p,
            "max_output_tokens": chat.max_tokens,
            "stop_sequences": list(chat.stop) or None,
            "seed": chat.seed,
            **thinking,
            "thinking_summaries": "auto" if thinking else None,
            "tool_choice": _build_tool_choice(chat.tool_choice),
        }
    )


# --- the conversation ---------------------------------------------------------------------------


def _build_input(messages: Sequence[Message], provider: str) -> Iterator[_Object]:
    names: dict[str, str] = {}  # of the functions, by the ids of their calls
    for message in messages:
        names |= {call.id: call.name for call in message.tool_calls}
        if message.role == "tool":
            yield _build_answer(message, names)
        else:
            yield from _build_steps(message, provider)


def _build_steps(message: Message, provider: str) -> Iterator[_Object]:
    if message.answer:
        yield from _build_turn(message.answer, provider)
        return
    kind = "model_output" if message.role == "assistant" else "user_input"
    words: list[_Object] = []
    for block in message.blocks:
        if not isinstance(block, ToolCall) and _is_content(block):
            words.append(_build_part(block))
            continue
        yield from _spoken(kind, words)
        words = []
        yield _build_call(block, provider) if isinstance(block, ToolCall) else _build_part(block)
    yield from _spoken(kind, words)


def _build_turn(parts: Sequence[Part], provider: str) -> Iterator[_Object]:
    """An earlier answer: what this API has said itself comes back as it was, in its order."""
    for part in parts:
        data = part.data_for(WIRE)
        if isinstance(part, ReasoningPart):
            if data:
                summary = [{"type": "text", "text": part.text}] if part.text else None
                yield {"type": "thought", **without_none({"summary": summary}), **data}
        elif isinstance(part, ToolCallPart):
            call = ToolCall(part.id, part.name, part.arguments, part.call_type, data)
            yield _build_call(call, provider)
        elif isinstance(part, ProviderPart):
            if data is not None:
                yield dict(part.item)
        elif isinstance(part, _WORDS) and part.text:
            yield from _spoken("model_output", [{"type": "text", "text": part.text}])


def _spoken(kind: str, words: list[_Object]) -> Iterator[_Object]:
    if words:
        yield {"type": kind, "content": words}


def _is_content(part: InputPart) -> bool:
    return not isinstance(part, InputRaw) or str(part.value.get("type")) in _CONTENT


def _spell_file(file: InputFile) -> _Object:
    """Audio, video and documents: https://ai.google.dev/api/interactions-api."""
    kind = file.media_type.partition("/")[0]
    where = {"uri": file.url} if file.data is None else {"data": file.data}
    known = {"mime_type": file.media_type} if file.media_type else {}
    return {"type": kind if kind in {"audio", "video"} else "document", **where, **known}


def _build_part(part: InputPart) -> _Object:
    if isinstance(part, InputText):
        return {"type": "text", "text": part.text}
    if isinstance(part, InputImage):
        if part.data is not None:
            return {"type": "image", "data": part.data, "mime_type": part.media_type}
        return {"type": "image", "uri": part.url}
    return dict(part.value)


def _build_call(call: ToolCall, provider: str) -> _Object:
    arguments = arguments_object(call, provider)
    step = {"type": "function_call", "id": call.id, "name": call.name, "arguments": arguments}
    return {**(call.extra or {}), **step}


def _build_answer(message: Message, names: Mapping[str, str]) -> _Object:
    text = message.only_text
    content: Sequence[Any] | str = (
        text if text is not None else [_build_part(part) for part in message.parts]
    )
    step = {
        "type": "function_result",
        "call_id": message.tool_call_id,
        "name": message.name or names.get(message.tool_call_id or ""),
        "result": content,
        "is_error": message.is_error or None,
    }
    return without_none(step)


# --- tools and formats ----------------------------------------------------------------------------


def _build_tool(tool: Tool | RawTool, provider: str) -> _Object:
    if isinstance(tool, RawTool):
        return dict(tool.value)
    parameters = build_schema(tool.parameters, provider)
    fields = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", **without_none(fields)}


def _build_tool_choice(choice: ToolChoice | RawTool | None) -> object:
    if choice is None:
        return None
    if isinstance(choice, RawTool):
        return choice.value
    if choice.mode == "tool":
        return {"allowed_tools": {"mode": "any", "tools": [choice.name]}}
    return _MODES[choice.mode]


def _build_format(wanted: JSONFormat | RawTool | None, provider: str) -> object:
    if isinstance(wanted, RawTool):
        return wanted.value
    if wanted is None:
        return None
    schema = build_schema(wanted.schema, provider, closes=wanted.is_of_type)
    return without_none({"type": "text", "mime_type": "application/json", "schema": schema})
