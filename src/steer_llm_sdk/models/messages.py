"""The conversation, in one form for all providers.

What a caller passes (a string, mappings in the spelling of OpenAI or of Anthropic, objects with
``role`` and ``content``) is read once, here. Each provider then spells it its own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.foreign import as_messages
from steer_llm_sdk.models.inputs import (
    TEXT_KINDS,
    InputFile,
    InputImage,
    InputPart,
    InputRaw,
    InputText,
    read_bare,
    read_input,
    spelled,
)
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    Part,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.models.plain_json import plain_json, plain_mapping
from steer_llm_sdk.models.turns import read_parts, read_version
from steer_llm_sdk.stored import plain

__all__ = [
    "ROLES",
    "InputFile",
    "InputImage",
    "InputPart",
    "InputRaw",
    "InputText",
    "Message",
    "ToolCall",
    "read_messages",
    "split_system",
    "storable_messages",
]

ROLES = ("system", "developer", "user", "assistant", "tool")

_SYSTEM_ROLES = frozenset({"system", "developer"})
_RESULT_KEYS = frozenset({"type", "tool_use_id", "tool_call_id", "content", "is_error"})


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
    mapping that have no place here (``reasoning_content``, ``cache_control``, …). `order` is set
    where words follow a call: parts and calls as they stood. `answer` is set where the message is
    an earlier answer (`StreamingResponse.to_message`): all that its format wants back; the rest of
    the message is then its words and calls, for another format.
    """

    role: str
    parts: tuple[InputPart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[InputPart | ToolCall, ...] = ()
    answer: tuple[Part, ...] = ()

    @property
    def blocks(self) -> tuple[InputPart | ToolCall, ...]:
        """Parts and calls in their order; the calls last, where nothing else was said."""
        return self.order or (*self.parts, *self.tool_calls)

    @property
    def text(self) -> str:
        """The words of all text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, InputText))

    @property
    def only_text(self) -> str | None:
        """The words, when the message is nothing but words; else None."""
        if all(isinstance(part, InputText) for part in self.parts):
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
        return (Message("user", (InputText(messages),)),)
    if isinstance(messages, Mapping) or not isinstance(messages, Iterable):
        raise ConfigurationError(
            "messages: expected a string or a list of messages, "
            f"found {type(messages).__name__}{_history_in(messages)}"
        )
    read = tuple(
        message
        for where, item in as_messages(_plain_items(messages))
        for message in _read_message(item, where)
    )
    if not read:
        raise ConfigurationError("messages: expected at least one message, found none")
    return read


def _history_in(given: object) -> str:
    """What is said of a run or an answer in the place of its messages."""
    if isinstance(getattr(given, "messages", None), list):
        return ": pass its messages"
    if callable(getattr(given, "to_message", None)):
        return ": its to_message() is one"
    return ""


def _plain_items(messages: Iterable[object]) -> Iterator[tuple[str, object]]:
    """Each item with its place; what has no role and no content of its own as plain JSON."""
    for position, item in enumerate(messages):
        where = f"messages[{position}]"
        is_message = isinstance(item, Message) or (
            hasattr(item, "role")
            and hasattr(item, "content")
            and not hasattr(item, "parts")
            and getattr(item, "type", None) != "message"  # what an API answered, whole
        )
        yield where, item if is_message else plain_json(item, where)


def storable_messages(messages: Iterable[object]) -> Iterator[Any]:
    """Messages that have been read, as JSON can hold them: with what files hold, not with paths."""
    for where, item in _plain_items(messages):
        if isinstance(item, Message):
            yield item
            continue
        fields: Any = item if isinstance(item, Mapping) else _fields_of(item, where)
        if not _is_json(fields.get("content")):
            blocks = _blocks_of(fields["content"], where)
            fields = {**fields, "content": [_storable(block, where) for block in blocks]}
        yield fields if _is_json(fields) else plain(fields)


def _storable(block: object, where: str) -> Any:
    if _is_json(block):
        return block
    if isinstance(block, Mapping) and block.get("type") == "tool_result":
        inner = [_storable(each, where) for each in _blocks_of(block.get("content"), where)]
        return {**block, "content": inner}
    found = _read_block(block, where)
    return block if isinstance(found, ToolCall | Message) else spelled(found)


def _is_json(value: object) -> bool:
    """Whether JSON can hold a value as it is."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(each) for key, each in value.items())
    return all(map(_is_json, value)) if isinstance(value, list) else isinstance(value, _SCALARS)


_SCALARS = (str, int, float, type(None))


def split_system(messages: Sequence[Message], system: str | None) -> tuple[str, list[Message]]:
    """The system prompt (the argument, then the system messages, by blank lines) and the rest.

    Raises:
        ConfigurationError: A system message holds something other than words.
    """
    spoken = [_only_words(m) for m in messages if m.role in _SYSTEM_ROLES]
    prompt = "\n\n".join(text for text in [system or "", *spoken] if text)
    return prompt, [m for m in messages if m.role not in _SYSTEM_ROLES]


def _only_words(message: Message) -> str:
    """The words of a system message. A block of text with marks of its own is read for its words.

    The marks (``cache_control``) only mean something to the provider whose spelling they are.
    """
    return "".join(_words_of(part, message.role) for part in message.parts)


def _words_of(part: InputPart, role: str) -> str:
    if isinstance(part, InputText):
        return part.text
    text = part.value.get("text") if isinstance(part, InputRaw) else None
    if (
        isinstance(part, InputRaw)
        and str(part.value.get("type")) in TEXT_KINDS
        and isinstance(text, str)
    ):
        return text
    found = part.value.get("type") if isinstance(part, InputRaw) else "image"
    raise ConfigurationError(
        f"messages: this provider takes words only in a {role} message, found {found!r}"
    )


def _read_message(item: object, where: str) -> Iterable[Message]:
    if isinstance(item, Message):
        return (item,)
    fields = _fields_of(item, where)
    role = fields.pop("role", None)
    if role not in ROLES:
        raise ConfigurationError(f"{where}: expected a role of {', '.join(ROLES)}, found {role!r}")
    content = fields.pop("content", None)
    if "version" in fields:
        read_version(fields, where)
        del fields["version"]
        if role == "assistant":
            return _read_answer(read_parts(content, where), fields)
    calls = _calls_of(fields.pop("tool_calls", None), where)
    answers: list[Message] = []
    parts: list[InputPart] = []
    blocks: list[ToolCall] = []
    order: list[InputPart | ToolCall] = []
    for block in _blocks_of(content, where):
        found = _read_block(block, where)
        if isinstance(found, Message):
            answers.append(found)
            continue
        order.append(found)
        if isinstance(found, ToolCall):
            blocks.append(found)
        else:
            parts.append(found)
    named = tuple(_read_tool_call(call, where) for call in calls)
    named_calls = (*blocks, *named)
    tool_call_id = fields.pop("tool_call_id", None)
    if role == "tool" and not isinstance(tool_call_id, str):
        raise ConfigurationError(f"{where}: a tool message needs a tool_call_id")
    name = fields.pop("name", None)
    is_error = bool(fields.pop("is_error", False))
    if answers and not parts and not named_calls:
        answers[-1] = replace(answers[-1], extra={**fields, **answers[-1].extra})
        return answers
    is_mixed = order != [*parts, *blocks]
    message = Message(
        role,
        tuple(parts),
        named_calls,
        tool_call_id,
        name,
        is_error=is_error,
        extra=fields,
        order=(*order, *named) if is_mixed else (),
    )
    return (*answers, message)


def _read_answer(parts: tuple[Part, ...], fields: Mapping[str, Any]) -> Iterable[Message]:
    """Read an earlier answer; one that has said nothing is no message."""
    if not parts:
        return ()
    order = tuple(_plain_blocks(parts))
    words = tuple(block for block in order if isinstance(block, InputText))
    calls = tuple(block for block in order if isinstance(block, ToolCall))
    mixed = order if order != (*words, *calls) else ()
    return (Message("assistant", words, calls, extra=dict(fields), order=mixed, answer=parts),)


def _plain_blocks(parts: Iterable[Part]) -> Iterator[InputText | ToolCall]:
    """The words and the calls of an answer, for any format.

    A blank line is put between words of two voices or messages, as it was while they came.
    """
    before: tuple[str, object] | None = None
    for part in parts:
        if isinstance(part, ToolCallPart):
            before = None
            yield ToolCall(part.id, part.name, part.arguments, part.call_type)
        elif isinstance(part, TextPart | CommentaryPart | RefusalPart) and part.text:
            message = (part.type, part.provider_data.get("item"))
            is_apart = before is not None and before != message
            before = message
            yield InputText("\n\n" + part.text if is_apart else part.text)


# What is read of an object; the last of them is what some models want back with their calls.
_KNOWN = (
    "role", "content", "tool_calls", "tool_call_id", "name", "is_error", "phase",
    "reasoning_content", "reasoning_details", "thinking_blocks",
)  # fmt: skip


def _fields_of(item: object, where: str) -> dict[str, Any]:
    if isinstance(item, Mapping):  # copied already
        return dict(item)
    if hasattr(item, "role") and hasattr(item, "content"):
        found = {key: getattr(item, key) for key in _KNOWN if getattr(item, key, None) is not None}
        return plain_mapping(found, where)
    raise ConfigurationError(
        f"{where}: expected a mapping with role and content, "
        f"found {type(item).__name__}{_history_in(item)}"
    )


def _calls_of(calls: object, where: str) -> Iterable[object]:
    if isinstance(calls, Iterable) and not isinstance(calls, str | bytes | Mapping):
        return calls
    if calls is None:
        return ()
    raise ConfigurationError(
        f"{where}: expected tool_calls to be a list, found {type(calls).__name__}"
    )


def _blocks_of(content: object, where: str) -> Iterable[object]:
    if content is None:
        return ()
    if isinstance(content, str | bytes | bytearray | memoryview | PurePath):
        return (content,)
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return content
    raise ConfigurationError(
        f"{where}: expected content to be a string or a list of parts, "
        f"found {type(content).__name__}"
    )


def _read_block(block: object, where: str) -> InputPart | ToolCall | Message:
    """Read one content block: a part, a call, or an answer to a call."""
    if isinstance(block, str):
        return InputText(block)
    if isinstance(block, InputText | InputImage | InputFile | ToolCall):
        return block
    if isinstance(block, InputRaw):
        return InputRaw(plain_mapping(block.value, where))
    if (bare := read_bare(block, where)) is not None:
        return bare
    if not isinstance(block, Mapping):
        raise ConfigurationError(
            f"{where}: expected a content part to be a string, a mapping, bytes or a Path, "
            f"found {type(block).__name__}"
        )
    kind = block.get("type", "text" if "text" in block else None)
    if kind == "tool_use":
        return _read_tool_call(block, where)
    if kind == "tool_result":
        return _read_tool_result(block, where)
    return read_input(block, kind, where)


def _read_tool_call(call: object, where: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    if not isinstance(call, Mapping):
        raise ConfigurationError(
            f"{where}: expected a tool call to be a mapping, found {type(call).__name__}"
        )
    kind = str(call.get("type") or "function")
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
        arguments=arguments if isinstance(arguments, str) else _json_text(arguments, where),
        type="function" if kind == "tool_use" else kind,
        extra=extra or None,
    )


def _read_tool_result(block: Mapping[str, Any], where: str) -> Message:
    parts: list[InputPart] = []
    for inner in _blocks_of(block.get("content"), where):
        found = _read_block(inner, where)
        if isinstance(found, ToolCall | Message):
            raise ConfigurationError(f"{where}: a tool_result holds no calls and no other results")
        parts.append(found)
    identifier = block.get("tool_use_id") or block.get("tool_call_id")
    if not isinstance(identifier, str):
        raise ConfigurationError(f"{where}: a tool_result needs a tool_use_id")
    is_error = bool(block.get("is_error"))
    extra = {key: value for key, value in block.items() if key not in _RESULT_KEYS}
    return Message("tool", tuple(parts), tool_call_id=identifier, is_error=is_error, extra=extra)


def _json_text(value: object, where: str) -> str:
    import msgspec

    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{where}: the arguments of a tool call cannot be written as JSON: {error}"
        ) from None
