"""Bodies made of payloads, in the framing of each wire format."""

from __future__ import annotations

import json
from typing import Any

from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from support.pure_road import Travelled, travel
from support.recorded_formats import WIRES


def read(wire: str, *payloads: Any) -> Travelled:
    """Read the payloads of a stream; texts as they stand, Bedrock's under the event's name."""
    if wire == "bedrock":
        named = [each for payload in payloads for each in payload.items()]
        body = b"".join(
            event_message(json.dumps(value).encode(), string_headers(event_type=name))
            for name, value in named
        )
    else:
        texts = [each if isinstance(each, str) else json.dumps(each) for each in payloads]
        frame = "{}\n" if wire == "ollama" else "data: {}\n\n"
        body = "".join(frame.format(text) for text in texts).encode()
    return travel(WIRES[wire](), [body])
