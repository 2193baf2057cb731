"""Spells an earlier answer as the assistant's message of chat completions.

Reasoning goes back in the field in which it came: ``reasoning_content`` (DeepSeek refuses a turn
with calls without it: https://api-docs.deepseek.com/guides/thinking_mode), ``reasoning_details``
whole and in their order (https://openrouter.ai/docs/use-cases/reasoning-tokens), LiteLLM's
``thinking_blocks``, Portkey's ``content_blocks``, or as parts of the content (Mistral, Databricks);
words that are sealed are such parts, too. Of an answer that came by another wire format, words and
calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steer_llm_sdk.models.messages import Message, ToolCall
from steer_llm_sdk.models.parts import FilePart, Part, ReasoningPart, TextPart, ToolCallPart
from steer_llm_sdk.providers.reading import object_at

_Object = dict[str, Any]
_Thought = tuple[ReasoningPart, _Object]

# Where `provider_data` says what came how: see `steer_llm_sdk.providers.openai_chat.content`.
FIELD = "field"
DETAIL = "detail"
CONTENT = "content:"

_DETAILS = "reasoning_details"
_BLOCKS = "thinking_blocks"
_COPIES = "content_blocks"
_WORDS = frozenset({"text", "summary"})
_NAMES = frozenset({FIELD, DETAIL, _DETAILS, _BLOCKS, _COPIES})


def answer_fields(message: Message, wire: str) -> _Object:
    """Build what an earlier answer has beside its role and its calls: content and reasoning."""
    thoughts = _thoughts(message.answer, wire)
    if any(str(data.get(FIELD, "")).startswith(CONTENT) for _, data in thoughts):
        return {"content": list(_content(message.answer, wire))}
    beside = _beside(message.answer, thoughts, wire)
    if sealed := _sealed_words(message.answer, wire):
        return {"content": sealed, **beside}
    words = message.text
    # What was spoken is known by its identifier, words and all.
    has_words = (words or not message.tool_calls) and "audio" not in beside
    return {"content": words if has_words else None, **beside}


def answer_calls(message: Message, wire: str) -> Iterator[ToolCall]:
    """List the calls of an earlier answer, with what stood beside each."""
    for part in message.answer:
        if isinstance(part, ToolCallPart):
            extra = part.data_for(wire)
            yield ToolCall(part.id, part.name, part.arguments, part.call_type, extra)


def _thoughts(parts: Sequence[Part], wire: str) -> list[_Thought]:
    reasoning = (part for part in parts if isinstance(part, ReasoningPart))
    return [(part, data) for part in reasoning if (data := part.data_for(wire)) is not None]


def _beside(parts: Sequence[Part], thoughts: Sequence[_Thought], wire: str) -> _Object:
    fields: _Object = {}
    for part, data in thoughts:
        if (field := data.get(FIELD)) and part.text:
            fields[field] = fields.get(field, "") + part.text
        fields.update((key, value) for key, value in data.items() if key not in _NAMES)
    if details := [detail for part, data in thoughts for detail in _details(part, data)]:
        fields[_DETAILS] = details
        fields.pop("reasoning", None)  # the details say it
    if blocks := [block for part, data in thoughts for block in _blocks(part, data, _BLOCKS)]:
        fields[_BLOCKS] = blocks
    if copies := [block for part, data in thoughts for block in _blocks(part, data, _COPIES)]:
        words = (part.text for part in parts if isinstance(part, TextPart) and part.text)
        fields[_COPIES] = [*copies, *({"type": "text", "text": each} for each in words)]
    if images := list(_images(parts, wire)):
        fields["images"] = images
    if spoken := list(_spoken(parts, wire)):
        fields["audio"] = spoken[-1]
    return fields


def _details(part: ReasoningPart, data: Mapping[str, Any]) -> Iterator[_Object]:
    """The details of one part: its words under the first, what seals it with it or behind it."""
    sealed = list(data.get(_DETAILS, ()))
    opening = data.get(DETAIL)
    if opening is None:
        yield from _joined(sealed)
        return
    place = _place_of(opening)
    seals = [detail for detail in sealed if _place_of(detail) == place]
    key = "summary" if opening.get("type") == "reasoning.summary" else "text"
    whole = dict(opening)
    for seal in seals:
        whole.update((name, value) for name, value in seal.items() if value)
    yield whole | {key: part.text}
    yield from (dict(detail) for detail in sealed if _place_of(detail) != place)


def _joined(details: Sequence[Mapping[str, Any]]) -> list[_Object]:
    """The details with the pieces of one put together: each came with its identifier."""
    found: list[_Object] = []
    for detail in details:
        last = found[-1] if found else {}
        if not _goes_on(last, detail):
            found.append(dict(detail))
            continue
        for name, value in detail.items():
            if name in _WORDS and isinstance(value, str):
                last[name] = (last.get(name) or "") + value
            elif value:
                last[name] = value
    return found


def _goes_on(last: Mapping[str, Any], detail: Mapping[str, Any]) -> bool:
    is_same = _place_of(last) == _place_of(detail) and last.get("id") == detail.get("id")
    return is_same and detail.get("index") is not None and "data" not in {*last, *detail}


def _place_of(detail: Mapping[str, Any]) -> tuple[object, object]:
    return detail.get("type"), detail.get("index")


def _blocks(part: ReasoningPart, data: Mapping[str, Any], name: str) -> Iterator[_Object]:
    """LiteLLM's blocks, or Portkey's: the one with the signature comes without the words."""
    words = part.text
    for block in data.get(name, ()):
        if block.get("type") != "thinking" or block.get("thinking"):
            yield dict(block)
            continue
        yield {**block, "thinking": words}
        words = ""


def _images(parts: Sequence[Part], wire: str) -> Iterator[_Object]:
    for part in parts:
        data = part.data_for(wire)
        if isinstance(part, FilePart) and data and data.get(FIELD) == "images":
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            yield {"type": "image_url", "image_url": {"url": url}}


def _spoken(parts: Sequence[Part], wire: str) -> Iterator[_Object]:
    """What was said aloud, by the identifier that the server keeps it under."""
    for part in parts:
        identifier = object_at(part.data_for(wire) or {}, "audio").get("id")
        if identifier is not None:
            yield {"id": identifier}


def _content(parts: Sequence[Part], wire: str) -> Iterator[_Object]:
    """Content whose reasoning stands among the words."""
    for part in parts:
        data = part.data_for(wire)
        if isinstance(part, ReasoningPart) and data is not None:
            yield _thinking(part.text, data)
        elif isinstance(part, TextPart) and part.text:
            yield {"type": "text", "text": part.text, **(data or {})}


def _sealed_words(parts: Sequence[Part], wire: str) -> list[_Object]:
    """Words as parts of the content, where something seals them; none where nothing does."""
    texts = [(part.text, part.data_for(wire)) for part in parts if isinstance(part, TextPart)]
    if not any(data for _, data in texts):
        return []
    return [{"type": "text", "text": text, **(data or {})} for text, data in texts if text or data]


def _thinking(words: str, data: Mapping[str, Any]) -> _Object:
    seals = {key: value for key, value in data.items() if key not in _NAMES}
    if data.get(FIELD) == f"{CONTENT}reasoning":
        summary = {"type": "summary_text", "text": words, **seals}
        return {"type": "reasoning", "summary": [summary]}
    return {"type": "thinking", "thinking": [{"type": "text", "text": words}], **seals}
