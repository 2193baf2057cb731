"""What a caller passes for JSON, as plain dicts and lists: done once, where it comes in.

Schemas, tools, messages and bodies may be made of any mappings and sequences
(``types.MappingProxyType``, a configuration's own classes), and of the official SDKs' objects. What
is sent, counted, checked against a schema or sent again later is a copy made of the kinds that
every JSON library takes; so a change that the caller makes meanwhile changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from steer_llm_sdk.errors import ConfigurationError

_SCALARS = frozenset({str, int, float, bool, type(None)})
# The library's own parts and tools are read as they are.
_OWN = "steer_llm_sdk."

_TEXT = (str, bytes, bytearray, memoryview)


def plain_json(value: object, where: str) -> Any:
    """Copy a value, with dicts for mappings and objects with fields, and lists for sequences.

    Objects with fields are pydantic's, dataclasses and msgspec's; a field that is None was not
    said. Others, and the library's own, are left as they are.

    Args:
        value: What the caller passed.
        where: Which argument that was, for the error.

    Raises:
        ConfigurationError: It is nested without an end, or too deeply.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise ConfigurationError(f"{where}: it is nested too deeply to be JSON") from None


def plain_mapping(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Copy a mapping, and all in it, as `plain_json` does."""
    copied: dict[str, Any] = plain_json(value, where)
    return copied


def exact_scalar(value: str | float) -> str | float:
    """Return the `str`, `int` or `float` that a value is, without the class that was made of it.

    ``markupsafe.Markup``, NumPy's ``str_`` and ``float64`` and the members of an `enum.Enum` are
    such; encoders take them for something else, and their own `str` may say something else.
    """
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _plain(value: Any) -> Any:
    if value.__class__ in _SCALARS:
        return value
    if isinstance(value, str | int | float):
        return exact_scalar(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, _TEXT):
        return [_plain(inner) for inner in value]
    if value.__class__.__module__.startswith(_OWN):
        return value
    # The official SDKs' objects are pydantic's: a field that is None was not said.
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return _plain(dump(mode="json", by_alias=True, exclude_none=True))
    if (names := _fields_of(value)) is None or isinstance(value, type):
        return value
    found = ((name, getattr(value, name)) for name in names)
    return {name: _plain(inner) for name, inner in found if inner is not None}


def _fields_of(value: Any) -> Iterable[str] | None:
    """The names of the fields of a dataclass or a msgspec Struct; None where it is neither."""
    fields = getattr(value, "__dataclass_fields__", None)
    found: Iterable[str] | None = getattr(value, "__struct_fields__", fields)
    return found
