"""Builds a request for Bedrock's Converse API.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html

What differs from the library's own form: the model stands in the path (an identifier, an inference
profile or an ARN, percent-encoded), the system prompt outside of the messages, turns alternate
(answers to tool calls are blocks of the user's next turn, and come first in it), each block is an
object with one key, and a place in the cache is a block of its own (``cachePoint``). A
``cache_control``, as Anthropic spells it, is written as one.

What has no spelling: ``seed`` is refused with an error. An image's ``detail`` and a speaker's
``name`` are hints for other providers, and are left out. JSON without a schema is no mode of this
API: nothing is sent for it, and the library checks what arrives. Everything else can be said in
``extra_body``, which is merged last (``guardrailConfig``, ``additionalModelRequestFields``, …).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputImage, InputPart, InputText, Message, ToolCall
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.providers.anthropic.schema import format_schema
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.bedrock.files import spell_file
from steer_llm_sdk.providers.bedrock.reasoning import build_reasoning
from steer_llm_sdk.providers.bedrock.turns import answer_blocks, call_block
from steer_llm_sdk.providers.call_ids import PLAIN_IDS
from steer_llm_sdk.providers.files import with_files_spelled
from steer_llm_sdk.providers.reasoning import join_fields
from steer_llm_sdk.providers.schemas import write_schema
from steer_llm_sdk.providers.writing import (
    bearer,
    build_headers,
    encode_body,
    is_blank,
    refuse_one_call_alone,
    without_none,
)

_SYSTEM_ROLES = frozenset({"system", "developer"})

# Objects of the request into which the caller's own fields are put, rather than in their place.
_JOINED = ("inferenceConfig", "toolConfig", "outputConfig", "additionalModelRequestFields")

_IMAGE_FORMATS: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}

# The API refuses blocks of text that are empty; those of a message also where they are blank.
_EMPTY = InputText("")

_Block = dict[str, Any]


def build_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the HTTP request that asks `endpoint` for a stream.

    Raises:
        ConfigurationError: Something is asked for that the API has no way to say, the arguments of
            an earlier tool call are no JSON object, or something cannot be written as JSON.
    """
    chat = with_files_spelled(chat, "bedrock", lambda file: spell_file(file, endpoint.provider))
    body = encode_body(_build_body(chat, endpoint.provider), endpoint.provider)
    url = model_url(endpoint, chat.model, "converse-stream")
    headers = build_headers(endpoint, chat.extra_headers, bearer(endpoint), accept="*/*")
    return HTTPRequest(url, body, headers)


def model_url(endpoint: Endpoint, model: str, operation: str) -> str:
    """The address of an operation of a model."""
    return f"{endpoint.base_url.rstrip('/')}/model/{quote(model, safe='')}/{operation}"


def _build_body(chat: ChatRequest, provider: str) -> dict[str, Any]:
    refuse_one_call_alone(chat, provider)
    if chat.seed is not None:
        raise ConfigurationError(
            f"{provider}: seed has no spelling in the Converse API; where the model takes one, "
            'pass extra_body={"additionalModelRequestFields": {"seed": …}}'
        )
    fields = {
        "messages": _build_turns(PLAIN_IDS.fit(chat.messages), provider),
        "system": _build_system(chat, provider) or None,
        "inferenceConfig": _build_inference(chat) or None,
        "toolConfig": _build_tools(chat, provider),
        "outputConfig": _build_output(chat.response_format, provider),
        "additionalModelRequestFields": build_reasoning(chat, provider) or None,
    }
    return join_fields(without_none(fields), chat.extra_body, *_JOINED)


def _build_inference(chat: ChatRequest) -> dict[str, Any]:
    fields = {
        "maxTokens": chat.max_tokens,
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "stopSequences": list(chat.stop) or None,
    }
    return without_none(fields)


def _build_system(chat: ChatRequest, provider: str) -> list[_Block]:
    blocks: list[_Block] = [{"text": chat.system}] if chat.system else []
    for message in chat.messages:
        if message.role in _SYSTEM_ROLES:
            blocks += _marked(_build_parts(message.parts, provider), message.extra)
    return blocks


# --- the turns --------------------------------------------------------------------------------


def _build_turns(messages: Iterable[Message], provider: str) -> list[dict[str, Any]]:
    turns: list[tuple[str, list[_Block]]] = []
    for message in messages:
        if message.role in _SYSTEM_ROLES:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _marked(_build_message(message, provider), message.extra)
        if role == "assistant" and not blocks:  # nothing was said, or can be said here
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    return [{"role": role, "content": content} for role, content in turns]


def _build_message(message: Message, provider: str) -> list[_Block]:
    if message.role == "tool":
        return [_build_answer(message, provider)]
    if message.role != "assistant":
        return _build_parts([part for part in message.parts if not is_blank(part)], provider)
    if message.answer:
        return answer_blocks(message.answer, provider)
    blocks: list[_Block] = []
    for block in message.blocks:
        if isinstance(block, ToolCall):
            blocks.append(call_block(block, provider))
        elif not is_blank(block):
            blocks += _build_parts([block], provider)
    return blocks


def _build_answer(message: Message, provider: str) -> _Block:
    answer: _Block = {
        "toolUseId": message.tool_call_id,
        "content": _build_parts(message.parts, provider),
    }
    if message.is_error:
        answer["status"] = "error"
    return {"toolResult": answer}


