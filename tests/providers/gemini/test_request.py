from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputRaw, Message, read_messages
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.gemini.decoder import Gemini

BASE = "https://generativelanguage.googleapis.com"
ENDPOINT = Endpoint("gemini", BASE, "secret-key", {"X-Team": "a"})


def spell(messages: object = "Hi", endpoint: Endpoint = ENDPOINT, **more: Any) -> HTTPRequest:
    chat = ChatRequest(**{"model": "gemini-3-flash", "messages": read_messages(messages)} | more)
    return Gemini().request(chat, endpoint)


def body(messages: object = "Hi", **more: Any) -> dict[str, Any]:
    found = json.loads(spell(messages, **more).body)
    assert isinstance(found, dict)
    return found


def contents(messages: object) -> list[Any]:
    found = body(messages)["contents"]
    assert isinstance(found, list)
    return found


# --- where it goes, and as whom ---------------------------------------------------------------


def test_the_request_goes_to_the_models_own_place_and_asks_for_events() -> None:
    request = spell()

    assert request.method == "POST"
    assert request.url == f"{BASE}/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("a/b?c#d e", "models/a%2Fb%3Fc%23d%20e"),
        ("../../x", "models/..%2F..%2Fx"),
        ("models/gemini-3", "models/gemini-3"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("models/", "models/models%2F"),
    ],
)
def test_a_models_name_cannot_lead_elsewhere(model: str, place: str) -> None:
    assert spell(model=model).url == f"{BASE}/v1beta/{place}:streamGenerateContent?alt=sse"


def test_the_key_is_in_a_header_and_nowhere_else() -> None:
    request = spell(extra_headers={"X-Team": "b", "X-More": "c"})

    assert request.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "x-goog-api-key": "secret-key",
        "x-team": "b",
        "x-more": "c",
    }
    assert "secret-key" not in request.url
    assert b"secret-key" not in request.body


def test_without_a_key_none_is_sent() -> None:
    request = spell(endpoint=Endpoint("gemini", "http://localhost:1/"))

    assert "x-goog-api-key" not in request.headers
    assert request.url.startswith("http://localhost:1/v1beta/")


# --- contents ---------------------------------------------------------------------------------


def test_a_plain_question_is_one_turn_and_nothing_more() -> None:
    assert body() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_system_messages_stand_outside_of_the_contents() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "assistant", "content": ""},
    ]

    assert body(messages, system="Be brief.") == {
        "systemInstruction": {"parts": [{"text": "Be brief.\n\nBe kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
        ],
    }


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def test_images_are_inline_or_files() -> None:
    urls = ["data:image/webp;base64,aGk=", "https://a.b/c.JPG?x=1", "gs://bucket/file"]
    parts = [{"type": "text", "text": "What?"}, *map(image, urls)]

    assert contents([{"role": "user", "content": parts}])[0]["parts"] == [
        {"text": "What?"},
        {"inlineData": {"mimeType": "image/webp", "data": "aGk="}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.b/c.JPG?x=1"}},
        {"fileData": {"fileUri": "gs://bucket/file"}},
    ]


def test_a_part_in_geminis_own_spelling_passes_without_its_type() -> None:
    part = {"type": "video", "fileData": {"fileUri": "https://youtu.be/x"}}

    assert contents([{"role": "user", "content": [part]}])[0]["parts"] == [
        {"fileData": {"fileUri": "https://youtu.be/x"}}
    ]


CALLS = {
    "role": "assistant",
    "content": "Let me see.",
    "tool_calls": [
        {"id": "c1", "name": "add", "arguments": '{"a": 1}', "thoughtSignature": "c2ln"},
        {"id": "", "type": "function", "function": {"name": "now", "arguments": ""}},
    ],
}


def test_calls_go_back_with_their_signatures() -> None:
    assert contents([CALLS]) == [
        {
            "role": "model",
            "parts": [
                {"text": "Let me see."},
                {
                    "functionCall": {"id": "c1", "name": "add", "args": {"a": 1}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"name": "now", "args": {}}},
            ],
        }
    ]


def test_a_message_may_bring_the_signature_of_its_words() -> None:
    message = {"role": "assistant", "content": "Hello", "thoughtSignature": "c2ln"}

    assert contents([message])[0]["parts"] == [{"text": "Hello", "thoughtSignature": "c2ln"}]


def test_answers_to_one_turn_stand_in_one_turn() -> None:
    answers = [
        {"role": "tool", "tool_call_id": "c1", "content": '{"sum": 3}'},
        {"role": "tool", "tool_call_id": "", "name": "now", "content": "noon"},
    ]

    assert contents([CALLS, *answers, {"role": "user", "content": "So?"}])[1:] == [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "add", "response": {"sum": 3}}},
                {"functionResponse": {"name": "now", "response": {"result": "noon"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "So?"}]},
    ]


@pytest.mark.parametrize("text", ["[1]", "1", "{", ""])
def test_a_result_that_is_no_object_is_put_into_one(text: str) -> None:
    answer = {"role": "tool", "tool_call_id": "c1", "content": text}

    response = contents([CALLS, answer])[1]["parts"][0]["functionResponse"]["response"]
    assert response == {"result": text}


def test_an_error_and_an_image_of_a_tool_are_told() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "c1",
        "is_error": True,
        "content": [{"type": "text", "text": "No."}, image("data:image/png;base64,aGk=")],
    }

    assert contents([CALLS, {"role": "user", "content": [result]}])[1]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "add", "response": {"error": "No."}}},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
    ]


