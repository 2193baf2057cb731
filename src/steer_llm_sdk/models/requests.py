"""What is asked of a provider, before and after it is spelled for that provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import Message


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
    """JSON is wanted: any, or one that fits `schema`."""

    schema: Mapping[str, Any] | None = None
    name: str = "response"
    strict: bool | None = None
    description: str | None = None


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
    tools: tuple[Tool | RawTool, ...] = ()
    tool_choice: ToolChoice | RawTool | None = None
    response_format: JSONFormat | RawTool | None = None
    include_usage: bool = True  # ask for usage, where it must be asked for
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """What goes over the wire. `headers` hold the key, so they are not part of the repr.

    `proxy` is the URL of an HTTP proxy; `verify` says whether the server's certificate is checked.
    """

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    method: str = "POST"
    proxy: str | None = field(default=None, repr=False)
    verify: bool = True


_FUNCTION_KEYS = frozenset(
    {"type", "function", "name", "description", "parameters", "input_schema", "strict"}
)


def read_tools(tools: Sequence[object] | None) -> tuple[Tool | RawTool, ...]:
    """Read tools in the spelling of OpenAI, of Anthropic, or flat; others pass unchanged.

    Raises:
        ConfigurationError: A tool is not a mapping.
    """
    return tuple(_read_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools or ()))


def _read_tool(tool: object, where: str) -> Tool | RawTool:
    if isinstance(tool, Tool | RawTool):
        return tool
    if not isinstance(tool, Mapping):
        raise ConfigurationError(f"{where}: expected a mapping, found {type(tool).__name__}")
    if not _FUNCTION_KEYS & tool.keys():
        return RawTool(tool)  # Gemini's own: {"googleSearch": {}}
    kind = str(tool.get("type", "function"))
    inner = tool.get("function", tool)
    is_function = kind in {"function", "custom"} and isinstance(inner, Mapping)
    parameters = inner.get("parameters", inner.get("input_schema")) if is_function else None
    if kind == "custom" and parameters is None:
        return RawTool(tool)
    if not is_function:
        return RawTool(tool)
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{where}: a function needs a name, found {name!r}")
    extra = {k: v for k, v in {**inner, **tool}.items() if k not in _FUNCTION_KEYS}
    return Tool(
        name,
        inner.get("description"),
        parameters if parameters is not None else _no_parameters(),
        inner.get("strict", tool.get("strict")),
        extra,
    )


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
    kind = str(choice.get("type"))
    inner = choice.get("function", choice)
    if kind in {"function", "tool"} and isinstance(inner, Mapping) and inner.get("name"):
        return ToolChoice("tool", inner["name"])
    if kind in {"auto", "none", "any"} and set(choice) == {"type"}:
        return read_tool_choice(kind)
    return RawTool(choice)
