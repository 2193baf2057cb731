"""What a response says beside what is read of it: ids, phases, and fields of the future.

It is kept in the events' metadata: under ``items`` what an item has beside its words, its call and
its state, under ``content_parts`` what a part has beside its words, and every other field of an
event or of the response under its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from steer_llm_sdk.models.fragments import Extras
from steer_llm_sdk.providers.openai_responses.calls import CALL_ITEMS, KEPT_OF_CALLS, is_call

_Object = Mapping[str, Any]

_OF_CALLS = frozenset(
    {"status", "call_id", "name", "arguments", "input", "action", "actions", "operation"}
    | {"execution", "environment", *KEPT_OF_CALLS}
)

# What of an item is read elsewhere.
_ITEM_FIELDS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"content", "role", "status"}),
    "reasoning": frozenset({"summary", "content", "encrypted_content", "signature", "status"}),
    **dict.fromkeys(CALL_ITEMS, _OF_CALLS),
}

_PART_TYPES = frozenset({"output_text", "text", "refusal", "summary_text", "reasoning_text"})
_PART_FIELDS = frozenset({"type", "text", "refusal", "annotations", "logprobs"})

# What an event has where it says something, or for padding.
EVENT_FIELDS = frozenset(
    {"type", "sequence_number", "item_id", "output_index", "content_index", "summary_index"}
    | {"annotation_index", "delta", "text", "refusal", "arguments", "input", "name", "logprobs"}
    | {"item", "part", "annotation", "response", "status", "obfuscation", "usage", "error"}
    | {"call_id", "response_id"}
)

# What the events that pass by say beside that: pieces of an item, and previews of an image.
_PASSING_FIELDS = frozenset(
    {"code", "command", "command_index", "output", "partial_image_b64", "partial_image_index"}
    | {"background", "output_format", "quality", "size"}
)

# What of a response is read elsewhere, repeats the request, or is padding.
RESPONSE_FIELDS = frozenset(
    {"id", "model", "object", "created", "created_at", "completed_at", "status", "output", "usage"}
    | {"error", "incomplete_details", "output_text", "background", "include", "input"}
    | {"instructions", "frequency_penalty", "image", "presence_penalty"}
    | {"max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "prompt"}
    | {"previous_response_id", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"reasoning", "safety_identifier", "store", "stream", "temperature", "text", "tool_choice"}
    | {"tools", "top_logprobs", "top_p", "truncation", "user"}
)

# The progress of what the provider runs itself, whose item is kept when it is closed, previews of
# images, and what is said again by other events.
PASSING = frozenset(
    f"response.{name}"
    for name in (
        "audio.done",
        "audio.transcript.done",
        "code_interpreter_call.completed",
        "code_interpreter_call.in_progress",
        "code_interpreter_call.interpreting",
        "code_interpreter_call_code.delta",
        "code_interpreter_call_code.done",
        "compaction.compacting",
        "file_search_call.completed",
        "file_search_call.in_progress",
        "file_search_call.searching",
        "image_generation_call.completed",
        "image_generation_call.generating",
        "image_generation_call.in_progress",
        "image_generation_call.partial_image",
        "mcp_call.completed",
        "mcp_call.failed",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "mcp_list_tools.in_progress",
        "shell_call_command.added",
        "shell_call_command.delta",
        "shell_call_command.done",
        "shell_call_output_content.delta",
        "shell_call_output_content.done",
        "web_search_call.completed",
        "web_search_call.in_progress",
        "web_search_call.searching",
    )
)


def about_item(item: _Object) -> dict[str, Any] | None:
    """What an item has beside what is read elsewhere; None where that is nothing."""
    kind = item.get("type")
    fields = _ITEM_FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None or (kind in CALL_ITEMS and not is_call(item)):
        return None  # it passes whole
    found = {key: value for key, value in item.items() if key not in fields and value is not None}
    return found if len(found) > 1 else None


def about_part(part: _Object) -> dict[str, Any] | None:
    """What a part has beside its words: all of it, where its type is not known."""
    kind = part.get("type")
    if kind is not None and not (isinstance(kind, str) and kind in _PART_TYPES):
        return dict(part)
    return {key: value for key, value in part.items() if key not in _PART_FIELDS} or None


def about_event(event: _Object) -> dict[str, Any]:
    """The fields of an event that nobody knows."""
    known = EVENT_FIELDS | _PASSING_FIELDS if event.get("type") in PASSING else EVENT_FIELDS
    return {key: value for key, value in event.items() if key not in known}


class News:
    """Keeps what stands beside the words, each thing once."""

    def __init__(self) -> None:
        self._seen: set[object] = set()
        self._response: dict[str, Any] = {}

    def once(self, key: str, value: _Object | None) -> Iterator[Extras]:
        """Keep this under a key, unless the same has been kept there; its state is none of it."""
        if value and self._is_news(key, {k: v for k, v in value.items() if k != "status"}):
            yield Extras({key: [value]})

    def whole_item(self, item: _Object) -> Iterator[Extras]:
        """Keep an item; the final response may repeat it under another id."""
        content = {key: value for key, value in item.items() if key not in {"id", "status"}}
        has_new_id = item.get("id") is None or self._is_news("id", item["id"])
        if has_new_id and self._is_news("content", content):
            yield Extras({"output_items": [item]})

    def about_response(self, response: _Object) -> Iterator[Extras]:
        """Keep the fields of a response that are neither read elsewhere nor the request's own."""
        fresh = {
            key: value
            for key, value in response.items()
            if key not in RESPONSE_FIELDS and value is not None and value != self._response.get(key)
        }
        if fresh:
            self._response |= fresh
            yield Extras(fresh)

    def _is_news(self, key: str, value: object) -> bool:
        try:
            mark = (key, msgspec.json.encode(value))
        except RecursionError:  # nested as deeply as it could be read: not looked at
            return True
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True
