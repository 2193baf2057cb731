"""Events of the Responses API, and what the decoder makes of them."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses, ResponsesDecoder
from steer_llm_sdk.wire.frame import Frame
from support.corpus import Folded, fold
from support.part_fragments import without_parts

WIRE = OpenAIResponses()

Event: TypeAlias = dict[str, Any]


def event(kind: str, **fields: Any) -> Event:
    return {"type": f"response.{kind}", **fields}


def words(value: str, **more: Any) -> Event:
    return {"type": "output_text", "text": value, **more}


def completed(*output: Event, **more: Any) -> Event:
    return event("completed", response={"status": "completed", "output": list(output), **more})


def fragments(*events: Event, decoder: ResponsesDecoder | None = None) -> list[Fragment]:
    """The fragments of these events, in one stream."""
    reader = decoder or WIRE.decoder("openai")
    frames = (Frame(msgspec.json.encode(each)) for each in events)
    return without_parts(fragment for frame in frames for fragment in reader.decode(frame))


def told(*events: Event) -> Folded:
    """What the fragments of these events add up to."""
    body = b"".join(b"data: " + msgspec.json.encode(each) + b"\n\n" for each in events)
    return fold(WIRE, [body])
