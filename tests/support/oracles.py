"""Every official SDK asks a server, and says what it was told."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import anthropic
import botocore.session
import cohere
import ollama
import openai
from anthropic.types import Message
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from cohere.core.api_error import ApiError as CohereError
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from google.genai._interactions_errors import APIError as InteractionsError

from steer_llm_sdk.testing import LoopbackServer

MODEL = "model-x"

# What an SDK raises where an answer fails.
ERRORS = (
    openai.APIError,
    anthropic.APIError,
    genai_errors.APIError,
    InteractionsError,
    CohereError,
    ollama.ResponseError,
    ClientError,
    EventStreamError,
)

_QUESTION: list[Any] = [{"role": "user", "content": "Hi"}]


@dataclass(frozen=True)
class Told:
    """What a client tells of an answer."""

    text: str
    calls: list[tuple[str, str, Any]]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    was_cut: bool


@dataclass
class Heard:
    """What the events of an answer add up to, where an SDK does not do it."""

    text: str = ""
    calls: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)
    finish: str = ""

    def begin_call(self, index: int, call_id: str, name: str) -> None:
        self.calls[index] = call_id, name, ""

    def add_arguments(self, index: int, piece: str) -> None:
        call_id, name, written = self.calls[index]
        self.calls[index] = call_id, name, written + piece

    def told(self, prompt: int, completion: int, cached: int, cut: str) -> Told:
        calls = [(c[0], c[1], json.loads(c[2])) for _, c in sorted(self.calls.items())]
        return Told(self.text, calls, prompt, completion, cached, self.finish == cut)


# --- OpenAI -----------------------------------------------------------------------------------


async def ask_openai_chat(server: LoopbackServer) -> Told:
    async with (
        openai.AsyncOpenAI(
            api_key="x", base_url=server.base_url("openai"), max_retries=0
        ) as client,
        client.chat.completions.stream(
            model=MODEL, messages=_QUESTION, stream_options={"include_usage": True}
        ) as stream,
    ):
        # Not `get_final_completion`: it raises for an answer that was cut.
        async for _ in stream:
            pass
        final = stream.current_completion_snapshot
    message, usage = final.choices[0].message, final.usage
    assert usage is not None
    details = usage.prompt_tokens_details
    return Told(
        message.content or "",
        [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in message.tool_calls or ()
        ],
        usage.prompt_tokens,
        usage.completion_tokens,
        (details and details.cached_tokens) or 0,
        final.choices[0].finish_reason == "length",
    )


async def ask_openai_responses(server: LoopbackServer) -> Told:
    base_url = server.base_url("openai-responses")
    async with openai.AsyncOpenAI(api_key="x", base_url=base_url, max_retries=0) as client:
        stream = await client.responses.create(model=MODEL, input="Hi", stream=True)
        ends = [
            event.response
            async for event in stream
            if event.type in {"response.completed", "response.incomplete"}
        ]
    (final,) = ends
    assert final.usage is not None
    return Told(
        final.output_text,
        [
            (item.call_id, item.name, json.loads(item.arguments))
            for item in final.output
            if item.type == "function_call"
        ],
        final.usage.input_tokens,
        final.usage.output_tokens,
        final.usage.input_tokens_details.cached_tokens,
        final.status == "incomplete",
    )


# --- Anthropic, and as Amazon serves it -------------------------------------------------------


async def ask_anthropic(server: LoopbackServer) -> Told:
    base_url = server.base_url("anthropic")
    client = anthropic.AsyncAnthropic(api_key="x", base_url=base_url, max_retries=0)
    return await _ask_messages(client)


async def ask_bedrock_anthropic(server: LoopbackServer) -> Told:
    base_url = server.base_url("bedrock-anthropic")
    client = anthropic.AsyncAnthropicBedrock(
        api_key="k", aws_region="us-east-1", base_url=base_url, max_retries=0
    )
    return await _ask_messages(client)


async def _ask_messages(
    asking: anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock,
) -> Told:
    async with (
        asking as client,
        client.messages.stream(model=MODEL, max_tokens=99, messages=_QUESTION) as stream,
    ):
        return _told_by(await stream.get_final_message())


def _told_by(final: Message) -> Told:
    cached = final.usage.cache_read_input_tokens or 0
    written = final.usage.cache_creation_input_tokens or 0
    return Told(
        "".join(block.text for block in final.content if block.type == "text"),
        [
            (block.id, block.name, block.input)
            for block in final.content
            if block.type == "tool_use"
        ],
        # Anthropic's `input_tokens` leave out what the cache gave and took.
        final.usage.input_tokens + cached + written,
        final.usage.output_tokens,
        cached,
        final.stop_reason == "max_tokens",
    )


# --- Google -----------------------------------------------------------------------------------


def google_client(server: LoopbackServer) -> genai.Client:
    options = types.HttpOptions(base_url=server.base_url("gemini"))
    return genai.Client(api_key="x", http_options=options)


def _ask_gemini(server: LoopbackServer) -> Told:
    heard = Heard()
    usage = types.GenerateContentResponseUsageMetadata()
    with google_client(server) as client:
        for chunk in client.models.generate_content_stream(model=MODEL, contents="Hi"):
            usage = chunk.usage_metadata or usage
            for candidate in chunk.candidates or ():
                heard.finish = candidate.finish_reason or heard.finish
            for part in chunk.parts or ():
                _hear(heard, part)
    thoughts = usage.thoughts_token_count or 0
    return heard.told(
        usage.prompt_token_count or 0,
        (usage.candidates_token_count or 0) + thoughts,
        usage.cached_content_token_count or 0,
        "MAX_TOKENS",
    )


def _hear(heard: Heard, part: types.Part) -> None:
    heard.text += part.text if part.text and not part.thought else ""
    if call := part.function_call:
        at = len(heard.calls)
        heard.calls[at] = call.id or "", call.name or "", json.dumps(call.args)


def _ask_interactions(server: LoopbackServer) -> Told:
    heard = Heard()
    with google_client(server) as client:
        asked: Any = client.interactions.create(model=MODEL, input="Hi", stream=True)
        with asked as stream:
            for event in stream:
                _hear_step(heard, event)
    usage: Any = heard.usage
    return heard.told(
        usage.total_input_tokens,
        usage.total_output_tokens + (usage.total_thought_tokens or 0),
        usage.total_cached_tokens or 0,
        "incomplete",
    )


def _hear_step(heard: Heard, event: Any) -> None:
    kind = event.event_type
    if kind == "step.start" and event.step.type == "function_call":
        heard.begin_call(event.index, event.step.id, event.step.name)
    elif kind == "step.delta" and event.delta.type == "text":
        heard.text += event.delta.text
    elif kind == "step.delta" and event.delta.type == "arguments_delta":
        heard.add_arguments(event.index, event.delta.arguments)
    elif kind == "interaction.completed":
        heard.usage, heard.finish = event.interaction.usage, event.interaction.status
    elif kind == "error":
        raise genai_errors.APIError(500, {"error": {"message": str(event.error.message)}})


# --- the others -------------------------------------------------------------------------------


async def ask_ollama(server: LoopbackServer) -> Told:
    client = ollama.AsyncClient(host=server.base_url("ollama"))
    heard = Heard()
    try:
        async for part in await client.chat(model=MODEL, messages=_QUESTION, stream=True):
            heard.text += part.message.content or ""
            for call in part.message.tool_calls or ():
                at = len(heard.calls)
                heard.calls[at] = "", call.function.name, json.dumps(call.function.arguments)
            heard.finish = part.done_reason or heard.finish
    finally:
        await client._client.aclose()
    return heard.told(part.prompt_eval_count or 0, part.eval_count or 0, 0, "length")


def _ask_cohere(server: LoopbackServer) -> Told:
    heard = Heard()
    asking: Any = cohere.ClientV2(api_key="k", base_url=server.base_url("cohere"))
    with asking as client:
        for event in client.chat_stream(model=MODEL, messages=_QUESTION):
            _hear_cohere(heard, event)
    usage: Any = heard.usage
    cached, tokens = int(usage.cached_tokens or 0), usage.tokens
    return heard.told(int(tokens.input_tokens), int(tokens.output_tokens), cached, "MAX_TOKENS")


def _hear_cohere(heard: Heard, event: Any) -> None:
    message: Any = getattr(getattr(event, "delta", None), "message", None)
    if event.type == "content-delta":
        heard.text += message.content.text or ""
    elif event.type == "tool-call-start":
        call = message.tool_calls
        heard.begin_call(event.index, call.id, call.function.name)
    elif event.type == "tool-call-delta":
        heard.add_arguments(event.index, message.tool_calls.function.arguments)
    elif event.type == "message-end":
        heard.finish, heard.usage = event.delta.finish_reason, event.delta.usage
        if event.delta.error:
            raise CohereError(body=event.delta.error)


@functools.cache
def _session() -> botocore.session.Session:
    """A session of botocore's: it reads its models of the services once."""
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "the-secret")
    return session


