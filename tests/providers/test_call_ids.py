"""A conversation goes on at a provider that would refuse the identifiers of its calls."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from steer_llm_sdk import tool_result
from steer_llm_sdk.models.messages import Message, ToolCall, read_messages
from steer_llm_sdk.models.parts import TextPart, ToolCallPart
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.turns import assistant_message
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.call_ids import PLAIN_IDS
from steer_llm_sdk.providers.registry import provider_row, wire_format

KIMI = "functions.get_weather:0"
LONG = "call_" + "x" * 80
OPENAI = "call_XwFnGCtoQNIN2ID9ahtpLvsI"
PLAIN = r"[a-zA-Z0-9_-]{1,64}"


def call(identifier: str) -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": "{}"}
    return {"id": identifier, "type": "function", "function": function}


def conversation(*identifiers: str) -> list[Any]:
    """A question, calls, and what each has given; the first message is another library's."""
    return [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": None, "tool_calls": list(map(call, identifiers))},
        *(tool_result(each, "no") for each in identifiers),
    ]


def stored(*identifiers: str) -> list[Any]:
    """The same, where the answer is one of ours that was stored."""
    parts = [ToolCallPart(each, "get_weather", "{}", is_complete=True) for each in identifiers]
    first, _, *results = conversation(*identifiers)
    return [first, assistant_message([TextPart("Let me see."), *parts]), *results]


def ids_sent(provider: str, messages: list[Any], base_url: str) -> tuple[list[str], list[str]]:
    """The identifiers of the calls in a request, and those that its results name."""
    chat = ChatRequest("m", read_messages(messages))
    wire = wire_format(provider_row(provider))
    body = json.loads(wire.request(chat, Endpoint(provider, base_url, "key")).body)
    found: tuple[list[str], list[str]] = ([], [])
    _gather(body.get("messages") or body["input"], *found)
    return found


def _gather(value: Any, calls: list[str], results: list[str]) -> None:
    if isinstance(value, list):
        for each in value:
            _gather(each, calls, results)
    if not isinstance(value, dict):
        return
    kind = str(value.get("type"))
    if kind in {"function", "tool_use"}:
        calls.append(value["id"])
    elif kind == "function_call":
        calls.append(value["call_id"])
    elif kind == "function_call_output":
        results.append(value["call_id"])
    elif "toolUseId" in value:
        (calls if "name" in value else results).append(value["toolUseId"])
    for key in ("tool_call_id", "tool_use_id"):
        results += [value[key]] if key in value else []
    for each in value.values():
        _gather(each, calls, results)


@pytest.mark.parametrize("messages", [conversation, stored])
@pytest.mark.parametrize(
    ("provider", "base_url", "pattern"),
    [
        ("anthropic", "https://a.example", PLAIN),
        ("vertex-anthropic", "https://a.example", PLAIN),
        ("bedrock", "https://a.example", PLAIN),
        ("bedrock-anthropic", "https://a.example", PLAIN),
        ("mistral", "https://a.example/v1", r"[a-zA-Z0-9]{9}"),
        ("openai", "https://api.openai.com/v1", r".{1,40}"),
        ("azure", "https://a.openai.azure.com/v1", r".{1,40}"),
        ("openai-responses", "https://a.example/v1", r".{1,64}"),
    ],
)
def test_calls_of_another_provider_get_identifiers_that_this_one_takes(
    messages: Any, provider: str, base_url: str, pattern: str
) -> None:
    given = messages(KIMI, LONG, OPENAI, "")

    calls, results = ids_sent(provider, given, base_url)

    assert calls == results
    assert len(set(calls)) == 4
    assert all(re.fullmatch(pattern, each) for each in calls if each)
    assert (calls, results) == ids_sent(provider, given, base_url)


@pytest.mark.parametrize(
    ("provider", "base_url", "own"),
    [
        ("anthropic", "https://a.example", "toolu_01A09q90qw90lq917835lq9"),
        ("bedrock", "https://a.example", "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q"),
        ("mistral", "https://a.example/v1", "D681PevKs"),
        ("openai", "https://api.openai.com/v1", OPENAI),
        ("openai", "https://a.example/v1", LONG),
        ("openai-responses", "https://a.example/v1", OPENAI),
        ("vllm", "https://a.example/v1", KIMI),
    ],
)
def test_identifiers_that_a_provider_takes_stay_as_they_are(
    provider: str, base_url: str, own: str
) -> None:
    assert ids_sent(provider, conversation(own), base_url) == ([own], [own])


def test_an_identifier_that_comes_again_in_a_later_turn_is_another() -> None:
    # vLLM counts the calls of Kimi from 0 in each answer; Anthropic: `tool_use` ids must be unique.
    given = [*conversation("a", KIMI), *conversation("a", KIMI), *conversation("a")]

    calls, results = ids_sent("anthropic", given, "https://a.example")

    assert calls == results
    assert len(set(calls)) == 5
    assert calls[0] == "a"


def test_calls_keep_their_place_among_words_and_those_of_a_providers_own_their_names() -> None:
    words = read_messages("Hm")[0].parts[0]
    calls = (ToolCall(KIMI, "f", "{}"), ToolCall("mcpr:1", "g", "{}", "mcp_approval_request"))
    message = Message("assistant", (words,), calls, order=(calls[0], words, calls[1]))

    (found,) = PLAIN_IDS.fit([message])

    first, said, second = found.order
    assert isinstance(first, ToolCall)
    assert re.fullmatch(PLAIN, first.id)
    assert (said, second) == (words, calls[1])
    assert found.tool_calls == (first, second)


@pytest.mark.parametrize("messages", [conversation, stored])
@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "mistral", "openai-responses"])
def test_a_name_that_a_model_has_made_up_is_one_that_may_be_quoted(
    messages: Any, provider: str
) -> None:
    # Models of OpenAI call `multi_tool_use.parallel`, and its API refuses the name.
    given = json.loads(
        json.dumps(messages("a")).replace("get_weather", "multi_tool_use.parallel" + "y" * 120)
    )
    chat = ChatRequest("m", read_messages(given))
    endpoint = Endpoint(provider, "https://a.example/v1", "key")

    body = wire_format(provider_row(provider)).request(chat, endpoint).body.decode()

    assert '"multi_tool_use_parallel' + "y" * 105 + '"' in body


def test_a_result_of_a_call_that_is_not_shown_is_left_alone() -> None:
    result = read_messages([tool_result(KIMI, "no")])

    assert PLAIN_IDS.fit(result) == result
