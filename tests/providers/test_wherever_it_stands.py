"""What belongs to an answer is found wherever a server puts it, and under whatever name.

On the whole road from bytes to the response, in all formats where the same may happen.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.parts import ReasoningPart
from support.payload_bodies import read
from support.pure_road import Travelled, travel
from support.recorded_formats import WIRES

# --- tokens -----------------------------------------------------------------------------------


def chat(delta: object, **beside: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return {"id": "r", "model": "m", "choices": [choice], **beside}


def tokens(prompt: int, completion: int, total: int, wire: str = "input") -> dict[str, int]:
    names = {"input": "input_tokens output_tokens", "prompt": "prompt_tokens completion_tokens"}
    return dict(
        zip([*names[wire].split(), "total_tokens"], (prompt, completion, total), strict=True)
    )


def response_event(name: str, **response: Any) -> dict[str, Any]:
    return {"type": f"response.{name}", "response": {"id": "r", "model": "m", **response}}


BEGUN = {"type": "message_start", "message": {"id": "m", "model": "m", "content": []}}
STOPPED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}

# Each counts a prompt of 88 tokens, and of none at its end.
FORGETFUL: dict[str, list[Any]] = {
    "openai-chat": [
        chat({"content": "Hi"}, usage=tokens(88, 1, 89, "prompt")),
        {"choices": [], "usage": tokens(0, 7, 7, "prompt")},
        "[DONE]",
    ],
    "openai-responses": [
        response_event("in_progress", usage=tokens(88, 0, 88)),
        response_event("completed", status="completed", output=[], usage=tokens(0, 7, 7)),
    ],
    "anthropic": [
        BEGUN | {"message": {"content": [], "usage": tokens(88, 1, 89)}},
        STOPPED | {"usage": tokens(0, 7, 7)},
        {"type": "message_stop"},
    ],
    "gemini": [
        {"candidates": [], "usageMetadata": {"promptTokenCount": 88, "totalTokenCount": 88}},
        {
            "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {
                "promptTokenCount": 0,
                "candidatesTokenCount": 7,
                "totalTokenCount": 7,
            },
        },
    ],
}


@pytest.mark.parametrize("wire", FORGETFUL)
def test_a_prompt_of_nothing_replaces_none_and_the_total_has_both(wire: str) -> None:
    response = read(wire, *FORGETFUL[wire]).response

    assert response.usage == {"prompt_tokens": 88, "completion_tokens": 7, "total_tokens": 95}
    assert not response.usage_is_estimated


@pytest.mark.parametrize("nothing", [tokens(0, 0, 0, "prompt"), {}, None])
@pytest.mark.parametrize("place", ["choice", "x_groq"])
def test_zeros_of_one_place_hide_no_usage_of_another(place: str, nothing: object) -> None:
    told = tokens(3, 4, 7, "prompt")
    last = chat({}, usage=nothing) | ({"x_groq": {"usage": told}} if place == "x_groq" else {})
    last["choices"][0] |= {"finish_reason": "stop"} | ({"usage": told} if place == "choice" else {})

    response = read("openai-chat", chat({"content": "Hi"}), last, "[DONE]").response

    assert response.usage == told


def test_what_was_cached_may_have_the_name_of_the_realtime_api() -> None:
    usage = tokens(5, 7, 12) | {"input_token_details": {"cached_tokens": 3}}

    response = read("openai-responses", response_event("done", usage=usage)).response

    assert response.usage is not None
    assert response.usage["cached_tokens"] == 3


# --- calls ------------------------------------------------------------------------------------


def call_event(kind: str, number: int, **fields: Any) -> dict[str, Any]:
    name = f"response.function_call_arguments.{kind}"
    return {"type": name, "call_id": f"call_{number}", **fields}


@pytest.mark.parametrize("is_numbered", [True, False])
def test_responses_arguments_may_name_their_call_by_the_id_of_its_answer(
    is_numbered: bool,
) -> None:
    items: list[dict[str, Any]] = [
        {"type": "function_call", "call_id": f"call_{number}", "name": f"f{number}"}
        for number in (0, 1)
    ]
    added = [
        {"type": "response.output_item.added", "item": item}
        | ({"output_index": number} if is_numbered else {})
        for number, item in enumerate(items)
    ]

    response = read(
        "openai-responses",
        *added,
        *(call_event("delta", number, delta=f'{{"n":{number}') for number in (0, 1)),
        *(call_event("delta", number, delta="}", response_id="r") for number in (0, 1)),
        *(call_event("done", number, arguments=f'{{"n":{number}}}') for number in (0, 1)),
        response_event("completed", status="completed", output=[]),
    ).response

    assert {call["name"]: call["arguments"] for call in response.tool_calls} == {
        "f0": '{"n":0}',
        "f1": '{"n":1}',
    }


OPENED = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""}


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "response.output_item.added", "item": OPENED | {"arguments": '{"n":1}'}}],
        [
            {"type": "response.output_item.added", "item": OPENED | {"arguments": '{"n":1}'}},
            call_event("delta", 0, item_id="fc", delta='{"n":1}'),
            call_event("done", 0, item_id="fc", arguments='{"n":1}'),
        ],
        [call_event("done", 0, arguments='{"n":1}', name="f")],
        [
            call_event("delta", 0, delta='{"n":'),
            call_event("done", 0, arguments='{"n":1}', name="f"),
        ],
        [
            {"type": "response.output_item.added", "item": OPENED},
            call_event("done", 0, item_id="fc", arguments='{"n":1}', name="f"),
        ],
    ],
)
def test_responses_a_call_is_whole_whichever_event_has_its_name_and_arguments(
    events: list[Any],
) -> None:
    end = response_event("completed", status="completed", output=[])

    response = read("openai-responses", *events, end).response

    (call,) = response.tool_calls
    assert (call["name"], call["arguments"]) == ("f", '{"n":1}')
    assert call["id"] in {"c", "call_0"}
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize("content", ["Hi", [{"type": "text", "text": "Hi"}]])
@pytest.mark.parametrize("place", ["item", "response"])
def test_responses_a_message_may_have_its_words_in_the_form_of_a_request(
    content: object, place: str
) -> None:
    item = {"type": "message", "id": "m", "role": "assistant", "content": content}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    output = [item] if place == "response" else []

    travelled = read(
        "openai-responses",
        *([done] if place == "item" else []),
        response_event("completed", status="completed", output=output),
    )

    assert travelled.response.get_text() == "Hi"
    assert "content_parts" not in travelled.response.metadata


# --- what seals reasoning ---------------------------------------------------------------------


def thinking(*deltas: Any, **closed: Any) -> Travelled:
    """An answer of Anthropic's that thinks first."""
    begun = {"type": "thinking", "thinking": "", "signature": ""}
    return read(
        "anthropic",
        BEGUN,
        {"type": "content_block_start", "index": 0, "content_block": begun},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0, **closed},
        STOPPED,
        {"type": "message_stop"},
    )


