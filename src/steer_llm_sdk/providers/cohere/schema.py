"""Writes JSON Schemas as Cohere takes them.

https://docs.cohere.com/docs/structured-outputs#unsupported-schema-features: bounds, lengths and
compositions other than ``anyOf`` are not taken, nor are most formats and patterns that look beyond
their own characters. What has to be taken out is said in the description, for the model to heed;
the library checks the answer against the schema as it was given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.providers.schemas import (
    with_any_of,
    with_bare_reference,
    with_left_out,
    with_object_at_root,
    with_one_part,
    without_silent,
    write_schema,
)

_TAKEN = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "format",
    "items", "pattern", "properties", "required", "title", "type",
})  # fmt: skip
_FORMATS = frozenset({"date", "date-time", "time", "uuid"})
_LOOKS_AROUND = re.compile(r"[$^]|\?[=!]")

_NAMED_SCHEMAS = frozenset({"$defs", "properties"})
_SCHEMAS = frozenset({"additionalProperties", "items"})


def build_schema(
    schema: Mapping[str, Any] | None, provider: str, *, closes: bool = False
) -> Mapping[str, Any] | None:
    """Return a schema as `format_schema` writes it, for a request to a provider.

    Raises:
        ConfigurationError: It goes round in a circle, or holds what is no JSON.
    """
    if schema is None:
        return None
    written: Mapping[str, Any] = write_schema(
        provider, lambda: format_schema(with_object_at_root(schema), closes=closes)
    )
    return written


def format_schema(schema: Any, *, closes: bool = False) -> Any:
    """Return the schema in the API's part of JSON Schema; what is no object stays as it is.

    With `closes`, objects that do not say whether they may have other fields may not.
    """
    if not isinstance(schema, Mapping):
        return schema
    given = with_any_of(with_one_part(without_silent(schema)))
    if closes and "properties" in given:
        given.setdefault("additionalProperties", False)
    written = {
        key: _format_value(key, value, closes=closes)
        for key, value in given.items()
        if _is_taken(key, value)
    }
    left_out = {key: value for key, value in given.items() if key not in written}
    return with_bare_reference(with_left_out(written, left_out))


def _is_taken(key: str, value: Any) -> bool:
    if key == "format":
        return value in _FORMATS
    if key == "pattern":
        return _LOOKS_AROUND.search(str(value)) is None
    return key in _TAKEN


def _format_value(key: str, value: Any, *, closes: bool) -> Any:
    if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
        return {name: format_schema(each, closes=closes) for name, each in value.items()}
    if key == "anyOf" and isinstance(value, list):
        return [format_schema(each, closes=closes) for each in value]
    return format_schema(value, closes=closes) if key in _SCHEMAS else value
