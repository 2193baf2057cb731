"""Bedrock, Cohere, Ollama, Gemini's interactions: answers as gateways and copies change them."""

from __future__ import annotations

from typing import Any

import pytest

from support.payload_bodies import read
from support.pure_road import Travelled

# --- Bedrock ----------------------------------------------------------------------------------

STOP = {"messageStop": {"stopReason": "end_turn"}}
TOLD = {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4}}}
CALL = {"toolUseId": "c", "name": "f"}


def start(**block: Any) -> dict[str, Any]:
    return {"contentBlockStart": {"contentBlockIndex": 0, "start": block}}


def change(**delta: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": 0, "delta": delta}}


CLOSE = {"contentBlockStop": {"contentBlockIndex": 0}}


def test_bedrock_a_block_may_begin_with_its_words() -> None:
    travelled = read("bedrock", start(text="Hi"), change(text="!"), CLOSE, STOP, TOLD)

    assert travelled.response.get_text() == "Hi!"


@pytest.mark.parametrize(
    "called",
    [
        [start(toolUse=CALL), change(toolUse={"input": {"a": 1}}), CLOSE],
        [start(toolUse=CALL | {"input": {"a": 1}}), CLOSE],
        [
            start(toolUse=CALL | {"input": {"b": 1}}),
            change(toolUse={"input": '{"a":1}'}),
            CLOSE,
        ],
    ],
)
def test_bedrock_the_input_of_a_call_is_found_wherever_it_stands(called: list[Any]) -> None:
    response = read("bedrock", *called, STOP, TOLD).response

    assert [call["arguments"] for call in response.tool_calls] == ['{"a":1}']
    assert response.finish_reason == "tool_calls"


def test_bedrock_reasoning_may_have_the_form_of_a_message() -> None:
    thought = {"reasoningText": {"text": "Hm", "signature": "c2ln"}}

    response = read("bedrock", change(reasoningContent=thought), CLOSE, STOP, TOLD).response

    assert response.reasoning == "Hm"
    assert response.parts[0].data_for("bedrock") == {"signature": "c2ln"}


def test_bedrock_zeros_are_no_usage() -> None:
    zeros = {"metadata": {"usage": {"inputTokens": 0, "outputTokens": 0}}}

    assert read("bedrock", change(text="Hi"), STOP, zeros).response.usage_is_estimated


# --- Cohere -----------------------------------------------------------------------------------


def cohere(word: str, **event: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": word}, **event}


def begin_call(call: Any) -> dict[str, Any]:
    return {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}}


@pytest.mark.parametrize(
    "call",
    [
        {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}},
        [{"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}],
    ],
)
def test_cohere_a_call_may_begin_whole(call: Any) -> None:
    response = read("cohere", begin_call(call), cohere("COMPLETE")).response

    assert [(each["id"], each["arguments"]) for each in response.tool_calls] == [("c", '{"a":1}')]


def test_cohere_an_answer_as_one_document_has_all_parts() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "tool_plan": "I will look.",
        "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi"}],
        "tool_calls": [call],
        "citations": [{"start": 0, "end": 2}],
    }

    response = read(
        "cohere", {"id": "r", "message": message, "finish_reason": "TOOL_CALL"}
    ).response

    assert (response.reasoning, response.commentary, response.get_text()) == (
        "Hm",
        "I will look.",
        "Hi",
    )
    assert response.citations == [{"start": 0, "end": 2}]
    assert [each["id"] for each in response.tool_calls] == ["c"]
    assert response.finish_reason == "tool_calls"


def test_cohere_usage_may_stand_beside_the_delta() -> None:
    usage = {"tokens": {"input_tokens": 3, "output_tokens": 4}}

    response = read("cohere", cohere("COMPLETE", usage=usage)).response

    assert response.usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"error": {"message": "no", "code": 429}}, "RateLimitError"),
        ({"error": {"message": "no", "type": "insufficient_quota"}}, "QuotaExceededError"),
        ({"error": {"message": "no", "status_code": 503}}, "OverloadedError"),
        ({"error": "invalid api token"}, "AuthenticationError"),
        ({"message": "too many requests"}, "RateLimitError"),
    ],
)
def test_cohere_errors_may_have_another_form(error: Any, outcome: str) -> None:
    assert read("cohere", error).outcome == outcome


# --- Ollama -----------------------------------------------------------------------------------


def line(**message: Any) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": "", **message}}


LAST = line() | {"done": True, "done_reason": "stop"}


def test_ollama_a_call_may_be_flat() -> None:
    call = {"id": "c", "name": "f", "arguments": {"a": 1}, "index": 0, "strange": 1}

    (called,) = read("ollama", line(tool_calls=[call]), LAST).response.tool_calls

    assert called == {"id": "c", "name": "f", "arguments": '{"a": 1}', "strange": 1}


def test_ollama_a_call_that_is_repeated_in_each_line_is_one() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": {}}}
    nameless = {"function": {"name": "f", "arguments": {}}}
    lines = [line(tool_calls=[call]), line(tool_calls=[call, nameless, nameless])]

    response = read("ollama", *lines, LAST).response

    assert len(response.tool_calls) == 3


