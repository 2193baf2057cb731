"""What holds for any bytes that a provider may send: `judge` sends them down the pure road.

Shared by the tests in `tests/fuzz/` and by the coverage-guided fuzzer in `fuzz/`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steer_llm_sdk.errors import (
    IncompleteStreamError,
    IncompleteToolCallError,
    ProtocolError,
    ProviderError,
    SteerError,
)
from steer_llm_sdk.journal.codec import decode_event, encode_event
from steer_llm_sdk.models.events import StreamErrorEvent, StreamUsageEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import ErrorAnswer, WireFormat
from steer_llm_sdk.providers.bedrock.decoder import Converse
from steer_llm_sdk.providers.bedrock.invoke import InvokeAnthropic
from steer_llm_sdk.providers.cohere.decoder import Cohere
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.interactions.decoder import Interactions
from steer_llm_sdk.providers.ollama.decoder import Ollama
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_chat.mistral import Mistral
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from steer_llm_sdk.testing import RecordedRequest, Script, ScriptedToolCall, check_stream
from steer_llm_sdk.testing.formats import FORMATS
from steer_llm_sdk.web.ag_ui import AGUIEncoder
from steer_llm_sdk.web.openai import OpenAIEncoder
from steer_llm_sdk.web.plain import LinesEncoder, SSEEncoder
from steer_llm_sdk.web.vercel import VercelEncoder
from support.pure_road import Travelled, travel

# How events go on to a browser.
ENCODERS = (SSEEncoder, LinesEncoder, VercelEncoder, OpenAIEncoder, AGUIEncoder)


@dataclass(frozen=True)
class Fuzzed:
    """A wire format, and what its bytes must hold before a stream may be called complete.

    Attributes:
        wire: The format.
        spelled: The name under which the test kit spells it.
        end: What suffices however the body ends.
        finish: What suffices when the body ends cleanly.
    """

    wire: type[WireFormat]
    spelled: str
    end: re.Pattern[bytes] | None = None
    finish: re.Pattern[bytes] | None = None


# The end in all its spellings; gateways write it behind streams of other formats, too.
_DONE = re.compile(rb"(?i)done")

WIRES: dict[str, Fuzzed] = {
    "openai-chat": Fuzzed(OpenAIChat, "openai", _DONE, re.compile(rb"finish_reason")),
    "mistral": Fuzzed(Mistral, "openai", _DONE, re.compile(rb"finish_reason")),
    "openai-responses": Fuzzed(
        OpenAIResponses, "openai-responses", re.compile(rb"response\.(completed|incomplete)")
    ),
    "anthropic": Fuzzed(
        AnthropicMessages,
        "anthropic",
        re.compile(rb"(?is)message_stop|stop_reason.*done|done.*stop_reason"),
    ),
    "gemini": Fuzzed(Gemini, "gemini", None, re.compile(rb"finishReason|finish_reason")),
    "ollama": Fuzzed(Ollama, "ollama", re.compile(rb'"done"\s*:\s*true')),
    "gemini-interactions": Fuzzed(
        Interactions, "gemini-interactions", re.compile(rb"interaction\.completed|steps")
    ),
    "cohere": Fuzzed(Cohere, "cohere", re.compile(rb"message-end|finish_reason")),
    "bedrock": Fuzzed(
        Converse,
        "bedrock",
        re.compile(rb"(?s)messageStop.*metadata|metadata.*messageStop"),
        re.compile(rb"messageStop"),
    ),
    # What it says stands in base64.
    "bedrock-anthropic": Fuzzed(InvokeAnthropic, "bedrock-anthropic", re.compile(rb"chunk")),
}

# What a decoder may make of bytes: nothing else is ever raised, or told by the error event.
_OUTCOMES = (IncompleteStreamError, IncompleteToolCallError, ProtocolError, ProviderError)

_ESCAPED = re.compile(rb"\\u00([2-7][0-9a-fA-F])")

# One of everything that the formats can say, so that a fuzzer has something to change.
SCRIPTS: Sequence[Script] = (
    Script(),
    Script(["Grüße, ", "🌍"], reasoning=["Hm", "m"], reasoning_tokens=3, cached_tokens=2),
    Script(["Let me see."], tool_calls=[ScriptedToolCall("find", ['{"place":"', 'Köln"}'], "c7")]),
    Script([], tool_calls=[ScriptedToolCall("a", {}), ScriptedToolCall("b", '{"x":[1,2.5,null]}')]),
    Script([], refusal=["I can't ", "do that."], finish="refusal"),
    Script(["cut"], finish="length", usage=None),
    Script(["no end"], has_end=False),
    Script(["no finish"], finish=None),
)


def pieces_of(name: str, script: Script) -> list[bytes]:
    """A script in a format's spelling, frame by frame."""
    asked = {"model": "m", "stream_options": {"include_usage": True}}
    request = RecordedRequest("POST", "/", json=asked)
    return [piece.data for piece in FORMATS[WIRES[name].spelled].pieces(script, request)]


