"""One stream's JSON, from its pieces to the response."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest

from steer_llm_sdk.errors import (
    InvalidJSONError,
    RefusalError,
    SchemaError,
    TruncatedJSONError,
)
from steer_llm_sdk.models.requests import RawTool, Tool
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.structured import (
    StructuredOutput,
    ToolArguments,
    read_response_format,
)


class City(msgspec.Struct):
    name: str
    people: int


_WEATHER = Tool(
    "weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)


def _response(text: str = "", finish_reason: Any = "stop", **fields: Any) -> StreamingResponse:
    return StreamingResponse(text=text, finish_reason=finish_reason, **fields)


def _call(arguments: str, name: str = "weather", **fields: Any) -> dict[str, Any]:
    return {"id": "call_1", "name": name, "arguments": arguments, **fields}


def _finished(response_format: object, response: StreamingResponse) -> StreamingResponse:
    StructuredOutput(read_response_format(response_format)).finish(response)
    response.is_finished = True
    return response


def test_a_typed_answer_is_value_and_object() -> None:
    response = _finished(City, _response('{"name": "Ulm", "people": 5}'))

    assert response.get_json() == {"name": "Ulm", "people": 5}
    assert response.parsed == City("Ulm", 5)


def test_an_untyped_answer_is_parsed_as_its_value() -> None:
    response = _finished({"type": "json_object"}, _response('{"a": 1}'))

    assert response.parsed == response.get_json() == {"a": 1}


def test_validate_schema_off_takes_any_json() -> None:
    read = read_response_format({"type": "json_object"}, validate_schema=False)
    response = _response("[1]")
    StructuredOutput(read).finish(response)

    assert response.parsed == response.get_json() == [1]


def test_text_that_was_not_asked_for_as_json_is_let_be() -> None:
    response = _finished(None, _response("plain words"))

    assert response.get_text() == "plain words"


@pytest.mark.parametrize(
    ("response", "kind", "text"),
    [
        (_response('{"name": "U', "length"), TruncatedJSONError, '{"name": "U'),
        (_response("", refusal="No."), RefusalError, "No."),
        (_response("No.", "refusal"), RefusalError, "No."),
        (_response(""), InvalidJSONError, ""),
        (_response("{}{}"), InvalidJSONError, "{}{}"),
        (_response("```\n{}\n```"), InvalidJSONError, "```\n{}\n```"),
        (_response('{"name": "Ulm"}'), SchemaError, '{"name": "Ulm"}'),
    ],
)
def test_each_failure_is_its_own_error_with_what_had_arrived(
    response: StreamingResponse, kind: type[InvalidJSONError], text: str
) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        _finished(City, response)

    assert type(caught.value) is kind
    assert caught.value.text == text


def test_json_extract_looks_inside_a_fence() -> None:
    output = StructuredOutput(read_response_format(City), json_extract=True)
    response = _response('Here:\n```json\n{"name": "Ulm", "people": 5}\n```')
    output.watch(response)

    output.finish(response)

    assert response.parsed == City("Ulm", 5)
    assert output.snapshot() == {"name": "Ulm", "people": 5}


def test_the_value_so_far_and_its_events_show_while_it_streams() -> None:
    output = StructuredOutput(read_response_format(City))
    assert output.snapshot() is None
    assert output.read_events() == []

    output.watch(_response('{"name": "Ulm", "pe'))

    assert output.snapshot() == {"name": "Ulm"}
    assert [event.path for event in output.read_events()] == ["$.name", "$.name"]


def test_an_answer_that_calls_tools_owes_no_json() -> None:
    response = _response("Let me look.", "tool_calls", tool_calls=[_call('{"city": "Ulm"}')])

    _finished(City, response)

    assert response.get_text() == "Let me look."


def test_an_answer_that_calls_tools_may_be_json_all_the_same() -> None:
    response = _response(
        '{"name": "Ulm", "people": 5}', "tool_calls", tool_calls=[_call('{"city": "Ulm"}')]
    )

    assert _finished(City, response).parsed == City("Ulm", 5)


def _check(*calls: dict[str, Any], **options: Any) -> None:
    tools: list[Tool | RawTool] = [_WEATHER, RawTool({"type": "web_search"})]
    output = StructuredOutput(tool_arguments=ToolArguments(tools, **options))
    output.finish(_response("", "tool_calls", tool_calls=list(calls)))


@pytest.mark.parametrize(
    ("arguments", "path", "reason"),
    [
        ("{}", "$", '"city" is a required property'),
        ('{"city": 1}', "$.city", 'not of type "string"'),
        ('["Ulm"]', "$", "expected an object"),
    ],
)
def test_arguments_that_do_not_fit_their_tool_are_an_error(
    arguments: str, path: str, reason: str
) -> None:
    with pytest.raises(SchemaError, match="'weather'") as caught:
        _check(_call(arguments))

    assert (caught.value.path, caught.value.text) == (path, arguments)
    assert reason in caught.value.reason


def test_arguments_that_are_not_json_are_an_error() -> None:
    with pytest.raises(InvalidJSONError):
        _check(_call('{"city": '))


def test_calls_that_fit_pass() -> None:
    _check(
        _call('{"city": "Ulm", "days": 2}'),
        _call("x = 1", "python", type="custom"),
        _call("{}", "not_in_the_request"),
    )


def test_empty_arguments_stand_for_none() -> None:
    assert ToolArguments([Tool("ping")]).read("ping", "") == {}


def test_without_the_extra_arguments_have_only_to_be_an_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)

    _check(_call("{}"))
    with pytest.raises(SchemaError):
        _check(_call("[]"))


def test_validate_schema_off_leaves_the_schema_out() -> None:
    _check(_call("{}"), validate_schema=False)


def test_a_tool_whose_schema_is_odd_is_not_checked_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arguments = ToolArguments([Tool("odd", parameters={"type": "objekt"})])

    assert arguments.read("odd", '{"a": 1}') == {"a": 1}
    assert arguments.read("odd", "{}") == {}
    assert caplog.text.count("'odd'") == 1
