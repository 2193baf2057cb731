"""What is asked of a provider, before and after it is spelled for that provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from steer_llm_sdk.checks import TEXT
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import Message
from steer_llm_sdk.models.plain_json import plain_json, plain_mapping


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is its JSON Schema.

    `extra` holds the keys of the caller's mapping that have no place here (``cache_control``, …).
    """

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=_no_parameters)
    strict: bool | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawTool:
    """A tool in the provider's own spelling (its web search, a custom tool), passed unchanged."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tool the model is to call: `mode` is ``auto``, ``none``, ``required`` or ``tool``."""

    mode: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class JSONFormat:
    """JSON is wanted: any, or one that fits `schema`.

    `is_of_type` says that the schema was made of a type: it is asked for as strictly as the
    provider can.
    """

    schema: Mapping[str, Any] | None = None
    name: str = "response"
    strict: bool | None = None
    description: str | None = None
    is_of_type: bool = False


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call, in the library's own form. None means: not said, the provider decides."""

    model: str
    messages: tuple[Message, ...]
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning: str | int | None = None  # a word of effort, or a budget in tokens
    tools: tuple[Tool | RawTool, ...] = ()
    tool_choice: ToolChoice | RawTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: JSONFormat | RawTool | None = None
    include_usage: bool = True  # ask for usage, where it must be asked for
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """What goes over the wire. `headers` hold the key, so they are not part of the repr.

    `proxy` is the URL of a proxy; `verify` says whether the server's certificate is checked, or is
    the `ssl.SSLContext` by which it is.
    """

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    method: str = "POST"
    proxy: str | None = field(default=None, repr=False)
    verify: Any = True


# How the schema of the arguments is called: by OpenAI, Anthropic, MCP and Google.
_SCHEMA_KEYS = (
    "parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema",
)  # fmt: skip
_FUNCTION_KEYS = frozenset({"type", "function", "name", "description", "strict", *_SCHEMA_KEYS})
# What a tool of MCP tells its client beside that, and no model.
_KEYS_OF_MCP = frozenset({"_meta", "annotations", "execution", "icons", "outputSchema", "title"})


def read_tools(tools: object) -> tuple[Tool | RawTool, ...]:
    """Read tools in the spelling of OpenAI, Anthropic, MCP or Google; others pass unchanged.

    Raises:
        ConfigurationError: It is no list, or a tool is not a mapping.
    """
    if tools is None:
        return ()
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise ConfigurationError(f"tools: expected a list of tools, found {type(tools).__name__}")
    return tuple(_read_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools))


def _read_tool(given: object, where: str) -> Tool | RawTool:
    if isinstance(given, RawTool):
        return RawTool(plain_mapping(given.value, where))
    if isinstance(given, Tool):
        return replace(given, parameters=_read_parameters(given.parameters, where))
    tool = _mapping_of(given, where)
    if not _FUNCTION_KEYS & tool.keys():
        return RawTool(tool)  # Gemini's own: {"googleSearch": {}}
    kind = str(tool.get("type", "function"))
    inner = tool.get("function", tool)
    is_function = kind in {"function", "custom"} and isinstance(inner, dict)
    parameters = next((inner[k] for k in _SCHEMA_KEYS if k in inner), None) if is_function else None
    if not is_function or (kind == "custom" and parameters is None):
        return RawTool(tool)
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{where}: a function needs a name, found {name!r}")
    description = inner.get("description")
    TEXT.check_given(f"{where}: the description of {name!r}", description)
    said = _FUNCTION_KEYS | _KEYS_OF_MCP if "inputSchema" in inner else _FUNCTION_KEYS
    extra = {k: v for k, v in {**inner, **tool}.items() if k not in said}
    return Tool(
        name,
        description,
        _no_parameters() if parameters is None else _read_parameters(parameters, where),
        inner.get("strict", tool.get("strict")),
        extra,
    )


def _mapping_of(given: object, where: str) -> dict[str, Any]:
    """A tool as a mapping: what a caller has written, or an object of an SDK's.

    Such objects (of OpenAI's, Google's, of MCP) are pydantic's; one that describes no tool, but
    holds the arguments of one, say, is refused.
    """
    if isinstance(given, Mapping):
        return plain_mapping(given, where)
    has_fields = callable(getattr(given, "model_dump", None)) and not isinstance(given, type)
    tool = plain_json(given, where) if has_fields else None
    if isinstance(tool, dict) and (
        "name" in tool
        or "type" in tool
        or all(isinstance(each, dict | list) for each in tool.values())
    ):
        return tool
    raise ConfigurationError(
        f"{where}: expected a function, a Tool or a mapping, found {type(given).__name__}"
    )


