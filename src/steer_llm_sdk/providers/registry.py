"""Which provider serves which model: one row a provider.

A new wire format is one row here; a new server that copies OpenAI is one row in
`steer_llm_sdk.providers.compatible`. Importing this module imports no wire format: `wire_format`
does, for the one that is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

from steer_llm_sdk.errors import UnknownModelError, UnknownProviderError
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.compatible import COMMON, ROWS
from steer_llm_sdk.providers.dialects import ProviderRow
from steer_llm_sdk.providers.untried import UNTRIED

_PACKAGE = "steer_llm_sdk.providers"

_AZURE_KEYS = ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY")
_AZURE_URLS = ("AZURE_BASE_URL", "AZURE_OPENAI_ENDPOINT")
_AZURE_QUERY = {"api-version": ("OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION")}

# Azure has no address of its own, but one for each resource.
AZURE = tuple(
    ProviderRow(
        name, f"{_PACKAGE}.azure:{wire}", None, _AZURE_KEYS, _AZURE_URLS, query_env=_AZURE_QUERY
    )
    for name, wire in (("azure", "AzureChat"), ("azure-responses", "AzureResponses"))
)

_GOOGLE = f"{_PACKAGE}.auth.google"
_VERTEX_URL = "https://{location}-aiplatform.googleapis.com"

VERTEX = (
    ProviderRow(
        "vertex",
        f"{_PACKAGE}.vertex.formats:VertexGemini",
        _VERTEX_URL,
        key_env=("VERTEX_API_KEY",),
        base_url_env=("VERTEX_BASE_URL", "GOOGLE_VERTEX_BASE_URL"),
        access=f"{_GOOGLE}:gemini_access",
    ),
    ProviderRow(
        "vertex-anthropic",
        f"{_PACKAGE}.vertex.formats:VertexAnthropic",
        _VERTEX_URL,
        base_url_env=("ANTHROPIC_VERTEX_BASE_URL",),
        access=f"{_GOOGLE}:anthropic_access",
    ),
    ProviderRow(
        "vertex-openai",
        f"{_PACKAGE}.openai_chat.decoder:OpenAIChat",
        _VERTEX_URL,
        base_url_env=("VERTEX_BASE_URL",),
        dialect=COMMON,
        access=f"{_GOOGLE}:openai_access",
    ),
)

_AWS = f"{_PACKAGE}.auth.aws"
_BEARER = ("AWS_BEARER_TOKEN_BEDROCK",)

BEDROCK = (
    ProviderRow(
        "bedrock",
        f"{_PACKAGE}.bedrock.decoder:Converse",
        "https://bedrock-runtime.{region}.amazonaws.com",
        key_env=_BEARER,
        base_url_env=("BEDROCK_BASE_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        access=f"{_AWS}:runtime_access",
    ),
    ProviderRow(
        "bedrock-anthropic",
        f"{_PACKAGE}.bedrock.invoke:InvokeAnthropic",
        "https://bedrock-runtime.{region}.amazonaws.com",
        key_env=_BEARER,
        base_url_env=("ANTHROPIC_BEDROCK_BASE_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        access=f"{_AWS}:runtime_access",
    ),
    ProviderRow(
        "bedrock-mantle",
        f"{_PACKAGE}.openai_chat.decoder:OpenAIChat",
        "https://bedrock-mantle.{region}.api.aws/openai/v1",
        key_env=_BEARER,
        base_url_env=("BEDROCK_MANTLE_BASE_URL",),
        dialect=COMMON,
        access=f"{_AWS}:mantle_access",
    ),
    ProviderRow(
        "bedrock-mantle-responses",
        f"{_PACKAGE}.openai_responses.decoder:OpenAIResponses",
        "https://bedrock-mantle.{region}.api.aws/openai/v1",
        key_env=_BEARER,
        base_url_env=("BEDROCK_MANTLE_BASE_URL",),
        access=f"{_AWS}:mantle_access",
    ),
    ProviderRow(
        "bedrock-mantle-anthropic",
        f"{_PACKAGE}.anthropic.decoder:AnthropicMessages",
        "https://bedrock-mantle.{region}.api.aws/anthropic",
        key_env=_BEARER,
        base_url_env=("ANTHROPIC_BEDROCK_MANTLE_BASE_URL",),
        access=f"{_AWS}:mantle_access",
    ),
)

PROVIDERS: Mapping[str, ProviderRow] = {
    row.name: row
    for row in (
        *ROWS,
        *UNTRIED,
        ProviderRow(
            "openai-responses",
            f"{_PACKAGE}.openai_responses.decoder:OpenAIResponses",
            "https://api.openai.com/v1",
            key_env=("OPENAI_API_KEY",),
            base_url_env=("OPENAI_BASE_URL",),
        ),
        ProviderRow(
            "anthropic",
            f"{_PACKAGE}.anthropic.decoder:AnthropicMessages",
            "https://api.anthropic.com",
            key_env=("ANTHROPIC_API_KEY",),
            base_url_env=("ANTHROPIC_BASE_URL",),
            model_prefixes=("claude-",),
        ),
        ProviderRow(
            "gemini",
            f"{_PACKAGE}.gemini.decoder:Gemini",
            "https://generativelanguage.googleapis.com",
            key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            base_url_env=("GEMINI_BASE_URL",),
            model_prefixes=("gemini-",),
        ),
        ProviderRow(
            "mistral",
            f"{_PACKAGE}.openai_chat.mistral:Mistral",
            "https://api.mistral.ai/v1",
            key_env=("MISTRAL_API_KEY",),
            base_url_env=("MISTRAL_BASE_URL",),
        ),
        ProviderRow(
            "ollama",
            f"{_PACKAGE}.ollama.decoder:Ollama",
            "http://localhost:11434",
            key_env=("OLLAMA_API_KEY",),
            base_url_env=("OLLAMA_BASE_URL", "OLLAMA_HOST"),
            needs_key=False,
        ),
        ProviderRow(
            "gemini-interactions",
            f"{_PACKAGE}.interactions.decoder:Interactions",
            "https://generativelanguage.googleapis.com",
            key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            base_url_env=("GEMINI_BASE_URL",),
        ),
        ProviderRow(
            "cohere",
            f"{_PACKAGE}.cohere.decoder:Cohere",
            "https://api.cohere.com",
            key_env=("COHERE_API_KEY", "CO_API_KEY"),
            base_url_env=("COHERE_BASE_URL", "CO_API_URL"),
        ),
        *AZURE,
        *BEDROCK,
        *VERTEX,
    )
}

_PREFIXES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(prefix), row.name) for row in PROVIDERS.values() for prefix in row.model_prefixes
)

# The words that those prefixes begin with, and how alike another must be: two letters of a short
# word that changed places ("gtp") make it two thirds.
_FAMILY_WORDS = ("chatgpt", "claude", "gemini", "gpt", "grok")
_NEAR_WORD = 0.66

# A whole model's name, for who wrote one of these words alone.
_WHOLE_NAMES = {
    "chatgpt": "chatgpt-4o-latest",
    "claude": "claude-haiku-4-5",
    "gemini": "gemini-2.5-flash",
    "gpt": "gpt-4o-mini",
    "grok": "grok-4",
    "local": "local:smollm2",
    "smollm": "local:smollm2",
    "smollm2": "local:smollm2",
}
# "gpt4o": a family's word, and its version without the dash between them.
_DASHLESS = re.compile(rf"({'|'.join(_FAMILY_WORDS)})(\d.*)")

# How alike a name must be to be taken for a slip of the pen: "llama3" is not meant to be "ollama".
_NEAR = 0.8

_HEAD = re.compile(r"([^:/]*)[:/](.*)", re.DOTALL)

# Providers whose name is also that of a family of models on Ollama, and what its tags look like.
_FAMILIES = frozenset({"mistral"})
# Providers whose name is also that of an organisation whose models others serve by it.
_ORGANISATIONS = frozenset({"alibaba", "cohere", "databricks", "minimax", "nvidia"})
_TAG = re.compile(r"latest|text|instruct|v?\d+(?:\.\d+)*(?:x\d+)?[bm]?(?:-[\w.-]+)?", re.IGNORECASE)


def provider_row(name: str) -> ProviderRow:
    """The row of a provider.

    Raises:
        UnknownProviderError: There is none; names those that are nearest.
    """
    row = PROVIDERS.get(name)
    if row is None:
        raise _unknown_provider(name, PROVIDERS)
    return row


def wire_format(row: ProviderRow) -> WireFormat:
    """The wire format of a provider, its module imported now."""
    module, _, name = row.wire.partition(":")
    factory = getattr(importlib.import_module(module), name)
    return cast("WireFormat", factory() if row.dialect is None else factory(row.dialect))


def resolve_model(
    model: str, provider: str | None = None, known_names: Collection[str] = PROVIDERS.keys()
) -> tuple[str, str]:
    """Which provider serves a model, and what that provider calls it.

    Args:
        model: The name as the caller wrote it.
        provider: Decides, when given; the model's name then stays as it is.
        known_names: The names of all providers, those that the caller added included.

    Returns:
        The provider's name and the model's.

    Raises:
        UnknownProviderError: `provider` is not known.
        UnknownModelError: The name does not say who serves it, or could mean two things; the
            message says what would work.
    """
    if not model:
        raise UnknownModelError("model: expected a name such as 'openai:gpt-4o-mini', found ''")
    if model != model.strip():  # as of a line of a file
        raise UnknownModelError(
            f"model: expected a name without white space around it, found {model!r}"
        )
    if provider is not None:
        if provider not in known_names:
            raise _unknown_provider(provider, known_names)
        return provider, model
    found = _HEAD.fullmatch(model)
    if found and found[1] in known_names:
        return _split_name(model, found[1], found[2])
    for prefix, name in _PREFIXES:
        if prefix.match(model):
            return name, model
    raise _unknown_model(model, found[1] if found else None, known_names)


def _split_name(model: str, provider: str, rest: str) -> tuple[str, str]:
    if not rest:
        raise UnknownModelError(f"model {model!r} names the provider {provider!r} and no model")
    if provider in _FAMILIES and model[len(provider)] == ":" and _TAG.fullmatch(rest):
        raise UnknownModelError(
            f"model {model!r} has two readings: 'ollama:{model}' is the model {model!r} on Ollama; "
            f"provider={provider!r} with model={rest!r} is the model {rest!r} of {provider}"
        )
    if provider in _ORGANISATIONS and model[len(provider)] == "/":
        raise UnknownModelError(
            f"model {model!r} has two readings: '{provider}:{rest}' is the model {rest!r} "
            f"served by {provider}; 'openrouter:{model}' and 'huggingface:{model}' are "
            "its models elsewhere"
        )
    return provider, rest


def new_provider_error(name: object) -> UnknownProviderError:
    """The error of a provider that was added under a new name, without its ways."""
    near = difflib.get_close_matches(name.lower(), PROVIDERS) if isinstance(name, str) else []
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return UnknownProviderError(
        f"providers: {name!r} is no known provider{meant}; a new one needs kind=, such as "
        'kind="vllm"'
    )


def _unknown_provider(name: str, known: Iterable[str]) -> UnknownProviderError:
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, cutoff=_NEAR_WORD)
    hint = f"did you mean {_either(near)}?" if near else f"Known are {', '.join(names)}"
    return UnknownProviderError(f"no provider is called {name!r}: {hint}")


def _unknown_model(model: str, head: str | None, known: Iterable[str]) -> UnknownModelError:
    names = sorted(known)
    near = _meant_providers(head, names) if head else []
    meant = _WHOLE_NAMES.get(model.lower()) or _near_family(model)
    if near and head is not None:
        hint = f"did you mean {_either(_joined(name, model[len(head) :]) for name in near)}?"
    elif meant:
        hint = f"did you mean {meant!r}?"
    elif model in known:
        hint = f"it is a provider: write a model of it behind it, as in '{model}:NAME'"
    else:
        tried = [*_told_by_name(model, head, names), *_served_elsewhere(model, names)]
        hint = f"write the provider before it ({_either(tried)}, …), or pass provider="
    told = "" if near or meant or model in known else f" (providers: {', '.join(names)})"
    return UnknownModelError(f"model {model!r} does not say which provider serves it: {hint}{told}")


def _meant_providers(head: str, names: Sequence[str]) -> list[str]:
    """Providers that the beginning of a name is a slip for, or another library's name of."""
    if near := difflib.get_close_matches(head.lower(), names, cutoff=_NEAR):
        return near
    return [word for word in re.split("[-_]", head.lower()) if word in names]  # ``hosted_vllm``


