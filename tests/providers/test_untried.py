"""The servers that are known from their documentation: a request of each, by a table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.calls import CallArguments, Planner
from steer_llm_sdk.cli.providers import table
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.errors import ConfigurationError, UnknownModelError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.registry import PROVIDERS, resolve_model, wire_format
from steer_llm_sdk.providers.untried import UNTRIED

ADDRESSES = {
    "zai": "https://api.z.ai/api/paas/v4/chat/completions",
    "alibaba": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions",
    "minimax": "https://api.minimax.io/v1/chat/completions",
    "nvidia": "https://integrate.api.nvidia.com/v1/chat/completions",
    "sambanova": "https://api.sambanova.ai/v1/chat/completions",
    "github-copilot": "https://api.githubcopilot.com/chat/completions",
    "cloudflare": "https://host.test/v1/chat/completions",
    "databricks": "https://host.test/v1/chat/completions",
    "venice": "https://api.venice.ai/api/v1/chat/completions",
    "vercel": "https://ai-gateway.vercel.sh/v1/chat/completions",
    "litellm": "http://localhost:4000/v1/chat/completions",
    "sglang": "http://localhost:30000/v1/chat/completions",
    "deepinfra": "https://api.deepinfra.com/v1/openai/chat/completions",
}
NAMES = sorted(ADDRESSES)


async def request_of(name: str, **given: Any) -> Any:
    row = PROVIDERS[name]
    environment = {row.key_env[0]: "key-1"}
    if row.base_url is None:
        environment[row.base_url_env[0]] = "https://host.test/v1"
    plan = Planner({}, {}, environment).plan("Hi", f"{name}:m", CallArguments.read(given))
    (target,) = plan.targets
    await target.prepare()
    return target.request()


def test_the_table_has_all_of_them() -> None:
    assert {row.name for row in UNTRIED} == set(NAMES)
    assert {name for name, row in PROVIDERS.items() if not row.is_tried} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
async def test_it_is_asked_at_its_address_with_its_key(name: str) -> None:
    request = await request_of(name)

    assert request.url == ADDRESSES[name]
    assert request.headers["authorization"] == "Bearer key-1"
    assert json.loads(request.body)["model"] == "m"


@pytest.mark.parametrize("name", NAMES)
async def test_usage_is_asked_for_where_it_must_be(name: str) -> None:
    body = json.loads((await request_of(name)).body)

    assert ("stream_options" in body) is (name != "zai")


BY_SWITCH = {"thinking": {"type": "enabled"}}
SWITCHED_OFF = {"thinking": {"type": "disabled"}}
OFF = {"chat_template_kwargs": {"enable_thinking": False}}
HIGH = {"reasoning_effort": "high"}
CLAUDES = {"thinking": {"type": "enabled", "budget_tokens": 2048}}

# By provider: what "high", "none" and a budget say; None where it is refused.
REASONING: dict[str, tuple[Any, Any, Any]] = {
    "zai": (BY_SWITCH | HIGH, SWITCHED_OFF, None),
    "alibaba": (
        {"enable_thinking": True},
        {"enable_thinking": False},
        {"enable_thinking": True, "thinking_budget": 2048},
    ),
    "minimax": (
        {"thinking": {"type": "adaptive"}, "reasoning_split": True},
        SWITCHED_OFF,
        None,
    ),
    "nvidia": (
        HIGH,
        OFF,
        {"chat_template_kwargs": {"enable_thinking": True}, "reasoning_budget": 2048},
    ),
    "sambanova": (HIGH, OFF, None),
    "github-copilot": (HIGH, {"reasoning_effort": "none"}, None),
    "cloudflare": (HIGH, {"reasoning_effort": "none"}, None),
    "databricks": (HIGH, {"reasoning_effort": "none"}, CLAUDES),
    "venice": (HIGH, {"reasoning_effort": "none"}, None),
    "vercel": (
        {"reasoning": {"effort": "high"}},
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"max_tokens": 2048}},
    ),
    "litellm": (HIGH, {"reasoning_effort": "none"}, CLAUDES),
    "sglang": (HIGH, OFF, {"chat_template_kwargs": {"thinking_budget": 2048}}),
    "deepinfra": (HIGH, {"reasoning_effort": "none"}, None),
}


@pytest.mark.parametrize("at", range(3), ids=["high", "none", "budget"])
@pytest.mark.parametrize("name", NAMES)
async def test_how_much_to_reason_is_said_in_its_words(name: str, at: int) -> None:
    wanted, said = ("high", "none", 2048)[at], REASONING[name][at]
    if said is None:
        with pytest.raises(ConfigurationError, match=f"{name}: reasoning="):
            await request_of(name, reasoning=wanted)
        return

    body = json.loads((await request_of(name, reasoning=wanted)).body)

    plain = json.loads((await request_of(name)).body)
    assert {key: value for key, value in body.items() if key not in plain} == said


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_asked_for_or_refused(name: str) -> None:
    wire = wire_format(PROVIDERS[name])
    schema = {"type": "object", "properties": {}}
    chat = ChatRequest("m", read_messages("Hi"), response_format=JSONFormat(schema))
    endpoint = Endpoint(name, "https://host.test/v1", "k")
    if name in {"zai", "minimax"}:
        with pytest.raises(ConfigurationError, match=f"{name} takes no JSON schema"):
            wire.request(chat, endpoint)
        return

    body = json.loads(wire.request(chat, endpoint).body)

    assert body["response_format"]["json_schema"]["schema"] == schema


PREFILLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "alibaba": ({"partial": True}, {}),
    "sglang": ({}, {"continue_final_message": True}),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_was_cut_goes_on_where_it_can(name: str) -> None:
    wire = wire_format(PROVIDERS[name])
    assert isinstance(wire, OpenAIChat)
    endpoint = Endpoint(name, "https://host.test/v1", "k")
    chat = ChatRequest("m", read_messages("Hi"))

    found = wire.resume(chat, endpoint, "Once", wire.decoder(name))

    assert (found is not None) is (name in PREFILLS)
    if found is not None:
        body = json.loads(found.request.body)
        message, fields = PREFILLS[name]
        assert body["messages"][-1] == {"role": "assistant", "content": "Once", **message}
        assert body.items() >= fields.items()


async def test_copilot_is_told_which_editor_asks() -> None:
    request = await request_of("github-copilot")

    assert request.headers["copilot-integration-id"] == "vscode-chat"
    assert request.headers["editor-version"].startswith("vscode/")


@pytest.mark.parametrize("name", NAMES)
async def test_the_arguments_of_calls_are_asked_for_in_pieces_where_they_must_be(name: str) -> None:
    tool = {"name": "f", "parameters": {"type": "object"}}

    without = json.loads((await request_of(name)).body)
    body = json.loads((await request_of(name, tools=[tool])).body)

    assert "tool_stream" not in without
    assert body.get("tool_stream") is (True if name == "zai" else None)


@pytest.mark.parametrize("word", ["minimal", "low", "medium", "high"])
async def test_zai_takes_two_of_the_words_beside_its_switch(word: str) -> None:
    body = json.loads((await request_of("zai", reasoning=word)).body)

    assert body["thinking"] == {"type": "enabled"}
    assert body["reasoning_effort"] == ("low" if word in {"minimal", "low"} else "high")


async def test_minimax_limits_the_answer_by_the_newer_field() -> None:
    body = json.loads((await request_of("minimax", max_tokens=9)).body)

    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


async def test_the_callers_headers_count_more() -> None:
    settings = ProviderSettings(api_key="k", headers={"Copilot-Integration-Id": "mine"})
    planner = Planner({}, {"github-copilot": settings}, {})
    (target,) = planner.plan("Hi", "github-copilot:m", CallArguments()).targets
    await target.prepare()

    assert target.request().headers["copilot-integration-id"] == "mine"


@pytest.mark.parametrize("name", ["nvidia", "minimax", "cohere", "alibaba", "databricks"])
def test_a_name_with_two_readings_says_both(name: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve_model(f"{name}/model-1")

    assert f"'{name}:model-1' is the model 'model-1' served by {name}" in str(caught.value)
    assert f"'openrouter:{name}/model-1'" in str(caught.value)
    assert resolve_model(f"{name}:model-1") == (name, "model-1")


def test_the_command_line_says_that_they_were_not_tried() -> None:
    states = {name: state for name, _, state in table({"ZAI_API_KEY": "k"})}

    assert states["zai"] == "set, not tried live"
    assert states["sglang"] == "not needed, not tried live"
    assert "not tried" not in states["openai"]
