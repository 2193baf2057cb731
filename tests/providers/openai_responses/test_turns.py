"""The items of a response as parts, and earlier answers spelled as items again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.parts import (
    CommentaryPart,
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.turns import assistant_message, tool_result
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from support.pure_road import travel
from support.responses_events import Event, completed, event, words

ENDPOINT = Endpoint("openai", "http://127.0.0.1/v1")
WIRE = "openai-responses"
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "b3BhcXVl"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}


def message(*content: Event, item_id: str = "msg_1", **more: Any) -> Event:
    return {"type": "message", "id": item_id, "role": "assistant", "content": list(content), **more}


def added(index: int, item: Event) -> Event:
    opened = {key: [] if key in {"content", "summary"} else item[key] for key in item}
    opened.pop("encrypted_content", None)
    return event("output_item.added", output_index=index, item=opened)


def done(index: int, item: Event) -> Event:
    return event("output_item.done", output_index=index, item=item)


def said(index: int, text: str, content_index: int = 0, kind: str = "output_text") -> Event:
    place = {"output_index": index, "content_index": content_index}
    return event(f"{kind}.delta", delta=text, item_id=f"i{index}", **place)


def summed(index: int, text: str, summary_index: int = 0) -> Event:
    place = {"output_index": index, "summary_index": summary_index}
    return event("reasoning_summary_text.delta", delta=text, item_id=f"i{index}", **place)


def answer(*events: Event, output: list[Event] | None = None) -> StreamingResponse:
    body = b"".join(
        b"data: " + msgspec.json.encode(each) + b"\n\n"
        for each in (*events, completed(*(output or ())))
    )
    response = travel(OpenAIResponses(), [body]).response
    assert response.ok, response.error
    return response


def spelled(message: dict[str, Any], **extra_body: Any) -> list[dict[str, Any]]:
    """The items of an earlier answer in the next request."""
    said = read_messages([{"role": "user", "content": "Hi"}, json.loads(json.dumps(message))])
    chat = ChatRequest("m", said, extra_body=extra_body)
    found: list[dict[str, Any]] = json.loads(OpenAIResponses().request(chat, ENDPOINT).body)[
        "input"
    ]
    return found[1:]


def sent(*parts: Part, **extra_body: Any) -> list[dict[str, Any]]:
    return spelled(assistant_message(parts), **extra_body)


def own(item: int, **data: Any) -> dict[str, Any]:
    return {"wire": WIRE, "item": item, **data}


# --- from events to parts -----------------------------------------------------------------------


def test_reasoning_without_words_is_a_part_with_what_it_wants_back() -> None:
    response = answer(added(0, THOUGHT), done(0, THOUGHT), said(1, "Hi"))

    assert response.parts[0] == ReasoningPart(
        provider_data=own(0, id="rs_1", encrypted_content="b3BhcXVl")
    )


def test_reasoning_that_is_kept_by_the_server_is_a_part_too() -> None:
    kept = {"type": "reasoning", "id": "rs_1", "summary": []}

    assert answer(added(0, kept), done(0, kept), said(1, "Hi")).parts[0] == ReasoningPart(
        provider_data=own(0, id="rs_1")
    )


def test_the_parts_of_a_summary_are_parts_of_one_item() -> None:
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    item = {**THOUGHT, "summary": summary}

    response = answer(added(0, item), summed(0, "a"), summed(0, "b", 1), done(0, item))

    assert response.parts == [
        ReasoningPart("a", provider_data=own(0, id="rs_1")),
        ReasoningPart("b", provider_data=own(0, id="rs_1", encrypted_content="b3BhcXVl")),
    ]
    assert spelled(response.to_message()) == [item]


def test_commentary_and_the_answer_keep_their_phases() -> None:
    aside = message(words("I look."), phase="commentary", status="completed")
    final = message(words("42."), item_id="msg_2", phase="final_answer", status="completed")

    response = answer(
        added(0, aside),
        said(0, "I look."),
        done(0, aside),
        added(1, final),
        said(1, "42."),
        done(1, final),
    )

    assert response.parts == [
        CommentaryPart("I look.", provider_data=own(0, id="msg_1", phase="commentary")),
        TextPart("42.", provider_data=own(1, id="msg_2", phase="final_answer")),
    ]
    assert spelled(response.to_message()) == [
        {**aside, "content": [words("I look.", annotations=[])]},
        {**final, "content": [words("42.", annotations=[])]},
    ]


def test_two_commentaries_are_kept_apart_by_a_blank_line() -> None:
    first = message(words("I look."), phase="commentary")
    second = message(words("I read."), item_id="msg_2", phase="commentary")

    response = answer(
        added(0, first), said(0, "I "), said(0, "look."), done(0, first), done(1, second)
    )

    assert response.commentary == "I look.\n\nI read."
    assert [part.text for part in response.parts if isinstance(part, CommentaryPart)] == [
        "I look.",
        "I read.",
    ]


def test_the_parts_of_one_message_become_one_message_again() -> None:
    refusal = {"type": "refusal", "refusal": "No."}
    whole = message(words("a"), words("b"), refusal, status="completed")

    response = answer(
        added(0, whole),
        said(0, "a"),
        said(0, "b", 1),
        said(0, "N", 2, "refusal"),
        said(0, "o.", 2, "refusal"),
        done(0, whole),
    )

    assert [part.type for part in response.parts] == ["text", "text", "refusal"]
    assert spelled(response.to_message()) == [
        {
            **whole,
            "content": [words("a", annotations=[]), words("b", annotations=[]), refusal],
        }
    ]


def test_a_message_without_words_follows_its_reasoning() -> None:
    empty = message(words(""))

    items = spelled(answer(done(0, THOUGHT), done(1, empty)).to_message())

    assert [item["type"] for item in items] == ["reasoning", "message"]


def test_citations_are_with_their_words_however_early_they_come() -> None:
    cited = {"type": "url_citation", "url": "https://e.com", "start_index": 0, "end_index": 2}
    place = {"output_index": 0, "content_index": 0, "annotation": cited}
    whole = message(words("Hi", annotations=[cited]))

    early = answer(event("output_text.annotation.added", **place), done(0, whole))
    late = answer(said(0, "Hi"), event("output_text.annotation.added", **place), done(0, whole))
    closed = answer(said(0, "Hi"), done(0, whole))

    for response in (early, late, closed):
        assert response.citations == [cited]
        assert response.parts == [TextPart("Hi", [cited], provider_data=own(0, id="msg_1"))]


def test_a_citation_in_a_strange_shape_is_no_citation() -> None:
    assert answer(said(0, "Hi"), done(0, message(words("Hi", annotations=[7])))).citations == []


def test_a_call_keeps_the_identifier_of_its_item() -> None:
    assert answer(added(0, CALL), done(0, CALL)).parts == [
        ToolCallPart("c", "f", "{}", True, provider_data={"wire": WIRE, "id": "fc_1"})
    ]


def test_a_call_that_is_no_function_comes_back_whole() -> None:
    shell = {"type": "shell_call", "id": "sh", "call_id": "c", "action": {"commands": ["ls"]}}

    assert spelled(answer(done(0, shell)).to_message()) == [shell]


def test_an_image_is_a_file_and_comes_back_as_its_item() -> None:
    image = {
        "type": "image_generation_call",
        "id": "ig_1",
        "status": "completed",
        "output_format": "webp",
        "result": "aGk=",
    }

    response = answer(done(0, image))

    (file,) = response.files
    assert (file.media_type, file.data) == ("image/webp", "aGk=")
    assert spelled(response.to_message()) == [image]


def test_what_the_server_ran_comes_back_as_it_was() -> None:
    search = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"q": "x"}}

    response = answer(done(0, search), said(1, "Hi"))

    assert spelled(response.to_message())[0] == search


def test_an_item_under_a_number_that_was_closed_is_another() -> None:
    second = {**THOUGHT, "id": "rs_2", "encrypted_content": "bW9yZQ=="}

    response = answer(
        added(0, THOUGHT),
        summed(0, "a"),
        done(0, THOUGHT),
        added(0, second),
        summed(0, "b"),
        done(0, second),
    )

    assert [part.provider_data["item"] for part in response.parts] == [0, 1]
    assert [item["id"] for item in spelled(response.to_message())] == ["rs_1", "rs_2"]


def test_what_only_the_final_response_has_is_in_parts_once() -> None:
    other_id = {**THOUGHT, "id": "rs_9"}
    whole = message(words("Hi"), phase="final_answer", status="completed")

    told_twice = answer(done(0, THOUGHT), said(1, "Hi"), done(1, whole), output=[other_id, whole])
    told_late = answer(said(0, "Hi"), output=[THOUGHT, whole])
    refused = answer(
        said(0, "Hi"),
        output=[whole, message({"type": "refusal", "refusal": "No."}, item_id="msg_2")],
    )

    assert [item.get("id") for item in spelled(told_twice.to_message())] == ["rs_1", "msg_1"]
    assert {"rs_1"} <= {item.get("id") for item in spelled(told_late.to_message())}
    assert refused.parts[-1] == RefusalPart("No.", provider_data=own(1, id="msg_2"))


def test_thoughts_of_open_models_go_back_as_content() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    content = [{"type": "reasoning_text", "text": "Hm"}]
    place = {"output_index": 0, "content_index": 0, "item_id": "rs_1"}

    response = answer(
        event("reasoning_text.delta", delta="Hm", **place), done(0, {**thought, "content": content})
    )

    assert spelled(response.to_message()) == [{**thought, "content": content}]


# --- the next request -----------------------------------------------------------------------------


def test_where_the_server_keeps_nothing_reasoning_needs_its_content() -> None:
    parts = (
        ReasoningPart("Hm", provider_data=own(0, id="rs_1")),
        ToolCallPart("c", "f", "{}", True, provider_data={"wire": WIRE, "id": "fc_1"}),
        TextPart("Hi", provider_data=own(1, id="msg_1", phase="final_answer")),
    )

    assert [item.get("id") for item in sent(*parts)] == ["rs_1", "fc_1", "msg_1"]
    # Neither a call nor a message may name itself without the reasoning that led to it.
    assert sent(*parts, store=False) == [
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
        {
            "type": "message",
            "role": "assistant",
            "phase": "final_answer",
            "content": [words("Hi", annotations=[])],
        },
    ]


def test_what_the_server_ran_is_named_even_there() -> None:
    search = {"type": "web_search_call", "id": "ws"}
    parts = (
        ReasoningPart("Hm", provider_data=own(0, id="rs_1")),
        ProviderPart(search, provider_data={"wire": WIRE}),
    )

    assert sent(*parts, store=False) == [search]


def test_words_that_somebody_emptied_are_no_message() -> None:
    message = assistant_message([TextPart("Hi"), ToolCallPart("c", "f", "{}", True)])
    message["content"][0]["text"] = ""

    assert [item["type"] for item in spelled(message)] == ["function_call"]


def test_sealed_reasoning_goes_where_nothing_is_kept() -> None:
    parts = (
        ReasoningPart(provider_data=own(0, id="rs_1", encrypted_content="b3BhcXVl")),
        ToolCallPart("c", "f", "{}", True, provider_data={"wire": WIRE, "id": "fc_1"}),
    )

    assert sent(*parts, store=False) == [THOUGHT, CALL]


def test_of_another_formats_answer_there_are_words_and_calls() -> None:
    other = {"wire": "anthropic", "signature": "c2ln"}

    assert sent(
        ReasoningPart("Hm", provider_data=other),
        CommentaryPart("I look."),
        TextPart("Hi", [{"url": "u"}], provider_data=other),
        ProviderPart({"type": "search"}, provider_data=other),
        FilePart("image/png", "aGk="),
        ToolCallPart("c", "f", "", True, provider_data=other),
        RefusalPart("No."),
    ) == [
        {"type": "message", "role": "assistant", "content": [words("I look."), words("Hi")]},
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
        {"type": "message", "role": "assistant", "content": [words("No.")]},
    ]


@pytest.mark.parametrize("text", ["", "Hi"])
def test_words_of_no_message_stand_for_themselves(text: str) -> None:
    items = sent(TextPart(text), ToolCallPart("c", "f", "{}", True))

    assert [item["type"] for item in items] == ["message", "function_call"][not text :]


# --- answers to calls that are no functions -------------------------------------------------------

SHOT = {"type": "image", "data": b"hi", "media_type": "image/png"}


def answered(item: Event, content: object, **more: Any) -> dict[str, Any]:
    """The item that answers a call, in a conversation that shows the call."""
    message = answer(done(0, item)).to_message()
    (call,) = (part for part in message["content"] if part["type"] == "tool_call")
    history = read_messages(
        [{"role": "user", "content": "Hi"}, message, tool_result(call["id"], content, **more)]
    )
    body = json.loads(OpenAIResponses().request(ChatRequest("m", history), ENDPOINT).body)
    found: dict[str, Any] = body["input"][-1]
    return found


def test_a_screenshot_answers_a_computer_call() -> None:
    call = {"type": "computer_call", "id": "cu", "call_id": "c", "action": {"type": "screenshot"}}
    url = "data:image/png;base64,aGk="
    shown = {"type": "computer_screenshot", "image_url": url}

    assert answered(call, [SHOT]) == {
        "type": "computer_call_output",
        "call_id": "c",
        "output": shown,
    }
    assert answered(call, shown)["output"] == shown


@pytest.mark.parametrize(
    ("content", "error", "expected"),
    [
        (True, False, {"approve": True}),
        ({"approve": True}, False, {"approve": True}),
        (False, False, {"approve": False}),
        ("not today", False, {"approve": False, "reason": "not today"}),
        ({"approve": False, "reason": "no"}, False, {"approve": False, "reason": "no"}),
        ({"approve": "yes"}, False, {"approve": False}),
        ({"approve": True}, True, {"approve": False}),
    ],
)
def test_only_a_plain_yes_approves_a_call(
    content: object, error: bool, expected: dict[str, Any]
) -> None:
    request = {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "name": "f",
        "arguments": "{}",
        "server_label": "s",
    }

    assert answered(request, content, is_error=error) == {
        "type": "mcp_approval_response",
        "approval_request_id": "mcpr_1",
        **expected,
    }


@pytest.mark.parametrize(("content", "tools"), [([{"name": "f"}], [{"name": "f"}]), ("none", [])])
def test_found_tools_answer_a_search(content: object, tools: list[Any]) -> None:
    call = {"type": "tool_search_call", "call_id": "c", "arguments": {}, "execution": "client"}

    found = answered(call, content)

    assert (found["type"], found["call_id"]) == ("tool_search_output", "c")
    assert found["tools"] == tools
