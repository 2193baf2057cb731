from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TextIO

import pytest

from steer_llm_sdk.cli.prompt import choose_model, keys_that_are_set, read_prompt
from steer_llm_sdk.errors import ConfigurationError


@pytest.fixture
def piped() -> Iterator[TextIO]:
    """The end of a pipe into which somebody wrote."""
    reader, writer = os.pipe()
    os.write(writer, b"the piped text\n")
    os.close(writer)
    with os.fdopen(reader) as pipe:
        yield pipe


def test_an_argument_is_the_prompt() -> None:
    assert read_prompt(["Say", "hi"], io.StringIO("nobody piped this")) == "Say hi"


def test_an_argument_may_be_in_another_encoding() -> None:
    said = [os.fsdecode(text) for text in ("caf\xe9".encode("latin-1"), "né".encode())]

    assert read_prompt(said, io.StringIO("")) == "café né"


def test_what_is_piped_in_follows_the_argument(piped: TextIO) -> None:
    assert read_prompt(["Summarise:"], piped) == "Summarise:\n\nthe piped text"


@pytest.mark.parametrize("words", [["-"], []])
def test_what_is_piped_in_may_be_all(piped: TextIO, words: list[str]) -> None:
    assert read_prompt(words, piped) == "the piped text"


def test_a_dash_reads_whatever_standard_input_is() -> None:
    assert read_prompt(["-"], io.StringIO("typed by hand")) == "typed by hand"


@pytest.mark.parametrize("words", [[], [""], ["  "], ["-"]])
def test_nothing_said_is_an_error(words: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="there is no prompt"):
        read_prompt(words, io.StringIO(""))


def test_a_named_model_is_taken() -> None:
    choice = choose_model("gpt-4o-mini", None, {"OPENAI_API_KEY": "sk-1"})

    assert (choice.model, choice.provider, choice.settings) == ("gpt-4o-mini", None, None)


def test_without_model_and_key_the_embedded_model_answers() -> None:
    choice = choose_model(None, None, {"OPENAI_API_KEY": " "})

    assert choice.model == "local:smollm2"
    assert choice.is_default
    assert "local:smollm2 answers" in choice.notice


def test_with_a_key_and_no_model_nothing_is_guessed() -> None:
    keys = {"XAI_API_KEY": "secret-value", "HF_TOKEN": "secret-value"}

    with pytest.raises(ConfigurationError, match=r"XAI_API_KEY.* is set: .* with -m") as caught:
        choose_model(None, None, keys)

    assert "secret-value" not in str(caught.value)


def test_a_file_is_a_model_of_the_embedded_server() -> None:
    choice = choose_model(None, "/models/tiny.gguf", {"OPENAI_API_KEY": "sk-1"})

    assert choice.provider == "local"
    assert choice.settings is not None
    assert choice.settings["local"].model_path == "/models/tiny.gguf"


def test_a_file_and_a_name_are_one_model_too_many() -> None:
    with pytest.raises(ConfigurationError, match="two models"):
        choose_model("gpt-4o-mini", "/models/tiny.gguf", {})


def test_a_key_that_two_providers_share_is_named_once() -> None:
    assert keys_that_are_set({"OPENAI_API_KEY": "sk-1"}) == ["OPENAI_API_KEY"]
