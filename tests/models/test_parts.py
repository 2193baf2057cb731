"""The parts of an answer, stored and read again."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from steer_llm_sdk.models.parts import (
    CLASSES,
    CommentaryPart,
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    part_from_dict,
)

SIGNED = {"wire": "anthropic", "signature": "c2ln"}
PARTS: tuple[Part, ...] = (
    TextPart("Hi", [{"url": "https://example.com", "start_index": 0}]),
    CommentaryPart("I look it up."),
    ReasoningPart("Hm", provider_data=SIGNED),
    RefusalPart("No."),
    ToolCallPart("call_1", "add", "{}", True),
    ToolCallPart("call_2", "sh", "ls", True, "custom", provider_data={"wire": "x", "id": "i"}),
    FilePart("image/png", data="aGk="),
    FilePart(url="https://example.com/a.png"),
    ProviderPart({"type": "server_tool_use", "input": {"q": [1, None]}}),
)

each_part = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.type)


@each_part
def test_a_part_comes_back_from_json_as_it_was(part: Part) -> None:
    stored = json.loads(json.dumps(part.to_dict()))

    assert part_from_dict(stored) == part
    assert stored["type"] == part.type


@each_part
def test_a_part_is_pickled_and_copied(part: Part) -> None:
    assert pickle.loads(pickle.dumps(part)) == part
    assert copy.deepcopy(part) == part


def test_what_is_empty_is_not_stored() -> None:
    assert TextPart("Hi").to_dict() == {"type": "text", "text": "Hi"}


def test_every_part_is_made_without_arguments_and_is_called_by_its_type() -> None:
    assert {kind().type: kind for kind in CLASSES.values()} == CLASSES
    assert {kind().type for kind in CLASSES.values()} == {part.type for part in PARTS}


def test_two_parts_share_no_list_and_no_dict() -> None:
    stored = {"type": "text", "citations": [{"url": "u"}], "provider_data": {"id": "m"}}
    first, second = part_from_dict(stored), part_from_dict(stored)
    assert isinstance(first, TextPart)
    assert isinstance(second, TextPart)

    first.citations[0]["url"] = "other"
    first.provider_data["id"] = "other"

    assert (second.citations, second.provider_data) == ([{"url": "u"}], {"id": "m"})


def test_what_a_newer_version_stored_beside_is_passed_over() -> None:
    assert part_from_dict({"type": "text", "text": "Hi", "new": 1}) == TextPart("Hi")


@pytest.mark.parametrize("kind", ["quantum", None, 7])
def test_a_part_of_no_known_type_is_refused(kind: object) -> None:
    with pytest.raises(ValueError, match=r"type: expected one of text, commentary.*found"):
        part_from_dict({"type": kind})


def test_data_is_for_the_wire_format_that_it_came_by() -> None:
    part = ReasoningPart("Hm", provider_data=SIGNED)

    assert part.data_for("anthropic") == {"signature": "c2ln"}
    assert part.data_for("gemini") is None
    assert ReasoningPart("Hm").data_for("anthropic") is None
    assert ReasoningPart("Hm", provider_data={"wire": ""}).data_for("") is None
