"""Spells what the caller answers to calls that are no functions: screens, approvals, found tools.

https://platform.openai.com/docs/api-reference/responses/create#responses_create-input
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from steer_llm_sdk.models.messages import InputImage, Message

_Item = dict[str, Any]


def _computer(message: Message) -> _Item:
    """A screenshot: an image, or the object that the API wants."""
    images = [part for part in message.parts if isinstance(part, InputImage)]
    if images:
        output: object = {"type": "computer_screenshot", "image_url": images[-1].as_url}
    else:
        output = _value(message.text)
    return {"type": "computer_call_output", "call_id": message.tool_call_id, "output": output}


def _approval(message: Message) -> _Item:
    """Whether a call of an MCP server may be made: only by a plain yes, else it may not.

    ``True``, or an object whose ``approve`` is true; anything else is the reason why not.
    """
    value = _value(message.text)
    fields = value if isinstance(value, dict) else {"approve": value}
    is_approved = fields.get("approve") is True and not message.is_error
    reason = fields.get("reason") if isinstance(value, dict) else message.text
    item = {"type": "mcp_approval_response", "approval_request_id": message.tool_call_id}
    why = {"reason": reason} if reason and not is_approved and value is not False else {}
    return {**item, "approve": is_approved, **why}


def _search(message: Message) -> _Item:
    """The tools that a search on the caller's side has found: a list of their definitions."""
    found = _value(message.text)
    return {
        "type": "tool_search_output",
        "call_id": message.tool_call_id,
        "execution": "client",
        "status": "completed",
        "tools": found if isinstance(found, list) else [],
    }


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text


# By the kind of the call that is answered.
OUTPUTS: Mapping[str, Callable[[Message], _Item]] = {
    "computer": _computer,
    "mcp_approval": _approval,
    "tool_search": _search,
}
