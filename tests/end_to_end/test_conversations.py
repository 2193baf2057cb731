"""The loop around tools by hand, against servers that enforce what each provider wants back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from steer_llm_sdk import (
    InvalidRequestError,
    ProviderSettings,
    SteerLLMClient,
    StreamingOptions,
    tool_result,
)
from steer_llm_sdk.streaming.processor import RedactTransformer
from support.rule_server import Body, Rule, rule_server, sse

TOOL = {"name": "add", "parameters": {"type": "object", "properties": {}}}
OPTIONS = StreamingOptions(max_retries=0)


@dataclass(frozen=True)
class Provider:
    """A provider's answers, one a turn, and its rule."""

    kind: str
    answers: tuple[bytes, ...]
    rule: Rule
    path: str = "/v1"


def turns_of(body: Body, role: str = "assistant") -> list[Body]:
    return [message for message in body["messages"] if message["role"] == role]


# --- Anthropic: thinking with its signature stands before the calls, interleaved ------------------

THOUGHTS = [
    [("thinking", "First.", "c2lnMQ=="), ("tool_use", "call_1")],
    [("thinking", "", "c2lnMg=="), ("redacted_thinking", "b3BhcXVl"), ("tool_use", "call_2")],
]


def anthropic_block(index: int, block: tuple[str, ...]) -> list[Body]:
    kind = block[0]
    opened: Body = {"type": kind}
    deltas: list[Body] = []
    if kind == "thinking":
        opened |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": block[1]}] if block[1] else []
        deltas.append({"type": "signature_delta", "signature": block[2]})
    elif kind == "tool_use":
        opened |= {"id": block[1], "name": "add", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": "{}"}]
    elif kind == "redacted_thinking":
        opened |= {"data": block[1]}
    else:
        opened |= {"text": ""}
        deltas = [{"type": "text_delta", "text": block[1]}]
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def anthropic_answer(*blocks: tuple[str, ...]) -> bytes:
    reason = "tool_use" if blocks[-1][0] == "tool_use" else "end_turn"
    usage = {"input_tokens": 1, "output_tokens": 1}
    return sse(
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": usage}},
        *(event for at, block in enumerate(blocks) for event in anthropic_block(at, block)),
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage},
        {"type": "message_stop"},
    )


def anthropic_rule(body: Body) -> str | None:
    for number, message in enumerate(turns_of(body)):
        came = [
            (block["type"], *(block[key] for key in keys if key in block))
            for block in message["content"]
            for keys in [("thinking", "signature", "data", "id")]
        ]
        if came != THOUGHTS[number]:
            return f"messages: expected the blocks as they were, found {came}"
    return None


ANTHROPIC = Provider(
    "anthropic",
    (
        anthropic_answer(*THOUGHTS[0]),
        anthropic_answer(*THOUGHTS[1]),
        anthropic_answer(("text", "It is 3.")),
    ),
    anthropic_rule,
    path="",
)


# --- Responses: encrypted reasoning before the call that it led to; phases ------------------------

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "b3BhcXVl"}
ASIDE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "phase": "commentary",
    "status": "completed",
    "content": [{"type": "output_text", "text": "I add.", "annotations": []}],
}
ADD = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": "{}"}


def responses_answer(*items: Body) -> bytes:
    events: list[Body] = [{"type": "response.created", "response": {"id": "r", "model": "m"}}]
    for index, item in enumerate(items):
        place = {"output_index": index, "item_id": item["id"]}
        opened = {**item, "content": []} if item["type"] == "message" else item
        events.append({"type": "response.output_item.added", "item": opened, **place})
        if item["type"] == "message":
            delta = {"delta": item["content"][0]["text"], "content_index": 0}
            events.append({"type": "response.output_text.delta", **delta, **place})
        events.append({"type": "response.output_item.done", "item": item, **place})
    response = {"id": "r", "model": "m", "status": "completed", "output": list(items)}
    return sse(*events, {"type": "response.completed", "response": response})


def responses_rule(body: Body) -> str | None:
    items = [item for item in body["input"] if item.get("role") != "user"]
    if not items:
        return None
    if items[:3] != [REASONING, ASIDE, ADD]:
        return f"Item 'fc_1' was provided without its required 'reasoning' item: {items}"
    return None


RESPONSES = Provider(
    "openai-responses",
    (
        responses_answer(REASONING, ASIDE, ADD),
        responses_answer({**ASIDE, "id": "msg_2", "phase": "final_answer"}),
    ),
    responses_rule,
)


# --- chat completions: DeepSeek, OpenRouter, Mistral ----------------------------------------------


def chat_answer(*deltas: Body, finish: str = "tool_calls") -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    last = {"index": 0, "delta": {}, "finish_reason": finish}
    return sse(
        *({"id": "r", "model": "m", "choices": [choice]} for choice in (*choices, last)),
        has_done=True,
    )


CHAT_CALL = {
    "tool_calls": [
        {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "add", "arguments": "{}"},
        }
    ]
}
LAST = chat_answer({"content": "It is 3."}, finish="stop")


def chat_rule(**wanted: Any) -> Rule:
    def rule(body: Body) -> str | None:
        for message in turns_of(body):
            for key, value in wanted.items():
                if message.get(key) != value:
                    return f"Missing `{key}` field in the assistant message: {message}"
        return None

    return rule


DETAIL = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}

