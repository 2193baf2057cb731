"""The parameters of a Python function, as a JSON Schema; and what fits it, as their values.

Each parameter is described by msgspec, or by pydantic where its type is pydantic's: one function
may have both kinds. A parameter with a default may be left out; the function's own default then
counts.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Annotated, Any, Protocol, Union, get_args, get_origin, get_type_hints

from steer_llm_sdk.checks import given_function, unwrapped
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.providers.schemas import Schema, with_object_at_root
from steer_llm_sdk.structured.response_format import (
    is_field_of_pydantic,
    is_for_pydantic,
    is_known_to_pydantic,
    is_of_pydantic,
)
from steer_llm_sdk.structured.validators import (
    convert,
    failed_inside,
    first_fault,
    misfit,
    misfit_of,
)

_EMPTY = inspect.Parameter.empty
_BY_NAME = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function.

    Attributes:
        name: Its name.
        annotation: Its type, with the bounds that ``Annotated`` gives it, as msgspec takes them.
        written: The same as it was written, and as pydantic takes it.
        description: What is said of it, there or in the docstring.
        default: Its default; `inspect.Parameter.empty` where it must be given.
        is_positional: Whether it can be passed by its place alone.
        make_default: Makes the default, where the function has none of its own: a ``Field`` of
            pydantic's stands in its place.
    """

    name: str
    annotation: Any
    written: Any
    description: str | None = None
    default: Any = _EMPTY
    is_positional: bool = False
    make_default: Callable[[], Any] | None = None

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return self.default is _EMPTY


