"""JSON Schemas in the form that providers take.

Providers want an object at the root, and OpenAI's strict mode, which others copy, takes a part of
JSON Schema only, in which objects are closed and every field is required:
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_STRICT_KEYWORDS = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum",
    "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems",
    "minimum", "multipleOf", "pattern", "properties", "required", "title", "type",
})  # fmt: skip
_STRICT_FORMATS = frozenset({
    "date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid",
})  # fmt: skip


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


def strict_schema(schema: Mapping[str, Any]) -> Schema | None:
    """The schema as strict modes take it; None where it would then mean something else.

    Objects are closed. A field that may be left out becomes required only where it may be null and
    null is what leaving it out means; a field with any other default has no strict form. Nothing
    that the strict form accepts is refused by `schema`.
    """
    try:
        return _strict(schema)
    except _NoStrictFormError:
        return None


class _NoStrictFormError(Exception):
    """The schema says something that strict modes cannot say."""


def _strict(node: object) -> Schema:
    if not isinstance(node, Mapping) or not node or not _STRICT_KEYWORDS.issuperset(node):
        raise _NoStrictFormError
    if node.get("format", "date") not in _STRICT_FORMATS:
        raise _NoStrictFormError
    if node.get("default", None) is not None:
        raise _NoStrictFormError
    strict = {key: value for key, value in node.items() if key != "default"}
    if "properties" in strict or strict.get("type") == "object":
        strict |= _strict_object(strict)
    if "items" in strict:
        strict["items"] = _strict(strict["items"])
    elif strict.get("type") == "array":
        raise _NoStrictFormError
    if "anyOf" in strict:
        strict["anyOf"] = [_strict(variant) for variant in strict["anyOf"]]
    if "$defs" in strict:
        strict["$defs"] = {name: _strict(inner) for name, inner in strict["$defs"].items()}
    return _with_bare_reference(strict)


def _strict_object(node: Schema) -> Schema:
    properties = node.get("properties")
    if properties is None or node.get("additionalProperties", False) is not False:
        raise _NoStrictFormError
    required = node.get("required", ())
    for name, inner in properties.items():
        if name not in required and not _may_be_left_out_as_null(inner):
            raise _NoStrictFormError
    return {
        "properties": {name: _strict(inner) for name, inner in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


def _may_be_left_out_as_null(schema: object) -> bool:
    """Whether the default is null and the schema allows null: saying it is leaving it out."""
    if not isinstance(schema, Mapping) or schema.get("default", ...) is not None:
        return False
    return any(_allows_null(variant) for variant in schema.get("anyOf", [schema]))


def _allows_null(schema: Any) -> bool:
    kind = schema.get("type")
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _with_bare_reference(node: Schema) -> Schema:
    """Strict modes allow nothing beside a ``$ref``, so one with a description is put one deeper."""
    if "$ref" not in node or len(node) == 1:
        return node
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {"anyOf": [{"$ref": node["$ref"]}], **beside}


def _refers_to(reference: object, node: object) -> bool:
    if isinstance(node, Mapping):
        return node.get("$ref") == reference or _refers_to(reference, list(node.values()))
    return isinstance(node, list) and any(_refers_to(reference, inner) for inner in node)
