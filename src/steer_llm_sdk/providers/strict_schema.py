"""Writes JSON Schemas as strict modes take them: OpenAI's, which others copy.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas: objects are closed,
every field is required, alternatives are ``anyOf``, and every schema says its type; defaults,
lengths and the like are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.models.requests import JSONFormat, Tool
from steer_llm_sdk.providers.schemas import (
    Schema,
    type_of_values,
    with_any_of,
    with_bare_reference,
    with_left_out,
    with_object_at_root,
    with_one_part,
    without_silent,
    write_schema,
)

_KEYWORDS = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "definitions", "description",
    "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maximum",
    "minItems", "minimum", "multipleOf", "pattern", "properties", "required", "title", "type",
})  # fmt: skip
_FORMATS = frozenset({
    "date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid",
})  # fmt: skip

# What says how a value is made: without it, the strict form would let anything pass.
_SHAPES = frozenset({"$dynamicRef", "allOf", "oneOf", "patternProperties", "prefixItems"})
_SAYS_KIND = frozenset({"$ref", "anyOf", "type"})
_DEFINITIONS = ("$defs", "definitions")


def strict_format(
    wanted: JSONFormat, provider: str, *, may_leave_out: bool
) -> tuple[Mapping[str, Any] | None, bool | None]:
    """The schema of a format as a strict mode takes it, and whether it is asked for strictly.

    A format that was made of a type is asked for strictly where it can be, and one of the caller's
    own where the caller says so; any other passes unchanged.

    Args:
        wanted: What is asked for.
        provider: The provider's name, for errors.
        may_leave_out: Whether limits may be taken out of the schema, and be said in its description
            instead. A server whose grammar knows them is better told the whole.

    Raises:
        ConfigurationError: The schema goes round in a circle.
    """
    is_strict = wanted.is_of_type if wanted.strict is None else wanted.strict
    if wanted.schema is None or not is_strict:
        return wanted.schema, wanted.strict
    strict = _written(wanted.schema, provider, may_leave_out=may_leave_out)
    return (wanted.schema, wanted.strict) if strict is None else (strict, True)


def strict_parameters(tool: Tool, provider: str, *, may_leave_out: bool) -> Mapping[str, Any]:
    """The parameters of a tool; of a strict one as strict modes take them."""
    if not tool.strict:
        return tool.parameters
    strict = _written(tool.parameters, provider, may_leave_out=may_leave_out)
    return tool.parameters if strict is None else strict


def _written(schema: Mapping[str, Any], provider: str, *, may_leave_out: bool) -> Schema | None:
    return write_schema(provider, lambda: strict_schema(schema, may_leave_out=may_leave_out))


def strict_schema(schema: Mapping[str, Any], *, may_leave_out: bool = True) -> Schema | None:
    """The schema as strict modes take it; None where it would then mean something else.

    A field that may be left out becomes required where a null is allowed and is what leaving it out
    means, and where it has a default, which is said in its description.

    Args:
        schema: The schema of an object.
        may_leave_out: Whether limits and defaults may be said in descriptions alone. If not, all
            that the strict form accepts is accepted by `schema`.
    """
    try:
        return _strict(with_object_at_root(schema), may_leave_out=may_leave_out)
    except _NoStrictFormError:
        return None


class _NoStrictFormError(Exception):
    """The schema says something that strict modes cannot say."""


def _strict(node: object, *, may_leave_out: bool) -> Schema:
    if not isinstance(node, Mapping):
        raise _NoStrictFormError
    given = with_any_of(with_one_part(without_silent(node)))
    if given.get("default", ...) is None:
        del given["default"]  # the strict form says it by a null
    strict = {key: value for key, value in given.items() if _is_taken(key, value)}
    left_out = {key: value for key, value in given.items() if key not in strict}
    if left_out and (not may_leave_out or not _SHAPES.isdisjoint(left_out)):
        raise _NoStrictFormError
    strict = _with_type(strict)
    _write_inside(strict, may_leave_out=may_leave_out)
    return with_bare_reference(with_left_out(strict, left_out))


def _is_taken(key: str, value: object) -> bool:
    return key in _KEYWORDS and (key != "format" or value in _FORMATS)


def _with_type(node: Schema) -> Schema:
    """The schema with its type: that of its values, where it says these alone."""
    if not _SAYS_KIND.isdisjoint(node):
        return node
    values = [node["const"]] if "const" in node else node.get("enum")
    kind = type_of_values(values) if isinstance(values, list) else None
    if kind is None and "properties" in node:
        kind = "object"
    if kind is None:
        raise _NoStrictFormError
    return {"type": kind, **node}


def _write_inside(node: Schema, *, may_leave_out: bool) -> None:
    """Write the schemas that stand inside of one."""
    if "properties" in node or _is_of(node, "object"):
        node |= _strict_object(node, may_leave_out=may_leave_out)
    if "items" in node:
        node["items"] = _strict(node["items"], may_leave_out=may_leave_out)
    elif _is_of(node, "array"):
        raise _NoStrictFormError
    if "anyOf" in node:
        node["anyOf"] = [_strict(each, may_leave_out=may_leave_out) for each in node["anyOf"]]
    for key in _DEFINITIONS:
        if key in node:
            node[key] = {
                name: _strict(inner, may_leave_out=may_leave_out)
                for name, inner in node[key].items()
            }


def _strict_object(node: Schema, *, may_leave_out: bool) -> Schema:
    properties, required = node.get("properties"), node.get("required", ())
    if not isinstance(properties, dict) or not isinstance(required, list | tuple):
        raise _NoStrictFormError
    if node.get("additionalProperties", False) is not False:
        raise _NoStrictFormError
    for name, inner in properties.items():
        if name not in required and not _has_default(inner, may_leave_out=may_leave_out):
            raise _NoStrictFormError
    return {
        "properties": {
            name: _strict(inner, may_leave_out=may_leave_out) for name, inner in properties.items()
        },
        "required": list(properties),
        "additionalProperties": False,
    }


def _has_default(schema: object, *, may_leave_out: bool) -> bool:
    """Whether leaving the field out means a value that can be said instead."""
    if not isinstance(schema, Mapping) or "default" not in schema:
        return False
    if schema["default"] is not None:
        return may_leave_out
    either = schema.get("anyOf", schema.get("oneOf"))
    return any(_is_of(each, "null") for each in (either if isinstance(either, list) else [schema]))


def _is_of(schema: Any, name: str) -> bool:
    kind = schema.get("type")
    return kind == name or (isinstance(kind, list) and name in kind)
