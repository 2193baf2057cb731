"""What a caller passes becomes a plan: keys, endpoints, models, and what is refused at once."""

from __future__ import annotations

import inspect
import json
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient, SyncSteerLLMClient
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


# --- keywords that belong elsewhere -------------------------------------------------------------

PLACES = {
    "timeout": "streaming_options=StreamingOptions(total_timeout=…)",
    "request_timeout": "streaming_options=StreamingOptions(total_timeout=…)",
    "max_retries": "streaming_options=StreamingOptions(max_retries=…)",
    "num_retries": "streaming_options=StreamingOptions(max_retries=…)",
    "event_processor": "streaming_options=StreamingOptions(event_processor=…)",
    "text_transformers": "streaming_options=StreamingOptions(text_transformers=…)",
    "fallbacks": "streaming_options=StreamingOptions(fallback_models=…)",
    "idle_timeout": "streaming_options=StreamingOptions(idle_timeout=…)",
    "options": "did you mean 'streaming_options'?",
    "on_delta": "callbacks go to stream_with_usage",
    "on_error": "callbacks go to stream_with_usage",
    "stream": "every method streams",
    "base_url": "SteerLLMClient(providers={'openai': ProviderSettings(base_url=…)})",
    "api_base": "SteerLLMClient(providers={'openai': ProviderSettings(base_url=…)})",
    "proxy": "SteerLLMClient(providers={'openai': ProviderSettings(proxy=…)})",
    "verify": "SteerLLMClient(providers={'openai': ProviderSettings(verify=…)})",
    "transport": "SteerLLMClient(transport=…)",
    "http_client": "the library makes its own connections",
    "gemini_api_key": "{'gemini': ProviderSettings(api_key=…)}), or set GEMINI_API_KEY",
    "google_api_key": "{'gemini': ProviderSettings(api_key=…)}), or set GEMINI_API_KEY",
    "openai_api_key": "{'openai': ProviderSettings(api_key=…)}), or set OPENAI_API_KEY",
    "auth_token": "a key belongs to the client",
    "max_completion_tokens": "did you mean 'max_tokens'?",
    "max_output_tokens": "did you mean 'max_tokens'?",
    "system_prompt": "did you mean 'system'?",
    "stop_sequences": "did you mean 'stop'?",
    "reasoning_effort": "did you mean 'reasoning'?",
    "thinking": "did you mean 'reasoning'?",
    "functions": "did you mean 'tools'?",
    "headers": "did you mean 'extra_headers'?",
    "response_model": "did you mean 'response_format'?",
    "prompt": "did you mean 'messages'?",
    "message": "did you mean 'messages'?",
    "modle": "did you mean 'model'?",
    "max_workers": "did you mean 'concurrency'? (of client.map)",
    "concurency": "did you mean 'concurrency'? (of client.map)",
    "on_progres": "did you mean 'on_progress'? (of client.map)",
    "max_turn": "did you mean 'max_turns'? (of client.run)",
    "exat": "did you mean 'exact'? (of client.count_tokens)",
    "journal": "it belongs to client.start(…, journal=…)",
    "max_steps": "did you mean 'max_turns'? (of client.run)",
    "ollama_host": "SteerLLMClient(providers={'ollama': ProviderSettings(base_url=…)})",
    "region": "AWS_REGION",
    "item_type": "it belongs to client.stream_items(…, item_type=…)",
    "budget_tokens": "streaming_options=StreamingOptions(budget_tokens=…)",
    "temp": "did you mean 'temperature'?",
    "event_procesor": "StreamingOptions(event_processor=…)",
    "on_detla": "did you mean 'on_delta'? (a callback",
}


# Arguments of methods that ask no model.
OF_NO_CALL = {"after", "grace", "reason", "stream_id"}


@pytest.mark.parametrize("client", [SteerLLMClient, SyncSteerLLMClient])
def test_what_another_method_takes_is_no_field_of_the_provider(client: Any) -> None:
    taken = {
        name
        for method_name, method in inspect.getmembers(client, inspect.isfunction)
        for name, parameter in inspect.signature(method).parameters.items()
        if not method_name.startswith("_") and parameter.kind is not parameter.VAR_KEYWORD
    }
    elsewhere = taken - {"self", *CallArguments.__slots__} - OF_NO_CALL

    assert {"item_type", "journal", "prompts"} <= elsewhere
    for name in elsewhere:
        with pytest.raises(TypeError, match=f"'{name}': ") as caught:
            CallArguments.read({name: 1})
        assert "extra_body" not in str(caught.value)


