"""The recorded streams of the Responses API, against what the official SDK made of them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from steer_llm_sdk.errors import QuotaExceededError, RateLimitError
from steer_llm_sdk.models.fragments import Failure, Finish, ToolCallPiece, Usage
from steer_llm_sdk.models.usage import TOTAL
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from support.corpus import Folded, Recorded, cut, every_stream, fold, recorded

WIRE = OpenAIResponses()

# Streams of at most so many bytes are also fed byte by byte.
SMALL_BYTES = 12_000

# The oracle lists functions only. These two calls are for the caller to run as well: a shell
# command on its own machine, and a patch to its own files.
SHELL, PATCH = "81c9e5a84cfaf907", "f733fe37aade84ff"
ACTIONS: dict[str, dict[str, Any]] = {
    SHELL: {
        "name": "shell",
        "id": "call_pbxjNs1tMJUahLZKAS9qLtvw",
        "arguments": {
            "commands": ["ls -a ~/Desktop"],
            "max_output_length": 8912,
            "timeout_ms": None,
        },
    },
    PATCH: {
        "name": "apply_patch",
        "id": "call_kA46f91ZwocQyMCKyyZqRyC5",
        "arguments": {
            "type": "create_file",
            "diff": "+## Shopping Checklist\n+\n+- [ ] Milk\n+- [ ] Bread\n+- [ ] Eggs\n"
            "+- [ ] Fresh fruit\n+- [ ] Coffee\n",
            "path": "shopping-checklist.md",
        },
    },
}

# Where the oracle's answer is not ours, by stream: the field, and our answer. The final response of
# this one (a body written by hand) has no status, and the oracle knows no other place for the
# finish reason; the event's own name, `response.completed`, says it too.
DIFFERENCES: dict[str, dict[str, Any]] = {"e8ba1c45868892df": {"finish_reason": "completed"}}

# Calls that the caller has to answer: for the oracle they are items like any other.
ANSWERED = {
    "76ed4e2f2acf8e85": "tool_search",
    "d0405b8f07502a7f": "mcp_approval",
    "ef6d8d62dc31f2a1": "tool_search",
}

# What the failed streams failed of, as the official SDK's bare `APIError` does not say.
FAILURES = {
    "ce62faea01a1ba20": QuotaExceededError,
    "faf76981d1317fa9": RateLimitError,
}

streams = every_stream("openai-responses")


def expected(stream: Recorded) -> dict[str, Any]:
    words = {key: stream.oracle.get(key) or "" for key in ("text", "reasoning", "refusal")}
    rest = {key: stream.oracle.get(key) for key in ("finish_reason", "usage")}
    calls = {"tool_calls": stream.oracle["tool_calls"]}
    return words | rest | calls | DIFFERENCES.get(stream.id, {})


def found(stream: Folded) -> dict[str, Any]:
    return {
        "text": stream.commentary + stream.text,  # the oracle knows no phases
        "reasoning": stream.reasoning,
        "refusal": stream.refusal,
        "tool_calls": stream.calls,
        "finish_reason": stream.finish.provider_reason if stream.finish else None,
        "usage": _counted(stream.usage) if stream.usage else None,
    }


def said(stream: Folded) -> list[object]:
    """The fragments; an error, which equals nothing but itself, by its words."""
    return [
        repr(fragment.error) if isinstance(fragment, Failure) else fragment
        for fragment in stream.fragments
    ]


def without_actions(stream: Folded) -> list[dict[str, Any]]:
    kinds = {"shell", "apply_patch", *ANSWERED.values()}
    actions = {p.index for p in pieces(stream) if p.type in kinds}
    return [call for index, call in stream.tool_calls.items() if index not in actions]


def pieces(stream: Folded) -> list[ToolCallPiece]:
    return [piece for piece in stream.fragments if isinstance(piece, ToolCallPiece)]


def _counted(usage: Usage) -> dict[str, Any]:
    """The usage as it was told, without the tier, which is told beside it."""
    return {key: value for key, value in usage.raw.items() if key != "service_tier"}


@streams
def test_a_recorded_stream_says_what_the_official_sdk_read(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    calls = without_actions(folded) if stream.id in {*ACTIONS, *ANSWERED} else folded.calls
    assert found(folded) | {"tool_calls": calls} == expected(stream)


@every_stream("openai-responses", where=lambda row: row["id"] in ACTIONS)
def test_a_recorded_shell_or_patch_call_is_for_the_caller(stream: Recorded) -> None:
    (call,) = fold(WIRE, [stream.body]).calls

    assert call | {"arguments": json.loads(call["arguments"])} == ACTIONS[stream.id]


@every_stream("openai-responses", where=lambda row: row["id"] in ANSWERED)
def test_a_recorded_request_to_the_caller_is_a_call(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    assert {piece.type for piece in pieces(folded)} == {ANSWERED[stream.id]}
    assert isinstance(json.loads(folded.calls[0]["arguments"]), dict)
    assert folded.finish == Finish("tool_calls", "completed")


@streams
def test_a_recorded_stream_ends_by_its_own_marker_or_fails(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    assert folded.ended == (stream.id not in FAILURES)
    assert type(folded.error) is FAILURES.get(stream.id, type(None))


@streams
def test_a_recorded_stream_adds_up(stream: Recorded) -> None:
    folded = fold(WIRE, [stream.body])

    if folded.usage is not None:
        assert folded.usage.counts[TOTAL] == folded.usage.raw["total_tokens"]
    reason = folded.finish.reason if folded.finish else None
    assert reason in {None, "stop", "length", "tool_calls", "refusal"}
    if reason in {"stop", "tool_calls", "refusal"}:
        assert (reason == "tool_calls") == bool(folded.calls)
        closed = [piece.index for piece in pieces(folded) if piece.is_whole]
        assert closed == sorted(folded.tool_calls)


@streams
def test_a_recorded_stream_is_the_same_however_it_is_cut(stream: Recorded) -> None:
    whole = said(fold(WIRE, [stream.body]))
    places = random.Random(stream.id)
    for count in (1, 7, 60):
        at = [places.randrange(len(stream.body)) for _ in range(count)]

        assert said(fold(WIRE, cut(stream.body, at))) == whole


@streams
def test_a_small_recorded_stream_is_the_same_byte_by_byte(stream: Recorded) -> None:
    if len(stream.body) > SMALL_BYTES:
        return
    single = [stream.body[at : at + 1] for at in range(len(stream.body))]

    assert said(fold(WIRE, single)) == said(fold(WIRE, [stream.body]))


def test_every_listed_exception_is_a_recorded_stream() -> None:
    known = {stream.id for stream in recorded("openai-responses")}
    if not known:
        pytest.skip("the recorded streams are not here: set STEER_CORPUS to run")

    assert {*ACTIONS, *ANSWERED, *DIFFERENCES, *FAILURES} <= known
