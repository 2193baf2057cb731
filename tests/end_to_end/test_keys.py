"""Keys of a call, and keys that a function gives: what of them is seen on the wire."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from steer_llm_sdk import (
    AuthenticationError,
    ConfigurationError,
    MissingAPIKeyError,
    ProviderSettings,
    SteerLLMClient,
    SyncSteerLLMClient,
)
from steer_llm_sdk.calls import keys
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider

HELLO = Script(["Hello"])
QUICK = StreamingOptions(max_retries=2, max_retry_wait=0.01)
AUTHORIZATION = "authorization"
HEADERS = {"gpt-4o": AUTHORIZATION, "claude-x": "x-api-key", "gemini-x": "x-goog-api-key"}


def sent(provider: ScriptedProvider, name: str = AUTHORIZATION) -> list[str | None]:
    return [request.headers.get(name) for request in provider.requests]


def client_of(provider: ScriptedProvider, **settings: Any) -> SteerLLMClient:
    return SteerLLMClient(providers={"openai": ProviderSettings(**settings)}, transport=provider)


# --- the key of a call --------------------------------------------------------------------------


@pytest.mark.parametrize("model", HEADERS)
async def test_a_call_may_have_a_key_of_its_own(model: str) -> None:
    provider = ScriptedProvider(HELLO, HELLO)
    settings = {"gemini": ProviderSettings(api_key="key-client")}
    client = SteerLLMClient("key-client", "key-client", providers=settings, transport=provider)

    await client.generate("Hi", model, api_key="key-call")
    await client.generate("Hi", model)

    bearer = "Bearer " if model == "gpt-4o" else ""
    assert sent(provider, HEADERS[model]) == [f"{bearer}key-call", f"{bearer}key-client"]


async def test_with_a_key_of_its_own_a_call_needs_none_of_the_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    provider = ScriptedProvider(HELLO)
    client = SteerLLMClient(transport=provider)

    await client.generate("Hi", "gpt-4o", api_key="key-call")

    assert sent(provider) == ["Bearer key-call"]
    with pytest.raises(MissingAPIKeyError):
        await client.generate("Hi", "gpt-4o")


async def test_it_reaches_fallbacks_of_its_own_provider_alone() -> None:
    provider = ScriptedProvider(HTTPError(500), HTTPError(500), HTTPError(500), HELLO)
    lab = ProviderSettings(kind="openai", base_url="http://127.0.0.1:9/v1", api_key="key-lab")
    client = SteerLLMClient("key-client", "key-claude", providers={"lab": lab}, transport=provider)
    options = StreamingOptions(
        max_retries=0, fallback_models=["claude-x", "lab:m", "openai-responses:gpt-4o"]
    )

    await client.generate("Hi", "gpt-4o", api_key="key-call", streaming_options=options)

    first, claude, other, last = provider.requests
    assert first.headers[AUTHORIZATION] == last.headers[AUTHORIZATION] == "Bearer key-call"
    assert claude.headers["x-api-key"] == "key-claude"
    assert other.headers[AUTHORIZATION] == "Bearer key-lab"


async def test_it_does_not_reach_a_fallback_at_another_address() -> None:
    provider = ScriptedProvider(HTTPError(500), HELLO)
    there = ProviderSettings(base_url="http://127.0.0.1:9/v1", api_key="key-there")
    client = SteerLLMClient("key-client", providers={"openai-responses": there}, transport=provider)
    options = StreamingOptions(max_retries=0, fallback_models=["openai-responses:gpt-4o"])

    await client.generate("Hi", "gpt-4o", api_key="key-call", streaming_options=options)

    assert sent(provider) == ["Bearer key-call", "Bearer key-there"]


@pytest.mark.parametrize("key", [1, b"key", ["key"], str])
async def test_a_key_that_is_none_is_a_type_error(key: Any) -> None:
    client = SteerLLMClient("k", transport=ScriptedProvider(HELLO))

    with pytest.raises(TypeError, match=r"api_key: expected a str, or a function .* the client"):
        await client.generate("Hi", "gpt-4o", api_key=key)


async def test_a_key_that_no_header_may_hold_is_refused_and_not_shown() -> None:
    client = SteerLLMClient("k", transport=ScriptedProvider(HELLO))

    with pytest.raises(ConfigurationError) as caught:
        await client.generate("Hi", "gpt-4o", api_key="sk-\nsecret")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("model", ["gpt-4o", "bedrock:m"])
async def test_a_key_of_a_call_that_is_empty_does_not_become_the_clients(model: str) -> None:
    provider = ScriptedProvider(HELLO)
    settings = {"bedrock": ProviderSettings(api_key="k", base_url="http://127.0.0.1:9")}
    client = SteerLLMClient("k", providers=settings, transport=provider)

    with pytest.raises(ConfigurationError, match="the API key is empty"):
        await client.generate("Hi", model, api_key="")

    assert not provider.requests


async def test_the_embedded_model_takes_no_key() -> None:
    with pytest.raises(ConfigurationError, match="local: the embedded model takes no api_key"):
        await SteerLLMClient().generate("Hi", "local:smollm2", api_key="k")


def test_the_blocking_client_takes_it_too() -> None:
    provider = ScriptedProvider(HELLO)
    with SyncSteerLLMClient("key-client", transport=provider) as client:
        client.generate("Hi", "gpt-4o", api_key=lambda: "key-call")

    assert sent(provider) == ["Bearer key-call"]


# --- keys that a function gives -----------------------------------------------------------------


def counting() -> Callable[[], str]:
    numbers = iter(range(1, 100))
    return lambda: f"token-{next(numbers)}"


async def asked_later() -> str:
    await asyncio.sleep(0)
    return "token-async"


class Asking:
    async def __call__(self) -> str:
        return "token-object"


@pytest.mark.parametrize(
    ("ask", "token"),
    [
        (counting(), "token-1"),
        (asked_later, "token-async"),
        (Asking(), "token-object"),
        (functools.partial(asked_later), "token-async"),
        (lambda: asked_later(), "token-async"),  # noqa: PLW0108 - a function that gives a coroutine
    ],
)
@pytest.mark.parametrize("is_of_call", [True, False])
async def test_a_function_gives_the_key(ask: Any, token: str, *, is_of_call: bool) -> None:
    provider = ScriptedProvider(HELLO)
    client = client_of(provider, api_key="k" if is_of_call else ask)
    given = {"api_key": ask} if is_of_call else {}

    await client.generate("Hi", "gpt-4o", **given)

    (authorization,) = sent(provider)
    assert authorization is not None
    assert authorization.startswith("Bearer token-")
    assert token.partition("-")[0] in authorization


async def test_a_plain_function_runs_in_a_thread() -> None:
    threads: list[int] = []

    def ask() -> str:
        threads.append(threading.get_ident())
        return "token"

    await client_of(ScriptedProvider(HELLO), api_key=ask).generate("Hi", "gpt-4o")

    assert threads != [threading.get_ident()]


async def test_each_request_has_a_key_of_its_own() -> None:
    provider = ScriptedProvider(HTTPError(500), HTTPError(500), HELLO, HELLO)
    client = client_of(provider, api_key=counting())

    await client.generate("Hi", "gpt-4o", streaming_options=QUICK)
    await client.generate("Hi", "gpt-4o")

    assert sent(provider) == [f"Bearer token-{number}" for number in (1, 2, 3, 4)]


async def test_after_a_401_it_is_asked_once_more_and_that_is_no_retry() -> None:
    provider = ScriptedProvider(HTTPError(401), HELLO)
    options = StreamingOptions(max_retries=0)

    response = await client_of(provider, api_key=counting()).generate(
        "Hi", "gpt-4o", streaming_options=options
    )

    assert response.get_text() == "Hello"
    assert sent(provider) == ["Bearer token-1", "Bearer token-2"]


async def test_a_second_401_stands() -> None:
    provider = ScriptedProvider(HTTPError(401), HTTPError(401), HELLO)

    with pytest.raises(AuthenticationError):
        await client_of(provider, api_key=counting()).generate("Hi", "gpt-4o")

    assert len(provider.requests) == 2


def failing() -> str:
    raise RuntimeError("token-secret is not valid")


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (failing, "no API key: the function under api_key raised RuntimeError"),
        (lambda: None, "no API key: the function under api_key gave None"),
        (lambda: "", "no API key: the function under api_key gave ''"),
    ],
)
async def test_without_a_key_there_is_no_stream(ask: Any, complaint: str) -> None:
    provider = ScriptedProvider(HELLO)
    began: list[Any] = []

    with pytest.raises(MissingAPIKeyError, match=complaint) as caught:
        await client_of(provider, api_key=ask).stream_with_usage(
            "Hi", "gpt-4o", on_start=began.append, on_error=began.append
        )

    assert not began
    assert not provider.requests
    assert "secret" not in repr(caught.value.__context__) + str(caught.value)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_function_that_does_not_answer_is_waited_for_within_a_limit(
    is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_MAX_SECONDS", 0.01)
    released = threading.Event()

    def ask() -> str:
        released.wait(10)
        return "late"

    async def ask_later() -> str:
        await asyncio.Event().wait()
        return "never"

    provider = ScriptedProvider(HELLO)
    client = client_of(provider, api_key=ask_later if is_async else ask)
    try:
        with pytest.raises(MissingAPIKeyError, match=r"gave nothing within 0\.01 seconds"):
            await client.generate("Hi", "gpt-4o")
    finally:
        released.set()

    assert not provider.requests


async def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="to give a str, found int"):
        await client_of(ScriptedProvider(HELLO), api_key=lambda: 5).generate("Hi", "gpt-4o")


@pytest.mark.parametrize("second", [failing, lambda: None, lambda: 5])
async def test_a_function_that_fails_later_ends_the_stream_in_an_authentication_error(
    second: Callable[[], Any],
) -> None:
    calls: Iterator[Callable[[], Any]] = iter([lambda: "token-1", second])
    provider = ScriptedProvider(HTTPError(500), HELLO)

    def ask() -> Any:
        return next(calls)()

    client = client_of(provider, api_key=ask)

    with pytest.raises(AuthenticationError):
        await client.generate("Hi", "gpt-4o", streaming_options=QUICK)

    assert len(provider.requests) == 1


async def test_a_fallback_asks_when_it_is_reached() -> None:
    provider = ScriptedProvider(HTTPError(500), HELLO)
    asked: list[str] = []

    def ask() -> str:
        asked.append("lab")
        return "token-lab"

    lab = ProviderSettings(
        kind="openai",
        base_url="http://127.0.0.1:9/v1",
        api_key=ask,
    )
    client = SteerLLMClient("key", providers={"lab": lab}, transport=provider)
    options = StreamingOptions(max_retries=0, fallback_models=["lab:m"])

    await client.generate("Hi", "gpt-4o", streaming_options=options)

    assert asked == ["lab"]
    assert sent(provider) == ["Bearer key", "Bearer token-lab"]


async def test_every_key_that_was_given_is_hidden() -> None:
    quoting = HTTPError(
        400, body=b'{"error": {"message": "not secret-token-1 nor secret-token-2"}}'
    )
    provider = ScriptedProvider(HTTPError(500), quoting)
    tokens = iter(["secret-token-1", "secret-token-2"])

    with pytest.raises(Exception, match=r"not \[key\] nor \[key\]") as caught:
        await client_of(provider, api_key=lambda: next(tokens)).generate(
            "Hi", "gpt-4o", streaming_options=QUICK
        )

    assert "secret-token" not in str(caught.value)


async def test_where_tokens_are_found_by_other_means_a_function_is_refused() -> None:
    settings = {"bedrock": ProviderSettings(api_key=lambda: "k")}
    client = SteerLLMClient(providers=settings, transport=ScriptedProvider(HELLO))

    with pytest.raises(ConfigurationError, match="bedrock: expected api_key to be a str"):
        await client.generate("Hi", "bedrock:amazon.nova-lite-v1:0")


def test_a_function_is_in_no_repr() -> None:
    assert "lambda" not in repr(ProviderSettings(api_key=lambda: "k"))