def test_an_answer_to_no_call_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match="no call before it has the id 'c9'"):
        spell([{"role": "tool", "tool_call_id": "c9", "content": "x"}])


@pytest.mark.parametrize("arguments", ["[1]", "{", "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"id": "c1", "name": "add", "arguments": arguments}

    with pytest.raises(ConfigurationError, match="the call of 'add' to be a JSON object"):
        spell([{"role": "assistant", "content": None, "tool_calls": [call]}])


# --- tools, formats, options ------------------------------------------------------------------


def test_functions_are_declared_together_with_their_json_schemas() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["integer", "null"]}}}
    search: dict[str, Any] = {"googleSearch": {}}
    tools = (Tool("add", "Adds.", MappingProxyType(schema)), RawTool(search), Tool("now"))

    assert body(tools=tools)["tools"] == [
        {
            "functionDeclarations": [
                {"name": "add", "description": "Adds.", "parametersJsonSchema": schema},
                {"name": "now", "parametersJsonSchema": {"type": "object", "properties": {}}},
            ]
        },
        search,
    ]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("tool", "add"), {"mode": "ANY", "allowedFunctionNames": ["add"]}),
    ],
)
def test_the_choice_of_a_tool_is_a_mode(choice: ToolChoice, config: dict[str, Any]) -> None:
    assert body(tool_choice=choice)["toolConfig"] == {"functionCallingConfig": config}


def test_a_choice_in_geminis_own_spelling_passes() -> None:
    own = {"functionCallingConfig": {"mode": "VALIDATED"}}

    assert body(tool_choice=RawTool(own))["toolConfig"] == own


def test_options_stand_in_the_generation_config() -> None:
    found = body(temperature=0.0, top_p=0.5, max_tokens=7, stop=("a", "b"), seed=1)

    assert found["generationConfig"] == {
        "temperature": 0.0,
        "topP": 0.5,
        "maxOutputTokens": 7,
        "stopSequences": ["a", "b"],
        "seed": 1,
    }


@pytest.mark.parametrize(
    ("wanted", "config"),
    [
        (JSONFormat(), {"responseMimeType": "application/json"}),
        (
            JSONFormat({"type": "object"}),
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
        (RawTool({"responseMimeType": "text/x.enum"}), {"responseMimeType": "text/x.enum"}),
    ],
)
def test_a_format_is_a_media_type_and_a_schema(wanted: Any, config: dict[str, Any]) -> None:
    assert body(response_format=wanted)["generationConfig"] == config


def test_extra_fields_come_last_and_do_not_undo_the_generation_config() -> None:
    extra = {
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}, "seed": 2},
        "cachedContent": "cachedContents/x",
        "contents": [],
    }

    assert body(temperature=1.0, seed=1, extra_body=extra) == {
        "contents": [],
        "generationConfig": {
            "temperature": 1.0,
            "seed": 2,
            "thinkingConfig": {"includeThoughts": True},
        },
        "cachedContent": "cachedContents/x",
    }
    assert body(extra_body=extra)["generationConfig"] == extra["generationConfig"]


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        spell(extra_body={"x": object()})


def test_a_raw_part_and_its_signature_go_back_as_they_came() -> None:
    code = {"executableCode": {"code": "1"}}
    message = Message("assistant", (InputRaw(code),), extra={"thoughtSignature": "s"})

    assert contents([message])[0]["parts"] == [{**code, "thoughtSignature": "s"}]


def test_words_and_calls_of_a_turn_keep_their_order() -> None:
    said = [
        {"type": "text", "text": "First"},
        {"type": "tool_use", "id": "c", "name": "look", "input": {}},
        {"type": "text", "text": "then"},
    ]

    (_, turn) = contents(
        [{"role": "user", "content": "Go"}, {"role": "assistant", "content": said}]
    )

    assert [sorted(part) for part in turn["parts"]] == [["text"], ["functionCall"], ["text"]]
