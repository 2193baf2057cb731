"""``steer models``: what providers list, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from steer_llm_sdk.cli.main import main
from steer_llm_sdk.testing import HTTPError, LoopbackServer

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LoopbackServer]]:
    """Start a server that lists models, and is a provider's for this shell."""
    with ExitStack() as stack:

        def start(provider: str, models: list[str], answers: object = None) -> LoopbackServer:
            running = LoopbackServer(answers, models=models).in_thread()  # type: ignore[arg-type]
            server = stack.enter_context(running)
            monkeypatch.setenv(f"{provider.upper()}_API_KEY", "sk-of-a-test-0123456789")
            monkeypatch.setenv(f"{provider.upper()}_BASE_URL", server.base_url(provider))
            return server

        yield start


def test_a_providers_models_are_a_table(
    lists: Callable[..., LoopbackServer], capsys: Captured
) -> None:
    lists("anthropic", ["claude-x", "claude-\x1b[31mred\n"])

    assert main(["models", "anthropic"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "MODEL                     CONTEXT  CREATED     NAME",
        "anthropic:claude-x        128000   2025-10-09  Claude-X",
        "anthropic:claude-[31mred  128000   2025-10-09  Claude-[31Mred",
    ]


def test_a_model_is_a_line_of_json_with_all_its_details(
    lists: Callable[..., LoopbackServer], capsys: Captured
) -> None:
    lists("openai", ["a", "b"])

    assert main(["models", "openai", "--json"]) == 0

    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["model"], first["id"], second["model"]) == ("openai:a", "a", "openai:b")
    assert first["details"] == {
        "id": "a",
        "object": "model",
        "created": 1_760_000_000,
        "owned_by": "scripted",
    }


def test_without_a_name_all_whose_keys_are_set_are_asked(
    lists: Callable[..., LoopbackServer], capsys: Captured
) -> None:
    lists("openai", ["a"])
    lists("mistral", ["b"])

    assert main(["models"]) == 0

    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert rows == ["MODEL", "mistral:b", "openai:a", "openai-responses:a", "local:smollm2"]


def test_one_that_cannot_be_asked_keeps_no_other_from_being_listed(
    lists: Callable[..., LoopbackServer], capsys: Captured
) -> None:
    lists("openai", ["a"])
    lists("mistral", [], HTTPError(401))

    assert main(["models", "openai", "mistral", "groq", "nobody"]) == 1

    told = capsys.readouterr()
    assert "openai:a" in told.out
    assert "Error: mistral (401)" in told.err
    assert "Error: groq: no API key: export GROQ_API_KEY=…" in told.err
    assert "Error: no provider is called 'nobody'" in told.err


def test_a_provider_without_models_is_no_table(
    lists: Callable[..., LoopbackServer], capsys: Captured
) -> None:
    lists("openai", [])

    assert main(["models", "openai"]) == 0
    assert capsys.readouterr().out == ""
