"""The recorded streams of Cohere, against what the official SDK made of them."""

from __future__ import annotations

import random
from typing import Any

from steer_llm_sdk.errors import ServerError
from steer_llm_sdk.models.usage import COMPLETION, PROMPT, TOTAL
from steer_llm_sdk.providers.cohere.decoder import Cohere
from support.corpus import Folded, Recorded, cut, every_stream, fold

WIRE = Cohere()
streams = every_stream("cohere")


def found(folded: Folded) -> dict[str, Any]:
    return {
        "text": folded.text,
        "reasoning": folded.reasoning,
        "tool_calls": folded.calls,
        "usage": folded.usage.raw if folded.usage else {},
        "tool_plan": folded.commentary,
    }


@streams
def test_a_recorded_stream_says_what_the_official_sdk_read(stream: Recorded) -> None:
    oracle = {**stream.oracle, "tool_plan": stream.oracle.get("tool_plan", "")}
    folded = fold(WIRE, [stream.body])

    answer = found(folded)
    assert answer == {key: oracle[key] for key in answer}
    if folded.error is None:
        assert folded.finish is not None
        assert folded.finish.provider_reason == oracle["finish_reason"]


@streams
def test_a_recorded_stream_adds_up(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    if "error" in stream.oracle:
        assert type(folded.error) is ServerError
        assert stream.oracle["error"]["message"] in str(folded.error)
        return
    assert folded.ended
    assert folded.usage is not None
    counts = folded.usage.counts
    assert counts[PROMPT] + counts[COMPLETION] == counts[TOTAL]
    assert folded.finish is not None
    assert (folded.finish.reason == "tool_calls") == bool(folded.calls)
    assert ("citations" in stream.index["features"]) == any("citations" in e for e in folded.extras)


@streams
def test_a_recorded_stream_cut_anywhere_gives_the_same_fragments(stream: Recorded) -> None:
    whole = repr(fold(WIRE, [stream.body]).fragments)
    dice = random.Random(stream.id)

    for _ in range(3):
        places = (dice.randrange(len(stream.body) + 1) for _ in range(20))
        assert repr(fold(WIRE, cut(stream.body, places)).fragments) == whole
    body = stream.body[:12_000]
    pieces = fold(WIRE, cut(body, range(len(body)))).fragments
    assert repr(pieces) == repr(fold(WIRE, [body]).fragments)
