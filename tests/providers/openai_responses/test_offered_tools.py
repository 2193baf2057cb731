"""Whose a call of a custom tool is: the caller's, or a step of what the provider runs itself."""

from __future__ import annotations

import msgspec
import pytest

from steer_llm_sdk.models.parts import ProviderPart
from steer_llm_sdk.models.responses import StreamingResponse
from support.pure_road import travel
from support.responses_events import WIRE, Event, completed, event

CALL = {
    "type": "custom_tool_call",
    "id": "ctc_1",
    "call_id": "xs_call_1",
    "name": "x_keyword_search",
    "input": '{"query": "x"}',
    "status": "completed",
}
SEARCH = {"type": "x_search"}
FUNCTION = {"type": "function", "name": "x_keyword_search", "parameters": {}}
CUSTOM = {"type": "custom", "name": "x_keyword_search"}
NAMESPACE = {"type": "namespace", "name": "mine", "tools": [CUSTOM]}


def answer(*events: Event) -> StreamingResponse:
    body = b"".join(b"data: " + msgspec.json.encode(each) + b"\n\n" for each in events)
    return travel(WIRE, [body]).response


def ran(response: StreamingResponse) -> list[Event]:
    """What the provider ran itself."""
    return [part.item for part in response.parts if isinstance(part, ProviderPart)]


def created(*tools: Event) -> Event:
    return event("created", response={"id": "r", "tools": list(tools)})


def pieces() -> list[Event]:
    """The call as it is streamed."""
    place = {"output_index": 0, "item_id": "ctc_1"}
    kind = "custom_tool_call_input"
    return [
        event("output_item.added", output_index=0, item={**CALL, "input": ""}),
        event(f"{kind}.delta", delta=CALL["input"], **place),
        event(f"{kind}.done", input=CALL["input"], **place),
        event("output_item.done", output_index=0, item=CALL),
        completed(CALL),
    ]


@pytest.mark.parametrize("tools", [(SEARCH,), (SEARCH, FUNCTION)])
def test_a_step_of_the_providers_search_is_no_call(tools: tuple[Event, ...]) -> None:
    streamed = answer(created(*tools), *pieces())

    assert not streamed.tool_calls
    assert not streamed.incomplete_tool_calls
    assert streamed.finish_reason == "stop"
    assert ran(streamed) == [CALL]


def test_nor_is_one_that_the_final_response_alone_has() -> None:
    streamed = answer(created(SEARCH), completed(CALL, id="r"))

    assert not streamed.tool_calls
    assert ran(streamed) == [CALL]


@pytest.mark.parametrize(
    "tools",
    [
        (SEARCH, CUSTOM),
        (SEARCH, NAMESPACE),
        (SEARCH, {"type": "tool_search"}),  # what it finds is not repeated
        (FUNCTION,),
        (),
    ],
)
def test_a_tool_that_the_request_had_or_may_have_had_is_the_callers(
    tools: tuple[Event, ...],
) -> None:
    streamed = answer(created(*tools), *pieces())

    assert [call["name"] for call in streamed.tool_calls] == ["x_keyword_search"]
    assert streamed.finish_reason == "tool_calls"
    assert not ran(streamed)
