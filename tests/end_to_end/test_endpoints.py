"""The embedded model, asked through the three wire formats that its server really speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient, StreamingResponse, SyncSteerLLMClient
from steer_llm_sdk.providers.base import Endpoint

PROMPT = "Name three colours, as a list."
# How each endpoint is named: the provider, and the model.
ROADS = {
    "local": (None, "local:smollm2"),
    "chat completions": ("openai", "smollm2"),
    "responses": ("openai-responses", "smollm2"),
    "messages": ("anthropic", "smollm2"),
}


@pytest.fixture(scope="module")
def providers(embedded: Endpoint) -> dict[str, ProviderSettings]:
    key, root = embedded.api_key, embedded.base_url.removesuffix("/v1")
    return {
        "openai": ProviderSettings(api_key=key, base_url=embedded.base_url),
        "anthropic": ProviderSettings(api_key=key, base_url=root),
    }


@pytest.fixture(scope="module")
def client(providers: dict[str, ProviderSettings]) -> Iterator[SyncSteerLLMClient]:
    with SyncSteerLLMClient(providers=providers) as client:
        yield client


@pytest.fixture(scope="module")
def answers(client: SyncSteerLLMClient) -> dict[str, StreamingResponse]:
    """The answers of all endpoints, by greedy decoding.

    The first answer is thrown away: after it the prompt is in the server's cache for all of them
    alike. A prompt that is computed in another order of sums may round to another word.
    """

    def ask(provider: str | None, model: str) -> StreamingResponse:
        return client.generate(
            PROMPT,
            model,
            temperature=0,
            max_tokens=40,
            provider=provider,
            extra_body={"seed": 7},
        )

    ask(*ROADS["local"])
    return {name: ask(*road) for name, road in ROADS.items()}


def test_greedy_decoding_gives_the_same_text_by_every_endpoint(
    answers: dict[str, StreamingResponse],
) -> None:
    texts = {name: response.get_text() for name, response in answers.items()}

    assert len(texts["local"]) > 20
    assert set(texts.values()) == {texts["local"]}


def test_every_endpoint_reports_the_same_usage(answers: dict[str, StreamingResponse]) -> None:
    usages = [response.usage for response in answers.values()]

    assert usages[0] is not None
    assert usages[0]["completion_tokens"] == 40
    assert usages[0]["prompt_tokens"] > 10
    assert all(usage == usages[0] for usage in usages)
    assert not any(response.usage_is_estimated for response in answers.values())


@pytest.mark.parametrize("name", [name for name in ROADS if name != "responses"])
def test_an_answer_that_was_cut_says_so(name: str, answers: dict[str, StreamingResponse]) -> None:
    # Its responses endpoint ends every answer in `response.completed`, a cut one too.
    assert answers[name].finish_reason == "length"


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS.keys())
def test_an_answer_that_ends_by_itself_says_so(
    road: tuple[str | None, str], client: SyncSteerLLMClient
) -> None:
    provider, model = road
    response = client.generate(
        "Say hello.", model, temperature=0, max_tokens=200, provider=provider
    )

    assert response.ok
    assert response.finish_reason == "stop"
    assert response.usage is not None
    assert 0 < response.usage["completion_tokens"] < 200


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS.keys())
def test_a_system_prompt_is_part_of_the_prompt(
    road: tuple[str | None, str], client: SyncSteerLLMClient
) -> None:
    provider, model = road

    def prompt_tokens(system: str) -> int:
        response = client.generate(
            "Hi", model, max_tokens=2, provider=provider, system=system, temperature=0
        )
        assert response.usage is not None
        return int(response.usage["prompt_tokens"])

    assert prompt_tokens("Be brief. " * 20) - prompt_tokens("Be brief.") >= 19 * 3


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS.keys())
async def test_more_streams_than_the_server_has_slots_all_have_an_answer(
    road: tuple[str | None, str], providers: dict[str, ProviderSettings]
) -> None:
    provider, model = road
    async with SteerLLMClient(providers=providers) as client:
        asked = (
            client.generate(f"Repeat: {at}", model, provider=provider, temperature=0, max_tokens=6)
            for at in range(6)
        )
        responses = await asyncio.gather(*asked)

    assert all(response.ok and response.get_text() for response in responses)
