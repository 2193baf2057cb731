"""The loop around tools in the blocking client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from steer_llm_sdk import (
    CallbackError,
    OverloadedError,
    StreamCancelledError,
    SyncSteerLLMClient,
    Tool,
    ToolError,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import ErrorInStream, Script, ScriptedProvider, ScriptedToolCall, Stall

MODEL = "gpt-4o"
CALL = Script([], tool_calls=[ScriptedToolCall("add", {"a": 1, "b": 2}, id="call_1")])


async def add(a: int, b: int) -> int:
    return a + b


@pytest.fixture
def clients() -> Iterator[Any]:
    made: list[SyncSteerLLMClient] = []

    def make(*scripts: Script) -> SyncSteerLLMClient:
        made.append(SyncSteerLLMClient("key", transport=ScriptedProvider(*scripts)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_functions_are_run_and_callbacks_are_called_in_the_callers_thread(clients: Any) -> None:
    where: list[threading.Thread] = []
    numbers: list[int] = []

    def note_thread(a: int, b: int) -> int:
        where.append(threading.current_thread())
        return a + b

    def note(event: StreamEvent) -> None:
        assert threading.current_thread() is threading.main_thread()
        numbers.append(event.sequence)

    client = clients(CALL, Script(["It is 3."]))
    result = client.run(
        "?",
        MODEL,
        tools=[Tool(note_thread, "add")],
        on_start=note,
        on_delta=note,
        on_usage=note,
        on_complete=note,
    )

    assert (result.text, len(result.responses)) == ("It is 3.", 2)
    assert numbers == list(range(len(numbers)))
    assert where[0] is not threading.main_thread()


def test_events_of_all_turns_are_given(clients: Any) -> None:
    client = clients(CALL, Script(["It is 3."]))

    with client.run_events("?", MODEL, tools=[add]) as run:
        turns = [event.metadata["turn"] for event in run]

    assert (set(turns), run.result.text, run.response.text) == ({1, 2}, "It is 3.", "It is 3.")


def test_a_failure_is_raised_or_returned_with_what_was_done(clients: Any) -> None:
    scripts = [CALL, Script(["It"], faults=[ErrorInStream(1)])]
    with pytest.raises(OverloadedError) as caught:
        clients(*scripts).run("?", MODEL, tools=[add])
    assert len(caught.value.run.responses) == 2

    result = clients(*scripts).run("?", MODEL, tools=[add], on_error=lambda event: None)
    assert isinstance(result.error, OverloadedError)


def test_too_many_turns_are_an_error(clients: Any) -> None:
    with pytest.raises(ToolError) as caught:
        clients(CALL).run("?", MODEL, tools=[add], max_turns=2)
    assert len(caught.value.run.responses) == 2


def test_a_callback_may_end_the_run(clients: Any) -> None:
    def fail(event: StreamDeltaEvent) -> None:
        raise KeyError

    options = StreamingOptions(raise_callback_errors=True)
    with pytest.raises(CallbackError) as caught:
        clients(CALL, Script(["3"])).run(
            "?", MODEL, tools=[add], streaming_options=options, on_delta=fail
        )
    assert len(caught.value.run.responses) == 1


def test_a_closed_client_ends_a_run_whose_function_still_runs(clients: Any) -> None:
    begun, gate = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        gate.wait(10)

    client = clients(Script([], tool_calls=[ScriptedToolCall("block", {}, id="call_1")]))

    def close() -> None:
        begun.wait(5)
        client.close()

    closing = threading.Thread(target=close)
    closing.start()
    with pytest.raises(StreamCancelledError):
        client.run("?", MODEL, tools=[block])
    closing.join()
    gate.set()

    assert client.stats.functions_left == 1


def test_leaving_the_events_ends_the_run(clients: Any) -> None:
    client = clients(*[CALL] * 3, Script(["3"], faults=[Stall()]))

    with client.run_events("?", MODEL, tools=[add]) as run:
        for event in run:
            if event.type == "complete":
                break

    assert isinstance(run.result.error, StreamCancelledError)
