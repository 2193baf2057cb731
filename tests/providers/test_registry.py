from __future__ import annotations

import subprocess
import sys

import pytest

from steer_llm_sdk.errors import UnknownModelError, UnknownProviderError
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.registry import (
    PROVIDERS,
    provider_row,
    resolve_model,
    wire_format,
)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("chatgpt-4o-latest", ("openai", "chatgpt-4o-latest")),
        ("o3-mini", ("openai", "o3-mini")),
        ("ft:gpt-4o:acme::id", ("openai", "ft:gpt-4o:acme::id")),
        ("claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("grok-4", ("xai", "grok-4")),
        ("gemini-2.5-flash", ("gemini", "gemini-2.5-flash")),
        ("ollama:llama3.2:3b", ("ollama", "llama3.2:3b")),
        (
            "openrouter/anthropic/claude-sonnet-4.5",
            ("openrouter", "anthropic/claude-sonnet-4.5"),
        ),
        ("openai-responses:gpt-5", ("openai-responses", "gpt-5")),
        ("groq/openai/gpt-oss-20b", ("groq", "openai/gpt-oss-20b")),
        ("local:smollm2", ("local", "smollm2")),
        ("mistral:mistral-small-latest", ("mistral", "mistral-small-latest")),
        ("mistral/7b", ("mistral", "7b")),
        ("anthropic/claude-3-haiku", ("anthropic", "claude-3-haiku")),
    ],
)
def test_a_name_says_who_serves_it(model: str, expected: tuple[str, str]) -> None:
    assert resolve_model(model) == expected


def test_the_provider_decides_and_leaves_the_name_untouched() -> None:
    assert resolve_model("openai/gpt-oss-120b", "groq") == ("groq", "openai/gpt-oss-120b")
    assert resolve_model("ollama:mistral:7b", "vllm") == ("vllm", "ollama:mistral:7b")


def test_names_that_the_caller_added_are_known() -> None:
    assert resolve_model("mine:x", known_names=["mine", "openai"]) == ("mine", "x")
    assert resolve_model("x", "mine", ["mine"]) == ("mine", "x")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("llama3.2:3b", "'ollama:llama3.2:3b' or 'openrouter:llama3.2:3b'"),
        ("gpt-oss:20b", "'ollama:gpt-oss:20b'"),
        ("gpt-oss-120b", "'ollama:gpt-oss-120b'"),
        ("meta-llama/Llama-3-8b", "'openrouter:meta-llama/Llama-3-8b'"),
        ("opnai:gpt-4o", "did you mean 'openai:gpt-4o'"),
        ("Groq/llama", "did you mean 'groq/llama'"),
        ("omega", "provider="),
        ("gtp-4o", "did you mean 'gpt-4o'?"),
        ("GPT-4o", "did you mean 'gpt-4o'?"),
        ("Claude-Sonnet-4-5", "did you mean 'claude-sonnet-4-5'?"),
        ("cluade-sonnet-4-5", "did you mean 'claude-sonnet-4-5'?"),
        ("gemni-2.5-flash", "did you mean 'gemini-2.5-flash'?"),
        ("O3-mini", "did you mean 'o3-mini'?"),
        ("gemma-3", "'ollama:gemma-3'"),
        ("deepseek-chat", "'deepseek:deepseek-chat', 'ollama:deepseek-chat' or 'openrouter:"),
        ("mistral-large-latest", "('mistral:mistral-large-latest', "),
        ("local-model", "('ollama:local-model' or "),
        ("models/gemini-2.5-pro", "('gemini:gemini-2.5-pro', "),
        ("google/gemini-2.5-pro", "('gemini:gemini-2.5-pro', 'openrouter:google/gemini-2.5-pro'"),
        ("ollama_chat/llama3", "did you mean 'ollama/llama3'?"),
        ("hosted_vllm/mine", "did you mean 'vllm/mine'?"),
        ("nvidia_nim/nemotron", "did you mean 'nvidia:nemotron'?"),
        ("openai-chat:gpt-4o", "did you mean 'openai:gpt-4o'?"),
    ],
)
def test_an_unknown_name_is_told_what_would_work(model: str, said: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve_model(model)

    assert repr(model) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("model", ["mistral:7b", "mistral:latest", "mistral:7b-instruct-v0.3-q4_0"])
def test_a_name_with_two_readings_is_told_both(model: str) -> None:
    with pytest.raises(UnknownModelError, match="two readings") as caught:
        resolve_model(model)

    assert f"'ollama:{model}'" in str(caught.value)
    assert "provider='mistral'" in str(caught.value)


def test_a_name_without_a_model_is_none() -> None:
    with pytest.raises(UnknownModelError, match="names the provider 'openai' and no model"):
        resolve_model("openai:")
    with pytest.raises(UnknownModelError, match="found ''"):
        resolve_model("")


@pytest.mark.parametrize("model", ["gpt-4o\n", " gpt-4o", "openai:gpt-4o ", "\t"])
@pytest.mark.parametrize("provider", [None, "openai"])
def test_a_name_has_no_white_space_around_it(model: str, provider: str | None) -> None:
    with pytest.raises(UnknownModelError, match="without white space around it, found '"):
        resolve_model(model, provider)


def test_an_unknown_provider_is_told_the_nearest() -> None:
    with pytest.raises(UnknownProviderError, match="did you mean 'anthropic'"):
        resolve_model("claude-x", "antropic")
    with pytest.raises(UnknownProviderError, match="did you mean 'openai'"):
        resolve_model("gpt-4o", "OpenAI")
    with pytest.raises(UnknownProviderError, match=r"'zzz': Known are alibaba, anthropic, azure"):
        provider_row("zzz")


def test_a_row_is_found_by_its_name() -> None:
    assert provider_row("gemini").key_env == ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    assert provider_row("ollama").base_url_env == ("OLLAMA_BASE_URL", "OLLAMA_HOST")
    assert provider_row("openai-responses").base_url_env == ("OPENAI_BASE_URL",)


def test_a_wire_format_is_made_with_the_dialect_of_its_row() -> None:
    assert isinstance(wire_format(provider_row("groq")), OpenAIChat)
    assert isinstance(wire_format(provider_row("mistral")), OpenAIChat)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_row_has_a_wire_format(name: str) -> None:
    wire = wire_format(PROVIDERS[name])

    assert wire.markers.end or wire.markers.finish


def test_importing_the_registry_imports_no_wire_format() -> None:
    code = (
        "import sys; import steer_llm_sdk.providers.registry; "
        "print([m for m in sys.modules if m.endswith(('openai_chat', 'anthropic', 'sse'))])"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
