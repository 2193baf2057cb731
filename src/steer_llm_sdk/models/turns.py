"""The messages that an answer leaves behind: the assistant's own, and the results of its calls.

They are plain dicts, which JSON can hold, and name the version of their form: what was stored years
ago is read by `steer_llm_sdk.models.messages`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from steer_llm_sdk.checks import NAME
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.inputs import TEXT_KINDS, has_scheme, read_file_of
from steer_llm_sdk.models.parts import Part, ReasoningPart, ToolCallPart, part_from_dict
from steer_llm_sdk.models.text import without_lone_surrogates
from steer_llm_sdk.stored import plain

# Of the messages that are written here; `version` is the key that names it.
VERSION = 1

_WORDS = frozenset({"text", "commentary", "reasoning", "refusal"})
# What a list holds that is the content of a message, and no list of values.
_CONTENT = frozenset(
    {"text", "image", "image_url", "document", "file", "input_text", "input_image", "input_file"}
    | {"input_audio", "audio", "search_result"}
)
# … where it has one of these: a row of data may have a `type` as well.
_HELD = ("data", "file", "file_data", "file_id", "file_url", "image_url", "input_audio", "url")


def assistant_message(
    parts: Sequence[Part], *, has_failed: bool = False, is_cut: bool = False
) -> dict[str, Any]:
    """Make the assistant's message of the parts of an answer.

    Reasoning whose words were changed is left out: no provider takes it back.

    Args:
        parts: The parts of the answer.
        has_failed: Whether the answer failed: then nothing stands at the end that only begins
            something (reasoning without what it led to).
        is_cut: Whether it stopped before its end: then the last words are not whole.
    """
    kept = list(parts)
    if is_cut and kept and kept[-1].type in _WORDS:
        kept.pop()
    kept = [part for part in kept if _can_be_told(part)]
    while has_failed and kept and isinstance(kept[-1], ReasoningPart):
        kept.pop()
    return {
        "role": "assistant",
        "version": VERSION,
        "content": [part.to_dict() for part in kept],
    }


def _can_be_told(part: Part) -> bool:
    if isinstance(part, ToolCallPart):
        return part.is_complete
    if isinstance(part, ReasoningPart):
        return bool(part.provider_data)
    return len(part.to_dict()) > 1


def tool_result(call_id: str, content: object, *, is_error: bool = False) -> dict[str, Any]:
    """Make the message that answers a call of a tool, for ``messages=``.

    Args:
        call_id: The ``id`` of the call.
        content: What the tool gave: a text, a list of content parts (text, images), or any other
            value, which is written as JSON. Halves of characters become U+FFFD.
        is_error: Whether the tool failed: `content` then says how.

    Raises:
        ConfigurationError: `call_id` is no text, or an empty one.
    """
    NAME.check("call_id", call_id)
    message: dict[str, Any] = {
        "role": "tool",
        "version": VERSION,
        "tool_call_id": call_id,
        "content": _content_of(content),
    }
    return message | {"is_error": True} if is_error else message


def _content_of(content: object) -> str | list[Any]:
    if isinstance(content, str):
        return without_lone_surrogates(str.__str__(content))
    if isinstance(content, list | tuple):  # a file is read when its message is made
        content = [
            read_file_of(part, "content") if _is_kind_of_content(part) else part for part in content
        ]
    written = plain(content)
    text = without_lone_surrogates(json.dumps(written, ensure_ascii=False))
    if isinstance(written, list) and written and all(map(_is_content, written)):
        return written if text.isascii() else list(json.loads(text))
    return text


def _is_kind_of_content(value: object) -> TypeGuard[dict[str, Any]]:
    kind = value.get("type") if isinstance(value, dict) else None
    return isinstance(kind, str) and kind in _CONTENT


def _is_content(value: object) -> bool:
    if not _is_kind_of_content(value):
        return False
    if value["type"] in TEXT_KINDS:
        return isinstance(value.get("text"), str)
    if value["type"] == "search_result":
        return "source" in value
    if isinstance(url := value.get("url"), str) and not has_scheme(url):
        return False
    return isinstance(value.get("source"), dict) or any(map(value.get, _HELD))


def read_version(fields: Mapping[str, Any], where: str) -> None:
    """Refuse a stored message of a version that is not known here.

    Raises:
        ConfigurationError: It is newer, or no version.
    """
    version = fields["version"]
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise ConfigurationError(
            f"{where}: expected a stored message of version 1 to {VERSION}, found {version!r:.80}: "
            "a newer steer_llm_sdk has written it"
        )


def read_parts(content: object, where: str) -> tuple[Part, ...]:
    """Read the parts of an assistant's message that `assistant_message` has made.

    Raises:
        ConfigurationError: They are none.
    """
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, Sequence) or not all(isinstance(each, Mapping) for each in content):
        found = type(content).__name__
        raise ConfigurationError(f"{where}: expected a list of parts, found {found}")
    try:
        return tuple(map(part_from_dict, content))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
