"""The road of rare frames takes a long one in about the time that its JSON takes to parse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk.providers.registry import PROVIDERS, wire_format
from steer_llm_sdk.wire.frame import Frame

# It is 1 to 3 times as long, and up to 7 where all is escapes; an expression that is tried at each
# byte takes 20 to 40 times as long as the parser.
MOST = 12.0

TEXTS = {
    "words": "lorem ipsum “dolor” sit \n amet " * 6000,
    "backslashes": "\\" * 100_000,
    "backslashes and quotes": '\\"' * 50_000,
    "astral": "\N{GRINNING FACE}" * 20_000,
}


def _whole(text: str) -> dict[str, Any]:
    message = {"type": "message", "id": "i", "content": [{"type": "output_text", "text": text}]}
    return {"type": "response.completed", "response": {"id": "r", "output": [message]}}


FRAMES: dict[str, Callable[[str], dict[str, Any]]] = {
    "openai": lambda text: {
        "id": "i",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}],
    },
    "openai-responses": _whole,
    "anthropic": lambda text: {
        "type": "message_start",
        "message": {"id": "i", "content": [{"type": "text", "text": text}]},
    },
    "gemini": lambda text: {
        "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]
    },
    "ollama": lambda text: {"message": {"content": text}, "done": True, "done_reason": "stop"},
    "cohere": lambda text: {
        "type": "content-delta",
        "index": 0,
        "delta": {"message": {"content": {"text": text}}},
    },
    "gemini-interactions": lambda text: {
        "event_type": "step.delta",
        "index": 0,
        "delta": {"type": "text", "text": text},
    },
}


def seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return min(once() for _ in range(5))


@pytest.mark.parametrize("is_ascii", [True, False])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("provider", FRAMES)
def test_a_long_frame_takes_little_longer_than_its_json(
    provider: str, text: str, is_ascii: bool
) -> None:
    data = json.dumps(FRAMES[provider](TEXTS[text]), ensure_ascii=is_ascii).encode()
    wire = wire_format(PROVIDERS[provider])

    def decode() -> object:
        return list(wire.decoder(provider).decode(Frame(data)))

    assert decode()
    assert seconds(decode) < MOST * seconds(lambda: json.loads(data)) + 0.000_2
