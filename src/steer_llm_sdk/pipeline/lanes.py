"""Where the text of a delta stands, and which deltas continue one another.

The pieces of one *lane* make one text when they are joined: the answer, the reasoning, the refusal,
the arguments of the tool call with a certain index.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from steer_llm_sdk.models.events import StreamDeltaEvent

_TEXT_KEYS = {"reasoning": "text", "refusal": "text", "tool_call": "arguments", "text": "text"}
# Where a hand-made delta without a `type` has its words, in the order of `get_text`.
_HAND_MADE_KEYS = ("text", "content", "chunk", "delta")
_PLACE_KEYS = frozenset({"type", "index"})


class Lane(NamedTuple):
    """A text that comes in pieces.

    Attributes:
        kind: The deltas' kind.
        index: The tool call's index; None for anything else.
        key: Where in a dict the text stands; None where the delta is the text.
    """

    kind: str
    index: Any = None
    key: str | None = None


TEXT = Lane("text")


def lane_of(delta: str | dict[str, Any]) -> Lane | None:
    """The lane of a delta; None for a dict of a kind that is not known, or without any text."""
    if isinstance(delta, str):
        return TEXT
    if "type" not in delta:
        key = next((key for key in _HAND_MADE_KEYS if isinstance(delta.get(key), str)), None)
        return None if key is None else Lane("text", None, key)
    kind = delta["type"]
    return Lane(kind, delta.get("index"), _TEXT_KEYS[kind]) if kind in _TEXT_KEYS else None


def text_in(delta: str | dict[str, Any], lane: Lane) -> str:
    """The text of a delta of this lane."""
    if isinstance(delta, str):
        return delta
    return str(delta.get(lane.key or "") or "")


def put_text(event: StreamDeltaEvent, lane: Lane, text: str) -> StreamDeltaEvent | None:
    """The event with another text; None when that leaves nothing in it."""
    delta = event.delta
    if isinstance(delta, str):
        event.delta = text
        return event if text else None
    if not text and not _says_more(delta, lane):
        return None
    event.delta = {**delta, str(lane.key): text}
    return event


def continued(event: StreamDeltaEvent, lane: Lane, text: str) -> StreamDeltaEvent:
    """One more event of a lane, after `event`: a text, and nothing that has been said already."""
    return replace(event, delta=_bare(event.delta, lane, text), metadata=dict(event.metadata))


def _bare(delta: str | dict[str, Any], lane: Lane, text: str) -> str | dict[str, Any]:
    if isinstance(delta, str):
        return text
    if lane.kind == "tool_call":
        place = {"index": lane.index, "id": delta.get("id"), "name": None}
        return {"type": lane.kind, **place, "arguments": text}
    kind = {"type": delta["type"]} if "type" in delta else {}
    return {**kind, str(lane.key): text}


def _says_more(delta: dict[str, Any], lane: Lane) -> bool:
    """Whether there is something in it beside its text: a name, an identifier, a signature."""
    return any(value for key, value in delta.items() if key != lane.key and key not in _PLACE_KEYS)
