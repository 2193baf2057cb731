"""The recorded streams of Gemini and Vertex, against what the official SDK made of them."""

from __future__ import annotations

import json
import random
from typing import Any

from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.usage import COMPLETION, PROMPT, TOTAL
from steer_llm_sdk.providers.gemini.decoder import Gemini
from support.corpus import Folded, Recorded, cut, every_stream, fold

WIRE = Gemini()
streams = every_stream("gemini")

# Streams of at most so many bytes are also fed byte by byte.
SMALL_BYTES = 12_000

# Where the oracle's answer is not ours, by stream.
# These number the finish reason; the number of `STOP` is 1, and we give the word.
STOP = {"finish_reason": "STOP"}
# These tell the arguments of a call piece by piece. The SDK lists each piece as a call without a
# name and without arguments; we put them together: the calls are in CALLS.
DIFFERENCES: dict[str, dict[str, Any]] = {
    "6326c6d0faee9404": STOP,
    "91d3cfe83e736704": STOP,
    "d5af2f2676053f6d": STOP,
    "f49e97b7f2a6059a": STOP,
}


def _item(action: str, name: str, item: str, price: float) -> dict[str, Any]:
    return {"action": action, "description": name, "itemid": item, "price": price}


CALLS: dict[str, list[tuple[str, Any]]] = {
    "9d5c2d9cf9a9d937": [
        ("getWeather", {"location": "Boston"}),
        ("getWeather", {"location": "San Francisco"}),
    ],
    "f7e5a6754aa477a2": [
        (
            "writeItems",
            {
                "operations": [
                    _item("add", "Fresh red apple", "apple_001", 0.5),
                    _item("add", "Ripe yellow banana", "banana_001", 0.3),
                ]
            },
        )
    ],
}
LASAGNA = "92992bb20a721d5d"
CALLED_NOTHING_GIVEN = "64d98e30318a3e7d"  # its finish reason is a failure

# The SDK drops this field of the usage; the oracles that were made by hand have it.
DROPPED = "serviceTier"


def expected(stream: Recorded) -> dict[str, Any]:
    keys = ("text", "reasoning", "tool_calls", "finish_reason", "usage")
    return {key: stream.oracle[key] for key in keys} | DIFFERENCES.get(stream.id, {})


def found(folded: Folded, oracle: str) -> dict[str, Any]:
    usage = dict(folded.usage.raw) if folded.usage else None
    if usage is not None and oracle != "hand":
        usage.pop(DROPPED, None)
    return {
        "text": folded.text,
        "reasoning": folded.reasoning,
        "tool_calls": folded.calls,
        "finish_reason": folded.finish.provider_reason if folded.finish else None,
        "usage": usage,
    }


def told(fragments: list[Fragment]) -> list[str]:
    """The fragments in words: errors that say the same are the same."""
    return [repr(fragment) for fragment in fragments]


@streams
def test_a_recorded_stream_says_what_the_official_sdk_read(stream: Recorded) -> None:
    answer = found(fold(WIRE, [stream.body]), stream.oracle["oracle"])

    wanted = expected(stream)
    if stream.id in {*CALLS, LASAGNA}:
        wanted["tool_calls"] = answer["tool_calls"]  # looked at below
    assert answer == wanted


@every_stream("gemini", where=lambda row: row["id"] in CALLS)
def test_a_recorded_call_that_came_piece_by_piece_is_put_together(stream: Recorded) -> None:
    calls = fold(WIRE, [stream.body]).calls

    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == CALLS[stream.id]


@every_stream("gemini", where=lambda row: row["id"] == LASAGNA)
def test_a_recorded_call_with_lists_in_objects_is_put_together(stream: Recorded) -> None:
    (call,) = fold(WIRE, [stream.body]).calls

    recipe = json.loads(call["arguments"])["recipe"]
    assert set(recipe) == {"ingredients", "name", "steps"}
    assert recipe["ingredients"][0] == {"amount": "16 oz", "name": "Lasagna noodles"}
    assert recipe["steps"][1] == (
        "Cook lasagna noodles according to package directions, drain and set aside."
    )
    assert len(recipe["steps"]) == 10


@streams
def test_a_recorded_stream_adds_up(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    counts = folded.usage.counts if folded.usage else {}
    if counts:
        assert counts[PROMPT] + counts[COMPLETION] == counts[TOTAL]
    reason = folded.finish.reason if folded.finish else None
    assert (folded.error is not None) == (stream.id == CALLED_NOTHING_GIVEN)
    assert (reason == "tool_calls") == bool(folded.calls)


@streams
def test_a_recorded_stream_cut_anywhere_gives_the_same_fragments(stream: Recorded) -> None:
    whole = fold(WIRE, [stream.body]).fragments
    dice = random.Random(stream.id)

    for _ in range(3):
        places = (dice.randrange(len(stream.body) + 1) for _ in range(20))
        assert told(fold(WIRE, cut(stream.body, places)).fragments) == told(whole)


@streams
def test_a_recorded_stream_byte_by_byte_gives_the_same_fragments(stream: Recorded) -> None:
    body = stream.body[:SMALL_BYTES]

    pieces = fold(WIRE, cut(body, range(len(body)))).fragments
    assert told(pieces) == told(fold(WIRE, [body]).fragments)
