"""The arguments of tool calls, against the schemas of their tools."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from steer_llm_sdk.errors import ConfigurationError, SchemaError
from steer_llm_sdk.models.requests import RawTool, Tool
from steer_llm_sdk.structured.final import parse
from steer_llm_sdk.structured.validators import SchemaValidator, misfit

_log = logging.getLogger(__name__)


class ToolArguments:
    """Reads the arguments of finished calls.

    That they are an object is always checked; that they fit the tool's schema, where the extra
    ``jsonschema`` is installed. Tools in a provider's own spelling have no schema to check.

    Args:
        tools: The tools of the request.
        validate_schema: Whether schemas are looked at.
        readers: What reads the arguments of the tools that are Python functions, by their names.
    """

    def __init__(
        self,
        tools: Sequence[Tool | RawTool],
        *,
        validate_schema: bool = True,
        readers: Mapping[str, Callable[[str], object]] | None = None,
    ) -> None:
        self._readers = readers or {}
        self._schemas = {
            tool.name: tool.parameters
            for tool in tools
            if isinstance(tool, Tool) and validate_schema
        }
        self._validators: dict[str, SchemaValidator | None] = {}

    def check(self, name: str, arguments: str) -> None:
        """Check the arguments of one whole call, as `read` does.

        Raises:
            InvalidJSONError: They are not JSON.
            SchemaError: They do not fit.
        """
        if reader := self._readers.get(name):
            reader(arguments)
        else:
            self.read(name, arguments)

    def read(self, name: str, arguments: str) -> dict[str, Any]:
        """The arguments of one whole call.

        Raises:
            InvalidJSONError: They are not JSON.
            SchemaError: They are no object, or do not fit the tool's schema.
        """
        try:
            value = parse_arguments(arguments)
            if validator := self._validator(name):
                validator.check(value)
        except SchemaError as error:
            found = error
        else:
            return value
        raise SchemaError(
            f"the arguments of the tool call {name!r} do not fit: at {found.path}: {found.reason}",
            text=arguments,
            path=found.path,
            reason=found.reason,
        )

    def _validator(self, name: str) -> SchemaValidator | None:
        if name not in self._validators:
            self._validators[name] = _new_validator(name, self._schemas.get(name))
        return self._validators[name]


def parse_arguments(text: str) -> dict[str, Any]:
    """The arguments of one whole call. Empty text stands for none, and so does null.

    Models write null for functions without parameters.

    Raises:
        InvalidJSONError: They are not JSON.
        SchemaError: They are no object.
    """
    value = parse(text) if text.strip() else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise misfit("$", "expected an object")
    return value


def _new_validator(name: str, schema: Mapping[str, Any] | None) -> SchemaValidator | None:
    if schema is None or not _is_installed():
        return None
    try:
        return SchemaValidator(schema, f"tool {name!r}")
    except ConfigurationError as error:  # the provider took it, so the call is worth having
        _log.warning("the arguments of its calls are not checked: %s", error)
        return None


def _is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("jsonschema_rs") is not None
