"""Builds a request for Gemini: https://ai.google.dev/api/generate-content#request-body.

What differs from the library's own form: the model stands in the URL; the system prompt stands
outside of the contents; the assistant is called ``model``; a tool's answer names the function, and
all answers to one turn stand in one turn; how to generate is an object of its own.

What has no spelling: an image's ``detail``, a speaker's ``name`` and a tool's ``strict`` are hints
for other providers, and are left out. Everything else can be said in ``extra_body``, which is
merged last; what it says in ``generationConfig`` is joined with what is said there already.

A ``thoughtSignature`` has to come back as it was: the message that `StreamingResponse.to_message`
gives has it; it is read, too, from a tool call's own keys, and from those of an assistant's message
for its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.models.media import media_type_of
from steer_llm_sdk.models.messages import (
    InputImage,
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
from steer_llm_sdk.providers.files import spell_files
from steer_llm_sdk.providers.gemini.schema import build_schema
from steer_llm_sdk.providers.gemini.turns import SIGNATURE, answer_parts, build_call
from steer_llm_sdk.providers.reasoning import join_fields
from steer_llm_sdk.providers.writing import (
    build_headers,
    encode_body,
    google_key,
    refuse_one_call_alone,
    without_none,
)

_COLLECTIONS = ("models", "tunedModels")
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}

# Models that know no words, and what a word means there in tokens:
# https://ai.google.dev/gemini-api/docs/openai#thinking.
_BEFORE_LEVELS = re.compile(r"gemini-[12]\b|robotics-er-1")
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}

_Object = dict[str, Any]


def build_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the HTTP request that asks `endpoint` for a stream. The key is in a header only.

    Raises:
        ConfigurationError: A tool's answer belongs to no call, the arguments of an earlier call are
            no JSON object, several calls are forbidden, or something in the request cannot be
            written as JSON.
    """
    body = build_body(chat, endpoint.provider)
    return _spell(body, "streamGenerateContent?alt=sse", chat, endpoint)


