"""The words of a delta: content as a string or a list of parts, reasoning in all its spellings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from steer_llm_sdk.models.fragments import Reasoning
from steer_llm_sdk.providers.reading import json_text, object_at, objects_at

_WORDS = ("text", "output_text")
_THINKING = ("thinking", "reasoning")
# Keys of a reasoning part that have to be sent back with the next turn.
_REASONING = (
    *("reasoning_content", "reasoning", "reasoning_text", "thinking", "thinking_content"),
    "cot_summary",
)
_OPAQUE = (
    "cot_id",
    *("reasoning_opaque", "reasoning_encrypted", "reasoning_items", "reasoning_signature"),
    *("thinking_signature", "thought_signature", "signature"),
)
# Fields of gateways that hold this and that, and among it what seals the reasoning.
_MIXED = ("extra_content", "provider_specific_fields")
_SEAL = re.compile(r"signature|encrypted|opaque|thinking_block", re.IGNORECASE)

# What of a delta is reasoning, however it is spelled.
REASONING_FIELDS = frozenset({*_REASONING, *_OPAQUE, "reasoning_details", "thinking_blocks"})
# A delta without any of these has no reasoning, nor what seals some.
_WITH_REASONING = REASONING_FIELDS | {*_MIXED, "content_blocks"}
_SEALS = ("signature", "data", "encrypted_content")

# What Gemini's copy writes around thoughts, which stand in the place of words.
_THOUGHT, _THOUGHT_ENDS = "<thought>", "</thought>"

# What has been read of a part, or of a detail of the reasoning; whatever else it has is kept.
_OF_TEXT = frozenset({"type", "text"})
_OF_THINKING = frozenset({"type", "text", "thinking", "summary", "closed"})
_OF_DETAILS = frozenset({"type", "text", "summary", "format", "index"})


def read_content(content: object) -> tuple[list[str | Reasoning], list[Any]]:
    """The words of ``content``, and its parts of other kinds as they are.

    Mistral and Databricks send a list whose parts hold text or reasoning.
    """
    if isinstance(content, str):
        return ([content] if content else []), []
    words: list[str | Reasoning] = []
    others: list[Any] = []
    if isinstance(content, int | float) and not isinstance(content, bool):
        return [json_text(content)], []  # a gateway took a word of digits for a number
    parts = content if isinstance(content, list) else [content] if content else []
    for part in parts:
        found = _read_part(part)
        if found is None:
            others.append(part)
        elif found != "":
            words.append(found)
        if isinstance(found, str) and isinstance(part, dict) and part.keys() - _OF_TEXT:
            others.append({key: value for key, value in part.items() if key != "text"})
    return words, others


def seals_of_words(delta: dict[str, Any]) -> dict[str, Any]:
    """What seals words: Databricks writes Gemini's signature into a part of the content."""
    parts = objects_at(delta, "content")
    words = (part for part in parts if part.get("type", "text") in _WORDS)
    return {
        key: value for part in words for key, value in part.items() if value and _SEAL.search(key)
    }


def _read_part(part: object) -> str | Reasoning | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return None
    kind = part.get("type", "text")
    if kind in _THINKING:
        return _read_thinking(part)
    text = part.get("text")
    return text if kind in _WORDS and isinstance(text, str) else None


def _read_thinking(part: dict[str, Any]) -> Reasoning:
    """A part of reasoning: ``thinking`` (Mistral) or ``reasoning`` with its ``summary``."""
    inner = part.get("thinking") or part.get("summary") or part.get("text")
    pieces = inner if isinstance(inner, list) else [inner]
    holders = [holder for holder in (part, *pieces) if isinstance(holder, dict)]
    kept = {
        key: value
        for holder in holders
        for key, value in holder.items()
        if value and key not in _OF_THINKING
    }
    return Reasoning("".join(_text_of(piece) for piece in pieces), extra=kept or None)


def _text_of(piece: object) -> str:
    if isinstance(piece, dict):
        piece = piece.get("text")
    return piece if isinstance(piece, str) else ""


def is_marked_as_thought(delta: dict[str, Any]) -> bool:
    """Whether the content of a delta is what the model thinks.

    https://ai.google.dev/gemini-api/docs/openai#thinking: ``include_thoughts`` puts it there.
    """
    return object_at(object_at(delta, "extra_content"), "google").get("thought") is True


def thought_apart(words: str | Reasoning) -> Iterator[str | Reasoning]:
    """Tell a thought from the tags around it, and from words behind it."""
    if isinstance(words, Reasoning):
        yield words
        return
    thought, _, rest = words.removeprefix(_THOUGHT).partition(_THOUGHT_ENDS)
    if thought:
        yield Reasoning(thought)
    if rest:
        yield rest


def without_closing_tag(words: Sequence[str | Reasoning]) -> list[str | Reasoning]:
    """Return the words behind thoughts, without the tag that closes those."""
    first, *others = words
    rest = first.removeprefix(_THOUGHT_ENDS) if isinstance(first, str) else first
    return [rest, *others] if rest else others


