"""Calls of a run, and what answers them, in the protocols that tell both."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.web import Protocol
from support.encoded import DONE, values_of
from support.web_sources import RUNS

# In which event of a protocol a result stands, and in which a call begins.
_RESULTS = {"ag-ui": ("TOOL_CALL_RESULT", "content"), "vercel": ("tool-output-available", "output")}
_CALLS = {"ag-ui": "TOOL_CALL_START", "vercel": "tool-input-start"}

both = pytest.mark.parametrize("protocol", ["ag-ui", "vercel"])


async def told(shape: str, protocol: Protocol) -> tuple[list[str], dict[str, str]]:
    """The identifiers of the calls, and what is said to answer each."""
    values: list[Any] = [v for v in await values_of(RUNS[shape], protocol) if v != DONE]
    kind, said = _RESULTS[protocol]
    calls = [value["toolCallId"] for value in values if value["type"] == _CALLS[protocol]]
    return calls, {v["toolCallId"]: v[said] for v in values if v["type"] == kind}


@both
async def test_calls_that_have_one_identifier_in_several_turns_are_told_apart(
    protocol: Protocol,
) -> None:
    calls, results = await told("a run whose calls have one name", protocol)

    assert calls[0] == "call_0"
    assert len(set(calls)) == 2
    assert [results[call] for call in calls] == ["one", "two"]


@both
async def test_what_answers_a_call_that_a_filter_has_hidden_is_hidden(protocol: Protocol) -> None:
    assert await told("a run whose calls are hidden", protocol) == ([], {})


@both
async def test_what_answers_a_call_that_was_approved_is_told_at_the_beginning(
    protocol: Protocol,
) -> None:
    calls, results = await told("a run that goes on", protocol)

    assert results == {"call_9": "approved"}
    assert calls == (["call_9"] if protocol == "vercel" else [])
