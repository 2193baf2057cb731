"""What a caller may pass as messages, and what is read from it."""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import (
    InputImage,
    InputPart,
    InputRaw,
    InputText,
    Message,
    ToolCall,
    read_messages,
    split_system,
)


def read_one(**fields: Any) -> Message:
    (message,) = read_messages([fields])
    return message


def part_of(block: object) -> InputPart:
    (part,) = read_one(role="user", content=[block]).parts
    return part


# --- the list ---------------------------------------------------------------------------------


def test_a_string_is_one_message_of_the_user() -> None:
    assert read_messages("Hi") == (Message("user", (InputText("Hi"),)),)


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_a_mapping_with_role_and_content_is_a_message(role: str) -> None:
    assert read_messages([{"role": role, "content": "Hi"}]) == (Message(role, (InputText("Hi"),)),)


def test_any_iterable_of_messages_will_do() -> None:
    assert len(read_messages({"role": "user", "content": text} for text in "ab")) == 2


def test_a_message_that_has_been_read_is_taken_as_it_is() -> None:
    message = Message("user", (InputText("Hi"),), extra={"n": 1})

    assert read_messages([message]) == (message,)


@dataclass
class Turn:
    role: str
    content: Any
    tool_calls: list[Any] = field(default_factory=list)
    name: str | None = None


def test_an_object_with_role_and_content_is_a_message() -> None:
    call = {"id": "c", "function": {"name": "add", "arguments": "{}"}}

    assert read_messages([Turn("assistant", "Hi", [call], "bob")]) == (
        Message("assistant", (InputText("Hi"),), (ToolCall("c", "add", "{}"),), name="bob"),
    )


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "expected at least one message"),
        ({"role": "user", "content": "Hi"}, "expected a string or a list of messages, found dict"),
        (5, "found int"),
        (None, "found NoneType"),
        (["Hi"], r"messages\[0\]: expected a mapping with role and content, found str"),
        (["Hi", 5], r"messages\[0\]"),
        ([{"role": "user", "content": "a"}, {"content": "b"}], r"messages\[1\].*found None"),
        ([{"role": "bot", "content": "Hi"}], "expected a role of system, .*found 'bot'"),
        ([{"role": "user", "content": 5}], "expected content to be a string or a list .*found int"),
        ([{"role": "user", "content": {"type": "text"}}], "found dict"),
        ([{"role": "user", "content": [5]}], "expected a content part .*found int"),
        ([{"role": "tool", "content": "5"}], "a tool message needs a tool_call_id"),
        ([{"role": "assistant", "tool_calls": [5]}], "expected a tool call .*found int"),
        ([{"role": "assistant", "tool_calls": [{"id": "c"}]}], "a tool call needs a name"),
        ([{"role": "user", "content": [{"type": "tool_result"}]}], "needs a tool_use_id"),
        (
            [{"role": "assistant", "tool_calls": [{"name": "add", "arguments": {"a": object()}}]}],
            r"messages\[0\]: the arguments of a tool call cannot be written as JSON",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(messages: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read_messages(messages)


# --- parts ------------------------------------------------------------------------------------

PNG = "data:image/png;base64,aGk="


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ("Hi", InputText("Hi")),
        ({"type": "text", "text": "Hi"}, InputText("Hi")),
        ({"type": "input_text", "text": "Hi"}, InputText("Hi")),
        ({"text": "Hi"}, InputText("Hi")),
        (InputText("Hi"), InputText("Hi")),
        (InputImage("u"), InputImage("u")),
        (InputRaw({"n": 1}), InputRaw({"n": 1})),
        (
            {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
            InputImage("https://x/a.png", detail="low"),
        ),
        ({"type": "image_url", "image_url": PNG}, InputImage(data="aGk=")),
        (
            {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
            InputImage("https://x/a.png", detail="low"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;q=1;base64,aGk="}},
            InputImage(data="aGk=", media_type="image/jpeg"),
        ),
        ({"type": "image_url", "image_url": "data:;base64,aGk="}, InputImage(data="aGk=")),
        ({"type": "image_url", "image_url": "data:,plain"}, InputImage("data:,plain")),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
            InputImage("https://x/a.png"),
        ),
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/gif", "data": "aGk="},
            },
            InputImage(data="aGk=", media_type="image/gif"),
        ),
        ({"type": "image", "data": "aGk="}, InputImage(data="aGk=")),
    ],
)
def test_parts_in_the_spellings_of_several_providers_are_read(block: Any, part: InputPart) -> None:
    assert part_of(block) == part


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": None},
        {"type": "image_url", "image_url": {"url": "https://x"}, "cache_control": {}},
        {"type": "image_url", "image_url": {}},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "image", "source": "elsewhere"},
        {"type": "image", "source": {"url": "https://x"}, "cache_control": {}},
        {"type": "input_audio", "input_audio": {}},
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": ["odd"]},
        {},
    ],
)
def test_a_part_that_says_more_passes_unchanged(block: Any) -> None:
    assert part_of(block) == InputRaw(block)