WORDS = {"type": "thinking_delta", "thinking": "Hm"}
SIGNED = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}


@pytest.mark.parametrize(
    ("deltas", "closed"),
    [
        ([WORDS, {"type": "signature_delta", "signature": "c2ln"}], {}),
        ([WORDS | {"signature": "c2ln"}], {}),
        ([WORDS], {"content_block": SIGNED}),
        (
            [WORDS, {"type": "signature_delta", "signature": "c2ln"}],
            {"content_block": SIGNED | {"signature": ""}},
        ),
    ],
)
def test_anthropic_a_signature_is_kept_wherever_it_comes(
    deltas: list[Any], closed: dict[str, Any]
) -> None:
    response = thinking(*deltas, **closed).response

    assert [part.data_for("anthropic") for part in response.parts] == [{"signature": "c2ln"}]
    assert response.reasoning == "Hm"


def test_anthropic_a_signature_may_come_behind_its_block() -> None:
    late = {"type": "signature_delta", "signature": "c2ln"}
    response = read(
        "anthropic",
        BEGUN,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
        {"type": "content_block_delta", "index": 0, "delta": WORDS},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_delta", "index": 0, "delta": late},
        STOPPED,
        {"type": "message_stop"},
    ).response

    assert [part.data_for("anthropic") for part in response.parts] == [{"signature": "c2ln"}]


def block(words: str, signature: str = "", **others: Any) -> dict[str, Any]:
    """A piece of a block of LiteLLM's, beside the words that it repeats."""
    told = {"type": "thinking", "thinking": words, "signature": signature}
    return {"reasoning_content": words, "thinking_blocks": [told], **others}


@pytest.mark.parametrize(
    "pieces",
    [
        [block("a"), block("b"), block("", "s1"), block("c"), block("", "s2")],
        [block("a"), {"reasoning_content": "b"}, block("", "s1"), block("c", "s2")],
        [block("ab", "s1"), {"content": "x"}, {"reasoning_content": "c"}, block("", "s2")],
    ],
)
def test_chat_each_block_of_reasoning_keeps_its_words_and_its_signature(pieces: list[Any]) -> None:
    response = read("openai-chat", *map(chat, pieces), chat({"content": "Hi"}), "[DONE]").response

    thoughts = [part for part in response.parts if isinstance(part, ReasoningPart)]
    assert [part.text for part in thoughts] == ["ab", "c"]
    blocks = [part.provider_data["thinking_blocks"] for part in thoughts]
    assert [[one["signature"] for one in each] for each in blocks] == [["s1"], ["s2"]]
    assert {part.provider_data["field"] for part in thoughts} == {"reasoning_content"}


def test_chat_what_is_redacted_stands_in_a_block_of_its_own() -> None:
    redacted = {"thinking_blocks": [{"type": "redacted_thinking", "data": "b3Bh"}]}
    pieces = [block("a"), block("", "s1"), redacted, {"content": "Hi"}]

    response = read("openai-chat", *map(chat, pieces), "[DONE]").response

    kinds = [part.provider_data["thinking_blocks"] for part in response.parts[:2]]
    assert [[one["type"] for one in each] for each in kinds] == [
        ["thinking"],
        ["redacted_thinking"],
    ]


