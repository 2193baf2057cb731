"""What is asked, and whom: the prompt from the arguments and the pipe, the model by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from steer_llm_sdk.cli.streams import argument_text, is_piped, read_text
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.local.weights import EMBEDDED_MODEL
from steer_llm_sdk.providers.registry import PROVIDERS


class ModelChoice(NamedTuple):
    """The model to ask, and how it is reached. `provider` is None where the name says it."""

    model: str
    provider: str | None = None
    settings: Mapping[str, ProviderSettings] | None = None
    is_default: bool = False

    @property
    def notice(self) -> str:
        """Say that nobody chose it."""
        return f"No model is named and no key is set: {self.model} answers."


def read_prompt(words: Sequence[str], pipe: TextIO | None) -> str:
    """The prompt: the words, what is piped in, or both with a blank line between.

    Args:
        words: The prompt from the command line, joined by spaces; ``-`` or none for what is piped
            in alone.
        pipe: Standard input.

    Raises:
        ConfigurationError: Nothing was said.
    """
    argument = " ".join(map(argument_text, words))
    said = [] if argument in {"", "-"} else [argument]
    if argument == "-" or is_piped(pipe):
        said.append(read_text(pipe))
    prompt = "\n\n".join(text.strip() for text in said if text.strip())
    if not prompt:
        raise ConfigurationError("there is no prompt: give one as an argument, or pipe it in")
    return prompt


def choose_model(
    model: str | None, model_path: str | None, environment: Mapping[str, str]
) -> ModelChoice:
    """Whom to ask.

    Args:
        model: What ``-m`` says.
        model_path: What ``--model-path`` says: a file for the embedded server.
        environment: Where keys are looked for.

    Raises:
        ConfigurationError: No model is named, and keys are set: which one is meant?
    """
    if model_path is not None:
        if model is not None:
            raise ConfigurationError("-m and --model-path name two models: give one of them")
        settings = {"local": ProviderSettings(model_path=model_path)}
        return ModelChoice(Path(model_path).stem, "local", settings)
    if model is not None:
        return ModelChoice(model)
    found = keys_that_are_set(environment)
    if found:
        raise ConfigurationError(
            f"no model is named, and {', '.join(found)} is set: say which model with -m "
            f"(-m local:{EMBEDDED_MODEL} is the embedded one)"
        )
    return ModelChoice(f"local:{EMBEDDED_MODEL}", is_default=True)


def keys_that_are_set(environment: Mapping[str, str]) -> list[str]:
    """The names of the key variables that are set; never their values."""
    names = dict.fromkeys(name for row in PROVIDERS.values() for name in row.key_env)
    return [name for name in names if environment.get(name, "").strip()]
