"""The headers of an answer: what is told of them, and what is not."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from typing import Any

import pytest

from steer_llm_sdk import (
    ProviderSettings,
    RateLimitError,
    SteerError,
    SteerLLMClient,
    SyncSteerLLMClient,
)
from steer_llm_sdk.models.headers import Headers
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.rates import Quota
from steer_llm_sdk.streaming.processor import RedactTransformer
from steer_llm_sdk.testing import (
    ErrorInStream,
    HTTPError,
    LoopbackServer,
    ManualClock,
    Script,
    ScriptedProvider,
)

KEY = "sk-canary-0123456789"
LIMITS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-remaining-tokens": "149984",
}
NO_RETRIES = StreamingOptions(max_retries=0)


def client(*answers: Any, clock: ManualClock | None = None) -> SteerLLMClient:
    provider = ScriptedProvider(*answers, clock=clock)
    return SteerLLMClient(KEY, transport=provider, clock=clock)


async def test_a_response_has_the_headers_of_its_answer_and_what_they_say_of_limits() -> None:
    clock = ManualClock()
    now = clock.time()
    async with client(Script(headers={"X-Request-Id": "req-1", **LIMITS}), clock=clock) as asks:
        response = await asks.generate("Hi", "gpt-4o")

    assert response.headers["x-request-id"] == response.headers["X-Request-ID"] == "req-1"
    assert response.rate_limit is not None
    assert response.rate_limit.requests == Quota(60, 59, now + 1)
    assert response.rate_limit.tokens.remaining == 149_984
    assert response.headers is response.headers


async def test_headers_are_there_while_the_answer_still_streams() -> None:
    asks = client(Script(["a", "b"], headers=LIMITS))
    async with asks, asks.stream_events("Hi", "gpt-4o") as stream:
        async for event in stream:
            if event.type == "delta":
                assert stream.response.rate_limit is not None
                break


async def test_nothing_is_made_of_headers_that_nobody_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from steer_llm_sdk.engine import heads

    def refuse(*_args: object) -> None:
        raise AssertionError("nobody has asked")

    monkeypatch.setattr(heads, "read_rate_limit", refuse)
    monkeypatch.setattr(heads, "Headers", refuse)
    async with client(Script(headers=LIMITS)) as asks:
        response = await asks.generate("Hi", "gpt-4o")

        with pytest.raises(AssertionError, match="nobody has asked"):
            _ = response.headers
        with pytest.raises(AssertionError, match="nobody has asked"):
            _ = response.rate_limit


async def test_cookies_and_keys_are_not_told() -> None:
    headers = {
        "Set-Cookie": "session=1",
        "X-Api-Key": "other",
        "X-Amz-Security-Token": "token",
        "WWW-Authenticate": "Bearer",
        "X-Echo": f"Bearer {KEY} and sk-another-key-of-somebody",
        **LIMITS,
    }
    async with client(Script(headers=headers)) as asks:
        response = await asks.generate("Hi", "gpt-4o")

    assert LIMITS.items() <= response.headers.items()
    assert set(response.headers) == {"content-type", "x-echo", *LIMITS}
    assert "canary" not in response.headers["x-echo"]
    assert "another" not in response.headers["x-echo"]


async def test_a_refusal_tells_its_limits_in_the_error_and_in_the_response() -> None:
    refusal = HTTPError(429, headers={"retry-after": "7", **LIMITS})
    async with client([refusal]) as asks:
        with pytest.raises(RateLimitError) as caught:
            await asks.generate("Hi", "gpt-4o", streaming_options=NO_RETRIES)

    error = caught.value
    assert error.rate_limit is not None
    assert (error.rate_limit.retry_after, error.retry_after) == (7.0, 7.0)
    partial = error.partial_response
    assert isinstance(partial, StreamingResponse)
    assert partial.headers["retry-after"] == "7"
    for again in (
        SteerError.from_dict(json.loads(error.to_json())),
        pickle.loads(pickle.dumps(error)),
    ):
        assert again == error
        assert isinstance(again, RateLimitError)
        assert again.rate_limit == error.rate_limit


async def test_an_error_that_says_nothing_of_limits_has_none_to_store() -> None:
    async with client([HTTPError(500)]) as asks:
        with pytest.raises(SteerError) as caught:
            await asks.generate("Hi", "gpt-4o", streaming_options=NO_RETRIES)

    assert "rate_limit" not in caught.value.to_dict()
    assert vars(type(caught.value)).get("rate_limit") is None


async def test_a_rate_limit_inside_the_stream_tells_what_the_head_said() -> None:
    script = Script(["a"], headers=LIMITS, faults=[ErrorInStream(1, "rate_limit")])
    async with client(script) as asks:
        with pytest.raises(RateLimitError) as caught:
            await asks.generate("Hi", "gpt-4o", streaming_options=NO_RETRIES)

    assert caught.value.rate_limit is not None
    assert caught.value.rate_limit.requests.limit == 60


async def test_the_headers_are_those_of_the_last_answer() -> None:
    clock = ManualClock()
    first = HTTPError(500, headers={"x-request-id": "one"})
    async with client([first], Script(headers={"x-request-id": "two"}), clock=clock) as asks:
        asking = asyncio.ensure_future(asks.generate("Hi", "gpt-4o"))
        while not asking.done():
            await clock.advance(clock.next_in or 0)
        response = asking.result()

    assert response.headers["x-request-id"] == "two"


async def test_what_text_transformers_redact_is_in_no_header() -> None:
    headers = {"x-echo": "the secret of headers", **LIMITS}
    asks = client(Script(["It goes on ", "and on: ", "secret"], headers=headers))
    options = StreamingOptions(text_transformers=[RedactTransformer(["secret"])])
    async with asks, asks.stream_events("Hi", "gpt-4o", streaming_options=options) as stream:
        seen = [stream.response.headers async for _ in stream]

    assert seen[1] == {}
    assert "secret" not in str(seen)
    assert stream.response.headers["x-ratelimit-limit-requests"] == "60"
    assert stream.response.rate_limit is not None
    assert stream.response.rate_limit.requests.limit == 60


async def test_a_response_is_stored_with_its_headers() -> None:
    async with client(Script(headers=LIMITS)) as asks:
        response = await asks.generate("Hi", "gpt-4o")

    for again in (
        StreamingResponse.from_dict(json.loads(response.to_json())),
        pickle.loads(pickle.dumps(response)),
        copy.deepcopy(response),
    ):
        assert again == response
        assert again.headers["X-RateLimit-Limit-Requests"] == "60"
        assert again.rate_limit == response.rate_limit
    assert StreamingResponse().headers == {}
    assert StreamingResponse().rate_limit is None
    assert "headers" not in repr(response)


async def test_over_a_socket_and_in_the_blocking_client_they_are_the_same() -> None:
    async with LoopbackServer(Script(headers={**LIMITS, "set-cookie": "a=b"})) as server:
        settings = {"openai": ProviderSettings(api_key=KEY, base_url=server.base_url())}

        def ask() -> StreamingResponse:
            with SyncSteerLLMClient(providers=settings) as blocking:
                return blocking.generate("Hi", "gpt-4o")

        response = await asyncio.to_thread(ask)

    assert response.headers["x-ratelimit-limit-requests"] == "60"
    assert "set-cookie" not in response.headers
    assert response.rate_limit is not None
    assert response.rate_limit.requests.remaining == 59


# --- the mapping ----------------------------------------------------------------------------------


def test_headers_are_read_in_any_case_and_cannot_be_changed() -> None:
    headers = Headers({"Server": "x"})

    assert ("SERVER" in headers, "date" in headers) == (True, False)
    assert (headers.get("server"), headers.get("date"), headers.get("date", "-")) == (
        "x",
        None,
        "-",
    )
    assert repr(headers) == "Headers({'server': 'x'})"
    assert headers.copy() is headers
    with pytest.raises(TypeError, match="cannot be changed"):
        headers["server"] = "y"
    with pytest.raises(TypeError, match="cannot be changed"):
        headers.update(server="y")
    assert json.loads(json.dumps(headers)) == {"server": "x"}
    assert pickle.loads(pickle.dumps(headers)) == headers
