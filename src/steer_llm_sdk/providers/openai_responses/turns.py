"""Spells an earlier answer as items of the Responses API.

https://platform.openai.com/docs/guides/reasoning#keeping-reasoning-items-in-context: reasoning goes
back with what it led to, and identifiers of messages and calls only with their reasoning; a phase
is kept on every message. Of an answer that came by another wire format, words and calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from steer_llm_sdk.models.messages import ToolCall
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)

WIRE = "openai-responses"

_Item: TypeAlias = dict[str, Any]
_Spoken: TypeAlias = TextPart | CommentaryPart | RefusalPart
# Parts of one item, with what each wants back: None where it came by another format.
_Group: TypeAlias = list[tuple[Part, _Item | None]]

_OWN = frozenset({"item", "list", "raw"})


def answer_items(
    parts: Sequence[Part], build_call: Callable[[ToolCall], _Item], *, is_stored: bool
) -> list[_Item]:
    """Build the items of an earlier answer.

    Args:
        parts: The answer.
        build_call: Spells a call.
        is_stored: Whether the server keeps answers: where it does not, it knows no identifier of
            reasoning that does not bring its encrypted content.
    """
    groups = _groups(parts)
    has_all = all(_can_return(group, is_stored=is_stored) for group in groups)
    items = [item for group in groups for item in _items_of(group, build_call, is_stored=is_stored)]
    return items if has_all else [_without_id(item) for item in items]


def _groups(parts: Sequence[Part]) -> list[_Group]:
    """The parts by their items, in the order in which the items began."""
    found: dict[object, _Group] = {}
    for at, part in enumerate(parts):
        data = part.data_for(WIRE)
        number = (data or {}).get("item")
        key: object = (at,) if number is None else number
        if number is None and data is None and isinstance(part, _Spoken):
            key = _neighbour(found) or key  # words of another format, one message
        found.setdefault(key, []).append((part, data))
    return list(found.values())


def _neighbour(found: dict[object, _Group]) -> object:
    """The group that came last, where it is words of another format too."""
    if not found:
        return None
    key = next(reversed(found))
    part, data = found[key][-1]
    return key if data is None and isinstance(part, _Spoken) else None


def _can_return(group: _Group, *, is_stored: bool) -> bool:
    if not isinstance(group[0][0], ReasoningPart):
        return True
    return bool(_reasoning(group)) and (is_stored or _is_sealed(group))


def _is_sealed(group: _Group) -> bool:
    return any((data or {}).get("encrypted_content") for _, data in group)


def _items_of(
    group: _Group, build_call: Callable[[ToolCall], _Item], *, is_stored: bool
) -> Iterator[_Item]:
    part, data = group[0]
    if isinstance(part, ReasoningPart):
        if _can_return(group, is_stored=is_stored):
            yield _reasoning(group)
    elif isinstance(part, ToolCallPart):
        yield _call(part, data or {}, build_call)
    elif isinstance(part, ProviderPart):
        if data is not None:
            yield dict(part.item)
    elif isinstance(part, FilePart):
        if data is not None and "raw" in data:
            yield {**data["raw"], "result": part.data}
    else:
        yield from _message(group)


def _reasoning(group: _Group) -> _Item:
    """A reasoning item of its parts; empty where it came by another format, or was changed."""
    if any(data is None for _, data in group):
        return {}
    item: _Item = {"type": "reasoning", "summary": []}
    for part, given in group:
        data = given or {}
        words = part.text if isinstance(part, ReasoningPart) else ""
        if words and data.get("list") == "content":
            item.setdefault("content", []).append({"type": "reasoning_text", "text": words})
        elif words:
            item["summary"].append({"type": "summary_text", "text": words})
        item.update((key, value) for key, value in data.items() if key not in _OWN)
    return item


def _call(part: ToolCallPart, data: _Item, build_call: Callable[[ToolCall], _Item]) -> _Item:
    if "raw" in data:
        return dict(data["raw"])
    extra = {key: value for key, value in data.items() if key not in _OWN}
    item = build_call(ToolCall(part.id, part.name, part.arguments, part.call_type, extra))
    return {**item, "id": extra["id"]} if "id" in extra else item


def _message(group: _Group) -> Iterator[_Item]:
    content = [block for part, data in group for block in _content(part, is_own=data is not None)]
    if not content:
        return
    message: _Item = {"type": "message", "role": "assistant"}
    for _, data in group:
        message.update((key, value) for key, value in (data or {}).items() if key not in _OWN)
    if "id" in message:
        message["status"] = "completed"
    yield message | {"content": content}


def _content(part: Part, *, is_own: bool) -> Iterator[_Item]:
    if isinstance(part, RefusalPart) and is_own:
        yield {"type": "refusal", "refusal": part.text}
    elif isinstance(part, _Spoken) and (part.text or is_own):
        cited = [] if isinstance(part, RefusalPart) or not is_own else part.citations
        about = {"annotations": list(cited)} if is_own else {}
        yield {"type": "output_text", "text": part.text, **about}


def _without_id(item: _Item) -> _Item:
    """An item that stands for itself: its reasoning does not come with it."""
    if item["type"] not in {"message", "function_call", "custom_tool_call"}:
        return item
    return {key: value for key, value in item.items() if key not in {"id", "status"}}
