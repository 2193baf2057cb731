"""The UI message stream of the AI SDK: its parts, in its order."""

from __future__ import annotations

from typing import Any

import pytest

from support.encoded import DONE, values_of
from support.web_sources import NAME_IN_PIECES, SHAPES, STREAM


async def parts_of(shape: str) -> list[dict[str, Any]]:
    values = await values_of(SHAPES[shape], "vercel")
    assert values.pop() == DONE
    return values


def types(parts: list[dict[str, Any]]) -> list[str]:
    return [part["type"] for part in parts]


async def test_words_are_one_part() -> None:
    parts = await parts_of("text")

    assert types(parts) == [
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
    ]
    assert parts[0]["messageId"] == STREAM
    assert len({part["id"] for part in parts[2:6]}) == 1
    assert parts[-1]["finishReason"] == "stop"
    assert parts[-1]["messageMetadata"]["usage"]["total_tokens"] == 14


@pytest.mark.parametrize("shape", SHAPES)
async def test_whatever_begins_ends_before_anything_else_of_its_kind(shape: str) -> None:
    opened: set[str] = set()
    for part in await parts_of(shape):
        kind, _, step = part["type"].rpartition("-")
        if kind in {"text", "reasoning"}:
            if step == "start":
                assert not opened
                opened.add(part["id"])
            elif step == "end":
                opened.remove(part["id"])
            else:
                assert opened == {part["id"]}
    assert not opened


async def test_reasoning_between_words_is_a_part_of_its_own() -> None:
    parts = await parts_of("reasoning between words")

    starts = [part for part in parts if part["type"].endswith("-start")]
    assert types(starts) == ["text-start", "reasoning-start", "text-start", "reasoning-start"]
    assert len({part["id"] for part in starts}) == 4


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [("two messages", "text", ["One", ".", "Two"]), ("two thoughts", "reasoning", ["a", "b"])],
)
async def test_what_separates_parts_is_no_word_of_either(
    shape: str, kind: str, words: list[str]
) -> None:
    parts = [part for part in await parts_of(shape) if part["type"].startswith(f"{kind}-")]

    assert [part["delta"] for part in parts if "delta" in part] == words
    assert len({part["id"] for part in parts}) == 2


async def test_calls_are_whole_when_their_turn_ends() -> None:
    parts = await parts_of("parallel calls")

    whole = [part for part in parts if part["type"] == "tool-input-available"]
    assert [(part["toolCallId"], part["toolName"], part["input"]) for part in whole] == [
        ("call_a", "weather", {"city": "Paris"}),
        ("call_b", "time", {}),
    ]
    pieces = [p["inputTextDelta"] for p in parts if p["type"] == "tool-input-delta"]
    assert pieces == ['{"city":', "{", ' "Paris"}', "}"]
    assert parts[-1]["finishReason"] == "tool-calls"


async def test_a_call_without_arguments_has_an_empty_input() -> None:
    (whole,) = [p for p in await parts_of("a call without arguments") if "input" in p]

    assert whole["input"] == {}


async def test_a_name_in_pieces_is_whole_when_its_call_is() -> None:
    (whole,) = [p for p in await values_of(NAME_IN_PIECES, "vercel") if "input" in p]

    assert (whole["toolName"], whole["input"]) == ("get_weather", {})


async def test_a_call_that_was_cut_is_an_error_of_its_input() -> None:
    parts = await parts_of("a call that was cut")

    assert types(parts)[-3:] == ["tool-input-error", "message-metadata", "error"]
    assert parts[-3]["input"] == '{"city": "Pa'
    assert parts[-1]["errorText"] == "slow down"


async def test_a_run_has_a_step_for_each_turn() -> None:
    parts = await parts_of("a run")

    steps = [name for name in types(parts) if "step" in name or "output" in name]
    assert steps == [
        "start-step",
        "tool-output-available",
        "tool-output-error",
        "finish-step",
        "start-step",
        "finish-step",
    ]
    assert types(parts).count("finish") == 1
    assert parts[-1]["messageMetadata"]["usage"]["prompt_tokens"] == 18


async def test_a_stop_is_an_abort() -> None:
    parts = await parts_of("cancelled")

    assert parts[-1] == {"type": "abort", "reason": "the user has stopped it"}


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ("cut for its length", "length"),
        ("filtered", "content-filter"),
        ("a refusal", "content-filter"),
    ],
)
async def test_why_it_ended_is_said_in_their_words(shape: str, reason: str) -> None:
    assert (await parts_of(shape))[-1]["finishReason"] == reason


async def test_a_file_is_a_url() -> None:
    here = [part for part in await parts_of("a file") if part["type"] == "file"]
    there = [part for part in await parts_of("a file elsewhere") if part["type"] == "file"]

    assert here[0]["url"] == "data:image/png;base64,iVBORw0KGgo="
    assert there == [{"type": "file", "url": "https://x/y.png", "mediaType": "image/png"}]


async def test_a_notice_is_not_kept_in_the_message() -> None:
    (notice,) = [part for part in await parts_of("a notice") if part["type"] == "data-notice"]

    assert notice["transient"] is True
