"""Earlier answers, spelled as content blocks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
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
from steer_llm_sdk.models.turns import assistant_message, tool_result
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.testing.formats.base import sse
from support.pure_road import travel

ENDPOINT = Endpoint("anthropic", "http://127.0.0.1")
OWN = {"wire": "anthropic"}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}


def turns(*messages: object, model: str = "m") -> list[dict[str, Any]]:
    """The turns of a conversation; what the user says is a bare text here."""
    said = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
    request = AnthropicMessages().request(ChatRequest(model, read_messages(said)), ENDPOINT)
    found: list[dict[str, Any]] = json.loads(request.body)["messages"]
    return found


def blocks(*parts: Part) -> Any:
    message = assistant_message(parts)
    (turn,) = (turn for turn in turns("Hi", message) if turn["role"] == "assistant")
    return turn["content"]


def test_thinking_stands_with_its_signature_before_the_call_that_it_led_to() -> None:
    parts: Iterable[Part] = (
        ReasoningPart("Hm", provider_data={**OWN, "signature": "c2ln"}),
        ReasoningPart(provider_data={**OWN, "data": "b3BhcXVl"}),
        TextPart("Let me see."),
        ToolCallPart("c", "add", '{"a":1}', True, provider_data={**OWN, "caller": {"type": "x"}}),
        ReasoningPart("So", provider_data={**OWN, "signature": "c2lnMg=="}),
        ToolCallPart("d", "add", "", True),
    )

    assert blocks(*parts) == [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": "Let me see."},
        {
            "type": "tool_use",
            "id": "c",
            "name": "add",
            "input": {"a": 1},
            "caller": {"type": "x"},
        },
        {"type": "thinking", "thinking": "So", "signature": "c2lnMg=="},
        {"type": "tool_use", "id": "d", "name": "add", "input": {}},
    ]


def test_what_the_server_ran_and_what_words_rest_on_come_back_as_they_were() -> None:
    cited = {"type": "char_location", "cited_text": "x"}

    assert blocks(
        ProviderPart(SEARCH, provider_data=OWN), TextPart("Hi", [cited], provider_data=OWN)
    ) == [SEARCH, {"type": "text", "text": "Hi", "citations": [cited]}]


def test_of_another_formats_answer_there_are_words_and_calls() -> None:
    other = {"wire": "openai-responses", "encrypted_content": "x", "signature": "y"}

    assert blocks(
        ReasoningPart("Hm", provider_data=other),
        ProviderPart(SEARCH, provider_data=other),
        CommentaryPart("I look it up."),
        TextPart("Hi", [{"url": "u"}], provider_data=other),
        RefusalPart("No."),
        FilePart("image/png", "aGk="),
        ToolCallPart("c", "add", "{}", True, provider_data=other),
    ) == [
        {"type": "text", "text": "I look it up."},
        {"type": "text", "text": "Hi"},
        {"type": "text", "text": "No."},
        {"type": "tool_use", "id": "c", "name": "add", "input": {}},
    ]


def test_thinking_that_was_cut_before_its_signature_is_left_out() -> None:
    assert blocks(ReasoningPart("Hm", provider_data=OWN), TextPart("Hi")) == "Hi"


def thought(*deltas: dict[str, Any], stop: str = "tool_use") -> dict[str, Any]:
    """The message of an answer that thinks so, and then calls a tool."""
    opened = {"type": "thinking", "thinking": "", "signature": ""}
    call = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    blocks = [(opened, deltas), *([(call, ())] if stop == "tool_use" else [])]
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "m"}}]
    for index, (block, changes) in enumerate(blocks):
        place = {"index": index}
        events.append({"type": "content_block_start", **place, "content_block": block})
        events += [{"type": "content_block_delta", **place, "delta": delta} for delta in changes]
        events.append({"type": "content_block_stop", **place})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop}})
    events.append({"type": "message_stop"})
    response = travel(AnthropicMessages(), map(sse, events)).response
    return response.to_message()


WORDS = {"type": "thinking_delta", "thinking": "Hm"}
EMPTY = {"type": "signature_delta", "signature": ""}
SIGNED = {"type": "signature_delta", "signature": "s"}


@pytest.mark.parametrize("deltas", [(WORDS,), (WORDS, EMPTY)])
def test_thinking_that_nobody_signs_goes_back_to_models_that_sign_nothing(
    deltas: tuple[dict[str, Any], ...],
) -> None:
    message = thought(*deltas)

    first, _ = turns("Hi", message, model="kimi-k2-thinking")[1]["content"]
    claudes = turns("Hi", message, model="claude-sonnet-5")[1]["content"]

    assert first == {"type": "thinking", "thinking": "Hm", "signature": ""}
    assert [block["type"] for block in claudes] == ["tool_use"]


def test_a_signature_is_kept_wherever_it_stands() -> None:
    for deltas in ((WORDS, SIGNED), (SIGNED, WORDS)):
        first, _ = turns("Hi", thought(*deltas), model="claude-sonnet-5")[1]["content"]

        assert first == {"type": "thinking", "thinking": "Hm", "signature": "s"}


def test_thinking_that_stops_at_the_limit_or_has_no_words_is_not_whole() -> None:
    assert turns("Hi", thought(WORDS, stop="max_tokens")) == [{"role": "user", "content": "Hi"}]
    assert len(turns("Hi", thought(EMPTY))[1]["content"]) == 1


def test_thinking_at_the_end_of_an_answer_that_stopped_is_whole() -> None:
    (only,) = turns("Hi", thought(WORDS, stop="end_turn"))[1]["content"]

    assert only["signature"] == ""


def test_white_space_is_left_out_of_messages_and_stays_in_results() -> None:
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    asked = {"role": "assistant", "content": "\n\n", "tool_calls": [call]}
    said = [{"type": "text", "text": text} for text in ("Hi", " ")]

    assert turns({"role": "user", "content": said}, asked, tool_result("c", "\n")) == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c", "content": "\n"}],
        },
    ]


def test_an_answer_that_said_nothing_is_no_turn() -> None:
    assert turns("Hi", {"role": "assistant", "content": ""}, "Go on") == [
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("Hi", "Go on")]}
    ]


def test_white_space_alone_is_left_out() -> None:
    assert blocks(TextPart("\n\n"), TextPart("Hi")) == "Hi"


def test_an_answer_of_which_nothing_can_be_said_is_no_turn() -> None:
    unsigned = assistant_message([ReasoningPart("Hm", provider_data=OWN)])

    assert turns("Hi", unsigned, "Well?") == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Well?"}],
        }
    ]


def test_the_results_of_calls_follow_the_turn_that_made_them() -> None:
    answer = assistant_message([ToolCallPart("c", "add", "{}", True)])

    assert turns("Hi", answer, tool_result("c", "3", is_error=True))[-1] == {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "c", "content": "3", "is_error": True}],
    }


def test_a_call_with_free_text_has_no_spelling() -> None:
    with pytest.raises(ConfigurationError, match="expected the arguments of the call of 'sh'"):
        blocks(ToolCallPart("c", "sh", "ls", True, "custom"))
