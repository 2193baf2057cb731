"""The history of a run: the messages so far, and the calls in it that nobody has answered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import ToolCall, read_messages, storable_messages


def read_history(messages: object) -> list[Any]:
    """The messages as a list that JSON can hold, to be added to.

    Raises:
        ConfigurationError: They are no messages, or one holds a file that cannot be read.
    """
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, Iterable) and not isinstance(messages, Mapping):
        messages = list(messages)  # which may be gone through but once
    read_messages(messages)
    assert isinstance(messages, list)  # noqa: S101 - all else has been refused
    return list(storable_messages(messages))


def unanswered_calls(history: Iterable[Any]) -> list[dict[str, Any]]:
    """The calls at the end of a history that have no answer yet.

    Those of the last answer; none where something else than their results stands behind it.
    """
    answered: set[str | None] = set()
    for message in reversed(read_messages(history)):
        if message.role == "tool":
            answered.add(message.tool_call_id)
        elif message.role == "assistant":
            return [_as_dict(call) for call in message.tool_calls if call.id not in answered]
        else:
            break
    return []


def check_approved(approved: object, waiting: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The identifiers of the calls that are approved.

    Raises:
        ConfigurationError: It is no list of identifiers, or one is of no call that waits.
    """
    is_list = isinstance(approved, Collection) and not isinstance(approved, str | bytes | Mapping)
    if not is_list or not all(isinstance(each, str) for each in approved):  # type: ignore[attr-defined]
        raise ConfigurationError(
            f"approved: expected a list with the ids of calls, found {approved!r:.80}"
        )
    found: frozenset[str] = frozenset(approved)  # type: ignore[call-overload]
    known = {call["id"] for call in waiting}
    if unknown := sorted(found - known):
        shown = ", ".join(map(repr, sorted(known))) or "none"
        raise ConfigurationError(
            f"approved: {unknown[0]!r} is no call that waits at the end of the messages; "
            f"there are: {shown}"
        )
    return found


def _as_dict(call: ToolCall) -> dict[str, Any]:
    found = {"id": call.id, "name": call.name, "arguments": call.arguments}
    return found if call.type == "function" else {**found, "type": call.type}