def judge(name: str, chunks: Sequence[bytes], *, has_clean_end: bool = True) -> Travelled:
    """Send a body along the road, and check what must hold whatever its bytes are.

    Args:
        name: The wire format.
        chunks: The body as the network cuts it.
        has_clean_end: Whether the connection ends as HTTP wants it.

    Raises:
        AssertionError: Something that must hold does not.
    """
    fuzzed = WIRES[name]
    travelled = travel(fuzzed.wire(), chunks, has_clean_end=has_clean_end)
    summary = check_stream(travelled.events)
    response = travelled.response
    assert summary.text == response.get_text()
    last = travelled.events[-1]
    if isinstance(last, StreamErrorEvent):
        assert isinstance(last.error, _OUTCOMES), last.error
    else:
        _has_marker(fuzzed, b"".join(chunks), has_clean_end=has_clean_end)
        assert not response.incomplete_tool_calls
    _can_be_run(response)
    _can_be_written(travelled)
    return travelled


def judge_cuts(name: str, body: bytes, chunks: Sequence[bytes]) -> Travelled:
    """As `judge`; and the same body comes to the same, however it is cut.

    Args:
        name: The wire format.
        body: The body.
        chunks: The same body in pieces.

    Raises:
        AssertionError: Something that must hold does not.
    """
    whole, cut = judge(name, [body]), judge(name, chunks)
    assert whole.outcome == cut.outcome
    assert whole.response.get_text() == cut.response.get_text()
    assert whole.response.reasoning == cut.response.reasoning
    assert _arguments(whole.response) == _arguments(cut.response)
    judge(name, chunks, has_clean_end=False)
    return whole


def judge_error_body(name: str, body: bytes, status: int, headers: Mapping[str, str]) -> SteerError:
    """Read an error out of any bytes: an error of the tree comes of it, and can be printed.

    Args:
        name: The wire format.
        body: The body of a response that is not a stream.
        status: Its status.
        headers: Its headers.

    Raises:
        AssertionError: Something that must hold does not.
    """
    error = WIRES[name].wire().read_error(ErrorAnswer(name, status, headers, body))
    assert isinstance(error, ProviderError)
    assert error.status == status
    str(error).encode()
    repr(error).encode()
    return error


def _has_marker(fuzzed: Fuzzed, body: bytes, *, has_clean_end: bool) -> None:
    said = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), body)
    if fuzzed.end is not None and fuzzed.end.search(said):
        return
    is_finished = fuzzed.finish is not None and has_clean_end and fuzzed.finish.search(said)
    assert is_finished, "complete, without what makes this format complete"


def _can_be_run(response: StreamingResponse) -> None:
    """A tool call is given out only when its arguments can be parsed."""
    for call in response.tool_calls:
        assert call["id"]
        assert isinstance(call["arguments"], str)
        if call.get("type", "function") == "function":
            json.loads(call["arguments"])


def _can_be_written(travelled: Travelled) -> None:
    """Text can be encoded, so that no `print` fails on it; counts are counts; events go on."""
    response = travelled.response
    for text in (response.get_text(), response.reasoning, response.refusal):
        text.encode()
    str(response.error).encode()
    for event in travelled.events:
        if isinstance(event, StreamUsageEvent):
            assert all(type(count) is int and count >= 0 for count in event.usage.values())
        assert decode_event(encode_event(event)).type == event.type
    for make in ENCODERS:
        encoder = make(str)
        written = [*map(encoder.feed, travelled.events), encoder.end()]
        assert b"".join(written)


def _arguments(response: StreamingResponse) -> list[tuple[str, str]]:
    calls = [*response.tool_calls, *response.incomplete_tool_calls]
    return [(str(call["name"]), call["arguments"]) for call in calls]
