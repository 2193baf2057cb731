from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputText, Message, ToolCall, read_messages
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
    read_tools,
)
from steer_llm_sdk.providers.anthropic.request import DEFAULT_MAX_TOKENS, build_request
from steer_llm_sdk.providers.base import Endpoint

ENDPOINT = Endpoint("anthropic", "https://api.anthropic.com", "sk-test")


def spell(messages: object = "Hi", endpoint: Endpoint = ENDPOINT, **said: Any) -> HTTPRequest:
    return build_request(ChatRequest("claude-x", read_messages(messages), **said), endpoint)


def body(messages: object = "Hi", **said: Any) -> dict[str, Any]:
    spelled: dict[str, Any] = json.loads(spell(messages, **said).body)
    return spelled


def turns(*messages: object) -> Any:
    return body(list(messages))["messages"]


# --- the request ------------------------------------------------------------------------------


def test_a_plain_request_says_no_more_than_it_must() -> None:
    assert body("Hi") == {
        "model": "claude-x",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "stream": True,
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_it_is_posted_to_the_messages_of_the_base_url() -> None:
    request = spell(endpoint=Endpoint("p", "http://localhost:8080/"))

    assert (request.method, request.url) == ("POST", "http://localhost:8080/v1/messages")


def test_the_headers_name_the_key_and_the_version() -> None:
    assert spell().headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "anthropic-version": "2023-06-01",
        "x-api-key": "sk-test",
    }


def test_without_a_key_there_is_no_header_for_it() -> None:
    assert "x-api-key" not in spell(endpoint=Endpoint("p", "http://localhost")).headers


def test_the_callers_headers_win_whatever_their_case() -> None:
    endpoint = Endpoint("p", "http://localhost", "k", {"Anthropic-Version": "2", "X-A": "1"})

    headers = spell(endpoint=endpoint, extra_headers={"x-a": "2", "anthropic-beta": "b"}).headers

    assert headers["anthropic-version"] == "2"
    assert headers["x-a"] == "2"
    assert headers["anthropic-beta"] == "b"


def test_what_the_caller_asks_for_is_spelled() -> None:
    spelled = body(
        system="Be brief.",
        temperature=0.5,
        top_p=0.9,
        max_tokens=10,
        stop=("END", "STOP"),
    )

    assert spelled | {"messages": None} == {
        "model": "claude-x",
        "max_tokens": 10,
        "stream": True,
        "system": "Be brief.",
        "messages": None,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END", "STOP"],
    }


def test_a_seed_cannot_be_said() -> None:
    with pytest.raises(ConfigurationError, match=r"anthropic: seed .* extra_body"):
        spell(seed=7)


def test_the_extra_body_has_the_last_word() -> None:
    spelled = body(extra_body={"max_tokens": 1, "service_tier": "auto"})

    assert (spelled["max_tokens"], spelled["service_tier"]) == (1, "auto")


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 10_000}, 10_000 + DEFAULT_MAX_TOKENS),
        ({"type": "adaptive"}, DEFAULT_MAX_TOKENS),
    ],
)
def test_the_default_limit_leaves_room_to_think(thinking: object, expected: int) -> None:
    assert body(extra_body={"thinking": thinking})["max_tokens"] == expected


@pytest.mark.parametrize("value", [object(), "\ud83d"])
def test_what_json_cannot_say_is_a_configuration_error(value: object) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        spell(extra_body={"x": value})


def test_a_schema_without_end_is_a_configuration_error() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema

    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        spell(response_format=JSONFormat(schema))


# --- system -----------------------------------------------------------------------------------


def test_system_messages_stand_outside_of_the_turns() -> None:
    messages = [
        {"role": "system", "content": ["One", " two."]},
        {"role": "user", "content": "Hi"},
        {"role": "developer", "content": "Three."},
    ]

    spelled = body(messages, system="First.")

    assert spelled["system"] == "First.\n\nOne two.\n\nThree."
    assert [turn["role"] for turn in spelled["messages"]] == ["user"]


def test_an_empty_system_prompt_is_none() -> None:
    assert "system" not in body([{"role": "system", "content": ""}, Message("user")], system="")


def test_a_system_prompt_with_blocks_of_its_own_keeps_them() -> None:
    cached = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}

    spelled = body([{"role": "system", "content": [cached]}, Message("user")], system="Short.")

    assert spelled["system"] == [{"type": "text", "text": "Short."}, cached]


