"""Writes JSON schemas as Anthropic takes them.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations:
objects must be closed, ``oneOf`` has no spelling but ``anyOf``, bounds of numbers, lengths and
patterns are refused, and so are most formats and all numbers of items but "none" and "one". What
has to be taken out is said in the schema's description, for the model to heed; the library checks
the answer against the schema as it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from steer_llm_sdk.providers.schemas import with_any_of, with_left_out, without_silent

_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"}
)

# Where schemas stand inside a schema: under names of the user's, in a list, or directly.
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
_LISTED_SCHEMAS = frozenset({"anyOf", "allOf"})

# What is taken as it is. What stands beside a reference is refused, whatever it says.
_TAKEN = frozenset({"type", "title", "description", "required"})
_BESIDE_REFERENCES = frozenset({"$ref", "$defs", "definitions"})


def format_schema(schema: Any) -> Any:
    """Return the schema in the API's subset of JSON Schema; what is no object stays as it is."""
    if not isinstance(schema, Mapping):
        return schema
    given = without_silent(schema)
    if "$ref" in given:
        return {key: _format_value(key, given[key]) for key in given if key in _BESIDE_REFERENCES}
    given = with_any_of(given)
    written = {
        key: _format_value(key, value) for key, value in given.items() if _is_taken(key, value)
    }
    if _is_object(given):
        written["additionalProperties"] = False
    left_out = {key: value for key, value in given.items() if key not in written}
    if given.get("additionalProperties"):
        left_out["additionalProperties"] = given["additionalProperties"]
    if "enum" in written or "const" in written:
        written.pop("type", None)  # the values say it
    return with_left_out(written, left_out)


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _is_taken(key: str, value: object) -> bool:
    if key in _NAMED_SCHEMAS or key == "items":
        return isinstance(value, Mapping)
    if key in _LISTED_SCHEMAS:
        return isinstance(value, list)
    allowed = _VALUES.get(key)
    return key in _TAKEN if allowed is None else allowed(value)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _are_plain(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(map(_is_plain, values))


# Which values of a keyword the API takes.
_VALUES: Mapping[str, Callable[[Any], bool]] = {
    "additionalProperties": lambda value: value is False,
    "const": _is_plain,
    "enum": _are_plain,
    "format": lambda value: value in _FORMATS,
    "minItems": lambda value: value in (0, 1),
}


def _format_value(key: str, value: Any) -> Any:
    if key in _NAMED_SCHEMAS:
        return {name: format_schema(each) for name, each in value.items()}
    if key in _LISTED_SCHEMAS:
        return [format_schema(each) for each in value]
    return format_schema(value) if key == "items" else value