def test_what_is_nearest_to_a_keyword_of_the_call_is_that() -> None:
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        CallArguments.read({"temprature": 1})


@pytest.mark.parametrize(("name", "advice"), PLACES.items())
def test_a_keyword_that_belongs_elsewhere_is_told_where(name: str, advice: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}': ") as caught:
        CallArguments.read({name: 1})

    assert advice in str(caught.value)
    assert "extra_body" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["apikey", "access_token", "bearer_token", "client_secret", "password", "authorization"]
)
def test_no_advice_puts_a_key_into_a_body(name: str) -> None:
    for refuse in (CallArguments.read, lambda given: SteerLLMClient(**given)):
        with pytest.raises(TypeError) as caught:
            refuse({name: "sk-secret"})

        assert "extra_body" not in str(caught.value)
        assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("client", [SteerLLMClient, SyncSteerLLMClient])
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("gemini_api_key", "{'gemini': ProviderSettings(api_key=…)}), or set GEMINI_API_KEY"),
        ("api_key", "SteerLLMClient(providers={'openai': ProviderSettings(api_key=…)})"),
        ("base_url", "SteerLLMClient(providers={'openai': ProviderSettings(base_url=…)})"),
        ("timeout", "streaming_options=StreamingOptions(total_timeout=…)"),
        ("max_retries", "streaming_options=StreamingOptions(max_retries=…)"),
        ("event_processor", "streaming_options=StreamingOptions(event_processor=…)"),
        ("temperature", "it belongs to each call: client.generate(…, temperature=…)"),
        ("system_prompt", "it belongs to each call: client.generate(…, system=…)"),
        ("http_client", "the library makes its own connections"),
        ("openai_key", "did you mean 'openai_api_key'?"),
        ("openai_base_url", "{'openai': ProviderSettings(base_url=…)}"),
        ("azure_endpoint", "{'azure': ProviderSettings(base_url=…)}"),
        ("google_url", "{'gemini': ProviderSettings(base_url=…)}"),
        ("organization", "ProviderSettings says how a provider is reached; it is a header"),
        ("api_version", "base_url='https://…?api-version=…'"),
        ("provider", "it belongs to each call: client.generate(…, provider=…)"),
        ("zzz", "unexpected keyword argument 'zzz'"),
    ],
)
def test_a_client_says_where_a_keyword_belongs_that_it_does_not_take(
    client: Any, name: str, advice: str
) -> None:
    with pytest.raises(TypeError, match=f"'{name}'") as caught:
        client(**{name: 1})

    assert advice in str(caught.value)


def test_a_subclass_of_a_client_may_have_keywords_of_its_own() -> None:
    class Mine(SteerLLMClient):
        def __init__(self, base_url: str, **given: Any) -> None:
            self.base_url = base_url
            super().__init__(**given)

    assert Mine(base_url="x", openai_api_key="k").base_url == "x"
    with pytest.raises(TypeError, match="StreamingOptions"):
        Mine("x", timeout=3)


# --- values that are not what they should be --------------------------------------------------

