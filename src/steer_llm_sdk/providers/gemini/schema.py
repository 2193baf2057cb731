"""Writes JSON Schemas as Gemini takes them.

https://ai.google.dev/api/generate-content#FIELDS.response_json_schema: what it does not know, it
passes over in silence, ``const`` among it; so that is written in words that it knows, and what has
none is said in the description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.providers.schemas import (
    Schema,
    type_of_values,
    with_any_of,
    with_bare_reference,
    with_left_out,
    with_one_part,
    without_silent,
    write_schema,
)

_TAKEN = frozenset({
    "$anchor", "$defs", "$ref", "additionalProperties", "anyOf", "description", "enum", "format",
    "items", "maxItems", "maximum", "minItems", "minimum", "prefixItems", "properties",
    "propertyOrdering", "required", "title", "type",
})  # fmt: skip

# The types whose values no ``enum`` may name.
_UNNAMED = frozenset({"boolean", "null"})

_NAMED_SCHEMAS = frozenset({"$defs", "properties"})
_LISTED_SCHEMAS = frozenset({"anyOf", "prefixItems"})
_SCHEMAS = frozenset({"additionalProperties", "items"})


def build_schema(schema: Any, provider: str, *, closes: bool = False) -> Any:
    """Return the schema as `format_schema` writes it, for a request to a provider.

    Raises:
        ConfigurationError: It goes round in a circle, or holds what is no JSON.
    """
    return write_schema(provider, lambda: format_schema(schema, closes=closes))


def format_schema(schema: Any, *, closes: bool = False) -> Any:
    """Return the schema in the API's part of JSON Schema; what is no object stays as it is.

    With `closes`, objects that do not say whether they may have other fields may not.
    """
    if not isinstance(schema, Mapping):
        return schema
    given = _with_values(with_any_of(with_one_part(without_silent(schema))))
    if closes and "properties" in given:
        given.setdefault("additionalProperties", False)
    written = {
        key: _format_value(key, value, closes=closes)
        for key, value in given.items()
        if key in _TAKEN
    }
    left_out = {key: value for key, value in given.items() if key not in written}
    return with_bare_reference(with_left_out(written, left_out))


def _with_values(schema: Schema) -> Schema:
    """The schema with ``enum`` for ``const``; only words and numbers can be named in it."""
    if "const" not in schema and "enum" not in schema:
        return schema
    values = [schema["const"]] if "const" in schema else schema["enum"]
    if not isinstance(values, list):
        return schema
    rest = {key: value for key, value in schema.items() if key not in {"const", "enum"}}
    kind = type_of_values(values)
    if kind is not None and _UNNAMED.isdisjoint([kind] if isinstance(kind, str) else kind):
        return {"type": kind, **rest, "enum": values}
    return {**({} if kind is None else {"type": kind}), **rest, "one of": values}


def _format_value(key: str, value: Any, *, closes: bool) -> Any:
    if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
        return {name: format_schema(each, closes=closes) for name, each in value.items()}
    if key in _LISTED_SCHEMAS and isinstance(value, list):
        return [format_schema(each, closes=closes) for each in value]
    return format_schema(value, closes=closes) if key in _SCHEMAS else value
