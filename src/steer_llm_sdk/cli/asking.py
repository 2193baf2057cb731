"""What every command that asks a model has in common: its options, and the call that they make."""

from __future__ import annotations

import argparse
import os
from typing import Any, NamedTuple

from steer_llm_sdk.cli.counts import at_least_0, positive
from steer_llm_sdk.cli.functions import load_functions
from steer_llm_sdk.cli.options import read_options, read_schema
from steer_llm_sdk.cli.prompt import ModelChoice, choose_model
from steer_llm_sdk.cli.streams import argument_text


class Question(NamedTuple):
    """Whom to ask, and the call's arguments beside the messages."""

    choice: ModelChoice
    arguments: dict[str, Any]

    def to(self, model: str) -> Question:
        """Ask the same of another model."""
        arguments = {k: v for k, v in self.arguments.items() if k != "provider"}
        return Question(ModelChoice(model), arguments)


def add_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the options that say whom to ask, and how.

    Args:
        parser: The command's.
        several: Whether ``-m`` may be given again, for one more model.
    """
    parser.add_argument(
        "-m",
        "--model",
        action="append" if several else "store",
        help="for example gpt-4o-mini or ollama:llama3.2:3b" + ("; give two or more" * several),
    )
    parser.add_argument("-s", "--system", type=argument_text, help="the system prompt")
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the model: temperature=0, max_tokens=100, stop=END, reasoning=low, or "
        "any field that the provider knows; may be given again",
    )
    parser.add_argument("--model-path", metavar="FILE", help="a .gguf file to run on this machine")
    parser.add_argument(
        "--max-tokens", type=positive, metavar="N", help="the longest answer, in tokens"
    )
    parser.add_argument(
        "--temperature", type=at_least_0, metavar="T", help="0 for no chance at all"
    )


def add_schema(parser: argparse.ArgumentParser) -> None:
    """Add ``--schema``."""
    parser.add_argument(
        "--schema",
        metavar="SCHEMA",
        help="answer as JSON: a JSON Schema's file, or fields such as 'name:str, age:int'",
    )


def add_tools(parser: argparse.ArgumentParser) -> None:
    """Add ``--tools``."""
    parser.add_argument(
        "--tools",
        action="append",
        metavar="MODULE:FUNCTION",
        help="a Python function that the model may call; it is run when it is called",
    )


def read_question(parsed: argparse.Namespace) -> Question:
    """Read these options.

    Raises:
        ConfigurationError: One cannot be understood, or no model is named and keys are set.
    """
    arguments: dict[str, Any] = read_options(parsed.option)
    for name in ("system", "max_tokens", "temperature"):
        if getattr(parsed, name) is not None:
            arguments[name] = getattr(parsed, name)
    if (schema := getattr(parsed, "schema", None)) is not None:
        arguments["response_format"] = read_schema(schema)
    if names := getattr(parsed, "tools", None):
        arguments["tools"] = load_functions(names)
    choice = choose_model(parsed.model, parsed.model_path, os.environ)
    if choice.provider is not None:  # the file of `--model-path`
        arguments["provider"] = choice.provider
    return Question(choice, arguments)
