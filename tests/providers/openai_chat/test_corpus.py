"""Every recorded chat completion gives what the official SDK makes of the same bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from steer_llm_sdk.errors import InvalidRequestError
from steer_llm_sdk.models.fragments import Extras, Fragment
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.openai_chat.decoder import ChatDecoder, OpenAIChat
from steer_llm_sdk.providers.openai_chat.mistral import Mistral
from steer_llm_sdk.wire.frame import Frame
from support.corpus import Folded, Recorded, cut, every_stream, fold

streams = every_stream("openai-chat", "mistral")

# Where the oracle is not followed, and why.
DIFFERENCES: dict[tuple[str, str], str] = {
    ("baafd4cb5cec28b1", "usage"): (
        "the chunk with the error also has the usage: the SDK raises before it is looked at"
    ),
    ("684feae8c7b235ae", "reasoning"): (
        "the words come in reasoning_details alone, where the oracle's decoder does not look"
    ),
}

# The two streams that carry an error.
FAILURES = {
    "952e74de7cb030fb": "Tool choice is required, but model did not call a tool",
    "baafd4cb5cec28b1": "Token limit reached",
}

SMALL_BYTES = 1_500
CUTS = 3


def wire_of(stream: Recorded) -> WireFormat:
    return Mistral() if stream.index["wire"] == "mistral" else OpenAIChat()


def told(folded: Folded) -> dict[str, Any]:
    return {
        "text": folded.text,
        "reasoning": folded.reasoning,
        "refusal": folded.refusal,
        "tool_calls": folded.calls,
        "finish_reason": folded.finish.provider_reason if folded.finish else None,
        "usage": folded.usage.raw if folded.usage else None,
    }


@streams
def test_a_stream_gives_what_the_oracle_gives(stream: Recorded) -> None:
    folded = fold(wire_of(stream), [stream.body])

    differing = {
        (stream.id, key)
        for key, value in told(folded).items()
        if (value or None) != (stream.oracle.get(key) or None)
    }
    assert differing == {place for place in DIFFERENCES if place[0] == stream.id}


@streams
def test_further_choices_are_those_of_the_oracle(stream: Recorded) -> None:
    folded = fold(wire_of(stream), [stream.body])

    others = {
        str(index): {
            "text": other.text,
            "tool_calls": other.calls,
            "finish_reason": other.finish.provider_reason if other.finish else None,
        }
        for index, other in folded.others.items()
    }
    assert others == (stream.oracle.get("choices") or {})


@streams
def test_a_stream_ends_in_its_marker_or_in_the_error_that_it_carries(stream: Recorded) -> None:
    folded = fold(wire_of(stream), [stream.body])

    if stream.id in FAILURES:
        assert isinstance(folded.error, InvalidRequestError)
        assert FAILURES[stream.id] in str(folded.error)
    else:
        assert folded.error is None
        assert folded.ended or folded.finish


@streams
def test_the_answer_says_who_gave_it(stream: Recorded) -> None:
    folded = fold(wire_of(stream), [stream.body])

    if "id_empty" not in stream.index["quirks"]:
        assert folded.identity.response_id
    if "model_empty" not in stream.index["quirks"]:
        assert folded.identity.model


class SlowDecoder(ChatDecoder):
    """Reads every chunk as if it were out of the ordinary."""

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        return self._reader.read(frame)


class SlowChat(OpenAIChat):
    def decoder(self, provider: str) -> ChatDecoder:
        return SlowDecoder(provider)


@streams
def test_the_quick_and_the_slow_road_lead_to_the_same(stream: Recorded) -> None:
    quick = fold(OpenAIChat(), [stream.body]).fragments
    slow = fold(SlowChat(), [stream.body]).fragments

    # Of constants that a server adds in the middle, the quick road takes no notice.
    assert [repr(f) for f in quick if not isinstance(f, Extras)] == [
        repr(f) for f in slow if not isinstance(f, Extras)
    ]


@streams
def test_cutting_a_body_anywhere_changes_nothing(stream: Recorded) -> None:
    wire, body = wire_of(stream), stream.body
    whole = fold(wire, [body]).fragments
    places = random.Random(stream.id)

    for _ in range(CUTS):
        pieces = cut(body, (places.randrange(len(body)) for _ in range(places.randrange(1, 40))))
        assert fingerprint(fold(wire, pieces).fragments) == fingerprint(whole)
    if len(body) <= SMALL_BYTES:
        every = cut(body, range(len(body)))
        assert fingerprint(fold(wire, every).fragments) == fingerprint(whole)


def fingerprint(fragments: list[Any]) -> list[str]:
    """The fragments as text: errors compare by identity."""
    return [repr(fragment) for fragment in fragments]
