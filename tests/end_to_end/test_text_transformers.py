"""Transformers before everything (`text_transformers`) and after the response (a processor)."""

from __future__ import annotations

import logging
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from steer_llm_sdk import SteerError, SteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.redaction import RedactTransformer
from steer_llm_sdk.pipeline.shaping import CoalesceTransformer, RateLimiter
from steer_llm_sdk.streaming.processor import EventProcessor
from steer_llm_sdk.testing import (
    EndEarly,
    ErrorInStream,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    check_stream,
)
from steer_llm_sdk.testing.plan import Fault
from support.events import Hold
from support.long_stream import Repeating, Said, deltas, frame

SECRET = "sk-abcdefghijkl"
CUT = ("My key is s", "k-abc", "defgh", "ijkl, keep it", ".")
REDACT = RedactTransformer(r"sk-\w{3,12}")


def script(*faults: Fault, usage: tuple[int, int] | None = (3, 9)) -> Script:
    """The secret in the reasoning, the text and a tool call's arguments, each time in pieces."""
    return Script(
        CUT,
        reasoning=["Think: ", *CUT],
        tool_calls=[ScriptedToolCall("save", ('{"key": "', *CUT, '"}'), "c1")],
        usage=usage,
        faults=faults,
    )


async def streamed(
    said: Script | Repeating, options: StreamingOptions, **arguments: Any
) -> tuple[list[StreamEvent], StreamingResponse]:
    """The events and the response of one stream, whatever it ends in."""
    transport = ScriptedProvider(said) if isinstance(said, Script) else said
    options = options.replace(raise_on_error=False)
    async with SteerLLMClient(openai_api_key="x", transport=transport) as client:
        stream = client.stream_events("Hi", "gpt-4o", streaming_options=options, **arguments)
        async with stream:
            return [event async for event in stream], stream.response


def everything_in(value: object, seen: set[int] | None = None) -> str:
    """All that can be read in an object and whatever it holds, as one text."""
    seen = set() if seen is None else seen
    if isinstance(value, str | bytes | int | float | None):
        return repr(value)
    if id(value) in seen:
        return ""
    seen.add(id(value))
    held: list[object] = []
    if is_dataclass(value):
        held = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, dict):
        held = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set):
        held = list(value)
    elif isinstance(value, BaseException):
        held = [str(value), repr(value), vars(value), value.__cause__, value.__context__]
    return " ".join(everything_in(one, seen) for one in held)


HOLDING: list[list[Transformer]] = [
    [REDACT],
    [CoalesceTransformer("line")],
    [CoalesceTransformer("word"), REDACT],
    [REDACT, CoalesceTransformer("line")],
    [RateLimiter(0.001)],
    [Hold()],
]


@pytest.mark.parametrize("transformers", HOLDING)
async def test_what_comes_out_is_numbered_and_is_the_response(
    transformers: list[Transformer],
) -> None:
    events, response = await streamed(script(), StreamingOptions(text_transformers=transformers))
    found = [event for event in events if isinstance(event, StreamDeltaEvent)]

    assert check_stream(events).is_complete
    assert [event.sequence for event in events] == list(range(len(events)))
    assert [event.chunk_index for event in found] == list(range(len(found)))
    assert "".join(event.get_text() for event in found) == response.get_text()
    said = [event.delta for event in found if isinstance(event.delta, dict)]
    assert "".join(one["text"] for one in said if one["type"] == "reasoning") == response.reasoning
    (call,) = response.tool_calls
    arguments = [one["arguments"] for one in said if one["type"] == "tool_call"]
    assert "".join(arguments) == call["arguments"]
    assert (call["id"], call["name"]) == ("c1", "save")
    shown = SECRET if REDACT not in transformers else "[REDACTED]"
    assert response.get_text() == f"My key is {shown}, keep it."
    assert response.reasoning == f"Think: My key is {shown}, keep it."
    assert call["arguments"] == f'{{"key": "My key is {shown}, keep it."}}'


@pytest.mark.parametrize("transformers", HOLDING)
async def test_in_a_processor_events_are_numbered_as_they_are_delivered(
    transformers: list[Transformer],
) -> None:
    processor = EventProcessor(transformers=transformers)
    events, response = await streamed(script(), StreamingOptions(event_processor=processor))

    assert [event.sequence for event in events] == list(range(len(events)))
    assert [event.type for event in events][-2:] == ["usage", "complete"]
    assert response.get_text() == f"My key is {SECRET}, keep it."


ENDS = {
    "whole": script(),
    "usage is estimated": script(usage=None),
    "an error in the midst": script(ErrorInStream(8)),
    "cut": script(EndEarly(9)),
    "cut in the reasoning": script(EndEarly(4)),
    "cut in the arguments": script(EndEarly(14)),
}


@pytest.mark.parametrize("said", ENDS.values(), ids=ENDS.keys())
async def test_what_is_redacted_is_nowhere(said: Script, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    events, response = await streamed(said, StreamingOptions(text_transformers=[REDACT]))

    for place in (events, response, response.error, response.metrics, caplog.text):
        assert "abcdefgh" not in everything_in(place)
    assert "[REDACTED]" in everything_in(events)
    assert response.usage is not None
    if response.error is not None:
        assert response.error.partial_response is response


async def test_what_is_redacted_is_in_no_error_of_the_json_that_was_asked_for() -> None:
    said = Script(['{"key": "sk-abcd', 'efghijkl", oops'])
    _, response = await streamed(
        said,
        StreamingOptions(text_transformers=[REDACT]),
        response_format={"type": "json_object"},
    )

    assert isinstance(response.error, SteerError)
    assert "abcdefgh" not in everything_in(response.error)
    assert "[REDACTED]" in everything_in(response.error)


async def test_the_estimate_of_usage_is_of_the_redacted_text() -> None:
    _, redacted = await streamed(
        Script(CUT, usage=None), StreamingOptions(text_transformers=[REDACT])
    )
    _, as_it_is = await streamed(
        Script(["My key is [REDACTED], keep it."], usage=None), StreamingOptions()
    )

    assert redacted.usage_is_estimated
    assert redacted.usage == as_it_is.usage


def with_repetitions() -> Repeating:
    """The secret in the text, in its log probabilities, in another choice, and in annotations."""
    first = {
        "choices": [
            {
                "index": 0,
                "delta": {"content": SECRET},
                "logprobs": {"content": [{"token": SECRET, "logprob": -0.1, "bytes": None}]},
            },
        ]
    }
    other = {"choices": [{"index": 1, "delta": {"content": SECRET}}]}
    last = {"choices": [{"index": 1, "delta": {"content": SECRET}, "finish_reason": "stop"}]}
    before = deltas({"role": "assistant", "content": ""}) + frame(first) + frame(other)
    return Repeating(Said({"content": " end"}, before, frame(last)), 1, frames=1)


async def test_a_redactor_lets_nothing_pass_that_repeats_the_words_unread() -> None:
    plain, _ = await streamed(with_repetitions(), StreamingOptions())
    events, response = await streamed(
        with_repetitions(), StreamingOptions(text_transformers=[REDACT])
    )

    assert "logprobs" in everything_in(plain)
    assert "choices" in everything_in(plain)
    assert "abcdefgh" not in everything_in([events, response])
    assert response.get_text() == "[REDACTED] end"


async def test_other_text_transformers_keep_the_providers_metadata() -> None:
    options = StreamingOptions(text_transformers=[CoalesceTransformer("word")])
    events, response = await streamed(with_repetitions(), options)

    assert response.metadata["choices"][1]["text"] == SECRET * 2
    assert "choices" in everything_in([event.metadata for event in events])
