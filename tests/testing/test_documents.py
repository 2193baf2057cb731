"""A request that asks for no stream is answered with one JSON document, in every wire format."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import types

from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.testing import (
    CutAt,
    Delay,
    Drip,
    EndEarly,
    ErrorInStream,
    Fault,
    Gzip,
    HTTPError,
    KeepAlives,
    LoopbackServer,
    ManualClock,
    Pace,
    RecordedRequest,
    Reset,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
)
from steer_llm_sdk.testing.formats import FORMATS
from support.raw_http import PATHS, RawClient

WEATHER = ScriptedToolCall("weather", ['{"city":', ' "Paris"}'], id="call_w")
WHOLE = Script(
    ["Hello", " wörld"],
    reasoning=["Let me", " think."],
    tool_calls=[WEATHER],
    usage=(20, 9),
    cached_tokens=5,
    reasoning_tokens=2,
)
# How a request of each format asks for no stream.
UNSTREAMED: dict[str, tuple[str, Any]] = {
    "openai": (PATHS["openai"], {"model": "m"}),
    "openai-responses": (PATHS["openai-responses"], {"model": "m", "stream": False}),
    "anthropic": (PATHS["anthropic"], {"model": "m", "stream": None}),
    "gemini": ("/v1beta/models/gemini-2.5-flash:generateContent", {}),
    "ollama": (PATHS["ollama"], {"model": "m", "stream": False}),
    "cohere": (PATHS["cohere"], {"model": "m"}),
    "gemini-interactions": (PATHS["gemini-interactions"], {"model": "m"}),
    "bedrock": ("/model/amazon.nova-lite-v1%3A0/converse", {}),
    "bedrock-anthropic": ("/model/anthropic.claude-sonnet-4-5/invoke", {}),
}


# --- the official SDKs read it ------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, openai.omit])
async def test_the_openai_sdk_reads_a_chat_completion(stream: Any) -> None:
    async with (
        LoopbackServer(WHOLE) as server,
        openai.AsyncOpenAI(api_key="x", base_url=server.base_url("openai")) as client,
    ):
        answer = await client.chat.completions.create(model="gpt-x", messages=[], stream=stream)

    (choice,) = answer.choices
    assert (answer.object, answer.model, choice.index) == ("chat.completion", "gpt-x", 0)
    assert choice.message.content == "Hello wörld"
    assert choice.message.model_extra == {"reasoning_content": "Let me think."}
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert (call.id, call.function.name) == ("call_w", "weather")
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (20, 9)


async def test_the_openai_sdk_reads_a_response() -> None:
    base_url = LoopbackServer.base_url
    async with (
        LoopbackServer(WHOLE) as server,
        openai.AsyncOpenAI(api_key="x", base_url=base_url(server)) as client,
    ):
        answer = await client.responses.create(model="gpt-x", input="hi")

    reasoning, _, call = answer.output
    assert reasoning.type == "reasoning"
    assert reasoning.summary[0].text == "Let me think."
    assert (answer.status, answer.output_text) == ("completed", "Hello wörld")
    assert call.type == "function_call"
    assert (call.call_id, call.arguments) == ("call_w", '{"city": "Paris"}')
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens == 2


async def test_the_anthropic_sdk_reads_a_message() -> None:
    async with (
        LoopbackServer(WHOLE) as server,
        anthropic.AsyncAnthropic(api_key="x", base_url=server.base_url("anthropic")) as client,
    ):
        answer = await client.messages.create(
            model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )

    thinking, text, tool = answer.content
    assert thinking.type == "thinking"
    assert (thinking.thinking, bool(thinking.signature)) == ("Let me think.", True)
    assert text.type == "text"
    assert text.text == "Hello wörld"
    assert tool.type == "tool_use"
    assert (tool.id, tool.input) == ("call_w", {"city": "Paris"})
    assert answer.stop_reason == "tool_use"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (15, 9)


def test_the_google_sdk_reads_a_response() -> None:
    with LoopbackServer(WHOLE).in_thread() as server:
        options = types.HttpOptions(base_url=server.base_url("gemini"))
        with genai.Client(api_key="x", http_options=options) as client:
            answer = client.models.generate_content(model="gemini-2.5-flash", contents="hi")

    assert answer.candidates is not None
    content = answer.candidates[0].content
    assert content is not None
    assert content.parts is not None
    thought, text, call = content.parts
    assert (thought.thought, thought.text) == (True, "Let me think.")
    assert text.text == "Hello wörld"
    assert call.function_call is not None
    assert (call.function_call.name, call.function_call.args) == ("weather", {"city": "Paris"})
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 29


async def test_the_ollama_sdk_reads_a_chat() -> None:
    async with LoopbackServer(WHOLE) as server:
        client = ollama.AsyncClient(host=server.base_url("ollama"))
        answer = await client.chat(model="llama-x", messages=[], stream=False)
        await client._client.aclose()

    message = answer.message
    assert (message.content, message.thinking) == ("Hello wörld", "Let me think.")
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == {"city": "Paris"}
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert (answer.prompt_eval_count, answer.eval_count) == (20, 9)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script([], refusal=["I", " won't."], finish="refusal"), (None, "I won't.", "stop")),
        (Script(["x"], finish="length"), ("x", None, "length")),
        (Script(["x"], finish="content_filter"), ("x", None, "content_filter")),
    ],
)
async def test_refusals_and_finish_reasons_are_in_it(script: Script, expected: object) -> None:
    async with (
        LoopbackServer(script) as server,
        openai.AsyncOpenAI(api_key="x", base_url=server.base_url("openai")) as client,
    ):
        (choice,) = (await client.chat.completions.create(model="m", messages=[])).choices

    assert (choice.message.content, choice.message.refusal, choice.finish_reason) == expected


async def test_a_cut_response_is_incomplete() -> None:
    async with (
        LoopbackServer(Script(["x"], finish="length")) as server,
        openai.AsyncOpenAI(api_key="x", base_url=server.base_url()) as client,
    ):
        answer = await client.responses.create(model="m", input="hi")

    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


# --- when it is sent ----------------------------------------------------------------------------


def asked(wire: str) -> RecordedRequest:
    path, body = UNSTREAMED[wire]
    return RecordedRequest("POST", path, json=body)


async def answer_of(wire: str, *faults: Fault, script: Script = WHOLE) -> tuple[str, str, bytes]:
    """The status line, the content type and the body that a raw client gets."""
    spoilt = Script(script.deltas, script.reasoning, faults=faults)
    async with LoopbackServer(spoilt) as server, RawClient(server) as raw:
        raw.ask(*UNSTREAMED[wire])
        status, headers, body = await raw.answer()
    return status, headers["content-type"], body


@pytest.mark.parametrize("wire", UNSTREAMED)
async def test_it_is_one_document_of_json(wire: str) -> None:
    status, content_type, body = await answer_of(wire)

    assert (status, content_type) == ("HTTP/1.1 200 OK", "application/json")
    said = json.loads(body)
    assert isinstance(said, dict)
    assert "Hello wörld" in body.decode()


@pytest.mark.parametrize("wire", UNSTREAMED)
async def test_a_request_that_asks_for_a_stream_still_gets_one(wire: str) -> None:
    async with LoopbackServer(WHOLE) as server, RawClient(server) as raw:
        raw.ask(PATHS[wire])
        _, headers, body = await raw.answer()

    assert headers["content-type"] == FORMATS[wire].content_type
    assert "Hello wörld".encode() not in body.splitlines()[0]


async def test_ollama_streams_unless_it_is_told_not_to() -> None:
    async with LoopbackServer(WHOLE) as server, RawClient(server) as raw:
        raw.ask(PATHS["ollama"], {"model": "m"})
        _, headers, _ = await raw.answer()

    assert headers["content-type"] == "application/x-ndjson"


async def test_a_scripted_provider_sends_it_too() -> None:
    path, body = UNSTREAMED["anthropic"]
    request = HTTPRequest(f"https://api.test{path}", json.dumps(body).encode(), {})

    response = await ScriptedProvider(WHOLE).open(request, connect_timeout=None)
    read = b"".join([piece async for piece in pieces_of(response)])

    assert response.headers["content-type"] == "application/json"
    assert json.loads(read)["type"] == "message"


async def pieces_of(response: Any) -> Any:
    while piece := await response.read():
        yield piece


# --- what goes wrong with it --------------------------------------------------------------------


@pytest.mark.parametrize("wire", UNSTREAMED)
def test_it_has_a_piece_for_each_delta_of_the_stream(wire: str) -> None:
    script = Script(["a", "b", "c"], reasoning=["d"])
    spelling, request = FORMATS[wire], asked(wire)

    pieces = spelling.document_pieces(script, request)

    assert [piece.is_delta for piece in pieces] == [True] * 4
    assert all(piece.data for piece in pieces)
    assert json.loads(b"".join(p.data for p in pieces)) == spelling.document(script, request)


@pytest.mark.parametrize("wire", UNSTREAMED)
def test_one_of_more_deltas_than_json_tokens_is_whole(wire: str) -> None:
    script = Script(["x"] * 500)
    spelling, request = FORMATS[wire], asked(wire)

    pieces = spelling.document_pieces(script, request)

    assert json.loads(b"".join(p.data for p in pieces)) == spelling.document(script, request)


@pytest.mark.parametrize("wire", UNSTREAMED)
@pytest.mark.parametrize("after", [0, 1, 3])
async def test_keep_alives_leave_it_json(wire: str, after: int) -> None:
    _, _, whole = await answer_of(wire)
    _, _, body = await answer_of(wire, KeepAlives(after, 0, 3))

    assert body.count(b"\n") == 3
    assert json.loads(body) == json.loads(whole)


@pytest.mark.parametrize("wire", UNSTREAMED)
async def test_an_error_in_it_is_the_responses_own(wire: str) -> None:
    status, _, body = await answer_of(wire, ErrorInStream(1, "rate_limit", "too much"))

    assert status == "HTTP/1.1 429 Too Many Requests"
    assert "too much" in json.dumps(json.loads(body))
    same = await answer_of(wire, HTTPError(429, message="too much"))
    assert (status, body) == (same[0], same[2])


@pytest.mark.parametrize("fault", [Gzip(), Drip(7), CutAt((1, 2, 50))])
async def test_cuts_and_compression_change_nothing(fault: Fault) -> None:
    async with (
        LoopbackServer(Script(["Hi"], faults=[fault])) as server,
        openai.AsyncOpenAI(api_key="x", base_url=server.base_url()) as client,
    ):
        answer = await client.chat.completions.create(model="m", messages=[])

    assert answer.choices[0].message.content == "Hi"


@pytest.mark.parametrize("wire", UNSTREAMED)
async def test_it_may_end_early(wire: str) -> None:
    _, _, whole = await answer_of(wire)
    _, _, cut = await answer_of(wire, EndEarly(2))

    assert whole.startswith(cut)
    assert 0 < len(cut) < len(whole)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(cut)


async def test_it_may_break_off() -> None:
    path, body = UNSTREAMED["openai"]
    request = HTTPRequest(f"https://api.test{path}", json.dumps(body).encode(), {})
    provider = ScriptedProvider(Script(["a", "b"], faults=[Reset(1)]))

    response = await provider.open(request, connect_timeout=None)
    assert await response.read()
    with pytest.raises(ConnectionLostError):
        await response.read()


@pytest.mark.parametrize("fault", [Pace(1), Delay(2, after=1)])
async def test_it_may_come_slowly(fault: Fault) -> None:
    clock = ManualClock()
    script = Script(["a", "b"], faults=[fault])
    async with (
        LoopbackServer(script, clock=clock) as server,
        openai.AsyncOpenAI(api_key="x", base_url=server.base_url(), max_retries=0) as client,
    ):
        asking = asyncio.create_task(client.chat.completions.create(model="m", messages=[]))
        await clock.until_sleeping()
        await clock.advance(1)
        assert not asking.done()
        await clock.until_sleeping()
        await clock.advance(1)
        answer = await asking

    assert answer.choices[0].message.content == "ab"
