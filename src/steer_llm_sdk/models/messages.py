"""The conversation, in one form for all providers.

What a caller passes (a string, mappings in the spelling of OpenAI or of Anthropic, objects with
``role`` and ``content``) is read once, here. Each provider then spells it its own way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from steer_llm_sdk.errors import ConfigurationError

_DATA_URL = re.compile(
    r"data:(?P<media_type>[\w.+-]+/[\w.+-]+)?(?:;[^,;]*)*;base64,(?P<data>.*)", re.DOTALL
)

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image: by `url`, or as base64 `data` with its `media_type`."""

    url: str | None = None
    data: str | None = None
    media_type: str = "image/png"
    detail: str | None = None

    @property
    def as_url(self) -> str:
        """A URL in either case: its own, or a ``data:`` one."""
        return self.url or f"data:{self.media_type};base64,{self.data}"


@dataclass(frozen=True, slots=True)
class RawPart:
    """A part in the provider's own spelling, passed to it unchanged."""

    value: Mapping[str, Any]


Part: TypeAlias = TextPart | ImagePart | RawPart


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the assistant made: `arguments` is the JSON text."""

    id: str
    name: str
    arguments: str
    type: str = "function"
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    A ``tool`` message answers the call `tool_call_id`. `extra` holds the keys of the caller's
    mapping that have no place here (``reasoning_content``, ``cache_control``, …).
    """

    role: str
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The words of all text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def only_text(self) -> str | None:
        """The words, when the message is nothing but words; else None."""
        if all(isinstance(part, TextPart) for part in self.parts):
            return self.text
        return None


def read_messages(messages: object) -> tuple[Message, ...]:
    """Read what a caller passed as `messages`.

    Args:
        messages: A string (one user message), or a sequence of mappings or objects with ``role``
            and ``content``.

    Raises:
        ConfigurationError: There is no message, or one is not of a known form; says which.
    """
    if isinstance(messages, str):
        return (Message("user", (TextPart(messages),)),)
    if isinstance(messages, Mapping) or not isinstance(messages, Iterable):
        raise ConfigurationError(
            f"messages: expected a string or a list of messages, found {type(messages).__name__}"
        )
    read = tuple(
        message
        for position, item in enumerate(messages)
        for message in _read_message(item, f"messages[{position}]")
    )
    if not read:
        raise ConfigurationError("messages: expected at least one message, found none")
    return read


def split_system(messages: Sequence[Message], system: str | None) -> tuple[str, list[Message]]:
    """The system prompt (the argument, then the system messages, by blank lines) and the rest."""
    spoken = [m.text for m in messages if m.role in {"system", "developer"}]
    prompt = "\n\n".join(text for text in [system or "", *spoken] if text)
    return prompt, [m for m in messages if m.role not in {"system", "developer"}]


def _read_message(item: object, where: str) -> Iterable[Message]:
    if isinstance(item, Message):
        return (item,)
    fields = _fields_of(item, where)
    role = fields.pop("role", None)
    if role not in ROLES:
        raise ConfigurationError(f"{where}: expected a role of {', '.join(ROLES)}, found {role!r}")
    content = fields.pop("content", None)
    calls = fields.pop("tool_calls", None) or ()
    answers: list[Message] = []
    parts: list[Part] = []
    blocks: list[ToolCall] = []
    for block in _blocks_of(content, where):
        _sort_block(block, where, parts, blocks, answers)
    named_calls = tuple(_read_tool_call(call, where) for call in calls) + tuple(blocks)
    tool_call_id = fields.pop("tool_call_id", None)
    if role == "tool" and not isinstance(tool_call_id, str):
        raise ConfigurationError(f"{where}: a tool message needs a tool_call_id")
    name = fields.pop("name", None)
    is_error = bool(fields.pop("is_error", False))
    if answers and not parts and not named_calls:
        return answers
    message = Message(
        role, tuple(parts), named_calls, tool_call_id, name, is_error=is_error, extra=fields
    )
    return (*answers, message)