def may_reason(delta: dict[str, Any]) -> bool:
    """Whether a delta may have reasoning: most have no field for it."""
    return not _WITH_REASONING.isdisjoint(delta) or isinstance(delta.get("content"), list)


def reasoning_field(delta: dict[str, Any]) -> str | None:
    """Where the words of the reasoning come, and are taken back; None where there are none.

    The field, or ``content:`` and the type of the part of the content.
    """
    for part in objects_at(delta, "content"):
        if str(part.get("type")) in _THINKING:
            return f"content:{part['type']}"
    return next((key for key in _REASONING if delta.get(key)), None)


def _thoughts_of_blocks(delta: dict[str, Any]) -> list[dict[str, Any]]:
    """What thinks in Portkey's copies of Anthropic's blocks, as blocks of LiteLLM's.

    https://portkey.ai/docs/product/ai-gateway/multimodal-capabilities/thinking-mode: each is a
    delta, without its type, or a block; what is no thought repeats the content.
    """
    blocks = objects_at(delta, "content_blocks")
    pieces = [object_at(block, "delta") or block for block in blocks]
    return [
        {"type": "redacted_thinking" if "data" in piece else "thinking", "thinking": "", **piece}
        for piece in pieces
        if any(piece.get(key) for key in ("thinking", "signature", "data"))
    ]


def has_thought(delta: dict[str, Any]) -> bool:
    """Whether a delta has words of reasoning, or a block of it."""
    has_block = objects_at(delta, "thinking_blocks") or _thoughts_of_blocks(delta)
    return reasoning_field(delta) is not None or bool(has_block)


def seals_block(delta: dict[str, Any]) -> bool:
    """Whether a delta has the signature of a gateway's block: it is whole."""
    blocks = [*objects_at(delta, "thinking_blocks"), *_thoughts_of_blocks(delta)]
    return any(block.get("signature") for block in blocks)


def plain_detail(delta: dict[str, Any]) -> dict[str, Any] | None:
    """The first of OpenRouter's details that only repeats the words: its type, its place."""
    for detail in objects_at(delta, "reasoning_details"):
        if _is_plain(detail):
            words = {"text", "summary", *_SEALS}
            return {key: value for key, value in detail.items() if key not in words}
    return None


def _is_plain(detail: dict[str, Any]) -> bool:
    """Whether a detail only repeats the words."""
    return not any(detail[key] for key in detail.keys() - _OF_DETAILS)


def _thought_of(field: object) -> str:
    """The words of a field of reasoning: a text, or an object or a list that holds texts."""
    if isinstance(field, dict):
        field = field.get("text") or field.get("content") or field.get("summary")
    if isinstance(field, list):
        return "".join(_thought_of(each) for each in field)
    return field if isinstance(field, str) else ""


def sealed(delta: dict[str, Any]) -> dict[str, Any]:
    """The fields of gateways in which stands what has to be sent back with the answer."""
    return {key: delta[key] for key in _MIXED if _has_seal(delta.get(key))}


def _has_seal(value: object) -> bool:
    if isinstance(value, list):
        return any(_has_seal(each) for each in value)
    if not isinstance(value, dict):
        return False
    return any(
        (each and _SEAL.search(key) is not None) or _has_seal(each) for key, each in value.items()
    )


def read_reasoning(delta: dict[str, Any]) -> list[Reasoning]:
    """The reasoning of a delta, once, however many fields repeat it.

    ``reasoning_content`` (DeepSeek, vLLM, …), ``reasoning`` (OpenRouter, Groq, …), and
    ``reasoning_text`` (GitHub Copilot) hold words. OpenRouter's ``reasoning_details`` and LiteLLM's
    ``thinking_blocks`` repeat them and add what must be sent back unchanged, as ``_OPAQUE`` does.
    https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
    """
    if _WITH_REASONING.isdisjoint(delta):
        return []
    fields = [delta.get(key) for key in _REASONING]
    has_words = any(isinstance(field, str) for field in fields)
    texts = (_thought_of(field) for field in fields)
    text = next(filter(None, texts), "")
    details = objects_at(delta, "reasoning_details")
    if not text:
        text = "".join(_text_of(d.get("text") or d.get("summary")) for d in details)
    blocks, copies = objects_at(delta, "thinking_blocks"), _thoughts_of_blocks(delta)
    if not text and not has_words:
        text = "".join(_text_of(block.get("thinking")) for block in blocks or copies)
    kept: dict[str, Any] = {
        "reasoning_details": [detail for detail in details if not _is_plain(detail)],
        # A block without its signature only repeats the words.
        "thinking_blocks": [b for b in blocks if any(b.get(key) for key in _SEALS)],
        "content_blocks": [b for b in copies if any(b.get(key) for key in _SEALS)],
        **{key: delta.get(key) for key in _OPAQUE},
        **sealed(delta),
        # Words in a form of their own are kept in it, too.
        **{key: delta[key] for key in _REASONING if isinstance(delta.get(key), dict | list)},
    }
    extra = {key: value for key, value in kept.items() if value}
    if not text and not extra:
        return []
    return [Reasoning(text, extra=extra or None)]
