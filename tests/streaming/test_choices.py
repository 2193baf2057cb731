"""The choices beside the first: what an event's metadata shows, and what they add up to."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.models.fragments import (
    Finish,
    OtherChoice,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
)
from steer_llm_sdk.streaming.choices import OtherChoices


@pytest.mark.parametrize(
    ("fragment", "shown"),
    [
        ("Hi", {"delta": "Hi"}),
        (Text("Hi", {"logprobs": []}), {"delta": "Hi"}),
        (Reasoning("Hm"), {"delta": {"type": "reasoning", "text": "Hm"}}),
        (Refusal("No"), {"delta": {"type": "refusal", "text": "No"}}),
        (Finish("stop", "end_turn"), {"finish_reason": "stop"}),
        (
            ToolCallPiece(0, "call_1", "add", "{"),
            {
                "delta": {
                    "type": "tool_call",
                    "index": 0,
                    "id": "call_1",
                    "name": "add",
                    "arguments": "{",
                }
            },
        ),
    ],
)
def test_a_piece_is_shown_with_its_index(fragment: Any, shown: dict[str, Any]) -> None:
    assert OtherChoices().take(OtherChoice(3, fragment)) == {"index": 3, **shown}


def test_each_choice_adds_up_on_its_own() -> None:
    pieces: list[tuple[int, Any]] = [
        (2, "B"),
        (1, "A"),
        (1, Text("a", {})),
        (2, ToolCallPiece(1, name="sub", arguments="{}")),
        (2, ToolCallPiece(0, "call_1", "add", "{")),
        (2, ToolCallPiece(0, arguments="}")),
        (1, Finish("length", "max_tokens")),
    ]
    choices = OtherChoices()
    for index, fragment in pieces:
        choices.take(OtherChoice(index, fragment))

    assert choices.as_dict() == {
        1: {"text": "Aa", "tool_calls": [], "finish_reason": "max_tokens"},
        2: {
            "text": "B",
            "tool_calls": [
                {"id": "call_1", "name": "add", "arguments": "{}"},
                {"id": None, "name": "sub", "arguments": "{}"},
            ],
            "finish_reason": None,
        },
    }


def test_without_other_choices_there_is_nothing() -> None:
    assert OtherChoices().as_dict() == {}
