"""How many tokens a prompt takes: estimated here, or counted by the provider."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk import (
    AuthenticationError,
    ConfigurationError,
    ProtocolError,
    RequestTimeoutError,
    ServerError,
    SteerLLMClient,
)
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.bulk import TokenCount
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import ManualClock
from support.every_format import settings_of

KEY = "sk-secret-key"
NO_RETRIES = StreamingOptions(max_retries=0)


class Answer:
    """One response that is a document."""

    def __init__(self, body: bytes, status: int = 200, *, stalls: bool = False) -> None:
        self.status = status
        self.headers = {"content-type": "application/json"}
        self.was_released = False
        self._body = body
        self._stalls = stalls
        self._aborted: asyncio.Future[bytes] | None = None

    async def read(self) -> bytes:
        if self._stalls:
            self._aborted = asyncio.get_running_loop().create_future()
            return await self._aborted
        body, self._body = self._body, b""
        return body

    def abort(self, error: SteerError) -> None:
        if self._aborted is not None and not self._aborted.done():
            self._aborted.set_exception(error)

    async def release(self) -> None:
        self.was_released = True


class Counter:
    """A transport whose answers are documents."""

    def __init__(self, *answers: Answer | SteerError) -> None:
        self.requests: list[HTTPRequest] = []
        self.answers = list(answers)

    async def open(self, request: HTTPRequest, *, connect_timeout: float | None) -> Answer:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, SteerError):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is open."""


def client_of(transport: Counter, **more: Any) -> SteerLLMClient:
    return SteerLLMClient(providers=settings_of(api_key=KEY), transport=transport, **more)


def look_up(word: str) -> str:
    """Look a word up."""
    return word


# --- estimated ---


async def test_an_estimate_asks_nobody_and_says_how_far_it_can_be_trusted() -> None:
    transport = Counter()
    async with client_of(transport) as client:
        short = await client.count_tokens("Hello there", "gpt-4o")
        long = await client.count_tokens("Hello there " * 100, "gpt-4o")
        other = await client.count_tokens("Hello there", "claude-haiku-4-5")

    assert transport.requests == []
    assert short == TokenCount(6, True, 0.79, "bpe")
    assert (int(long) > 200, long.tokens < 300) == (True, True)
    assert (other.method, other.confidence) == ("bpe-other-vendor", 0.65)


async def test_the_system_prompt_tools_and_the_schema_count() -> None:
    more: list[dict[str, Any]] = [
        {"system": "Be brief and kind, always."},
        {"tools": [look_up]},
        {"response_format": {"type": "object", "properties": {"a": {"type": "string"}}}},
    ]
    async with client_of(Counter()) as client:
        plain = await client.count_tokens("Hello there", "gpt-4o")
        counts = [await client.count_tokens("Hello there", "gpt-4o", **each) for each in more]

    assert all(count.tokens > plain.tokens + 5 for count in counts)


async def test_what_cannot_be_asked_cannot_be_counted() -> None:
    async with client_of(Counter()) as client:
        with pytest.raises(ConfigurationError, match="messages"):
            await client.count_tokens(7, "gpt-4o")
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            await client.count_tokens("Hi", "gpt-4o", mesages=1)  # type: ignore[call-arg]


# --- counted by the provider ---

CASES = {
    "anthropic": (
        "https://api.anthropic.com/v1/messages/count_tokens",
        {"input_tokens": 12},
        {"model", "messages", "system", "tools", "tool_choice"},
    ),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/m:countTokens",
        {"totalTokens": 12, "promptTokensDetails": []},
        {"generateContentRequest"},
    ),
    "openai-responses": (
        "https://api.openai.com/v1/responses/input_tokens",
        {"object": "response.input_tokens", "input_tokens": 12},
        {"model", "input", "instructions", "tools", "tool_choice"},
    ),
}


