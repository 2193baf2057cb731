"""What a caller passes as ``response_format``, read once: what to ask for, and how to check it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from inspect import isroutine
from typing import Any, get_args, get_origin, get_type_hints

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.plain_json import plain_mapping
from steer_llm_sdk.models.requests import JSONFormat, RawTool
from steer_llm_sdk.providers.schemas import with_object_at_root
from steer_llm_sdk.stored import shown_value
from steer_llm_sdk.structured.validators import (
    ObjectValidator,
    PydanticValidator,
    SchemaValidator,
    TypeValidator,
    Validator,
)

_LONGEST_NAME = 64  # as OpenAI has it, and its pattern: letters, digits, underscores, dashes
# A schema of these is no schema of an object.
_SCHEMA_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "string"})
# No provider's own spelling has one of these beside no type.
_SCHEMA_KEYS = frozenset({"$defs", "$ref", "$schema", "allOf", "anyOf", "oneOf", "properties"})
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What is asked of the provider, and what becomes of the answer.

    Attributes:
        request: For `ChatRequest.response_format`.
        validator: Checks the answer's value, and makes the typed object; None where nothing is to
            be checked.
        is_typed: Whether `validator` makes an object of the caller's type.
        starts: The characters that the answer may start with, where the schema does not tell.
    """

    request: JSONFormat | RawTool | None = None
    validator: Validator | None = None
    is_typed: bool = False
    starts: str = ""

    @property
    def is_json(self) -> bool:
        """Whether the answer has to be JSON."""
        return isinstance(self.request, JSONFormat)

    @property
    def root_starts(self) -> str:
        """The characters that the answer can start with: of any container, or of an object."""
        if self.starts:
            return self.starts
        schema = self.request.schema if isinstance(self.request, JSONFormat) else None
        kind = "object" if schema is None else schema.get("type")
        return {"object": "{", "array": "["}.get(kind if isinstance(kind, str) else "", "{[")


def read_response_format(
    response_format: object, *, validate_schema: bool = True
) -> ResponseFormat:
    """Read what a caller passed as ``response_format``.

    Args:
        response_format: None; ``{"type": "text"}``, ``{"type": "json_object"}`` or
            ``{"type": "json_schema", …}`` in the nested spelling of OpenAI's chat completions or
            the flat one of its Responses and of Anthropic; a JSON Schema of an object; or a type:
            a msgspec Struct, a dataclass, a TypedDict, a pydantic model. Any other mapping is
            taken for the provider's own spelling, and passes unchanged and unchecked.
        validate_schema: Whether an answer is checked against a schema. A type checks it always.

    Raises:
        ConfigurationError: It is none of these, the schema is not valid, or its validator is not
            installed.
    """
    if response_format is None:
        return ResponseFormat()
    if isinstance(response_format, RawTool):
        return ResponseFormat(response_format)
    if isinstance(response_format, JSONFormat):
        return _checked(response_format, validate_schema=validate_schema)
    if isinstance(response_format, Mapping):
        given = plain_mapping(response_format, "response_format")
        return _read_mapping(given, validate_schema=validate_schema)
    if isinstance(response_format, str | bytes | int | float | list | tuple):
        raise ConfigurationError(f"response_format: {_WANTED}, found {response_format!r}")
    return _read_type(response_format)


_WANTED = (
    'expected {"type": "json_object"}, {"type": "json_schema", …} or a class with fields '
    "(a msgspec Struct, a dataclass, a TypedDict, a pydantic model)"
)