# --- turns ------------------------------------------------------------------------------------


def test_neighbours_of_one_role_become_one_turn() -> None:
    assert turns(
        {"role": "user", "content": "One"},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": "Three"},
    ) == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}],
        },
        {"role": "assistant", "content": "Three"},
    ]


def test_a_message_without_words_is_empty() -> None:
    assert turns({"role": "user", "content": None}) == [{"role": "user", "content": ""}]


def test_empty_text_beside_something_else_is_left_out() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}

    assert turns({"role": "user", "content": ["", image]}) == [{"role": "user", "content": [image]}]


def test_an_image_is_a_source_by_url_or_by_its_data() -> None:
    (turn,) = turns(
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "image_url", "image_url": "data:image/jpeg;base64,QUJD"},
            ],
        }
    )

    assert [block["source"] for block in turn["content"]] == [
        {"type": "url", "url": "https://example.com/a.png"},
        {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"},
    ]


def test_a_part_in_the_providers_own_spelling_passes_unchanged() -> None:
    document = {"type": "document", "source": {"type": "text", "data": "x"}, "title": "T"}

    assert turns({"role": "user", "content": [document]})[0]["content"] == [document]


def test_cache_control_of_a_message_goes_to_its_last_block() -> None:
    mark = {"type": "ephemeral"}

    (turn,) = turns({"role": "user", "content": ["One", "Two"], "cache_control": mark})

    assert turn["content"] == [
        {"type": "text", "text": "One"},
        {"type": "text", "text": "Two", "cache_control": mark},
    ]


def test_cache_control_of_an_empty_message_marks_nothing() -> None:
    (turn,) = turns({"role": "user", "content": "", "cache_control": {"type": "ephemeral"}})

    assert turn["content"] == ""


# --- tool calls -------------------------------------------------------------------------------


def test_calls_and_their_answers_are_blocks_of_two_turns() -> None:
    spelled = turns(
        {"role": "user", "content": "Add."},
        {
            "role": "assistant",
            "content": "I shall.",
            "tool_calls": [
                {"id": "a", "function": {"name": "add", "arguments": '{"n": 1}'}},
                {"id": "b", "function": {"name": "now", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "2"},
        {"role": "tool", "tool_call_id": "b", "content": "", "is_error": True},
        {"role": "user", "content": "And?"},
    )

    assert spelled[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I shall."},
                {"type": "tool_use", "id": "a", "name": "add", "input": {"n": 1}},
                {"type": "tool_use", "id": "b", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "2"},
                {"type": "tool_result", "tool_use_id": "b", "is_error": True},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_an_answer_may_hold_more_than_words() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": ["See:", image]}

    (turn,) = turns({"role": "user", "content": [result]})

    assert turn["content"] == [result | {"content": [{"type": "text", "text": "See:"}, image]}]


def test_the_fields_of_a_call_that_only_the_provider_knows_come_back() -> None:
    call = {"type": "tool_use", "id": "a", "name": "n", "input": {}, "caller": {"type": "direct"}}

    assert turns({"role": "assistant", "content": [call]})[0]["content"] == [call]


@pytest.mark.parametrize("arguments", ['{"n": ', "[1]", "[" * 100_000])
def test_a_call_whose_arguments_are_no_object_cannot_be_sent_back(arguments: str) -> None:
    message = Message("assistant", (), (ToolCall("a", "add", arguments),))

    with pytest.raises(ConfigurationError, match="the call of 'add' to be a JSON object"):
        spell([message])


def test_reasoning_that_comes_back_stands_first() -> None:
    thinking = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "d"}

    (turn,) = turns(
        {"role": "assistant", "content": ["So.", redacted], "thinking_blocks": [thinking]}
    )

    assert turn["content"] == [thinking, redacted, {"type": "text", "text": "So."}]


@pytest.mark.parametrize("blocks", ["thinking", [1], {"type": "thinking"}])
def test_reasoning_that_is_no_list_of_blocks_cannot_be_sent_back(blocks: object) -> None:
    message = Message("assistant", (InputText("So."),), extra={"thinking_blocks": blocks})

    with pytest.raises(ConfigurationError, match="thinking_blocks"):
        spell([message])


# --- tools ------------------------------------------------------------------------------------


def test_a_tool_is_spelled_with_its_input_schema() -> None:
    given = {"type": "object", "properties": {"n": {"type": "integer"}}}
    schema = given | {"additionalProperties": False}  # as a strict tool has to be
    own = RawTool(MappingProxyType({"type": "web_search_20250305", "name": "web_search"}))

    tools = body(tools=(Tool("add", "Adds.", given, strict=True), Tool("now"), own))["tools"]

    assert tools == [
        {"name": "add", "description": "Adds.", "input_schema": schema, "strict": True},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        {"type": "web_search_20250305", "name": "web_search"},
    ]


def test_a_tool_in_openais_spelling_is_understood() -> None:
    tools = read_tools([{"type": "function", "function": {"name": "now"}}])

    assert body(tools=tools)["tools"][0]["name"] == "now"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"type": "auto"}),
        (ToolChoice("none"), {"type": "none"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("tool", "add"), {"type": "tool", "name": "add"}),
        (RawTool({"type": "auto", "x": 1}), {"type": "auto", "x": 1}),
    ],
)
def test_a_tool_choice_is_spelled(choice: object, expected: object) -> None:
    assert body(tool_choice=choice)["tool_choice"] == expected


# --- formats ----------------------------------------------------------------------------------


def test_json_by_a_schema_is_an_output_format() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}

    wanted = JSONFormat(schema, name="answer", strict=True, description="The answer.")

    assert body(response_format=wanted)["output_config"] == {
        "format": {"type": "json_schema", "schema": {"description": "The answer.", **schema}}
    }


