"""The arguments of tool calls, through each format: so far, whole, misfit, and cut."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from steer_llm_sdk import (
    EventStream,
    IncompleteToolCallError,
    SchemaError,
    SteerError,
    SteerLLMClient,
    StreamingResponse,
)
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import EndEarly, LoopbackServer, Script, ScriptedToolCall, check_stream
from support.every_format import CALLS_IN_PIECES, FORMATS, WHOLE_CALLS, settings_at
from support.growing import is_grown

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
PIECES = ['{"city": "Zü', 'rich", "da', 'ys": 1', "2}"]
GOOD = ScriptedToolCall("weather", PIECES, id="call_1")
OTHER = ScriptedToolCall("weather", ['{"city":', ' "Ulm"}'], id="call_2")
MISFIT = ScriptedToolCall("weather", ['{"city": "Ulm", ', '"days": "two"}'], id="call_1")
CUT = ScriptedToolCall("weather", ['{"city": "Zü', 'rich", "da'], id="call_1")


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(Script([], tool_calls=[GOOD])) as running:
        yield running


@pytest.fixture
async def client(server: LoopbackServer) -> AsyncIterator[SteerLLMClient]:
    settings = settings_at(server)
    async with SteerLLMClient(providers=settings) as running:
        yield running


def asked(client: SteerLLMClient, provider: str, **arguments: Any) -> EventStream:
    return client.stream_events(
        "Weather?", "m", provider=provider, tools=[WEATHER], **({"max_tokens": 50} | arguments)
    )


async def shown(stream: EventStream) -> list[tuple[int, Any]]:
    """What each delta of a call shows: the call's index, and its arguments so far."""
    async with stream:
        return [
            (event.delta["index"], copy.deepcopy(event.partial_arguments))
            async for event in stream
            if isinstance(event, StreamDeltaEvent) and isinstance(event.delta, dict)
        ]


async def failed(
    stream: EventStream, kind: type[SteerError]
) -> tuple[SteerError, StreamingResponse]:
    events: list[Any] = []
    with pytest.raises(kind) as caught:
        await _taken(stream, events)
    check_stream(events)
    assert caught.value is stream.response.error
    assert caught.value.partial_response is stream.response
    return caught.value, stream.response


async def _taken(stream: EventStream, events: list[Any]) -> None:
    async with stream:
        async for event in stream:
            events.append(event)  # noqa: PERF401 - what came before the error counts


def calls_of(response: StreamingResponse) -> list[tuple[str, Any]]:
    return [(call["name"], json.loads(call["arguments"])) for call in response.tool_calls]


# --- so far -----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", CALLS_IN_PIECES)
async def test_arguments_grow_and_are_never_taken_back(
    client: SteerLLMClient, provider: str
) -> None:
    stream = asked(client, provider)
    values = [value for _, value in await shown(stream) if value is not None]

    assert {"city": "Zü"} in values
    assert {"city": "Zürich"} in values
    assert {"city": "Zürich", "days": 1} not in values
    assert values[-1] == {"city": "Zürich", "days": 12}
    assert all(map(is_grown, values, values[1:]))
    assert calls_of(stream.response) == [("weather", values[-1])]


@pytest.mark.parametrize("provider", sorted(WHOLE_CALLS))
async def test_where_calls_come_whole_so_do_the_arguments(
    client: SteerLLMClient, provider: str
) -> None:
    assert await shown(asked(client, provider)) == [(0, {"city": "Zürich", "days": 12})]


@pytest.mark.parametrize("provider", FORMATS)
async def test_each_call_has_its_own_arguments(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(["Let me see."], tool_calls=[GOOD, OTHER]))
    stream = asked(client, provider)
    last = dict(await shown(stream))

    assert list(last.values()) == [{"city": "Zürich", "days": 12}, {"city": "Ulm"}]
    assert [arguments for _, arguments in calls_of(stream.response)] == list(last.values())


async def test_arguments_that_are_read_at_the_end_only_are_whole(client: SteerLLMClient) -> None:
    async with asked(client, "openai") as stream:
        events = [event async for event in stream if isinstance(event, StreamDeltaEvent)]

    assert events[0].partial_arguments == {"city": "Zürich", "days": 12}