def _fields_of(item: object, where: str) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return dict(item)
    if hasattr(item, "role") and hasattr(item, "content"):
        known = ("role", "content", "tool_calls", "tool_call_id", "name")
        return {key: getattr(item, key) for key in known if getattr(item, key, None) is not None}
    raise ConfigurationError(
        f"{where}: expected a mapping with role and content, found {type(item).__name__}"
    )


def _blocks_of(content: object, where: str) -> Iterable[object]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (content,)
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return content
    raise ConfigurationError(
        f"{where}: expected content to be a string or a list of parts, "
        f"found {type(content).__name__}"
    )


def _sort_block(
    block: object,
    where: str,
    parts: list[Part],
    calls: list[ToolCall],
    answers: list[Message],
) -> None:
    """Put one content block where it belongs: a part, a call, or an answer to a call."""
    if isinstance(block, str):
        parts.append(TextPart(block))
        return
    if isinstance(block, TextPart | ImagePart | RawPart):
        parts.append(block)
        return
    if not isinstance(block, Mapping):
        raise ConfigurationError(
            f"{where}: expected a content part to be a string or a mapping, "
            f"found {type(block).__name__}"
        )
    kind = block.get("type", "text" if "text" in block else None)
    if kind == "tool_use":
        calls.append(_read_tool_call(block, where))
    elif kind == "tool_result":
        answers.append(_read_tool_result(block, where))
    else:
        parts.append(_read_part(block, kind))


def _read_part(block: Mapping[str, Any], kind: object) -> Part:
    if kind in {"text", "input_text"} and isinstance(block.get("text"), str):
        return TextPart(block["text"]) if set(block) <= {"type", "text"} else RawPart(block)
    if kind in {"image_url", "input_image"}:
        given = block.get("image_url")
        source = given if isinstance(given, Mapping) else {"url": given}
        return _image(source.get("url"), source.get("detail")) or RawPart(block)
    if kind == "image":
        return _read_image(block) or RawPart(block)
    return RawPart(block)


def _read_image(block: Mapping[str, Any]) -> ImagePart | None:
    source = block.get("source", block)
    if not isinstance(source, Mapping):
        return None
    if isinstance(source.get("data"), str):
        return ImagePart(data=source["data"], media_type=source.get("media_type", "image/png"))
    return _image(source.get("url"), None)


def _image(url: object, detail: object) -> ImagePart | None:
    if not isinstance(url, str):
        return None
    wanted = detail if isinstance(detail, str) else None
    if match := _DATA_URL.fullmatch(url):
        media_type = match["media_type"] or "image/png"
        return ImagePart(data=match["data"], media_type=media_type, detail=wanted)
    return ImagePart(url=url, detail=wanted)


def _read_tool_call(call: object, where: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    if not isinstance(call, Mapping):
        raise ConfigurationError(
            f"{where}: expected a tool call to be a mapping, found {type(call).__name__}"
        )
    kind = call.get("type", "function")
    nested = call.get(kind)
    inner = nested if isinstance(nested, Mapping) else call
    name = inner.get("name")
    if not isinstance(name, str):
        raise ConfigurationError(f"{where}: a tool call needs a name, found {dict(call)!r}")
    arguments = inner.get("arguments", inner.get("input", ""))
    known = {"id", "type", "name", "arguments", "input", "index", kind}
    extra = {key: value for key, value in call.items() if key not in known}
    return ToolCall(
        id=str(call.get("id") or ""),
        name=name,
        arguments=arguments if isinstance(arguments, str) else _json_text(arguments),
        type="function" if kind == "tool_use" else str(kind),
        extra=extra or None,
    )


def _read_tool_result(block: Mapping[str, Any], where: str) -> Message:
    parts: list[Part] = []
    for inner in _blocks_of(block.get("content"), where):
        _sort_block(inner, where, parts, [], [])
    identifier = block.get("tool_use_id") or block.get("tool_call_id")
    if not isinstance(identifier, str):
        raise ConfigurationError(f"{where}: a tool_result needs a tool_use_id")
    is_error = bool(block.get("is_error"))
    return Message("tool", tuple(parts), tool_call_id=identifier, is_error=is_error)


def _json_text(value: object) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
