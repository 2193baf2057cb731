"""What a response that is no stream says, and where a resumed answer meets the first."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.engine.exchange import Overlap, is_stream_type, not_a_stream
from steer_llm_sdk.errors import (
    IncompleteStreamError,
    NotFoundError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    QuotaExceededError,
    SteerError,
)
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Finish,
    Fragment,
    Identity,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import ErrorAnswer, WireFormat
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format
from steer_llm_sdk.testing import HTTPError, LoopbackServer
from support import every_format
from support.planted import Playing
from support.planted import read as read_planted

FORMATS = (*every_format.FORMATS, "mistral")


def format_of(name: str) -> WireFormat:
    return wire_format(PROVIDERS[name])


def answer(body: bytes, status: int = 200) -> ErrorAnswer:
    return ErrorAnswer("test", status, {"x-request-id": "r1"}, body)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (204, b"", "an empty body"),
        (206, b"<html><title>Sign in</title>", "an HTML page: Sign in"),
        (200, b'{"ok": true}', "a JSON document"),
        (200, b"[1, 2]", "a JSON document"),
        (200, b"plain words", "plain words"),
    ],
)
def test_a_success_without_a_stream_says_what_came_instead(
    name: str, status: int, body: bytes, found: str
) -> None:
    error = not_a_stream(format_of(name), answer(body, status))

    assert type(error) is ProviderError
    assert str(error) == f"test ({status}): expected a stream, found {found}; check the base URL"
    assert (error.status, error.provider, error.request_id) == (status, "test", "r1")
    assert error.body == format_of(name).read_error(answer(body, status)).body
    assert bool(error.body) is bool(body)
    assert not error.is_retryable


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai", b'{"error": {"code": "engine_overloaded", "message": "later"}}'),
        ("openai-responses", b'{"error": {"code": "server_is_overloaded", "message": "later"}}'),
        ("anthropic", b'{"error": {"type": "overloaded_error", "message": "later"}}'),
        ("gemini", b'[{"error": {"code": 503, "status": "UNAVAILABLE", "message": "later"}}]'),
        ("mistral", b'{"object": "error", "message": "x", "type": "service_unavailable"}'),
    ],
)
def test_an_error_under_a_success_is_that_error(name: str, body: bytes) -> None:
    assert isinstance(not_a_stream(format_of(name), answer(body)), OverloadedError)


def test_an_error_without_a_code_is_known_by_its_words() -> None:
    body = b'{"error": {"message": "You exceeded your current quota"}}'

    assert type(not_a_stream(format_of("openai"), answer(body))) is QuotaExceededError


def test_an_error_with_a_code_of_its_own_is_told_as_it_is() -> None:
    error = not_a_stream(
        format_of("openai"), answer(b'{"error": {"code": "odd", "message": "as never before"}}')
    )

    assert (type(error), error.code) == (ProviderError, "odd")
    assert "as never before" in str(error)
    assert "expected a stream" not in str(error)


def test_a_long_document_is_shown_in_its_beginning() -> None:
    error = not_a_stream(format_of("openai"), answer(b"word " * 1_000))

    assert len(str(error)) < 200
    assert "word …" in str(error) or "wo…" in str(error)


@pytest.mark.parametrize(
    ("content_type", "is_stream"),
    [
        ("text/event-stream", True),
        ("text/event-stream; charset=utf-8", True),
        ("Text/Event-Stream", True),
        ("application/x-ndjson", True),
        ("text/html", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_a_stream_is_known_by_its_content_type(content_type: str, is_stream: bool) -> None:
    assert is_stream_type({"content-type": content_type}) == is_stream
    assert not is_stream_type({})


STREAM_TYPES = {
    "openai": "text/event-stream",
    "openai-responses": "text/event-stream",
    "anthropic": "text/event-stream; charset=utf-8",
    "gemini": "text/event-stream",
    "mistral": "text/event-stream",
    "ollama": "application/x-ndjson",
}
PAGE = (
    b"<!DOCTYPE html>\n<html>\n<head><title>Sign in</title></head>\n\n<body>data: no</body></html>"
)


@pytest.mark.parametrize("name", STREAM_TYPES)
@pytest.mark.parametrize("announced", [None, "text/html", "text/plain", "application/json", ""])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PAGE, "an HTML page: Sign in"),
        (b"upstream connect error or disconnect/reset before headers", "upstream connect error"),
        (b"identity provider is not available", "identity provider is not"),
        (b"event loop is closed", "event loop is closed"),
        (b"retry later\n\nor never", "retry later or never"),
    ],
)
async def test_a_page_or_a_sentence_is_named_under_whatever_type(
    name: str, announced: str | None, body: bytes, said: str
) -> None:
    content_type = STREAM_TYPES[name] if announced is None else announced
    transport = Playing([body[:20], body[20:]], content_type=content_type)

    result = await read_planted(transport, name, StreamingOptions(max_retries=0))

    error = result.response.error
    assert type(error) is ProviderError
    assert not error.is_retryable
    assert "expected a stream, found" in str(error)
    assert said in str(error)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "silence", [b": keep-alive\n\n" * 600, b"\r\n: wait\r\n\r\n", b"\xef\xbb\xbf"]
)
async def test_a_page_is_named_behind_signs_of_life(silence: bytes, size: int) -> None:
    body = silence + PAGE
    transport = Playing([body[at : at + size] for at in range(0, len(body), size)])

    result = await read_planted(transport, "openai", StreamingOptions(max_retries=0))

    assert "found an HTML page: Sign in" in str(result.response.error)


@pytest.mark.parametrize(
    "body",
    [b"d", b"data", b"event: mess", b"da", b": comment", b"\xef\xbb\xbfdata: {", b": a\n: b"],
)
async def test_a_stream_that_was_cut_in_its_first_line_is_a_cut_stream(body: bytes) -> None:
    transport = Playing([body])

    result = await read_planted(transport, "openai", StreamingOptions(max_retries=0))

    assert type(result.response.error) is IncompleteStreamError


async def test_a_stream_of_another_format_is_named_and_not_asked_for_again() -> None:
    body = b'event: response.created\ndata: {"type": "response.created", "response": {}}\n\n'
    transport = Playing([body])

    result = await read_planted(transport, "openai", StreamingOptions(max_retries=2))

    error = result.response.error
    assert type(error) is ProtocolError
    assert "in the format 'openai-chat', found one of OpenAI's Responses API" in str(error)
    assert "retries" not in result.response.metadata


def passed(overlap: Overlap, *fragments: Fragment) -> list[Fragment]:
    """What comes through, each fragment in a read of its own."""
    return list(itertools.chain.from_iterable(overlap.pass_through([each]) for each in fragments))


def text_of(fragments: list[Fragment]) -> str:
    return "".join(each for each in fragments if isinstance(each, str))


@pytest.mark.parametrize("size", range(1, 12))
def test_an_echo_is_taken_away_however_it_is_cut(size: int) -> None:
    whole = "no no Grüße, 世界"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    assert text_of(passed(Overlap("no no "), *pieces)) == "Grüße, 世界"


@pytest.mark.parametrize("size", range(1, 12))
def test_a_server_that_does_not_echo_loses_nothing(size: int) -> None:
    whole = "no, Grüße"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    assert text_of(passed(Overlap("no no "), *pieces)) == whole


def test_what_only_began_like_the_echo_ends_the_search_for_it() -> None:
    """The model calls a tool in between, and then writes words that it had written before."""
    call = ToolCallPiece(0, id="c", name="f", arguments="{}")

    assert text_of(passed(Overlap("no no "), "no", call, "no no more")) == "nono no more"


def test_an_echo_is_taken_away_once() -> None:
    assert text_of(passed(Overlap("no "), "no ", "no ", "no")) == "no no"


def test_words_that_begin_like_the_echo_are_let_through_when_the_answer_is_finished() -> None:
    finish = Finish("stop", "stop")

    assert passed(Overlap("no no "), "no", finish, End()) == ["no", finish, End()]


@pytest.mark.parametrize(
    "aside", [Identity("r1", "m"), Usage({}, {}), Extras({"a": 1})], ids=["id", "usage", "extras"]
)
def test_what_is_said_beside_the_answer_does_not_end_the_echo(aside: Fragment) -> None:
    assert passed(Overlap("no no"), "no", aside, " no", aside, "!") == [aside, aside, "!"]


def test_a_body_that_is_cut_in_the_echo_brings_nothing() -> None:
    assert passed(Overlap("no no"), "no", " ") == []


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        (["two"], "two"),
        ([" \n two"], "two"),
        ([" ", "\n", " ", "two"], "two"),
        ([" \n", "two"], "two"),
        ([" \n  two"], " two"),
        (["\n two"], "\n two"),
        ([" ", "two", " \n "], "two \n "),
        (["two", " \n "], "two \n "),
        ([" two", "\n "], "two\n "),
    ],
)
def test_as_much_of_the_trimmed_white_space_as_comes_is_taken_away(
    pieces: list[str], kept: str
) -> None:
    assert text_of(passed(Overlap(trimmed=" \n "), *pieces)) == kept


# --- what a refusal says ------------------------------------------------------------------------


async def refusal(
    path: str,
    *faults: Any,
    options: StreamingOptions | None = None,
    model: str = "openai:gpt-4o",
    **settings: Any,
) -> SteerError:
    """The error that a call ends in, at a server that refuses it."""
    async with LoopbackServer(*faults) as server:
        address = f"{server.url}{path}"
        found = ProviderSettings(base_url=address, api_key="sk-12345678", **settings)
        async with SteerLLMClient(providers={model.partition(":")[0]: found}) as client:
            with pytest.raises(SteerError) as caught:
                await client.generate(
                    "Hi", model, streaming_options=options or StreamingOptions(max_retries=0)
                )
    return caught.value


async def test_a_place_that_does_not_exist_is_named_as_it_was_asked() -> None:
    error = await refusal("/v1?key=sk-12345678&api-version=1", HTTPError(404))

    assert isinstance(error, NotFoundError)
    assert re.search(r"\(asked was http://127\.0\.0\.1:\d+/v1/chat/completions\)$", str(error))
    assert "sk-12345678" not in str(error)


async def test_a_base_url_without_its_version_is_told_where_most_servers_are() -> None:
    error = await refusal("", HTTPError(404))

    assert "most servers have it under /v1: does the base URL end in it?" in str(error)
    assert "most servers" not in str(await refusal("/v1", HTTPError(404)))


@pytest.mark.parametrize(
    ("path", "model", "added"),
    [
        ("/v1/chat/completions", "openai:m", "/chat/completions"),
        ("/v1", "anthropic:m", "/v1/messages"),
        ("/v1/messages", "anthropic:m", "/v1/messages"),
        ("/v1beta", "gemini:m", "/v1beta/models/m:streamGenerateContent"),
        ("/v1", "ollama:m", "/api/chat"),
        ("/api/", "ollama:m", "/api/chat"),
        ("/v1", "cohere:m", "/v2/chat"),
    ],
)
async def test_a_base_url_with_what_is_added_to_it_is_told_so(
    path: str, model: str, added: str
) -> None:
    error = await refusal(path, HTTPError(404), model=model)

    assert f"; {added} was added to the base URL: does that end in too much?)" in str(error)


@pytest.mark.parametrize(
    ("path", "model"),
    [("/v1", "openai:m"), ("/gateway", "anthropic:m"), ("", "ollama:m"), ("/api", "cohere:m")],
)
async def test_a_base_url_that_may_be_right_is_not_doubted(path: str, model: str) -> None:
    assert "too much" not in str(await refusal(path, HTTPError(404), model=model))


async def test_other_refusals_do_not_speak_of_the_address() -> None:
    assert "asked was" not in str(await refusal("/v1", HTTPError(400)))


@pytest.mark.parametrize(
    ("status", "told", "requests"),
    [
        (429, "false", 1),
        (500, " False ", 1),
        (400, "true", 2),
        (401, "TRUE", 2),
        (429, "perhaps", 2),
        (400, "", 1),
    ],
)
async def test_a_server_that_says_whether_to_try_again_is_obeyed(
    status: int, told: str, requests: int
) -> None:
    refused = HTTPError(status, headers={"x-should-retry": told})
    async with LoopbackServer(refused) as server:
        settings = ProviderSettings(base_url=server.base_url())
        async with SteerLLMClient(providers={"openai": settings}) as client:
            with pytest.raises(ProviderError) as caught:
                await client.generate(
                    "Hi",
                    "gpt-4o",
                    streaming_options=StreamingOptions(max_retries=1, max_retry_wait=0),
                )

    assert len(server.requests) == requests
    assert caught.value.is_retryable == (requests == 2)


async def test_the_wait_that_a_header_asks_for_counts_before_that_of_the_body() -> None:
    body = (
        b'{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slowly", "details": '
        b'[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]}}'
    )
    found = []
    for headers in ({"retry-after": "3"}, {"retry-after": "0"}, {}):
        async with LoopbackServer(HTTPError(429, headers=headers, body=body)) as server:
            settings = ProviderSettings(base_url=server.base_url("gemini"), api_key="k")
            async with SteerLLMClient(providers={"gemini": settings}) as client:
                with pytest.raises(ProviderError) as caught:
                    await client.generate(
                        "Hi", "gemini-x", streaming_options=StreamingOptions(max_retries=0)
                    )
        found.append(caught.value.retry_after)

    assert found == [3.0, 0.0, 7.0]