@pytest.mark.parametrize("provider", CASES)
async def test_a_provider_that_counts_is_asked(provider: str) -> None:
    url, answer, fields = CASES[provider]
    document = Answer(json.dumps(answer).encode())
    transport = Counter(document)

    async with client_of(transport) as client:
        count = await client.count_tokens(
            "Hello",
            f"{provider}:m",
            exact=True,
            system="Be brief.",
            tools=[look_up],
            tool_choice="look_up",
            top_p=0.5,
        )

    assert count == TokenCount(12, False, 1.0, "provider")
    (request,) = transport.requests
    body = json.loads(request.body)
    assert (request.url, set(body), document.was_released) == (url, fields, True)
    assert all(words in request.body.decode() for words in ("Hello", "Be brief.", "look_up"))


async def test_geminis_request_is_the_one_that_would_be_sent() -> None:
    transport = Counter(Answer(b'{"totalTokens": 3}'))
    async with client_of(transport) as client:
        await client.count_tokens("Hello", "gemini:tunedModels/mine", exact=True)

    (request,) = transport.requests
    assert request.url.endswith("/v1beta/tunedModels/mine:countTokens")
    assert json.loads(request.body)["generateContentRequest"] == {
        "model": "tunedModels/mine",
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
    }


@pytest.mark.parametrize("model", ["gpt-4o", "ollama:m"])
async def test_where_nobody_counts_that_is_said(model: str) -> None:
    transport = Counter()
    async with client_of(transport) as client:
        with pytest.raises(ConfigurationError, match="no endpoint that counts tokens"):
            await client.count_tokens("Hello", model, exact=True)
    assert transport.requests == []


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"no json", b'{"input_tokens": "many"}', b'{"input_tokens": -1}', b"["]
)
async def test_an_answer_that_is_no_number_is_named(body: bytes) -> None:
    async with client_of(Counter(Answer(body))) as client:
        with pytest.raises(ProtocolError, match=re.escape(f"a number of tokens, found {body!r}")):
            await client.count_tokens("Hello", "claude-x", exact=True)


async def test_an_answer_without_an_end_is_not_read_for_ever() -> None:
    class Endless(Answer):
        async def read(self) -> bytes:
            return b" " * 100_000

    document = Endless(b"")
    async with client_of(Counter(document)) as client:
        with pytest.raises(ProtocolError, match="found more than 262144 bytes"):
            await client.count_tokens("Hello", "claude-x", exact=True)
    assert document.was_released


async def test_an_error_of_the_provider_is_its_own_and_tells_no_key() -> None:
    told = b'{"type":"error","error":{"type":"authentication_error","message":"no %s"}}'
    transport = Counter(Answer(told % KEY.encode(), 401))
    async with client_of(transport) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.count_tokens("Hello", "claude-x", exact=True)

    assert KEY not in f"{caught.value} {caught.value.body}"
    assert len(transport.requests) == 1


async def moved(clock: ManualClock, work: Callable[[], Any]) -> Any:
    """Run work, and move the clock whenever all wait for it."""
    task = asyncio.ensure_future(work())
    while not task.done():
        await clock.advance(1.0)
    return task.result()


async def test_what_may_pass_is_tried_again() -> None:
    clock = ManualClock()
    transport = Counter(Answer(b"{}", 500), Answer(b"{}", 503), Answer(b'{"input_tokens": 5}'))
    async with client_of(transport, clock=clock) as client:
        count = await moved(clock, lambda: client.count_tokens("Hello", "claude-x", exact=True))

    assert (count.tokens, len(transport.requests)) == (5, 3)


async def test_what_does_not_pass_is_raised() -> None:
    transport = Counter(Answer(b"{}", 500))
    async with client_of(transport) as client:
        with pytest.raises(ServerError):
            await client.count_tokens("Hello", "claude-x", NO_RETRIES, exact=True)
    assert len(transport.requests) == 1


async def test_a_count_that_does_not_come_runs_into_its_limit() -> None:
    clock = ManualClock()
    options = StreamingOptions(max_retries=0, first_event_timeout=5)
    document = Answer(b"", stalls=True)
    async with client_of(Counter(document), clock=clock) as client:
        with pytest.raises(RequestTimeoutError, match="first_event_timeout"):
            await moved(
                clock, lambda: client.count_tokens("Hello", "claude-x", options, exact=True)
            )
    assert document.was_released
