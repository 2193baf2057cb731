from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.parts import ReasoningPart, TextPart, ToolCallPart
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.models.turns import assistant_message
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.ollama.decoder import Ollama

ENDPOINT = Endpoint("ollama", "http://localhost:11434/")


def spell(messages: object = "Hi", endpoint: Endpoint = ENDPOINT, **more: Any) -> HTTPRequest:
    chat = ChatRequest(**{"model": "llama3.2:3b", "messages": read_messages(messages)} | more)
    return Ollama().request(chat, endpoint)


def body(messages: object = "Hi", **more: Any) -> dict[str, Any]:
    found = json.loads(spell(messages, **more).body)
    assert isinstance(found, dict)
    return found


def test_a_plain_question_is_one_message_and_nothing_more() -> None:
    assert body() == {
        "model": "llama3.2:3b",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_the_request_goes_to_the_native_chat_without_a_key() -> None:
    request = spell()

    assert (request.method, request.url) == ("POST", "http://localhost:11434/api/chat")
    assert request.headers == {
        "content-type": "application/json",
        "accept": "application/x-ndjson",
    }


def test_a_key_and_the_callers_headers_are_sent() -> None:
    endpoint = Endpoint("ollama", "https://ollama.com", "secret", {"X-Team": "a"})

    headers = spell(endpoint=endpoint, extra_headers={"x-team": "b"}).headers

    assert headers["authorization"] == "Bearer secret"
    assert headers["x-team"] == "b"


def test_the_system_prompt_comes_first_and_system_messages_stay_where_they_are() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "developer", "content": "Be kind."},
        {"role": "assistant", "content": "Hello", "thinking": "Hm."},
    ]

    assert body(messages, system="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Hello", "thinking": "Hm."},
    ]


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url}


def test_images_stand_beside_the_words_as_base64() -> None:
    parts = ["What ", image("data:image/png;base64,aGk="), "is it?", image("data:;base64,aGo=")]

    assert body([{"role": "user", "content": parts}])["messages"] == [
        {"role": "user", "content": "What is it?", "images": ["aGk=", "aGo="]}
    ]


def test_an_image_by_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="found one by URL"):
        spell([{"role": "user", "content": [image("https://a.b/c.png")]}])


def test_a_part_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'input_audio', which has no spelling here"):
        spell([{"role": "user", "content": [{"type": "input_audio", "data": "x"}]}])


def test_calls_and_answers_name_the_function() -> None:
    messages = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "name": "add", "arguments": '{"a": 1}'},
                {"name": "now", "arguments": ""},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "tool", "tool_call_id": "", "name": "now", "content": "noon"},
        {"role": "tool", "tool_call_id": "c9", "content": "?"},
    ]

    assert body(messages)["messages"] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}},
                {"function": {"name": "now", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "3", "tool_name": "add", "tool_call_id": "c1"},
        {"role": "tool", "content": "noon", "tool_name": "now"},
        {"role": "tool", "content": "?", "tool_call_id": "c9"},
    ]


def test_arguments_that_are_no_object_are_refused() -> None:
    call = {"id": "c1", "name": "add", "arguments": "[1]"}

    with pytest.raises(ConfigurationError, match="the call of 'add' to be a JSON object"):
        spell([{"role": "assistant", "content": None, "tool_calls": [call]}])


TOOLS = (Tool("add", "Adds.", MappingProxyType({"type": "object"}), strict=True), RawTool({"x": 1}))


@pytest.mark.parametrize("choice", [None, ToolChoice("auto")])
def test_tools_are_functions(choice: ToolChoice | None) -> None:
    function = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}

    assert body(tools=TOOLS, tool_choice=choice)["tools"] == [
        {"type": "function", "function": function},
        {"x": 1},
    ]


def test_that_no_tool_be_called_is_said_by_sending_none() -> None:
    assert "tools" not in body(tools=TOOLS, tool_choice=ToolChoice("none"))


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("tool", "add"), RawTool({})])
def test_a_choice_that_cannot_be_said_is_refused(choice: ToolChoice | RawTool) -> None:
    with pytest.raises(ConfigurationError, match="the choice of a tool has no spelling here"):
        spell(tools=TOOLS, tool_choice=choice)


@pytest.mark.parametrize(
    ("wanted", "spelled"),
    [
        (JSONFormat(), "json"),
        (JSONFormat({"type": "object"}), {"type": "object"}),
        (RawTool({"type": "array"}), {"type": "array"}),
    ],
)
def test_a_format_is_json_or_a_schema(wanted: Any, spelled: object) -> None:
    assert body(response_format=wanted)["format"] == spelled


def test_options_have_ollamas_names() -> None:
    assert body(temperature=0.0, top_p=0.5, max_tokens=7, stop=("a",), seed=1)["options"] == {
        "temperature": 0.0,
        "top_p": 0.5,
        "num_predict": 7,
        "stop": ["a"],
        "seed": 1,
    }


def test_extra_fields_come_last_and_do_not_undo_the_options() -> None:
    extra = {"think": True, "options": {"num_ctx": 8192, "seed": 2}}

    found = body(temperature=1.0, seed=1, extra_body=extra)

    assert found["think"] is True
    assert found["options"] == {"temperature": 1.0, "seed": 2, "num_ctx": 8192}
    assert body(extra_body=extra)["options"] == extra["options"]


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        spell(extra_body={"x": object()})


def test_an_earlier_answer_goes_back_with_its_thinking() -> None:
    call = ToolCallPart("c", "f", "{}", True)
    thought = ReasoningPart("Hm", provider_data={"wire": "ollama"})
    other = ReasoningPart("So", provider_data={"wire": "gemini"})
    question = {"role": "user", "content": "Hi"}
    answer = assistant_message([thought, other, TextPart("Hello"), call])

    assert body([question, answer])["messages"][1] == {
        "role": "assistant",
        "content": "Hello",
        "thinking": "Hm",
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}],
    }
    assert "thinking" not in body([question, assistant_message([TextPart("Hello")])])["messages"][1]


def test_what_stood_beside_a_call_goes_back_where_it_stood() -> None:
    seal = {"function": {"seal": "x", "name": "another"}, "thought_signature": "y"}
    call = ToolCallPart("c", "f", "{}", True, provider_data={"wire": "ollama", **seal})
    other = ToolCallPart("d", "f", "{}", True, provider_data={"wire": "gemini", "key": "z"})

    assert body([assistant_message([call, other])])["messages"][0]["tool_calls"] == [
        {
            "id": "c",
            "thought_signature": "y",
            "function": {"seal": "x", "name": "f", "arguments": {}},
        },
        {"id": "d", "function": {"name": "f", "arguments": {}}},
    ]
