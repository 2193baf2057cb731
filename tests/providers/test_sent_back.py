"""An answer of Bedrock, of Cohere and of Gemini's interactions, sent back to whom it came from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import Endpoint, WireFormat
from steer_llm_sdk.providers.bedrock.decoder import Converse
from steer_llm_sdk.providers.cohere.decoder import Cohere
from steer_llm_sdk.providers.interactions.decoder import Interactions
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.testing.formats.base import sse
from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from support.pure_road import travel

ENDPOINT = Endpoint("x", "http://127.0.0.1")


def sent_back(wire: WireFormat, body: bytes, to: WireFormat | None = None) -> dict[str, Any]:
    """The request whose history has this answer, as JSON has kept it."""
    message = json.loads(json.dumps(travel(wire, [body]).response.to_message()))
    chat = ChatRequest("m", read_messages([{"role": "user", "content": "1"}, message]))
    found: dict[str, Any] = json.loads((to or wire).request(chat, ENDPOINT).body)
    return found


def converse(*events: tuple[str, dict[str, Any]]) -> bytes:
    ends: tuple[tuple[str, dict[str, Any]], ...] = (
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"metrics": {}}),
    )
    return b"".join(
        event_message(json.dumps(fields).encode(), string_headers(event_type=kind))
        for kind, fields in (*events, *ends)
    )


def delta(index: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def start(index: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "contentBlockStart", {"contentBlockIndex": index, "start": fields}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    return "contentBlockStop", {"contentBlockIndex": index}


SEARCH = {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"}
CITATION = {"title": "policy", "location": {"web": {"url": "https://a.example"}}}
BEDROCK = converse(
    delta(0, reasoningContent={"text": "Hm"}),
    delta(0, reasoningContent={"signature": "c2ln"}),
    stop(0),
    delta(1, reasoningContent={"redactedContent": "cmVk"}),
    stop(1),
    start(2, toolUse=SEARCH),
    delta(2, toolUse={"input": '{"query":"x"}'}),
    stop(2),
    start(3, toolResult={"toolUseId": "s1", "status": "success"}),
    delta(3, toolResult=[{"text": "found"}]),
    stop(3),
    delta(4, text="So "),
    stop(4),
    delta(5, citation=CITATION),
    delta(5, text="it is."),
    stop(5),
    start(6, toolUse={"toolUseId": "t1", "name": "find"}),
    delta(6, toolUse={"input": '{"a":1}'}),
    stop(6),
)


def test_bedrock_gets_its_blocks_back_in_their_order() -> None:
    assert sent_back(Converse(), BEDROCK)["messages"][1] == {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "cmVk"}},
            {"toolUse": {**SEARCH, "input": {"query": "x"}}},
            {
                "toolResult": {
                    "toolUseId": "s1",
                    "status": "success",
                    "content": [{"text": "found"}],
                }
            },
            {"text": "So "},
            {"citationsContent": {"content": [{"text": "it is."}], "citations": [CITATION]}},
            {"toolUse": {"toolUseId": "t1", "name": "find", "input": {"a": 1}}},
        ],
    }


def test_of_an_answer_of_bedrocks_another_gets_words_and_calls() -> None:
    assert sent_back(Converse(), BEDROCK, Cohere())["messages"][1] == {
        "role": "assistant",
        "content": "So it is.",
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}}
        ],
    }


def event(kind: str, **fields: Any) -> bytes:
    return sse({"type": kind, **fields}, kind)


COHERE = b"".join(
    [
        event("tool-plan-delta", delta={"message": {"tool_plan": "I will look."}}),
        event("content-delta", index=0, delta={"message": {"content": {"text": "One moment."}}}),
        event(
            "citation-start",
            index=0,
            delta={"message": {"citations": {"start": 0, "end": 3, "text": "One"}}},
        ),
        event(
            "tool-call-start",
            index=0,
            delta={
                "message": {
                    "tool_calls": {"id": "t1", "function": {"name": "find", "arguments": "{}"}}
                }
            },
        ),
        event("tool-call-end", index=0),
        event("message-end", delta={"finish_reason": "TOOL_CALL"}),
    ]
)


ODD = {"name": "find", "arguments": "{}", "type": "odd", "id": "odd"}


def test_cohere_gets_its_plan_back() -> None:
    assert sent_back(Cohere(), COHERE)["messages"][1] == {
        "role": "assistant",
        "content": "One moment.",
        "tool_plan": "I will look.",
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
        ],
    }


# A call of each format whose function, or the call itself, has fields besides those that are known.
STRANGE_CALLS = {
    "cohere": (
        Cohere(),
        event(
            "tool-call-start",
            delta={"message": {"tool_calls": {"id": "t1", "name": "odd", "function": ODD}}},
        )
        + event("tool-call-end", index=0)
        + event("message-end", delta={"finish_reason": "TOOL_CALL"}),
    ),
    "openai-chat": (
        OpenAIChat(),
        sse(
            {"choices": [{"delta": {"tool_calls": [{"id": "t1", "name": "odd", "function": ODD}]}}]}
        )
        + sse({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
    ),
}


@pytest.mark.parametrize("name", STRANGE_CALLS)
def test_a_field_of_a_function_takes_no_name_of_the_calls(name: str) -> None:
    wire, body = STRANGE_CALLS[name]
    plain = {"id": "t1", "type": "function", "function": {"name": "find", "arguments": "{}"}}

    (sent,) = sent_back(wire, body)["messages"][1]["tool_calls"]
    assert {key: sent[key] for key in plain} == plain
    assert travel(wire, [body]).response.tool_calls == [
        {"id": "t1", "name": "find", "arguments": "{}"}
    ]


def test_citations_belong_to_the_words_before_them() -> None:
    response = travel(Cohere(), [COHERE]).response

    assert response.citations == [{"start": 0, "end": 3, "text": "One"}]


def step(index: int, *deltas: dict[str, Any], **opened: Any) -> bytes:
    events: list[dict[str, Any]] = [{"event_type": "step.start", "index": index, "step": opened}]
    events += [{"event_type": "step.delta", "index": index, "delta": each} for each in deltas]
    events.append({"event_type": "step.stop", "index": index})
    return b"".join(map(sse, events))


INTERACTION = b"".join(
    [
        step(
            0,
            {"type": "thought_summary", "content": {"type": "text", "text": "Hm"}},
            {"type": "thought_signature", "signature": "c2ln"},
            type="thought",
        ),
        step(1, type="google_search_call", id="s1"),
        step(2, {"type": "text", "text": "So."}, type="model_output"),
        step(
            3,
            {"type": "arguments_delta", "arguments": '{"a":1}'},
            type="function_call",
            id="c1",
            name="find",
            arguments={},
            signature="bW9yZQ==",
        ),
        sse(
            {
                "event_type": "interaction.completed",
                "interaction": {"status": "requires_action"},
            }
        ),
    ]
)


def test_an_interaction_gets_its_steps_back_in_their_order() -> None:
    assert sent_back(Interactions(), INTERACTION)["input"][1:] == [
        {"type": "thought", "summary": [{"type": "text", "text": "Hm"}], "signature": "c2ln"},
        {"type": "google_search_call", "id": "s1"},
        {"type": "model_output", "content": [{"type": "text", "text": "So."}]},
        {
            "type": "function_call",
            "id": "c1",
            "name": "find",
            "arguments": {"a": 1},
            "signature": "bW9yZQ==",
        },
    ]


@pytest.mark.parametrize("wire", [Converse(), Interactions()], ids=["bedrock", "interactions"])
def test_of_an_answer_of_anothers_there_are_words_and_calls(wire: WireFormat) -> None:
    is_bedrock = wire.name == "bedrock"
    other: WireFormat = Interactions() if is_bedrock else Converse()
    body = json.dumps(sent_back(other, INTERACTION if is_bedrock else BEDROCK, wire))

    assert "c2ln" not in body
    assert "find" in body
    assert "So" in body
