"""Anthropic's messages, by ``InvokeModelWithResponseStream``."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError, RateLimitError
from steer_llm_sdk.models.fragments import End, Extras, Failure, Finish, ToolCallPiece, Usage
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer
from steer_llm_sdk.providers.bedrock.invoke import InvokeAnthropic
from steer_llm_sdk.wire.aws_events import EventMessage

WIRE = InvokeAnthropic()
ENDPOINT = Endpoint("bedrock-anthropic", "https://b.example", None, {"Anthropic-Beta": "a, b,"})


def chunk(value: object) -> EventMessage:
    packed = base64.b64encode(json.dumps(value).encode()).decode()
    return EventMessage(json.dumps({"bytes": packed, "p": "ab"}).encode(), "chunk")


def block(delta: dict[str, Any]) -> EventMessage:
    return chunk({"type": "content_block_delta", "index": 0, "delta": delta})


def test_each_chunk_is_one_of_anthropics_events() -> None:
    decoder = WIRE.decoder("bedrock-anthropic")
    use = {"type": "tool_use", "id": "t1", "name": "find", "input": {}}
    metrics = {"inputTokenCount": 3}
    messages = [
        block({"type": "text_delta", "text": "Hi"}),
        chunk({"type": "content_block_start", "index": 1, "content_block": use}),
        chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
    ]

    assert [fragment for each in messages for fragment in decoder.decode(each)] == [
        "Hi",
        ToolCallPiece(0, "t1", "find"),
        Finish("tool_calls", "end_turn"),
        Extras({"amazon-bedrock-invocationMetrics": metrics}),
        Usage({"prompt_tokens": 3}, {"input_tokens": 3}),
        End(),
    ]
    assert list(decoder.decode_eof()) == []


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[]", b'{"bytes": "no base64"}', b'{"bytes": 3}', b"[" * 5000]
)
def test_a_chunk_without_bytes_is_told(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="bytes in base64") as caught:
        WIRE.decoder("x").decode(EventMessage(payload, "chunk"))

    assert caught.value.__context__ is None


def test_an_exception_is_its_error_and_other_events_pass_by() -> None:
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    decoder = WIRE.decoder("x")

    (found,) = decoder.decode(EventMessage(b'{"message": "slow"}', "", headers))

    assert isinstance(found, Failure)
    assert type(found.error) is RateLimitError
    assert list(decoder.decode(EventMessage(b"?", "other"))) == []


def test_the_body_is_anthropics_with_bedrocks_version() -> None:
    chat = ChatRequest("anthropic.claude-x:0", read_messages("Hi"), max_tokens=9)

    request = WIRE.request(chat, ENDPOINT)

    assert (
        request.url == "https://b.example/model/anthropic.claude-x%3A0/invoke-with-response-stream"
    )
    assert json.loads(request.body) == {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["a", "b"],
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert request.headers == {"content-type": "application/json", "accept": "application/json"}


def test_without_trials_none_are_named() -> None:
    chat = ChatRequest("m", read_messages("Hi"))
    endpoint = Endpoint("bedrock-anthropic", "https://b.example")

    assert "anthropic_beta" not in json.loads(WIRE.request(chat, endpoint).body)


def test_errors_are_bedrocks() -> None:
    answer = ErrorAnswer("x", 429, {"x-amzn-errortype": "ThrottlingException"}, b"{}")

    assert type(WIRE.read_error(answer)) is RateLimitError
