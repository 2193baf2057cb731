"""Streams spoilt in the ways in which networks, proxies and servers spoil them.

Each mutation is a function of a body and a `random.Random`, so that a seed repeats it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, TypeAlias

from steer_llm_sdk.testing.formats.event_messages import event_message

Mutation: TypeAlias = Callable[[bytes, Random], bytes]

# A frame ends at a blank line, or, where there are none (NDJSON), at the end of its line.
_BLANK_LINE = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")
_LINE = re.compile(rb"(?<=\n)")

# What stands in a server's JSON where nobody expects it.
_SURPRISES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    2**70,
    "",
    "x",
    "stop",
    "\ud83d",
    "\x00",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"type": None},
    [{}, {}],
    {"index": -1},
    {"text": ["a"]},
)


# One value of each kind that is read in its own way, and the names that deltas have of their own.
def _nested(levels: int) -> Any:
    value: Any = "find"
    for _ in range(levels):
        value = [value]
    return value


# The last is read as JSON without trouble, and is too deep for what follows each level in Python.
_KINDS: tuple[Any, ...] = (5, True, "find", [5], {"type": "find"}, _nested(450))
_NAMES = ("type", "index", "id", "name", "arguments", "call_type", "text")


def frames_of(body: bytes) -> list[bytes]:
    """The frames of a body, separators included, so that joined they are the body."""
    if body.startswith(b"\x00"):
        return list(_messages_of(body))
    separator = _BLANK_LINE if b"\n\n" in body or b"\r\n\r\n" in body else _LINE
    return [frame for frame in separator.split(body) if frame]


def _messages_of(body: bytes) -> Iterator[bytes]:
    """Amazon's messages say at their beginning how long they are."""
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        end = at + max(length, 16)
        yield body[at:end]
        at = end


def flip(body: bytes, random: Random) -> bytes:
    """A few bytes are others."""
    spoilt = bytearray(body)
    for _ in range(random.randint(1, 8)):
        if spoilt:
            spoilt[random.randrange(len(spoilt))] = random.randrange(256)
    return bytes(spoilt)


def truncate(body: bytes, random: Random) -> bytes:
    """The end is missing."""
    return body[: random.randint(0, len(body))]


def drop(body: bytes, random: Random) -> bytes:
    """Frames are missing."""
    frames = frames_of(body)
    for _ in range(random.randint(1, 4)):
        if frames:
            del frames[random.randrange(len(frames))]
    return b"".join(frames)


def double(body: bytes, random: Random) -> bytes:
    """Frames come twice."""
    frames = frames_of(body)
    for _ in range(random.randint(1, 4)):
        if frames:
            frames.insert(random.randrange(len(frames) + 1), random.choice(frames))
    return b"".join(frames)


def swap(body: bytes, random: Random) -> bytes:
    """Frames stand in another order."""
    frames = frames_of(body)
    for _ in range(random.randint(1, 4)):
        if frames:
            frames.insert(random.randrange(len(frames)), frames.pop(random.randrange(len(frames))))
    return b"".join(frames)


def surprise(body: bytes, random: Random) -> bytes:
    """A value inside a frame's JSON is of another kind, is gone, or has a neighbour's name."""
    frames = frames_of(body)
    places = [at for at, frame in enumerate(frames) if b"{" in frame]
    for _ in range(random.randint(1, 3)):
        if places:
            at = random.choice(places)
            frames[at] = _with_surprise(frames[at], random)
    return b"".join(frames)


def _with_surprise(frame: bytes, random: Random) -> bytes:
    value = _value_in(frame)
    spots = list(_spots(value))
    if not spots:
        return frame
    holder, key = random.choice(spots)
    kind = random.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        other = random.choice(spots)[1]
        holder[str(other)] = holder.pop(key)
    else:
        holder[key] = random.choice(_SURPRISES)
    return _with_value(frame, value)


def every_change(body: bytes) -> Iterator[bytes]:
    """The bodies in which one value of one frame is of another kind, or has another name."""
    frames = frames_of(body)
    for at, frame in enumerate(frames):
        value = _value_in(frame)
        for holder, key in _spots(value):
            for _ in _changes_at(holder, key):
                changed = _with_value(frame, value)
                yield b"".join([*frames[:at], changed, *frames[at + 1 :]])


def _changes_at(holder: Any, key: Any) -> Iterator[None]:
    """Change a value in its place, once for each change, and restore it in the end."""
    old = holder[key]
    for holder[key] in _KINDS:
        yield
    holder[key] = old
    if not isinstance(holder, dict):
        return
    before = holder.copy()
    for name in _NAMES:
        holder[name] = holder.pop(key)
        yield
        holder.clear()
        holder.update(before)


def _value_in(frame: bytes) -> Any:
    """The JSON of a frame; None where there is none."""
    begin, end = _json_in(frame)
    try:
        return json.loads(frame[begin:end])
    except (ValueError, RecursionError):
        return None


def _with_value(frame: bytes, value: Any) -> bytes:
    begin, end = _json_in(frame)
    spelled = json.dumps(value).encode()
    if frame.startswith(b"\x00"):  # with lengths and checksums that are right
        return event_message(spelled, frame[12:begin])
    return frame[:begin] + spelled + frame[end:]


def _json_in(frame: bytes) -> tuple[int, int]:
    return frame.find(b"{"), frame.rfind(b"}") + 1


def _spots(value: Any) -> list[tuple[Any, Any]]:
    """Where in a value something can be changed."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        holder = todo.pop()
        if isinstance(holder, dict):
            found += [(holder, key) for key in holder]
            todo += holder.values()
        elif isinstance(holder, list):
            found += [(holder, at) for at in range(len(holder))]
            todo += holder
    return found


MUTATIONS: Mapping[str, Mutation] = {
    mutation.__name__: mutation for mutation in (flip, truncate, drop, double, swap, surprise)
}


def mutate(body: bytes, random: Random) -> bytes:
    """One mutation, or a few on top of each other."""
    for _ in range(random.randint(1, 3)):
        body = random.choice(list(MUTATIONS.values()))(body, random)
    return body