def bedrock_client(server: LoopbackServer) -> Any:
    """A client of botocore's that asks a server, and asks once."""
    config = Config(retries={"max_attempts": 0}, region_name="us-east-1")
    return _session().create_client("bedrock-runtime", endpoint_url=server.url, config=config)


def _ask_bedrock(server: LoopbackServer) -> Told:
    heard = Heard()
    question = [{"role": "user", "content": [{"text": "Hi"}]}]
    with closing(bedrock_client(server)) as client:
        answer = client.converse_stream(modelId=MODEL, messages=question)
        with closing(answer["stream"]) as stream:
            for event in stream:
                _hear_event(heard, event)
    usage = heard.usage
    cached, written = usage["cacheReadInputTokens"], usage["cacheWriteInputTokens"]
    prompt = usage["inputTokens"] + cached + written
    return heard.told(prompt, usage["outputTokens"], cached, "max_tokens")


def _hear_event(heard: Heard, event: Mapping[str, Any]) -> None:
    ((kind, said),) = event.items()
    if kind == "contentBlockStart":
        use = said["start"]["toolUse"]
        heard.begin_call(said["contentBlockIndex"], use["toolUseId"], use["name"])
    elif kind == "contentBlockDelta":
        heard.text += said["delta"].get("text", "")
        if use := said["delta"].get("toolUse"):
            heard.add_arguments(said["contentBlockIndex"], use["input"])
    elif kind == "messageStop":
        heard.finish = said["stopReason"]
    elif kind == "metadata":
        heard.usage = said["usage"]


Ask = Callable[[LoopbackServer], Awaitable[Told]]


def _in_thread(ask: Callable[[LoopbackServer], Told]) -> Ask:
    async def ask_in_thread(server: LoopbackServer) -> Told:
        return await asyncio.to_thread(ask, server)

    return ask_in_thread


ORACLES: Mapping[str, Ask] = {
    "openai": ask_openai_chat,
    "openai-responses": ask_openai_responses,
    "anthropic": ask_anthropic,
    "gemini": _in_thread(_ask_gemini),
    "ollama": ask_ollama,
    "cohere": _in_thread(_ask_cohere),
    "gemini-interactions": _in_thread(_ask_interactions),
    "bedrock": _in_thread(_ask_bedrock),
    "bedrock-anthropic": ask_bedrock_anthropic,
}
