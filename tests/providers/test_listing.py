"""Lists of models: what is asked, and what is read out of each provider's spelling."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.listing import ModelInfo, ModelPage
from steer_llm_sdk.providers import listing
from steer_llm_sdk.providers.azure import AzureChat
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.listing import Listing, listing_of
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format

KEY = "key-of-a-test"


def endpoint(base_url: str) -> Endpoint:
    return Endpoint("here", base_url, KEY, {"X-Mine": "1"})


def read_one(entry: dict[str, Any]) -> ModelInfo:
    page = listing.OPENAI.read({"data": [entry]}, "here")
    assert len(page.models) == 1
    return page.models[0]


@pytest.mark.parametrize(
    ("how", "base_url", "url"),
    [
        (listing.OPENAI, "https://a.test/v1/", "https://a.test/v1/models"),
        (listing.OPENAI, "https://a.test/v1?x=1", "https://a.test/v1/models?x=1"),
        (listing.ANTHROPIC, "https://a.test", "https://a.test/v1/models?limit=1000"),
        (listing.GEMINI, "https://a.test", "https://a.test/v1beta/models?pageSize=1000"),
        (listing.COHERE, "https://a.test", "https://a.test/v1/models?page_size=1000"),
        (listing.OLLAMA, "http://a.test:11434", "http://a.test:11434/api/tags"),
        (listing.BEDROCK, "http://a.test", "http://a.test/foundation-models"),
        (
            listing.BEDROCK,
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
            "https://bedrock.eu-west-1.amazonaws.com/foundation-models",
        ),
        (
            listing.BEDROCK,
            "https://bedrock-runtime-fips.us-east-1.amazonaws.com/",
            "https://bedrock-fips.us-east-1.amazonaws.com/foundation-models",
        ),
        (
            listing.BEDROCK,
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
            "https://bedrock.cn-north-1.amazonaws.com.cn/foundation-models",
        ),
        (
            listing.BEDROCK,
            "https://bedrock-runtime.eu-west-1.amazonaws.com.evil.test",
            "https://bedrock-runtime.eu-west-1.amazonaws.com.evil.test/foundation-models",
        ),
        (
            listing.VERTEX,
            "https://a.test/v1beta1/projects/p/locations/l",
            "https://a.test/v1beta1/publishers/google/models?pageSize=1000",
        ),
    ],
)
def test_each_list_has_its_place(how: Listing, base_url: str, url: str) -> None:
    request = how.request(endpoint(base_url))

    assert (request.method, request.url, request.body) == ("GET", url, b"")
    assert request.headers["x-mine"] == "1"
    assert "content-type" not in request.headers
    assert KEY in str(request.headers.values())


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://a.test", "https://a.test/openai/v1/models"),
        (
            "https://a.test?api-version=2024-10-21",
            "https://a.test/openai/models?api-version=2024-10-21",
        ),
    ],
)
def test_azure_lists_models_where_no_deployment_stands(base_url: str, url: str) -> None:
    request = listing.OPENAI.request(AzureChat().listing_endpoint(endpoint(base_url)))

    assert request.url == url
    assert request.headers["api-key"] == KEY


def test_who_asks_for_nothing_tells_no_key() -> None:
    nobody = Endpoint("here", "https://a.test")

    for how in (listing.OPENAI, listing.ANTHROPIC, listing.GEMINI):
        assert (
            not {"authorization", "x-api-key", "x-goog-api-key"}
            & how.request(nobody).headers.keys()
        )


@pytest.mark.parametrize(
    ("how", "page", "following", "query"),
    [
        (listing.OPENAI, {"data": [], "has_more": True, "last_id": "m"}, None, None),
        (
            listing.ANTHROPIC,
            {"data": [], "has_more": True, "last_id": "m/1"},
            "m/1",
            "after_id=m%2F1",
        ),
        (listing.ANTHROPIC, {"data": [], "has_more": False, "last_id": "m"}, None, None),
        (listing.GEMINI, {"models": [], "nextPageToken": "t="}, "t=", "pageToken=t%3D"),
        (listing.VERTEX, {"publisherModels": [], "nextPageToken": "t"}, "t", "pageToken=t"),
        (listing.COHERE, {"models": [], "next_page_token": "t"}, "t", "page_token=t"),
        (listing.COHERE, {"models": [], "next_page_token": ""}, None, None),
        (listing.COHERE, {"models": [], "next_page_token": 7}, None, None),
        (listing.OPENAI, [], None, None),
    ],
)
def test_a_page_tells_how_the_next_is_asked_for(
    how: Listing, page: Any, following: str | None, query: str | None
) -> None:
    assert how.read(page, "here") == ModelPage([], following)
    if following is not None and query is not None:
        assert query in how.request(endpoint("https://a.test"), following).url


ENTRIES: list[tuple[str, dict[str, Any], ModelInfo]] = [
    (
        "openai",
        {"id": "gpt-4o", "object": "model", "created": 1715367049, "owned_by": "system"},
        ModelInfo("gpt-4o", "here", created_at=1715367049.0, owner="system"),
    ),
    (
        "anthropic",
        {
            "id": "claude-x",
            "display_name": "Claude X",
            "created_at": "2025-02-19T00:00:00Z",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
        },
        ModelInfo("claude-x", "here", "Claude X", 200_000, 64_000, 1739923200.0),
    ),
    (
        "gemini",
        {
            "name": "models/gemini-x",
            "displayName": "Gemini X",
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
        },
        ModelInfo("gemini-x", "here", "Gemini X", 1_048_576, 65_536),
    ),
    (
        "openrouter",
        {
            "id": "a/b",
            "name": "A: B",
            "created": 1.0,
            "context_length": 32_768,
            "top_provider": {"max_completion_tokens": 4096, "context_length": 1},
        },
        ModelInfo("a/b", "here", "A: B", 32_768, 4096, 1.0),
    ),
    (
        "groq",
        {"id": "l", "context_window": 8192, "max_completion_tokens": 100, "owned_by": "Meta"},
        ModelInfo("l", "here", None, 8192, 100, owner="Meta"),
    ),
    (
        "mistral",
        {"id": "m", "name": "m", "max_context_length": 131_072},
        ModelInfo("m", "here", None, 131_072),
    ),
    ("vllm", {"id": "v", "max_model_len": 4096}, ModelInfo("v", "here", None, 4096)),
    ("llamacpp", {"id": "c", "meta": {"n_ctx_train": 8192}}, ModelInfo("c", "here", None, 8192)),
    (
        "github-copilot",
        {
            "id": "g",
            "capabilities": {
                "limits": {"max_context_window_tokens": 64_000, "max_output_tokens": 4096}
            },
        },
        ModelInfo("g", "here", None, 64_000, 4096),
    ),
    (
        "ollama",
        {"name": "l:3b", "model": "l:3b", "modified_at": "2025-01-01T02:00:00.123456789+02:00"},
        ModelInfo("l:3b", "here", created_at=1735689600.123456),
    ),
    (
        "bedrock",
        {"modelId": "amazon.x-v1:0", "modelName": "X", "providerName": "Amazon"},
        ModelInfo("amazon.x-v1:0", "here", "X", owner="Amazon"),
    ),
    (
        "vertex",
        {"name": "publishers/google/models/gemini-x", "versionId": "1"},
        ModelInfo("gemini-x", "here"),
    ),
    (
        "cohere",
        {"name": "command", "context_length": 128_000.0},
        ModelInfo("command", "here", None, 128_000),
    ),
    (
        "together",
        {"id": "t", "organization": "Meta", "created": 0, "context_length": 0},
        ModelInfo("t", "here", owner="Meta"),
    ),
    (
        "nonsense",
        {
            "id": "n",
            "created": "long ago",
            "context_window": True,
            "context_length": "many",
            "max_tokens": 1e300,
            "display_name": 7,
            "owned_by": "",
            "capabilities": [],
            "created_at": {},
            "createdAt": True,
            "modified_at": "0001-01-01T00:00:00+14:00",
        },
        ModelInfo("n", "here"),
    ),
]


@pytest.mark.parametrize(("entry", "info"), [e[1:] for e in ENTRIES], ids=[e[0] for e in ENTRIES])
def test_what_a_list_tells_of_a_model_is_read(entry: dict[str, Any], info: ModelInfo) -> None:
    found = read_one(entry)

    assert found.details == entry
    told = (found.id, found.display_name, found.context_window, found.max_output_tokens)
    assert told == (info.id, info.display_name, info.context_window, info.max_output_tokens)
    if entry.get("modified_at", "")[:4] != "0001":
        assert found.created_at == pytest.approx(info.created_at, abs=1e-6)
    assert found.owner == info.owner


def test_a_time_without_a_zone_is_utc() -> None:
    assert read_one({"id": "x", "created_at": "2025-02-19T00:00:00"}).created_at == 1739923200.0


def test_a_model_is_named_as_a_call_asks_for_it() -> None:
    info = ModelInfo("a/b", "openrouter")

    assert info.model == str(info) == "openrouter:a/b"


def test_what_is_no_model_is_passed_over() -> None:
    page = listing.OPENAI.read({"data": [7, None, {}, {"id": ""}, {"id": "m"}]}, "here")

    assert [info.id for info in page.models] == ["m"]


def test_a_list_of_google_that_is_empty_is_left_out() -> None:
    assert listing.GEMINI.read({}, "here") == ModelPage([])


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (None, "'NoneType'"),
        ("<html>", "'str'"),
        ({"error": 1, "b": 2}, r"\['b', 'error'\]"),
        ({"data": {"id": "m"}}, r"\['data'\]"),
    ],
)
def test_what_is_no_list_is_told(answer: object, found: str) -> None:
    with pytest.raises(ProtocolError, match=f"here: expected a list of models, found {found}"):
        listing.OPENAI.read(answer, "here")


def test_every_wire_format_lists_models_or_is_known_to_list_none() -> None:
    without = {row.name for row in PROVIDERS.values() if listing_of(wire_format(row)) is None}

    assert without == {"vertex-anthropic"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["data", "models", "id", "name", "created", "meta", "context_length"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_whatever_comes_is_read_or_told(answer: Any) -> None:
    try:
        page = listing.GEMINI.read(answer, "here")
    except ProtocolError:
        return
    assert all(info.id and json.dumps(info.model) for info in page.models)
