"""Every recorded stream, from its bytes to its events, without a socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.events import StreamErrorEvent, StreamUsageEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.ollama.decoder import Ollama
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from steer_llm_sdk.testing import check_stream
from support.corpus import Recorded, corpus_folder, every_stream, fold, recorded
from support.pure_road import Travelled, travel
from support.recorded_formats import WIRES

# The formats that are not built here.
FOREIGN = (
    "anthropic-completion",
    "bedrock-invoke",
    "cohere-v1",
    "hf-tgi",
    "openai-assistants",
    "openai-completions",
    "openai-transcription",
    "writer-completions",
)

streams = every_stream(*WIRES)

# Every recorded stream that does not end in `complete`, with the error, and why that is right.
CUT_IN_A_CALL = "IncompleteToolCallError"  # max_tokens ran out inside the arguments
FAILED: dict[str, str] = {
    "898a56dd92c57c10": "ServerError",  # a call that the model did not get right
    "b03cab33ff437588": CUT_IN_A_CALL,
    "e0e79ee10c180638": CUT_IN_A_CALL,
    "80714391151790e2": CUT_IN_A_CALL,
    "9472251abba40a66": CUT_IN_A_CALL,  # before the first character of the arguments
    "b33302859ea278af": CUT_IN_A_CALL,
    "f3a117beb1a8e636": CUT_IN_A_CALL,  # the second call; the first is whole
    "6d30ead749461b1b": CUT_IN_A_CALL,
    "7dd5d0dda919d0a8": CUT_IN_A_CALL,  # before the first character of the arguments
    "7fea54edff6b98bb": CUT_IN_A_CALL,
    "fee1f0910629952b": CUT_IN_A_CALL,  # before the first character of the arguments
    "a8cfe49375e36850": CUT_IN_A_CALL,
    "c4654aa341929b58": CUT_IN_A_CALL,
    "ef77665c7e650712": CUT_IN_A_CALL,
    "952e74de7cb030fb": "InvalidRequestError",  # an error event: no tool was called
    "baafd4cb5cec28b1": "InvalidRequestError",  # an error in a chunk: token limit reached
    "ce62faea01a1ba20": "QuotaExceededError",  # an error event
    "faf76981d1317fa9": "RateLimitError",  # response.failed
    "a53aad85294efb66": "IncompleteStreamError",  # one frame without parts, finish or usage
    "64d98e30318a3e7d": "ServerError",  # UNEXPECTED_TOOL_CALL, and not a word of an answer
}


def road(stream: Recorded) -> Travelled:
    wire = WIRES[stream.index["wire"]]()
    return travel(wire, [stream.body], provider=stream.index["provider"])


@pytest.mark.skipif(corpus_folder() is None, reason="set STEER_CORPUS to run")
def test_the_streams_that_fail_are_listed() -> None:
    failing = {
        stream.id: outcome
        for stream in recorded(*WIRES)
        if (outcome := road(stream).outcome) != "complete"
    }

    assert failing == FAILED


@streams
def test_a_stream_has_one_start_one_end_and_all_in_order(stream: Recorded) -> None:
    travelled = road(stream)

    summary = check_stream(travelled.events)
    assert summary.text == travelled.response.get_text()
    assert summary.is_complete == (stream.id not in FAILED)


@streams
def test_a_response_differs_from_the_oracle_only_where_the_decoder_does(stream: Recorded) -> None:
    response = road(stream).response

    # Where the decoder differs, and why, is listed in its own test.
    assert differing(stream, told(response)) == differing(stream, folded(stream))


@streams
def test_only_a_call_that_was_cut_is_incomplete(stream: Recorded) -> None:
    response = road(stream).response

    assert len(response.incomplete_tool_calls) == (FAILED.get(stream.id) == CUT_IN_A_CALL)
    for call in response.tool_calls:
        assert call["id"]
        assert call.get("type") == "custom" or isinstance(json.loads(call["arguments"]), dict)


@streams
def test_usage_is_reported_unless_there_was_none(stream: Recorded) -> None:
    travelled = road(stream)

    usage = [event for event in travelled.events if isinstance(event, StreamUsageEvent)]
    assert len(usage) == 1
    if stream.id not in FAILED:
        assert usage[0].is_estimated == (not stream.oracle.get("usage"))


@every_stream(*FOREIGN)
@pytest.mark.parametrize("wire", [OpenAIChat, Gemini, Ollama, AnthropicMessages, OpenAIResponses])
def test_a_format_that_is_not_built_here_ends_cleanly_or_in_a_protocol_error(
    stream: Recorded, wire: type[WireFormat]
) -> None:
    travelled = travel(wire(), [stream.body])

    check_stream(travelled.events)
    last = travelled.events[-1]
    if isinstance(last, StreamErrorEvent) and isinstance(last.error, ProtocolError):
        return
    assert travelled.outcome in {"complete", "IncompleteStreamError"}


def told(response: StreamingResponse) -> dict[str, Any]:
    """What a response says, in the oracle's form."""
    calls = [*response.tool_calls, *response.incomplete_tool_calls]
    return {
        "text": response.get_text(),
        "reasoning": response.reasoning,
        "refusal": response.refusal,
        "finish_reason": response.metadata["provider_finish_reason"],
        "usage": response.metadata["provider_usage"],
        "tool_calls": [shown(call) for call in calls],
    }


def folded(stream: Recorded) -> dict[str, Any]:
    """What the decoder's fragments add up to, in the oracle's form."""
    found = fold(WIRES[stream.index["wire"]](), [stream.body])
    return {
        "text": found.text,
        "reasoning": found.reasoning,
        "refusal": found.refusal,
        "finish_reason": found.finish.provider_reason if found.finish else None,
        "usage": found.usage.raw if found.usage else None,
        "tool_calls": [shown(call) for call in found.calls],
    }


def differing(stream: Recorded, said: Mapping[str, Any]) -> dict[str, Any]:
    """Where this is not what the oracle says."""
    oracle = dict(stream.oracle)
    oracle["tool_calls"] = [shown(call) for call in oracle.get("tool_calls") or ()]
    return {
        key: value for key, value in said.items() if (value or None) != (oracle.get(key) or None)
    }


def shown(call: Mapping[str, Any]) -> tuple[str, str]:
    """A call without its id; nothing and ``null`` stand for no arguments."""
    arguments = call["arguments"]
    return call["name"], "{}" if arguments.strip() in {"", "null"} else arguments
