"""Builds a request for Anthropic's messages API: https://platform.claude.com/docs/en/api/messages.

What differs from the library's own form: the system prompt stands outside of the messages, turns
alternate (answers to tool calls are blocks of the user's next turn, and come first in it), images
and tool calls are content blocks, and ``max_tokens`` must be said.

What has no spelling: ``seed`` is refused with an error. An image's ``detail``, a speaker's ``name``
and the name of a JSON format are hints for other providers, and are left out. JSON without a schema
is no mode of this API: nothing is sent for it, and the library checks what arrives. Everything else
can be said in ``extra_body``, which is merged last.

Reasoning has to come back as it was: pass the message that `StreamingResponse.to_message` gives;
or its blocks as the ``thinking_blocks`` of an assistant's message, or as its content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputImage, InputPart, InputText, Message, ToolCall
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
)
from steer_llm_sdk.providers.anthropic.files import spell_file
from steer_llm_sdk.providers.anthropic.schema import format_schema
from steer_llm_sdk.providers.anthropic.thinking import build_thinking, tokens_to_think
from steer_llm_sdk.providers.anthropic.turns import answer_blocks, call_block
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.call_ids import PLAIN_IDS
from steer_llm_sdk.providers.files import spell_files
from steer_llm_sdk.providers.reasoning import join_fields
from steer_llm_sdk.providers.schemas import write_schema
from steer_llm_sdk.providers.writing import (
    anthropic_key,
    build_headers,
    encode_body,
    is_blank,
    without_none,
)

# The API wants a limit. This is the largest that every model of it accepts (Claude 3 Haiku writes
# no more), so that a call without one never fails for it; newer models take more when asked.
DEFAULT_MAX_TOKENS = 4096

_SYSTEM_ROLES = frozenset({"system", "developer"})
_THINKING = frozenset({"thinking", "redacted_thinking"})
_MODES = {"auto": "auto", "none": "none", "required": "any"}

# The API refuses blocks of text that are empty; those of a message also where they are blank.
_EMPTY = InputText("")

_Block = dict[str, Any]


def build_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the HTTP request that asks `endpoint` for a stream.

    Raises:
        ConfigurationError: A seed is asked for, the arguments of an earlier tool call are no JSON
            object, or something in the request cannot be written as JSON.
    """
    return _spell(build_body(chat, endpoint.provider), "messages", chat, endpoint)


# What an answer would be like makes no difference to its prompt, and is refused.
_COUNTED = frozenset({
    "cache_control", "messages", "model", "output_config", "system", "thinking", "tool_choice",
    "tools",
})  # fmt: skip


def build_count_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the request that asks how many tokens a prompt takes.

    https://platform.claude.com/docs/en/api/messages/count_tokens

    Raises:
        ConfigurationError: As in `build_request`.
    """
    body = build_body(chat, endpoint.provider)
    counted = {key: body[key] for key in body if key in _COUNTED}
    return _spell(counted, "messages/count_tokens", chat, endpoint)


def _spell(
    body: Mapping[str, Any], path: str, chat: ChatRequest, endpoint: Endpoint
) -> HTTPRequest:
    headers = build_headers(endpoint, chat.extra_headers, anthropic_key(endpoint))
    url = f"{endpoint.base_url.rstrip('/')}/v1/{path}"
    return HTTPRequest(url, encode_body(body, endpoint.provider), headers)


def build_body(chat: ChatRequest, provider: str) -> dict[str, Any]:
    """Build the body, as Anthropic's own API takes it; others serve it with changes.

    Raises:
        ConfigurationError: A seed is asked for, or the arguments of an earlier tool call are no
            JSON object.
    """
    if chat.seed is not None:
        raise ConfigurationError(
            f"{provider}: seed has no spelling in the messages API; if the server understands one, "
            "pass it in extra_body"
        )
    spelled = spell_files(chat.messages, "anthropic", lambda file: spell_file(file, provider))
    thinking = build_thinking(chat, provider)
    output = {**thinking.pop("output_config", {}), **_build_format(chat.response_format, provider)}
    fields = {
        "model": chat.model,
        "max_tokens": _max_tokens(chat, thinking),
        "stream": True,
        "system": _build_system(chat),
        "messages": _build_turns(PLAIN_IDS.fit(spelled), chat.model, provider),
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "stop_sequences": list(chat.stop) or None,
        "tools": [_build_tool(tool, provider) for tool in chat.tools] or None,
        "output_config": output or None,
        **thinking,
        "tool_choice": _build_tool_choice(chat),
    }
    # Those two hold more than one thing each, and the caller may add to them.
    return join_fields(without_none(fields), chat.extra_body, "output_config", "thinking")


def _max_tokens(chat: ChatRequest, thinking: Mapping[str, Any]) -> int:
    """What was asked for; else the default, on top of the tokens to think with."""
    if chat.max_tokens is not None:
        return chat.max_tokens
    body = join_fields(dict(thinking), chat.extra_body, "thinking")
    return DEFAULT_MAX_TOKENS + tokens_to_think(body.get("thinking"), chat.reasoning)


def _build_system(chat: ChatRequest) -> str | list[_Block] | None:
    """One text, or blocks where the caller's messages have blocks of their own (cache control)."""
    blocks = [{"type": "text", "text": chat.system}] if chat.system else []
    for message in chat.messages:
        if message.role in _SYSTEM_ROLES:
            text = message.only_text
            parts = message.parts if text is None else (InputText(text),)
            blocks += _marked(_build_parts(parts), message)
    return _text_alone(blocks, "\n\n") or blocks or None


