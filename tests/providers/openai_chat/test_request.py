from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError, InvalidRequestError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.dialects import Dialect
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat

ENDPOINT = Endpoint("acme", "https://acme.test/v1", "key-1")


def spell(
    messages: object = "Hi",
    *,
    dialect: Dialect | None = None,
    endpoint: Endpoint = ENDPOINT,
    **more: Any,
) -> HTTPRequest:
    chat = ChatRequest("m", read_messages(messages), **more)
    return OpenAIChat(dialect).request(chat, endpoint)


def body(messages: object = "Hi", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(spell(messages, **more).body)
    return found


def spelled(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = body([message], **more)["messages"][0]
    return found


def test_the_least_request() -> None:
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_address_and_the_headers() -> None:
    request = spell()

    assert request.method == "POST"
    assert request.url == "https://acme.test/v1/chat/completions"
    assert request.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "authorization": "Bearer key-1",
    }


def test_without_a_key_there_is_no_authorization() -> None:
    assert "authorization" not in spell(endpoint=Endpoint("acme", "http://localhost/v1")).headers


def test_the_callers_headers_replace_ours_whatever_their_case() -> None:
    endpoint = Endpoint("acme", "https://acme.test/v1", "key-1", {"X-Team": "a"})

    request = spell(endpoint=endpoint, extra_headers={"Authorization": "Basic x", "x-team": "b"})

    assert request.headers["authorization"] == "Basic x"
    assert request.headers["x-team"] == "b"


def test_the_query_of_the_base_url_stays_behind_the_path() -> None:
    endpoint = Endpoint("azure", "https://a.test/openai/deployments/my%20gpt/?api-version=1", "k")

    assert spell(endpoint=endpoint).url == (
        "https://a.test/openai/deployments/my%20gpt/chat/completions?api-version=1"
    )


def test_all_settings_are_spelled() -> None:
    found = body(
        temperature=0.0, max_tokens=5, top_p=0.5, stop=("a", "b"), seed=0, system="Be brief."
    )

    assert found["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [found[key] for key in ("temperature", "max_tokens", "top_p", "stop", "seed")] == [
        0.0,
        5,
        0.5,
        ["a", "b"],
        0,
    ]


def test_text_parts_become_one_string() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}

    assert spelled(message) == {"role": "user", "content": "ab"}


def test_images_are_given_by_url_or_as_data() -> None:
    content = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://a.test/x.png", "detail": "low"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/jpeg", "data": "Zm9v"},
        },
        {"type": "input_audio", "input_audio": {"data": "Zm9v", "format": "wav"}},
    ]

    assert spelled({"role": "user", "content": content})["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://a.test/x.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,Zm9v"}},
        {"type": "input_audio", "input_audio": {"data": "Zm9v", "format": "wav"}},
    ]


def test_tool_calls_and_their_answers() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
        {
            "id": "c",
            "type": "function",
            "function": {"name": "g", "arguments": "{}"},
            "extra_content": {"s": 1},
        },
    ]
    found = body(
        [
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "a", "content": "5"},
        ]
    )

    assert found["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
                calls[2],
            ],
        },
        {"role": "tool", "content": "5", "tool_call_id": "a"},
    ]


def test_further_keys_of_a_message_pass_through() -> None:
    message = {"role": "assistant", "content": "Hi", "name": "n", "reasoning_content": "Hm"}

    assert spelled(message) == message


def test_the_developer_role_is_kept_only_where_it_is_known() -> None:
    message = {"role": "developer", "content": "Be brief."}

    assert spelled(message)["role"] == "system"
    assert spelled(message, dialect=Dialect(knows_developer_role=True))["role"] == "developer"


