from __future__ import annotations

import random
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import Reasoning
from steer_llm_sdk.providers.anthropic.decoder import FINISH_REASONS, AnthropicMessages
from support.corpus import Folded, Recorded, corpus_folder, cut, every_stream, fold, recorded

WIRE = AnthropicMessages()
SMALL_BYTES = 6_000
CUTS = 40

# Where the oracle is not followed, and why.
#
# The oracle joins the deltas of a call's input, which gives "" for a call without arguments; the
# SDK's own accumulated message has the empty object for them, and so has the library: "{}".
NO_ARGUMENTS = frozenset(
    {
        "6414e4533e089535",
        "6f1d9ff8131a02e6",
        "70a1e5b663488376",
        "7b29329c0536fdf5",
        "9fb67052cf0fc2d0",
        "ab187ed08724581e",
        "ab56c8ff9cf291d8",
        "b5782371187b30ad",
        "b6c2b6d168190451",
        "c07ad0b40fb61102",
        "d2ded82ea2889f55",
        "e82782cdc0cf57e7",
        "f72684e3bdf54ee3",
    }
)

streams = every_stream("anthropic")


def decoded(stream: Recorded) -> Folded:
    return fold(WIRE, [stream.body])


def expected_calls(stream: Recorded) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = stream.oracle["tool_calls"]
    if stream.id in NO_ARGUMENTS:
        return [call | {"arguments": call["arguments"] or "{}"} for call in calls]
    return calls


@streams
def test_text_and_reasoning_are_the_oracles(stream: Recorded) -> None:
    folded = decoded(stream)
    reasoning = [f.text for f in folded.fragments if isinstance(f, Reasoning)]

    assert folded.text == stream.oracle["text"]
    assert "".join(reasoning) == stream.oracle["reasoning"]


@streams
def test_tool_calls_are_the_oracles(stream: Recorded) -> None:
    folded = decoded(stream)

    assert folded.calls == expected_calls(stream)
    assert list(folded.tool_calls) == list(range(len(folded.calls)))


@streams
def test_an_exception_is_listed_only_where_there_is_one(stream: Recorded) -> None:
    differs = decoded(stream).calls != stream.oracle["tool_calls"]

    assert differs == (stream.id in NO_ARGUMENTS)


@streams
def test_the_finish_reason_is_the_oracles_and_is_known(stream: Recorded) -> None:
    finish = decoded(stream).finish

    assert finish is not None
    assert finish.provider_reason == stream.oracle["finish_reason"]
    assert finish.provider_reason in FINISH_REASONS


@streams
def test_usage_is_the_oracles_and_counts_all_of_the_input(stream: Recorded) -> None:
    usage = decoded(stream).usage
    told = {key: value for key, value in stream.oracle["usage"].items() if value is not None}
    inputs = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")

    assert usage is not None
    assert usage.raw == told
    passes = told.get("iterations") or [told]
    assert usage.counts["prompt_tokens"] == sum(
        each.get(key, 0) for each in passes for key in inputs
    )
    assert usage.counts["completion_tokens"] == sum(each["output_tokens"] for each in passes)


@streams
def test_every_recorded_stream_has_its_end_and_no_failure(stream: Recorded) -> None:
    folded = decoded(stream)

    assert folded.ended
    assert folded.error is None


@streams
def test_what_the_provider_ran_itself_is_kept(stream: Recorded) -> None:
    blocks = [b for extra in decoded(stream).extras for b in extra.get("content_blocks", ())]

    assert [b["id"] for b in blocks if b["type"].endswith("tool_use")] == [
        call["id"] for call in stream.oracle.get("server_tool_calls", ())
    ]


@streams
def test_cuts_at_random_places_change_nothing(stream: Recorded) -> None:
    chance = random.Random(stream.id)
    places = [chance.randrange(len(stream.body)) for _ in range(CUTS)]

    assert fold(WIRE, cut(stream.body, places)).fragments == decoded(stream).fragments


@streams
def test_byte_by_byte_changes_nothing(stream: Recorded) -> None:
    body = stream.body[:SMALL_BYTES]

    assert fold(WIRE, cut(body, range(len(body)))).fragments == fold(WIRE, [body]).fragments


@streams
def test_a_stream_cut_before_its_end_never_has_one(stream: Recorded) -> None:
    body = stream.body[: stream.body.index(b"message_stop")]

    assert not fold(WIRE, [body]).ended


@pytest.mark.skipif(corpus_folder() is None, reason="set STEER_CORPUS to run")
def test_streams_of_other_formats_are_protocol_errors_or_pass_by() -> None:
    for stream in recorded():
        if stream.index["wire"] != "anthropic":
            try:
                fold(WIRE, [stream.body])
            except ProtocolError:
                continue