def _read_mapping(given: Mapping[str, Any], *, validate_schema: bool) -> ResponseFormat:
    kind = given.get("type")
    if kind == "text":
        return ResponseFormat()
    if kind == "json_object":
        # llama.cpp's and Together's spelling of a schema: beside the type.
        schema = given.get("schema")
        request = JSONFormat(schema if isinstance(schema, Mapping) else None)
        return _checked(request, validate_schema=validate_schema)
    if kind == "json_schema":
        return _checked(_read_schema_mapping(given), validate_schema=validate_schema)
    if _is_schema_of_object(given):
        request = JSONFormat(with_object_at_root(given))
        return _checked(request, validate_schema=validate_schema)
    if isinstance(kind, list | dict) or kind in _SCHEMA_TYPES or _is_slip(kind):
        raise ConfigurationError(f"response_format: {_WANTED}, found {dict(given)!r}")
    return ResponseFormat(RawTool(given))


def _is_schema_of_object(given: Mapping[str, Any]) -> bool:
    """Whether a mapping is a schema of an object, which need not name the type."""
    kind = given.get("type")
    if kind is None:
        return not _SCHEMA_KEYS.isdisjoint(given)
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _is_slip(kind: object) -> bool:
    """Whether a type is surely meant to be another: ``"jsonschema"``, ``"json-object"``."""
    bare = re.sub(r"[^a-z]", "", kind.lower()) if isinstance(kind, str) else ""
    return bare in {"json", "jsonmode", "jsonobject", "jsonschema"}


def _read_schema_mapping(given: Mapping[str, Any]) -> JSONFormat:
    inner = given.get("json_schema", given)
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    if not isinstance(schema, Mapping):
        raise ConfigurationError(
            'response_format: expected {"type": "json_schema", "json_schema": {"name": …, '
            f'"schema": {{…}}}}}}, found no mapping under "schema" in {dict(given)!r}'
        )
    name = inner.get("name") or JSONFormat.__dataclass_fields__["name"].default
    return JSONFormat(schema, str(name), inner.get("strict"), inner.get("description"))


def _checked(request: JSONFormat, *, validate_schema: bool) -> ResponseFormat:
    if not validate_schema:
        return ResponseFormat(request)
    if request.schema is None:
        return ResponseFormat(request, ObjectValidator())
    return ResponseFormat(request, SchemaValidator(request.schema, "response_format"))


def _read_type(wanted: Any) -> ResponseFormat:
    schema, validator = describe_type(wanted, "response_format")
    if schema.get("type") != "object":
        raise ConfigurationError(
            f"response_format: {_WANTED}, found {_name_of(wanted)}, whose JSON is no object; "
            "for a list, use client.stream_items(item_type=…)"
        )
    return ResponseFormat(request_for(schema, _name_of(wanted)), validator, is_typed=True)


def request_for(schema: Mapping[str, Any], name: str) -> JSONFormat:
    """Ask for JSON by a schema made of a type: as strictly as the provider can."""
    tidy = _NOT_IN_NAME.sub("_", name).strip("_")[:_LONGEST_NAME] or "response"
    return JSONFormat(schema, tidy, is_of_type=True)


def describe_type(wanted: Any, where: str) -> tuple[dict[str, Any], Validator]:
    """The JSON Schema of a type, with no reference at its root, and the type's validator.

    Raises:
        ConfigurationError: Neither msgspec nor pydantic knows the type.
    """
    schema, fault, is_pydantics = _read_schema(wanted)
    if fault:
        raise ConfigurationError(
            f"{where}: expected a type that msgspec or pydantic knows, "
            f"found {_name_of(wanted)}: {_slip_of_type(wanted) or fault}"
        )
    validator = PydanticValidator(wanted) if is_pydantics else TypeValidator(wanted)
    return with_object_at_root(schema), validator


def _slip_of_type(wanted: Any) -> str:
    """What is said of an object in the place of its class, and of a class of another time."""
    former = sys.modules.get("pydantic.v1")  # not loaded, unless something has used it
    if former is not None and isinstance(wanted, type) and issubclass(wanted, former.BaseModel):
        return "a model of pydantic's version 1; derive it from pydantic.BaseModel, version 2"
    kind = type(wanted)
    is_object = not isinstance(wanted, type) and not _read_schema(kind)[1]
    return f"an instance; pass its class, {_name_of(kind)}" if is_object else ""


