"""Tools and tool choices, in the spellings of several providers."""

from __future__ import annotations

from collections import UserDict
from types import MappingProxyType
from typing import Any

import pytest
from google.genai import types as google
from openai.types.responses import FunctionTool
from pydantic import BaseModel

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    RawTool,
    Tool,
    ToolChoice,
    check_tool_choice,
    read_tool_choice,
    read_tools,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
NO_PARAMETERS = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Adds.",
                    "parameters": SCHEMA,
                    "strict": True,
                },
            },
            Tool("add", "Adds.", SCHEMA, strict=True),
        ),
        ({"name": "add", "input_schema": SCHEMA}, Tool("add", None, SCHEMA)),
        ({"name": "add", "parametersJsonSchema": SCHEMA}, Tool("add", None, SCHEMA)),
        ({"name": "add", "parameters_json_schema": SCHEMA}, Tool("add", None, SCHEMA)),
        (
            # https://modelcontextprotocol.io/specification/2025-06-18/server/tools
            {
                "name": "add",
                "title": "Adder",
                "description": "Adds.",
                "inputSchema": SCHEMA,
                "outputSchema": {"type": "object"},
                "annotations": {"readOnlyHint": True},
                "_meta": None,
            },
            Tool("add", "Adds.", SCHEMA),
        ),
        ({"type": "custom", "name": "add", "input_schema": SCHEMA}, Tool("add", None, SCHEMA)),
        ({"type": "function", "name": "add", "parameters": SCHEMA}, Tool("add", None, SCHEMA)),
        ({"name": "add"}, Tool("add", None, NO_PARAMETERS)),
        (
            {"type": "function", "strict": False, "function": {"name": "add"}},
            Tool("add", None, NO_PARAMETERS, strict=False),
        ),
        (Tool("add"), Tool("add")),
        (RawTool({"n": 1}), RawTool({"n": 1})),
    ],
)
def test_a_function_is_read(given: Any, read: Tool | RawTool) -> None:
    assert read_tools([given]) == (read,)


@pytest.mark.parametrize(
    "given",
    [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        {"type": "custom", "name": "sh", "format": {"type": "text"}},
        {"type": "custom", "custom": {"name": "sh"}},
        {"googleSearch": {}},
        {"functionDeclarations": [{"name": "add"}]},
        {"type": "function", "function": "add"},
    ],
)
def test_a_tool_of_the_providers_own_passes_unchanged(given: Any) -> None:
    assert read_tools([given]) == (RawTool(given),)


class ToolOfMCP(BaseModel):
    """As the client of MCP gives them."""

    name: str
    description: str | None = None
    inputSchema: dict[str, Any]  # noqa: N815 - its own spelling
    annotations: dict[str, Any] | None = None


class Argument(BaseModel):
    city: str = "Rome"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (
            FunctionTool(type="function", name="add", parameters=dict(SCHEMA), strict=True),
            Tool("add", None, SCHEMA, strict=True),
        ),
        (ToolOfMCP(name="add", inputSchema=dict(SCHEMA)), Tool("add", None, SCHEMA)),
        (
            google.FunctionDeclaration(name="add", parameters_json_schema=dict(SCHEMA)),
            Tool("add", None, SCHEMA),
        ),
        (google.Tool(google_search=google.GoogleSearch()), RawTool({"googleSearch": {}})),
    ],
)
def test_a_tool_may_be_an_object_of_an_sdk(given: Any, read: Tool | RawTool) -> None:
    assert read_tools([given]) == (read,)


def test_a_schema_in_googles_letters_is_one_of_json_schema() -> None:
    text = google.Schema(type=google.Type.STRING, nullable=True, default="STRING")
    schema = google.Schema(
        type=google.Type.OBJECT,
        properties={
            "nullable": google.Schema(type=google.Type.ARRAY, items=text),
            "type": google.Schema(any_of=[text, google.Schema(type=google.Type.INTEGER)]),
        },
        required=["type"],
    )

    (tool,) = read_tools([google.FunctionDeclaration(name="add", parameters=schema)])

    read = {"type": ["string", "null"], "default": "STRING"}
    assert isinstance(tool, Tool)
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "nullable": {"type": "array", "items": read},
            "type": {"anyOf": [read, {"type": "integer"}]},
        },
        "required": ["type"],
    }


def test_a_schema_in_googles_letters_may_have_nonsense_for_its_properties() -> None:
    given = {"name": "add", "parameters": {"type": "OBJECT", "properties": 5, "items": "x"}}

    assert read_tools([given]) == (
        Tool("add", None, {"type": "object", "properties": 5, "items": "x"}),
    )


def test_the_marks_of_a_tool_are_kept() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    nested = {"type": "function", "function": {"name": "add", "examples": [1]}, **mark}

    flat, deep = read_tools([{"name": "add", "input_schema": SCHEMA, **mark}, nested])

    assert flat == Tool("add", None, SCHEMA, extra=mark)
    assert deep == Tool("add", None, NO_PARAMETERS, extra={"examples": [1], **mark})