# --- misfits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_call_that_does_not_fit_its_tool_is_an_error_and_can_be_looked_at(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script([], tool_calls=[OTHER, MISFIT]))
    error, response = await failed(asked(client, provider), SchemaError)

    assert isinstance(error, SchemaError)
    assert error.path == "$.days"
    assert "'weather'" in str(error)
    assert json.loads(error.text) == {"city": "Ulm", "days": "two"}
    assert [arguments for _, arguments in calls_of(response)] == [
        {"city": "Ulm"},
        {"city": "Ulm", "days": "two"},
    ]
    assert response.incomplete_tool_calls == []
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize("provider", FORMATS)
async def test_with_on_error_the_call_comes_back_with_the_response(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script([], tool_calls=[MISFIT]))
    seen: list[Any] = []
    response = await client.stream_with_usage(
        "?", "m", provider=provider, tools=[WEATHER], on_error=seen.append
    )

    assert isinstance(response.error, SchemaError)
    assert [event.error for event in seen] == [response.error]
    assert calls_of(response) == [("weather", {"city": "Ulm", "days": "two"})]


@pytest.mark.parametrize("provider", FORMATS)
async def test_validate_schema_off_lets_a_misfit_pass(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script([], tool_calls=[MISFIT]))
    options = StreamingOptions(validate_schema=False)
    stream = asked(client, provider, streaming_options=options)
    await shown(stream)

    assert stream.response.ok
    assert calls_of(stream.response) == [("weather", {"city": "Ulm", "days": "two"})]


async def test_without_its_validator_a_schema_is_not_looked_at(
    server: LoopbackServer, client: SteerLLMClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    server.answer_with(Script([], tool_calls=[MISFIT]))
    stream = asked(client, "openai")
    await shown(stream)

    assert stream.response.ok


async def test_a_tool_that_nobody_offered_is_not_looked_at(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script([], tool_calls=[ScriptedToolCall("time", '{"zone": 1}')]))
    stream = asked(client, "openai")
    await shown(stream)

    assert calls_of(stream.response) == [("time", {"zone": 1})]


# --- cut --------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", CALLS_IN_PIECES)
async def test_a_call_that_is_cut_for_length_is_an_error_and_never_a_finished_call(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script([], tool_calls=[OTHER, CUT], finish="length"))
    error, response = await failed(asked(client, provider), IncompleteToolCallError)

    assert "'weather'" in str(error)
    assert calls_of(response) == [("weather", {"city": "Ulm"})]
    (cut,) = response.incomplete_tool_calls
    assert (cut["name"], cut["arguments"]) == ("weather", '{"city": "Zürich", "da')
    assert response.finish_reason == "length"


@pytest.mark.parametrize("provider", CALLS_IN_PIECES)
async def test_a_call_whose_arguments_are_no_json_is_no_finished_call_either(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script([], tool_calls=[CUT]))
    _, response = await failed(asked(client, provider), IncompleteToolCallError)

    assert response.tool_calls == []
    assert len(response.incomplete_tool_calls) == 1
    assert response.usage is not None


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_call_in_a_stream_without_its_end_is_not_to_be_run_unless_it_is_whole(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    whole = provider in WHOLE_CALLS
    after = 1 if whole else 2
    server.answer_with(Script([], tool_calls=[GOOD], faults=[EndEarly(after)]))
    options = StreamingOptions(max_retries=0)
    _, response = await failed(asked(client, provider, streaming_options=options), SteerError)

    assert not response.ok
    assert len(response.tool_calls) == int(whole)
    assert len(response.incomplete_tool_calls) == int(not whole)


# --- beside JSON that was asked for -----------------------------------------------------------


@pytest.mark.parametrize("provider", FORMATS)
async def test_an_answer_that_calls_tools_owes_no_json(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(["Let me see."], tool_calls=[GOOD]))
    stream = asked(client, provider, response_format={"type": "json_object"})
    await shown(stream)

    assert stream.response.ok
    assert calls_of(stream.response) == [("weather", {"city": "Zürich", "days": 12})]
