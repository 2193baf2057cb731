"""What a shell says of a call: ``-o key=value``, ``--schema``, as the library's arguments."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from steer_llm_sdk.cli.streams import decode
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.streaming import StreamingOptions

# The fields of the library's calls that are a number, a word or a list; whatever else is said with
# `-o` only the provider knows.
_OURS = frozenset(
    {
        "temperature",
        "max_tokens",
        "stop",
        "seed",
        "top_p",
        "reasoning",
        "tool_choice",
        "parallel_tool_calls",
        "provider",
    }
)

# What a call takes too, and how a shell says it.
_ELSEWHERE: Mapping[str, str] = {
    "api_key": "the provider's variable: `steer providers` lists them",
    "base_url": "the provider's variable, such as OPENAI_BASE_URL or OLLAMA_HOST",
    "messages": "the prompt",
    "model": "-m",
    "prompt": "the prompt",
    "response_format": "--schema",
    "stream": "nothing: every answer is streamed",
    "system": "-s",
    "tools": "--tools",
}

# What programs say of a stream, and a shell does not: to a provider it would mean nothing.
_OF_STREAMS = frozenset(field.name for field in fields(StreamingOptions))

# How alike a key must be to be taken for a slip of the pen: "top_k" is not meant to be "top_p".
_NEAR = 0.85

_TYPES: Mapping[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
}
_FIELD = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*(?::\s*(?P<type>\w+)(?P<list>\[\])?\s*)?")


def read_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Make arguments of ``key=value`` pairs; a value is JSON where it is some, else a string.

    Returns:
        Keyword arguments of a call; what is none of the library's is in ``extra_body``.

    Raises:
        ConfigurationError: A pair has no ``=``, or no key.
    """
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"-o: expected key=value, found {pair!r}")
        key = key.strip()
        _refuse_what_is_meant_elsewhere(key)
        place = arguments if key in _OURS else arguments.setdefault("extra_body", {})
        place[key] = _value(text)
    return arguments


def _refuse_what_is_meant_elsewhere(key: str) -> None:
    """Refuse what is said in another way, and a slip of the pen: the provider would get it."""
    if key in _ELSEWHERE:
        raise ConfigurationError(f"-o: {key!r} is said by {_ELSEWHERE[key]}")
    if key in _OF_STREAMS:
        raise ConfigurationError(f"-o: {key!r} is no option of a model; only programs can say it")
    near = difflib.get_close_matches(key, _OURS, n=1, cutoff=_NEAR)
    if key not in _OURS and near:
        raise ConfigurationError(f"-o: {key!r} is no option: did you mean {near[0]!r}?")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_schema(text: str) -> dict[str, Any]:
    """Make a `response_format` of a schema's file, of JSON, or of ``name:str, age:int``.

    Types are ``str`` (where none is said), ``int``, ``float`` and ``bool``, and lists of them:
    ``tags:str[]``.

    Raises:
        ConfigurationError: It is none of these.
    """
    schema = _schema_of(text)
    return {
        "type": "json_schema",
        "json_schema": {"name": str(schema.get("title") or "answer"), "schema": schema},
    }


def _schema_of(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return _read_json(text, "it")
    if text.endswith(".json") or Path(text).is_file():
        try:
            return _read_json(decode(Path(text).read_bytes()), text)
        except OSError as error:
            raise ConfigurationError(f"--schema: {text} cannot be read: {error.strerror}") from None
    return _schema_of_fields(text)


def _read_json(text: str, name: str) -> dict[str, Any]:
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--schema: {name} is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ConfigurationError(f"--schema: {name}: expected an object, found {text[:40]!r}")
    return schema


def _schema_of_fields(text: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for part in text.split(","):
        found = _FIELD.fullmatch(part)
        kind = _TYPES.get(found["type"] or "str") if found else None
        if found is None or kind is None:
            raise ConfigurationError(
                f"--schema: expected a file, or fields such as 'name:str, age:int, tags:str[]' "
                f"(types: {', '.join(_TYPES)}), found {part.strip()!r}"
            )
        properties[found["name"]] = {"type": "array", "items": kind} if found["list"] else kind
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