def build_count_request(chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    """Build the request that asks how many tokens a prompt takes.

    https://ai.google.dev/api/tokens#method:-models.counttokens

    Raises:
        ConfigurationError: As in `build_request`.
    """
    asked = {"model": "/".join(_place(chat.model)), **build_body(chat, endpoint.provider)}
    return _spell({"generateContentRequest": asked}, "countTokens", chat, endpoint)


def _spell(
    body: Mapping[str, Any], method: str, chat: ChatRequest, endpoint: Endpoint
) -> HTTPRequest:
    headers = build_headers(endpoint, chat.extra_headers, google_key(endpoint))
    collection, name = _place(chat.model)
    place = f"{collection}/{quote(name, safe='')}"
    url = f"{endpoint.base_url.rstrip('/')}/v1beta/{place}:{method}"
    return HTTPRequest(url, encode_body(body, endpoint.provider), headers)


def _place(model: str) -> tuple[str, str]:
    """The collection that a model is in, and its name there."""
    collection, _, name = model.partition("/")
    return (collection, name) if collection in _COLLECTIONS and name else ("models", model)


def build_body(chat: ChatRequest, provider: str) -> _Object:
    """Build the body, which is the same wherever Gemini is served.

    Raises:
        ConfigurationError: As for `build_request`.
    """
    refuse_one_call_alone(chat, provider)
    spelled = spell_files(chat.messages, "gemini", _spell_file)
    system, messages = split_system(spelled, chat.system)
    fields = {
        "contents": _build_contents(messages, chat.model, provider),
        "systemInstruction": {"parts": [{"text": system}]} if system else None,
        "tools": _build_tools(chat.tools, provider) or None,
        "toolConfig": _build_tool_choice(chat.tool_choice),
        "generationConfig": _build_generation(chat, provider) or None,
    }
    # Much that a caller wants to add stands in ``generationConfig``, and must not undo the rest.
    return join_fields(without_none(fields), chat.extra_body, "generationConfig")


def _build_generation(chat: ChatRequest, provider: str) -> _Object:
    return without_none(
        {
            "temperature": chat.temperature,
            "topP": chat.top_p,
            "maxOutputTokens": chat.max_tokens,
            "stopSequences": list(chat.stop) or None,
            "seed": chat.seed,
            "thinkingConfig": _build_thinking(chat),
            **_build_format(chat.response_format, provider),
        }
    )


def _build_thinking(chat: ChatRequest) -> _Object | None:
    """https://ai.google.dev/gemini-api/docs/thinking: levels since Gemini 3, budgets before it.

    To think nothing is a budget of nothing in both; a model that cannot do that refuses it.
    """
    wanted = chat.reasoning
    if wanted is None:
        return None
    if wanted == "none":
        return {"thinkingBudget": 0}
    if isinstance(wanted, int):
        return {"thinkingBudget": wanted, "includeThoughts": True}
    if _BEFORE_LEVELS.search(chat.model):
        return {"thinkingBudget": _BUDGETS[wanted], "includeThoughts": True}
    return {"thinkingLevel": wanted, "includeThoughts": True}


def _build_format(wanted: JSONFormat | RawTool | None, provider: str) -> _Object:
    if wanted is None:
        return {}
    if isinstance(wanted, RawTool):
        return dict(wanted.value)
    schema = build_schema(wanted.schema, provider, closes=wanted.is_of_type)
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _build_tools(tools: Sequence[Tool | RawTool], provider: str) -> list[_Object]:
    declared = [_build_function(tool, provider) for tool in tools if isinstance(tool, Tool)]
    functions = [{"functionDeclarations": declared}] if declared else []
    return [*functions, *(dict(tool.value) for tool in tools if isinstance(tool, RawTool))]


def _build_function(tool: Tool, provider: str) -> _Object:
    return without_none(
        {
            "name": tool.name,
            "description": tool.description,
            "parametersJsonSchema": build_schema(tool.parameters, provider),
        }
    )


def _build_tool_choice(choice: ToolChoice | RawTool | None) -> _Object | None:
    if choice is None:
        return None
    if isinstance(choice, RawTool):
        return dict(choice.value)
    config: _Object = {"mode": _MODES[choice.mode]}
    if choice.name is not None:
        config["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": config}


def _build_contents(messages: Iterable[Message], model: str, provider: str) -> list[_Object]:
    contents: list[_Object] = []
    names: dict[str, str] = {}  # of the functions, by the ids of their calls
    answers: list[_Object] | None = None  # the parts of a turn of answers, while it goes on
    for message in messages:
        if message.role == "tool":
            parts = list(_build_answer(message, names, provider))
            if answers is not None:
                answers += parts
                continue
            answers = parts
        else:
            names |= {call.id: call.name for call in message.tool_calls}
            parts = list(_build_turn(message, model, provider))
            answers = None
        if parts:
            contents.append(
                {"role": "model" if message.role == "assistant" else "user", "parts": parts}
            )
    return contents


def _build_turn(message: Message, model: str, provider: str) -> Iterator[_Object]:
    """Words and calls in their order; a signature of the whole turn stands on its last part."""
    if message.answer:
        yield from answer_parts(message.answer, model, provider)
        return
    signature = message.extra.get(SIGNATURE)
    signed = message.parts[-1] if message.parts and signature is not None else None
    for block in message.blocks:
        if isinstance(block, ToolCall):
            yield build_call(block, provider)
            continue
        for part in _build_part(block):
            yield {**part, SIGNATURE: signature} if block is signed else part


def _build_part(part: InputPart) -> Iterator[_Object]:
    if isinstance(part, InputText):
        if part.text:
            yield {"text": part.text}
    elif isinstance(part, InputImage):
        yield _build_image(part)
    else:
        yield _without_type(part)


def _without_type(part: InputRaw) -> _Object:
    """A part in Gemini's own spelling; ``type`` is no word of it, and would be refused."""
    return {key: value for key, value in part.value.items() if key != "type"}


def _build_image(image: InputImage) -> _Object:
    if image.url is None:
        return {"inlineData": {"mimeType": image.media_type, "data": image.data}}
    return _file_at(image.url)


def _spell_file(file: InputFile) -> _Object:
    """Audio and documents go as images do: https://ai.google.dev/gemini-api/docs/audio."""
    if file.data is None:
        return _file_at(file.url or "", file.media_type)
    return {"inlineData": {"mimeType": file.media_type, "data": file.data}}


def _file_at(url: str, media_type: str = "") -> _Object:
    """A file's type is told where it is known; the server looks for itself otherwise."""
    known = media_type or media_type_of(url)
    return {"fileData": {**({"mimeType": known} if known else {}), "fileUri": url}}


def _build_answer(message: Message, names: Mapping[str, str], provider: str) -> Iterator[_Object]:
    """The answer to a call; images that it holds follow it as parts of their own."""
    identifier = message.tool_call_id
    name = message.name or names.get(identifier or "")
    if not name:
        raise ConfigurationError(
            f"{provider}: no call before it has the id {identifier!r} of a tool's answer, and the "
            "function's name is needed: pass it as the message's name"
        )
    fields = {"id": identifier or None, "name": name, "response": _build_result(message)}
    yield {"functionResponse": without_none(fields)}
    for part in message.parts:
        if not isinstance(part, InputText):
            yield from _build_part(part)


def _build_result(message: Message) -> _Object:
    """An object is wanted: the text, when it is one; else under the name that Google proposes."""
    if message.is_error:
        return {"error": message.text}
    try:
        result = msgspec.json.decode(message.text)
    except (ValueError, RecursionError):
        result = None
    return result if isinstance(result, dict) else {"result": message.text}
