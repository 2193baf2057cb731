"""Whether a JSON value is what was asked for, and what typed object it is.

Each validator raises `SchemaError` with the path and the reason, and nothing else. The messages
never quote the value: it is the model's answer, and may be anything.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, Protocol

from steer_llm_sdk.errors import ConfigurationError, SchemaError
from steer_llm_sdk.stored import shown_value
from steer_llm_sdk.structured.parser.events import path_text

_log = logging.getLogger(__name__)

_INSTALL = 'pip install "steer-llm-sdk[jsonschema]"'


class Validator(Protocol):
    """Looks at a whole JSON value."""

    def check(self, value: Any) -> Any:
        """The typed object that the value is; the value itself where there is no type.

        Raises:
            SchemaError: The value does not fit.
        """
        ...


def misfit(path: str, reason: str) -> SchemaError:
    """The error of a value that does not fit at `path`."""
    return SchemaError(f"the JSON does not fit: at {path}: {reason}", path=path, reason=reason)


def misfit_of(message: str) -> SchemaError:
    """The error that msgspec's words tell of; those of a key name the object that has it."""
    reason, _, place = message.partition(" - at `")
    return misfit(place.removesuffix("`").rpartition("` in `")[2] or "$", reason)


class ObjectValidator:
    """For ``json_object``: any object."""

    def check(self, value: Any) -> Any:
        """The value, when it is an object."""
        if isinstance(value, dict):
            return value
        raise misfit("$", f"expected an object, found {_kind_of(value)}")


class SchemaValidator:
    """For a JSON Schema, by the library ``jsonschema-rs``; references are never fetched.

    Args:
        schema: The schema; its ``$schema`` says the draft, else the newest counts.
        name: What the schema belongs to, for messages.

    Raises:
        ConfigurationError: The schema is not valid, or the library is not installed.
    """

    def __init__(self, schema: Mapping[str, Any], name: str) -> None:
        library = _load_jsonschema_rs()
        if library is None:
            raise ConfigurationError(
                f"{name}: checking an answer against a JSON Schema needs the extra 'jsonschema' "
                f"({_INSTALL}); StreamingOptions(validate_schema=False) leaves the check out"
            )
        fault = ""
        try:
            self._validator = library.validator_for(dict(schema), offline=True, mask="the value")
        except ValueError as error:
            where = path_text(getattr(error, "instance_path", ()))
            fault = f"at {where}: {str(error).partition(chr(10))[0]}"
        if fault:
            raise ConfigurationError(f"{name}: expected a valid JSON Schema, found a fault {fault}")

    def check(self, value: Any) -> Any:
        """The value, when it fits."""
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return value
        raise misfit(path_text(error.instance_path), error.message)


def convert(value: Any, wanted: Any) -> Any:
    """The value as an object of a type that msgspec knows.

    By JSON Schema ``1.0`` is a whole number, which for msgspec it is not.

    Raises:
        msgspec.ValidationError: It does not fit.
    """
    import msgspec

    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, wanted, str_keys=True)
    return msgspec.convert(_with_whole_numbers(value), wanted, str_keys=True)


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class TypeValidator:
    """For a type that msgspec knows: Struct, dataclass, TypedDict, attrs class."""

    def __init__(self, wanted: Any) -> None:
        self._wanted = wanted

    def check(self, value: Any) -> Any:
        """The value as an object of the type."""
        import msgspec

        try:
            return convert(value, self._wanted)
        except msgspec.ValidationError as error:
            message = str(error)
        except Exception as error:  # noqa: BLE001 -- the type's own code (`__post_init__`)
            message = failed_inside(self._wanted, error)
        raise misfit_of(message)


class PydanticValidator:
    """For a pydantic model or dataclass."""

    def __init__(self, wanted: Any) -> None:
        from pydantic import TypeAdapter

        self._wanted = wanted
        self._adapter: Any = TypeAdapter(wanted)

    def check(self, value: Any) -> Any:
        """The value as an object of the model."""
        from pydantic import ValidationError

        try:
            # As JSON: a model in strict mode then still takes dates and the like from strings.
            return self._adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            path, reason = first_fault(error)
        except Exception as error:  # noqa: BLE001 -- the model's own validators
            path, reason = "$", failed_inside(self._wanted, error)
        raise misfit(path, reason)


def _load_jsonschema_rs() -> ModuleType | None:
    try:
        import jsonschema_rs
    except ImportError:
        return None
    return jsonschema_rs


def first_fault(error: Any) -> tuple[str, str]:
    """Where the first fault of a pydantic `ValidationError` is, and what is wrong there."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return path_text(_plain_keys(first["loc"])), str(first["msg"])


def failed_inside(wanted: Any, error: Exception) -> str:
    """Log what the code of a type raised, and say it without what it was given."""
    name = getattr(wanted, "__name__", shown_value(wanted))
    _log.warning("the code of %s failed while it was made from JSON", name, exc_info=error)
    return f"the code of {name} raised {type(error).__name__}"


def _plain_keys(location: Iterable[Any]) -> list[str | int]:
    return [key if isinstance(key, int) else str(key) for key in location]


def _kind_of(value: Any) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