WRONG: dict[str, tuple[Any, str]] = {
    "max_tokens below": (-5, "max_tokens: expected a whole number above 0, or None, found -5"),
    "max_tokens text": ("100", "max_tokens: expected a whole number above 0, or None, found '100'"),
    "max_tokens half": (1.5, "max_tokens: expected a whole number above 0, or None, found 1.5"),
    "max_tokens bool": (True, "max_tokens: expected a whole number above 0, or None, found True"),
    "temperature text": ("hot", "temperature: expected a finite number of at least 0, or None"),
    "temperature nan": (math.nan, "temperature: expected a finite number of at least 0, or None"),
    "temperature inf": (math.inf, "temperature: expected a finite number of at least 0, or None"),
    "temperature below": (-1, "temperature: expected a finite number of at least 0, or None"),
    "top_p above": (1.1, "top_p: expected a number from 0 to 1, or None, found 1.1"),
    "top_p nan": (math.nan, "top_p: expected a number from 0 to 1, or None, found nan"),
    "seed half": (1.5, "seed: expected a whole number, or None, found 1.5"),
    "seed text": ("7", "seed: expected a whole number, or None, found '7'"),
    "seed bool": (False, "seed: expected a whole number, or None, found False"),
    "reasoning word": ("xhigh", "reasoning: expected 'none', 'minimal', 'low', 'medium', 'high'"),
    "reasoning below": (-1, "or a budget in tokens, or None, found -1"),
    "reasoning bool": (True, "or a budget in tokens, or None, found True"),
    "stop number": (5, "stop: expected a str or a list of strings, none of them empty"),
    "stop empty": ("", "stop: expected a str or a list of strings, none of them empty"),
    "stop numbers": ([5], "stop: expected a str or a list of strings, none of them empty"),
    "stop bytes": (b"END", "stop: expected a str or a list of strings, none of them empty"),
    "system list": ([{"text": "x"}], "system: expected a str, or None, found [{'text': 'x'}]"),
    "provider number": (5, "provider: expected a str, or None, found 5"),
    "request_id number": (5, "request_id: expected a str, or None, found 5"),
    "metadata list": ([1], "metadata: expected a mapping whose keys are strings, or None"),
    "metadata key": ({1: 2}, "metadata: expected a mapping whose keys are strings, or None"),
    "extra_body text": ("{}", "extra_body: expected a mapping whose keys are strings, or None"),
    "tools mapping": ({"name": "f"}, "tools: expected a list of tools, found dict"),
    "tools text": ("f", "tools: expected a list of tools, found str"),
    "tools number": (5, "tools: expected a list of tools, found int"),
    "tool_choice number": (5, "tool_choice: expected a string or a mapping, found int"),
    "extra_headers text": ("a: b", "extra_headers: expected a mapping of names to values"),
    "streaming_options dict": ({}, "streaming_options: expected StreamingOptions, found dict"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_value_that_is_something_else_is_refused_with_what_was_expected(what: str) -> None:
    (value, complaint), name = WRONG[what], what.partition(" ")[0]

    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        plan_of("gpt-4o", **{name: value})


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0},
        {"temperature": 2.0},
        {"top_p": 0, "seed": -1, "max_tokens": 1},
        {"stop": ("a", "b")},
        {"stop": []},
        {"reasoning": "none"},
        {"metadata": MappingProxyType({"a": 1})},
        {"request_id": ""},
    ],
)
def test_a_value_that_is_right_is_taken(given: dict[str, Any]) -> None:
    assert plan_of("gpt-4o", **given).targets


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_of("gpt-4o", seed="x" * 10_000)

    assert len(str(caught.value)) < 200
    assert str(caught.value).endswith("…")


HEADERS: dict[str, tuple[Any, str]] = {
    "int": ({"X-Tenant": 5}, "expected the value of 'X-Tenant' to be a str, found int: write str"),
    "float": ({"X-Tenant": 0.5}, "'X-Tenant' to be a str, found float: write str(…)"),
    "bool": ({"X-Tenant": True}, "'X-Tenant' to be a str, found bool: write what the server"),
    "None": ({"X-Trace": None}, "'X-Trace' to be a str, found NoneType: leave the header out"),
    "bytes": ({"X-Trace": b"a"}, "'X-Trace' to be a str, found bytes: decode it first"),
    "list": ({"X-Trace": ["a"]}, "'X-Trace' to be a str, found list"),
    "line feed": ({"X-Trace": "a\nb"}, "the value of 'X-Trace' has a line break"),
    "carriage return": ({"X-Trace": "a\rb"}, "the value of 'X-Trace' has a line break"),
    "null": ({"X-Trace": "a\0b"}, "the value of 'X-Trace' has a line break"),
    "number as name": ({1: "a"}, "expected the name of a header, found 1"),
    "empty name": ({"": "a"}, "expected the name of a header, found ''"),
    "space in name": ({"X Trace": "a"}, "expected the name of a header, found 'X Trace'"),
    "line in name": ({"X\n": "a"}, r"expected the name of a header, found 'X\n'"),
    "colon in name": ({"X:": "a"}, "expected the name of a header, found 'X:'"),
    "letter in name": ({"Ü": "a"}, "expected the name of a header, found 'Ü'"),
    "length": ({"Content-Length": "5"}, "'Content-Length' is said by the library itself"),
    "coding": ({"transfer-encoding": "x"}, "'transfer-encoding' is said by the library itself"),
    "list of pairs": ([("a", "b")], "expected a mapping of names to values, found list"),
}


