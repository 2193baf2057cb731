"""How Converse requests are spelled."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputImage, Message, read_messages
from steer_llm_sdk.models.requests import (
    ChatRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
    read_tool_choice,
    read_tools,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.bedrock.request import build_request

ENDPOINT = Endpoint("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com")
PNG = "iVBORw0KGgo="


def chat(messages: object = "Hi", **fields: Any) -> ChatRequest:
    return replace(ChatRequest("amazon.nova-lite-v1:0", read_messages(messages)), **fields)


def body_of(request: ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(build_request(request, ENDPOINT).body)
    return body


def turns_of(*messages: Any) -> list[Any]:
    turns: list[Any] = body_of(chat(list(messages)))["messages"]
    return turns


def blocks_of(*content: Any, role: str = "user") -> list[Any]:
    (turn,) = turns_of({"role": role, "content": list(content)})
    blocks: list[Any] = turn["content"]
    return blocks


# --- where it goes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1%3A0"),
        ("us.anthropic.claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5"),
        (
            "arn:aws:bedrock:us-east-1:123:inference-profile/us.x:0",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123%3Ainference-profile%2Fus.x%3A0",
        ),
    ],
)
def test_the_model_stands_in_the_path(model: str, path: str) -> None:
    request = build_request(chat(model=model), ENDPOINT)

    assert request.url == f"{ENDPOINT.base_url}/model/{path}/converse-stream"
    assert request.method == "POST"


def test_the_key_is_a_bearer_token_and_the_callers_headers_go_along() -> None:
    endpoint = replace(ENDPOINT, api_key="k", headers={"X-Team": "a"})

    request = build_request(chat(extra_headers={"Accept": "b"}), endpoint)

    assert request.headers == {
        "content-type": "application/json",
        "accept": "b",
        "authorization": "Bearer k",
        "x-team": "a",
    }


# --- messages -------------------------------------------------------------------------------------


def test_a_question_alone_is_all_that_is_sent() -> None:
    assert body_of(chat()) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_the_system_prompt_stands_outside_of_the_messages() -> None:
    body = body_of(
        chat(
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "developer", "content": [{"type": "text", "text": "In French."}]},
            ],
            system="You are a bot.",
        )
    )

    assert body["system"] == [
        {"text": "You are a bot."},
        {"text": "Be brief."},
        {"text": "In French."},
    ]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_turns_of_one_role_are_one_and_empty_words_are_left_out() -> None:
    turns = turns_of(
        {"role": "user", "content": "a"},
        {"role": "user", "content": ["", "b"]},
        {"role": "assistant", "content": "c"},
    )

    assert turns == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "assistant", "content": [{"text": "c"}]},
    ]


def test_a_call_and_its_answer_are_blocks() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "find", "arguments": '{"a": 1}'}}
    turns = turns_of(
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "found"},
        {"role": "user", "content": "And?"},
    )

    assert turns == [
        {
            "role": "assistant",
            "content": [
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "t1", "name": "find", "input": {"a": 1}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"text": "found"}]}},
                {"text": "And?"},
            ],
        },
    ]


def test_an_answer_that_is_an_error_says_so() -> None:
    content = [{"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": "no"}]
    ((block,),) = (turn["content"] for turn in turns_of({"role": "user", "content": content}))

    assert block["toolResult"]["status"] == "error"


def test_arguments_that_are_no_object_are_refused() -> None:
    call = {"id": "t", "function": {"name": "find", "arguments": "[1]"}}

    with pytest.raises(ConfigurationError, match="'find' to be a JSON object"):
        turns_of({"role": "assistant", "tool_calls": [call]})


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
        ),
        (
            {"type": "redacted_thinking", "data": "cmVk"},
            {"reasoningContent": {"redactedContent": "cmVk"}},
        ),
        (
            {"reasoningContent": {"reasoningText": {"text": "Hm"}}},
            {"reasoningContent": {"reasoningText": {"text": "Hm"}}},
        ),
        ({"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default"}}),
        (
            {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"%PDF"}}},
            {"document": {"format": "pdf", "name": "d", "source": {"bytes": "JVBERg=="}}},
        ),
        ({"type": "text", "text": 5}, {"type": "text", "text": 5}),
    ],
)
def test_blocks_of_bedrocks_own_pass_and_anthropics_are_translated(
    given: dict[str, Any], written: dict[str, Any]
) -> None:
    assert blocks_of(given, role="assistant") == [written]


def test_white_space_is_left_out_of_messages_and_stays_in_results() -> None:
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    body = body_of(
        chat(
            [
                {"role": "user", "content": [{"type": "text", "text": t} for t in ("Hi", " ")]},
                {"role": "assistant", "content": "\n\n", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "\n"},
            ]
        )
    )

    assert [turn["content"] for turn in body["messages"]] == [
        [{"text": "Hi"}],
        [{"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}],
        [{"toolResult": {"toolUseId": "c", "content": [{"text": "\n"}]}}],
    ]


@pytest.mark.parametrize(
    ("mark", "point"),
    [
        ({"type": "ephemeral"}, {"type": "default"}),
        ({"type": "ephemeral", "ttl": "1h"}, {"type": "default", "ttl": "1h"}),
    ],
)
def test_a_mark_for_the_cache_is_a_block_behind_what_it_marks(
    mark: dict[str, str], point: dict[str, str]
) -> None:
    marked = {"type": "text", "text": "long", "cache_control": mark}

    assert blocks_of(marked, "Hi") == [{"text": "long"}, {"cachePoint": point}, {"text": "Hi"}]


def test_a_whole_message_and_the_system_prompt_may_be_marked() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    body = body_of(
        chat(
            [
                {"role": "system", "content": "Be brief.", **mark},
                {"role": "user", "content": "Hi", **mark},
                {"role": "assistant", "content": "", **mark},
            ]
        )
    )

    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "Be brief."}, point]
    assert [turn["content"] for turn in body["messages"]] == [[{"text": "Hi"}, point]]


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"),
    [("image/png", "png"), ("image/JPEG", "jpeg"), ("image/jpg", "jpeg"), ("image/webp", "webp")],
)
def test_an_image_is_sent_with_its_format(kind: str, name: str) -> None:
    assert blocks_of(InputImage(data=PNG, media_type=kind)) == [
        {"image": {"format": name, "source": {"bytes": PNG}}}
    ]


def test_an_image_in_a_bucket_goes_by_its_address() -> None:
    image = {"type": "image_url", "image_url": {"url": "s3://bucket/cat.GIF"}}

    assert blocks_of(image) == [
        {"image": {"format": "gif", "source": {"s3Location": {"uri": "s3://bucket/cat.GIF"}}}}
    ]


def test_an_image_in_a_bucket_without_an_ending_is_what_it_is_said_to_be() -> None:
    (block,) = blocks_of(InputImage(url="s3://bucket/cat", media_type="image/gif"))

    assert block["image"]["format"] == "gif"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (InputImage(url="https://a.example/cat.png"), "from s3://"),
        (InputImage(data=PNG, media_type="image/bmp"), "found 'image/bmp'"),
        (InputImage(), "found the URL None"),
    ],
)
def test_other_images_are_refused(image: InputImage, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        blocks_of(image)


# --- settings -------------------------------------------------------------------------------------


def test_settings_stand_in_their_own_object() -> None:
    body = body_of(chat(temperature=0.5, top_p=0.9, max_tokens=100, stop=("END",)))

    assert body["inferenceConfig"] == {
        "maxTokens": 100,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["END"],
    }


def test_a_seed_is_refused_with_what_would_work() -> None:
    with pytest.raises(ConfigurationError, match="additionalModelRequestFields"):
        body_of(chat(seed=7))


def test_the_callers_fields_come_last_and_join_the_objects_that_there_are() -> None:
    extra = {
        "guardrailConfig": {"guardrailIdentifier": "g"},
        "inferenceConfig": {"maxTokens": 5},
        "additionalModelRequestFields": {"top_k": 3},
        "system": [],
    }
    body = body_of(chat(temperature=0.5, max_tokens=100, system="x", extra_body=extra))

    assert body["inferenceConfig"] == {"temperature": 0.5, "maxTokens": 5}
    assert body["guardrailConfig"] == {"guardrailIdentifier": "g"}
    assert body["additionalModelRequestFields"] == {"top_k": 3}
    assert body["system"] == []


# --- tools ----------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}


def test_tools_are_spelled_with_their_schemas() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    tools = read_tools(
        [
            {"name": "find", "description": "Finds.", "parameters": SCHEMA},
            {"name": "other", "parameters": SCHEMA, "strict": True, **mark},
            {"systemTool": {"name": "nova_grounding"}},
        ]
    )

    assert body_of(chat(tools=tools))["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "find",
                    "description": "Finds.",
                    "inputSchema": {"json": SCHEMA},
                }
            },
            {
                "toolSpec": {
                    "name": "other",
                    "inputSchema": {
                        "json": {
                            "type": "object",
                            "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
                            "additionalProperties": False,
                        }
                    },
                    "strict": True,
                }
            },
            {"cachePoint": {"type": "default"}},
            {"systemTool": {"name": "nova_grounding"}},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        (ToolChoice("tool", "find"), {"tool": {"name": "find"}}),
        (RawTool({"any": {}}), {"any": {}}),
    ],
)
def test_a_choice_is_an_object_with_one_key(choice: Any, written: dict[str, Any]) -> None:
    body = body_of(chat(tools=(Tool("find"),), tool_choice=read_tool_choice(choice)))

    assert body["toolConfig"]["toolChoice"] == written


def test_where_no_tool_may_be_called_none_is_sent() -> None:
    body = body_of(chat(tools=(Tool("find"),), tool_choice=ToolChoice("none")))

    assert "toolConfig" not in body


def test_where_calls_were_made_the_tools_cannot_be_left_out() -> None:
    call = {"id": "t", "function": {"name": "find", "arguments": "{}"}}
    request = chat(
        [{"role": "assistant", "tool_calls": [call]}],
        tools=(Tool("find"),),
        tool_choice=ToolChoice("none"),
    )

    with pytest.raises(ConfigurationError, match="tool_choice 'none' has no spelling"):
        body_of(request)


# --- JSON -----------------------------------------------------------------------------------------


def test_a_schema_is_sent_as_text() -> None:
    wanted = JSONFormat(SCHEMA, name="city", description="A city.")
    output = body_of(chat(response_format=wanted))["outputConfig"]

    described = output["textFormat"]["structure"]["jsonSchema"]
    assert output["textFormat"]["type"] == "json_schema"
    assert (described["name"], described["description"]) == ("city", "A city.")
    assert json.loads(described["schema"])["additionalProperties"] is False


def test_json_of_any_kind_is_not_asked_for() -> None:
    assert "outputConfig" not in body_of(chat(response_format=JSONFormat()))


def test_a_format_of_bedrocks_own_passes() -> None:
    wanted = RawTool({"type": "json_schema", "structure": {}})

    assert body_of(chat(response_format=wanted))["outputConfig"] == {"textFormat": wanted.value}


def test_a_schema_without_an_end_is_refused() -> None:
    endless: dict[str, Any] = {"type": "array"}
    endless["items"] = endless

    with pytest.raises(ConfigurationError, match="the schema has no end"):
        body_of(chat(response_format=JSONFormat(endless)))


def test_a_message_object_of_the_library_is_taken() -> None:
    assert turns_of(Message("user", ())) == [{"role": "user", "content": []}]


# --- reasoning ------------------------------------------------------------------------------------

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("model", "wanted", "fields"),
    [
        (CLAUDE, 2000, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (CLAUDE, "none", {"thinking": {"type": "disabled"}}),
        (
            "anthropic.claude-opus-4-6-v1",
            "high",
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "high"},
            },
        ),
        ("us.amazon.nova-2-lite-v1:0", "none", {"reasoningConfig": {"type": "disabled"}}),
        (
            "us.amazon.nova-2-lite-v1:0",
            "minimal",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
        ),
        ("openai.gpt-oss-120b-1:0", "medium", {"reasoning_effort": "medium"}),
    ],
)
def test_how_much_to_reason_is_a_field_of_the_models_own(
    model: str, wanted: str | int, fields: dict[str, Any]
) -> None:
    extra = {"additionalModelRequestFields": {"top_k": 5}}
    body = body_of(chat(model=model, reasoning=wanted, extra_body=extra))

    assert body["additionalModelRequestFields"] == {**fields, "top_k": 5}


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("us.amazon.nova-2-lite-v1:0", 2000),
        ("openai.gpt-oss-120b-1:0", "none"),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "low"),
    ],
)
def test_what_a_model_is_not_known_to_take_is_refused(model: str, wanted: str | int) -> None:
    with pytest.raises(ConfigurationError, match=f"bedrock: reasoning={wanted!r}"):
        body_of(chat(model=model, reasoning=wanted))


def test_calls_cannot_be_asked_for_one_at_a_time() -> None:
    with pytest.raises(ConfigurationError, match="parallel_tool_calls=False"):
        body_of(chat(tools=(Tool("find"),), parallel_tool_calls=False))
