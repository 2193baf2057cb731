"""Where the text of a delta stands, and which deltas continue one another.

The pieces of one *channel* make one text when they are joined: the answer, the reasoning, the
refusal, the arguments of the tool call with a certain index.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

from steer_llm_sdk.models.events import StreamDeltaEvent

_TEXT_KEYS = {
    "text": "text",
    "reasoning": "text",
    "commentary": "text",
    "refusal": "text",
    "tool_call": "arguments",
}
# Where a hand-made delta without a `type` has its words, in the order of `get_text`.
_HAND_MADE_KEYS = ("text", "content", "chunk", "delta")
_PLACE_KEYS = frozenset({"type", "index"})


class Channel(NamedTuple):
    """Names a text that comes in pieces.

    Attributes:
        kind: The deltas' kind.
        index: The tool call's index; None for anything else.
        key: Where in a dict the text stands; None where the delta is the text.
    """

    kind: str
    index: Any = None
    key: str | None = None


ANSWER = Channel("text")


def channel_of(delta: str | dict[str, Any]) -> Channel | None:
    """Name the channel of a delta; None for a dict of an unknown kind, or without any text."""
    if isinstance(delta, str):
        return ANSWER
    if not isinstance(delta, dict):
        return None
    if "type" not in delta:
        key = next((key for key in _HAND_MADE_KEYS if isinstance(delta.get(key), str)), None)
        return None if key is None else Channel("text", None, key)
    kind = delta["type"]
    return Channel(kind, delta.get("index"), _TEXT_KEYS[kind]) if kind in _TEXT_KEYS else None


def read_text(delta: str | dict[str, Any], channel: Channel) -> str:
    """Read the text of a delta of this channel."""
    if isinstance(delta, str):
        return delta
    return str(delta.get(channel.key or "") or "")


def replace_text(event: StreamDeltaEvent, channel: Channel, text: str) -> StreamDeltaEvent | None:
    """Give the event another text; None when that leaves nothing in it."""
    delta = event.delta
    if isinstance(delta, str):
        event.delta = text
        return event if text else None
    if not text and not _has_more(delta, channel):
        return None
    event.delta = {**delta, str(channel.key): text}
    return event


def make_next(event: StreamDeltaEvent, channel: Channel, text: str) -> StreamDeltaEvent:
    """Make one more event of a channel, after `event`: it has this text and repeats nothing."""
    delta = _bare_delta(event.delta, channel, text)
    more = copy(event)
    more.delta = delta
    more.metadata = dict(event.metadata)
    return more


def _bare_delta(delta: str | dict[str, Any], channel: Channel, text: str) -> str | dict[str, Any]:
    if isinstance(delta, str):
        return text
    if channel.kind == "tool_call":
        place = {"index": channel.index, "id": delta.get("id"), "name": None}
        return {"type": channel.kind, **place, "arguments": text}
    kind = {"type": delta["type"]} if "type" in delta else {}
    return {**kind, str(channel.key): text}


def _has_more(delta: dict[str, Any], channel: Channel) -> bool:
    """Tell whether it has something beside its text: a name, an identifier, a signature."""
    return any(
        value for key, value in delta.items() if key != channel.key and key not in _PLACE_KEYS
    )
