from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest, JSONFormat
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.compatible import ROWS
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format


def ask(name: str, base_url: str | None = None, **more: object) -> HTTPRequest:
    row = PROVIDERS[name]
    url = base_url or row.base_url
    assert url is not None
    chat = ChatRequest("m", read_messages("Hi"), max_tokens=5, **more)  # type: ignore[arg-type] # any field
    return wire_format(row).request(chat, Endpoint(name, url, "k"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_says_where_the_server_is_and_how_to_configure_it(row: object) -> None:
    assert row in ROWS
    found = PROVIDERS[getattr(row, "name")]  # noqa: B009 - the parameter is typed as object

    assert found.name == "local" or found.base_url_env[0] == f"{found.name.upper()}_BASE_URL"
    assert found.name == "local" or found.key_env
    assert found.base_url is None or urlsplit(found.base_url).hostname


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("openai", "https://api.openai.com/v1/chat/completions"),
        ("xai", "https://api.x.ai/v1/chat/completions"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com/v1/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions"),
        ("together", "https://api.together.ai/v1/chat/completions"),
        ("fireworks", "https://api.fireworks.ai/inference/v1/chat/completions"),
        ("cerebras", "https://api.cerebras.ai/v1/chat/completions"),
        ("perplexity", "https://api.perplexity.ai/chat/completions"),
        ("moonshot", "https://api.moonshot.ai/v1/chat/completions"),
        ("huggingface", "https://router.huggingface.co/v1/chat/completions"),
        ("vllm", "http://localhost:8000/v1/chat/completions"),
        ("lmstudio", "http://localhost:1234/v1/chat/completions"),
        ("llamacpp", "http://localhost:8080/v1/chat/completions"),
    ],
)
def test_requests_go_to_the_documented_address(name: str, url: str) -> None:
    assert ask(name).url == url


@pytest.mark.parametrize("name", ["openai", "groq", "cerebras"])
def test_these_limit_the_answer_by_max_completion_tokens(name: str) -> None:
    assert json.loads(ask(name).body)["max_completion_tokens"] == 5


@pytest.mark.parametrize("name", ["xai", "openrouter", "vllm"])
def test_the_others_limit_the_answer_by_max_tokens(name: str) -> None:
    assert json.loads(ask(name).body)["max_tokens"] == 5


def test_a_copy_that_is_called_openai_gets_the_common_spelling() -> None:
    body = json.loads(ask("openai", "http://127.0.0.1:9/v1").body)

    assert body["max_tokens"] == 5
    assert "max_completion_tokens" not in body


def test_azure_takes_its_endpoint_its_header_and_its_v1_path() -> None:
    request = ask("azure", "https://me.openai.azure.com/")

    assert request.url == "https://me.openai.azure.com/openai/v1/chat/completions"
    assert request.headers["api-key"] == "k"
    assert "authorization" not in request.headers
    assert json.loads(request.body)["max_completion_tokens"] == 5


def test_perplexity_sends_usage_unasked() -> None:
    assert "stream_options" not in json.loads(ask("perplexity").body)


def test_deepseek_takes_no_schema() -> None:
    with pytest.raises(ConfigurationError, match="deepseek takes no JSON schema"):
        ask("deepseek", response_format=JSONFormat({}))


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("azure", "AZURE_OPENAI_API_KEY"),
        ("huggingface", "HF_TOKEN"),
        ("xai", "XAI_API_KEY"),
        ("perplexity", "PERPLEXITY_API_KEY"),
        ("moonshot", "MOONSHOT_API_KEY"),
    ],
)
def test_keys_come_from_the_usual_variables(name: str, variable: str) -> None:
    assert PROVIDERS[name].key_env[0] == variable


def test_servers_on_ones_own_machine_need_no_key() -> None:
    assert [row.name for row in ROWS if not row.needs_key] == [
        "vllm",
        "lmstudio",
        "llamacpp",
        "local",
    ]
