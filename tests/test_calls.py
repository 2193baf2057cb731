"""What a caller passes becomes a plan: keys, endpoints, models, and what is refused at once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import pytest

from steer_llm_sdk.calls import CallArguments, Planner
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.errors import (
    ConfigurationError,
    MissingAPIKeyError,
    UnknownModelError,
    UnknownProviderError,
)
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint

MODELS = {
    "openai": "gpt-4o",
    "openai-responses": "openai-responses:gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "xai": "grok-4",
    "gemini": "gemini-2.5-flash",
    "mistral": "mistral:mistral-large-latest",
    "huggingface": "huggingface:openai/gpt-oss-20b",
    "groq": "groq:llama-3.3-70b",
    "ollama": "ollama:llama3.2:3b",
    "vllm": "vllm:qwen",
}


def planner(
    environment: Mapping[str, str] | None = None,
    keys: Mapping[str, str | None] | None = None,
    **settings: ProviderSettings,
) -> Planner:
    return Planner(keys or {}, settings, environment or {})


def plan_of(model: str, made_by: Planner | None = None, **given: Any) -> Plan:
    return (made_by or planner({"OPENAI_API_KEY": "sk-1"})).plan(
        "Hi", model, CallArguments.read(given)
    )


async def endpoint_of(model: str, made_by: Planner, **given: Any) -> Endpoint:
    (target, *_) = plan_of(model, made_by, **given).targets
    return await target.find_endpoint()


# --- keyword arguments ------------------------------------------------------------------------


def test_known_keywords_are_taken() -> None:
    assert CallArguments.read({"temperature": 0.5, "seed": 7}) == CallArguments(
        temperature=0.5, seed=7
    )


def test_an_unknown_keyword_is_refused_with_the_nearest_name_and_a_way_out() -> None:
    with pytest.raises(TypeError, match=r"'temprature': did you mean 'temperature'\?.*extra_body"):
        CallArguments.read({"temprature": 0.5})
    with pytest.raises(TypeError, match=r"'zzz': A field .*extra_body=\{'zzz': …\}"):
        CallArguments.read({"zzz": 1})


# --- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("openai-responses", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("xai", "XAI_API_KEY"),
        ("gemini", "GEMINI_API_KEY"),
        ("gemini", "GOOGLE_API_KEY"),
        ("mistral", "MISTRAL_API_KEY"),
        ("huggingface", "HF_TOKEN"),
        ("groq", "GROQ_API_KEY"),
        ("ollama", "OLLAMA_API_KEY"),
    ],
)
async def test_a_key_is_found_in_the_providers_variable(name: str, variable: str) -> None:
    found = await endpoint_of(MODELS[name], planner({variable: " sk-env "}))

    assert (found.provider, found.api_key) == (name, "sk-env")


async def test_an_argument_counts_before_the_environment_and_settings_before_both() -> None:
    environment, keys = {"OPENAI_API_KEY": "sk-env"}, {"openai": "sk-argument", "xai": None}
    settings = ProviderSettings(api_key="sk-settings")

    by_argument = await endpoint_of("gpt-4o", planner(environment, keys))
    by_settings = await endpoint_of("gpt-4o", planner(environment, keys, openai=settings))

    assert by_argument.api_key == "sk-argument"
    assert by_settings.api_key == "sk-settings"


@pytest.mark.parametrize("where", ["keys", "settings"])
async def test_the_responses_of_openai_share_its_key_and_address(where: str) -> None:
    key = "sk-1"
    settings = ProviderSettings(api_key=key, base_url="https://proxy.example/v1")
    by_keys = planner({"OPENAI_BASE_URL": "https://proxy.example/v1"}, {"openai": key})

    found = await endpoint_of(
        MODELS["openai-responses"], by_keys if where == "keys" else planner(openai=settings)
    )

    assert (found.base_url, found.api_key) == ("https://proxy.example/v1", key)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("openai", "set OPENAI_API_KEY, or pass providers={'openai': ProviderSettings"),
        ("gemini", "set GEMINI_API_KEY or GOOGLE_API_KEY"),
    ],
)
def test_a_missing_key_is_refused_at_once_with_the_name_of_its_variable(
    name: str, hint: str
) -> None:
    with pytest.raises(MissingAPIKeyError, match=hint):
        plan_of(MODELS[name], planner())


@pytest.mark.parametrize("name", ["ollama", "vllm"])
async def test_a_server_of_ones_own_needs_no_key(name: str) -> None:
    assert (await endpoint_of(MODELS[name], planner())).api_key is None


async def test_another_endpoint_than_the_providers_own_needs_no_key() -> None:
    made_by = planner({"OPENAI_BASE_URL": "http://localhost:8080/v1"})

    assert (await endpoint_of("gpt-4o", made_by)).api_key is None
    with pytest.raises(MissingAPIKeyError):
        plan_of("gpt-4o", planner({"OPENAI_BASE_URL": "https://api.openai.com/v1/"}))


def test_a_key_that_no_header_may_hold_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="openai: the API key") as caught:
        plan_of("gpt-4o", planner(keys={"openai": "sk-\n1"}))

    assert "sk-" not in str(caught.value)


def test_no_key_is_in_the_repr_of_a_plan() -> None:
    headers = {"x-key": "sk-secret"}
    made_by = planner(openai=ProviderSettings(api_key="sk-secret", headers=headers))

    assert "sk-secret" not in repr(plan_of("gpt-4o", made_by))


# --- endpoints --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variable", "address"),
    [
        ("openai", "OPENAI_BASE_URL", "https://proxy.example/v1"),
        ("openai-responses", "OPENAI_BASE_URL", "https://proxy.example/v1"),
        ("anthropic", "ANTHROPIC_BASE_URL", "https://proxy.example"),
        ("gemini", "GEMINI_BASE_URL", "https://proxy.example"),
        ("mistral", "MISTRAL_BASE_URL", "https://proxy.example/v1"),
        ("xai", "XAI_BASE_URL", "https://proxy.example/v1"),
        ("ollama", "OLLAMA_BASE_URL", "http://127.0.0.1:9"),
        ("ollama", "OLLAMA_HOST", "127.0.0.1:9"),
        ("vllm", "VLLM_BASE_URL", "http://127.0.0.1:9/v1"),
    ],
)
async def test_an_address_is_found_in_the_providers_variable(
    name: str, variable: str, address: str
) -> None:
    found = await endpoint_of(MODELS[name], planner({variable: address}))

    assert found.base_url.endswith(address)


async def test_ollamas_host_may_be_a_host_alone() -> None:
    found = await endpoint_of(MODELS["ollama"], planner({"OLLAMA_HOST": "0.0.0.0"}))

    assert found.base_url == "http://0.0.0.0:11434"


async def test_settings_count_before_the_environment_and_the_default_comes_last() -> None:
    environment = {"ANTHROPIC_BASE_URL": "https://env.example", "ANTHROPIC_API_KEY": "sk-1"}
    settings = ProviderSettings(base_url="https://settings.example/", headers={"x-team": "a"})

    by_settings = await endpoint_of("claude-x", planner(environment, anthropic=settings))
    by_default = await endpoint_of("claude-x", planner({"ANTHROPIC_API_KEY": "sk-1"}))

    assert by_settings.base_url == "https://settings.example"
    assert by_settings.headers == {"x-team": "a"}
    assert by_default.base_url == "https://api.anthropic.com"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="openai: expected base_url to be an http"):
        plan_of("gpt-4o", planner({"OPENAI_BASE_URL": "ftp://x.example"}))


def test_a_provider_without_an_address_of_its_own_needs_one() -> None:
    with pytest.raises(ConfigurationError, match=r"azure: a base_url is needed .or set AZURE_BASE"):
        plan_of("azure:my-deployment", planner({"AZURE_API_KEY": "k"}))


def test_the_environment_is_read_once_and_a_warning_comes_once() -> None:
    made_by = planner({"OPENAI_BASE_URL": "http://proxy.example/v1"})

    with pytest.warns(UserWarning, match="plain http to proxy.example"):
        plan_of("gpt-4o", made_by)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan_of("gpt-4o", made_by)


def test_a_proxy_and_the_check_of_certificates_go_along() -> None:
    settings = ProviderSettings(api_key="k", proxy="http://proxy.example:3128", verify=False)

    (target,) = plan_of("gpt-4o", planner(openai=settings)).targets

    assert (target.proxy, target.verify) == ("http://proxy.example:3128", False)


# --- providers of one's own -------------------------------------------------------------------


async def test_a_provider_of_ones_own_has_the_ways_of_its_kind_and_not_its_variables() -> None:
    environment = {"VLLM_BASE_URL": "http://127.0.0.1:1/v1", "VLLM_API_KEY": "sk-other"}
    mine = ProviderSettings(kind="vllm", base_url="https://mine.example/v1", api_key="sk-mine")
    made_by = planner(environment, mine=mine, bare=ProviderSettings(kind="vllm"))

    found = await endpoint_of("mine:my-model", made_by)
    bare = await endpoint_of("bare/my-model", made_by)

    assert (found.provider, found.api_key) == ("mine", "sk-mine")
    assert found.base_url == "https://mine.example/v1"
    assert (bare.base_url, bare.api_key) == ("http://localhost:8000/v1", None)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("openai", "mine: no API key: pass providers="),
        ("azure", "mine: a base_url is needed$"),
    ],
)
def test_what_a_provider_of_ones_own_lacks_is_not_looked_for_elsewhere(
    kind: str, complaint: str
) -> None:
    environment = {"OPENAI_API_KEY": "k", "AZURE_API_KEY": "k", "AZURE_BASE_URL": "https://x"}

    with pytest.raises(ConfigurationError, match=complaint):
        plan_of("mine:m", planner(environment, mine=ProviderSettings(kind=kind)))


def test_a_new_name_without_a_kind_is_refused_when_the_client_is_made() -> None:
    with pytest.raises(UnknownProviderError, match=r"'mine' is no known provider.*needs kind="):
        planner(mine=ProviderSettings())
    with pytest.raises(UnknownProviderError, match="'vlm': did you mean 'vllm'"):
        planner(mine=ProviderSettings(kind="vlm"))


# --- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given", "provider", "name"),
    [
        ("gpt-4o", {}, "openai", "gpt-4o"),
        ("openai:gpt-4o", {}, "openai", "gpt-4o"),
        ("ollama:llama3.2:3b", {}, "ollama", "llama3.2:3b"),
        ("a:b/c", {"provider": "ollama"}, "ollama", "a:b/c"),
    ],
)
def test_a_models_name_says_who_is_asked(
    model: str, given: dict[str, Any], provider: str, name: str
) -> None:
    (target,) = plan_of(model, **given).targets

    assert (target.provider, target.chat.model) == (provider, name)


def test_a_name_that_does_not_say_who_serves_it_is_refused() -> None:
    with pytest.raises(UnknownModelError, match="my-model"):
        plan_of("my-model")
    with pytest.raises(UnknownProviderError, match="'opnai'"):
        plan_of("gpt-4o", provider="opnai")
    nothing: Any = None
    with pytest.raises(ConfigurationError, match="model: expected a name, found NoneType"):
        plan_of(nothing)


def test_fallbacks_are_targets_after_the_first_each_with_its_own_names() -> None:
    made_by = planner({"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"})
    options = StreamingOptions(fallback_models=["claude-x", "ollama:llama3"])

    targets = plan_of("gpt-4o", made_by, streaming_options=options).targets

    assert [(each.provider, each.chat.model) for each in targets] == [
        ("openai", "gpt-4o"),
        ("anthropic", "claude-x"),
        ("ollama", "llama3"),
    ]


def test_a_fallback_that_cannot_be_asked_is_refused_at_once() -> None:
    options = StreamingOptions(fallback_models=["claude-x"])

    with pytest.raises(MissingAPIKeyError, match="anthropic"):
        plan_of("gpt-4o", streaming_options=options)


async def test_the_embedded_model_has_one_name_and_no_other_file_by_name() -> None:
    (target,) = plan_of("local:/etc/passwd").targets

    with pytest.raises(ConfigurationError, match=r"is called 'smollm2', found '/etc/passwd'"):
        await target.find_endpoint()


async def test_a_local_provider_with_an_address_is_asked_there() -> None:
    settings = ProviderSettings(base_url="http://127.0.0.1:9/v1")

    assert (await endpoint_of("local:any", planner(local=settings))).base_url == (
        "http://127.0.0.1:9/v1"
    )


# --- the request ------------------------------------------------------------------------------


async def test_what_the_caller_passes_is_in_the_request() -> None:
    (target,) = plan_of(
        "gpt-4o",
        temperature=0.5,
        max_tokens=9,
        top_p=0.9,
        seed=7,
        stop="END",
        system="Be brief.",
        tools=[{"name": "add"}],
        tool_choice="auto",
        extra_body={"user": "u"},
        extra_headers={"x-team": "a"},
        streaming_options=StreamingOptions(include_usage=False),
    ).targets
    await target.prepare()

    body = json.loads(target.request().body)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["top_p"], body["seed"]) == (0.5, 0.9, 7)
    assert (body["stop"], body["max_completion_tokens"], body["user"]) == (["END"], 9, "u")
    assert body["tools"][0]["function"]["name"] == "add"
    assert body["tool_choice"] == "auto"
    assert target.request().headers["x-team"] == "a"
    assert not target.chat.include_usage


@pytest.mark.parametrize("stop", [["a", "b"], ("a", "b")])
def test_several_stops_may_be_given(stop: Any) -> None:
    assert plan_of("gpt-4o", stop=stop).targets[0].chat.stop == ("a", "b")


def test_identifiers_are_made_where_none_is_given() -> None:
    first, second = plan_of("gpt-4o", request_id="r-1"), plan_of("gpt-4o")

    assert first.request_id == "r-1"
    assert second.request_id
    assert first.stream_id != second.stream_id


def test_the_callers_metadata_are_copied() -> None:
    metadata = {"user": "u"}

    plan = plan_of("gpt-4o", metadata=metadata)
    metadata["user"] = "v"

    assert plan.metadata == {"user": "u"}


def test_whether_json_was_asked_for_is_known() -> None:
    assert not plan_of("gpt-4o").is_json
    assert plan_of("gpt-4o", response_format={"type": "json_object"}).is_json


def test_options_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected StreamingOptions, found dict"):
        plan_of("gpt-4o", streaming_options={"max_retries": 1})


def test_messages_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one message"):
        planner({"OPENAI_API_KEY": "k"}).plan([], "gpt-4o", CallArguments())


def test_headers_of_the_callers_may_hold_a_key_so_they_are_not_shown() -> None:
    arguments = CallArguments.read({"extra_headers": {"authorization": "sk-secret"}})

    assert "sk-secret" not in repr(arguments)
