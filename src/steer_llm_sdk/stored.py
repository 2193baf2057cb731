"""How values are stored: as plain data and as JSON; and what pydantic has to know of them.

Events, responses and errors have ``to_dict``, ``to_json`` and ``from_dict``. What these share is
here: it knows none of their classes.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from functools import cache
from math import isfinite
from os import fspath
from types import GenericAlias
from typing import Any, NoReturn, Self, TypeAlias

# Of what `to_json` writes. Newer versions of the library read what older ones have written.
VERSION = 1
VERSION_KEY = "version"


def as_stored(data: object) -> Mapping[str, Any]:
    """Take what `to_dict` gave; or a row of a database, which knows its keys.

    Raises:
        TypeError: It is something else, such as the JSON that is still to be parsed.
    """
    if isinstance(data, Mapping):
        return data
    if callable(getattr(data, "keys", None)):
        row: Any = data
        return dict(row)
    hint = ": json.loads(…) parses it" if isinstance(data, str | bytes | bytearray) else ""
    raise TypeError(f"expected a mapping, as to_dict gives it, found {type(data).__name__}{hint}")


class Live:
    """What reads from elsewhere while it lives: a copy would be a second holder of the same.

    The end of either would then be the end of both, as when a copy is collected.
    """

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__}: what is being read cannot be copied, pickled or stored; its "
            "events and its response can"
        )


class ItsOwnCopy:
    """What many share: its copy is itself.

    So what holds it can be copied, by `copy.deepcopy` and `dataclasses.asdict` too.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class Shared(ItsOwnCopy):
    """What holds connections, files or locks as well: it goes to no other process."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__}: it holds connections and keys, files or locks, and cannot "
            "be pickled: make one in each process"
        )


def plain(value: Any) -> Any:
    """Return a copy of a value in what JSON has: dicts with string keys, lists, and scalars.

    What JSON has no word for becomes what comes nearest: bytes their base64, dates, identifiers,
    paths and decimal numbers their usual text, a set a list, a float that is no number None, an
    object the dict of its fields, anything else its `repr`; so does what is nested more deeply than
    can be followed, or holds itself.
    """
    try:
        return _plain(value)
    except RecursionError:
        return _plain_but_the_deepest(value, _LEVELS)


def _plain(value: Any) -> Any:
    kind = value.__class__
    if kind in _SCALARS:
        return value
    if kind is float:
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {
            key if key.__class__ is str else _key(key): (
                item if item.__class__ in _SCALARS else _plain(item)
            )
            for key, item in value.items()
        }
    if isinstance(value, _LISTS):
        return [item if item.__class__ in _SCALARS else _plain(item) for item in value]
    return _plain_object(value)


_SCALARS = frozenset({str, int, bool, type(None)})
_LISTS = (list, tuple)

# How far down what can be followed is told from what cannot.
_LEVELS = 4


def _plain_but_the_deepest(value: Any, levels: int) -> Any:
    """As `plain`; a part without a bottom becomes its `repr`, and leaves the others as they are."""
    try:
        return _plain(value)
    except RecursionError:
        if levels and isinstance(value, dict):
            return {_key(k): _plain_but_the_deepest(v, levels - 1) for k, v in value.items()}
        if levels and isinstance(value, list | tuple):
            return [_plain_but_the_deepest(item, levels - 1) for item in value]
        return shown_value(value)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    found = _plain(key)
    return found if isinstance(found, str) else json.dumps(found)


def shown_value(value: object) -> str:
    """The `repr` of a value; its type where it has none, as a number of too many digits."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever the value's own raises
        return f"<{type(value).__name__}>"


