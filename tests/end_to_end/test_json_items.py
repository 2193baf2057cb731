"""A list row by row, and the value so far, while the provider still writes."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from steer_llm_sdk import (
    ConfigurationError,
    EventStream,
    InvalidJSONError,
    ProviderSettings,
    RefusalError,
    SchemaError,
    SteerLLMClient,
    StreamCancelledError,
    TruncatedJSONError,
)
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.structured.parser import JSONPathEvent
from steer_llm_sdk.testing import Delay, HTTPError, LoopbackServer, ManualClock, Script, Stall
from support.every_format import FORMATS, settings_at

ROWS = ['{"items": [{"n"', ": 1}, ", '{"n": 2', "}, ", '{"n": 3}', "]}"]


class Row(msgspec.Struct):
    n: int


@pytest.fixture
async def server() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(Script(ROWS)) as running:
        yield running


@pytest.fixture
async def client(server: LoopbackServer) -> AsyncIterator[SteerLLMClient]:
    settings = settings_at(server)
    async with SteerLLMClient(providers=settings) as running:
        yield running


def rows_of(client: SteerLLMClient, provider: str = "openai", **options: Any) -> Any:
    return client.stream_items(
        "Rows.",
        item_type=Row,
        model="m",
        provider=provider,
        streaming_options=StreamingOptions(**options),
    )


async def taken(rows: Any, into: list[Any]) -> None:
    """Take all rows; those before an error are kept."""
    async with rows:
        async for row in rows:
            into.append(row)  # noqa: PERF401


async def looked_at(stream: EventStream) -> None:
    async with stream:
        async for _ in stream:
            stream.partial_json()


# --- rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", FORMATS)
async def test_all_rows_come_in_order(client: SteerLLMClient, provider: str) -> None:
    rows = rows_of(client, provider)

    assert [row async for row in rows] == [Row(1), Row(2), Row(3)]
    assert rows.response.ok
    assert rows.response.parsed == [Row(1), Row(2), Row(3)]


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_row_comes_while_the_server_still_holds_back_the_next(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(ROWS, faults=[Stall(after=3)]))
    async with rows_of(client, provider) as rows:
        first = await anext(rows)

        assert first == Row(1)
        assert not rows.response.is_finished
        assert rows.response.get_text() in {"".join(ROWS[:2]), "".join(ROWS[:3])}


async def test_the_rows_go_on_when_the_server_does() -> None:
    clock = ManualClock()
    script = Script(ROWS, faults=[Delay(60, after=3)])
    async with LoopbackServer(script, clock=clock) as server:
        settings = {"openai": ProviderSettings(base_url=server.base_url("openai"))}
        async with SteerLLMClient(providers=settings) as client, rows_of(client) as rows:
            assert await anext(rows) == Row(1)
            await clock.until_sleeping()  # the server: its last bytes are not sent
            assert not rows.response.is_finished
            await clock.advance(60)

            assert [row async for row in rows] == [Row(2), Row(3)]


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_wrong_row_is_an_error_after_the_good_ones_and_closes_the_socket(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    wrong = ['[{"n": 1}, ', '{"n": "two"}', ', {"n": 3}', "]"]
    server.answer_with(Script(wrong, faults=[Stall(after=3)]))
    rows, seen = rows_of(client, provider), list[Row]()
    with pytest.raises(SchemaError) as caught:
        await taken(rows, seen)
    await server.wait_for(lambda: server.connections.open == 0)

    error = caught.value
    assert seen == [Row(1)]
    assert (error.path, error.reason) == ("$[1].n", "Expected `int`, got `str`")
    assert error.text == rows.response.get_text()
    assert error.text.startswith('[{"n": 1}, {"n": "two"}')
    assert rows.response.error is error
    assert error.partial_response is rows.response
    (connection,) = server.connections
    assert connection.closed_by == "client"
    with pytest.raises(StopAsyncIteration):
        await anext(rows)


async def test_json_that_breaks_is_an_error_after_the_good_rows_and_closes_the_socket(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script(['[{"n": 1}, oops', " and more"], faults=[Stall(after=2)]))
    rows, seen = rows_of(client), list[Row]()
    with pytest.raises(InvalidJSONError, match="character 11"):
        await taken(rows, seen)
    await server.wait_for(lambda: server.connections.open == 0)

    assert seen == [Row(1)]
    assert isinstance(rows.response.error, InvalidJSONError)


ENDINGS: dict[str, tuple[Script, list[Row], type[InvalidJSONError], str]] = {
    "truncated": (Script(ROWS[:4], finish="length"), [Row(1), Row(2)], TruncatedJSONError, "limit"),
    "broken off": (Script(ROWS[:3]), [Row(1)], InvalidJSONError, "the end of the text"),
    "empty": (Script([]), [], InvalidJSONError, "no text came"),
    "prose": (Script(["There ", "are none."]), [], InvalidJSONError, "character 0"),
    "fenced": (Script(["```\n", *ROWS, "\n```"]), [], InvalidJSONError, "json_extract=True"),
    "another object": (Script(['{"rows": []}']), [], SchemaError, "an array 'items'"),
    "two lists": (Script([*ROWS, *ROWS]), [Row(1), Row(2), Row(3)], InvalidJSONError, "nothing"),
}


@pytest.mark.parametrize("case", ENDINGS)
@pytest.mark.parametrize("provider", FORMATS)
async def test_a_list_that_is_not_whole_is_its_own_error_after_its_rows(
    server: LoopbackServer, client: SteerLLMClient, provider: str, case: str
) -> None:
    script, whole, kind, words = ENDINGS[case]
    server.answer_with(script)
    rows, seen = rows_of(client, provider), list[Row]()
    with pytest.raises(InvalidJSONError, match=words) as caught:
        await taken(rows, seen)

    assert type(caught.value) is kind
    assert seen == whole
    assert caught.value.text == rows.response.get_text()
    assert rows.response.error is caught.value


async def test_a_refused_list_is_a_refusal(server: LoopbackServer, client: SteerLLMClient) -> None:
    server.answer_with(Script([], refusal=["No."]))

    with pytest.raises(RefusalError):
        await taken(rows_of(client), [])


@pytest.mark.parametrize("text", ['{"items": []}', "[]"])
async def test_an_empty_list_has_no_rows_and_is_no_error(
    server: LoopbackServer, client: SteerLLMClient, text: str
) -> None:
    server.answer_with(Script([text]))
    rows = rows_of(client)

    assert [row async for row in rows] == []
    assert rows.response.parsed == []


async def test_rows_in_a_fence_are_found_when_that_is_asked_for(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script(["```json\n", *ROWS, "\n```"]))

    assert [row.n async for row in rows_of(client, json_extract=True)] == [1, 2, 3]


async def test_an_array_alone_in_a_fence_is_found_too_and_is_all_of_the_answer(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script(["```json\n", '[{"n": 1}, {"n"', ": 2}]\n```"]))
    rows = rows_of(client, json_extract=True)

    assert [row.n async for row in rows] == [1, 2]
    assert rows.response.parsed == [Row(1), Row(2)]


@pytest.mark.parametrize("provider", FORMATS)
async def test_leaving_early_closes_the_socket(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(ROWS, faults=[Stall(after=2)]))
    async with rows_of(client, provider) as rows:
        async for _ in rows:
            break
    await server.wait_for(lambda: server.connections.open == 0)

    assert isinstance(rows.response.error, StreamCancelledError)
    assert [connection.closed_by for connection in server.connections] == ["client"]


# --- the value so far -------------------------------------------------------------------------

PIECES = ['{"name": "U', 'lm", "tags": [', "1", "2, tru", 'e, "\\u00', 'fc"', "]}"]
SHOWN = [
    {"name": "U"},
    {"name": "Ulm", "tags": []},
    {"name": "Ulm", "tags": []},
    {"name": "Ulm", "tags": [12]},
    {"name": "Ulm", "tags": [12, True, ""]},
    {"name": "Ulm", "tags": [12, True, "ü"]},
    {"name": "Ulm", "tags": [12, True, "ü"]},
]
JSON_OBJECT = {"type": "json_object"}


@pytest.mark.parametrize("provider", FORMATS)
async def test_the_value_so_far_shows_what_each_delta_brought(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(PIECES))
    stream = client.stream_events("?", "m", provider=provider, response_format=JSON_OBJECT)
    assert stream.partial_json() is None

    async with stream:
        seen = [
            copy.deepcopy(stream.partial_json()) async for event in stream if event.type == "delta"
        ]

    assert seen == SHOWN
    assert stream.partial_json() == stream.response.get_json()


@pytest.mark.parametrize("provider", FORMATS)
async def test_the_events_come_once_each_and_in_order(
    server: LoopbackServer, client: SteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(PIECES))
    seen: list[tuple[str, Any]] = []
    pieces: dict[str, str] = {}
    async with client.stream_events(
        "?", "m", provider=provider, response_format=JSON_OBJECT
    ) as stream:
        async for _ in stream:
            for found in stream.read_json_events():
                if isinstance(found, JSONPathEvent):
                    seen.append((found.path, copy.deepcopy(found.value)))
                else:
                    pieces[found.path] = pieces.get(found.path, "") + found.text

    assert seen == [
        ("$.name", "Ulm"),
        ("$.tags[0]", 12),
        ("$.tags[1]", True),
        ("$.tags[2]", "ü"),
        ("$.tags", [12, True, "ü"]),
    ]
    assert pieces == {"$.name": "Ulm", "$.tags[2]": "ü"}


async def test_events_that_are_first_asked_for_late_come_from_the_beginning(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script(PIECES))
    async with client.stream_events(
        "?", "m", provider="openai", response_format=JSON_OBJECT
    ) as stream:
        async for _ in stream:
            stream.partial_json()
            stream.response.get_text()

        assert [found.path for found in stream.read_json_events()][:2] == ["$.name", "$.name"]


async def test_the_value_so_far_of_an_answer_that_breaks_stays_and_the_stream_fails(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with(Script(['{"a": 1, ', "oops", '"b": 2}']))
    stream = client.stream_events("?", "m", provider="openai", response_format=JSON_OBJECT)
    with pytest.raises(InvalidJSONError):
        await looked_at(stream)

    assert stream.partial_json() == {"a": 1}


async def test_where_no_json_was_asked_for_there_is_no_value_so_far(client: SteerLLMClient) -> None:
    async with client.stream_events("?", "m", provider="openai") as stream:
        with pytest.raises(ConfigurationError, match="response_format"):
            stream.partial_json()
        with pytest.raises(ConfigurationError, match="response_format"):
            stream.read_json_events()


async def test_what_was_begun_again_after_a_failure_is_not_in_the_value(
    server: LoopbackServer, client: SteerLLMClient
) -> None:
    server.answer_with([HTTPError(503, headers={"retry-after": "0"}), Script(PIECES)])
    async with client.stream_events(
        "?", "m", provider="openai", response_format=JSON_OBJECT
    ) as stream:
        seen = [json.dumps(stream.partial_json()) async for _ in stream]

    assert seen[-1] == json.dumps(SHOWN[-1])
