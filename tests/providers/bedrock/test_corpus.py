"""The recorded streams of Bedrock, against what botocore made of them."""

from __future__ import annotations

import random
from typing import Any

from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.usage import COMPLETION, PROMPT, TOTAL
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.bedrock.decoder import Converse
from steer_llm_sdk.providers.bedrock.invoke import InvokeAnthropic
from support.corpus import Folded, Recorded, cut, every_stream, fold

streams = every_stream("bedrock", "bedrock-anthropic")

# Streams of at most so many bytes are also fed byte by byte.
SMALL_BYTES = 12_000

# The oracle lists the provider's own tools among the calls: they are not the caller's to run.
SERVER_TOOLS = frozenset({"nova_grounding", "nova_code_interpreter"})

# The SDK drops these fields of the usage, which it does not know (it has the last two by other
# names), but not within Anthropic's bodies.
DROPPED = frozenset({"serverToolUsage", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"})


def wire_of(stream: Recorded) -> WireFormat:
    return Converse() if stream.index["wire"] == "bedrock" else InvokeAnthropic()


def read(stream: Recorded) -> Folded:
    return fold(wire_of(stream), [stream.body])


def expected(stream: Recorded) -> dict[str, Any]:
    keys = ("text", "reasoning", "tool_calls", "finish_reason", "usage")
    wanted = {key: stream.oracle[key] for key in keys}
    # No arguments at all stand for an empty object.
    calls = [
        {**call, "arguments": call["arguments"] or "{}"}
        for call in wanted["tool_calls"]
        if call["name"] not in SERVER_TOOLS
    ]
    return {**wanted, "tool_calls": calls}


def found(folded: Folded) -> dict[str, Any]:
    raw = folded.usage.raw if folded.usage else None
    return {
        "text": folded.text,
        "reasoning": folded.reasoning,
        "tool_calls": folded.calls,
        "finish_reason": folded.finish.provider_reason if folded.finish else None,
        "usage": raw and {key: value for key, value in raw.items() if key not in DROPPED},
    }


def told(fragments: list[Fragment]) -> list[str]:
    return [repr(fragment) for fragment in fragments]


@streams
def test_a_recorded_stream_says_what_the_official_sdk_read(stream: Recorded) -> None:
    assert found(read(stream)) == expected(stream)


@streams
def test_a_recorded_stream_adds_up(stream: Recorded) -> None:
    folded = read(stream)

    assert folded.error is None
    assert folded.finish is not None
    assert (folded.finish.reason == "tool_calls") == bool(folded.calls)
    if folded.usage:
        counts, raw = folded.usage.counts, folded.usage.raw
        assert counts[PROMPT] + counts[COMPLETION] == counts[TOTAL]
        assert counts[TOTAL] == raw.get("totalTokens", counts[TOTAL])
    # Two of them were made up without the last event.
    assert folded.ended == (folded.usage is not None)


@every_stream("bedrock")
def test_what_the_provider_did_itself_is_kept(stream: Recorded) -> None:
    blocks = [block for extra in read(stream).extras for block in extra.get("content_blocks", ())]

    names = [call["name"] for call in stream.oracle["tool_calls"] if call["name"] in SERVER_TOOLS]
    assert [block["toolUse"]["name"] for block in blocks if "toolUse" in block] == names
    for use, result in zip(blocks[::2], blocks[1::2], strict=True):
        assert isinstance(use["toolUse"]["input"], dict)
        assert result["toolResult"]["toolUseId"] == use["toolUse"]["toolUseId"]
        assert result["toolResult"]["content"]


@streams
def test_a_recorded_stream_cut_anywhere_gives_the_same_fragments(stream: Recorded) -> None:
    whole, wire = read(stream).fragments, wire_of(stream)
    dice = random.Random(stream.id)

    for _ in range(3):
        places = (dice.randrange(len(stream.body) + 1) for _ in range(20))
        assert told(fold(wire, cut(stream.body, places)).fragments) == told(whole)


@streams
def test_a_recorded_stream_byte_by_byte_gives_the_same_fragments(stream: Recorded) -> None:
    body, wire = stream.body[:SMALL_BYTES], wire_of(stream)

    pieces = fold(wire, cut(body, range(len(body)))).fragments
    assert told(pieces) == told(fold(wire, [body]).fragments)