@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize("where", ["extra_headers", "openai: headers"])
def test_a_header_that_cannot_be_sent_is_refused_by_its_name(what: str, where: str) -> None:
    headers, complaint = HEADERS[what]
    made_by = planner({"OPENAI_API_KEY": "k"})
    given = {"extra_headers": headers}
    if where != "extra_headers":
        made_by, given = planner(openai=ProviderSettings(api_key="k", headers=headers)), {}

    with pytest.raises(ConfigurationError, match=re.escape(f"{where}: ")) as caught:
        plan_of("gpt-4o", made_by, **given)

    assert complaint in str(caught.value)


def test_headers_that_can_be_sent_are() -> None:
    headers = {"X-Trace.id_1!": "a\tb; ü", "x-empty": ""}

    (target,) = plan_of("gpt-4o", extra_headers=MappingProxyType(headers)).targets

    assert target.chat.extra_headers == headers


def test_headers_of_a_call_are_in_no_repr() -> None:
    headers = {"x-key": "sk-secret"}

    assert "sk-secret" not in repr(CallArguments(extra_headers=headers))
    assert "sk-secret" not in repr(plan_of("gpt-4o", extra_headers=headers))


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (
            "api_key",
            123,
            "openai: api_key: expected a str, or a function that gives one, or None, found int",
        ),
        ("base_url", 5, "openai: base_url: expected a str, or None, found 5"),
        ("proxy", 5, "openai: proxy: expected a str, or None, found int"),
        ("verify", "nowhere.pem", "found 'nowhere.pem': No such file or directory"),
        ("model_path", 5, "openai: model_path: expected a path, or None, found 5"),
        ("model_path", "a\0b", "openai: model_path: expected a path, or None, found 'a\\x00b'"),
        ("verify", "\ud800", "openai: verify: expected True, False, a path or an"),
        ("client_cert", "a\0b", "openai: client_cert: expected a path, or (certificate, key)"),
        ("client_cert", ("a", ""), "openai: client_cert: expected a path, or (certificate, key)"),
        ("proxy", "http://[::1", "openai: expected proxy to be a URL such as"),
        ("proxy", "ftp://me:secret@x", "found another text, which is not shown"),
        ("proxy", "http://", "openai: expected proxy to be a URL"),
        ("proxy", "http://x:port", "openai: expected proxy to be a URL"),
        ("proxy", "http://a\n.example", "openai: expected proxy to be a URL"),
        ("proxy", "me:secret", "found another text, which is not shown"),
    ],
)
def test_settings_are_checked_by_the_first_call_that_uses_them(
    field: str, value: Any, complaint: str
) -> None:
    made_by = planner(openai=ProviderSettings(**{"api_key": "k", field: value}))

    with pytest.raises(ConfigurationError, match=re.escape(complaint)) as caught:
        plan_of("gpt-4o", made_by)

    assert "cret" not in str(caught.value)
    assert plan_of("ollama:x", made_by).targets  # the others are not concerned


@pytest.mark.parametrize("client", [SteerLLMClient, SyncSteerLLMClient])
@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"openai_api_key": 123}, "openai: the API key: expected a str, or None, found int"),
        ({"anthropic_api_key": b"k"}, "anthropic: the API key: expected a str, or None"),
        (
            {"providers": {"openai": "http://x"}},
            "providers['openai']: expected ProviderSettings(…)",
        ),
        ({"providers": {"openai": {"base_url": "x"}}}, "found dict: write ProviderSettings(**…)"),
        ({"providers": {"openai": None}}, "expected ProviderSettings(…), found NoneType"),
        ({"providers": [("openai", 1)]}, "providers: expected a mapping of names to Provider"),
        (
            {"providers": {"mine": ProviderSettings(kind=5)}},  # type: ignore[arg-type]
            "providers['mine']: kind: expected a str, or None, found 5",
        ),
        (
            {"providers": {5: ProviderSettings(kind="vllm")}},
            "providers: the name 5: expected a str, found 5",
        ),
    ],
)
def test_a_client_of_wrong_keys_or_providers_is_not_made(
    client: Any, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        client(**given)


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


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example",
        "http:/x.example/v1",
        "https//x.example/v1",
        "http://",
        "https",
        "http://:8000/v1",
        "http://x.example:port/v1",
        "http://[::1/v1",
        "http://x example/v1",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="openai: expected OPENAI_BASE_URL to be an http"):
        plan_of("gpt-4o", planner({"OPENAI_BASE_URL": url}))
    with pytest.raises(ConfigurationError, match="openai: expected base_url to be an http"):
        plan_of("gpt-4o", planner(openai=ProviderSettings(base_url=url)))


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