def is_for_pydantic(wanted: Any) -> bool:
    """Whether pydantic describes the type: it made it, or alone knows what is in it."""
    _, fault, is_pydantics = _read_schema(wanted)
    return is_pydantics and not fault


def is_field_of_pydantic(value: object) -> bool:
    """Whether a value is what pydantic's ``Field`` gives."""
    fields = sys.modules.get("pydantic.fields")  # not loaded, unless something has used it
    return fields is not None and isinstance(value, fields.FieldInfo)


def is_known_to_pydantic(wanted: Any) -> bool:
    """Whether pydantic could describe the type, whoever does."""
    return not _schema_by_pydantic(wanted)[1]


def _read_schema(wanted: Any) -> tuple[dict[str, Any], str, bool]:
    """The schema of a type or what is in the way of it, and whether pydantic told it."""
    if is_of_pydantic(wanted):
        theirs, unknown = _schema_by_pydantic(wanted)
        if unknown:  # it takes no `TypedDict` of Python's own before 3.12
            schema, fault = _schema_by_msgspec(wanted)
            return (theirs, unknown, True) if fault else (schema, "", False)
        return theirs, "", True
    schema, fault = _schema_by_msgspec(wanted)
    # A URL, a path, a model among the fields. (Of a function pydantic would tell the parameters.)
    if fault and not (isroutine(wanted) or isinstance(wanted, str | partial)):
        theirs, unknown = _schema_by_pydantic(wanted)
        if not unknown:
            return theirs, "", True
    return schema, fault, False


def _schema_by_msgspec(wanted: Any) -> tuple[dict[str, Any], str]:
    import msgspec

    try:
        return msgspec.json.schema(wanted), ""
    except (TypeError, NameError, ValueError) as error:  # NameError: an unresolved annotation
        return {}, what_msgspec_says(error)


def what_msgspec_says(error: Exception) -> str:
    """What is in the way of a schema, in one line, without advice for who calls msgspec."""
    return str(error).rpartition("\n\n")[2].replace("\n", " ")


def _schema_by_pydantic(wanted: Any) -> tuple[dict[str, Any], str]:
    try:
        from pydantic import TypeAdapter
    except ImportError:
        return {}, "pydantic is not installed"
    try:
        return TypeAdapter(wanted).json_schema(), ""
    except Exception as error:  # noqa: BLE001 -- the types' own code, and packages they ask for
        return {}, str(error).partition("\n")[0] or type(error).__name__


def is_of_pydantic(wanted: Any) -> bool:
    """Whether pydantic made the type, a part of it, or what an ``Annotated`` in it says."""
    if sys.modules.get("pydantic") is None:  # it is imported already, where it has made anything
        return False
    return _is_of_pydantic(wanted, set())


def _is_of_pydantic(wanted: Any, seen: set[Any]) -> bool:
    if arguments := get_args(wanted):
        return any(_is_of_pydantic(each, seen) for each in (get_origin(wanted), *arguments))
    kind = wanted if isinstance(wanted, type) else type(wanted)
    if kind.__module__.partition(".")[0] == "pydantic":  # in an `Annotated`: a `Field`, a validator
        return True
    if kind is not wanted:
        return False
    is_model = issubclass(kind, sys.modules["pydantic"].BaseModel)
    if is_model or "__pydantic_validator__" in vars(kind):
        return True
    if kind in seen or not (is_dataclass(kind) or hasattr(kind, "__required_keys__")):
        return False
    seen.add(kind)
    return any(_is_of_pydantic(each, seen) for each in _fields_of(kind))


def _fields_of(wanted: type) -> Iterable[Any]:
    """The types of the fields; none where they cannot be told, which is then said elsewhere."""
    try:
        return get_type_hints(wanted, include_extras=True).values()
    except Exception:  # noqa: BLE001 -- annotations are code
        return ()


def _name_of(wanted: Any) -> str:
    return wanted.__name__ if isinstance(wanted, type) else shown_value(wanted)