def _joined(provider: str, rest: str) -> str:
    """A model's name behind its provider's; `rest` begins with what stands between them."""
    return f"{provider}:{rest[1:]}" if provider in _ORGANISATIONS else provider + rest


def _told_by_name(model: str, head: str | None, names: Iterable[str]) -> list[str]:
    """What a model's name says of its provider: ``deepseek-chat``, ``google/gemini-2.5-pro``."""
    if head is not None:
        rest = model[len(head) + 1 :]
        return [f"{name}:{rest}" for prefix, name in _PREFIXES if prefix.match(rest)]
    word = model.lower().partition("-")[0]
    return [f"{word}:{model}"] if word in names and word not in _WHOLE_NAMES else []


def _served_elsewhere(model: str, names: Iterable[str]) -> list[str]:
    """Names of a model that anybody may serve, at those who serve many."""
    serving = ("openrouter", "huggingface") if "/" in model else ("ollama", "openrouter")
    return [f"{name}:{model}" for name in serving if name in names]


def _near_family(model: str) -> str | None:
    """The model's name as a known family spells its beginning; None where none is near.

    ``GPT-4o``, ``gtp-4o`` and ``gpt4o`` are slips of the pen; the rest of the name is not known
    here.
    """
    if dashless := _DASHLESS.fullmatch(model.lower()):
        return f"{dashless[1]}-{dashless[2]}"
    first, dash, rest = model.lower().partition("-")
    near = difflib.get_close_matches(first, _FAMILY_WORDS, n=1, cutoff=_NEAR_WORD)
    meant = f"{near[0] if near else first}{dash}{rest}"
    return meant if any(prefix.match(meant) for prefix, _ in _PREFIXES) else None


def _either(names: Iterable[str]) -> str:
    shown = list(map(repr, names))
    return " or ".join((", ".join(shown[:-1]), shown[-1]) if shown[1:] else shown)
