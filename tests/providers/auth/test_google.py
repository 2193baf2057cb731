"""Where the project, the location and the token of Vertex AI are found."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import AuthenticationError, ConfigurationError, MissingAPIKeyError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.providers.auth import google
from steer_llm_sdk.providers.auth.base import AccessSettings
from steer_llm_sdk.providers.auth.google import (
    GoogleAccess,
    GoogleTokens,
    anthropic_access,
    openai_access,
)
from steer_llm_sdk.providers.auth.threads import run_in_thread
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script

ASKED = HTTPRequest("https://b.example/x", b"{}", {"accept": "*/*"})
PLACE = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "europe-west4"}


@dataclass
class Tokens:
    """Credentials whose tokens are these, one after another."""

    names: list[str]
    token: str | None = None
    valid: bool = False
    quota_project_id: str | None = None
    threads: list[str] = field(default_factory=list)

    def refresh(self, request: Any) -> None:
        self.threads.append(threading.current_thread().name)
        if not self.names:
            raise RuntimeError("the login has ended")
        self.token, self.valid = self.names.pop(0), True


def access(
    tokens: Tokens,
    environment: Mapping[str, str] = PLACE,
    project: str | None = "of-the-login",
    **given: Any,
) -> GoogleAccess:
    settings = AccessSettings("vertex", "", environment=environment, **given)
    return GoogleAccess(settings, "v1beta1", find=lambda: (tokens, project))


async def token_of(endpoint: Endpoint) -> str:
    return (await endpoint.authorize(ASKED, 0.0)).headers["authorization"]


# --- the address ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "base_url"),
    [
        (
            PLACE,
            "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p/locations/europe-west4",
        ),
        (
            {"GOOGLE_CLOUD_PROJECT": "p"},
            "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global",
        ),
        (
            {"CLOUD_ML_REGION": "eu"},
            "https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/of-the-login/locations/eu",
        ),
    ],
)
async def test_the_address_has_the_project_and_the_location(
    environment: Mapping[str, str], base_url: str
) -> None:
    assert (await access(Tokens(["t"]), environment).endpoint("m")).base_url == base_url


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        ("https://gw.example", "https://gw.example/v1beta1/projects/p/locations/europe-west4"),
        ("https://gw.example/v1", "https://gw.example/v1/projects/p/locations/europe-west4"),
        (
            "https://gw.example/v1/projects/q/locations/l",
            "https://gw.example/v1/projects/q/locations/l",
        ),
    ],
)
async def test_an_address_of_ones_own_is_completed(given: str, base_url: str) -> None:
    endpoint = await access(Tokens([]), base_url=given).endpoint("m")

    assert endpoint.base_url == base_url
    assert endpoint.credentials is None  # no token of Google's leaves Google


async def test_the_apis_have_paths_of_their_own() -> None:
    settings = AccessSettings("v", "", "https://gw.example", environment=PLACE)

    claude = await anthropic_access(settings).endpoint("m")
    copies = await openai_access(settings).endpoint("m")
    place = "https://gw.example/v1/projects/p/locations/europe-west4"
    assert (claude.base_url, copies.base_url) == (place, f"{place}/endpoints/openapi")


async def test_a_project_that_is_nowhere_is_told_with_where_was_looked() -> None:
    with pytest.raises(ConfigurationError, match="no Google Cloud project: looked at the base URL"):
        await access(Tokens(["t"]), {}, None).endpoint("m")


async def test_a_whole_path_needs_no_project() -> None:
    endpoint = await access(Tokens(["t"]), {}, None).endpoint("projects/p/locations/l/endpoints/1")

    assert await token_of(endpoint) == "Bearer t"


# --- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["AIzaSyExample-1", "AQ.Ab8-example"])
async def test_a_key_of_the_express_mode_needs_no_project(key: str) -> None:
    endpoint = await access(Tokens([]), {}, api_key=key).endpoint("m")

    assert endpoint.base_url == "https://aiplatform.googleapis.com/v1beta1"
    assert endpoint.api_key == key


async def test_any_other_key_is_a_token() -> None:
    endpoint = await access(Tokens([]), api_key="ya29.token").endpoint("m")

    assert endpoint.headers == {"authorization": "Bearer ya29.token"}
    assert endpoint.api_key is None


async def test_a_token_is_fetched_in_a_thread_and_kept_while_it_is_valid() -> None:
    tokens = Tokens(["t1", "t2"], quota_project_id="payer")
    endpoint = await access(tokens).endpoint("m")

    signed = await endpoint.authorize(ASKED, 0.0)
    assert signed.headers["authorization"] == "Bearer t1"
    assert signed.headers["x-goog-user-project"] == "payer"
    tokens.valid = False
    assert await token_of(endpoint) == "Bearer t2"
    assert threading.current_thread().name not in tokens.threads
    assert len(tokens.threads) == 2


async def test_whoever_waited_for_another_gets_what_that_one_has_fetched() -> None:
    tokens = Tokens(["t1", "t2"])
    login = GoogleTokens("vertex", lambda: (tokens, None))

    assert list(await asyncio.gather(login.token(), login.token())) == ["t1", "t1"]
    assert tokens.names == ["t2"]


def test_the_login_is_looked_for_by_googles_own_library(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (Tokens(["t1"]), "a-project")
    monkeypatch.setattr("google.auth.default", lambda scopes: found)

    assert google._google_auth() == found


async def test_a_token_that_was_refused_is_fetched_anew() -> None:
    endpoint = await access(Tokens(["t1", "t2"])).endpoint("m")

    assert endpoint.credentials is not None
    assert endpoint.credentials.forget()
    assert await token_of(endpoint) == "Bearer t2"


async def test_a_token_that_cannot_be_fetched_any_more_is_a_refusal() -> None:
    tokens = Tokens(["t1"])
    endpoint = await access(tokens).endpoint("m")
    tokens.valid = False

    with pytest.raises(AuthenticationError, match="RuntimeError: the login has ended") as caught:
        await token_of(endpoint)
    assert caught.value.__context__ is None


async def test_credentials_that_are_nowhere_are_told_with_where_was_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")

    with pytest.raises(MissingAPIKeyError, match=r"DefaultCredentialsError.*gcloud.*metadata"):
        await anthropic_access(AccessSettings("v", "", environment=PLACE)).endpoint("m")


async def test_without_google_auth_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)

    with pytest.raises(MissingAPIKeyError, match=r"steer-llm-sdk\[vertex\]"):
        await anthropic_access(AccessSettings("v", "", environment=PLACE)).endpoint("m")


# --- through the client ---------------------------------------------------------------------------


async def test_a_token_that_expires_early_is_fetched_anew_and_the_request_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = Tokens(["old", "new"])
    monkeypatch.setattr(google, "_google_auth", lambda: (tokens, "p"))
    monkeypatch.setattr(google, "_is_elsewhere", lambda _url: False)

    async with LoopbackServer([HTTPError(401), Script(["Hello"])]) as server:
        settings = {"vertex": ProviderSettings(base_url=server.url)}
        async with SteerLLMClient(providers=settings) as client:
            response = await client.generate("Hi", "vertex:gemini-2.5-flash")

    assert response.get_text() == "Hello"
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer old", "Bearer new"]
    assert server.requests[0].path.startswith("/v1beta1/projects/p/locations/global/publishers/")


async def test_no_token_that_there_was_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(["the-old-token", "the-new-token"])
    monkeypatch.setattr(google, "_google_auth", lambda: (tokens, "p"))
    monkeypatch.setattr(google, "_is_elsewhere", lambda _url: False)
    refusal = HTTPError(401, message="neither the-old-token nor the-new-token")

    async with LoopbackServer([HTTPError(401), refusal]) as server:
        settings = {"vertex": ProviderSettings(base_url=server.url)}
        async with SteerLLMClient(providers=settings) as client:
            with pytest.raises(AuthenticationError, match=r"neither \[key\] nor \[key\]") as caught:
                await client.generate("Hi", "vertex:gemini-2.5-flash")

    assert "-token" not in repr(vars(caught.value))
    assert len(server.requests) == 2


async def test_a_token_that_was_found_never_reaches_another_host() -> None:
    looked: list[str] = []

    def find() -> tuple[Tokens, str | None]:
        looked.append("for a token")
        return Tokens(["the-token"]), "p"

    elsewhere = "https://aiplatform.googleapis.com.gateway.example"
    settings = AccessSettings("vertex", "", elsewhere, environment=PLACE)
    endpoint = await GoogleAccess(settings, "v1beta1", find=find).endpoint("gemini-2.5-flash")

    assert (await endpoint.authorize(ASKED, 0.0)).headers == ASKED.headers
    assert looked == []


async def test_a_login_that_does_not_answer_is_waited_for_within_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(google, "run_in_thread", partial(run_in_thread, seconds=0.01))
    released = threading.Event()

    def find() -> tuple[Tokens, str | None]:
        released.wait(10)
        return Tokens(["late"]), None

    waiting = GoogleAccess(AccessSettings("vertex", "", environment=PLACE), "v1beta1", find=find)
    try:
        with pytest.raises(ConfigurationError, match=r"Google's credentials: nothing was found"):
            await waiting.endpoint("gemini-2.5-flash")
    finally:
        released.set()
