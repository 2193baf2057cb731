"""JSON through the blocking client: read in one thread while it arrives in another."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from steer_llm_sdk import (
    ConfigurationError,
    InvalidJSONError,
    SchemaError,
    SyncSteerLLMClient,
    TruncatedJSONError,
)
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.structured.parser import JSONPathEvent
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedToolCall, Stall
from support.every_format import FORMATS, settings_at

JSON_OBJECT = {"type": "json_object"}


class Row(msgspec.Struct):
    n: int


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer().in_thread() as running:
        yield running


@pytest.fixture
def client(server: LoopbackServer) -> Iterator[SyncSteerLLMClient]:
    settings = settings_at(server)
    with SyncSteerLLMClient(providers=settings) as running:
        yield running


@pytest.fixture
def _switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def many_rows(count: int) -> Script:
    rows = [f'{{"n": {at}}}{"," if at < count - 1 else "]}"}' for at in range(count)]
    pieces = [part for row in rows for part in (row[:4], row[4:])]
    return Script(['{"items": [', *pieces])


@pytest.mark.parametrize("provider", FORMATS)
def test_the_value_so_far_grows_and_ends_as_the_answer(
    server: LoopbackServer, client: SyncSteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(['{"name": "U', 'lm", "n": [1', "2, 3", "]}"]))
    stream = client.stream_events("?", "m", provider=provider, response_format=JSON_OBJECT)
    assert stream.partial_json() is None

    with stream:
        seen = [copy.deepcopy(stream.partial_json()) for _ in stream]

    assert seen[-1] == stream.response.get_json() == {"name": "Ulm", "n": [12, 3]}


@pytest.mark.usefixtures("_switching")
def test_nothing_is_lost_where_the_answer_is_read_while_it_arrives(
    server: LoopbackServer, client: SyncSteerLLMClient
) -> None:
    script = many_rows(3000)
    server.answer_with(script)
    paths: list[str] = []
    with client.stream_events("?", "m", provider="openai", response_format=JSON_OBJECT) as stream:
        for at, _ in enumerate(stream):
            found = [e.path for e in stream.read_json_events() if isinstance(e, JSONPathEvent)]
            paths += [path for path in found if path.endswith("]")]
            if at % 10 == 0:
                assert script.text.startswith(stream.response.get_text())
                stream.partial_json()

    assert stream.response.get_text() == script.text
    assert stream.partial_json() == stream.response.get_json()
    assert paths == [f"$.items[{at}]" for at in range(3000)]


@pytest.mark.usefixtures("_switching")
def test_no_piece_of_a_call_is_lost_where_its_arguments_are_read_while_they_arrive(
    server: LoopbackServer, client: SyncSteerLLMClient
) -> None:
    pieces = ['{"rows": [0', *(f", {at}" for at in range(1, 3000)), "]}"]
    server.answer_with(Script([], tool_calls=[ScriptedToolCall("fill", pieces)]))
    value: Any = None
    with client.stream_events("?", "m", provider="openai") as stream:
        for event in stream:
            if isinstance(event, StreamDeltaEvent):
                value = event.partial_arguments or value

    assert value == {"rows": list(range(3000))}


def test_where_no_json_was_asked_for_there_is_no_value_so_far(client: SyncSteerLLMClient) -> None:
    with client.stream_events("?", "m", provider="openai") as stream:
        with pytest.raises(ConfigurationError, match="response_format"):
            stream.partial_json()
        with pytest.raises(ConfigurationError, match="response_format"):
            stream.read_json_events()


# --- rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", FORMATS)
def test_a_row_comes_while_the_server_holds_back_the_next(
    server: LoopbackServer, client: SyncSteerLLMClient, provider: str
) -> None:
    server.answer_with(Script(['[{"n": 1},', '{"n": 2}]'], faults=[Stall(after=1)]))
    with client.stream_items("?", Row, "m", provider=provider) as rows:
        assert next(rows) == Row(1)
        assert not rows.response.is_finished

    server.wait_until(lambda: server.connections.open == 0)


def test_a_wrong_row_is_an_error_after_the_good_ones_and_closes_the_socket(
    server: LoopbackServer, client: SyncSteerLLMClient
) -> None:
    pieces = ['[{"n": 1},', '{"n": "two"}', ',{"n": 3}', ',{"n": 4}']
    server.answer_with(Script(pieces, faults=[Stall(after=4)]))
    rows = client.stream_items("?", Row, "m", provider="openai")
    seen: list[Row] = []
    with pytest.raises(SchemaError) as caught:
        seen.extend(rows)
    server.wait_until(lambda: server.connections.open == 0)

    assert seen == [Row(1)]
    assert caught.value.path == "$[1].n"
    assert caught.value.text.startswith('[{"n": 1},{"n": "two"}')
    assert rows.response.error is caught.value
    assert caught.value.partial_response is rows.response
    assert list(rows) == []


def test_a_list_that_is_cut_is_an_error_after_its_rows(
    server: LoopbackServer, client: SyncSteerLLMClient
) -> None:
    server.answer_with(Script(['[{"n": 1}, {"n"'], finish="length"))
    rows, seen = client.stream_items("?", Row, "m", provider="openai"), list[Row]()
    with pytest.raises(TruncatedJSONError):
        seen.extend(rows)

    assert seen == [Row(1)]


def test_an_answer_that_does_not_fit_is_raised_in_the_callers_thread(
    server: LoopbackServer, client: SyncSteerLLMClient
) -> None:
    server.answer_with(Script(["no ", "JSON"]))

    with pytest.raises(InvalidJSONError) as caught:
        client.generate("?", "m", provider="openai", response_format=Row)
    assert caught.value.text == "no JSON"
