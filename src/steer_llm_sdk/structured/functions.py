"""Python functions as tools: `Tool`, and the `Toolbox` of one call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steer_llm_sdk.checks import (
    FLAG,
    MAPPING,
    SECONDS,
    TEXT,
    did_you_mean,
    unwrapped,
    with_advice,
    yields,
)
from steer_llm_sdk.errors import ConfigurationError, SchemaError
from steer_llm_sdk.models import requests
from steer_llm_sdk.models.plain_json import plain_mapping
from steer_llm_sdk.structured.docstrings import read_docstring
from steer_llm_sdk.structured.signatures import Signature
from steer_llm_sdk.structured.tools import ToolArguments, parse_arguments

# What OpenAI, Anthropic and Gemini all take.
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")

# What other libraries call an argument of ours.
_OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("callable", "coroutine", "fn", "func", "handler"), "function"),
    **dict.fromkeys(
        (
            "args_schema", "inputSchema", "input_schema", "json_schema", "parameters_json_schema",
            "params_json_schema", "schema",
        ),
        "parameters",
    ),
    **dict.fromkeys(("require_approval", "requires_approval"), "needs_approval"),
}  # fmt: skip


def _place_of(name: str) -> str | None:
    return did_you_mean(_OTHER_NAMES[name]) if name in _OTHER_NAMES else None


@with_advice(_place_of)
class Tool:
    """A Python function that the model may call.

    ::

        async def get_weather(city: str, days: Annotated[int, "from 1 to 7"] = 1) -> Forecast:
            \"\"\"The weather in a city.\"\"\"

        result = await client.run("Rain in Ulm?", "gpt-4o", tools=[get_weather])

    The function alone does as well, where nothing else is to be said. The schema of the arguments
    comes from its annotations, the descriptions from its docstring. Arguments are checked and
    converted to the types of the parameters before it is called. What a function needs beside its
    arguments, it closes over.

    Args:
        function: Plain or asynchronous. None: a tool that somebody else runs, such as the caller;
            `client.run` then ends in its calls, and `name` has to be given.
        name: What the model calls it; by default the function's name.
        description: What it does, for the model; by default what its docstring says.
        parameters: A JSON Schema of the arguments, in place of the one that is made of the
            annotations. They are then passed as they came, by their names.
        timeout: How many seconds it may take in `client.run`; None: as long as it likes.
        needs_approval: Whether `client.run` ends before it is called, until a call is approved.

    Raises:
        ConfigurationError: It is no function, or its parameters cannot be described.
    """

    def __init__(
        self,
        function: Callable[..., Any] | None,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        needs_approval: bool = False,
    ) -> None:
        _refuse_no_function(function)
        self.name = _read_name(function, name)
        where = f"the tool {self.name!r}"
        TEXT.check_given(f"{where}: description", description)
        MAPPING.check_given(f"{where}: parameters", parameters)
        SECONDS.check_given(f"{where}: timeout", timeout)
        FLAG.check(f"{where}: needs_approval", needs_approval)
        self.function = function
        self.timeout = timeout
        self.needs_approval = needs_approval
        said = read_docstring(_docstring_of(function))
        self.description = (said.text or None) if description is None else description
        self._signature: Signature | None = None
        if function is not None and parameters is None:
            self._signature = _read_signature(function, said.parameters, where)
            parameters = self._signature.schema
        given = {"type": "object", "properties": {}} if parameters is None else parameters
        self.parameters: dict[str, Any] = plain_mapping(given, where)
        self._checked = ToolArguments([self.request])

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    @property
    def request(self) -> requests.Tool:
        """The tool as it is told to a provider."""
        return requests.Tool(self.name, self.description, self.parameters)

    @property
    def runs_by_itself(self) -> bool:
        """Whether its calls can be run without anybody's approval."""
        return self.function is not None and not self.needs_approval

    def read_arguments(self, arguments: str) -> tuple[list[Any], dict[str, Any]]:
        """Read the JSON of a call: the function's arguments by place, and by name.

        Raises:
            InvalidJSONError: They are not JSON.
            SchemaError: They do not fit the function.
        """
        if self._signature is None:
            return [], self._checked.read(self.name, arguments)
        try:
            return self._signature.bind(parse_arguments(arguments))
        except SchemaError as error:
            found = error
        raise SchemaError(
            f"the arguments of the tool call {self.name!r} do not fit: at {found.path}: "
            f"{found.reason}",
            text=arguments,
            path=found.path,
            reason=found.reason,
        )


