"""Sends a word down the whole road, from its bytes to the events, and looks where it comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.providers.base import WireFormat
from support.pure_road import Travelled, travel
from support.sdk_words.samples import Sample

UNKNOWN = "unknown"

Row: TypeAlias = tuple[str, str, str]
Payload: TypeAlias = Mapping[str, Any]

_KINDS = {
    "text": "text",
    "reasoning": "reasoning",
    "tool_call": "a tool call",
    "refusal": "a refusal",
    "commentary": "commentary",
    "file": "a file",
}


def _sse(payload: Payload) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(payload)


class Road:
    """A wire format, and an ordinary answer in it to compare with.

    Args:
        wire: The format.
        before: The frames that stand before a word.
        after: The frames that stand behind it, to the end of the stream.
        write: Writes a frame: as a server-sent event, where a format has no other way.
    """

    def __init__(
        self,
        wire: WireFormat,
        before: Sequence[Payload],
        after: Sequence[Payload],
        *,
        write: Callable[[Payload], bytes] = _sse,
    ) -> None:
        self._wire = wire
        self._before = before
        self._after = after
        self._write = write
        self._ordinary = _ending(self._travel())

    def outcome(
        self, sample: Sample, *payloads: Payload, is_last: bool = False, nothing: str = UNKNOWN
    ) -> str:
        """What becomes of a sample's marks, and of a stream that has them.

        Args:
            sample: What the frames hold.
            payloads: The frames.
            is_last: Whether the stream ends with them.
            nothing: What is said of a sample of which nothing comes out.
        """
        travelled = self._travel(*payloads, is_last=is_last)
        ending = _ending(travelled)
        said = [*_places(travelled.events, sample), ending]
        return ", ".join(said[:-1] if ending == self._ordinary else said) or nothing

    def ending(self, *payloads: Payload, is_last: bool = False) -> str:
        """How a stream with these frames ends."""
        return _ending(self._travel(*payloads, is_last=is_last))

    def _travel(self, *payloads: Payload, is_last: bool = False) -> Travelled:
        after = () if is_last else self._after
        frames = [self._write(each) for each in (*self._before, *payloads, *after)]
        return travel(self._wire, [b"".join(frames)])


def line(payload: Payload) -> bytes:
    """A frame as a line."""
    return msgspec.json.encode(payload) + b"\n"


def _ending(travelled: Travelled) -> str:
    last = travelled.events[-1]
    if isinstance(last, StreamErrorEvent):
        return f"`{last.error_type}`" + (", retryable" if last.is_retryable else "")
    return f"`finish_reason` is `{travelled.response.finish_reason}`"


def _places(events: Iterable[StreamEvent], sample: Sample) -> list[str]:
    held = (pair for event in events for pair in _held(event))
    found = [place for place, value in held if sample.reaches(repr(value))]
    return list(dict.fromkeys(found))


def _held(event: StreamEvent) -> Iterator[tuple[str, object]]:
    if isinstance(event, StreamDeltaEvent):
        yield _KINDS[event.kind], event.delta
    for key, value in event.metadata.items():
        yield f"metadata `{key}`", value
    for key, value in (getattr(event, "usage", None) or {}).items():
        yield f"usage `{key}`", value


def table(rows: Iterable[Row]) -> str:
    """The rows as a table for the documentation."""
    lines = [f"| {kind} | `{word}` | {outcome} |" for kind, word, outcome in rows]
    return "\n".join(["| what | word | what becomes of it |", "|---|---|---|", *lines])