@pytest.mark.parametrize("tools", [None, []])
def test_no_tools_are_none(tools: Any) -> None:
    assert read_tools(tools) == ()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("add", r"tools\[0\]: expected a function, a Tool or a mapping, found str"),
        (Argument(), r"tools\[0\]: expected a function, a Tool or a mapping, found Argument"),
        ({"type": "function", "function": {}}, r"tools\[0\]: a function needs a name, found None"),
        ({"type": "function", "name": ""}, "found ''"),
        ({"description": "Adds."}, "found None"),
    ],
)
def test_a_tool_that_cannot_be_read_is_refused(given: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_tools([given])


def test_tools_without_parameters_do_not_share_them() -> None:
    assert Tool("a").parameters is not Tool("b").parameters


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ("add", ToolChoice("tool", "add")),
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "tool", "name": "add"}, ToolChoice("tool", "add")),
        ({"type": "function", "name": "add"}, ToolChoice("tool", "add")),
        ({"type": "function", "function": {"name": "add"}}, ToolChoice("tool", "add")),
        (ToolChoice("none"), ToolChoice("none")),
        (RawTool({"n": 1}), RawTool({"n": 1})),
    ],
)
def test_a_choice_is_read(given: Any, read: Any) -> None:
    assert read_tool_choice(given) == read


@pytest.mark.parametrize(
    "given",
    [
        {"type": "auto", "disable_parallel_tool_use": True},
        {"type": "web_search"},
        {"type": "function"},
        {"type": "function", "function": "add"},
        {"type": "allowed_tools", "mode": "auto", "tools": []},
    ],
)
def test_another_choice_passes_unchanged(given: Any) -> None:
    assert read_tool_choice(given) == RawTool(given)


def test_a_choice_that_is_neither_a_word_nor_a_mapping_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected a string or a mapping, found int"):
        read_tool_choice(5)


def test_a_request_shows_neither_key_nor_words_nor_a_proxys_password() -> None:
    request = HTTPRequest(
        "https://a.example",
        b"my words",
        {"authorization": "Bearer sk-1"},
        proxy="http://me:secret@proxy.example",
    )

    assert repr(request) == "HTTPRequest(url='https://a.example', method='POST', verify=True)"


def test_headers_of_the_callers_may_hold_a_key_so_they_are_not_shown() -> None:
    request = ChatRequest("m", (), extra_headers={"authorization": "Bearer sk-secret"})

    assert "sk-secret" not in repr(request)


# --- a choice among the tools -------------------------------------------------------------------

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
CUSTOM = {"type": "custom", "custom": {"name": "sh"}}


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        (None, []),
        ("auto", []),
        ("none", []),
        ("required", [{"name": "add"}]),
        ("add", [{"name": "sub"}, {"name": "add"}]),
        ("web_search", [SEARCH]),
        ("web_search_20250305", [SEARCH]),
        ("sh", [CUSTOM]),
        ("any_at_all", [{"functionDeclarations": [{"name": "any_at_all"}]}]),
        ("any_at_all", [{"type": "mcp", "server_label": "docs"}]),
        ({"type": "of_the_providers_own"}, []),
    ],
)
def test_a_choice_that_can_be_made_is_taken(choice: Any, tools: list[Any]) -> None:
    check_tool_choice(read_tool_choice(choice), read_tools(tools))


@pytest.mark.parametrize(
    ("choice", "tools", "complaint"),
    [
        ("sub", [{"name": "add"}], r"one of the tools 'add', found 'sub'"),
        ("requierd", [{"name": "add"}], r"'required' or one of the tools 'add', found 'requierd'"),
        ({"type": "tool", "name": "sub"}, [{"name": "add"}, SEARCH], "found 'sub'"),
        ("required", [], "'required' asks for a call, and there are no tools"),
        ("any", [], "'required' asks for a call, and there are no tools"),
        ("add", [], "'add' asks for a call, and there are no tools"),
    ],
)
def test_a_choice_that_names_no_tool_is_refused(
    choice: Any, tools: list[Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^tool_choice: .*{complaint}"):
        check_tool_choice(read_tool_choice(choice), read_tools(tools))


@pytest.mark.parametrize(
    ("tool", "complaint"),
    [
        ({"name": "add", "parameters": "{}"}, r"tools\[0\]: expected its parameters to be a JSON"),
        (
            {"name": "add", "description": 5},
            r"tools\[0\]: the description of 'add': expected a str",
        ),
    ],
)
def test_a_tool_whose_fields_are_something_else_is_refused(tool: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_tools([tool])


@pytest.mark.parametrize(
    "tool",
    [
        MappingProxyType({"name": "add", "input_schema": MappingProxyType(SCHEMA)}),
        UserDict({"type": "function", "function": UserDict({"name": "add", "parameters": SCHEMA})}),
        Tool("add", None, MappingProxyType(SCHEMA)),
    ],
)
def test_a_tool_may_be_any_mapping_and_is_a_plain_copy(tool: Any) -> None:
    (read,) = read_tools(iter([tool]))

    assert read == Tool("add", None, SCHEMA)
    assert isinstance(read, Tool)
    assert type(read.parameters) is dict
    assert read.parameters is not SCHEMA
