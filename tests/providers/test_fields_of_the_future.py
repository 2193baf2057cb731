"""A field that nobody knows, put at each level of the frames that providers really sent.

For each shape of a frame among the recorded streams, the smallest stream that has one is read with
the field in it: what the model said stays as it was, whichever road the decoder takes, and the
field comes out at the end.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import Extras, Failure, Fragment, Usage
from steer_llm_sdk.providers.base import Decoder
from steer_llm_sdk.wire.frame import Frame
from support.corpus import MAX_FRAME_BYTES, corpus_folder, recorded
from support.recorded_formats import WIRES
from support.strangers import STRANGE, with_strangers

# What the model or the caller wrote, the provider's own objects that are kept whole, what repeats
# the request, and what only says again what has been said.
OPAQUE: Mapping[str, tuple[str, ...]] = {
    "openai-chat": ("arguments", "message"),
    "mistral": ("arguments",),
    "openai-responses": (
        *("metadata", "reasoning", "text", "tools", "output", "action", "operation", "arguments"),
        *("caller", "annotations", "logprobs", "environment", "error", "incomplete_details"),
    ),
    "anthropic": ("input",),
    "gemini": ("args", "partialArgs", "usageMetadata"),
    "ollama": ("arguments",),
    "bedrock": ("usage", "metrics", "trace", "input"),
    "cohere": ("usage", "citations", "sources"),
    "gemini-interactions": ("usage", "arguments", "annotations", "content", "result"),
}

# Frames that only announce what is kept when it is closed, or that say nothing.
SILENT = frozenset(
    {"ping", "response.output_item.added", "response.shell_call_output_content.delta"}
)


@dataclass(frozen=True)
class Shaped:
    """A frame of a shape, the decoder as it stands before it, and what follows it."""

    decoder: Decoder
    payload: dict[str, Any]
    event: str
    rest: Sequence[Frame]

    def read(self, payload: dict[str, Any], *, is_slow: bool = False) -> list[Fragment]:
        """The fragments of the frame with another payload, and of what follows it."""
        decoder = copy.deepcopy(self.decoder)
        frame = Frame(json.dumps(payload).encode(), self.event)
        found = list(_slow(decoder, frame) if is_slow else decoder.decode(frame))
        for each in self.rest:
            found += decoder.decode(each)
        return found


def _slow(decoder: Any, frame: Frame) -> Sequence[Fragment]:
    """Read a frame on the slow road."""
    if hasattr(decoder, "_reader"):
        read: Any = decoder._reader.read
    else:
        read = getattr(decoder, "_decode_event", None) or decoder._decode_rare
    return list(read(frame))


def _shape(value: object) -> object:
    if isinstance(value, dict):
        return tuple(sorted((key, _shape(one)) for key, one in value.items()))
    if isinstance(value, list):
        return tuple(sorted({_shape(one) for one in value}, key=repr))
    return value.__class__.__name__ if value else "nothing"


def _shapes(wire: str) -> Iterator[Shaped]:
    """One frame of each shape, from the smallest stream that has it."""
    seen: set[object] = set()
    for stream in sorted(recorded(wire), key=lambda each: len(each.body)):
        framing, decoder = WIRES[wire]().framing(MAX_FRAME_BYTES), WIRES[wire]().decoder("t")
        frames = [*framing.feed(stream.body)]
        for number, frame in enumerate(frames):
            payload = _payload(frame)
            kind = (payload.get("type"), _shape(payload))
            if payload and kind not in seen and payload.get("type") not in SILENT:
                seen.add(kind)
                rest = frames[number + 1 :]
                yield Shaped(copy.deepcopy(decoder), payload, frame.event, rest)
            try:
                list(decoder.decode(frame))
            except ProtocolError:
                break


def _payload(frame: Frame) -> dict[str, Any]:
    try:
        value = json.loads(frame.data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) and "error" not in value else {}


def _said(fragments: Sequence[Fragment]) -> list[Fragment]:
    return [each for each in fragments if not isinstance(each, Extras | Usage | Failure)]


@pytest.mark.skipif(corpus_folder() is None, reason="set STEER_CORPUS to run")
@pytest.mark.timeout(600)  # thousands of streams, most of them small
@pytest.mark.parametrize("wire", OPAQUE)
def test_a_field_of_the_future_changes_nothing_and_is_kept(wire: str) -> None:
    lost: dict[str, str] = {}
    for shaped in _shapes(wire):
        plain = _said(shaped.read(shaped.payload))
        for place, changed in with_strangers(shaped.payload, *OPAQUE[wire]):
            found = shaped.read(changed)
            name = f"{shaped.payload.get('type', '')} {place}"
            if str(STRANGE) not in repr(found):
                lost[f"{name}: lost"] = repr(shaped.payload)[:200]
            said = _said(found)
            if said != plain and str(STRANGE) not in repr(said):
                lost[f"{name}: other words"] = repr(shaped.payload)[:200]
            if _said(shaped.read(changed, is_slow=True)) != said:
                lost[f"{name}: another on the slow road"] = repr(shaped.payload)[:200]

    assert lost == {}