def _build_parts(parts: Sequence[InputPart], provider: str) -> list[_Block]:
    return [block for part in parts if part != _EMPTY for block in _build_part(part, provider)]


def _build_part(part: InputPart, provider: str) -> list[_Block]:
    if isinstance(part, InputText):
        return [{"text": part.text}]
    if isinstance(part, InputImage):
        return [_build_image(part, provider)]
    return _build_raw(part.value)


def _build_image(image: InputImage, provider: str) -> _Block:
    source: _Block
    if image.data is not None:
        source = {"bytes": image.data}
    elif image.url is not None and image.url.startswith("s3://"):
        source = {"s3Location": {"uri": image.url}}
    else:
        raise ConfigurationError(
            f"{provider}: Bedrock takes images as bytes or from s3://…, found the URL "
            f"{image.url!r:.80}"
        )
    return {"image": {"format": _image_format(image, provider), "source": source}}


def _image_format(image: InputImage, provider: str) -> str:
    kind = image.media_type.lower()
    if image.url is not None:  # an address says by its ending what it is
        ending = image.url.rpartition(".")[2].lower()
        kind = f"image/{ending}" if f"image/{ending}" in _IMAGE_FORMATS else kind
    if kind not in _IMAGE_FORMATS:
        known = ", ".join(_IMAGE_FORMATS)
        raise ConfigurationError(
            f"{provider}: expected an image of the type {known}; found {image.media_type!r}"
        )
    return _IMAGE_FORMATS[kind]


def _build_raw(block: Mapping[str, Any]) -> list[_Block]:
    """A block in a spelling of the caller's: Bedrock's own, or Anthropic's where it has a twin."""
    kind = block.get("type")
    if kind == "thinking":
        words = {"text": block.get("thinking"), "signature": block.get("signature")}
        return [{"reasoningContent": {"reasoningText": without_none(words)}}]
    if kind == "redacted_thinking":
        return [{"reasoningContent": {"redactedContent": block.get("data")}}]
    if kind == "text" and isinstance(block.get("text"), str):
        return _marked([{"text": block["text"]}], block)
    return [dict(block)]


def _marked(blocks: list[_Block], holder: Mapping[str, Any]) -> list[_Block]:
    """The blocks, and behind them a place in the cache where a ``cache_control`` asks for one."""
    mark = holder.get("cache_control")
    if not isinstance(mark, Mapping) or not blocks:
        return blocks
    ttl = {"ttl": mark["ttl"]} if "ttl" in mark else {}
    return [*blocks, {"cachePoint": {"type": "default", **ttl}}]


# --- tools and formats ------------------------------------------------------------------------


def _build_tools(chat: ChatRequest, provider: str) -> dict[str, Any] | None:
    choice = chat.tool_choice
    if not chat.tools or _leaves_tools_out(chat, provider):
        return None
    tools = [block for tool in chat.tools for block in _build_tool(tool, provider)]
    return without_none({"tools": tools, "toolChoice": _build_choice(choice)})


def _leaves_tools_out(chat: ChatRequest, provider: str) -> bool:
    """The API has no word for "none": the tools are left out, where it lets them be."""
    choice = chat.tool_choice
    if not isinstance(choice, ToolChoice) or choice.mode != "none":
        return False
    if any(message.tool_calls for message in chat.messages):
        raise ConfigurationError(
            f"{provider}: tool_choice 'none' has no spelling in the Converse API, which wants the "
            "tools where the messages have calls: leave tool_choice out"
        )
    return True


def _build_tool(tool: Tool | RawTool, provider: str) -> list[_Block]:
    if isinstance(tool, RawTool):
        return [dict(tool.value)]
    schema = tool.parameters
    spec = {
        "name": tool.name,
        "description": tool.description or None,
        "inputSchema": {"json": _format_schema(schema, provider) if tool.strict else schema},
        "strict": tool.strict,
    }
    more = {key: value for key, value in tool.extra.items() if key != "cache_control"}
    return _marked([{"toolSpec": {**more, **without_none(spec)}}], tool.extra)


def _build_choice(choice: ToolChoice | RawTool | None) -> Mapping[str, Any] | None:
    if choice is None:
        return None
    if isinstance(choice, RawTool):
        return choice.value
    if choice.mode == "tool":
        return {"tool": {"name": choice.name}}
    return {"any" if choice.mode == "required" else "auto": {}}


def _build_output(wanted: JSONFormat | RawTool | None, provider: str) -> dict[str, Any] | None:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html."""
    if isinstance(wanted, RawTool):
        return {"textFormat": wanted.value}
    if wanted is None or wanted.schema is None:
        return None
    schema = encode_body(_format_schema(wanted.schema, provider), provider).decode()
    described = {"schema": schema, "name": wanted.name, "description": wanted.description}
    structure = {"jsonSchema": without_none(described)}
    return {"textFormat": {"type": "json_schema", "structure": structure}}


def _format_schema(schema: Mapping[str, Any], provider: str) -> dict[str, Any]:
    """The schema in the subset that Bedrock takes, which is Anthropic's."""
    written: dict[str, Any] = write_schema(provider, lambda: format_schema(schema))
    return written