# --- the turns --------------------------------------------------------------------------------


def _build_turns(messages: Iterable[Message], model: str, provider: str) -> list[dict[str, Any]]:
    turns: list[tuple[str, list[_Block]]] = []
    for message in messages:
        if message.role in _SYSTEM_ROLES:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _marked(_build_message(message, model, provider), message)
        if role == "assistant" and not blocks:  # nothing was said, or can be said here
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    return [{"role": role, "content": _build_content(blocks)} for role, blocks in turns]


def _build_content(blocks: list[_Block]) -> str | list[_Block]:
    if len(blocks) > 1:
        return blocks
    return _text_alone(blocks, "") if not blocks or _is_plain(blocks[0]) else blocks


def _build_message(message: Message, model: str, provider: str) -> list[_Block]:
    if message.role == "tool":
        return [_build_answer(message)]
    if message.role != "assistant":
        return _build_parts([part for part in message.parts if not is_blank(part)])
    if message.answer:
        return answer_blocks(message.answer, model, provider)
    blocks = [
        call_block(block, provider) if isinstance(block, ToolCall) else _build_part(block)
        for block in message.blocks
        if not is_blank(block)
    ]
    return [
        *_thinking_blocks(message, provider),
        *(block for block in blocks if str(block.get("type")) in _THINKING),
        *(block for block in blocks if str(block.get("type")) not in _THINKING),
    ]


def _thinking_blocks(message: Message, provider: str) -> list[_Block]:
    """The reasoning that the caller gives back, as it came: with its signatures."""
    given = message.extra.get("thinking_blocks") or ()
    if isinstance(given, Sequence) and all(isinstance(block, Mapping) for block in given):
        return [dict(block) for block in given]
    raise ConfigurationError(
        f"{provider}: expected the thinking_blocks of a message to be a list of mappings, "
        f"found {given!r:.80}"
    )


def _build_answer(message: Message) -> _Block:
    content = _build_content(_build_parts(message.parts))
    answer: _Block = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    if content:
        answer["content"] = content
    if message.is_error:
        answer["is_error"] = True
    return answer


def _build_parts(parts: Sequence[InputPart]) -> list[_Block]:
    return [_build_part(part) for part in parts if part != _EMPTY]


def _build_part(part: InputPart) -> _Block:
    if isinstance(part, InputText):
        return {"type": "text", "text": part.text}
    if isinstance(part, InputImage):
        return {"type": "image", "source": _build_source(part)}
    return dict(part.value)


def _build_source(image: InputImage) -> _Block:
    if image.data is not None:
        return {"type": "base64", "media_type": image.media_type, "data": image.data}
    return {"type": "url", "url": image.url}


def _marked(blocks: list[_Block], message: Message) -> list[_Block]:
    """A message's own ``cache_control`` belongs to its last block."""
    mark = message.extra.get("cache_control")
    return [*blocks[:-1], {**blocks[-1], "cache_control": mark}] if mark and blocks else blocks


def _text_alone(blocks: Sequence[_Block], joint: str) -> str:
    """The words of blocks that are nothing but words; empty where one is more than that."""
    is_plain = all(_is_plain(block) for block in blocks)
    return joint.join(block["text"] for block in blocks) if is_plain else ""


def _is_plain(block: _Block) -> bool:
    is_text = block.get("type") == "text" and block.keys() == {"type", "text"}
    return is_text and isinstance(block["text"], str)


# --- tools and formats ------------------------------------------------------------------------


def _build_tool(tool: Tool | RawTool, provider: str) -> Mapping[str, Any]:
    """A tool; the schema of a strict one has the limits that formats have."""
    if isinstance(tool, RawTool):
        return tool.value
    schema = tool.parameters
    fields = {
        "name": tool.name,
        "description": tool.description,
        "input_schema": _format_schema(schema, provider) if tool.strict else schema,
        "strict": tool.strict,
    }
    return {**tool.extra, **without_none(fields)}


def _build_tool_choice(chat: ChatRequest) -> Mapping[str, Any] | None:
    """The choice of a tool; that one alone may be called at a time is a part of it."""
    choice = chat.tool_choice
    is_one_alone = chat.parallel_tool_calls is False and bool(chat.tools)
    if isinstance(choice, RawTool):
        return choice.value
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if is_one_alone else None
    named = {"type": "tool", "name": choice.name}
    built = named if choice.mode == "tool" else {"type": _MODES[choice.mode]}
    is_said = is_one_alone and choice.mode != "none"
    return {**built, "disable_parallel_tool_use": True} if is_said else built


def _build_format(wanted: JSONFormat | RawTool | None, provider: str) -> dict[str, Any]:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs."""
    if isinstance(wanted, RawTool):
        return {"format": wanted.value}
    if wanted is None or wanted.schema is None:
        return {}
    schema = _format_schema(wanted.schema, provider)
    if wanted.description:
        schema = {"description": wanted.description, **schema}
    return {"format": {"type": "json_schema", "schema": schema}}


def _format_schema(schema: Mapping[str, Any], provider: str) -> dict[str, Any]:
    written: dict[str, Any] = write_schema(provider, lambda: format_schema(schema))
    return written
