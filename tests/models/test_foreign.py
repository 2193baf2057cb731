"""Histories of the official SDKs, as their objects and as the dictionaries that these give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from google.genai import types as google
from openai.types.chat import ChatCompletionMessage
from openai.types.responses import (
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from pydantic import BaseModel

from steer_llm_sdk.models.inputs import InputFile, InputImage, InputRaw, InputText
from steer_llm_sdk.models.messages import Message, ToolCall, read_messages

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Ulm"}',
    "status": "completed",
}
WORDS = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
}
ANSWER = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "Ulm"},
}

ITEMS: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}, REASONING, WORDS, CALL, ANSWER]


def objects() -> list[Any]:
    return [
        {"role": "user", "content": "Hi"},
        ResponseReasoningItem.model_validate(REASONING),
        ResponseOutputMessage.model_validate(WORDS),
        ResponseFunctionToolCall.model_validate(CALL),
        ANSWER,
    ]


@pytest.mark.parametrize("history", [ITEMS, objects()], ids=["dictionaries", "objects"])
def test_items_of_responses_are_turns(history: list[Any]) -> None:
    user, assistant, tool = read_messages(history)

    assert user == Message("user", (InputText("Hi"),))
    assert assistant.role == "assistant"
    assert assistant.parts == (InputRaw(REASONING), InputText("Let me see."))
    assert assistant.tool_calls == (ToolCall("call_1", "weather", '{"city":"Ulm"}'),)
    assert tool == Message("tool", (InputText("sunny"),), tool_call_id="call_1")


def test_each_message_of_an_answer_is_a_turn_and_keeps_its_phase() -> None:
    aside = {**WORDS, "phase": "commentary"}

    first, second = read_messages([aside, CALL, {**WORDS, "phase": "final_answer"}])

    assert first.extra == {"phase": "commentary"}
    assert [call.id for call in first.tool_calls] == ["call_1"]
    assert second.extra == {"phase": "final_answer"}


def test_a_custom_call_and_its_answer() -> None:
    given = {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"}
    call = ResponseCustomToolCall.model_validate(given)
    answer = {"type": "custom_tool_call_output", "call_id": "c", "output": "1"}

    assistant, tool = read_messages([call, answer])

    assert assistant.tool_calls == (ToolCall("c", "sql", "select 1", "custom"),)
    assert tool.tool_call_id == "c"


def test_what_the_provider_did_itself_is_an_item_of_its_own() -> None:
    item = ResponseFunctionWebSearch.model_validate(SEARCH)

    (assistant,) = read_messages([item])

    assert assistant == Message("assistant", (InputRaw(SEARCH),))


@pytest.mark.parametrize("kind", ["computer_call_output", "mcp_approval_response"])
def test_what_the_caller_answers_is_the_callers(kind: str) -> None:
    item = {"type": kind, "call_id": "c"}

    assert read_messages([item]) == (Message("user", (InputRaw(item),)),)


def test_the_words_of_an_item_may_be_a_string() -> None:
    (message,) = read_messages([{**WORDS, "content": "Hi"}])

    assert message.text == "Hi"


def test_an_item_without_words_is_a_turn() -> None:
    (message,) = read_messages([{**WORDS, "content": None}])

    assert message == Message("assistant")


def test_a_content_of_gemini_is_a_turn() -> None:
    png = b"\x89PNG\xff\xfe\xfd\xfb\xff"
    user = google.Content(
        role="user",
        parts=[
            google.Part(text="What is this?"),
            google.Part.from_bytes(data=png, mime_type="image/png"),
            google.Part.from_uri(file_uri="gs://x/a.pdf", mime_type="application/pdf"),
        ],
    )
    model = google.Content(
        role="model",
        parts=[
            google.Part(text="Hm.", thought=True),
            google.Part(text="Let me see.", thought_signature=b"sig1"),
            google.Part(
                function_call=google.FunctionCall(name="look", args={"at": "it"}),
                thought_signature=b"sig2",
            ),
        ],
    )
    answer = google.Content(
        role="user",
        parts=[google.Part.from_function_response(name="look", response={"result": "a cat"})],
    )

    asked, said, told = read_messages([user, model, answer])

    assert asked.parts[0] == InputText("What is this?")
    assert asked.parts[1] == InputImage(data="iVBOR//+/fv/", media_type="image/png")
    assert asked.parts[2] == InputFile("gs://x/a.pdf", media_type="application/pdf")
    assert (said.role, said.text) == ("assistant", "Let me see.")
    assert said.tool_calls == (
        ToolCall("look", "look", '{"at":"it"}', extra={"thoughtSignature": "c2lnMg=="}),
    )
    assert said.extra == {"thoughtSignature": "c2lnMQ=="}
    assert told == Message("tool", (InputText('{"result":"a cat"}'),), tool_call_id="look")


def called(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": [{"functionCall": call} for call in calls]}


def answered(*answers: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": [{"functionResponse": answer} for answer in answers]}


def ids(messages: list[Any]) -> tuple[list[str], list[str | None]]:
    """The identifiers of calls, and those that answers name."""
    read = read_messages(messages)
    calls = [call.id for message in read for call in message.tool_calls]
    return calls, [message.tool_call_id for message in read if message.role == "tool"]


def test_an_answer_of_gemini_without_an_identifier_belongs_to_a_call_of_its_function() -> None:
    calls = called({"id": "c1", "name": "f"}, {"id": "c2", "name": "g"}, {"id": "c3", "name": "f"})
    answers = answered({"name": "g"}, {"name": "f"}, {"id": "c3", "name": "f"}, {"name": "h"})

    assert ids([calls, answers]) == (["c1", "c2", "c3"], ["c2", "c1", "c3", "h"])


def test_calls_of_gemini_without_identifiers_have_one_each() -> None:
    calls = called({"name": "f"}, {"name": "f"})
    answers = answered({"name": "f"}, {"name": "f"})

    assert ids([calls, answers, called({"name": "f"}), answered({"name": "f"})]) == (
        ["f", "f-2", "f-3"],
        ["f", "f-2", "f-3"],
    )


@pytest.mark.parametrize("role", ["user", "tool", "function", None])
def test_answers_of_gemini_go_by_the_role_that_somebody_gave_them(role: str | None) -> None:
    answer = google.Content(
        role=role, parts=[google.Part.from_function_response(name="f", response={"a": 1})]
    )

    assert ids([called({"name": "f"}), answer]) == (["f"], ["f"])


def test_what_an_answer_of_gemini_shows_stands_in_the_result() -> None:
    shown = google.FunctionResponsePart.from_bytes(data=b"\xff\xfe", mime_type="image/png")
    answer = google.FunctionResponse(name="f", response={"a": 1}, parts=[shown])

    (_, told) = read_messages(
        [called({"name": "f"}), google.Content(parts=[google.Part(function_response=answer)])]
    )

    assert told.parts == (InputText('{"a":1}'), InputImage(data="//4=", media_type="image/png"))


@pytest.mark.parametrize("data", [b"\xff\xfe", bytearray(b"\xff\xfe"), "//4=", "__4="])
@pytest.mark.parametrize("key", ["parts", "content"])
def test_the_data_of_a_part_of_gemini_may_be_bytes(key: str, data: Any) -> None:
    part = {"inline_data": {"mime_type": "image/png", "data": data}}

    (message,) = read_messages([{"role": "user", key: ["Hi", part]}])

    assert message.parts == (InputText("Hi"), InputImage(data="//4=", media_type="image/png"))


def test_parts_of_the_google_sdk_may_stand_in_a_message() -> None:
    png = google.Part.from_bytes(data=b"\xff\xfe", mime_type="image/png")
    message = {"role": "user", "name": "ann", "content": [google.Part(text="Hi"), png]}

    (read,) = read_messages([message])

    assert read.parts == (InputText("Hi"), InputImage(data="//4=", media_type="image/png"))
    assert read.name == "ann"


def test_a_file_of_gemini_of_which_more_is_said_stays_as_it_is() -> None:
    video = google.Part(
        file_data=google.FileData(file_uri="https://x/v.mp4"),
        video_metadata=google.VideoMetadata(fps=2),
    )

    (message,) = read_messages([google.Content(role="user", parts=[video])])

    kept = {"fileData": {"fileUri": "https://x/v.mp4"}, "videoMetadata": {"fps": 2.0}}
    assert message.parts == (InputRaw(kept),)


@pytest.mark.parametrize(
    "key", ["functionCall", "functionResponse", "inlineData", "fileData", "inline_data"]
)
def test_a_part_of_gemini_that_is_none_passes_unchanged(key: str) -> None:
    (message,) = read_messages([{"role": "user", "parts": [{key: "nonsense"}]}])

    assert isinstance(message.parts[0], InputRaw)


def test_contents_of_gemini_may_be_dictionaries_in_either_case() -> None:
    snake = {"parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk="}}, "Hi"]}
    camel = {"parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}, {"text": "Hi"}]}

    for content in (snake, camel):
        assert read_messages([content]) == (
            Message("user", (InputImage(data="aGk="), InputText("Hi"))),
        )


def test_other_parts_of_gemini_pass_unchanged() -> None:
    code = {"executableCode": {"code": "1"}}

    (message,) = read_messages([{"role": "model", "parts": [code]}])

    assert message == Message("assistant", (InputRaw(code),))


def test_an_answer_of_a_function_may_be_words() -> None:
    part = {"functionResponse": {"id": "c", "name": "f", "response": "sunny"}}

    (message,) = read_messages([{"role": "user", "parts": [part]}])

    assert message == Message("tool", (InputText("sunny"),), tool_call_id="c")


def test_reasoning_beside_a_message_of_the_official_sdk_is_kept() -> None:
    message = ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": "Hi", "reasoning_content": "Hm", "refusal": None}
    )

    (read,) = read_messages([message])

    assert read == Message("assistant", (InputText("Hi"),), extra={"reasoning_content": "Hm"})


@dataclass
class DataclassMessage:
    role: str
    content: Any
    name: str | None = None


class PydanticMessage(BaseModel):
    role: str
    content: Any
    name: str | None = None


class StructMessage(msgspec.Struct):
    role: str
    content: Any
    name: str | None = None


@dataclass
class TextPart:
    type: str
    text: str
    cache: None = None


class PydanticPart(BaseModel):
    type: str
    text: str


class StructPart(msgspec.Struct):
    type: str
    text: str


@pytest.mark.parametrize("message", [DataclassMessage, PydanticMessage, StructMessage])
@pytest.mark.parametrize("part", [TextPart, PydanticPart, StructPart])
def test_messages_and_parts_may_be_objects_with_fields(message: Any, part: Any) -> None:
    given = message(role="user", content=[part(type="text", text="Hi"), "there"])

    assert read_messages([given]) == (Message("user", (InputText("Hi"), InputText("there"))),)