def test_a_proxy_without_a_scheme_is_one_of_http() -> None:
    settings = ProviderSettings(api_key="k", proxy="proxy.example:3128")

    (target,) = plan_of("gpt-4o", planner(openai=settings)).targets

    assert target.proxy == "http://proxy.example:3128"


async def test_a_password_in_an_address_is_sent_only_where_there_is_no_key() -> None:
    address = "https://me:secret@proxy.example/v1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = await endpoint_of("gpt-4o", planner(openai=ProviderSettings(base_url=address)))
        keyed = await endpoint_of(
            "gpt-4o", planner(openai=ProviderSettings(base_url=address, api_key="sk-1"))
        )
        own = ProviderSettings(base_url=address, headers={"authorization": "mine"})
        headed = await endpoint_of("gpt-4o", planner(openai=own))

    assert bare.headers == {"authorization": "Basic bWU6c2VjcmV0"}
    assert (keyed.api_key, keyed.headers) == ("sk-1", {})
    assert headed.headers == {"authorization": "mine"}


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
    with pytest.raises(UnknownProviderError, match=r"'OpenAI' .*did you mean 'openai'\?\); a new"):
        planner(OpenAI=ProviderSettings())
    with pytest.raises(UnknownProviderError, match="5 is no known provider; a new one needs kind="):
        Planner({}, {5: ProviderSettings()})  # type: ignore[dict-item]
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


@pytest.mark.parametrize(
    ("fallback", "given", "complaint"),
    [
        ("gtp-4o", {}, "did you mean 'gpt-4o'?"),
        ("claude-x", {"seed": 7}, "seed"),
        ("ollama:x", {"tools": [{"name": "f"}], "tool_choice": "f"}, "the choice of a tool"),
        ("local:nothing", {}, "the embedded model is called 'smollm2'"),
        ("openai:", {}, "names the provider 'openai' and no model"),
    ],
)
def test_a_fallback_that_cannot_be_made_is_refused_with_its_name(
    fallback: str, given: dict[str, Any], complaint: str
) -> None:
    options = StreamingOptions(fallback_models=["gpt-4o-mini", fallback])
    made_by = planner({"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"})

    with pytest.raises(ConfigurationError, match=f"^fallback_models: '{fallback}': ") as caught:
        plan_of("gpt-4o", made_by, streaming_options=options, **given)

    assert complaint in str(caught.value)
    assert caught.value.__context__ is None


def test_the_embedded_model_as_a_fallback_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEER_CACHE_DIR", str(tmp_path))
    options = StreamingOptions(fallback_models=["local:smollm2"])

    with pytest.raises(ConfigurationError, match=r"fallback_models: 'local:smollm2': the embedded"):
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


@pytest.mark.parametrize(("given", "asked"), [("high", "high"), (2048, 2048), (0, "none")])
def test_how_much_to_reason_is_in_the_request(given: Any, asked: Any) -> None:
    (target,) = plan_of(
        "claude-sonnet-4-5", planner({"ANTHROPIC_API_KEY": "k"}), reasoning=given
    ).targets

    assert target.chat.reasoning == asked


def test_a_fallback_that_cannot_be_told_how_much_to_reason_is_refused_at_once() -> None:
    made_by = planner({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"})
    options = StreamingOptions(fallback_models=["gpt-5"])

    with pytest.raises(ConfigurationError, match=r"fallback_models: 'gpt-5': openai: reasoning=20"):
        plan_of("claude-sonnet-4-5", made_by, reasoning=2048, streaming_options=options)


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