class Signature:
    """What a function takes.

    Args:
        function: The function. What `functools.partial` has bound is no parameter.
        said: What its docstring says of its parameters.

    Attributes:
        schema: The JSON Schema of an object with the arguments.

    Raises:
        ConfigurationError: It cannot be read or described: says what is in the way.
    """

    def __init__(self, function: Callable[..., Any], said: Mapping[str, str]) -> None:
        self._parameters = _read_parameters(function, said)
        self._groups = _group(self._parameters)
        self.schema = self._build_schema()

    def bind(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as the function takes them, by place and by name, each of its type.

        Raises:
            SchemaError: They do not fit.
        """
        known = {each.name for each in self._parameters}
        if unknown := sorted(set(arguments) - known):
            raise misfit("$", f"unexpected {', '.join(map(repr, unknown))}; {_listed(known)}")
        values = {
            each.name: each.make_default()
            for each in self._parameters
            if each.make_default is not None and each.name not in arguments
        }
        values |= {name: value for group in self._groups for name, value in group.read(arguments)}
        places = [each for each in self._parameters if each.is_positional]
        return [values.pop(each.name, each.default) for each in places], values

    def _build_schema(self) -> Schema:
        schemas = [group.schema() for group in self._groups]
        if double := _double_in(schemas):
            raise ConfigurationError(f"two types of its parameters are called {double!r}")
        found: Schema = {}
        definitions: Schema = {}
        for schema in schemas:
            found |= schema.get("properties", {})
            definitions |= schema.get("$defs", {})
        properties = {each.name: _described(found[each.name], each) for each in self._parameters}
        schema = {"type": "object", "properties": properties}
        if required := [each.name for each in self._parameters if each.is_required]:
            schema["required"] = required
        schema["additionalProperties"] = False
        return schema | ({"$defs": definitions} if definitions else {})


def _listed(names: Iterable[str]) -> str:
    return f"expected {', '.join(map(repr, sorted(names)))}" if names else "expected no arguments"


def _described(schema: Schema, parameter: Parameter) -> Schema:
    described = {key: value for key, value in schema.items() if key != "title"}
    if parameter.description:
        described.setdefault("description", parameter.description)
    default = parameter.default
    is_told = default.__class__ in {str, int, float, bool}
    if is_told and not (isinstance(default, float) and not isfinite(default)):  # is no JSON
        described["default"] = default
    return described


# --- reading a function ---------------------------------------------------------------------------


def _read_parameters(function: Callable[..., Any], said: Mapping[str, str]) -> list[Parameter]:
    hints = _read_hints(function)
    bound = function.keywords if isinstance(function, partial) else {}
    try:
        parameters = inspect.signature(given_function(function)).parameters.values()
    except (TypeError, ValueError) as error:
        fault = str(error)
    else:
        _refuse_unbound(function, next(iter(parameters), None))
        return [_read(each, hints, said) for each in parameters if each.name not in bound]
    raise ConfigurationError(f"its parameters cannot be read ({fault}): pass parameters=")


def _refuse_unbound(function: Callable[..., Any], first: inspect.Parameter | None) -> None:
    """Refuse a method of no object: the model would be asked for its ``self``."""
    name: str = getattr(unwrapped(function), "__qualname__", "")
    of_class = name.rpartition(".")[0].rpartition(".")[2]
    if first is None or first.name != "self" or of_class in {"", "<locals>"}:
        return
    if first.annotation is _EMPTY:
        raise ConfigurationError(
            f"it is a method, and of no object: pass that of an object, such as {of_class}().…"
        )


def _read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    called: Any = unwrapped(function)
    function = inspect.unwrap(called)
    holder: Any = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(holder, include_extras=True)
    except Exception as error:  # noqa: BLE001 - annotations are code of the function's
        fault = str(error)
    raise ConfigurationError(f"its annotations cannot be resolved: {fault}")


def _read(
    parameter: inspect.Parameter, hints: Mapping[str, Any], said: Mapping[str, str]
) -> Parameter:
    name = parameter.name
    is_positional = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
    if parameter.kind not in _BY_NAME and not is_positional:
        stars = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
        raise ConfigurationError(
            f"it takes {stars}{name}, which no schema describes: name its parameters, "
            "or pass parameters="
        )
    annotation, default, make_default = hints.get(name, Any), parameter.default, None
    if is_field_of_pydantic(default):
        annotation, default, make_default = _read_field(annotation, default)
    kind, *about = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if kind is object:
        kind = Any
    written = annotation
    if not is_of_pydantic(annotation):
        annotation = _with_bounds(kind, about)
    if default is None and annotation is not Any:
        annotation = Union[annotation, None]  # noqa: UP007 - a string may stand for a type
        written = Union[written, None]  # noqa: UP007
    described = next(filter(None, map(_description_in, about)), said.get(name))
    return Parameter(name, annotation, written, described, default, is_positional, make_default)


def _read_field(annotation: Any, field: Any) -> tuple[Any, Any, Callable[[], Any] | None]:
    """What a ``Field`` of pydantic's stands for as a default: a type, a default, what makes it."""
    import pydantic

    said: Any = pydantic.Field(
        description=field.description,
        discriminator=field.discriminator,
        examples=field.examples,
        json_schema_extra=field.json_schema_extra,
    )
    annotation = Annotated[annotation, said, *field.metadata]
    if field.is_required():
        return annotation, _EMPTY, None
    return annotation, field.default, partial(field.get_default, call_default_factory=True)


def _description_in(about: Any) -> str | None:
    """The words in one of the things that ``Annotated`` holds.

    A str, or what has a description: `msgspec.Meta`, pydantic's ``Field``, ``Doc`` of PEP 727.
    """
    if isinstance(about, str):
        return about
    found = getattr(about, "description", None) or getattr(about, "documentation", None)
    return found if isinstance(found, str) else None


# The bounds of `msgspec.Meta`; ``annotated_types`` has attributes of the same names.
_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length")


def _with_bounds(kind: Any, about: Sequence[Any]) -> Any:
    """The type with its bounds; in an ``X | None`` they are those of ``X``."""
    bounds = {
        name: found
        for each in about
        for name in _BOUNDS
        if (found := getattr(each, name, None)) is not None
    }
    if not bounds:
        return kind
    import msgspec

    members = get_args(kind) if type(None) in get_args(kind) else (kind,)
    bounded = [
        each if each is type(None) else Annotated[each, msgspec.Meta(**bounds)] for each in members
    ]
    return Union[tuple(bounded)]  # noqa: UP007 - made of a list


# --- by msgspec, and by pydantic ------------------------------------------------------------------


def _group(parameters: Sequence[Parameter]) -> list[_Group]:
    """Who describes which of the parameters: msgspec all that it knows, else pydantic."""
    theirs = [each for each in parameters if _is_of_pydantic(each)]
    ours = [each for each in parameters if each not in theirs]
    if not _are_of_json(each.annotation for each in ours):
        theirs += [each for each in ours if is_for_pydantic(each.written)]
        ours = [each for each in ours if each not in theirs]
    groups = _groups_of(ours, theirs)
    if len(groups) > 1 and _double_in(group.schema() for group in groups):
        # One type that both describe, each in its own words.
        theirs += [each for each in ours if is_known_to_pydantic(each.written)]
        groups = _groups_of([each for each in ours if each not in theirs], theirs)
    return groups


def _groups_of(ours: Sequence[Parameter], theirs: Sequence[Parameter]) -> list[_Group]:
    groups: list[_Group] = [_MsgspecGroup(ours)] if ours else []
    return [*groups, _PydanticGroup(theirs)] if theirs else groups


def _is_of_pydantic(parameter: Parameter) -> bool:
    """Whether pydantic describes a parameter without being asked for help by msgspec."""
    if not is_of_pydantic(parameter.annotation):
        return False
    return is_known_to_pydantic(parameter.written) or not _are_of_json([parameter.annotation])


def _double_in(schemas: Iterable[Schema]) -> str | None:
    """The name of a definition that two schemas have, each another; None where there is none."""
    definitions: Schema = {}
    name: str
    for schema in schemas:
        for name, definition in schema.get("$defs", {}).items():
            if definitions.setdefault(name, definition) != definition:
                return name
    return None


class _Group(Protocol):
    """Parameters that one library describes."""

    def schema(self) -> Schema:
        """The JSON Schema of an object with these arguments."""
        ...

    def read(self, arguments: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        """The values of those that are given.

        Raises:
            SchemaError: They do not fit.
        """
        ...


class _MsgspecGroup:
    def __init__(self, parameters: Sequence[Parameter]) -> None:
        import msgspec

        self._parameters = parameters
        self._names = [each.name for each in parameters]
        # Under names of their own: no class has a field `__class__`, or one that it hides by `__`.
        fields: list[Any] = [
            (f"p{at}", each.annotation)
            if each.is_required
            else (f"p{at}", Union[each.annotation, msgspec.UnsetType], msgspec.UNSET)  # noqa: UP007
            for at, each in enumerate(parameters)
        ]
        names = {f"p{at}": name for at, name in enumerate(self._names)}
        self._struct: Any = msgspec.defstruct("arguments", fields, kw_only=True, rename=names)

    def schema(self) -> Schema:
        import msgspec

        try:
            return with_object_at_root(msgspec.json.schema(self._struct))
        except (TypeError, NameError, ValueError) as error:
            fault = str(error).partition("\n")[0]
        strange = [
            f"{inspect.formatannotation(each.annotation)}, of {each.name!r}{why}"
            for each in self._parameters
            if (why := _why_not_json([each.annotation])) is not None
        ]
        raise ConfigurationError(
            f"a type of its parameters is none of JSON: {'; '.join(strange) or fault}"
        )

    def read(self, arguments: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        import msgspec

        given = {name: arguments[name] for name in self._names if name in arguments}
        try:
            values = convert(given, self._struct)
        except msgspec.ValidationError as error:
            message = str(error)
        except Exception as error:  # noqa: BLE001 - the types' own code (`__post_init__`)
            message = failed_inside(self._struct, error)
        else:
            return [(name, getattr(values, f"p{self._names.index(name)}")) for name in given]
        raise misfit_of(message)


def _are_of_json(annotations: Iterable[Any]) -> bool:
    """Whether msgspec knows all of the types."""
    return _why_not_json(annotations) is None


def _why_not_json(annotations: Iterable[Any]) -> str | None:
    """What more msgspec says of types that it does not know; None where it knows all of them."""
    import msgspec

    try:
        msgspec.json.schema_components(annotations)
    except (TypeError, NameError, ValueError) as error:
        reason, is_more, _ = str(error).partition(" - type `")
        return f": {reason}" if is_more else ""
    return None


class _PydanticGroup:
    def __init__(self, parameters: Sequence[Parameter]) -> None:
        import pydantic

        self._names = [each.name for each in parameters]
        # Under names of their own: `json` or `copy` would hide a method of the model.
        fields: dict[str, Any] = {
            f"p{at}": (
                Annotated[each.written, pydantic.Field(alias=each.name)],
                ... if each.is_required else None,
            )
            for at, each in enumerate(parameters)
        }
        try:
            self._model: Any = pydantic.create_model("arguments", **fields)
            self._schema: Schema = self._model.model_json_schema()
        except Exception as error:  # noqa: BLE001 - the types' own code, and packages they ask for
            fault = str(error).partition("\n")[0]
        else:
            return
        raise ConfigurationError(f"a type of its parameters is none of JSON: {fault}")

    def schema(self) -> Schema:
        for each in self._schema["properties"].values():
            each.pop("default", None)  # None, which stands for the function's own
        return self._schema

    def read(self, arguments: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        import pydantic

        given = {name: arguments[name] for name in self._names if name in arguments}
        try:
            # As JSON: a model in strict mode then still takes dates and the like from strings.
            values = self._model.model_validate_json(json.dumps(given))
        except pydantic.ValidationError as error:
            path, reason = first_fault(error)
        except Exception as error:  # noqa: BLE001 - the models' own validators
            path, reason = "$", failed_inside(self._model, error)
        else:
            return [(name, getattr(values, f"p{self._names.index(name)}")) for name in given]
        raise misfit(path, reason)
