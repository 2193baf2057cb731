"""Every recorded stream as parts, and every recorded answer sent back."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.parts import Part, ProviderPart, ReasoningPart, ToolCallPart
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.providers.base import Endpoint
from support.corpus import Recorded, cut, every_stream
from support.pure_road import Travelled, travel
from support.recorded_formats import WIRES

CUTS = 12
LANES = ("text", "reasoning", "commentary", "refusal")

streams = every_stream(*WIRES)


def road(stream: Recorded, chunks: Iterable[bytes] | None = None) -> Travelled:
    wire = WIRES[stream.index["wire"]]()
    return travel(wire, chunks or [stream.body], provider=stream.index["provider"])


def deltas(travelled: Travelled) -> list[StreamDeltaEvent]:
    return [event for event in travelled.events if isinstance(event, StreamDeltaEvent)]


def words(event: StreamDeltaEvent) -> str:
    delta = event.delta
    return delta if isinstance(delta, str) else str(delta.get("text", ""))


def sent_back(response: StreamingResponse, wire: str) -> dict[str, Any]:
    """The body of a request whose history has this answer."""
    stored = json.loads(json.dumps(response.to_message()))
    messages = read_messages(
        [{"role": "user", "content": "1"}, stored, {"role": "user", "content": "2"}]
    )
    request = WIRES[wire]().request(ChatRequest("m", messages), Endpoint("x", "http://127.0.0.1"))
    body: dict[str, Any] = json.loads(request.body)
    return body


@streams
def test_the_parts_are_what_their_deltas_say(stream: Recorded) -> None:
    travelled = road(stream)

    for number, part in enumerate(travelled.response.parts):
        if part.type in LANES:
            said = "".join(words(e) for e in deltas(travelled) if e.part == number)
            assert said == getattr(part, "text", "")


@streams
def test_the_views_are_what_the_deltas_say_and_what_is_of_no_part_separates(
    stream: Recorded,
) -> None:
    travelled = road(stream)
    response = travelled.response

    for kind in LANES:
        said = [event for event in deltas(travelled) if event.kind == kind]
        assert "".join(map(words, said)) == getattr(response, kind)
        assert {words(event) for event in said if event.part is None} <= {"\n\n"}


@streams
def test_the_numbers_of_parts_never_go_back_within_a_lane(stream: Recorded) -> None:
    latest: dict[object, int] = {}
    for event in deltas(road(stream)):
        lane = event.delta.get("index") if isinstance(event.delta, dict) else None
        if event.part is not None:
            assert event.part >= latest.get((event.kind, lane), 0)
            latest[event.kind, lane] = event.part


@streams
def test_the_parts_do_not_depend_on_where_the_network_cuts(stream: Recorded) -> None:
    chance = random.Random(stream.id)
    places = [chance.randrange(len(stream.body)) for _ in range(CUTS)]

    assert road(stream, cut(stream.body, places)).response.parts == road(stream).response.parts


@streams
def test_calls_are_the_responses(stream: Recorded) -> None:
    response = road(stream).response

    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    assert [(c.id, c.name, c.arguments) for c in calls if c.is_complete] == [
        (c["id"], c["name"], c["arguments"]) for c in response.tool_calls
    ]


@streams
def test_a_response_comes_back_from_json_with_its_parts(stream: Recorded) -> None:
    response = road(stream).response

    assert StreamingResponse.from_dict(json.loads(response.to_json())).parts == response.parts


@streams
def test_an_answer_can_be_sent_to_any_format(stream: Recorded) -> None:
    response = road(stream).response
    if any(part.call_type != "function" for part in calls_of(response)):
        return  # free text is no object: the formats that want one refuse it

    for wire in WIRES:
        body = json.dumps(sent_back(response, wire), ensure_ascii=False)
        assert [call for call in response.tool_calls if call["name"] not in body] == []


def calls_of(response: StreamingResponse) -> list[ToolCallPart]:
    return [part for part in response.parts if isinstance(part, ToolCallPart)]


# --- what is to come back, by the raw stream ---------------------------------------------------


def payloads(stream: Recorded) -> list[dict[str, Any]]:
    """The JSON objects of a stream of events, however they are framed."""
    lines = stream.body.decode("utf-8", "replace").splitlines()
    texts = (line[5:].strip() for line in lines if line.startswith("data:"))
    found = (json.loads(text, strict=False) for text in texts if text.startswith("{"))
    return [one for one in found if isinstance(one, dict)]


def given_back(parts: Iterable[Part], kind: type[Part], key: str) -> list[Any]:
    return [
        part.provider_data[key]
        for part in parts
        if isinstance(part, kind) and key in part.provider_data
    ]


@every_stream("anthropic")
def test_anthropic_gets_its_blocks_in_order_with_their_signatures(stream: Recorded) -> None:
    opened: list[str] = []
    signatures: list[str] = []
    citations: list[Any] = []
    for event in payloads(stream):
        block, delta = event.get("content_block") or {}, event.get("delta") or {}
        opened += [block["type"]] if block else []
        signatures += [block["signature"]] if block.get("signature") else []
        signatures += [delta["signature"]] if delta.get("signature") else []
        citations += block.get("citations") or []
        citations += [delta["citation"]] if delta.get("citation") else []
    response = road(stream).response

    assert response.citations == citations
    content = [m for m in sent_back(response, "anthropic")["messages"] if m["role"] == "assistant"]
    blocks = [b for m in content for b in m["content"] if isinstance(b, dict)]
    assert [b["signature"] for b in blocks if b.get("signature")] == signatures
    expected = [t for t in opened if t not in {"text", "thinking"}]
    if response.ok:
        assert [b["type"] for b in blocks if b["type"] not in {"text", "thinking"}] == expected
        assert len([p for p in response.parts if isinstance(p, ProviderPart)]) == len(
            [t for t in expected if t not in {"tool_use", "redacted_thinking"}]
        )


@every_stream("openai-chat", "mistral")
def test_chat_completions_get_their_reasoning_back(stream: Recorded) -> None:
    wire = stream.index["wire"]
    response = road(stream).response
    if not response.ok:
        return

    body = sent_back(response, wire)
    said = [message for message in body["messages"] if message["role"] == "assistant"]

    if response.reasoning:
        details = [each for message in said for each in message.get("reasoning_details") or ()]
        words = "".join(each.get("text") or each.get("summary") or "" for each in details)
        told = json.dumps([*said, words], ensure_ascii=False)  # in as many details as they came
        for part in response.parts:
            if isinstance(part, ReasoningPart):
                assert json.dumps(part.text, ensure_ascii=False)[1:-1] in told
    for payload in payloads(stream):
        for choice in payload.get("choices") or []:
            if choice.get("index", 0) == 0:
                assert_details_are_sent(choice.get("delta") or {}, said)


def assert_details_are_sent(delta: dict[str, Any], said: list[dict[str, Any]]) -> None:
    told = json.dumps(said, ensure_ascii=False)
    for detail in delta.get("reasoning_details") or []:
        for key in ("signature", "data", "id"):
            if isinstance(detail.get(key), str):
                assert detail[key] in told


# Its closing events say other words than its deltas: the deltas count.
TOLD_DIFFERENTLY = {"e8295026ab320a95"}


def closed_items(stream: Recorded) -> list[dict[str, Any]]:
    """The items as they were closed; those of the final response where none was."""
    closed: dict[Any, dict[str, Any]] = {}
    final: list[dict[str, Any]] = []
    for event in payloads(stream):
        if event.get("type") == "response.output_item.done":
            closed[event.get("output_index", len(closed))] = event["item"]
        elif event.get("type") == "response.completed":
            final = event["response"].get("output") or []
    return [closed[index] for index in sorted(closed)] or final


def mark_of(item: dict[str, Any]) -> tuple[Any, ...]:
    """What tells that an item came back."""
    kind = item["type"]
    if kind == "message":
        said = [block.get("text") or block.get("refusal") for block in item["content"]]
        return kind, item.get("phase"), said
    if kind == "reasoning":
        summary = [part["text"] for part in item.get("summary") or [] if part["text"]]
        return kind, item.get("encrypted_content") or None, summary
    return kind, item.get("call_id"), item.get("name")


@every_stream("openai-responses")
def test_responses_get_their_items_back_in_their_order(stream: Recorded) -> None:
    response = road(stream).response
    items = closed_items(stream)
    if not response.ok or not items or stream.id in TOLD_DIFFERENTLY:
        return

    sent = [
        item
        for item in sent_back(response, "openai-responses")["input"]
        if item.get("role") != "user"
    ]

    assert [mark_of(item) for item in sent] == [mark_of(item) for item in items]
    assert [item["id"] for item in sent if "id" in item] == [
        item["id"] for item in items if item.get("id")
    ]


@every_stream("gemini")
def test_gemini_gets_its_signatures_and_parts_back_in_their_order(stream: Recorded) -> None:
    response = road(stream).response
    if not response.ok:
        return
    came = [part for payload in gemini_payloads(stream) for part in gemini_parts(payload)]

    body = sent_back(response, "gemini")
    sent = [p for turn in body["contents"] if turn["role"] == "model" for p in turn["parts"]]

    assert signatures(sent) == signatures(came)
    ran = [p for p in came if not {"text", "functionCall"} & p.keys() and p]
    assert [p for p in sent if not {"text", "functionCall"} & p.keys()] == ran
    for payload in gemini_payloads(stream):
        for candidate in payload.get("candidates") or []:
            told = json.dumps(response.citations)
            for chunk in (candidate.get("groundingMetadata") or {}).get("groundingChunks") or []:
                assert json.dumps(chunk) in told


def gemini_payloads(stream: Recorded) -> list[dict[str, Any]]:
    """The response objects, framed as events or as one array."""
    if not stream.body.lstrip().startswith(b"["):
        return payloads(stream)
    found: list[dict[str, Any]] = json.loads(stream.body)
    return found


def gemini_parts(payload: dict[str, Any]) -> list[dict[str, Any]]:
    candidates = payload.get("candidates") or []
    return [
        part
        for candidate in candidates
        if not candidate.get("index")
        for part in (candidate.get("content") or {}).get("parts") or []
    ]


def signatures(parts: list[dict[str, Any]]) -> list[str]:
    return [part["thoughtSignature"] for part in parts if part.get("thoughtSignature")]


@every_stream("ollama")
def test_ollama_gets_its_thinking_back(stream: Recorded) -> None:
    response = road(stream).response

    said = [m for m in sent_back(response, "ollama")["messages"] if m["role"] == "assistant"]

    assert "".join(message.get("thinking", "") for message in said) == response.reasoning
    assert "".join(message["content"] for message in said) == response.text
