"""What the writers of JSON Schemas for all providers have in common.

Each provider takes a part of JSON Schema. What has to be taken out is said in the description, for
the model to heed; the library checks the answer against the schema as it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from steer_llm_sdk.errors import ConfigurationError

Schema = dict[str, Any]
_Written = TypeVar("_Written")

# What says nothing of the values, and can be left out in silence.
SILENT = frozenset({"$schema", "$id", "$comment", "discriminator", "examples"})

_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def with_object_at_root(schema: Mapping[str, Any]) -> Schema:
    """The schema with a ``$ref`` at its root replaced by what it refers to."""
    root = dict(schema)
    reference = root.get("$ref")
    definitions = root.get("$defs", {})
    prefix, _, name = str(reference).rpartition("/")
    if prefix != "#/$defs" or name not in definitions:
        return root
    del root["$ref"]
    root = {**definitions[name], **root}
    others = {key: value for key, value in definitions.items() if key != name}
    if not _refers_to(reference, [root | {"$defs": None}, others]):
        root["$defs"] = others
    if not root["$defs"]:
        del root["$defs"]
    return root


def without_silent(schema: Mapping[str, Any]) -> Schema:
    """The schema without what says nothing of the values."""
    return {key: value for key, value in schema.items() if key not in SILENT}


def with_any_of(schema: Mapping[str, Any]) -> Schema:
    """The schema with ``anyOf`` for ``oneOf``, unless it has both.

    Of alternatives that a word tells apart (a discriminated union) no more than one can fit.
    """
    if "oneOf" not in schema or "anyOf" in schema:
        return dict(schema)
    return {"anyOf" if key == "oneOf" else key: value for key, value in schema.items()}


def with_one_part(schema: Mapping[str, Any]) -> Schema:
    """The schema with an ``allOf`` of a single part put in its place."""
    parts = schema.get("allOf")
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], Mapping):
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key != "allOf"}
    is_told_twice = any(key in rest for key in parts[0] if key not in {"title", "description"})
    return dict(schema) if is_told_twice else {**parts[0], **rest}


def type_of_values(values: Iterable[object]) -> str | list[str] | None:
    """The type that values share, or their types; None where one is an object or a list."""
    names = list(dict.fromkeys(_TYPES.get(type(value), "") for value in values))
    if not names or "" in names:
        return None
    return names[0] if len(names) == 1 else names


def with_left_out(schema: Schema, left_out: Mapping[str, Any]) -> Schema:
    """The schema, its description followed by what had to be left out."""
    if not left_out:
        return schema
    said = ", ".join(f"{key}: {_json(value)}" for key, value in left_out.items())
    description = schema.get("description")
    before = f"{description}\n\n" if isinstance(description, str) and description else ""
    return schema | {"description": f"{before}{{{said}}}"}


def with_bare_reference(schema: Schema) -> Schema:
    """The schema, its reference one deeper where something stands beside it."""
    beside = {key: value for key, value in schema.items() if key not in {"$ref", "$defs"}}
    if "$ref" not in schema or not beside:
        return schema
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {"anyOf": [{"$ref": schema["$ref"]}], **beside, **definitions}


def write_schema(provider: str, write: Callable[[], _Written]) -> _Written:
    """Return what `write` makes of a schema, for a request to a provider.

    Raises:
        ConfigurationError: It goes round in a circle, or holds what is no JSON.
    """
    try:
        return write()
    except (RecursionError, TypeError) as error:
        reason = "the schema has no end" if isinstance(error, RecursionError) else error
    raise ConfigurationError(f"{provider}: the request cannot be written as JSON: {reason}")


def _json(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _refers_to(reference: object, node: object) -> bool:
    if isinstance(node, Mapping):
        return node.get("$ref") == reference or _refers_to(reference, list(node.values()))
    return isinstance(node, list) and any(_refers_to(reference, inner) for inner in node)