def test_an_image_has_a_url_in_either_case() -> None:
    assert InputImage("https://x/a.png").as_url == "https://x/a.png"
    assert InputImage(data="aGk=").as_url == PNG


def test_a_message_knows_its_words_and_whether_there_is_more() -> None:
    words = Message("user", (InputText("a"), InputText("b")))
    mixed = Message("user", (InputText("a"), InputImage("u")))

    assert (words.text, words.only_text) == ("ab", "ab")
    assert (mixed.text, mixed.only_text) == ("a", None)


def test_keys_that_have_no_place_are_kept() -> None:
    message = read_one(role="assistant", content="Hi", reasoning_content="Hm", name="bob")

    assert message.name == "bob"
    assert message.extra == {"reasoning_content": "Hm"}


def test_what_was_passed_is_not_changed() -> None:
    given = {"role": "user", "content": [{"type": "text", "text": "Hi"}], "n": 1}

    read_messages([given])

    assert given == {"role": "user", "content": [{"type": "text", "text": "Hi"}], "n": 1}


# --- tool calls -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "read"),
    [
        (
            {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
            ToolCall("c", "add", '{"a":1}'),
        ),
        ({"id": "c", "name": "add", "arguments": "{}"}, ToolCall("c", "add", "{}")),
        ({"name": "add", "arguments": {"a": 1}}, ToolCall("", "add", '{"a":1}')),
        ({"id": "c", "name": "add"}, ToolCall("c", "add", "")),
        ({"id": "c", "name": "add", "type": None}, ToolCall("c", "add", "")),
        (
            {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
            ToolCall("c", "sh", "ls", "custom"),
        ),
        (
            {"id": "c", "index": 0, "function": {"name": "add"}, "extra_content": {"s": 1}},
            ToolCall("c", "add", "", extra={"extra_content": {"s": 1}}),
        ),
        (ToolCall("c", "add", "{}"), ToolCall("c", "add", "{}")),
    ],
)
def test_calls_in_the_spellings_of_several_providers_are_read(call: Any, read: ToolCall) -> None:
    assert read_one(role="assistant", content=None, tool_calls=[call]).tool_calls == (read,)


USE = {"type": "tool_use", "id": "c", "name": "add", "input": {"a": 1}}
CALL = ToolCall("c", "add", '{"a":1}')


def test_a_block_that_is_a_call_is_one_of_the_messages_calls() -> None:
    message = read_one(role="assistant", content=["Let me see.", {**USE, "cache_control": {}}])

    assert message.parts == (InputText("Let me see."),)
    assert message.tool_calls == (ToolCall("c", "add", '{"a":1}', extra={"cache_control": {}}),)
    assert message.order == ()


def test_parts_come_before_calls_unless_the_caller_had_another_order() -> None:
    usual = Message("assistant", (InputText("a"),), (CALL,))
    other = read_one(role="assistant", content=[USE, "a"], tool_calls=[ToolCall("d", "sub", "")])

    assert usual.blocks == (InputText("a"), CALL)
    assert other.blocks == (CALL, InputText("a"), ToolCall("d", "sub", ""))
    assert (other.parts, len(other.tool_calls)) == ((InputText("a"),), 2)


# --- answers to calls -------------------------------------------------------------------------


def test_an_answer_in_openais_spelling_names_its_call() -> None:
    message = read_one(role="tool", tool_call_id="c", content="5", is_error=True)

    assert message == Message("tool", (InputText("5"),), tool_call_id="c", is_error=True)


def test_answers_in_anthropics_spelling_are_messages_of_their_own() -> None:
    content = [
        {"type": "tool_result", "tool_use_id": "c", "content": "5"},
        {"type": "tool_result", "tool_use_id": "d", "content": ["6", {"type": "x"}]},
        {"type": "tool_result", "tool_use_id": "e", "is_error": True},
    ]

    assert read_messages([{"role": "user", "content": content}]) == (
        Message("tool", (InputText("5"),), tool_call_id="c"),
        Message("tool", (InputText("6"), InputRaw({"type": "x"})), tool_call_id="d"),
        Message("tool", (), tool_call_id="e", is_error=True),
    )


def test_answers_come_before_what_the_user_says_beside_them() -> None:
    result = {"type": "tool_result", "tool_use_id": "c", "content": "5"}

    answer, words = read_messages([{"role": "user", "content": ["And now?", result], "n": 1}])

    assert answer.tool_call_id == "c"
    assert (words.text, words.extra) == ("And now?", {"n": 1})


def test_the_marks_of_an_answer_are_kept_and_so_are_those_of_its_message() -> None:
    result = {"type": "tool_result", "tool_use_id": "c", "cache_control": {"type": "ephemeral"}}

    (answer,) = read_messages([{"role": "user", "content": [result], "n": 1}])

    assert answer.extra == {"cache_control": {"type": "ephemeral"}, "n": 1}


@pytest.mark.parametrize("inner", [USE, {"type": "tool_result", "tool_use_id": "d"}])
def test_an_answer_holds_no_calls_and_no_answers(inner: object) -> None:
    result = {"type": "tool_result", "tool_use_id": "c", "content": [inner]}

    with pytest.raises(ConfigurationError, match="holds no calls and no other results"):
        read_messages([{"role": "user", "content": [result]}])


# --- system prompts ---------------------------------------------------------------------------


def test_system_prompts_are_joined_by_blank_lines_and_the_rest_follows() -> None:
    user = Message("user", (InputText("Hi"),))
    messages = [
        Message("system", (InputText("Be "), InputText("brief."))),
        user,
        Message("developer", (InputText("In French."),)),
        Message("system"),
    ]

    assert split_system(messages, "Be kind.") == ("Be kind.\n\nBe brief.\n\nIn French.", [user])
    assert split_system([user], None) == ("", [user])


def test_a_marked_block_of_a_system_prompt_is_read_for_its_words() -> None:
    marked = InputRaw({"type": "text", "text": "Be brief.", "cache_control": {}})

    assert split_system([Message("system", (marked,))], None) == ("Be brief.", [])


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (InputImage("u"), "'image'"),
        (InputRaw({"type": "document"}), "'document'"),
        (InputRaw({"type": "text", "text": None}), "'text'"),
    ],
)
def test_what_is_no_words_is_refused_rather_than_dropped(part: InputPart, found: str) -> None:
    with pytest.raises(ConfigurationError, match=f"words only in a system message, found {found}"):
        split_system([Message("system", (InputText("a"), part))], None)


