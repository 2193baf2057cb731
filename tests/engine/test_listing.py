"""`client.models`: the lists of all providers, by their own SDKs too, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import botocore.session
import cohere
import httpx
import openai
import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from steer_llm_sdk import (
    AuthenticationError,
    ConfigurationError,
    MissingAPIKeyError,
    NotFoundError,
    ProtocolError,
    ProviderSettings,
    RateLimitError,
    RequestTimeoutError,
    SteerLLMClient,
    SyncSteerLLMClient,
    UnknownProviderError,
)
from steer_llm_sdk.models.listing import ModelInfo
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    Delay,
    HTTPError,
    LoopbackServer,
    ManualClock,
    RecordedRequest,
    Script,
    ScriptedProvider,
    Stall,
)

KEY = "sk-canary-0123456789"
MANY = [f"model-{number}" for number in range(1500)]
NO_RETRIES = StreamingOptions(max_retries=0)


def client_of(provider: ScriptedProvider, **more: Any) -> SteerLLMClient:
    return SteerLLMClient(KEY, KEY, transport=provider, **more)


async def names_of(client: SteerLLMClient, provider: str) -> list[str]:
    return [info.id for info in await client.models(provider)]


# --- beside the official SDKs ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(models=MANY).in_thread() as running:
        yield running


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def by_openai(url: str) -> list[str]:
    with openai.OpenAI(api_key=KEY, base_url=f"{url}/v1") as client:
        return [model.id for model in client.models.list()]


def by_anthropic(url: str) -> list[str]:
    with anthropic.Anthropic(api_key=KEY, base_url=url) as client:
        return [model.id for model in client.models.list(limit=1000)]


def by_google(url: str) -> list[str]:
    options = types.HttpOptions(base_url=url)
    with genai.Client(api_key=KEY, http_options=options) as client:
        models = client.models.list(config={"page_size": 1000})
        return [str(model.name).removeprefix("models/") for model in models]


def by_vertex(url: str) -> list[str]:
    with genai.Client(
        vertexai=True,
        project="p",
        location="l",
        credentials=Credentials(KEY),  # type: ignore[no-untyped-call]
        http_options=types.HttpOptions(base_url=url),
    ) as client:
        models = client.models.list(config={"page_size": 1000, "query_base": True})
        return [str(model.name).rpartition("/")[2] for model in models]


def by_cohere(url: str) -> list[str]:
    with httpx.Client() as http:
        client = cohere.Client(api_key=KEY, base_url=url, httpx_client=http)
        return [str(model.name) for model in client.models.list(page_size=1000).models]


def by_botocore(url: str) -> list[str]:
    session = botocore.session.Session()
    client = session.create_client("bedrock", region_name="us-east-1", endpoint_url=url)
    try:
        return [model["modelId"] for model in client.list_foundation_models()["modelSummaries"]]
    finally:
        client.close()


ORACLES: dict[str, tuple[Callable[[str], list[str]], str, int]] = {
    "openai": (by_openai, "/v1", 1500),
    "anthropic": (by_anthropic, "", 1500),
    "gemini": (by_google, "", 1500),
    "vertex": (by_vertex, "/v1beta1/projects/p/locations/l", 1500),
    "cohere": (by_cohere, "", 1000),  # its SDK gives one page
    "bedrock": (by_botocore, "", 1500),
}


def asked(request: RecordedRequest) -> tuple[Any, ...]:
    """What is asked for, and whether the key goes along; SDKs are at other versions of paths."""
    path = request.path.replace("/v1beta/", "/v1/")
    has_key = KEY in str(request.headers) or "AKIDEXAMPLE" in request.headers["authorization"]
    return request.method, path, sorted(request.query.split("&")), has_key


@pytest.mark.parametrize("provider", ORACLES)
def test_the_official_sdk_sends_the_same_and_reads_the_same(
    server: LoopbackServer, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    oracle, path, expected = ORACLES[provider]
    key = None if provider == "bedrock" else KEY
    settings = {provider: ProviderSettings(api_key=key, base_url=server.url + path)}
    before = len(server.requests)
    with SyncSteerLLMClient(providers=settings) as client:
        mine = [info.id for info in client.models(provider)]
    ours, before = server.requests[before:], len(server.requests)
    theirs = oracle(server.url)

    assert mine == MANY
    assert theirs == MANY[:expected]
    for own, official in zip(ours, server.requests[before:], strict=False):
        assert asked(own) == asked(official)


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("openai-responses", "/v1/models"),
        ("mistral", "/v1/models"),
        ("ollama", "/api/tags"),
        ("gemini-interactions", "/v1beta/models"),
        ("bedrock-anthropic", "/foundation-models"),
        ("bedrock-mantle", "/v1/models"),
        ("azure", "/v1/models"),
    ],
)
def test_the_others_are_asked_where_they_list(
    server: LoopbackServer, provider: str, path: str
) -> None:
    url = server.base_url(provider)
    settings = {provider: ProviderSettings(api_key=KEY, base_url=url, kind=provider)}
    with SyncSteerLLMClient(providers=settings) as client:
        models = client.models(provider)

    assert [info.id for info in models] == MANY
    assert models[0].model == f"{provider}:model-0"
    assert server.requests[-1].path == path


# --- what it is asked with ------------------------------------------------------------------------


async def test_a_provider_that_was_added_is_asked_in_the_way_of_its_kind() -> None:
    provider = ScriptedProvider(models=["a"])
    settings = ProviderSettings(
        kind="anthropic", base_url="https://lab.test", headers={"x-lab": "1"}
    )
    async with client_of(provider, providers={"lab": settings}) as client:
        models = await client.models("lab")

    (info,) = models
    assert (info.model, info.display_name) == ("lab:a", "A")
    assert (info.context_window, info.max_output_tokens) == (128_000, 16_000)
    assert provider.requests[0].headers["x-lab"] == "1"
    assert provider.requests[0].path == "/v1/models"


async def test_it_goes_by_the_proxy_and_the_checks_of_its_provider() -> None:
    seen: list[Any] = []

    class Transport(ScriptedProvider):
        async def open(self, request: Any, *, connect_timeout: float | None) -> Any:
            seen.append((request.proxy, request.verify, connect_timeout))
            return await super().open(request, connect_timeout=connect_timeout)

    settings = ProviderSettings(api_key=KEY, proxy="http://127.0.0.1:9", verify=False)
    async with client_of(Transport(), providers={"openai": settings}) as client:
        await client.models("openai", StreamingOptions(connect_timeout=3))

    assert seen == [("http://127.0.0.1:9", False, 3)]


async def test_the_key_of_the_call_goes_before_the_clients() -> None:
    provider = ScriptedProvider()
    async with client_of(provider) as client:
        await client.models("openai", api_key="key-of-call")
        await client.models("openai", api_key=lambda: "key-of-function")
        with pytest.raises(TypeError, match="api_key: expected a str"):
            await client.models("openai", api_key=7)  # type: ignore[arg-type]

    sent = [request.headers["authorization"] for request in provider.requests]
    assert sent == ["Bearer key-of-call", "Bearer key-of-function"]


async def test_a_key_that_expires_is_asked_for_once_more_after_a_refusal() -> None:
    numbers = iter(range(1, 9))
    keys = ProviderSettings(api_key=lambda: f"token-{next(numbers)}")
    provider = ScriptedProvider([HTTPError(401)], Script())
    async with client_of(provider, providers={"openai": keys}) as client:
        assert await names_of(client, "openai") == ["scripted-model"]

    sent = [request.headers["authorization"] for request in provider.requests]
    assert sent == ["Bearer token-1", "Bearer token-2"]


async def test_the_embedded_model_is_listed_without_being_started() -> None:
    provider = ScriptedProvider()
    async with client_of(provider) as client:
        assert await client.models("local") == [ModelInfo("smollm2", "local")]
    assert provider.requests == []


# --- what goes wrong ------------------------------------------------------------------------------


async def test_what_cannot_be_asked_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    provider = ScriptedProvider()
    async with client_of(provider) as client:
        with pytest.raises(UnknownProviderError, match="did you mean 'openai'"):
            await client.models("opnai")
        with pytest.raises(MissingAPIKeyError, match="GROQ_API_KEY"):
            await client.models("groq")
        with pytest.raises(ConfigurationError, match="vertex-anthropic: it has no list"):
            await client.models("vertex-anthropic")
        with pytest.raises(ConfigurationError, match="provider"):
            await client.models(7)  # type: ignore[arg-type]
    assert provider.requests == []


async def test_a_server_without_a_list_is_named_with_the_address_that_was_asked() -> None:
    async with client_of(ScriptedProvider(HTTPError(404))) as client:
        with pytest.raises(
            NotFoundError, match=r"asked was https://api\.openai\.com/v1/models: not every server"
        ):
            await client.models("openai")


async def test_a_refusal_is_the_providers_and_tells_no_key() -> None:
    refusal = HTTPError(401, message=f"wrong key {KEY}")
    async with client_of(ScriptedProvider(refusal)) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.models("anthropic", NO_RETRIES)

    assert KEY not in f"{caught.value} {caught.value.body}"


async def finished(clock: ManualClock, work: Any) -> Any:
    task = asyncio.ensure_future(work)
    while not task.done():
        await clock.advance(1.0)
    return task.result()


async def test_what_may_pass_is_tried_again_each_page_for_itself() -> None:
    clock = ManualClock()
    busy = HTTPError(429, headers={"retry-after": "2"})
    answers: list[Any] = [[busy], Script(), [busy], [busy], Script()]
    provider = ScriptedProvider(*answers, clock=clock, models=MANY)
    async with client_of(provider, clock=clock) as client:
        models = await finished(clock, client.models("anthropic"))

    assert [info.id for info in models] == MANY
    assert len(provider.requests) == 5


async def test_what_does_not_pass_is_raised() -> None:
    provider = ScriptedProvider(HTTPError(429))
    async with client_of(provider) as client:
        with pytest.raises(RateLimitError):
            await client.models("openai", NO_RETRIES)
    assert len(provider.requests) == 1


async def test_the_total_limit_is_for_all_pages_together() -> None:
    clock = ManualClock()
    provider = ScriptedProvider(Script(faults=[Delay(4)]), clock=clock, models=MANY)
    options = StreamingOptions(total_timeout=6)
    async with client_of(provider, clock=clock) as client:
        begun = clock.monotonic()
        with pytest.raises(RequestTimeoutError, match="total_timeout"):
            await finished(clock, client.models("anthropic", options))

    assert clock.monotonic() - begun == pytest.approx(6, abs=1.5)
    assert len(provider.requests) == 2


async def test_the_total_limit_is_for_pauses_too() -> None:
    clock = ManualClock()
    provider = ScriptedProvider(HTTPError(503, headers={"retry-after": "30"}), clock=clock)
    options = StreamingOptions(total_timeout=6)
    async with client_of(provider, clock=clock) as client:
        begun = clock.monotonic()
        with pytest.raises(RequestTimeoutError, match="total_timeout"):
            await finished(clock, client.models("openai", options))

    assert clock.monotonic() - begun == pytest.approx(6, abs=1.5)


async def test_whoever_gives_up_leaves_no_open_answer() -> None:
    provider = ScriptedProvider(Script(faults=[Stall(0)]))
    async with client_of(provider) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.models("openai"), 0.01)

    assert provider.responses[0].was_aborted
    assert provider.responses[0].was_released


async def test_a_list_that_goes_in_a_circle_is_told() -> None:
    def same(_request: RecordedRequest) -> Script:
        body = json.dumps({"data": [{"id": "m"}], "has_more": True, "last_id": "m"})
        return Script(faults=[HTTPError(200, body=body.encode())])

    provider = ScriptedProvider(same)
    async with client_of(provider) as client:
        with pytest.raises(ProtocolError, match="a list of models that ends, found more than 100"):
            await client.models("anthropic")
    assert len(provider.requests) == 100


@pytest.mark.parametrize("body", [b"", b"<html>", b"[[[", b'{"object": "error"}'])
async def test_what_is_no_list_is_told(body: bytes) -> None:
    async with client_of(ScriptedProvider(HTTPError(200, body=body))) as client:
        with pytest.raises(ProtocolError, match="openai: expected a list of models, found"):
            await client.models("openai")


async def test_a_list_without_an_end_is_not_read_for_ever() -> None:
    options = StreamingOptions(max_frame_bytes=1000)
    async with client_of(ScriptedProvider(models=MANY)) as client:
        with pytest.raises(ProtocolError, match="a document, found more than 1000"):
            await client.models("openai", options)