@pytest.mark.parametrize("key", ["thinking", "reasoning", "reasoning_content"])
def test_ollama_reasoning_has_further_spellings(key: str) -> None:
    response = read("ollama", line(**{key: "Hm"}), line(content="Hi"), LAST).response

    assert (response.reasoning, response.get_text()) == ("Hm", "Hi")


# --- Gemini's interactions --------------------------------------------------------------------


def step(kind: str, **fields: Any) -> dict[str, Any]:
    return {"event_type": f"step.{kind}", "index": 0, **fields}


def completed(status: str = "completed", **interaction: Any) -> dict[str, Any]:
    return {
        "event_type": "interaction.completed",
        "interaction": {"id": "i", "status": status, **interaction},
    }


WORDS = {"type": "model_output", "content": [{"type": "text", "text": "Hi"}]}
CALLED = {"type": "function_call", "id": "c", "name": "f", "arguments": {"a": 1}}


def test_interactions_an_answer_may_come_with_its_end_alone() -> None:
    response = read("gemini-interactions", completed(steps=[WORDS, CALLED])).response

    assert response.get_text() == "Hi"
    assert [call["arguments"] for call in response.tool_calls] == ['{"a": 1}']


def test_interactions_what_the_end_says_again_is_no_news() -> None:
    travelled = read("gemini-interactions", step("start", step=WORDS), completed(steps=[WORDS]))

    assert travelled.response.get_text() == "Hi"


@pytest.mark.parametrize("key", ["arguments", "partial_arguments"])
def test_interactions_the_arguments_of_a_call_have_two_names(key: str) -> None:
    delta = {"type": "arguments_delta", key: '{"a":1}'}
    events = [
        step("start", step={"type": "function_call", "id": "c", "name": "f"}),
        step("delta", delta=delta),
        step("stop"),
        completed("requires_action"),
    ]

    response = read("gemini-interactions", *events).response

    assert [call["arguments"] for call in response.tool_calls] == ['{"a":1}']


@pytest.mark.parametrize("place", [{"data": "aW1n"}, {"uri": "https://a.example/i"}, {}])
def test_interactions_an_image_is_a_file(place: dict[str, str]) -> None:
    image = {"type": "image", "mime_type": "image/png", **place}

    files = read("gemini-interactions", step("delta", delta=image), completed()).response.files

    assert [(file.media_type, file.data, file.url) for file in files] == [
        ("image/png", place.get("data"), place.get("uri")) for _ in place
    ]


def test_interactions_that_are_cancelled_fail_with_what_they_cost() -> None:
    usage = {"total_input_tokens": 3, "total_output_tokens": 4}
    update = {"event_type": "interaction.status_update", "status": "in_progress", "usage": usage}
    cancelled = {"event_type": "interaction.cancelled"}

    travelled = read("gemini-interactions", update, cancelled)

    assert travelled.outcome == "ServerError"
    assert travelled.response.usage is not None
    assert travelled.response.usage["prompt_tokens"] == 3


@pytest.mark.parametrize("word", ["failed", "cancelled"])
def test_interactions_a_status_may_be_a_failure(word: str) -> None:
    assert read("gemini-interactions", completed(word)).outcome == "ServerError"


MONEY = {"code": 400, "message": "insufficient balance"}


@pytest.mark.parametrize("told", [{"error": MONEY}, {"errors": [MONEY]}])
def test_interactions_an_interaction_may_tell_its_error(told: dict[str, Any]) -> None:
    interaction = {"id": "i", "status": "failed", **told}
    event = {"event_type": "interaction.completed", "interaction": interaction}

    assert read("gemini-interactions", event).outcome == "QuotaExceededError"


# --- fields of the future, where a thing is put together of pieces ------------------------------


def told(travelled: Travelled) -> str:
    """All that the events of a stream say."""
    return repr([(getattr(event, "delta", None), event.metadata) for event in travelled.events])


def test_bedrock_what_stands_beside_a_piece_of_a_block_is_kept() -> None:
    result = start(toolResult={"toolUseId": "s"})
    grown = change(toolResult=[{"text": "found"}], strange={"x": "new"})
    alone = change(toolResult=[{"text": "found"}], strange={"x": "new"})
    other = [start(future={"a": 1}), change(anything={"x": "new"}), CLOSE]

    for between in ([result, grown, CLOSE], [alone, CLOSE], other):
        assert "'new'" in told(read("bedrock", *between, STOP, TOLD))


@pytest.mark.parametrize("kind", ["tool-call-start", "tool-call-delta"])
def test_cohere_what_stands_beside_a_function_is_kept(kind: str) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    strange = {"function": {"arguments": " ", "strange": "new"}}
    message = {"tool_calls": call | strange if kind == "tool-call-start" else strange}
    event = {"type": kind, "index": 0, "delta": {"message": message}}

    assert "'new'" in told(read("cohere", begin_call(call), event, cohere("COMPLETE")))


def test_interactions_what_stands_beside_words_is_kept() -> None:
    travelled = read(
        "gemini-interactions", step("start", step=WORDS | {"strange": "new"}), completed()
    )

    assert "'new'" in told(travelled)
    assert travelled.response.get_text() == "Hi"