def test_chat_lists_of_seals_within_a_field_are_joined() -> None:
    fields = [{"provider_specific_fields": {"thought_signatures": [each]}} for each in "ab"]

    response = read("openai-chat", *map(chat, fields), chat({"content": "Hi"}), "[DONE]").response

    kept = response.parts[0].data_for("openai-chat")
    assert kept == {"provider_specific_fields": {"thought_signatures": ["a", "b"]}}


def test_chat_reasoning_may_be_called_a_chain_of_thought() -> None:
    pieces = [{"cot_summary": "Hm"}, {"cot_id": "c1"}, {"content": "Hi"}]

    response = read("openai-chat", *map(chat, pieces), "[DONE]").response

    assert response.reasoning == "Hm"
    assert response.parts[0].data_for("openai-chat") == {"field": "cot_summary", "cot_id": "c1"}


# --- how it ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("details", ["incomplete_details", "status_details"])
@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("max_output_tokens", "length"),
        ("content_filter", "content_filter"),
        ("MAX_TOKENS", "length"),
        ("of tomorrow", "other"),
    ],
)
def test_responses_why_an_answer_is_incomplete_may_have_another_place_or_word(
    details: str, reason: str, outcome: str
) -> None:
    end = response_event("incomplete", status="incomplete", **{details: {"reason": reason}})

    response = read("openai-responses", end).response

    assert response.finish_reason == outcome


@pytest.mark.parametrize(
    ("reason", "outcome"), [("network_error", "ServerError"), ("overloaded", "OverloadedError")]
)
def test_responses_incomplete_for_a_failure_is_one(reason: str, outcome: str) -> None:
    details = {"incomplete_details": {"reason": reason}}

    travelled = read("openai-responses", response_event("incomplete", **details))

    assert travelled.outcome == outcome
    assert repr(reason) in str(travelled.response.error)


# --- signs of life ----------------------------------------------------------------------------

TIME = b"2026-11-27T22:00:00Z"


@pytest.mark.parametrize("wire", FORGETFUL)
@pytest.mark.parametrize("name", [b"ping", b"keepalive", b"keep-alive", b"heartbeat"])
def test_an_event_that_is_named_a_sign_of_life_may_hold_anything(wire: str, name: bytes) -> None:
    sign = b"event: " + name + b"\ndata: " + TIME + b"\n\n"
    texts = [each if isinstance(each, str) else json.dumps(each) for each in FORGETFUL[wire]]
    body = b"".join(sign + f"data: {text}\n\n".encode() for text in texts)

    assert travel(WIRES[wire](), [body]).outcome == "complete"


# --- errors -----------------------------------------------------------------------------------

# What a format begins with, so that an error stands in the midst of an answer.
BEGINNINGS: dict[str, list[Any]] = {
    "openai-chat": [chat({"content": "Hi"})],
    "openai-responses": [response_event("created")],
    "anthropic": [BEGUN],
    "gemini": [{"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}],
    "cohere": [{"type": "message-start", "id": "m"}],
    "ollama": [{"model": "m", "message": {"content": "Hi"}, "done": False}],
    "gemini-interactions": [{"event_type": "interaction.created", "interaction": {"id": "i"}}],
}
FOREIGN_ERRORS: list[dict[str, Any]] = [
    {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
    {"message": "insufficient balance", "code": 402},
    {"detail": "insufficient balance"},
    {"detail": [{"msg": "insufficient balance"}]},
    {"msg": "insufficient balance", "success": False},
    {"errors": [{"message": "insufficient balance", "code": 7}]},
    {"object": "error", "message": "insufficient balance", "type": "Billing"},
    {"error_code": "NO_MONEY", "message": "insufficient balance"},
    {"error": {"error": {"message": "insufficient balance"}}},
]


@pytest.mark.parametrize("wire", BEGINNINGS)
@pytest.mark.parametrize("error", FOREIGN_ERRORS)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_error_in_the_form_of_another_is_told(
    wire: str, error: dict[str, Any], is_first: bool
) -> None:
    travelled = read(wire, *([] if is_first else BEGINNINGS[wire]), error)

    assert travelled.outcome == "QuotaExceededError"
    assert "insufficient balance" in str(travelled.response.error)


@pytest.mark.parametrize("wire", BEGINNINGS)
def test_an_event_of_the_future_that_has_words_is_no_error(wire: str) -> None:
    name = "event_type" if wire == "gemini-interactions" else "type"
    event: dict[str, Any] = {
        name: "of.tomorrow",
        "message": "the weather",
        "usage": {"input_tokens": 1},
    }
    known: dict[str, dict[str, Any]] = {
        "openai-chat": {"choices": []},
        "ollama": {"done": False},
        "gemini": {"candidates": []},
    }

    travelled = read(wire, *BEGINNINGS[wire], event | known.get(wire, {}))

    assert travelled.outcome in {"IncompleteStreamError", "complete"}
