"""Earlier answers, spelled as the assistant's messages of chat completions and of Mistral."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.parts import FilePart, Part, ProviderPart, TextPart, ToolCallPart
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.turns import assistant_message
from steer_llm_sdk.providers.base import Endpoint, WireFormat
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_chat.mistral import Mistral
from steer_llm_sdk.testing.formats.base import sse
from support.pure_road import travel

ENDPOINT = Endpoint("acme", "http://127.0.0.1/v1")
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def answer(*deltas: dict[str, Any], wire: WireFormat | None = None) -> StreamingResponse:
    """What comes of these deltas, each in a chunk of its own."""
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [{"id": "r", "model": "m", "choices": [choice]} for choice in choices]
    body = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    response = travel(wire or OpenAIChat(), [body + b"data: [DONE]\n\n"]).response
    assert response.ok
    return response


def spelled(message: dict[str, Any], wire: WireFormat | None = None) -> dict[str, Any]:
    messages = read_messages([{"role": "user", "content": "Hi"}, json.loads(json.dumps(message))])
    request = (wire or OpenAIChat()).request(ChatRequest("m", messages), ENDPOINT)
    found: dict[str, Any] = json.loads(request.body)["messages"][-1]
    assert found.pop("role") == "assistant"
    return found


def sent(*deltas: dict[str, Any], wire: WireFormat | None = None) -> dict[str, Any]:
    return spelled(answer(*deltas, wire=wire).to_message(), wire)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
def test_reasoning_goes_back_in_the_field_in_which_it_came(field: str) -> None:
    found = sent({field: "H"}, {field: "m"}, {"content": "Hi"}, {"tool_calls": [CALL]})

    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert found == {"content": "Hi", field: "Hm", "tool_calls": [call]}


def test_an_answer_of_calls_alone_has_no_content() -> None:
    assert sent({"reasoning_content": "Hm"}, {"tool_calls": [CALL]})["content"] is None


def test_a_detail_is_put_together_of_its_words_and_its_signature() -> None:
    place = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    found = sent(
        {"reasoning": "H", "reasoning_details": [{**place, "text": "H"}]},
        {"reasoning": "m", "reasoning_details": [{**place, "text": "m"}]},
        {"reasoning_details": [{**place, "text": "", "signature": "c2ln"}]},
        {"content": "Hi"},
    )

    assert found == {
        "content": "Hi",
        "reasoning_details": [{**place, "text": "Hm", "signature": "c2ln"}],
    }


def test_a_summary_and_what_is_encrypted_behind_it_go_back_in_their_order() -> None:
    summary = {"type": "reasoning.summary", "index": 0}
    sealed = {"type": "reasoning.encrypted", "data": "b3BhcXVl", "id": "rs_1", "index": 1}
    found = sent(
        {"reasoning": "Hm", "reasoning_details": [{**summary, "summary": "Hm"}]},
        {"reasoning_details": [sealed]},
        {"content": "Hi"},
    )

    assert found["reasoning_details"] == [{**summary, "summary": "Hm"}, sealed]


def test_details_at_several_places_keep_their_words_apart() -> None:
    def detail(index: int, text: str) -> dict[str, Any]:
        return {"type": "reasoning.text", "index": index, "text": text}

    response = answer(
        {"reasoning": "a", "reasoning_details": [detail(0, "a")]},
        {"reasoning": "b", "reasoning_details": [detail(1, "b")]},
        {"reasoning": "c", "reasoning_details": [detail(1, "c")]},
        {"content": "Hi"},
    )

    found = spelled(response.to_message())["reasoning_details"]
    assert found == [detail(0, "a"), detail(1, "bc")]
    assert response.reasoning == "abc"


def test_what_is_encrypted_alone_goes_back_as_it_came() -> None:
    sealed = {"type": "reasoning.encrypted", "data": "b3BhcXVl", "index": 0}

    found = sent({"content": "Hi"}, {"reasoning_details": [sealed]})

    assert found == {"content": "Hi", "reasoning_details": [sealed]}


def test_words_that_come_in_details_alone_go_back_in_them() -> None:
    detail = {"type": "reasoning.text", "index": 0, "text": "Hm"}

    assert sent({"reasoning_details": [detail]}, {"content": "Hi"}) == {
        "content": "Hi",
        "reasoning_details": [detail],
    }


def test_a_block_of_thinking_gets_its_words_beside_its_signature() -> None:
    thinking = {"type": "thinking", "thinking": "Hm"}
    sealed = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "b3BhcXVl"}
    found = sent(
        {"reasoning_content": "Hm", "thinking_blocks": [thinking]},
        {"reasoning_content": "", "thinking_blocks": [sealed, redacted]},
        {"content": "Hi"},
    )

    assert found == {
        "content": "Hi",
        "reasoning_content": "Hm",
        "thinking_blocks": [{**sealed, "thinking": "Hm"}, redacted],
    }


def copied(index: int, **delta: str) -> dict[str, Any]:
    return {"content_blocks": [{"index": index, "delta": delta}]}


def test_portkeys_copies_of_blocks_are_reasoning_and_go_back_as_blocks() -> None:
    deltas = [
        copied(0, thinking="", signature=""),
        copied(0, thinking="H"),
        copied(0, thinking="m"),
        copied(0, signature="c2ln"),
        copied(1, thinking="So"),
        copied(1, signature="b3Bh"),
        copied(2, data="eHh4"),
        copied(3, text="Hi") | {"content": "Hi"},
    ]

    assert answer(*deltas).reasoning == "HmSo"
    assert sent(*deltas) == {
        "content": "Hi",
        "content_blocks": [
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            {"type": "thinking", "thinking": "So", "signature": "b3Bh"},
            {"type": "redacted_thinking", "thinking": "", "data": "eHh4"},
            {"type": "text", "text": "Hi"},
        ],
    }


def test_copies_of_blocks_that_are_no_thoughts_go_nowhere() -> None:
    assert sent(copied(0, text="Hi") | {"content": "Hi"}) == {"content": "Hi"}


@pytest.mark.parametrize("key", ["thoughtSignature", "thought_signature", "signature"])
def test_words_that_are_signed_go_back_with_their_signature(key: str) -> None:
    signed = {"type": "text", "text": " there", key: "c2ln"}

    found = sent({"reasoning_content": "Hm"}, {"content": "Hi"}, {"content": [signed]})

    words = {"type": "text", "text": "Hi there", key: "c2ln"}
    assert found == {"content": [words], "reasoning_content": "Hm"}


def test_a_signature_may_come_on_no_words_and_among_thoughts() -> None:
    alone = {"type": "text", "text": "", "signature": "c2ln"}
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}

    assert sent({"content": [alone]}, {"tool_calls": [CALL]})["content"] == [alone]
    assert sent({"content": [thought, {**alone, "text": "Hi"}]})["content"] == [
        thought,
        {**alone, "text": "Hi"},
    ]


def test_other_seals_go_back_under_their_own_names() -> None:
    found = sent({"reasoning_text": "Hm"}, {"reasoning_opaque": "b3BhcXVl"}, {"content": "Hi"})

    assert found == {"content": "Hi", "reasoning_text": "Hm", "reasoning_opaque": "b3BhcXVl"}


def test_what_stands_beside_a_call_goes_back_with_it() -> None:
    seal = {"google": {"thought_signature": "c2ln"}}

    found = sent({"tool_calls": [{**CALL, "extra_content": seal}]})

    assert found["tool_calls"][0]["extra_content"] == seal


def test_mistrals_thinking_goes_back_among_the_words() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    text = {"type": "text", "text": "Hi"}

    assert sent({"content": [thinking]}, {"content": [text]}, wire=Mistral()) == {
        "content": [thinking, text]
    }


def test_mistrals_calls_stand_beside_its_thinking() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}

    call = CALL | {"id": "D681PevKs"}

    found = sent({"content": [thinking]}, {"tool_calls": [call]}, wire=Mistral())

    assert found["content"] == [thinking]
    assert [call["id"] for call in found["tool_calls"]] == ["D681PevKs"]


def test_databricks_reasoning_goes_back_with_its_signature() -> None:
    summary = {"type": "summary_text", "text": "Hm", "signature": "c2ln"}
    reasoning = {"type": "reasoning", "summary": [summary]}

    assert sent({"content": [reasoning]}, {"content": "Hi"}) == {
        "content": [reasoning, {"type": "text", "text": "Hi"}]
    }


def test_an_image_goes_back_as_it_came() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    link = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    response = answer({"content": "Look:"}, {"images": [image, link, {"image_url": {}}]})

    assert response.files == [
        FilePart("image/png", "aGk=", provider_data={"wire": "openai-chat", "field": "images"}),
        FilePart(
            url="https://example.com/a.png",
            provider_data={"wire": "openai-chat", "field": "images"},
        ),
    ]
    assert spelled(response.to_message()) == {"content": "Look:", "images": [image, link]}


def test_of_another_formats_answer_there_are_words_and_calls() -> None:
    message = answer({"reasoning_content": "Hm"}, {"content": "Hi"}).to_message()

    assert spelled(message, Mistral()) == {"content": "Hi"}


def test_an_answer_made_of_parts_has_its_words_joined() -> None:
    parts: list[Part] = [TextPart("Hel"), TextPart("lo"), ToolCallPart("c", "f", "", True)]

    found = spelled(assistant_message(parts))

    assert found["content"] == "Hello"
    assert found["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


# --- what stands beside the words ---------------------------------------------------------------


def test_citations_are_with_the_words_each_once() -> None:
    url = {"type": "url_citation", "url_citation": {"url": "https://e.com"}}

    response = answer({"content": "Hi", "annotations": [url]}, {"annotations": [url, {"n": 1}]})

    assert response.citations == [url, {"n": 1}]


def test_sources_beside_the_choices_are_citations() -> None:
    chunk = {
        "id": "r",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}],
        "citations": ["https://e.com", "https://f.com", 7],
        "search_results": [{"url": "https://e.com", "title": "E"}],
    }
    body = b"data: %s\n\ndata: [DONE]\n\n" % json.dumps(chunk).encode()

    response = travel(OpenAIChat(), [body]).response

    assert response.citations == [
        {"url": "https://e.com", "title": "E"},
        {"url": "https://f.com"},
    ]


@pytest.mark.parametrize(
    "beside",
    [
        {"web_search": [{"link": "https://e.com", "title": "E"}]},
        {"references": [{"link": "https://e.com", "title": "E"}]},
        {"search_info": {"search_results": [{"link": "https://e.com", "title": "E"}]}},
        {"context": {"citations": [{"link": "https://e.com", "title": "E"}], "intent": "?"}},
    ],
)
def test_sources_are_citations_wherever_a_server_puts_them(beside: dict[str, Any]) -> None:
    choice = {"index": 0, "delta": {"content": "Hi"}}
    in_delta = {"choices": [{"index": 0, "delta": {"content": "Hi", **beside}}]}
    for chunk in ({"choices": [choice], **beside}, in_delta):
        again = {"choices": [{**choice, "finish_reason": "stop"}], **beside}
        response = travel(OpenAIChat(), [sse(chunk), sse(again)]).response

        assert response.citations == [{"link": "https://e.com", "title": "E"}]


def test_what_the_server_ran_and_parts_of_other_kinds_are_the_providers() -> None:
    ran = {"index": 0, "type": "search", "output": "x"}
    reference = {"type": "reference", "reference_ids": [1]}
    other = {"type": "tool_file", "file_id": "f"}

    response = answer(
        {"content": [reference, other]},
        {"executed_tools": [ran], "graph_data": {"sources": None}},
        {"content": "Hi"},
    )

    assert [part.item for part in response.parts if isinstance(part, ProviderPart)] == [other, ran]
    assert response.citations == [reference]


def test_pieces_of_one_detail_with_an_identifier_are_put_together() -> None:
    one = {"type": "reasoning.text", "index": 0, "id": "r1"}
    sealed = {"type": "reasoning.encrypted", "index": 0, "id": "r1", "data": "x"}
    pieces = [
        one | {"text": "15"},
        one | {"text": " * 27", "signature": "s", "format": None},
        sealed,
        sealed,
    ]

    found = sent(*({"reasoning_details": [piece]} for piece in pieces), {"content": "Hi"})
    assert found["reasoning_details"] == [
        one | {"text": "15 * 27", "signature": "s"},
        sealed,
        sealed,
    ]


def test_details_without_a_place_stay_as_many_as_came() -> None:
    apart = [{"type": "reasoning.text", "provider": "p", "text": word} for word in ("a", "b")]

    found = sent(*({"reasoning_details": [each]} for each in apart), {"content": "Hi"})
    assert found["reasoning_details"] == apart
