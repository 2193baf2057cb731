"""Answers as gateways and copies change them: each is the answer that was given, and lost nowhere.

One row an alteration, on the whole road from bytes to the response.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.payload_bodies import read
from support.pure_road import Travelled

# --- chat completions -------------------------------------------------------------------------

DONE = "[DONE]"
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(delta: object = None, **choice: Any) -> dict[str, Any]:
    said = {} if delta is None else {"delta": delta}
    return {"id": "r", "model": "m", "choices": [{"index": 0, **said, **choice}]}


def test_chat_a_reason_may_have_googles_spelling() -> None:
    travelled = read("openai-chat", chat({"content": "Hi"}), chat({}, finishReason="length"))

    assert travelled.response.finish_reason == "length"


@pytest.mark.parametrize(
    "chunks",
    [
        [chat({"tool_calls": CALL}), chat({}, finish_reason="stop")],
        [
            chat({"content": "Hi"}),
            chat({}, message={"tool_calls": [CALL]}, finish_reason="tool_calls"),
        ],
        [chat({}, finish_reason="stop"), chat({"tool_calls": [CALL]})],
        [
            chat({"tool_calls": [CALL]}),
            chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}),
            chat({}, finish_reason="stop"),
        ],
    ],
)
def test_chat_a_call_is_found_wherever_it_stands(chunks: list[Any]) -> None:
    response = read("openai-chat", *chunks, DONE).response

    assert [(call["id"], call["name"]) for call in response.tool_calls] == [("c", "f")]
    assert response.finish_reason == "tool_calls"


def test_chat_a_message_that_repeats_the_calls_adds_none() -> None:
    calls = {"tool_calls": [CALL]}

    response = read("openai-chat", chat(calls), chat({}, message=calls, finish_reason="stop"))

    assert len(response.response.tool_calls) == 1


@pytest.mark.parametrize(("content", "text"), [(42, "42"), (0, "0"), (1.5, "1.5"), (True, "")])
def test_chat_digits_that_became_a_number_are_words(content: object, text: str) -> None:
    travelled = read("openai-chat", chat({"content": content}), chat({}, finish_reason="stop"))

    assert travelled.response.get_text() == text


@pytest.mark.parametrize(
    "delta",
    [
        {"thinking": "Hm"},
        {"thinking_content": "Hm"},
        {"thinking": {"content": "Hm", "signature": "c2ln"}},
    ],
)
def test_chat_reasoning_has_further_spellings(delta: dict[str, Any]) -> None:
    response = read("openai-chat", chat(delta), chat({}, finish_reason="stop")).response

    assert response.reasoning == "Hm"


@pytest.mark.parametrize(
    "sealed",
    [
        {"extra_content": {"google": {"thought_signature": "s"}}},
        {"provider_specific_fields": {"thought_signatures": ["s"]}},
        {"provider_specific_fields": {"thinking_blocks": [{"type": "thinking", "signature": "s"}]}},
        {"provider_specific_fields": {"parts": [{"thoughtSignature": "s"}]}},
        {"reasoning_signature": "s"},
        {"thinking_signature": "s"},
        {"signature": "s"},
    ],
)
def test_chat_what_seals_an_answer_is_a_part_of_it(sealed: dict[str, Any]) -> None:
    travelled = read("openai-chat", chat({"content": "Hi"}), chat(sealed), DONE)

    (_, thought) = travelled.response.parts
    assert thought.data_for("openai-chat") == sealed


def test_chat_what_seals_nothing_is_kept_beside_the_answer() -> None:
    beside = {"extra_content": {"note": 1}, "provider_specific_fields": {"signature": ""}}

    travelled = read("openai-chat", chat({"content": "Hi", **beside}), DONE)

    assert [part.type for part in travelled.response.parts] == ["text"]
    assert travelled.events[1].metadata == beside


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ('""', "{}"),
        (json.dumps('{"a": 1}'), '{"a": 1}'),
        ('{}{"a": 1}', '{"a": 1}'),
        ('{} {"a": 1}', '{"a": 1}'),
    ],
)
def test_chat_arguments_are_an_object_however_they_are_wrapped(said: str, arguments: str) -> None:
    call = CALL | {"function": {"name": "f", "arguments": said}}

    response = read("openai-chat", chat({"tool_calls": [call]}), DONE).response

    assert [each["arguments"] for each in response.tool_calls] == [arguments]


@pytest.mark.parametrize(
    "call",
    [
        {"name": "f", "arguments": '{"a":1}'},
        {"name": "f", "arguments": {"a": 1}, "type": "function"},
        {"function": {"name": "f", "parameters": {"a": 1}}},
        {"function": {"name": "f", "parameters": '{"a":1}'}},
        {"name": "f", "parameters": {"a": 1}},
        {"function": {"name": "f", "arguments": '{"a":1}', "parameters": {"type": "object"}}},
    ],
)
def test_chat_the_fields_of_a_call_may_stand_and_be_called_otherwise(call: dict[str, Any]) -> None:
    delta = chat({"tool_calls": [{"index": 0, "id": "c", **call, "note": 1}]})

    response = read("openai-chat", delta, chat({}, finish_reason="tool_calls"), DONE).response

    (found,) = response.tool_calls
    assert (found["id"], found["name"], found["arguments"]) == ("c", "f", '{"a":1}')
    assert found.keys() - {"parameters"} == {"id", "name", "arguments", "note"}
    assert ("parameters" in found) is ("type" in str(call.get("function")))


def test_chat_a_choice_may_stand_without_a_list() -> None:
    choices = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}

    response = read("openai-chat", {"id": "r", "choices": choices}).response

    assert (response.get_text(), response.finish_reason) == ("Hi", "stop")


def test_chat_numbers_may_have_become_texts() -> None:
    def piece(index: str, arguments: str, **named: Any) -> dict[str, Any]:
        return {"index": index, "function": {"arguments": arguments, **named}}

    calls = [piece("0", "", name="f"), piece("1", "", name="g"), piece("0", "{}"), piece("1", "[]")]
    usage = {"prompt_tokens": "3", "completion_tokens": "2", "total_tokens": "5"}
    chunks = [chat({"tool_calls": [call]}, index="0") for call in calls]

    response = read("openai-chat", *chunks, chat({}, finish_reason="stop") | {"usage": usage}, DONE)

    found = {call["name"]: call["arguments"] for call in response.response.tool_calls}
    assert found == {"f": "{}", "g": "[]"}
    assert response.response.usage == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
    }
    assert not response.response.usage_is_estimated


SLOW = {"message": "Slow down", "code": "rate_limit_exceeded"}


@pytest.mark.parametrize(
    "error",
    [json.dumps(SLOW), json.dumps({"error": SLOW}), json.dumps({"error": json.dumps(SLOW)})],
)
def test_chat_an_error_may_be_written_into_a_text(error: str) -> None:
    travelled = read("openai-chat", chat({"content": "Hi"}), {"error": error})

    assert travelled.outcome == "RateLimitError"
    assert "Slow down [rate_limit_exceeded]" in str(travelled.response.error)


@pytest.mark.parametrize("error", ["{", "{}", '{"a": 1}', "[1]", '{"a": ' * 99_999])
def test_chat_a_text_that_only_looks_like_an_error_is_its_message(error: str) -> None:
    travelled = read("openai-chat", chat({"content": "Hi"}), {"error": error})

    assert travelled.outcome == "ProviderError"
    assert error[:8] in str(travelled.response.error)


# --- Anthropic --------------------------------------------------------------------------------

STARTED = {
    "type": "message_start",
    "message": {"id": "m", "model": "c", "usage": {"input_tokens": 9, "output_tokens": 1}},
}
USED = {"type": "tool_use", "id": "c", "name": "f", "input": {}}


def block(opened: dict[str, Any], *deltas: dict[str, Any], **closed: Any) -> list[Any]:
    changed = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    return [
        {"type": "content_block_start", "index": 0, "content_block": opened},
        *changed,
        {"type": "content_block_stop", "index": 0, **closed},
    ]


def anthropic(*between: Any, usage: Any = None, **stop: Any) -> Travelled:
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    told = {} if usage is None else {"usage": usage}
    return read("anthropic", STARTED, *between, ended | told, {"type": "message_stop", **stop})


WORDS = block({"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi"})


@pytest.mark.parametrize("delta", [{"text": "Hi"}, {"type": "", "text": "Hi"}])
def test_anthropic_a_delta_without_a_type_is_known_by_its_field(delta: dict[str, Any]) -> None:
    assert anthropic(*block({"type": "text"}, delta)).response.get_text() == "Hi"


def test_anthropic_a_delta_that_nobody_knows_says_nothing() -> None:
    assert anthropic(*block({"type": "text"}, {"strange": "Hi"})).response.get_text() == ""


@pytest.mark.parametrize(
    "called",
    [
        block(USED, {"type": "input_json_delta", "partial_json": {"a": 1}}),
        block(USED, content_block=USED | {"input": {"a": 1}}),
        block(USED | {"input": {"a": 1}}, content_block=USED | {"input": {"b": 1}}),
    ],
)
def test_anthropic_the_input_of_a_call_is_found_wherever_it_stands(called: list[Any]) -> None:
    (call,) = anthropic(*called).response.tool_calls

    assert call["arguments"] == '{"a":1}'


@pytest.mark.parametrize(
    "stop",
    [
        {"usage": {"input_tokens": 9, "output_tokens": 5}},
        {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 5}},
    ],
)
def test_anthropic_usage_may_come_with_the_end(stop: dict[str, Any]) -> None:
    response = anthropic(*WORDS, **stop).response

    assert response.usage == {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    assert not response.usage_is_estimated


def test_anthropic_usage_that_was_told_is_not_told_again() -> None:
    response = anthropic(*WORDS, usage={"output_tokens": 5}, usage_of_stop=1).response

    assert response.usage is not None
    assert response.usage["completion_tokens"] == 5


@pytest.mark.parametrize("usage", [None, {"output_tokens": 0}, {"input_tokens": 9}])
def test_anthropic_what_a_message_begins_with_counts_no_output(usage: Any) -> None:
    assert anthropic(*WORDS, usage=usage).response.usage_is_estimated


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"type": "insufficient_quota", "message": "no"}, "QuotaExceededError"),
        ({"code": "context_length_exceeded", "message": "no"}, "ContextLengthError"),
        ({"status": "RESOURCE_EXHAUSTED", "message": "no"}, "RateLimitError"),
        ({"code": 503, "message": "no"}, "OverloadedError"),
    ],
)
def test_anthropic_errors_may_have_the_words_of_others(error: Any, outcome: str) -> None:
    assert read("anthropic", STARTED, {"error": error}).outcome == outcome


# --- Gemini -----------------------------------------------------------------------------------


def gemini(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "index": 0, **candidate}]}


HI = {"text": "Hi"}
ENDED = {"finishReason": "STOP"}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "aW1n"}}


@pytest.mark.parametrize(
    "payload",
    [
        gemini(HI, index=1, **ENDED),
        {"candidates": {"content": {"parts": HI}, **ENDED}},
        {"response": gemini(HI, **ENDED), "traceId": "t"},
    ],
)
def test_gemini_an_answer_may_be_wrapped_in_another_way(payload: dict[str, Any]) -> None:
    assert read("gemini", payload).response.get_text() == "Hi"


def test_gemini_the_candidate_that_comes_first_is_the_answer() -> None:
    other = {"candidates": [{"index": 1, "content": {"parts": [{"text": "No"}]}}]}

    travelled = read("gemini", gemini(HI), other, gemini(**ENDED))

    assert travelled.response.get_text() == "Hi"
    assert travelled.response.metadata["choices"][1]["text"] == "No"


@pytest.mark.parametrize("text", [{"text": ""}, {"text": "Hi"}, {}])
def test_gemini_an_image_beside_words_is_a_file(text: dict[str, Any]) -> None:
    response = read("gemini", gemini(IMAGE | text, **ENDED)).response

    assert [file.data for file in response.files] == ["aW1n"]
    assert response.get_text() == text.get("text", "")


def test_gemini_a_call_that_is_repeated_in_each_frame_is_one() -> None:
    call = {"functionCall": {"id": "c", "name": "f", "args": {}}}
    another = {"functionCall": {"id": "d", "name": "f", "args": {}}}

    response = read("gemini", gemini(call), gemini(call, another, **ENDED)).response

    assert [each["id"] for each in response.tool_calls] == ["c", "d"]


@pytest.mark.parametrize(
    "last",
    [
        {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0},
        {"promptTokenCount": 3, "totalTokenCount": 3},
    ],
)
def test_gemini_a_zero_replaces_no_count(last: dict[str, int]) -> None:
    told = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}

    response = read(
        "gemini",
        gemini(HI) | {"usageMetadata": told},
        gemini(**ENDED) | {"usageMetadata": last},
    ).response

    assert response.usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"message": "Internal error encountered", "code": 13}, "ServerError"),
        ({"response": {"error": {"status": "UNAVAILABLE"}}}, "OverloadedError"),
        ({"error": {"type": "insufficient_quota", "message": "no"}}, "QuotaExceededError"),
        ({"error": {"code": "rate_limit_exceeded", "message": "no"}}, "RateLimitError"),
    ],
)
def test_gemini_errors_may_have_another_form(error: Any, outcome: str) -> None:
    assert read("gemini", gemini(HI), error).outcome == outcome


# --- Responses --------------------------------------------------------------------------------


def responses(*events: Any, **response: Any) -> Travelled:
    final = {"id": "r", "status": "completed", "output": [], **response}
    return read("openai-responses", *events, {"type": "response.completed", "response": final})


def delta(kind: str, said: object) -> dict[str, Any]:
    place = {"output_index": 0, "content_index": 0, "summary_index": 0}
    return {"type": f"response.{kind}", "delta": said, **place}


@pytest.mark.parametrize(
    ("events", "response"),
    [
        ([], {"output_text": "Hi there"}),
        ([delta("output_text.delta", "Hi")], {"output_text": "Hi there"}),
        ([delta("output_text.delta", {"text": "Hi there"})], {}),
    ],
)
def test_responses_the_words_may_stand_elsewhere(events: list[Any], response: Any) -> None:
    assert responses(*events, **response).response.get_text() == "Hi there"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_summary"])
def test_responses_reasoning_may_have_its_old_name(name: str) -> None:
    done = {**delta(f"{name}.done", None), "text": "Hm"}

    response = responses(delta(f"{name}.delta", {"text": "Hm"}), done).response

    assert response.reasoning == "Hm"


def test_responses_usage_may_have_the_names_of_chat_completions() -> None:
    response = responses(usage={"prompt_tokens": 3, "completion_tokens": 4}).response

    assert response.usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_responses_zeros_replace_no_usage() -> None:
    told = {"id": "r", "usage": {"input_tokens": 3, "output_tokens": 4}}
    begun = {"type": "response.in_progress", "response": told}

    response = responses(begun, usage={"input_tokens": 0, "output_tokens": 0}).response

    assert response.usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_responses_the_details_of_a_status_tell_of_a_failure() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Slow down"}
    details = {"type": "failed", "error": error}

    travelled = read(
        "openai-responses",
        {"type": "response.done", "response": {"status": "failed", "status_details": details}},
    )

    assert travelled.outcome == "RateLimitError"
    assert "Slow down" in str(travelled.response.error)


def test_responses_a_failure_that_says_nothing_is_the_servers() -> None:
    travelled = read("openai-responses", {"type": "response.failed", "response": {"id": "r"}})

    assert travelled.outcome == "ServerError"


# --- in every format ----------------------------------------------------------------------------

SLOW_OF: dict[str, tuple[Any, str]] = {
    "openai-chat": ({"code": "rate_limit_exceeded"}, "RateLimitError"),
    "openai-responses": ({"code": "rate_limit_exceeded"}, "RateLimitError"),
    "anthropic": ({"type": "overloaded_error"}, "OverloadedError"),
    "gemini": ({"code": 429, "status": "RESOURCE_EXHAUSTED"}, "RateLimitError"),
    "ollama": ({"code": 429}, "RateLimitError"),
}


@pytest.mark.parametrize("wire", SLOW_OF)
def test_an_error_may_be_written_into_a_text(wire: str) -> None:
    told, outcome = SLOW_OF[wire]
    error = told | {"message": "Slow down"}

    for text in (json.dumps(error), json.dumps({"error": error})):
        travelled = read(wire, {"error": text})
        assert travelled.outcome == outcome
        assert "Slow down" in str(travelled.response.error)
        assert "{" not in str(travelled.response.error)


@pytest.mark.parametrize("wire", SLOW_OF)
def test_an_error_may_stand_within_another(wire: str) -> None:
    told, outcome = SLOW_OF[wire]
    error = told | {"message": "Slow down"}

    for within in ({"error": error}, {"type": "error", "error": {"error": error}}):
        travelled = read(wire, {"error": within})
        assert travelled.outcome == outcome
        assert "Slow down" in str(travelled.response.error)


@pytest.mark.parametrize("wire", SLOW_OF)
@pytest.mark.parametrize("text", ["{", '{"a": 1}', '{"error": "no"}'])
def test_a_text_that_only_looks_like_an_error_is_its_message(wire: str, text: str) -> None:
    assert text in str(read(wire, {"error": text}).response.error)


def test_anthropic_the_number_of_a_block_may_have_become_a_text() -> None:
    begun = [
        {"type": "content_block_start", "index": n, "content_block": USED | {"id": n, "name": name}}
        for n, name in (("0", "f"), ("1", "g"))
    ]
    given = [
        {
            "type": "content_block_delta",
            "index": n,
            "delta": {"type": "input_json_delta", "partial_json": f'{{"n":{n}}}'},
        }
        for n in "01"
    ]

    calls = anthropic(*begun, *given).response.tool_calls

    assert {call["name"]: call["arguments"] for call in calls} == {"f": '{"n":0}', "g": '{"n":1}'}


@pytest.mark.parametrize("arguments", ["args", "arguments"])
def test_calls_that_share_an_id_are_calls_of_their_own(arguments: str) -> None:
    named = [{"id": "c", "name": "f", arguments: {"n": n}} for n in (1, 2, 1)]
    if arguments == "args":
        answer = read("gemini", gemini(*({"functionCall": each} for each in named), **ENDED))
    else:
        said = {"content": "", "tool_calls": [{"function": each, "id": "c"} for each in named]}
        answer = read("ollama", {"message": said, "done": True, "done_reason": "stop"})

    calls = answer.response.tool_calls
    assert [call["arguments"] for call in calls] == ['{"n": 1}', '{"n": 2}']
    assert len({call["id"] for call in calls}) == 2


def test_ollama_arguments_may_be_called_parameters() -> None:
    said = {"content": "", "tool_calls": [{"function": {"name": "f", "parameters": {"n": 1}}}]}

    response = read("ollama", {"message": said, "done": True, "done_reason": "stop"}).response

    assert [call["arguments"] for call in response.tool_calls] == ['{"n": 1}']