@pytest.mark.parametrize("make", [MappingProxyType, UserDict])
def test_a_message_may_be_made_of_any_mappings(make: Any) -> None:
    image = make({"type": "image_url", "image_url": make({"url": "https://x.example/a.png"})})
    call = make({"id": "c", "type": "function", "function": make({"name": "f", "arguments": "{}"})})
    own = make({"type": "audio", "input": make({"n": 1})})

    user, assistant = read_messages(
        [
            make({"role": "user", "content": (make({"type": "text", "text": "Hi"}), image, own)}),
            make(
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": (call,),
                    "note": make({"n": 1}),
                }
            ),
        ]
    )

    assert user.parts == (
        InputText("Hi"),
        InputImage(url="https://x.example/a.png"),
        InputRaw({"type": "audio", "input": {"n": 1}}),
    )
    assert assistant.tool_calls == (ToolCall("c", "f", "{}"),)
    assert type(assistant.extra["note"]) is dict


def test_a_message_that_is_changed_after_it_was_passed_is_not_changed() -> None:
    part = {"type": "audio", "data": ["a"]}
    history = [{"role": "user", "content": [part]}]

    (message,) = read_messages(history)
    part["data"] = ["b"]

    assert message.parts == (InputRaw({"type": "audio", "data": ["a"]}),)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("is_nested", [False, True])
def test_an_image_may_be_bytes(make: Any, is_nested: bool) -> None:
    image = {"data": make(b"\x89PNG"), "media_type": "image/webp"}
    block = {"type": "image", "source": image} if is_nested else {"type": "image", **image}

    assert part_of(block) == InputImage(data="iVBORw==", media_type="image/webp")


@pytest.mark.parametrize("url", ["pictures/a.png", "/tmp/a.png", ""])
@pytest.mark.parametrize("kind", ["image_url", "input_image", "image"])
def test_a_path_is_no_url_of_an_image(url: str, kind: str) -> None:
    block = {"type": kind, "url": url} if kind == "image" else {"type": kind, "image_url": url}

    with pytest.raises(ConfigurationError, match=r"expected the URL of an image, .*read_bytes"):
        part_of(block)


@pytest.mark.parametrize("url", ["https://x.example/a", "gs://bucket/a.png", "file-id:1"])
def test_a_url_of_any_scheme_is_left_to_the_provider(url: str) -> None:
    assert part_of({"type": "image_url", "image_url": {"url": url}}) == InputImage(url=url)


def test_the_official_sdks_own_objects_are_messages() -> None:
    from anthropic.types import Message as ClaudeMessage
    from openai.types.chat import ChatCompletionMessage

    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    by_openai = ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": None, "tool_calls": [call]}
    )
    by_anthropic = ClaudeMessage.model_validate(
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "c",
            "stop_reason": "tool_use",
            "content": [
                {"type": "text", "text": "So."},
                {"type": "tool_use", "id": "c", "name": "f", "input": {}},
            ],
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    )

    first, second = read_messages([by_openai, by_anthropic])

    assert first == Message("assistant", (), (ToolCall("c", "f", "{}"),))
    assert (second.parts, second.tool_calls) == ((InputText("So."),), first.tool_calls)