def test_json_without_a_schema_is_no_mode_of_the_api() -> None:
    assert "output_config" not in body(response_format=JSONFormat())


def test_a_format_in_the_providers_own_spelling_passes_unchanged() -> None:
    assert body(response_format=RawTool({"type": "new"}))["output_config"] == {
        "format": {"type": "new"}
    }


def test_an_output_config_of_the_callers_is_joined_with_the_format() -> None:
    spelled = body(
        response_format=JSONFormat({"type": "string"}),
        extra_body={"output_config": {"effort": "low"}},
    )

    assert spelled["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "string"}},
        "effort": "low",
    }


def test_objects_of_a_schema_are_closed_whatever_they_say() -> None:
    schema = {
        "type": "object",
        "properties": {
            "type": {"type": "object"},
            "list": {"type": "array", "items": {"type": "object"}},
            "either": {"anyOf": [{"type": "object"}, True]},
            "open": {"type": "object", "additionalProperties": True},
            "fixed": {"const": {"type": "object"}},
        },
        "$defs": {"default": {"type": "object"}},
    }

    spelled = body(response_format=JSONFormat(schema))["output_config"]["format"]["schema"]

    is_closed = {"type": "object", "additionalProperties": False}
    assert spelled == is_closed | {
        "properties": {
            "type": is_closed,
            "list": {"type": "array", "items": is_closed},
            "either": {"anyOf": [is_closed, True]},
            "open": is_closed | {"description": "{additionalProperties: true}"},
            "fixed": {"description": '{const: {"type":"object"}}'},
        },
        "$defs": {"default": is_closed},
    }


# --- what only Anthropic understands ----------------------------------------------------------

MARK = {"type": "ephemeral"}


def test_the_marks_of_a_tool_are_sent_with_it() -> None:
    tools = read_tools([{"name": "add", "input_schema": {"type": "object"}, "cache_control": MARK}])

    assert body(tools=tools)["tools"] == [
        {"name": "add", "input_schema": {"type": "object"}, "cache_control": MARK}
    ]


def test_the_marks_of_an_answer_to_a_call_are_sent_with_it() -> None:
    result = {"type": "tool_result", "tool_use_id": "c", "content": "5", "cache_control": MARK}

    assert turns({"role": "user", "content": [result]}) == [{"role": "user", "content": [result]}]


def test_words_and_calls_keep_the_order_that_they_came_in() -> None:
    content = [
        {"type": "tool_use", "id": "c", "name": "add", "input": {"a": 1}},
        {"type": "text", "text": "And then:"},
        {"type": "tool_use", "id": "d", "name": "sub", "input": {}},
    ]

    assert turns({"role": "assistant", "content": content})[0]["content"] == content
