"""The recorded streams of Ollama, against what its official SDK made of them."""

from __future__ import annotations

import random
from typing import Any

from steer_llm_sdk.models.usage import COMPLETION, PROMPT, TOTAL
from steer_llm_sdk.providers.ollama.decoder import Ollama
from support.corpus import Folded, Recorded, cut, every_stream, fold

WIRE = Ollama()
streams = every_stream("ollama")

# So many bytes of each stream are also fed byte by byte.
SMALL_BYTES = 12_000


def found(folded: Folded) -> dict[str, Any]:
    return {
        "text": folded.text,
        "reasoning": folded.reasoning,
        "tool_calls": folded.calls,
        "finish_reason": folded.finish.provider_reason if folded.finish else None,
        "usage": folded.usage.raw if folded.usage else None,
    }


@streams
def test_a_recorded_stream_says_what_the_official_sdk_read(stream: Recorded) -> None:
    answer = found(fold(WIRE, [stream.body]))

    assert answer == {key: stream.oracle[key] for key in answer}


@streams
def test_a_recorded_stream_ends_by_its_own_marker_and_adds_up(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    assert folded.ended
    assert folded.error is None
    assert folded.usage is not None
    counts = folded.usage.counts
    assert counts[PROMPT] + counts[COMPLETION] == counts[TOTAL]
    assert folded.finish is not None
    assert (folded.finish.reason == "tool_calls") == bool(folded.calls)


@streams
def test_a_recorded_stream_cut_anywhere_gives_the_same_fragments(stream: Recorded) -> None:
    whole = fold(WIRE, [stream.body]).fragments
    dice = random.Random(stream.id)

    for _ in range(3):
        places = (dice.randrange(len(stream.body) + 1) for _ in range(20))
        assert fold(WIRE, cut(stream.body, places)).fragments == whole


@streams
def test_a_recorded_stream_byte_by_byte_gives_the_same_fragments(stream: Recorded) -> None:
    body = stream.body[:SMALL_BYTES]

    assert fold(WIRE, cut(body, range(len(body)))).fragments == fold(WIRE, [body]).fragments
