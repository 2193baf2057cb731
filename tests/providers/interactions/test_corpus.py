"""The recorded streams of Gemini's interactions, against what was made of them by hand."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.usage import COMPLETION, PROMPT, TOTAL
from steer_llm_sdk.providers.interactions.decoder import Interactions
from support.corpus import Folded, Recorded, cut, every_stream, fold

WIRE = Interactions()
streams = every_stream("gemini-interactions")


def found(folded: Folded) -> dict[str, Any]:
    return {
        "text": folded.text,
        "reasoning": folded.reasoning,
        "tool_calls": folded.calls,
        "finish_reason": folded.finish.provider_reason if folded.finish else None,
        "usage": folded.usage.raw if folded.usage else None,
    }


@streams
def test_a_recorded_stream_says_what_the_oracle_read(stream: Recorded) -> None:
    answer = found(fold(WIRE, [stream.body]))

    assert answer == {key: stream.oracle[key] for key in answer}


@streams
def test_a_recorded_stream_adds_up_and_keeps_its_signatures(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    assert folded.ended
    assert folded.usage is not None
    counts, raw = folded.usage.counts, folded.usage.raw
    assert counts[PROMPT] + counts[COMPLETION] == counts[TOTAL] == raw["total_tokens"]
    assert stream.body.count(b'"thought_signature"') == repr(folded.fragments).count("'signature'")


@streams
def test_a_recorded_stream_byte_by_byte_gives_the_same_fragments(stream: Recorded) -> None:
    pieces = fold(WIRE, cut(stream.body, range(len(stream.body)))).fragments

    assert repr(pieces) == repr(fold(WIRE, [stream.body]).fragments)
