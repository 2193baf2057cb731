"""The words of a delta: content as a string or a list of parts, reasoning in all its spellings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from steer_llm_sdk.models.fragments import Extras, Reasoning

_WORDS = frozenset({"text", "output_text"})
# Keys of a reasoning part that have to be sent back with the next turn.
_SEALS = ("signature", "data", "encrypted_content")


def read_content(content: object) -> Iterator[str | Reasoning | Extras]:
    """The words of ``content``; parts of another kind are kept as they are.

    Mistral and Databricks send a list whose parts hold text or reasoning.
    """
    if isinstance(content, str):
        if content:
            yield content
        return
    others: list[Any] = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            text: object = part
        else:
            text = part.get("text") if isinstance(part, dict) and _is_words(part) else None
        reasoning = _read_thinking(part)
        if isinstance(text, str):
            if text:
                yield text
        elif reasoning is not None:
            yield reasoning
        else:
            others.append(part)
    if others:
        yield Extras({"content_parts": others})


def _is_words(part: dict[str, Any]) -> bool:
    return part.get("type", "text") in _WORDS


def _read_thinking(part: object) -> Reasoning | None:
    """A part of reasoning: ``thinking`` (Mistral) or ``reasoning`` with its ``summary``."""
    if not isinstance(part, dict) or part.get("type") not in {"thinking", "reasoning"}:
        return None
    inner = part.get("thinking") or part.get("summary") or part.get("text")
    pieces = inner if isinstance(inner, list) else [inner]
    text = "".join(_text_of(piece) for piece in pieces)
    seals = [p for p in (part, *pieces) if isinstance(p, dict)]
    extra = {key: p[key] for p in seals for key in _SEALS if p.get(key)}
    return Reasoning(text, extra=extra or None)


def _text_of(piece: object) -> str:
    if isinstance(piece, dict):
        piece = piece.get("text")
    return piece if isinstance(piece, str) else ""


def read_reasoning(delta: dict[str, Any]) -> Iterator[Reasoning]:
    """The reasoning of a delta, once, however many fields repeat it.

    ``reasoning_content`` (DeepSeek, vLLM, …), ``reasoning`` (OpenRouter, Groq, …), and OpenRouter's
    ``reasoning_details``, which repeat the words and add what must be sent back unchanged.
    https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
    """
    fields = (delta.get("reasoning_content"), delta.get("reasoning"))
    text = next((field for field in fields if isinstance(field, str) and field), "")
    given = delta.get("reasoning_details")
    details = [d for d in given if isinstance(d, dict)] if isinstance(given, list) else []
    if not text:
        text = "".join(_text_of(d.get("text") or d.get("summary")) for d in details)
    sealed = [d for d in details if any(d.get(key) for key in _SEALS)]
    if text or sealed:
        yield Reasoning(text, extra={"reasoning_details": sealed} if sealed else None)


def json_text(value: object) -> str:
    """A value as JSON; empty for none: some servers send arguments as an object."""
    return "" if value is None else msgspec.json.encode(value).decode()
