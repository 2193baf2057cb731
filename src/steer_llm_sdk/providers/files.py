"""Audio and documents in messages, put into a provider's own spelling before the rest is built."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.foreign import is_item_type
from steer_llm_sdk.models.inputs import InputFile, InputPart, InputRaw, read_input
from steer_llm_sdk.models.media import AUDIO_FORMATS
from steer_llm_sdk.models.messages import Message, ToolCall
from steer_llm_sdk.models.requests import ChatRequest

# Parts of an earlier answer that only their own format wants back: asked of another, words and
# calls go alone.
_HOMES: Mapping[str, frozenset[str]] = {
    "thinking": frozenset({"anthropic", "bedrock"}),
    "redacted_thinking": frozenset({"anthropic", "bedrock"}),
}

# Formats in which a conversation is a list of items, with calls among them.
_HOMES_OF_ITEMS = frozenset({"interactions", "openai-responses"})

# The mark of what a provider is to keep in its cache, and the formats that have no such word.
_MARK = "cache_control"
_WITHOUT_MARKS = frozenset({"cohere", "gemini", "interactions", "ollama"})

_NOT_IN_NAMES = re.compile(r"[^\w\s().\[\]-]+")


def spell_files(
    messages: Iterable[Message], wire: str, spell: Callable[[InputFile], Mapping[str, Any]]
) -> tuple[Message, ...]:
    """The messages with files in a provider's spelling, and without what only others know.

    Args:
        messages: The conversation.
        wire: Whose spelling it will have.
        spell: Spells one file, or refuses it.

    Raises:
        ConfigurationError: A file has no spelling.
    """
    return tuple(_spell_message(message, wire, spell) for message in messages)


def with_files_spelled(
    chat: ChatRequest, wire: str, spell: Callable[[InputFile], Mapping[str, Any]]
) -> ChatRequest:
    """The request with its messages as `spell_files` gives them; itself where nothing changes."""
    messages = spell_files(chat.messages, wire, spell)
    return chat if messages == chat.messages else replace(chat, messages=messages)


def _spell_message(
    message: Message, wire: str, spell: Callable[[InputFile], Mapping[str, Any]]
) -> Message:
    if not any(isinstance(part, InputRaw) for part in message.parts):
        return message
    # By identity: parts stand in the order of the message, too, and a signature hangs on one.
    written: dict[int, InputPart | None] = {
        id(part): _spell_part(part, wire, spell) for part in message.parts
    }
    order = [
        block if isinstance(block, ToolCall) else written[id(block)] for block in message.order
    ]
    return replace(
        message,
        parts=tuple(part for part in written.values() if part is not None),
        order=tuple(block for block in order if block is not None),
    )


def _spell_part(
    part: InputPart, wire: str, spell: Callable[[InputFile], Mapping[str, Any]]
) -> InputPart | None:
    if isinstance(part, InputRaw) and _MARK in part.value and wire in _WITHOUT_MARKS:
        bare = {key: value for key, value in part.value.items() if key != _MARK}
        part = read_input(bare, bare.get("type"), "messages")
    if isinstance(part, InputFile):
        return InputRaw(spell(part))
    return None if isinstance(part, InputRaw) and _belongs_elsewhere(part.value, wire) else part


def _belongs_elsewhere(value: Mapping[str, Any], wire: str) -> bool:
    kind = value.get("type")
    if is_item_type(kind):
        return wire not in _HOMES_OF_ITEMS
    homes = _HOMES.get(str(kind))
    if homes is None or wire in homes:
        return False
    return not isinstance(value.get("thinking"), list)  # Mistral's own, by the same name


def file_name(file: InputFile) -> str:
    """The name of a file; made of its kind, where it has none."""
    if file.name:
        return _NOT_IN_NAMES.sub("_", file.name)
    return "document.pdf" if file.media_type == "application/pdf" else "document"


def audio_format(file: InputFile, taken: Iterable[str], provider: str) -> str:
    """What OpenAI's spelling calls the format of audio.

    Raises:
        ConfigurationError: It is by URL, or of a format that is not taken.
    """
    name = AUDIO_FORMATS.get(file.media_type, "")
    if file.data is None or name not in taken:
        raise refused(file, provider, f"audio as {' or '.join(taken)}, and not by URL")
    return name


def refused(file: InputFile, provider: str, expected: str) -> ConfigurationError:
    """The error of a file that has no spelling."""
    what = "audio" if file.is_audio else "a document"
    found = "by URL" if file.data is None else f"of the type {file.media_type or 'unknown'!r}"
    return ConfigurationError(f"{provider}: expected {expected}; found {what} {found}")
