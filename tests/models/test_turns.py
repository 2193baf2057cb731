"""The messages that an answer leaves behind, and what is read of them."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import tool_result
from steer_llm_sdk.errors import ConfigurationError, StreamCancelledError
from steer_llm_sdk.models.messages import InputImage, InputText, Message, ToolCall, read_messages
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
from steer_llm_sdk.models.responses import StreamingResponse, set_parts

THOUGHT = ReasoningPart("Hm", provider_data={"wire": "anthropic", "signature": "c2ln"})
CALL = ToolCallPart("call_1", "add", "{}", True)


def answered(*parts: Part, **fields: Any) -> StreamingResponse:
    said: dict[str, Any] = {"finish_reason": "stop", "is_finished": True}
    response = StreamingResponse(**said | fields)
    set_parts(response, parts)
    return response


def kinds(response: StreamingResponse) -> list[str]:
    return [part["type"] for part in response.to_message()["content"]]


def read(message: object) -> Message:
    (found,) = read_messages([message])
    return found


# --- the assistant's message ------------------------------------------------------------------


def test_an_answer_becomes_a_message_that_json_and_pickle_hold() -> None:
    message = answered(THOUGHT, TextPart("Hi"), CALL).to_message()

    assert message == {
        "role": "assistant",
        "version": 1,
        "content": [
            {
                "type": "reasoning",
                "text": "Hm",
                "provider_data": {"wire": "anthropic", "signature": "c2ln"},
            },
            {"type": "text", "text": "Hi"},
            {
                "type": "tool_call",
                "id": "call_1",
                "name": "add",
                "arguments": "{}",
                "is_complete": True,
            },
        ],
    }
    assert json.loads(json.dumps(message)) == pickle.loads(pickle.dumps(message)) == message


def test_the_parts_come_back_as_they_were() -> None:
    parts = (THOUGHT, CommentaryPart("Wait."), TextPart("Hi", [{"url": "u"}]), CALL)

    assert read(json.loads(json.dumps(answered(*parts).to_message()))).answer == parts


def test_a_response_that_was_made_by_hand_has_its_words_and_calls() -> None:
    call: Any = {"id": "call_1", "name": "sh", "arguments": "ls", "type": "custom"}
    response = StreamingResponse(text="Hi", tool_calls=[call], is_finished=True)

    assert read(response.to_message()).answer == (
        TextPart("Hi"),
        ToolCallPart("call_1", "sh", "ls", True, "custom"),
    )


def test_a_failed_answer_leaves_the_parts_that_are_finished() -> None:
    open_call = ToolCallPart("call_2", "add", '{"a"')
    failed = {"error": StreamCancelledError("left"), "finish_reason": None}

    assert kinds(answered(THOUGHT, TextPart("Hi"), CALL, open_call, **failed)) == [
        "reasoning",
        "text",
        "tool_call",
    ]
    assert kinds(answered(TextPart("Hi"), TextPart("Half a w"), **failed)) == ["text"]


def test_reasoning_that_led_to_nothing_is_no_end_of_a_failed_answer() -> None:
    failed = {"error": StreamCancelledError("left"), "finish_reason": None}

    assert kinds(answered(THOUGHT, TextPart("Half"), **failed)) == []
    assert kinds(answered(THOUGHT, ToolCallPart("c", "add", "{"), **failed)) == []
    assert kinds(answered(THOUGHT, CALL, THOUGHT, **failed)) == ["reasoning", "tool_call"]


def test_an_answer_that_failed_behind_its_end_is_whole() -> None:
    failed = answered(THOUGHT, TextPart("{"), error=StreamCancelledError("no JSON"))

    assert kinds(failed) == ["reasoning", "text"]


def test_an_answer_that_still_streams_has_no_words_that_are_not_whole() -> None:
    growing = answered(TextPart("One."), TextPart("Tw"), is_finished=False, finish_reason=None)

    assert kinds(growing) == ["text"]


def test_what_says_nothing_and_reasoning_that_was_changed_are_left_out() -> None:
    parts = (ReasoningPart("[REDACTED]"), TextPart(""), FilePart(), TextPart("Hi"))

    assert kinds(answered(*parts)) == ["text"]


# --- read again -------------------------------------------------------------------------------


def test_for_another_format_it_is_words_and_calls() -> None:
    message = read(
        answered(
            THOUGHT,
            CommentaryPart("I look it up."),
            ProviderPart({"type": "search"}),
            CALL,
            TextPart("Hi"),
            TextPart(" there"),
            FilePart("image/png", "aGk="),
            RefusalPart("No."),
        ).to_message()
    )

    call = ToolCall("call_1", "add", "{}")
    assert message.blocks == (
        InputText("I look it up."),
        call,
        InputText("Hi"),
        InputText(" there"),
        InputText("\n\nNo."),
    )
    assert message.tool_calls == (call,)
    assert message.order == message.blocks


def test_two_messages_of_one_answer_are_kept_apart_by_a_blank_line() -> None:
    first = TextPart("One.", provider_data={"wire": "openai-responses", "item": 0})
    second = TextPart("Two.", provider_data={"wire": "openai-responses", "item": 1})

    assert read(answered(first, second).to_message()).text == "One.\n\nTwo."


def test_words_that_somebody_changed_in_the_message_count() -> None:
    message = answered(TextPart("Hi")).to_message()
    message["content"][0]["text"] = "Hello"

    assert read(message).text == "Hello"
    assert read({**message, "content": "Hey"}).answer == (TextPart("Hey"),)


def test_an_answer_that_said_nothing_is_no_message() -> None:
    messages = [{"role": "user", "content": "Hi"}, answered().to_message()]

    assert [message.role for message in read_messages(messages)] == ["user"]


def test_other_keys_of_the_message_are_kept() -> None:
    message = {**answered(TextPart("Hi")).to_message(), "cache_control": {"type": "ephemeral"}}

    assert read(message).extra == {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_a_message_of_another_version_is_refused(version: object) -> None:
    message = {**answered(TextPart("Hi")).to_message(), "version": version}

    with pytest.raises(ConfigurationError, match=r"messages\[0\]: expected .* version 1 to 1"):
        read_messages([message])


@pytest.mark.parametrize("content", [7, ["Hi"], [{"type": "quantum"}], {"type": "text"}])
def test_a_stored_answer_without_parts_is_refused(content: object) -> None:
    with pytest.raises(ConfigurationError, match=r"messages\[0\]: "):
        read_messages([{"role": "assistant", "version": 1, "content": content}])


# --- the answer to a call ---------------------------------------------------------------------


def test_a_text_answers_a_call() -> None:
    message = tool_result("call_1", "42")

    assert message == {"role": "tool", "version": 1, "tool_call_id": "call_1", "content": "42"}
    assert read(message) == Message("tool", (InputText("42"),), tool_call_id="call_1")


def test_an_error_answers_a_call() -> None:
    message = read(tool_result("call_1", "no such city", is_error=True))

    assert message.is_error
    assert message.extra == {}


@dataclass
class _City:
    name: str


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"a": [1]}, '{"a": [1]}'),
        ([], "[]"),
        ([{"name": "Zürich"}], '[{"name": "Zürich"}]'),
        (None, "null"),
        (3, "3"),
        (_City("Bern"), '{"name": "Bern"}'),
    ],
)
def test_any_other_value_is_written_as_json(content: object, text: str) -> None:
    assert tool_result("call_1", content)["content"] == text


def test_content_parts_answer_a_call() -> None:
    image = {"type": "image", "data": b"hi", "media_type": "image/png"}
    message = tool_result("call_1", [{"type": "text", "text": "Look:"}, image])

    assert json.loads(json.dumps(message)) == message
    assert read(message).parts == (InputText("Look:"), InputImage(data="aGk="))


def test_a_file_that_answers_a_call_is_read_at_once(tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    message = tool_result("call_1", [{"type": "image", "path": picture}])
    picture.unlink()

    assert json.loads(json.dumps(message)) == message
    assert read(message).parts == (InputImage(data="iVBORw0KGgo="),)
    with pytest.raises(ConfigurationError, match="a file that can be read"):
        tool_result("call_1", [{"type": "image", "path": picture}])


@pytest.mark.parametrize(
    "rows",
    [
        [{"type": "file", "path": "notes.txt", "size": 3}],
        [{"type": "document", "id": 7, "title": "The report"}],
        [{"type": ["text"], "text": "a"}],
        [{"type": "image", "width": 3}],
        [{"type": "image", "url": "/uploads/3.png"}],
        [{"type": "document", "content": "What it says.", "source": "manual.pdf"}],
        [{"type": "document", "text": "What it says."}],
        [{"type": "text", "text": None}],
    ],
)
def test_rows_of_data_with_a_type_are_no_content(rows: list[Any]) -> None:
    assert tool_result("call_1", rows)["content"] == json.dumps(rows)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "url": "https://a.example/3.png"},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/3.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "search_result", "source": "a.pdf", "title": "A", "content": []},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_text", "text": ""},
    ],
)
def test_parts_of_every_spelling_are_content(part: dict[str, Any]) -> None:
    assert tool_result("call_1", [part])["content"] == [part]


@pytest.mark.parametrize("call_id", [None, 7])
def test_a_call_without_a_name_cannot_be_answered(call_id: Any) -> None:
    with pytest.raises(ConfigurationError, match="call_id: expected a name"):
        tool_result(call_id, "42")