def _read_parameters(parameters: object, where: str) -> dict[str, Any]:
    if not isinstance(parameters, Mapping):
        raise ConfigurationError(
            f"{where}: expected its parameters to be a JSON Schema as a mapping, "
            f"found {type(parameters).__name__}"
        )
    schema = plain_mapping(parameters, where)
    is_googles = str(schema.get("type")).isupper()
    return _as_json_schema(schema) if is_googles else schema


def _as_json_schema(schema: Any) -> Any:
    """A schema of Google's as JSON Schema has it: types in small letters, and null one of them.

    https://ai.google.dev/api/caching#Schema
    """
    if isinstance(schema, list):
        return [_as_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: _READ_WITHIN.get(key, _as_it_is)(each) for key, each in schema.items()}
    if isinstance(kind := read.get("type"), str):
        read["type"] = kind.lower()
        if read.pop("nullable", None) is True:
            read["type"] = [read["type"], "null"]
    return read


def _as_it_is(value: Any) -> Any:
    return value


def _each_by_name(schemas: Any) -> Any:
    if not isinstance(schemas, dict):
        return schemas
    return {name: _as_json_schema(each) for name, each in schemas.items()}


# Where a schema of Google's has others.
_READ_WITHIN: Mapping[str, Callable[[Any], Any]] = {
    "additionalProperties": _as_json_schema,
    "anyOf": _as_json_schema,
    "items": _as_json_schema,
    "prefixItems": _as_json_schema,
    "properties": _each_by_name,
}


def read_tool_choice(choice: object) -> ToolChoice | RawTool | None:
    """Read a tool choice: ``"auto"``, ``"none"``, ``"required"``/``"any"``, or a tool's name.

    The mappings of OpenAI (``{"type": "function", "function": {"name": …}}``) and of Anthropic
    (``{"type": "tool", "name": …}``) are understood; others pass unchanged.
    """
    if choice is None or isinstance(choice, ToolChoice | RawTool):
        return choice
    if isinstance(choice, str):
        modes = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
        return ToolChoice(modes[choice]) if choice in modes else ToolChoice("tool", choice)
    if not isinstance(choice, Mapping):
        raise ConfigurationError(
            f"tool_choice: expected a string or a mapping, found {type(choice).__name__}"
        )
    plain = plain_mapping(choice, "tool_choice")
    kind = str(plain.get("type"))
    inner = plain.get("function", plain)
    if kind in {"function", "tool"} and isinstance(inner, dict) and inner.get("name"):
        return ToolChoice("tool", inner["name"])
    if kind in {"auto", "none", "any"} and set(plain) == {"type"}:
        return read_tool_choice(kind)
    return RawTool(plain)


def check_tool_choice(choice: ToolChoice | RawTool | None, tools: Sequence[Tool | RawTool]) -> None:
    """Check that there is a tool to choose.

    A tool in a provider's own spelling may be asked for by its name or its type; where one may
    bring several (an MCP server, Gemini's declarations), any name may be among them.

    Raises:
        ConfigurationError: A tool is asked for that is not among the tools, or any where none are.
    """
    if not isinstance(choice, ToolChoice) or choice.mode in {"auto", "none"}:
        return
    if not tools:
        wanted = repr(choice.name or choice.mode)
        raise ConfigurationError(f"tool_choice: {wanted} asks for a call, and there are no tools")
    names = [name for tool in tools for name in _names_of(tool)]
    if choice.mode == "tool" and _ANY not in names and choice.name not in names:
        known = ", ".join(map(repr, names))
        raise ConfigurationError(
            f"tool_choice: expected 'auto', 'none', 'required' or one of the tools {known}, "
            f"found {choice.name!r}"
        )


_ANY = "*"


def _names_of(tool: Tool | RawTool) -> Iterator[str]:
    if isinstance(tool, Tool):
        yield tool.name
        return
    holders = [tool.value, *(each for each in tool.value.values() if isinstance(each, Mapping))]
    found = [str(each[key]) for each in holders for key in ("name", "type") if each.get(key)]
    yield from found or [_ANY]
    if str(tool.value.get("type", "")).startswith("mcp"):
        yield _ANY