def _refuse_no_function(given: object) -> None:
    if given is None:
        return
    if isinstance(given, type):
        raise ConfigurationError(
            f"tools: expected a function, found the class {given.__name__}; for an answer of that "
            f"type: response_format={given.__name__}"
        )
    if not callable(given):
        raise ConfigurationError(f"tools: expected a function, found {type(given).__name__}")
    if yields(given):
        raise ConfigurationError(
            f"tools: expected a function that returns its result, found {_name_of(given)!r}, "
            "which yields"
        )


def _read_name(function: Callable[..., Any] | None, name: str | None) -> str:
    TEXT.check_given("tools: the name of a tool", name)
    found = name if name is not None else _name_of(function)
    if not _NAME.fullmatch(found):
        raise ConfigurationError(
            "tools: expected the name of a tool to be letters, digits, '_' and '-', up to 64 of "
            f"them, found {found!r}: pass Tool(function, name=…)"
        )
    return found


def _name_of(function: Callable[..., Any] | None) -> str:
    found = unwrapped(function)
    return str(getattr(found, "__name__", "" if found is None else type(found).__name__))


def _docstring_of(function: Callable[..., Any] | None) -> str | None:
    found: Any = unwrapped(function)
    if found is None or inspect.isroutine(found):
        return found.__doc__ if found is not None else None
    return type(found).__call__.__doc__ or type(found).__doc__


def _read_signature(function: Callable[..., Any], said: Mapping[str, str], where: str) -> Signature:
    try:
        return Signature(function, said)
    except ConfigurationError as error:
        fault = str(error)
    except Exception as error:  # noqa: BLE001 - annotations and types are code of the function's
        fault = f"its parameters cannot be described ({type(error).__name__}: {error})"
    raise ConfigurationError(f"{where}: {fault}")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of a call, as they were passed.

    Attributes:
        asked: As they are told to the provider.
        functions: Those that were passed as functions or as `Tool`, by their names.
        checks: Whether a stream fails where the arguments of a call do not fit.
    """

    asked: tuple[requests.Tool | requests.RawTool, ...] = ()
    functions: Mapping[str, Tool] = field(default_factory=dict)
    checks: bool = True

    def arguments(self, *, validate_schema: bool) -> ToolArguments | None:
        """What checks the arguments of a stream's calls; None where nothing is to be checked."""
        if not self.asked or not self.checks:
            return None
        readers = {name: tool.read_arguments for name, tool in self.functions.items()}
        return ToolArguments(self.asked, validate_schema=validate_schema, readers=readers)


def read_toolbox(tools: object) -> Toolbox:
    """Read what a caller passed as ``tools``: functions, `Tool`, and mappings in any spelling.

    Raises:
        ConfigurationError: It is no list, one of them is no tool, or two have one name.
    """
    if isinstance(tools, Toolbox):
        return tools
    if tools is None:
        return Toolbox()
    if callable(tools) or isinstance(tools, Tool):
        raise ConfigurationError("tools: expected a list of tools, found one: write tools=[…]")
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise ConfigurationError(f"tools: expected a list of tools, found {type(tools).__name__}")
    given = [Tool(each) if callable(each) else each for each in tools]
    asked = requests.read_tools([t.request if isinstance(t, Tool) else t for t in given])
    functions = {tool.name: tool for tool in given if isinstance(tool, Tool)}
    _refuse_doubles(asked, functions)
    return Toolbox(asked, functions)


def _refuse_doubles(
    asked: Iterable[requests.Tool | requests.RawTool], functions: Mapping[str, Tool]
) -> None:
    names = [tool.name for tool in asked if isinstance(tool, requests.Tool)]
    doubles = [name for name in functions if names.count(name) > 1]
    if doubles:
        raise ConfigurationError(
            f"tools: two are called {doubles[0]!r}: pass Tool(function, name=…)"
        )
