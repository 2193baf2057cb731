"""JSON and tool calls behind text transformers: what is redacted is nowhere, checks included."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from steer_llm_sdk import (
    IncompleteToolCallError,
    InvalidJSONError,
    SchemaError,
    SteerError,
    SteerLLMClient,
)
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.redaction import RedactTransformer
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedToolCall
from support.every_format import FORMATS, settings_at

KEY = "sk-abcd1234"
PIECES = ['{"name": "U', 'lm", "key": "s', "k-abc", 'd1234", "n": ', "17}"]
KEYS = StreamingOptions(text_transformers=[RedactTransformer(r"sk-\w{8}", "•")])
DIGITS = StreamingOptions(text_transformers=[RedactTransformer(r"\d{2}", "•")])
TOOL = {"name": "send", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}


class Secret(msgspec.Struct):
    name: str
    key: str
    n: int


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(Script(PIECES)) as running:
        yield running


@pytest.fixture
async def client(server: LoopbackServer) -> AsyncIterator[SteerLLMClient]:
    settings = settings_at(server)
    async with SteerLLMClient(providers=settings) as running:
        yield running


async def failure(client: SteerLLMClient, kind: type[SteerError], **arguments: Any) -> SteerError:
    with pytest.raises(kind) as caught:
        await client.generate("?", "m", provider="openai", **arguments)
    return caught.value


@pytest.mark.parametrize("provider", FORMATS)
async def test_the_value_and_each_of_its_states_are_redacted(
    client: SteerLLMClient, provider: str
) -> None:
    async with client.stream_events(
        "?", "m", provider=provider, response_format=Secret, streaming_options=KEYS
    ) as stream:
        seen = [copy.deepcopy(stream.partial_json()) async for _ in stream]
        events = stream.read_json_events()

    assert stream.response.parsed == Secret("Ulm", "•", 17)
    assert seen[-1] == stream.response.get_json() == {"name": "Ulm", "key": "•", "n": 17}
    assert not any("s" in (value or {}).get("key", "") for value in seen)
    assert "sk" not in repr(events)
    assert "•" in repr(events)


async def test_the_final_check_sees_what_the_redaction_has_left(client: SteerLLMClient) -> None:
    error = await failure(
        client, InvalidJSONError, response_format=Secret, streaming_options=DIGITS
    )

    assert isinstance(error, InvalidJSONError)
    assert type(error) is InvalidJSONError
    assert error.text == '{"name": "Ulm", "key": "sk-abcd••", "n": •}'
    assert "17" not in f"{error} {error!r} {error.text}"


async def test_a_misfit_does_not_tell_what_was_redacted(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script(['{"name": "Ulm", "key": 5, "n": "sk-ab', 'cd1234"}']))
    schema = {"type": "object", "properties": {"n": {"const": 1}}}
    for wanted in (Secret, schema):
        error = await failure(client, SchemaError, response_format=wanted, streaming_options=KEYS)

        assert isinstance(error, SchemaError)
        assert error.text == '{"name": "Ulm", "key": 5, "n": "•"}'
        assert "abcd" not in f"{error} {error!r} {error.reason}"


@pytest.mark.parametrize("provider", FORMATS)
async def test_rows_are_redacted(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(['["a", "sk-ab', 'cd1234"', ', "b"]']))
    rows = client.stream_items("?", str, "m", provider=provider, streaming_options=KEYS)

    assert [row async for row in rows] == ["a", "•", "b"]
    assert rows.response.parsed == ["a", "•", "b"]


@pytest.mark.parametrize("provider", FORMATS)
async def test_arguments_of_calls_are_redacted_in_each_of_their_states(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    call = ScriptedToolCall("send", ['{"key": "s', "k-abcd1", '234", "n": ', "17}"])
    server.answer_with(Script(["One moment."], tool_calls=[call]))
    async with client.stream_events(
        "?", "m", provider=provider, tools=[TOOL], streaming_options=KEYS, max_tokens=9
    ) as stream:
        seen = [
            json.dumps(event.partial_arguments)
            async for event in stream
            if isinstance(event, StreamDeltaEvent) and event.kind == "tool_call"
        ]

    (found,) = stream.response.tool_calls
    assert json.loads(found["arguments"]) == {"key": "•", "n": 17}
    assert json.loads(seen[-1]) == {"key": "•", "n": 17}
    assert "sk" not in "".join(seen)


async def test_a_call_that_the_redaction_breaks_is_not_to_be_run(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script([], tool_calls=[ScriptedToolCall("send", ['{"n": 1', "7}"])]))
    error = await failure(client, IncompleteToolCallError, tools=[TOOL], streaming_options=DIGITS)

    assert error.partial_response is not None
    assert error.partial_response.tool_calls == []
    (call,) = error.partial_response.incomplete_tool_calls
    assert call["arguments"] == '{"n": •}'


async def test_a_call_that_the_redaction_makes_a_misfit_is_one(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    quoted = StreamingOptions(text_transformers=[RedactTransformer(r"\d{2}", '"•"')])
    server.answer_with(Script([], tool_calls=[ScriptedToolCall("send", ['{"n": 1', "7}"])]))
    error = await failure(client, SchemaError, tools=[TOOL], streaming_options=quoted)

    assert isinstance(error, SchemaError)
    assert error.text == '{"n": "•"}'
