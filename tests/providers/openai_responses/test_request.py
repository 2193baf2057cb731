"""A request, as the Responses API spells it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputText, Message, ToolCall, read_messages
from steer_llm_sdk.models.requests import (
    ChatRequest,
    HTTPRequest,
    JSONFormat,
    RawTool,
    Tool,
    ToolChoice,
)
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.openai_responses.request import build_request

ENDPOINT = Endpoint("openai-responses", "https://api.openai.com/v1", api_key="test")


def spelled(messages: object = "Hi", endpoint: Endpoint = ENDPOINT, **options: Any) -> HTTPRequest:
    return build_request(ChatRequest("gpt-5", read_messages(messages), **options), endpoint)


def body(messages: object = "Hi", **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(spelled(messages, **options).body)
    return found


def items(*messages: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(list(messages))["input"]
    return found


def answering(call: dict[str, Any], content: object, **more: Any) -> list[dict[str, Any]]:
    return items(
        {"role": "assistant", "tool_calls": [{"id": "call_1", **call}]},
        {"role": "tool", "tool_call_id": "call_1", "content": content, **more},
    )


def outcome(said: str, exit_code: int) -> dict[str, Any]:
    return {"stdout": said, "stderr": "", "outcome": {"type": "exit", "exit_code": exit_code}}


class TestWhereTo:
    @pytest.mark.parametrize(
        ("base_url", "url"),
        [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/responses"),
            ("http://localhost:1234/v1/", "http://localhost:1234/v1/responses"),
            (
                "https://x.openai.azure.com/openai/v1?api-version=preview",
                "https://x.openai.azure.com/openai/v1/responses?api-version=preview",
            ),
        ],
    )
    def test_the_path_is_added_to_the_base_url(self, base_url: str, url: str) -> None:
        assert spelled(endpoint=Endpoint("openai", base_url)).url == url

    def test_the_key_is_a_bearer_token(self) -> None:
        assert spelled().headers == {
            "content-type": "application/json",
            "accept": "text/event-stream",
            "authorization": "Bearer test",
        }

    def test_without_a_key_there_is_no_authorization(self) -> None:
        headers = spelled(endpoint=Endpoint("openai", "http://localhost/v1")).headers

        assert "authorization" not in headers

    def test_the_callers_headers_replace_ours_whatever_their_case(self) -> None:
        endpoint = Endpoint("openai", "http://localhost/v1", "key", headers={"X-Team": "a"})

        headers = spelled(endpoint=endpoint, extra_headers={"AUTHORIZATION": "Custom b"}).headers

        assert headers["authorization"] == "Custom b"
        assert headers["x-team"] == "a"


class TestOptions:
    def test_a_plain_question_says_no_more_than_it_must(self) -> None:
        assert body() == {
            "model": "gpt-5",
            "input": [{"type": "message", "role": "user", "content": "Hi"}],
            "stream": True,
        }

    def test_options_have_their_names_here(self) -> None:
        found = body(temperature=0.0, top_p=0.5, max_tokens=9)

        assert found.items() >= {"temperature": 0.0, "top_p": 0.5, "max_output_tokens": 9}.items()

    @pytest.mark.parametrize(("name", "value"), [("stop", ("x",)), ("seed", 0)])
    def test_what_has_no_spelling_is_refused_by_name(self, name: str, value: object) -> None:
        asked: dict[str, Any] = {name: value}

        with pytest.raises(ConfigurationError, match=f"{name} has no spelling"):
            spelled(**asked)

    def test_extra_fields_are_merged_last(self) -> None:
        found = body(temperature=1.0, extra_body={"temperature": 0.5, "store": False})

        assert (found["temperature"], found["store"]) == (0.5, False)

    def test_extra_text_options_join_the_format(self) -> None:
        found = body(response_format=JSONFormat(), extra_body={"text": {"verbosity": "low"}})

        assert found["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}

    def test_what_is_not_json_is_a_configuration_error(self) -> None:
        with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
            spelled(extra_body={"odd": object()})

    @pytest.mark.parametrize(
        ("wanted", "spelling"),
        [
            (JSONFormat(), {"type": "json_object"}),
            (
                JSONFormat({"type": "object"}, "point", strict=True, description="A point"),
                {
                    "type": "json_schema",
                    "name": "point",
                    "schema": {"type": "object"},
                    "strict": True,
                    "description": "A point",
                },
            ),
            (RawTool({"type": "text"}), {"type": "text"}),
        ],
    )
    def test_the_format_of_the_answer(self, wanted: object, spelling: object) -> None:
        assert body(response_format=wanted)["text"] == {"format": spelling}


class TestTools:
    def test_a_function_is_flat(self) -> None:
        tool = Tool("add", "Adds.", {"type": "object"}, strict=False)

        assert body(tools=(tool,))["tools"] == [
            {
                "type": "function",
                "name": "add",
                "description": "Adds.",
                "parameters": {"type": "object"},
                "strict": False,
            }
        ]

    def test_a_tool_of_the_providers_is_unchanged(self) -> None:
        assert body(tools=(RawTool({"type": "web_search"}),))["tools"] == [{"type": "web_search"}]

    @pytest.mark.parametrize(
        ("choice", "spelling"),
        [
            (ToolChoice("auto"), "auto"),
            (ToolChoice("required"), "required"),
            (ToolChoice("tool", "add"), {"type": "function", "name": "add"}),
            (ToolChoice("tool", "run"), {"type": "custom", "name": "run"}),
            (ToolChoice("tool", "web_search"), {"type": "web_search"}),
            (RawTool({"type": "allowed_tools"}), {"type": "allowed_tools"}),
        ],
    )
    def test_the_choice_of_a_tool(self, choice: object, spelling: object) -> None:
        custom, search = {"type": "custom", "name": "run"}, {"type": "web_search"}
        tools = (Tool("add"), RawTool(custom), RawTool(search))

        assert body(tools=tools, tool_choice=choice)["tool_choice"] == spelling


class TestConversation:
    def test_system_messages_are_the_instructions(self) -> None:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]

        found = body(messages, system="Be kind.")

        assert found["instructions"] == "Be kind.\n\nBe brief."
        assert found["input"] == [{"type": "message", "role": "user", "content": "Hi"}]

    def test_parts_are_spelled_by_their_role(self) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}
        raw = {"type": "input_file", "file_id": "file-1"}

        found = items(
            {"role": "user", "content": ["See: ", image, raw]},
            {"role": "assistant", "content": ["Seen. ", {"type": "refusal", "refusal": "No."}]},
        )

        spelled_image = {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}
        assert found == [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "See: "}, spelled_image, raw],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Seen. "},
                    {"type": "refusal", "refusal": "No."},
                ],
            },
        ]

    def test_an_image_in_base64_is_a_data_url(self) -> None:
        image = {"type": "image", "source": {"data": "QUJD", "media_type": "image/gif"}}

        ((part,),) = [each["content"] for each in items({"role": "user", "content": [image]})]

        assert part == {
            "type": "input_image",
            "image_url": "data:image/gif;base64,QUJD",
            "detail": "auto",
        }

    def test_parts_of_chat_completions_are_respelled(self) -> None:
        file = {"type": "file", "file": {"file_id": "file-1"}}
        text = {"type": "text", "text": "Hi", "prompt_cache_breakpoint": {}}

        ((one, two),) = [
            each["content"] for each in items({"role": "user", "content": [file, text]})
        ]

        assert one == {"type": "input_file", "file_id": "file-1"}
        assert two == {"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": {}}

    def test_items_among_the_parts_stand_by_themselves_in_their_order(self) -> None:
        thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
        search = {"type": "web_search_call", "id": "ws_1"}

        found = items({"role": "assistant", "content": [thought, "One.", search]})

        words = [{"type": "output_text", "text": "One."}]
        spoken = {"type": "message", "role": "assistant", "content": words}
        assert found == [thought, spoken, search]

    def test_the_phase_of_an_answer_goes_back(self) -> None:
        (found,) = items({"role": "assistant", "content": "Hm.", "phase": "commentary"})

        assert (found["content"], found["phase"]) == ("Hm.", "commentary")

    def test_an_empty_message_is_sent_as_it_is(self) -> None:
        (found,) = items({"role": "user", "content": ""})

        assert found == {"type": "message", "role": "user", "content": ""}


class TestCalls:
    def test_a_function_and_its_answer(self) -> None:
        call = {"type": "function", "function": {"name": "add", "arguments": '{"x":1}'}}

        assert answering(call, "2") == [
            {"type": "function_call", "name": "add", "arguments": '{"x":1}', "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "2"},
        ]

    def test_words_before_a_call_come_before_it(self) -> None:
        call = {"id": "call_1", "function": {"name": "add", "arguments": ""}}

        (words, spelled_call) = items({"role": "assistant", "content": "So:", "tool_calls": [call]})

        assert words == {"type": "message", "role": "assistant", "content": "So:"}
        assert spelled_call["arguments"] == "{}"

    def test_only_what_this_api_knows_of_a_call_goes_back(self) -> None:
        call = {
            "name": "add",
            "arguments": "{}",
            "caller": {"type": "direct"},
            "thought_signature": "abc",
        }

        (found, _) = answering(call, "2")

        assert found["caller"] == {"type": "direct"}
        assert "thought_signature" not in found

    def test_an_answer_may_hold_an_image(self) -> None:
        image = {"type": "image_url", "image_url": "https://x/y.png"}

        (_, found) = answering({"name": "draw", "arguments": "{}"}, ["Here: ", image])

        assert found["output"] == [
            {"type": "input_text", "text": "Here: "},
            {"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"},
        ]

    def test_an_answer_to_a_call_out_of_sight_is_a_functions(self) -> None:
        (found,) = items({"role": "tool", "tool_call_id": "call_9", "content": "2"})

        assert found == {"type": "function_call_output", "call_id": "call_9", "output": "2"}

    def test_a_custom_tool_and_its_answer(self) -> None:
        call = {"type": "custom", "custom": {"name": "run", "input": "print()"}}

        assert answering(call, "ok") == [
            {
                "type": "custom_tool_call",
                "name": "run",
                "input": "print()",
                "call_id": "call_1",
            },
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "ok"},
        ]

    @pytest.mark.parametrize(("is_error", "status"), [(False, "completed"), (True, "failed")])
    def test_a_patch_and_its_answer(self, is_error: bool, status: str) -> None:
        call = {"type": "apply_patch", "name": "apply_patch", "arguments": '{"path":"a"}'}

        assert answering(call, "done", is_error=is_error) == [
            {
                "type": "apply_patch_call",
                "status": "completed",
                "operation": {"path": "a"},
                "call_id": "call_1",
            },
            {
                "type": "apply_patch_call_output",
                "status": status,
                "call_id": "call_1",
                "output": "done",
            },
        ]

    @pytest.mark.parametrize(
        ("content", "is_error", "output"),
        [
            ("a.txt", False, [outcome("a.txt", 0)]),
            ("no", True, [outcome("no", 1)]),
            ('[{"stdout":"a"}]', False, [{"stdout": "a"}]),
        ],
    )
    def test_shell_commands_and_what_they_said(
        self,
        content: str,
        is_error: bool,
        output: object,
    ) -> None:
        call = {"type": "shell", "name": "shell", "arguments": '{"commands":["ls"]}'}

        (asked, answered) = answering(call, content, is_error=is_error)

        assert (asked["type"], asked["action"]) == ("shell_call", {"commands": ["ls"]})
        assert answered == {"type": "shell_call_output", "call_id": "call_1", "output": output}

    def test_a_local_shell_command_and_what_it_said(self) -> None:
        call = {"type": "shell", "name": "local_shell", "arguments": "{}"}

        (asked, answered) = answering(call, "a.txt")

        assert asked["type"] == "local_shell_call"
        assert answered == {"type": "local_shell_call_output", "id": "call_1", "output": "a.txt"}

    def test_an_action_that_is_not_json_is_refused(self) -> None:
        call = ToolCall("call_1", "shell", "ls", "shell")

        with pytest.raises(ConfigurationError, match="'call_1' are not JSON"):
            spelled([Message("assistant", (InputText("So:"),), (call,))])


def test_the_marks_of_a_tool_are_sent_with_it() -> None:
    (tool,) = body(tools=(Tool("add", parameters={}, extra={"defer_loading": True}),))["tools"]

    assert tool == {"type": "function", "name": "add", "parameters": {}, "defer_loading": True}
