from __future__ import annotations

import pytest

from steer_llm_sdk.cli.words import one_line
from steer_llm_sdk.client import SteerLLMClient
from steer_llm_sdk.errors import ServerError, SteerError


def told(model: str) -> str:
    try:
        SteerLLMClient().stream_events("hi", model)
    except SteerError as error:
        return one_line(error)
    raise AssertionError("it was accepted")


@pytest.mark.parametrize(
    "model", ["gpt-4o", "nonsense", "mistral:7b", "opnai:gpt-4o", "nope:x", "gpt4o", "ollama"]
)
def test_no_error_speaks_python_to_a_shell(model: str) -> None:
    words = told(model)

    assert len(words) < 250  # not all providers: `steer providers` lists them
    for python in ("providers={", "ProviderSettings", "provider=", "model="):
        assert python not in words.replace("-o provider=", "")


@pytest.mark.parametrize(
    ("library", "shell"),
    [
        (
            "needs the extra; StreamingOptions(validate_schema=False) leaves the check out",
            "needs the extra",
        ),
        (
            "for a key set VERTEX_API_KEY, or pass providers={'vertex': ProviderSettings(…)}",
            "for a key export VERTEX_API_KEY=…",
        ),
    ],
)
def test_advice_for_programs_is_left_out(library: str, shell: str) -> None:
    assert one_line(SteerError(library)) == shell


def test_a_key_that_is_missing_is_a_line_for_the_shell() -> None:
    assert told("gpt-4o") == (
        "openai: no API key: export OPENAI_API_KEY=…; `steer providers` lists the variables"
    )


def test_two_readings_are_two_commands() -> None:
    assert "-m 7b -o provider=mistral is the model '7b' of mistral" in told("mistral:7b")


def test_an_error_is_one_line_without_control_characters() -> None:
    assert one_line(ServerError("bad\n\x1b[2Jnews")) == "bad [2Jnews"
    assert one_line(ServerError("")) == "ServerError"
    assert one_line(ValueError("what")) == "ValueError: what"
