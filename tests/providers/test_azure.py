"""Azure: its addresses, its keys and tokens, and what its filter says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ContentFilterError
from steer_llm_sdk.models.fragments import Extras, Finish
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.providers.azure import AzureChat, AzureResponses
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer
from steer_llm_sdk.testing import LoopbackServer, Script
from steer_llm_sdk.wire.frame import Frame

ROOT = "https://me.openai.azure.com"
TOKEN = "eyJ0eXAiOiJKV1Qi.eyJhdWQiOiJodHRwcyJ9.c2ln"


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest("my gpt", read_messages("Hi"), max_tokens=5, **fields)


def ask(base_url: str, key: str | None = "k", **headers: str) -> HTTPRequest:
    return AzureChat().request(chat(), Endpoint("azure", base_url, key, headers))


DATED = "/openai/deployments/my%20gpt/chat/completions?api-version="


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (ROOT, f"{ROOT}/openai/v1/chat/completions"),
        (f"{ROOT}/openai/", f"{ROOT}/openai/v1/chat/completions"),
        (f"{ROOT}/openai/v1/", f"{ROOT}/openai/v1/chat/completions"),
        (f"{ROOT}?api-version=preview", f"{ROOT}/openai/v1/chat/completions?api-version=preview"),
        (f"{ROOT}?api-version=2024-10-21", f"{ROOT}{DATED}2024-10-21"),
        (f"{ROOT}/openai?api-version=2025-03-01-preview", f"{ROOT}{DATED}2025-03-01-preview"),
        (
            f"{ROOT}/openai/deployments/other?api-version=2024-10-21",
            f"{ROOT}/openai/deployments/other/chat/completions?api-version=2024-10-21",
        ),
        (f"{ROOT}/openai/v1?api-version=2024-10-21", f"{ROOT}/openai/v1/chat/completions"),
        (f"{ROOT}/models", f"{ROOT}/models/chat/completions"),
    ],
)
def test_a_deployment_has_its_address(base_url: str, url: str) -> None:
    assert ask(base_url).url == url


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (ROOT, f"{ROOT}/openai/v1/responses"),
        (
            f"{ROOT}?api-version=2025-04-01-preview",
            f"{ROOT}/openai/responses?api-version=2025-04-01-preview",
        ),
    ],
)
def test_responses_have_theirs(base_url: str, url: str) -> None:
    request = AzureResponses().request(chat(), Endpoint("azure-responses", base_url, "k"))

    assert request.url == url
    assert request.headers["api-key"] == "k"


def test_responses_list_models_where_everything_else_is() -> None:
    listing = AzureResponses().listing_endpoint(Endpoint("azure-responses", ROOT, "k"))

    assert listing.base_url == f"{ROOT}/openai/v1"


def test_a_response_that_is_kept_is_taken_up_at_the_same_address() -> None:
    wire = AzureResponses()
    decoder = wire.decoder("azure-responses")
    event = {"type": "response.created", "sequence_number": 4, "response": {"id": "resp_1"}}
    list(decoder.decode(Frame(json.dumps(event).encode())))
    endpoint = Endpoint("azure-responses", ROOT, TOKEN)

    resumption = wire.resume(chat(extra_body={"background": True}), endpoint, "", decoder)

    assert resumption is not None
    assert resumption.request.url == (
        f"{ROOT}/openai/v1/responses/resp_1?stream=true&starting_after=4"
    )
    assert resumption.request.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("key", "header", "value"),
    [
        ("0123456789abcdef", "api-key", "0123456789abcdef"),
        (TOKEN, "authorization", f"Bearer {TOKEN}"),
        ("eyJust-a-key", "api-key", "eyJust-a-key"),
    ],
)
def test_a_key_and_a_token_have_headers_of_their_own(key: str, header: str, value: str) -> None:
    headers = ask(ROOT, key).headers

    assert headers[header] == value
    assert len({"api-key", "authorization"} & headers.keys()) == 1


def test_without_a_key_there_is_no_header_for_one() -> None:
    assert not {"api-key", "authorization"} & ask(ROOT, None).headers.keys()


def test_the_callers_header_goes_before_the_key() -> None:
    assert ask(ROOT, "k", **{"Api-Key": "mine"}).headers["api-key"] == "mine"


# --- the environment ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({}, "/openai/v1/chat/completions"),
        ({"OPENAI_API_VERSION": "2024-10-21"}, "/openai/deployments/my-gpt/chat/completions"),
        ({"AZURE_OPENAI_API_VERSION": "2024-10-21"}, "/openai/deployments/my-gpt/chat/completions"),
    ],
)
async def test_the_version_may_stand_in_the_environment(
    variables: dict[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LoopbackServer(Script(["Hello"])) as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        async with SteerLLMClient() as client:
            response = await client.generate("Hi", "azure:my-gpt")

    assert response.get_text() == "Hello"
    (request,) = server.requests
    assert request.path == path
    assert request.query == "&".join(f"api-version={value}" for value in variables.values())


async def test_a_version_of_the_address_goes_before_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    async with LoopbackServer(Script(["Hello"])) as server:
        settings = ProviderSettings(base_url=f"{server.url}?api-version=preview", api_key="k")
        async with SteerLLMClient(providers={"azure": settings}) as client:
            response = await client.generate("Hi", "azure-responses:my-gpt")

    assert response.get_text() == "Hello"
    assert server.requests[0].path == "/openai/v1/responses"
    assert server.requests[0].query == "api-version=preview"


# --- the filter -----------------------------------------------------------------------------------

RESULT = {
    "hate": {"filtered": True, "severity": "high"},
    "jailbreak": {"filtered": True, "detected": True},
    "violence": {"filtered": False, "severity": "safe"},
    "odd": 5,
}
REFUSALS: dict[str, dict[str, Any]] = {
    "a result": {
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": RESULT}
    },
    "results": {"innererror": {"content_filter_results": RESULT}},
    "a list": {"content_filters": [{"source_type": "prompt", "content_filter_results": RESULT}]},
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_prompt_that_was_refused_tells_what_was_filtered(name: str) -> None:
    error = {"message": "Filtered.", "code": "content_filter", "status": 400, **REFUSALS[name]}
    answer = ErrorAnswer("azure", 400, {}, json.dumps({"error": error}).encode())

    refusal = AzureChat().read_error(answer)

    assert type(refusal) is ContentFilterError
    assert refusal.code == "content_filter"
    assert "Filtered.: filtered was hate (high), jailbreak [" in str(refusal)


def test_what_the_filter_found_in_an_answer_is_kept() -> None:
    choice = {
        "index": 0,
        "delta": {},
        "finish_reason": "content_filter",
        "content_filter_results": {"hate": {"filtered": True}},
    }
    chunk = {"choices": [choice], "prompt_filter_results": [{"prompt_index": 0}]}
    found = AzureChat().decoder("azure").decode(Frame(json.dumps(chunk).encode()))

    assert Finish("content_filter", "content_filter") in found
    kept = str([each.metadata for each in found if isinstance(each, Extras)])
    assert "content_filter_results" in kept
    assert "prompt_filter_results" in kept