def test_tools_are_spelled_and_others_pass_unchanged() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    web = {"type": "web_search"}

    found = body(tools=(Tool("f", "Does f.", schema, strict=True), Tool("g"), RawTool(web)))

    assert found["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "Does f.",
                "parameters": schema,
                "strict": True,
            },
        },
        {
            "type": "function",
            "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
        },
        web,
    ]


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("tool", "f"), {"type": "function", "function": {"name": "f"}}),
        (RawTool({"type": "allowed_tools"}), {"type": "allowed_tools"}),
    ],
)
def test_tool_choices_are_spelled(choice: ToolChoice | RawTool, word: object) -> None:
    assert body(tool_choice=choice)["tool_choice"] == word


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (JSONFormat(), {"type": "json_object"}),
        (
            JSONFormat({"type": "object"}, "answer", strict=True),
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
            },
        ),
        (RawTool({"type": "grammar"}), {"type": "grammar"}),
    ],
)
def test_response_formats_are_spelled(wanted: JSONFormat | RawTool, said: object) -> None:
    assert body(response_format=wanted)["response_format"] == said


def test_a_schema_is_refused_where_the_server_takes_none() -> None:
    with pytest.raises(ConfigurationError, match=r"acme takes no JSON schema.*json_object"):
        spell(response_format=JSONFormat({}), dialect=Dialect(takes_json_schema=False))


def test_the_extra_body_is_merged_last() -> None:
    found = body(temperature=0.1, extra_body={"temperature": 0.9, "top_k": 4, "stream_options": {}})

    assert (found["temperature"], found["top_k"], found["stream_options"]) == (0.9, 4, {})


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize("value", [object(), "\ud800", ENDLESS], ids=["object", "half", "endless"])
def test_what_cannot_be_json_is_a_configuration_error(value: object) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        spell(extra_body={"x": value})


# --- dialects ---------------------------------------------------------------------------------


def test_a_dialect_names_its_fields() -> None:
    dialect = Dialect(
        asks_for_usage=False,
        max_tokens_field="max_completion_tokens",
        seed_field="random_seed",
        required_tool_choice="any",
    )

    found = body(dialect=dialect, max_tokens=5, seed=1, tool_choice=ToolChoice("required"))

    assert found == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "max_completion_tokens": 5,
        "random_seed": 1,
        "tool_choice": "any",
    }


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
        ("http://127.0.0.1:8080/v1", "max_tokens"),
    ],
)
def test_a_dialect_with_a_home_is_not_spoken_elsewhere(base_url: str, field: str) -> None:
    dialect = Dialect(max_tokens_field="max_completion_tokens", home=("openai.com",))

    assert field in body(dialect=dialect, max_tokens=5, endpoint=Endpoint("openai", base_url))


# --- without the usage option -----------------------------------------------------------------

CHAT = ChatRequest("m", read_messages("Hi"), extra_body={"top_k": 1})


def refused(message: str, status: int = 400, body: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(message, status=status, body=body)


@pytest.mark.parametrize(
    "error",
    [
        refused("Unknown field stream_options"),
        refused("invalid", 422, '{"loc": ["body", "stream_options"]}'),
        refused("include_usage is not supported"),
    ],
)
def test_the_usage_option_is_taken_back_where_it_is_refused(error: InvalidRequestError) -> None:
    again = OpenAIChat().without_usage_option(CHAT, error)

    assert again is not None
    assert json.loads(OpenAIChat().request(again, ENDPOINT).body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "top_k": 1,
    }
    assert OpenAIChat().without_usage_option(again, error) is None


@pytest.mark.parametrize(
    "error", [refused("temperature is too high"), refused("stream_options", 500)]
)
def test_other_errors_leave_the_request_as_it_is(error: InvalidRequestError) -> None:
    assert OpenAIChat().without_usage_option(CHAT, error) is None


def test_where_usage_is_not_asked_for_there_is_nothing_to_take_back() -> None:
    quiet = OpenAIChat(Dialect(asks_for_usage=False))

    assert quiet.without_usage_option(CHAT, refused("stream_options")) is None


def test_the_marks_of_a_tool_are_sent_beside_its_function() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}

    (tool,) = body(tools=(Tool("add", parameters={}, extra=mark),))["tools"]

    assert tool == {"type": "function", "function": {"name": "add", "parameters": {}}, **mark}
