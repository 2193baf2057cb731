"""An earlier answer, spelled as the steps of an interaction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.parts import (
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.turns import assistant_message
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.interactions.request import WIRE, build_request

ENDPOINT = Endpoint("gemini-interactions", "https://g.example/", "k")
OWN = {"wire": WIRE}


def steps_of(*parts: Part) -> list[dict[str, Any]]:
    """The steps of an answer with these parts, after words that every answer here ends with."""
    message = assistant_message([*parts, TextPart("end")])
    chat = ChatRequest("m", read_messages([message]))
    steps: list[dict[str, Any]] = json.loads(build_request(chat, ENDPOINT).body)["input"]
    assert steps.pop() == {"type": "model_output", "content": [{"type": "text", "text": "end"}]}
    return steps


@pytest.mark.parametrize(
    ("part", "steps"),
    [
        (
            ReasoningPart("hm", provider_data={**OWN, "signature": "s"}),
            [
                {
                    "type": "thought",
                    "summary": [{"type": "text", "text": "hm"}],
                    "signature": "s",
                }
            ],
        ),
        (
            ReasoningPart("", provider_data={**OWN, "signature": "s"}),
            [{"type": "thought", "signature": "s"}],
        ),
        (ReasoningPart("another's", provider_data={"wire": "anthropic", "signature": "s"}), []),
        (ProviderPart({"type": "search"}, provider_data=OWN), [{"type": "search"}]),
        (ProviderPart({"type": "search"}, provider_data={"wire": "gemini"}), []),
        (FilePart("image/png", data="aGk="), []),
        (
            TextPart("words"),
            [{"type": "model_output", "content": [{"type": "text", "text": "words"}]}],
        ),
    ],
)
def test_a_part_is_the_step_that_it_was(part: Part, steps: list[dict[str, Any]]) -> None:
    assert steps_of(part) == steps


def test_a_call_goes_back_with_its_name_and_arguments() -> None:
    (step,) = steps_of(ToolCallPart("c1", "find", '{"a": 1}', is_complete=True))

    assert step["type"] == "function_call"
    assert (step["id"], step["name"], step["arguments"]) == ("c1", "find", {"a": 1})