DEEPSEEK = Provider(
    "deepseek",
    (chat_answer({"reasoning_content": "H"}, {"reasoning_content": "m."}, CHAT_CALL), LAST),
    chat_rule(reasoning_content="Hm."),
)
OPENROUTER = Provider(
    "openrouter",
    (
        chat_answer(
            {"reasoning": "Hm.", "reasoning_details": [{**DETAIL, "text": "Hm."}]},
            {"reasoning_details": [{**DETAIL, "signature": "c2ln"}]},
            CHAT_CALL,
        ),
        LAST,
    ),
    chat_rule(reasoning_details=[{**DETAIL, "text": "Hm.", "signature": "c2ln"}]),
)
MISTRAL = Provider(
    "mistral",
    (chat_answer({"content": [THINKING]}, CHAT_CALL), LAST),
    chat_rule(content=[THINKING]),
)


# --- Gemini: the signature of the call ------------------------------------------------------------


def gemini_answer(*parts: Body) -> bytes:
    content = {"role": "model", "parts": list(parts)}
    return sse({"candidates": [{"content": content, "finishReason": "STOP"}]})


SIGNED_CALL = {
    "functionCall": {"id": "call_1", "name": "add", "args": {}},
    "thoughtSignature": "c2ln",
}


def gemini_rule(body: Body) -> str | None:
    for turn in body["contents"]:
        if turn["role"] == "model" and SIGNED_CALL not in turn["parts"]:
            return f"Function call is missing a thought_signature: {turn}"
    return None


GEMINI = Provider(
    "gemini",
    (gemini_answer(SIGNED_CALL), gemini_answer({"text": "It is 3."})),
    gemini_rule,
    path="",
)

PROVIDERS = pytest.mark.parametrize(
    "provider",
    [ANTHROPIC, RESPONSES, DEEPSEEK, OPENROUTER, MISTRAL, GEMINI],
    ids=lambda provider: provider.kind,
)


async def converse(
    provider: Provider, address: str, options: StreamingOptions = OPTIONS
) -> list[Any]:
    """Ask, answer the calls and ask again, until there is nothing to run; give the history."""
    settings = ProviderSettings(kind=provider.kind, base_url=address + provider.path, api_key="k")
    messages: list[Any] = [{"role": "user", "content": "1 + 2?"}]
    async with SteerLLMClient(providers={"p": settings}) as client:
        for _ in provider.answers:
            response = await client.generate(
                messages, "m", provider="p", tools=[TOOL], streaming_options=options
            )
            messages.append(json.loads(json.dumps(response.to_message())))
            messages += [tool_result(call["id"], "3") for call in response.tool_calls]
    return messages


@PROVIDERS
async def test_the_loop_by_hand_goes_through(provider: Provider) -> None:
    async with rule_server(provider.answers, provider.rule) as address:
        messages = await converse(provider, address)

    assert messages[-1]["role"] == "assistant"
    assert messages[-1]["content"][-1]["type"] in {"text", "commentary"}
    assert len(messages) == 2 * len(provider.answers)


@PROVIDERS
async def test_a_history_of_calls_alone_is_refused_there(provider: Provider) -> None:
    """The servers do enforce their rules: what has no data of theirs does not pass."""
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        tool_result("call_1", "3"),
    ]
    async with rule_server(provider.answers, provider.rule) as address:
        settings = ProviderSettings(
            kind=provider.kind, base_url=address + provider.path, api_key="k"
        )
        async with SteerLLMClient(providers={"p": settings}) as client:
            with pytest.raises(InvalidRequestError):
                await client.generate(
                    history, "m", provider="p", tools=[TOOL], streaming_options=OPTIONS
                )


async def test_redaction_that_changes_nothing_keeps_the_loop_going() -> None:
    options = StreamingOptions(max_retries=0, text_transformers=[RedactTransformer("secret")])
    async with rule_server(ANTHROPIC.answers, ANTHROPIC.rule) as address:
        messages = await converse(ANTHROPIC, address, options)

    assert messages[-1]["content"][-1]["text"] == "It is 3."


async def test_reasoning_that_was_redacted_is_not_sent_back() -> None:
    options = StreamingOptions(max_retries=0, text_transformers=[RedactTransformer("First")])
    async with rule_server(ANTHROPIC.answers, lambda _body: None) as address:
        messages = await converse(ANTHROPIC, address, options)

    assert [part["type"] for part in messages[1]["content"]] == ["tool_call"]
    assert "First" not in json.dumps(messages)
    assert [part["type"] for part in messages[3]["content"]] == [
        "reasoning",
        "reasoning",
        "tool_call",
    ]


async def test_a_conversation_goes_on_with_another_provider() -> None:
    async with rule_server(ANTHROPIC.answers, ANTHROPIC.rule) as address:
        messages = await converse(ANTHROPIC, address)
    messages.append({"role": "user", "content": "Sure?"})
    seen: list[Body] = []

    def note(body: Body) -> None:
        seen.append(body)

    async with rule_server([LAST], note) as address:
        settings = ProviderSettings(kind="deepseek", base_url=address + "/v1", api_key="k")
        async with SteerLLMClient(providers={"p": settings}) as client:
            await client.generate(messages, "m", provider="p", streaming_options=OPTIONS)

    call, _result, again, _more, said = seen[0]["messages"][1:-1]
    assert (call["tool_calls"][0]["id"], again["tool_calls"][0]["id"]) == ("call_1", "call_2")
    assert said == {"role": "assistant", "content": "It is 3."}
    assert "c2ln" not in json.dumps(seen)