def words_of(error: BaseException) -> str:
    """The words of an exception; none where it has no more of them than a value has a `repr`."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever the exception's own raises
        return ""


def _plain_object(value: Any) -> Any:
    """Convert what is no plain container, by the first kind that it is of."""
    for kind, convert in _CONVERTERS:
        if isinstance(value, kind):
            return convert(value)
    if isinstance(value, type):
        return shown_value(value)
    for method in ("to_dict", "tolist"):  # of the arrays and numbers of NumPy and its like
        if callable(told := getattr(value, method, None)):
            return _plain(told())
    names = _field_names(value)
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    for kind, convert in _rare_converters():
        if isinstance(value, kind):
            return convert(value)
    return _by_msgspec(value)


_Converters: TypeAlias = tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...]

_CONVERTERS: _Converters = (
    (Enum, lambda value: _plain(value.value)),
    (str, str),
    (int, int),
    (float, lambda value: float(value) if isfinite(value) else None),
    ((bytes, bytearray, memoryview), lambda value: b64encode(value).decode("ascii")),
    ((date, time), lambda value: value.isoformat()),
    (Mapping, lambda value: _plain(dict(value))),
    (AbstractSet, lambda value: sorted(map(_plain, value), key=repr)),
)


@cache
def _rare_converters() -> _Converters:
    """As `_CONVERTERS`, of kinds whose modules few programs have loaded."""
    from collections import UserString
    from collections.abc import Sequence, ValuesView
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
    from numbers import Integral, Real
    from os import PathLike

    addresses = (IPv4Address, IPv4Network, IPv6Address, IPv6Network)
    return (
        ((UserString, *addresses), str),
        (PathLike, lambda value: _plain(fspath(value))),
        (Integral, int),
        (Real, lambda value: _plain(float(value))),
        ((Sequence, ValuesView), lambda value: _plain(list(value))),
    )


def _by_msgspec(value: Any) -> Any:
    """An identifier, a decimal number, a duration, as msgspec writes them and reads parameters."""
    import msgspec

    try:
        return msgspec.to_builtins(value)
    except TypeError:
        return shown_value(value)


def _field_names(value: Any) -> Iterable[str] | None:
    """The names of an object's fields: of a dataclass, of msgspec, pydantic and attrs."""
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    kind = type(value)
    for name in ("__struct_fields__", "model_fields"):
        if (found := getattr(kind, name, None)) is not None:
            return found  # type: ignore[no-any-return]
    of_attrs = getattr(kind, "__attrs_attrs__", None)
    return None if of_attrs is None else [each.name for each in of_attrs]


def to_json(data: Mapping[str, Any]) -> str:
    """Write plain data as JSON in one line, and the version of its format with it."""
    whole = {**data, VERSION_KEY: VERSION}
    text = _encode_version(whole)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which a model's broken output may hold
        return json.dumps(whole, allow_nan=False, separators=(",", ":"))
    return text


_encode_version = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
_encode = json.JSONEncoder(ensure_ascii=False).encode


def write_json(value: Any) -> str:
    """Write plain data as JSON; half a character, which UTF-8 has no bytes for, is escaped."""
    text = _encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def plain_json(value: Any) -> str | None:
    """Return a value as JSON, by way of `plain`; None where there is nothing in it."""
    return write_json(plain(value)) if value else None


def pydantic_schema(
    cls: type,
    handler: Any,
    hints: Mapping[str, Any],
    *,
    from_dict: Callable[[dict[str, Any]], Any],
    to_dict: Callable[[Any], dict[str, Any]],
) -> Any:
    """Make the schema by which pydantic validates and writes instances of a class.

    Instances pass as they are, and dicts are read by `from_dict`. Called by pydantic alone.

    Args:
        cls: The class, a base of what is accepted.
        handler: Pydantic's: makes the schemas of the fields.
        hints: The types of the fields by their names.
        from_dict: Makes an instance of a dict whose fields have been validated.
        to_dict: Makes the dict that is written.
    """
    from pydantic_core import core_schema as core

    named = {
        name: core.typed_dict_field(handler.generate_schema(hint), required=False)
        for name, hint in hints.items()
    }
    shape = core.typed_dict_schema(named, extra_behavior="allow")
    read = core.no_info_after_validator_function(from_dict, shape)
    return core.json_or_python_schema(
        json_schema=read,
        python_schema=core.union_schema([core.is_instance_schema(cls), read], mode="left_to_right"),
        serialization=core.plain_serializer_function_ser_schema(to_dict, return_schema=shape),
    )


class PydanticAlias(GenericAlias):
    """A generic class with its parameter, of which pydantic is told the schema of the class.

    Pydantic asks a dataclass that has parameters for no schema of its own, and makes one of the
    fields instead; but it takes one that stands in the alias's ``__dict__``.
    """

    def __getattribute__(self, name: str) -> Any:
        if name != "__dict__" or "pydantic" not in sys.modules:
            return super().__getattribute__(name)
        from pydantic import TypeAdapter

        origin: Any = self.__origin__
        return {**vars(origin), "__pydantic_core_schema__": TypeAdapter(origin).core_schema}
